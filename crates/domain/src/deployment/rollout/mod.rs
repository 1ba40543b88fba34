//! The rollout: one execution of one plan, as a state machine.
//!
//! [`Deployment::decide`] takes a person's wish or an agent's report, [`Deployment::advance`] says what is due, and
//! [`Deployment::apply`] is the only thing that changes it. None of them does anything else.

mod advance;
mod apply;
mod decide;
mod event;

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::deployment::order::{AttemptId, StepReport, attempt_id};
use crate::deployment::plan::{Plan, Purpose};
use crate::estate::Slot;
use crate::event::Actor;
use crate::gate::{Counted, Gate, Measurement, WaitingOn};
use crate::ids::{Digest, Id, Name, Version};
use crate::record::{DeploymentRecord, Ending, Recorded};
use crate::refusal::Refusal;

pub use advance::{Evidence, FreezeInForce, Next, Waiting};
pub use decide::{Answer, Command};
pub use event::{Event, Ordered};

/// The life of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its plan stands; nobody has asked to start it.
    Planned,
    /// Asked to start; an authorisation or approval is missing.
    AwaitingApproval,
    /// Asked to start at a later time.
    Scheduled,
    /// Asked to start; something else stands in the way.
    Queued,
    /// Waves are going out.
    Running,
    /// A person, a freeze or a question holds it.
    Paused,
    /// All waves are out; the last gates are open.
    Baking,
    /// It has failed or was stopped; what was under way is coming to its end.
    Failing,
    /// The plan back is running.
    FallingBack,
    /// Every target of the frozen set attested the planned package.
    Succeeded,
    /// It ended short of that, and nothing goes back by itself.
    Failed,
    /// The plan back has succeeded.
    FellBack,
    /// The plan back has failed, too.
    FallbackFailed,
    /// A person stopped it.
    Cancelled,
    /// It can never start: its plan is out of date or its release was rejected.
    Expired,
}

impl State {
    /// Whether nothing more will happen by itself.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            State::Succeeded | State::Failed | State::FellBack | State::FallbackFailed | State::Cancelled | State::Expired
        )
    }

    /// Whether it has been asked to start and waits for that.
    pub fn is_waiting_to_start(self) -> bool {
        matches!(self, State::AwaitingApproval | State::Scheduled | State::Queued)
    }

    /// Whether it holds its application's place in the environment.
    pub fn holds_slot(self) -> bool {
        matches!(self, State::Running | State::Paused | State::Baking | State::Failing | State::FallingBack)
    }

    /// What a deployment is or has done, after its id.
    pub fn phrase(self) -> &'static str {
        match self {
            State::Planned => "is planned",
            State::AwaitingApproval => "awaits approval",
            State::Scheduled => "is scheduled",
            State::Queued => "is queued",
            State::Running => "is running",
            State::Paused => "is paused",
            State::Baking => "is baking",
            State::Failing => "is failing",
            State::FallingBack => "is falling back",
            State::Succeeded => "has succeeded",
            State::Failed => "has failed",
            State::FellBack => "has fallen back",
            State::FallbackFailed => "has failed, as has its way back,",
            State::Cancelled => "was cancelled",
            State::Expired => "has expired",
        }
    }

    /// Its name in JSON and in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Planned => "planned",
            State::AwaitingApproval => "awaiting_approval",
            State::Scheduled => "scheduled",
            State::Queued => "queued",
            State::Running => "running",
            State::Paused => "paused",
            State::Baking => "baking",
            State::Failing => "failing",
            State::FallingBack => "falling_back",
            State::Succeeded => "succeeded",
            State::Failed => "failed",
            State::FellBack => "fell_back",
            State::FallbackFailed => "fallback_failed",
            State::Cancelled => "cancelled",
            State::Expired => "expired",
        }
    }
}

