//! The five figures, from what happened in production.

use std::collections::BTreeSet;

use tidegate_domain::change::{Change, Class};
use tidegate_domain::deployment::plan::Purpose;
use tidegate_domain::deployment::rollout::{Deployment, State};
use tidegate_domain::estate::{Environment, Tier};
use tidegate_domain::measure::dora::{self, Dora, End, Fact};
use tidegate_domain::{Id, Millis, Name};
use tidegate_store::{Filter, Order, PageRequest};
use tokio::sync::Mutex;

use crate::app::App;
use crate::mirror::Mirror;
use crate::problem::No;

/// Days the figures look back.
pub const DAYS: i64 = 90;
const DAY_MS: Millis = 86_400_000;
/// How long a figure stands while nothing happens: it is one of days.
const STANDS_MS: Millis = 60_000;

/// What the figures are made of, as far as it is read already.
pub struct Measures {
    deployments: Mirror<Deployment, Ended>,
    changes: Mirror<Change, Asked>,
    last: Mutex<Option<Last>>,
}

/// The figures as of an event.
struct Last {
    position: u64,
    minute: Millis,
    figures: Dora,
}

/// What counts of a deployment that is over.
#[derive(Clone)]
struct Ended {
    id: Id,
    environment: Name,
    change: Option<String>,
    created_at_ms: Millis,
    over_at_ms: Millis,
    failed_at_ms: Option<Millis>,
    end: End,
}

/// What counts of a change.
#[derive(Clone, Copy)]
struct Asked {
    at_ms: Millis,
    class: Class,
}

impl Default for Measures {
    fn default() -> Measures {
        let asked = |change: Change| Some(Asked { at_ms: change.created_at_ms, class: change.content.class });
        Measures { deployments: Mirror::new(ended), changes: Mirror::new(asked), last: Mutex::new(None) }
    }
}

fn ended(deployment: Deployment) -> Option<Ended> {
    let end = match deployment.state {
        State::Succeeded => End::Succeeded,
        State::FellBack => End::FellBack,
        State::Failed | State::FallbackFailed => End::Failed,
        _ => return None,
    };
    Some(Ended {
        over_at_ms: deployment.ended_at_ms.filter(|_| deployment.purpose == Purpose::Forward)?,
        id: deployment.id,
        environment: deployment.environment,
        change: deployment.change.map(|id| id.to_string()),
        created_at_ms: deployment.created_at_ms,
        failed_at_ms: deployment.failure.map(|failure| failure.at_ms),
        end,
    })
}

/// The figures, from the deployments into production environments.
pub async fn of(app: &App) -> Result<Dora, No> {
    let (position, now_ms) = (app.store.head().await?, app.now_ms());
    let mut last = app.measures.last.lock().await;
    if let Some(last) = last.as_ref()
        && last.position == position
        && last.minute == now_ms / STANDS_MS
    {
        return Ok(last.figures.clone());
    }
    let figures = counted(app, now_ms).await?;
    // What was read after the head may be newer; then it is counted again at the next event, which is there already.
    *last = Some(Last { position, minute: now_ms / STANDS_MS, figures: figures.clone() });
    Ok(figures)
}

async fn counted(app: &App, now_ms: Millis) -> Result<Dora, No> {
    let all = PageRequest { order: Order::ByName, after: None, limit: 1_000 };
    let environments = app.store.list::<Environment>(&Filter::default(), &all).await?.rows;
    let production: BTreeSet<Name> =
        environments.into_iter().filter(|it| it.value.tier == Tier::Production).map(|it| it.value.name).collect();
    if production.is_empty() {
        return Ok(dora::figures(&[], |_| None, 0));
    }
    let since_ms = now_ms - DAYS * DAY_MS;
    let ended = app.measures.deployments.look(app, Some(since_ms)).await?;
    let ended: Vec<&Ended> =
        ended.values().filter(|it| it.created_at_ms >= since_ms && production.contains(&it.environment)).collect();
    let changes: BTreeSet<String> = ended.iter().filter_map(|it| it.change.clone()).collect();
    let changes = app.measures.changes.look_at(app, &changes).await?;
    let fact = |it: &&Ended| {
        let change = it.change.as_ref().and_then(|id| changes.get(id));
        Fact {
            deployment: it.id.clone(),
            committed_at_ms: change.map_or(it.created_at_ms, |change| change.at_ms),
            ended_at_ms: it.over_at_ms,
            end: it.end,
            rework: change.is_some_and(|change| change.class == Class::Emergency),
        }
    };
    let facts: Vec<Fact> = ended.iter().map(fact).collect();
    let failed_at: std::collections::HashMap<&Id, Millis> =
        ended.iter().filter_map(|it| Some((&it.id, it.failed_at_ms?))).collect();
    let first_ms = ended.iter().map(|it| it.created_at_ms).min().unwrap_or(now_ms);
    // A young installation is measured over its own days, but not over less than one.
    let period_ms = (now_ms - first_ms).max(DAY_MS);
    Ok(dora::figures(&facts, |id| failed_at.get(id).copied(), period_ms))
}
