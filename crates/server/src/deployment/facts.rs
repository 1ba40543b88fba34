//! Gathers what admission and `advance` are told.

use std::collections::BTreeMap;

use tidegate_domain::admission::{self, Facts, Reason};
use tidegate_domain::calendar::Freeze;
use tidegate_domain::change::Change;
use tidegate_domain::deployment::plan::{Plan, Purpose};
use tidegate_domain::deployment::rollout::{Deployment, FreezeInForce, Phase, State};
use tidegate_domain::estate::{Attested, Environment, Slot};
use tidegate_domain::release::Release;
use tidegate_domain::{Millis, Name};
use tidegate_store::Stored;

use crate::app::App;
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
    pub attested: BTreeMap<Name, BTreeMap<Name, Attested>>,
    without_agent: Vec<Name>,
    /// How far the plan back is.
    pub fallback: Option<State>,
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
        None => None,
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
        slot: slot(app, &deployment.environment, &deployment.application).await?,
        attested: records.into_iter().map(|(name, record)| (name, record.state.attested)).collect(),
        without_agent,
        fallback,
    })
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
            attested: &self.attested,
            without_agent: &self.without_agent,
            planned_ms: plan.expected_ms(),
        }
    }

    /// What stands against starting now.
    pub fn reasons(&self, deployment: &Deployment, plan: &Plan, now_ms: Millis) -> Vec<Reason> {
        if deployment.state == State::Planned || deployment.state.is_waiting_to_start() {
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