/// The life of a target in a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TargetState {
    /// Its wave has not begun.
    Pending,
    /// Its order is out.
    Ordered,
    /// Its agent has begun.
    InProgress,
    /// It attested the planned package and was well for as long as asked.
    Healthy,
    /// A step or the health check failed.
    Failed,
    /// It began and did not end in time.
    TimedOut,
    /// It did not answer in time.
    Unreachable,
    /// A person took it out of the frozen set.
    Excluded,
    /// It had the planned package before.
    AlreadyCurrent,
    /// Its attempt was ended on request.
    Cancelled,
    /// A step that must not run twice may or may not have run; a person must say.
    Unknown,
}

impl TargetState {
    /// Every state, in the order in which pages count them.
    pub const ALL: [TargetState; 11] = [
        TargetState::Healthy,
        TargetState::AlreadyCurrent,
        TargetState::InProgress,
        TargetState::Ordered,
        TargetState::Pending,
        TargetState::Unknown,
        TargetState::Failed,
        TargetState::TimedOut,
        TargetState::Unreachable,
        TargetState::Cancelled,
        TargetState::Excluded,
    ];

    /// Its name in JSON and in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            TargetState::Pending => "pending",
            TargetState::Ordered => "ordered",
            TargetState::InProgress => "in_progress",
            TargetState::Healthy => "healthy",
            TargetState::Failed => "failed",
            TargetState::TimedOut => "timed_out",
            TargetState::Unreachable => "unreachable",
            TargetState::Excluded => "excluded",
            TargetState::AlreadyCurrent => "already_current",
            TargetState::Cancelled => "cancelled",
            TargetState::Unknown => "unknown",
        }
    }

    /// What became of a target, after its name.
    pub fn phrase(self) -> &'static str {
        match self {
            TargetState::Pending => "is pending",
            TargetState::Ordered => "is ordered",
            TargetState::InProgress => "is in progress",
            TargetState::Healthy => "is healthy",
            TargetState::Failed => "failed",
            TargetState::TimedOut => "timed out",
            TargetState::Unreachable => "is unreachable",
            TargetState::Excluded => "is excluded",
            TargetState::AlreadyCurrent => "is current already",
            TargetState::Cancelled => "was cancelled",
            TargetState::Unknown => "is in doubt",
        }
    }

    /// Whether it counts against the failure budget.
    pub fn is_failure(self) -> bool {
        matches!(self, TargetState::Failed | TargetState::TimedOut | TargetState::Unreachable)
    }

    /// Whether an order is out whose end is not known.
    pub fn is_in_flight(self) -> bool {
        matches!(self, TargetState::Ordered | TargetState::InProgress)
    }

    /// Whether it has the planned package, or is not asked to.
    pub fn is_good(self) -> bool {
        matches!(self, TargetState::Healthy | TargetState::AlreadyCurrent | TargetState::Excluded)
    }
}

/// One target's way through the deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetProgress {
    /// Which one.
    pub target: Name,
    /// Its wave, from 0.
    pub wave: u32,
    /// How far it is.
    pub state: TargetState,
    /// How many tries it has had; also the number of the current one.
    pub attempt: u32,
    /// When the current order was given.
    pub ordered_at_ms: Option<Millis>,
    /// When its agent first answered the current order.
    pub begun_at_ms: Option<Millis>,
    /// When the state last changed.
    pub changed_at_ms: Millis,
    /// Where the current order begins; see [`crate::deployment::order::Order::start_at`].
    pub start_at: usize,
    /// What it last reported of its steps.
    pub steps: Vec<StepReport>,
    /// What began in earlier tries; what cannot be taken back stays so, whatever a later try reports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ran_before: Vec<StepReport>,
    /// What decided its state, in one sentence.
    pub detail: Option<String>,
}

/// Where the current wave stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The gates before it are asked.
    Entry,
    /// Its targets are at work.
    Targets,
    /// The gates after it are asked.
    Verification,
}

/// What one gate has seen so far. Its key in [`Deployment::gates`] is [`gate_key`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateProgress {
    /// When it was first asked.
    pub since_ms: Millis,
    /// Who said yes.
    pub approvals: Vec<Name>,
    /// What was measured, oldest first.
    pub measurements: Vec<Measurement>,
    /// What its sources have counted since then, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counted: BTreeMap<String, Counted>,
    /// Its final answer, once there is one.
    pub outcome: Option<GateOutcome>,
}

