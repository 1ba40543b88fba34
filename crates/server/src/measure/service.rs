//! The five figures, from what happened in production.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_domain::change::{Change, Class};
use tidegate_domain::deployment::plan::Purpose;
use tidegate_domain::deployment::rollout::{Deployment, State};
use tidegate_domain::estate::{Environment, Tier};
use tidegate_domain::measure::dora::{self, Dora, End, Fact};
use tidegate_domain::{Id, Millis, Name};
use tidegate_store::{Filter, Order, PageRequest};

use crate::app::App;
use crate::problem::No;

/// Milliseconds of a day.
pub const DAY_MS: Millis = 86_400_000;
/// Days the figures look back.
pub const DAYS: i64 = 90;
/// Deployments they are made of at most.
const FACTS_MAX: u32 = 10_000;

/// Over what figures are made.
#[derive(Debug, Clone)]
pub struct Period {
    /// From this instant on.
    pub from_ms: Millis,
    /// And before this one.
    pub until_ms: Millis,
    /// Only of this application.
    pub application: Option<Name>,
    /// Only in these environments; those of the tier production if none is named.
    pub environments: Vec<Name>,
}

/// The figures of the last [`DAYS`], from the deployments into production environments.
pub async fn of(app: &App) -> Result<Dora, No> {
    let until_ms = app.now_ms();
    over(app, Period { from_ms: until_ms - DAYS * DAY_MS, until_ms, application: None, environments: Vec::new() }).await
}

/// The figures over a period, from the newest [`FACTS_MAX`] deployments in it.
pub async fn over(app: &App, mut period: Period) -> Result<Dora, No> {
    if period.environments.is_empty() {
        period.environments = production(app).await?;
    }
    if period.environments.is_empty() {
        return Ok(nothing());
    }
    let filter = Filter {
        applications: period.application.into_iter().collect(),
        environments: period.environments,
        from_ms: Some(period.from_ms),
        until_ms: Some(period.until_ms),
        ..Filter::default()
    };
    let request = PageRequest { order: Order::NewestFirst, after: None, limit: FACTS_MAX };
    let found = app.store.list::<Deployment>(&filter, &request).await?.rows;
    let deployments: Vec<Deployment> = found.into_iter().map(|it| it.value).collect();
    let changes: BTreeSet<String> = deployments.iter().filter_map(|it| it.change.as_ref()).map(ToString::to_string).collect();
    let changes = app.store.load_many::<Change>(&changes.into_iter().collect::<Vec<_>>()).await?;
    let changes: BTreeMap<Id, Change> = changes.into_iter().map(|it| (it.value.id.clone(), it.value)).collect();
    let fact = |it: &Deployment| fact(it, it.change.as_ref().and_then(|id| changes.get(id)));
    let facts: Vec<Fact> = deployments.iter().filter_map(fact).collect();
    let first_ms = facts.iter().map(|fact| fact.started_at_ms).min().unwrap_or(period.until_ms);
    // A young installation is measured over its own days, but not over less than one.
    Ok(dora::figures(&facts, (period.until_ms - first_ms.max(period.from_ms)).max(DAY_MS)))
}

/// What nothing comes to.
pub fn nothing() -> Dora {
    dora::figures(&[], 0)
}

/// The environments of the tier production.
pub async fn production(app: &App) -> Result<Vec<Name>, No> {
    let all = PageRequest { order: Order::ByName, after: None, limit: 1_000 };
    let environments = app.store.list::<Environment>(&Filter::default(), &all).await?.rows;
    Ok(environments.into_iter().filter(|it| it.value.tier == Tier::Production).map(|it| it.value.name).collect())
}

fn fact(deployment: &Deployment, change: Option<&Change>) -> Option<Fact> {
    let end = match deployment.state {
        State::Succeeded => End::Succeeded,
        State::FellBack => End::FellBack,
        State::Failed | State::FallbackFailed => End::Failed,
        _ => return None,
    };
    let ended_at_ms = deployment.ended_at_ms.filter(|_| deployment.purpose == Purpose::Forward)?;
    let succeeded_at_ms = (end == End::Succeeded).then_some(ended_at_ms);
    let implemented_at_ms = change.and_then(|change| change.implemented.get(&deployment.environment)).copied();
    Some(Fact {
        deployment: deployment.id.clone(),
        change: deployment.change.clone(),
        committed_at_ms: change.map_or(deployment.created_at_ms, |change| change.created_at_ms),
        reached_at_ms: succeeded_at_ms.or(implemented_at_ms),
        started_at_ms: deployment.started_at_ms.unwrap_or(deployment.created_at_ms),
        failed_at_ms: deployment.failure.as_ref().map(|failure| failure.at_ms),
        ended_at_ms,
        end,
        rework: change.is_some_and(|change| change.repairs || change.content.class == Class::Emergency),
        exact: deployment.recorded.as_ref().is_none_or(|recorded| recorded.time.is_exact()),
    })
}
