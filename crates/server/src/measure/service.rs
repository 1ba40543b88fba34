//! The five figures, from what happened in production.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_domain::change::{Change, Class};
use tidegate_domain::deployment::plan::Purpose;
use tidegate_domain::deployment::rollout::{Deployment, State};
use tidegate_domain::estate::{Environment, Tier};
use tidegate_domain::measure::dora::{self, Dora, End, Fact};
use tidegate_domain::{Id, Millis};
use tidegate_store::{Filter, Order, PageRequest};

use crate::app::App;
use crate::problem::No;

/// Days the figures look back.
pub const DAYS: i64 = 90;
/// Deployments they are made of at most.
const FACTS_MAX: u32 = 10_000;

/// The figures, from the deployments into production environments.
pub async fn of(app: &App) -> Result<Dora, No> {
    let all = PageRequest { order: Order::ByName, after: None, limit: 1_000 };
    let environments = app.store.list::<Environment>(&Filter::default(), &all).await?.rows;
    let production: Vec<_> =
        environments.into_iter().filter(|it| it.value.tier == Tier::Production).map(|it| it.value.name).collect();
    if production.is_empty() {
        return Ok(dora::figures(&[], |_| None, 0));
    }
    let now_ms = app.now_ms();
    let since_ms = now_ms - DAYS * 86_400_000;
    let filter = Filter { environments: production, from_ms: Some(since_ms), ..Filter::default() };
    let request = PageRequest { order: Order::NewestFirst, after: None, limit: FACTS_MAX };
    let found = app.store.list::<Deployment>(&filter, &request).await?.rows;
    let deployments: Vec<Deployment> = found.into_iter().map(|it| it.value).filter(|it| it.created_at_ms >= since_ms).collect();
    let changes: BTreeSet<String> = deployments.iter().filter_map(|it| it.change.as_ref()).map(ToString::to_string).collect();
    let changes = app.store.load_many::<Change>(&changes.into_iter().collect::<Vec<_>>()).await?;
    let changes: BTreeMap<Id, Change> = changes.into_iter().map(|it| (it.value.id.clone(), it.value)).collect();
    let (mut facts, mut failed_at, mut first_ms) = (Vec::new(), BTreeMap::<Id, Millis>::new(), now_ms);
    for deployment in deployments {
        let change = deployment.change.as_ref().and_then(|id| changes.get(id));
        if let Some(fact) = fact(&deployment, change) {
            first_ms = first_ms.min(deployment.created_at_ms);
            failed_at.extend(deployment.failure.map(|failure| (deployment.id.clone(), failure.at_ms)));
            facts.push(fact);
        }
    }
    // A young installation is measured over its own days, but not over less than one.
    let period_ms = (now_ms - first_ms).max(86_400_000);
    Ok(dora::figures(&facts, |id| failed_at.get(id).copied(), period_ms))
}

fn fact(deployment: &Deployment, change: Option<&Change>) -> Option<Fact> {
    let end = match deployment.state {
        State::Succeeded => End::Succeeded,
        State::FellBack => End::FellBack,
        State::Failed | State::FallbackFailed => End::Failed,
        _ => return None,
    };
    let ended_at_ms = deployment.ended_at_ms.filter(|_| deployment.purpose == Purpose::Forward)?;
    let committed_at_ms = change.map_or(deployment.created_at_ms, |change| change.created_at_ms);
    let rework = change.is_some_and(|change| change.content.class == Class::Emergency);
    Some(Fact { deployment: deployment.id.clone(), committed_at_ms, ended_at_ms, end, rework })
}