/// A gate's final answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GateOutcome {
    /// Whether it let the deployment go on.
    pub passed: bool,
    /// With what numbers, or who decided over it.
    pub sentence: String,
    /// Who, if a person decided over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When.
    pub at_ms: Millis,
}

/// A hold by a person or by a freeze.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pause {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The freeze, if it was one; it then lifts by itself.
    pub freeze: Option<Id>,
    /// Since when.
    pub since_ms: Millis,
}

/// Why a deployment is coming to its end early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// What decided it, with the numbers.
    pub reason: String,
    /// Who, if a person stopped it.
    pub by: Option<String>,
    /// What happens when everything under way has ended.
    pub then: Then,
    /// When.
    pub at_ms: Millis,
}

/// What follows a failure or a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// The plan back, unless a step marked irreversible has run.
    FallBack,
    /// The plan back, whatever has run: a person decided so.
    FallBackAnyway,
    /// Nothing; it has failed.
    Fail,
    /// Nothing; it was stopped.
    Cancel,
}

/// One execution of one plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Deployment {
    /// Which one.
    pub id: Id,
    /// What is deployed.
    pub application: Name,
    /// Where.
    pub environment: Name,
    /// Forward or back.
    pub purpose: Purpose,
    /// The deployment it takes back, if it goes back.
    pub takes_back: Option<Id>,
    /// What each component will have.
    pub versions: BTreeMap<Name, Version>,
    /// The plan's digest.
    pub plan: Digest,
    /// The digest of the plan back.
    pub fallback_plan: Option<Digest>,
    /// How the fleet was cut, for people.
    pub strategy: String,
    /// How many waves there are.
    pub waves: u32,
    /// How many targets there are.
    pub size: u32,
    /// The release it belongs to.
    pub release: Option<Id>,
    /// The change that authorises it.
    pub change: Option<Id>,
    /// Who asked for it.
    pub requested_by: Actor,
    /// How far it is.
    pub state: State,
    /// The fencing number of its orders; 0 before it starts.
    pub generation: u64,
    /// When the plan was made.
    pub created_at_ms: Millis,
    /// Before when it must not start.
    pub not_before_ms: Option<Millis>,
    /// When the first order could go out.
    pub started_at_ms: Option<Millis>,
    /// When it ended.
    pub ended_at_ms: Option<Millis>,
    /// The current wave, from 0.
    pub wave: u32,
    /// Where the current wave stands.
    pub phase: Phase,
    /// When a target last became healthy or got an order, without the time it was paused since.
    #[serde(default)]
    pub progress_at_ms: Option<Millis>,
    /// What the gates have seen, by [`gate_key`].
    pub gates: BTreeMap<String, GateProgress>,
    /// Who or what holds it.
    pub pause: Option<Pause>,
    /// Why it is ending early.
    pub failure: Option<Failure>,
    /// The deployment that takes it back.
    pub fallback: Option<Id>,
    /// What it waits on, since when, and until when if time alone lifts it.
    pub waiting: Option<Held>,
    /// The sentences that decided its way, oldest first.
    pub decided_by: Vec<String>,
    /// How many targets are in which state.
    pub counts: BTreeMap<TargetState, u32>,
    /// That it was carried out elsewhere, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Recorded>,
    /// Its targets; stored in rows of their own. Shared with whoever shows them: ten thousand are not copied for a page.
    #[serde(skip)]
    pub targets: BTreeMap<Name, Arc<TargetProgress>>,
}

/// What something waits on, as stored and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    /// On what.
    pub on: WaitingOn,
    /// Since when.
    pub since_ms: Millis,
    /// Until when, if time alone lifts it.
    pub until_ms: Option<Millis>,
}

/// What a new deployment is made of.
#[derive(Debug, Clone)]
pub struct Birth<'a> {
    /// Which one.
    pub id: Id,
    /// Its plan.
    pub plan: &'a Plan,
    /// The plan's digest.
    pub digest: Digest,
    /// The release it belongs to.
    pub release: Option<Id>,
    /// The change that authorises it.
    pub change: Option<Id>,
    /// Who asked for it.
    pub requested_by: Actor,
    /// The deployment it takes back.
    pub takes_back: Option<Id>,
}

