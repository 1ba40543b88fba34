//! Gathers what admission and `advance` are told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidegate_domain::admission::{self, Facts, Reason};
use tidegate_domain::calendar::Freeze;
use tidegate_domain::change::Change;
use tidegate_domain::deployment::plan::{Plan, Purpose};
use tidegate_domain::deployment::rollout::{Deployment, FreezeInForce, Phase, State};
use tidegate_domain::estate::{AllAttested, Environment, Slot};
use tidegate_domain::release::Release;
use tidegate_domain::{Id, Millis, Name, Version};
use tidegate_store::{Filter, Order, PageRequest, Stored, StreamChange, package_key};

use crate::app::{App, stream_change};
use crate::problem::No;

/// What was gathered for one look at one deployment.
pub struct Gathered {
    environment: Environment,
    change: Option<Change>,
    release: Option<Release>,
    freezes: Vec<Freeze>,
    /// The application's place, with its version for the fence.
    pub slot: Stored<Slot>,
    /// What targets attest.
    pub attested: AllAttested,
    without_agent: Vec<Name>,
    /// How far the plan back is.
    pub fallback: Option<State>,
    /// What rejected version the way back would bring, in words.
    pub back_rejected: Option<String>,
    /// The releases that were looked at; see [`Gathered::fences`].
    releases: Vec<Stored<Release>>,
}

/// Gathers for a deployment in its present state; only what that state asks for.
pub async fn gather(app: &App, deployment: &Deployment, plan: &Plan) -> Result<Gathered, No> {
    let environment = app.need::<Environment>(&deployment.environment).await?.value;
    let change = match &deployment.change {
        Some(id) => app.store.load::<Change>(id.as_str()).await?.map(|found| found.value),
        None => None,
    };
    let mut looked_at = Vec::new();
    let mut release = None;
    if let Some(id) = &deployment.release {
        let found = app.store.load::<Release>(id.as_str()).await?;
        release = found.as_ref().map(|found| found.value.clone());
        looked_at.extend(found);
    }
    if is_to_start(deployment) && release.as_ref().is_none_or(|it| it.rejected.is_none()) {
        release = rejected_package(app, &deployment.application, &deployment.versions).await?.or(release);
    }
    let slot = slot(app, &deployment.environment, &deployment.application).await?;
    let mut back_rejected = None;
    if is_to_start(deployment) || deployment.state == State::Failing {
        let (what, releases) = self::back_rejected(app, &slot.value, plan).await?;
        back_rejected = what;
        looked_at.extend(releases);
    }
    let fallback = match (deployment.state, &deployment.fallback) {
        (State::FallingBack, Some(id)) => app.store.load::<Deployment>(id.as_str()).await?.map(|found| found.value.state),
        _ => None,
    };
    let (attested, without_agent) = attested(app, &asked(deployment, plan)).await?;
    Ok(Gathered {
        environment,
        change,
        release,
        freezes: crate::freeze::service::current(app).await?,
        slot,
        attested,
        without_agent,
        fallback,
        back_rejected,
        releases: looked_at,
    })
}

/// Targets from which on those are read that have changed rather than all that are asked for.
const MANY: usize = 500;

/// What targets attest, and which of them have no agent.
async fn attested(app: &App, names: &[Name]) -> Result<(AllAttested, Vec<Name>), No> {
    if names.len() < MANY {
        let records = crate::estate::service::attested(app, names).await?;
        let without = records.values().filter(|it| it.state.agent_key.is_none()).map(|it| it.target.name.clone()).collect();
        return Ok((records.into_iter().map(|(name, record)| (name, Arc::new(record.state.attested))).collect(), without));
    }
    let targets = app.counted.targets(app).await?;
    let found = || names.iter().filter_map(|name| targets.get(name.as_str()));
    let without = found().filter(|it| it.state.agent_key.is_none()).map(|it| it.name.clone()).collect();
    Ok((found().map(|it| (it.name.clone(), it.installed.clone())).collect(), without))
}

fn is_to_start(deployment: &Deployment) -> bool {
    deployment.state == State::Planned || deployment.state.is_waiting_to_start()
}

/// The releases that brought something to a place and were rejected.
pub async fn rejected(app: &App, slot: &Slot) -> Result<BTreeSet<Id>, No> {
    let releases = releases(app, slot.releases()).await?;
    Ok(releases.into_iter().filter(|it| it.value.rejected.is_some()).map(|it| it.value.id).collect())
}

async fn releases(app: &App, ids: impl Iterator<Item = &Id>) -> Result<Vec<Stored<Release>>, No> {
    let ids: BTreeSet<String> = ids.map(ToString::to_string).collect();
    Ok(app.store.load_many::<Release>(&ids.into_iter().collect::<Vec<_>>()).await?)
}

