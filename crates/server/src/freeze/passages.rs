//! What came through a freeze, and how.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_api::view::{FreezePassages, PassageView};
use tidegate_domain::Name;
use tidegate_domain::calendar::Freeze;
use tidegate_domain::calendar::freeze::Controlled;
use tidegate_domain::change::{Change, Class};
use tidegate_domain::deployment::rollout::Deployment;
use tidegate_domain::estate::Environment;
use tidegate_store::{Filter, Order, PageRequest};

use crate::access::Caller;
use crate::app::App;
use crate::list;
use crate::problem::No;

/// Deployments of its time that are looked at for one freeze; the newest ones.
const LOOKED_AT_MAX: u32 = 5_000;

/// The deployments that a freeze concerns and that began while it was in force, oldest first, as far as the caller may see them.
pub async fn of(app: &App, caller: &Caller, freeze: &Freeze) -> Result<FreezePassages, No> {
    let all = PageRequest { order: Order::ByName, after: None, limit: 1_000 };
    let environments = app.store.list::<Environment>(&Filter::default(), &all).await?.rows;
    let controlled: BTreeMap<Name, bool> = environments.into_iter().map(|it| (it.value.name, it.value.controlled)).collect();
    let filter = Filter {
        applications: freeze.applications.clone(),
        environments: freeze.environments.clone(),
        from_ms: Some(freeze.from_ms),
        until_ms: Some(freeze.lifted.as_ref().map_or(freeze.until_ms, |lifted| lifted.at_ms.min(freeze.until_ms))),
        ..Filter::default()
    };
    let request = PageRequest { order: Order::NewestFirst, after: None, limit: LOOKED_AT_MAX };
    let found = app.store.list::<Deployment>(&filter, &request).await?;
    let complete = found.next.is_none();
    let mut deployments: Vec<Deployment> = found.rows.into_iter().map(|row| row.value).collect();
    deployments.retain(|it| list::may_see(&caller.person, it));
    deployments.reverse();
    let standard = standard(app, &deployments).await?;
    let passage = |it: Deployment| {
        let is_controlled = if controlled.get(&it.environment) == Some(&true) { Controlled::Yes } else { Controlled::No };
        let is_standard = it.change.as_ref().is_some_and(|change| standard.contains(change.as_str()));
        let passage = freeze.passage(&it, is_controlled, is_standard)?;
        Some(PassageView {
            deployment: it.id,
            application: it.application,
            environment: it.environment,
            versions: it.versions,
            started_at_ms: it.started_at_ms?,
            exact: it.recorded.as_ref().is_none_or(|recorded| recorded.time.is_exact()),
            state: it.state,
            passage,
            sentence: passage.phrase().to_owned(),
        })
    };
    Ok(FreezePassages { rows: deployments.into_iter().filter_map(passage).collect(), complete })
}

/// Those of the deployments' changes that are standard ones.
async fn standard(app: &App, deployments: &[Deployment]) -> Result<BTreeSet<String>, No> {
    let own = deployments.iter().filter(|it| it.recorded.is_none());
    let ids: BTreeSet<String> = own.filter_map(|it| it.change.as_ref()).map(ToString::to_string).collect();
    let changes = app.store.load_many::<Change>(&ids.into_iter().collect::<Vec<_>>()).await?;
    let standard = changes.into_iter().filter(|it| it.value.content.class == Class::Standard);
    Ok(standard.map(|it| it.value.id.to_string()).collect())
}