/// Where a gate stands in a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Before its wave.
    Before,
    /// After its wave.
    After,
}

/// The key of a gate in a deployment: `<wave>.<side>.<index>`, waves and gates counted from 0.
pub fn gate_key(wave: u32, side: Side, index: usize) -> String {
    format!("{}{index}", gate_key_prefix(wave, side))
}

/// What the keys of the gates on one side of a wave begin with.
fn gate_key_prefix(wave: u32, side: Side) -> String {
    let side = match side {
        Side::Before => "before",
        Side::After => "after",
    };
    format!("{wave}.{side}.")
}

/// A gate whose next measurement is due.
#[derive(Debug, Clone, PartialEq)]
pub struct DueProbe<'a> {
    /// Its [`gate_key`].
    pub key: String,
    /// The gate.
    pub gate: &'a Gate,
    /// Since when it is asked; a reading for an earlier asking says nothing.
    pub since_ms: Millis,
    /// The wave that is measured.
    pub wave: u32,
}

impl Deployment {
    /// A deployment with a plan, asked for but not started.
    pub fn new(birth: Birth<'_>, now_ms: Millis) -> Deployment {
        let plan = birth.plan;
        let targets: BTreeMap<Name, Arc<TargetProgress>> = plan
            .targets()
            .map(|(wave, target)| (target.name.clone(), Arc::new(TargetProgress::new(&target.name, wave as u32, now_ms))))
            .collect();
        Deployment {
            id: birth.id,
            application: plan.application.clone(),
            environment: plan.environment.clone(),
            purpose: plan.purpose,
            takes_back: birth.takes_back,
            versions: plan.installations.iter().map(|i| (i.component.clone(), i.version.clone())).collect(),
            plan: birth.digest,
            fallback_plan: plan.fallback.clone(),
            strategy: plan.strategy.clone(),
            waves: plan.waves.len() as u32,
            size: targets.len() as u32,
            release: birth.release,
            change: birth.change,
            requested_by: birth.requested_by,
            state: State::Planned,
            generation: 0,
            created_at_ms: now_ms,
            not_before_ms: None,
            started_at_ms: None,
            ended_at_ms: None,
            wave: 0,
            phase: Phase::Entry,
            progress_at_ms: None,
            gates: BTreeMap::new(),
            pause: None,
            failure: None,
            fallback: None,
            waiting: None,
            decided_by: Vec::new(),
            recorded: None,
            counts: BTreeMap::from([(TargetState::Pending, targets.len() as u32)]).into_iter().filter(|(_, n)| *n > 0).collect(),
            targets,
        }
    }

    /// A deployment that was carried out elsewhere and has ended. Its plan orders nothing; see [`Plan::of_record`].
    ///
    /// # Errors
    ///
    /// What [`DeploymentRecord::check`] refuses, at the field.
    pub fn recorded(
        id: Id,
        record: &DeploymentRecord,
        (change, release): (Option<Id>, Option<Id>),
        recorded: Recorded,
    ) -> Result<(Deployment, Plan, Event), Refusal> {
        record.check(recorded.at_ms)?;
        let plan = Plan::of_record(record.application.clone(), record.environment.clone());
        let requested_by = Actor::Person(recorded.by.clone());
        let birth = Birth { id, plan: &plan, digest: plan.digest(), release, change, requested_by, takes_back: None };
        let mut deployment = Deployment::new(birth, record.started_at_ms);
        let event = Event::Recorded { source: recorded.source.clone(), record: Box::new(record.clone()) };
        deployment.versions.clone_from(&record.versions);
        deployment.state = match record.outcome {
            Ending::Succeeded => State::Succeeded,
            Ending::Failed => State::Failed,
            Ending::FellBack => State::FellBack,
            Ending::Cancelled => State::Cancelled,
        };
        deployment.started_at_ms = Some(record.started_at_ms);
        deployment.ended_at_ms = Some(record.ended_at_ms);
        if matches!(record.outcome, Ending::Failed | Ending::FellBack) {
            let reason = if record.reason.is_empty() { "recorded without a reason".to_owned() } else { record.reason.clone() };
            let then = if record.outcome == Ending::FellBack { Then::FallBack } else { Then::Fail };
            let at_ms = record.failed_at_ms.unwrap_or(record.ended_at_ms);
            deployment.failure = Some(Failure { reason, by: None, then, at_ms });
        }
        deployment.recorded = Some(recorded);
        Ok((deployment, plan, event))
    }

