//! Gathers what admission and `advance` are told.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_domain::admission::{self, Facts, Reason};
use tidegate_domain::calendar::Freeze;
use tidegate_domain::change::Change;
use tidegate_domain::deployment::plan::{Plan, Purpose};
use tidegate_domain::deployment::rollout::{Deployment, FreezeInForce, Phase, State};
use tidegate_domain::estate::{Attested, Environment, Slot};
use tidegate_domain::release::Release;
use tidegate_domain::{Id, Millis, Name, Version};
use tidegate_store::{Filter, Order, PageRequest, Stored};

use crate::app::App;
use crate::problem::No;

/// Rejected releases of one application that are compared with what is to be deployed, the newest first.
const REJECTED_MAX: u32 = 1_000;

/// What was gathered for one look at one deployment.
pub struct Gathered {
    environment: Environment,
    change: Option<Change>,
    release: Option<Release>,
    freezes: Vec<Freeze>,
    /// The application's place, with its version for the fence.
    pub slot: Stored<Slot>,
    /// What targets attest.
    pub attested: BTreeMap<Name, BTreeMap<Name, Attested>>,
    without_agent: Vec<Name>,
    /// How far the plan back is.
    pub fallback: Option<State>,
    /// What rejected version the way back would bring, in words.
    pub back_rejected: Option<String>,
}

/// Gathers for a deployment in its present state; only what that state asks for.
pub async fn gather(app: &App, deployment: &Deployment, plan: &Plan) -> Result<Gathered, No> {
    let environment = app.need::<Environment>(&deployment.environment).await?.value;
    let change = match &deployment.change {
        Some(id) => app.store.load::<Change>(id.as_str()).await?.map(|found| found.value),
        None => None,
    };
    let release = match &deployment.release {
        Some(id) => app.store.load::<Release>(id.as_str()).await?.map(|found| found.value),
        None if is_to_start(deployment) => rejected_package(app, &deployment.application, &deployment.versions).await?,
        None => None,
    };
    let slot = slot(app, &deployment.environment, &deployment.application).await?;
    let back_rejected = match deployment.state {
        State::Failing => back_rejected(app, &slot.value, plan).await?,
        _ if is_to_start(deployment) => back_rejected(app, &slot.value, plan).await?,
        _ => None,
    };
    let fallback = match (deployment.state, &deployment.fallback) {
        (State::FallingBack, Some(id)) => app.store.load::<Deployment>(id.as_str()).await?.map(|found| found.value.state),
        _ => None,
    };
    let records = crate::estate::service::attested(app, &asked(deployment, plan)).await?;
    let without_agent = records.values().filter(|it| it.state.agent_key.is_none()).map(|it| it.target.name.clone()).collect();
    Ok(Gathered {
        environment,
        change,
        release,
        freezes: crate::freeze::service::current(app).await?,
        slot,
        attested: records.into_iter().map(|(name, record)| (name, record.state.attested)).collect(),
        without_agent,
        fallback,
        back_rejected,
    })
}

fn is_to_start(deployment: &Deployment) -> bool {
    deployment.state == State::Planned || deployment.state.is_waiting_to_start()
}

/// The deployments that verified something at a place and whose release was rejected, with that release.
pub async fn rejected(app: &App, slot: &Slot) -> Result<BTreeMap<Id, Release>, No> {
    let brought: BTreeSet<String> = slot.verified.values().flatten().map(|verified| verified.deployment.to_string()).collect();
    let deployments = app.store.load_many::<Deployment>(&brought.into_iter().collect::<Vec<_>>()).await?;
    let of: BTreeMap<Id, Id> = deployments.into_iter().filter_map(|it| Some((it.value.id, it.value.release?))).collect();
    let ids: BTreeSet<String> = of.values().map(ToString::to_string).collect();
    let releases = app.store.load_many::<Release>(&ids.into_iter().collect::<Vec<_>>()).await?;
    let rejected: BTreeMap<Id, Release> =
        releases.into_iter().map(|it| it.value).filter(|it| it.rejected.is_some()).map(|it| (it.id.clone(), it)).collect();
    Ok(of.into_iter().filter_map(|(deployment, release)| Some((deployment, rejected.get(&release)?.clone()))).collect())
}

/// What a plan's way back would bring of a release that has been rejected since it was made.
pub async fn back_rejected(app: &App, slot: &Slot, plan: &Plan) -> Result<Option<String>, No> {
    if plan.fallback_package.is_empty() {
        return Ok(None);
    }
    let rejected = rejected(app, slot).await?;
    let found = plan.fallback_package.iter().find_map(|(component, of)| {
        let release = rejected.get(slot.brought_by(component, of)?)?;
        let by = release.rejected.as_ref()?;
        Some(format!("{component} {} of release {}, which {} rejected: {}", of.0, release.version, by.by, by.reason))
    });
    Ok(found)
}

/// A rejected release of exactly this package: naming its versions instead of it is no way around the rejection.
pub async fn rejected_package(app: &App, application: &Name, versions: &BTreeMap<Name, Version>) -> Result<Option<Release>, No> {
    let filter = Filter { states: vec!["rejected".into()], applications: vec![application.clone()], ..Filter::default() };
    let request = PageRequest { order: Order::NewestFirst, after: None, limit: REJECTED_MAX };
    let found = app.store.list::<Release>(&filter, &request).await?.rows;
    Ok(found.into_iter().map(|row| row.value).find(|release| release.versions == *versions))
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

    /// The freeze that holds running work between waves.
    pub fn freeze(&self, deployment: &Deployment, plan: &Plan, now_ms: Millis) -> Option<FreezeInForce> {
        if plan.purpose == Purpose::Fallback {
            return None;
        }
        let freeze = admission::freeze_holding(&self.facts(deployment, plan), now_ms)?;
        Some(FreezeInForce { id: freeze.id.clone(), name: freeze.name.clone(), until_ms: freeze.until_ms })
    }
}