/// What a plan's way back would bring of a release that has been rejected since it was made, in words; and the releases that were
/// looked at, so that a start can be fenced on them.
pub async fn back_rejected(app: &App, slot: &Slot, plan: &Plan) -> Result<(Option<String>, Vec<Stored<Release>>), No> {
    let package = &plan.fallback_package;
    if package.is_empty() {
        return Ok((None, Vec::new()));
    }
    let brought: BTreeMap<&Name, &Id> =
        package.iter().filter_map(|(component, of)| Some((component, slot.brought_by(component, of)?))).collect();
    let looked_at = releases(app, brought.values().copied()).await?;
    let of_release = package.iter().find_map(|(component, of)| {
        let release = looked_at.iter().find(|it| Some(&&it.value.id) == brought.get(component))?;
        Some(words(&format!("{component} {}", of.0), &release.value)).filter(|_| release.value.rejected.is_some())
    });
    let versions = package.iter().map(|(component, (version, _))| (component.clone(), version.clone())).collect();
    let what = match of_release {
        Some(what) => Some(what),
        None => rejected_package(app, &plan.application, &versions).await?.map(|release| words(&plan.way_back(), &release)),
    };
    Ok((what, looked_at))
}

fn words(what: &str, release: &Release) -> String {
    let (by, reason) = release.rejected.as_ref().map_or(("nobody", ""), |it| (it.by.as_str(), it.reason.as_str()));
    format!("{what} of release {}, which {by} rejected: {reason}", release.version)
}

/// A rejected release of exactly this package: neither naming its versions nor another release of them is a way around it.
pub async fn rejected_package(app: &App, application: &Name, versions: &BTreeMap<Name, Version>) -> Result<Option<Release>, No> {
    let filter = Filter { parent: Some(package_key(versions)), applications: vec![application.clone()], ..Filter::default() };
    let request = PageRequest { order: Order::NewestFirst, after: None, limit: 1 };
    Ok(app.store.list::<Release>(&filter, &request).await?.rows.into_iter().next().map(|row| row.value))
}

/// The targets whose attested state matters now: all before the start, those of the wave that is about to begin.
fn asked(deployment: &Deployment, plan: &Plan) -> Vec<Name> {
    let wave =
        |number: u32| plan.waves.get(number as usize).map(|wave| wave.targets.iter().map(|target| target.name.clone()).collect());
    match (deployment.state, deployment.phase) {
        (State::Planned | State::AwaitingApproval | State::Scheduled | State::Queued, _) => {
            plan.targets().map(|(_, target)| target.name.clone()).collect()
        }
        (State::Running, Phase::Entry) => wave(deployment.wave).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// The application's place in an environment; one that was never taken has version 0.
pub async fn slot(app: &App, environment: &Name, application: &Name) -> Result<Stored<Slot>, No> {
    let found = app.store.load::<Slot>(&Slot::id(environment, application)).await?;
    Ok(found.unwrap_or_else(|| Stored {
        version: 0,
        updated_at_ms: 0,
        value: Slot::new(environment.clone(), application.clone()),
    }))
}

impl Gathered {
    fn facts<'a>(&'a self, deployment: &'a Deployment, plan: &'a Plan) -> Facts<'a> {
        Facts {
            deployment: &deployment.id,
            plan,
            digest: &deployment.plan,
            environment: &self.environment,
            change: self.change.as_ref(),
            release: self.release.as_ref(),
            freezes: &self.freezes,
            slot: &self.slot.value,
            back_rejected: self.back_rejected.as_deref(),
            attested: &self.attested,
            without_agent: &self.without_agent,
            planned_ms: plan.expected_ms(),
        }
    }

    /// What stands against starting now.
    pub fn reasons(&self, deployment: &Deployment, plan: &Plan, now_ms: Millis) -> Vec<Reason> {
        if is_to_start(deployment) {
            return admission::reasons(&self.facts(deployment, plan), now_ms);
        }
        Vec::new()
    }

    /// Changes of nothing that hold the releases to what was looked at: one that is rejected in the meantime is not overtaken.
    pub fn fences(&self) -> Vec<StreamChange> {
        let fence = |it: &Stored<Release>| stream_change::<_, tidegate_domain::release::Event>(it.version, &[], &it.value);
        self.releases.iter().map(fence).map(|change| StreamChange { record: None, ..change }).collect()
    }

    /// The freeze that holds running work between waves.
    pub fn freeze(&self, deployment: &Deployment, plan: &Plan, now_ms: Millis) -> Option<FreezeInForce> {
        if plan.purpose == Purpose::Fallback {
            return None;
        }
        let freeze = admission::freeze_holding(&self.facts(deployment, plan), now_ms)?;
        Some(FreezeInForce { id: freeze.id.clone(), name: freeze.name.clone(), until_ms: freeze.until_ms })
    }
}