    /// How many targets are in a state.
    pub fn count(&self, state: TargetState) -> u32 {
        self.counts.get(&state).copied().unwrap_or(0)
    }

    /// How many targets count against the failure budget.
    pub fn failures(&self) -> u32 {
        self.counts.iter().filter(|(state, _)| state.is_failure()).map(|(_, count)| count).sum()
    }

    /// How many targets are in the frozen set: whoever is excluded has left it.
    pub fn frozen_set(&self) -> usize {
        (self.size - self.count(TargetState::Excluded).min(self.size)) as usize
    }

    /// How many failed targets are tolerated: the budget, or what must stay healthy if that leaves less room.
    pub fn failures_max(&self, plan: &Plan) -> usize {
        let fleet = self.frozen_set();
        plan.max_failures.budget_of(fleet).min(plan.min_healthy.room_of(fleet))
    }

    /// How many targets have an order out.
    pub fn in_flight(&self) -> u32 {
        self.counts.iter().filter(|(state, _)| state.is_in_flight()).map(|(_, count)| count).sum()
    }

    /// The gates that are asked now, with their keys.
    pub fn open_gates<'a>(&self, plan: &'a Plan) -> Vec<(String, &'a Gate)> {
        let Some(wave) = plan.waves.get(self.wave as usize) else { return Vec::new() };
        let (side, gates) = match self.phase {
            Phase::Entry => (Side::Before, &wave.before),
            Phase::Targets => return Vec::new(),
            Phase::Verification => (Side::After, &wave.after),
        };
        gates.iter().enumerate().map(|(index, gate)| (gate_key(self.wave, side, index), gate)).collect()
    }

    /// Whether something else was verified in its place since it was planned and not started. Then it most likely never starts: its
    /// targets are no longer as it found them.
    pub fn is_overtaken(&self, slot: &Slot) -> bool {
        self.state == State::Planned && slot.has_verified_after(self.created_at_ms, self.versions.keys())
    }

    /// What goes where: `ledger 1.2 → production`.
    pub fn title(&self) -> String {
        format!("{} {} → {}", self.application, self.version_line(), self.environment)
    }

    /// The versions in one line: `1.1` of a component called like its application, else `api 1.1, web 2.0`.
    pub fn version_line(&self) -> String {
        match self.versions.iter().collect::<Vec<_>>().as_slice() {
            [(name, version)] if **name == self.application => version.to_string(),
            several => several.iter().map(|(name, version)| format!("{name} {version}")).collect::<Vec<_>>().join(", "),
        }
    }
}

impl TargetProgress {
    fn new(target: &Name, wave: u32, now_ms: Millis) -> TargetProgress {
        TargetProgress {
            target: target.clone(),
            wave,
            state: TargetState::Pending,
            attempt: 0,
            ordered_at_ms: None,
            begun_at_ms: None,
            changed_at_ms: now_ms,
            start_at: 0,
            steps: Vec::new(),
            ran_before: Vec::new(),
            detail: None,
        }
    }

    /// Whether it fell silent in the middle of a try, so that what it last reported may be old.
    pub fn lost_sight(&self) -> bool {
        matches!(self.state, TargetState::TimedOut | TargetState::Unreachable)
    }

    /// The ticket of the current try, if there was one.
    pub fn attempt_id(&self, deployment: &Id) -> Option<AttemptId> {
        (self.attempt > 0).then(|| attempt_id(deployment, &self.target, self.attempt))
    }
}
