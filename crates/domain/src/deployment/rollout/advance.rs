//! `advance`: what is due? Never silent: something to do, something it waits on, or over.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::event::counted;
use super::{Deployment, DueProbe, Event, Ordered, Phase, State, TargetProgress, TargetState, Then};
use crate::Millis;
use crate::admission::{Kind, Reason};
use crate::deployment::order::{StepReport, StepState, attempt_id};
use crate::deployment::plan::{Plan, PlannedTarget, Purpose, Wave};
use crate::estate::AllAttested;
use crate::gate::{self, Gate, Verdict, WaitingOn};
use crate::ids::{Id, Name};
use crate::limits;

/// What is known to a deployment beside itself. The shell gathers it; nothing here asks for more.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// What stands against starting now; asked anew each time.
    pub admission: &'a [Reason],
    /// The fencing number it would get.
    pub generation_next: u64,
    /// What the targets of the current wave attest.
    pub attested: &'a AllAttested,
    /// A freeze that holds running work between waves.
    pub freeze: Option<&'a FreezeInForce>,
    /// How far the plan back is.
    pub fallback: Option<State>,
    /// Why the plan back may not be carried out, if it would bring what has been rejected since it was made.
    pub back_rejected: Option<&'a str>,
}

/// A freeze that is in force, without an exception for this deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreezeInForce {
    /// Which one.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// Its end.
    pub until_ms: Millis,
}

/// What is due.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// These things happen now.
    Do(Vec<Event>),
    /// Nothing is due yet.
    Wait(Waiting),
    /// Nothing will ever be.
    Over,
}

/// What a deployment waits on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// On what.
    pub on: WaitingOn,
    /// Until when, if time alone can lift it.
    pub until_ms: Option<Millis>,
    /// When to look again, whatever happens: a deadline, or the next measurement.
    pub look_at_ms: Option<Millis>,
}

impl Deployment {
    /// What is due now.
    pub fn advance(&self, plan: &Plan, evidence: &Evidence<'_>, now_ms: Millis) -> Next {
        match self.state {
            State::Planned => wait(WaitingOn::Request, None),
            State::AwaitingApproval | State::Scheduled | State::Queued => self.start(evidence, now_ms),
            State::Running | State::Baking | State::Paused => {
                self.drive(plan, evidence, now_ms).not_later_than(self.due_ms(plan))
            }
            State::Failing => self.wind_down(plan, evidence, now_ms),
            State::FallingBack => self.follow_fallback(evidence),
            State::Succeeded | State::Failed | State::FellBack | State::FallbackFailed | State::Cancelled | State::Expired => {
                Next::Over
            }
        }
    }

    /// The gates whose next measurement is due.
    pub fn due_probes<'a>(&self, plan: &'a Plan, now_ms: Millis) -> Vec<DueProbe<'a>> {
        if !matches!(self.state, State::Running | State::Baking) {
            return Vec::new();
        }
        let due = |(key, gate): &(String, &Gate)| self.probe_at(key, gate).is_some_and(|at_ms| at_ms <= now_ms);
        let open = self.open_gates(plan).into_iter().filter(due);
        let since_ms = |key: &String| self.gates.get(key).map_or(now_ms, |progress| progress.since_ms);
        open.map(|(key, gate)| DueProbe { since_ms: since_ms(&key), key, gate, wave: self.wave }).collect()
    }

    /// When a gate is to be measured next, if it is asked and measures.
    pub(super) fn probe_at(&self, key: &str, gate: &Gate) -> Option<Millis> {
        let interval_ms = i64::from(gate.interval_seconds()?) * 1_000;
        let progress = self.gates.get(key)?;
        let full = progress.measurements.len() >= limits::MEASUREMENTS_MAX;
        if progress.outcome.is_some() || full {
            return None;
        }
        Some(progress.measurements.last().map_or(progress.since_ms, |last| last.at_ms + interval_ms))
    }

    fn start(&self, evidence: &Evidence<'_>, now_ms: Millis) -> Next {
        if let Some(reason) = evidence.admission.iter().find(|reason| reason.kind == Kind::Never) {
            return Next::Do(vec![Event::Expired { reason: reason.text.clone() }]);
        }
        let (state, on, until_ms) = match (self.not_before_ms, evidence.admission) {
            (Some(at_ms), _) if at_ms > now_ms => (State::Scheduled, WaitingOn::Schedule, Some(at_ms)),
            (_, []) => return Next::Do(vec![Event::Started { generation: evidence.generation_next }]),
            (_, reasons) => {
                let approval = reasons.iter().any(|reason| reason.kind == Kind::Authorisation);
                let state = if approval { State::AwaitingApproval } else { State::Queued };
                // Time alone lifts it only if time alone lifts each of the reasons.
                let until_ms = reasons.iter().map(|reason| reason.until_ms).collect::<Option<Vec<_>>>();
                let until_ms = until_ms.and_then(|all| all.into_iter().max());
                let sentences = reasons.iter().map(|reason| reason.text.clone()).collect();
                (state, WaitingOn::Admission { reasons: sentences }, until_ms)
            }
        };
        if self.state == state && self.waiting.as_ref().is_some_and(|held| held.on == on) {
            return wait(on, until_ms);
        }
        let codes = evidence.admission.iter().map(|reason| reason.code.as_str().to_owned()).collect();
        Next::Do(vec![Event::Held { state, held: super::Held { on, since_ms: now_ms, until_ms }, codes }])
    }

    fn drive(&self, plan: &Plan, evidence: &Evidence<'_>, now_ms: Millis) -> Next {
        if let Some(events) = self.overdue(plan, now_ms) {
            return Next::Do(events);
        }
        if self.failures() as usize > self.failures_max(plan) {
            return Next::Do(vec![self.too_many_failures(plan)]);
        }
        if let Some(pause) = &self.pause {
            return hold(pause, evidence);
        }
        let Some(wave) = plan.waves.get(self.wave as usize) else {
            return Next::Do(vec![self.succeeded()]);
        };
        match self.phase {
            Phase::Entry => self.enter(plan, wave, evidence, now_ms),
            Phase::Targets => self.gather(plan, now_ms),
            Phase::Verification => self.verify(plan, now_ms),
        }
    }

    fn enter(&self, plan: &Plan, wave: &Wave, evidence: &Evidence<'_>, now_ms: Millis) -> Next {
        // Going back is exempt from freezes.
        if let (Some(freeze), Purpose::Forward) = (evidence.freeze, self.purpose) {
            let by = format!("freeze \"{}\"", freeze.name);
            return Next::Do(vec![Event::Paused {
                by,
                reason: "no further wave begins".into(),
                freeze: Some(freeze.id.clone()),
            }]);
        }
        match self.ask(plan, now_ms) {
            Asked::Next(next) => next,
            Asked::Passed(mut events) => {
                let begun = self.begin(plan, wave, evidence);
                match self.no_room_for(plan, &begun) {
                    // Of an earlier wave, trying again: it may yet make room.
                    Some(_) if self.in_flight() > 0 => return wait(WaitingOn::Targets { count: self.in_flight() }, None),
                    Some(reason) => events.push(self.failing(plan, reason)),
                    None => events.push(begun),
                }
                Next::Do(events)
            }
        }
    }

    /// Why a wave would leave too few targets healthy, if it would.
    fn no_room_for(&self, plan: &Plan, begun: &Event) -> Option<String> {
        let Event::WaveStarted { ordered, .. } = begun else { return None };
        let out = self.failures() + self.in_flight() + self.count(TargetState::Unknown);
        let (fleet, out) = (self.frozen_set(), out as usize);
        if ordered.is_empty() || out + ordered.len() <= plan.min_healthy.room_of(fleet) {
            return None;
        }
        let left = fleet.saturating_sub(out + ordered.len());
        let least = plan.min_healthy.minimum_of(fleet);
        let wave = self.wave + 1;
        Some(format!(
            "wave {wave} would leave {left} of {fleet} targets healthy, at least {least} asked; {}",
            self.first_failure()
        ))
    }

    fn begin(&self, plan: &Plan, wave: &Wave, evidence: &Evidence<'_>) -> Event {
        let (mut ordered, mut already_current) = (Vec::new(), Vec::new());
        for target in &wave.targets {
            match self.targets.get(&target.name) {
                // Excluded before its turn came.
                Some(progress) if progress.state != TargetState::Pending => {}
                Some(_) if plan.is_current(target, evidence.attested.get(&target.name).map(Arc::as_ref)) => {
                    already_current.push(target.name.clone());
                }
                Some(progress) => {
                    let attempt = attempt_id(&self.id, &target.name, progress.attempt + 1);
                    ordered.push(Ordered { target: target.name.clone(), attempt });
                }
                None => {}
            }
        }
        Event::WaveStarted { wave: self.wave, ordered, already_current }
    }

    fn gather(&self, plan: &Plan, now_ms: Millis) -> Next {
        // Of any wave: a target of an earlier one may be trying again.
        if self.in_flight() > 0 {
            let stalled_ms = self.stalls_at(plan);
            if let Some(seconds) = plan.progress_deadline_seconds.filter(|_| stalled_ms.is_some_and(|at_ms| at_ms <= now_ms)) {
                let waited = counted(self.in_flight() as usize, "target");
                return Next::Do(vec![self.failing(plan, format!("no target became healthy for {seconds} s; {waited} at work"))]);
            }
            return wait(WaitingOn::Targets { count: self.in_flight() }, None).not_later_than(stalled_ms);
        }
        if let Some(question) = self.asking() {
            return wait(question, None);
        }
        let good = |progress: &TargetProgress| matches!(progress.state, TargetState::Healthy | TargetState::AlreadyCurrent);
        let of_wave = || self.targets.values().filter(|progress| progress.wave == self.wave);
        let failed = of_wave().filter(|progress| progress.state.is_failure()).count() as u32;
        let healthy = of_wave().filter(|progress| good(progress)).count() as u32;
        // All failed within a generous budget is failure all the same: at least one success is required before it goes further.
        if failed > 0 && !self.targets.values().any(|progress| good(progress)) {
            let reason = format!("no target has succeeded by the end of wave {}; {}", self.wave + 1, self.first_failure());
            return Next::Do(vec![self.failing(plan, reason)]);
        }
        Next::Do(vec![Event::WaveHealthy { wave: self.wave, healthy, failed }])
    }

    fn verify(&self, plan: &Plan, now_ms: Millis) -> Next {
        let mut events = match self.ask(plan, now_ms) {
            Asked::Next(next) => return next,
            Asked::Passed(events) => events,
        };
        if self.wave + 1 < self.waves {
            events.push(Event::WaveCompleted { wave: self.wave });
            return Next::Do(events);
        }
        let missing: Vec<Name> =
            self.targets.values().filter(|progress| !progress.state.is_good()).map(|progress| progress.target.clone()).collect();
        if missing.is_empty() {
            events.push(self.succeeded());
        } else if events.is_empty() {
            // Succeeded means every target; what the budget forgave must be made good or taken out by a person.
            let question = "try again, or exclude? Success means every target of the frozen set".into();
            return wait(self.asking().unwrap_or(WaitingOn::Answer { targets: missing, question }), None);
        }
        Next::Do(events)
    }

    /// When the targets at work have made no progress for too long; never while somebody has to answer.
    fn stalls_at(&self, plan: &Plan) -> Option<Millis> {
        let deadline_ms = i64::from(plan.progress_deadline_seconds?) * 1_000;
        self.progress_at_ms.filter(|_| self.count(TargetState::Unknown) == 0).map(|since_ms| since_ms + deadline_ms)
    }

    /// Without a target that has the package it is a success all the same, and says so.
    fn succeeded(&self) -> Event {
        Event::Succeeded { empty: self.count(TargetState::Healthy) + self.count(TargetState::AlreadyCurrent) == 0 }
    }

    /// Asks the open gates. They close together, so that a metric is watched for as long as its bake lasts.
    fn ask(&self, plan: &Plan, now_ms: Millis) -> Asked {
        let gates = self.open_gates(plan);
        let unopened: Vec<Event> = gates
            .iter()
            .filter(|(key, _)| !self.gates.contains_key(key))
            .map(|(key, gate)| Event::GateOpened { gate: key.clone(), name: gate.name() })
            .collect();
        if !unopened.is_empty() {
            return Asked::Next(Next::Do(unopened));
        }
        let asked: Vec<_> = gates.iter().filter_map(|(key, gate)| Some((key, *gate, self.evidence_for(plan, key)?))).collect();
        let decided = |key: &String| self.gates.get(key).is_some_and(|progress| progress.outcome.is_some());
        if let Some(reason) = blind(&asked, decided) {
            return Asked::Next(Next::Do(vec![self.failing(plan, reason)]));
        }
        let (mut closing, mut held) = (Vec::new(), None);
        let mut look_at_ms = gates.iter().filter_map(|(key, gate)| self.probe_at(key, gate)).min();
        for (key, gate, evidence) in asked.iter().filter(|(key, ..)| !decided(key)) {
            let close =
                |passed, sentence| Event::GateClosed { gate: (*key).clone(), name: gate.name(), passed, sentence, by: None };
            match gate.verdict(evidence, now_ms) {
                Verdict::Pass(sentence) => closing.push(close(true, sentence)),
                Verdict::Fail(sentence) => {
                    let failing = self.failing(plan, sentence.clone());
                    return Asked::Next(Next::Do(vec![close(false, sentence), failing]));
                }
                Verdict::Hold { waiting_on, until_ms } => {
                    look_at_ms = look_at_ms.into_iter().chain(until_ms).min();
                    held = held.or(Some((waiting_on, until_ms)));
                }
            }
        }
        match held {
            None => Asked::Passed(closing),
            Some((on, until_ms)) => Asked::Next(Next::Wait(Waiting { on, until_ms, look_at_ms })),
        }
    }

    /// What a gate that is asked now is told; nothing if it is not asked.
    pub fn evidence_for(&self, plan: &Plan, key: &str) -> Option<gate::Evidence<'_>> {
        let beside = self.open_gates(plan);
        beside.iter().find(|(open, _)| open == key)?;
        let measured = beside.iter().filter_map(|(key, _)| self.gates.get(key)).flat_map(|gate| &gate.measurements);
        let samples = measured.map(|measurement| measurement.samples).max().unwrap_or(0);
        let progress = self.gates.get(key)?;
        let (since_ms, approvals, measurements) = (progress.since_ms, &progress.approvals, &progress.measurements);
        Some(gate::Evidence { since_ms, approvals, measurements, samples })
    }

    /// Targets that did not answer, or did not end, in time.
    fn overdue(&self, plan: &Plan, now_ms: Millis) -> Option<Vec<Event>> {
        if self.in_flight() == 0 {
            return None;
        }
        let late = |state: TargetState| -> Vec<Name> {
            let late = |progress: &&Arc<TargetProgress>| {
                progress.state == state && due_by(plan, progress).is_some_and(|due_ms| due_ms <= now_ms)
            };
            self.targets.values().filter(late).map(|progress| progress.target.clone()).collect()
        };
        let mut events = Vec::new();
        let silent = late(TargetState::Ordered);
        if !silent.is_empty() {
            let detail = format!("no answer within {} s", plan.unreachable_after_seconds);
            events.push(Event::TargetsOverdue { targets: silent, state: TargetState::Unreachable, detail });
        }
        let slow = late(TargetState::InProgress);
        if !slow.is_empty() {
            let detail = format!("not done within {} s", plan.attempt_seconds());
            events.push(Event::TargetsOverdue { targets: slow, state: TargetState::TimedOut, detail });
        }
        (!events.is_empty()).then_some(events)
    }

    /// When the first of the targets in flight is overdue.
    fn due_ms(&self, plan: &Plan) -> Option<Millis> {
        self.targets.values().filter_map(|progress| due_by(plan, progress)).min()
    }

    fn too_many_failures(&self, plan: &Plan) -> Event {
        let failed = counted(self.failures() as usize, "target");
        let reason = format!("{failed} failed, {} tolerated; {}", self.failures_max(plan), self.first_failure());
        self.failing(plan, reason)
    }

    fn failing(&self, plan: &Plan, reason: String) -> Event {
        let then = match (plan.on_failure, self.purpose) {
            (crate::deployment::strategy::OnFailure::FallBack, Purpose::Forward) => Then::FallBack,
            (crate::deployment::strategy::OnFailure::Stop, _) | (_, Purpose::Fallback) => Then::Fail,
        };
        Event::Failing { reason, then, by: None }
    }

    fn first_failure(&self) -> String {
        let failed =
            self.targets.values().filter(|progress| progress.state.is_failure()).min_by_key(|progress| progress.changed_at_ms);
        failed.map_or_else(String::new, |progress| match &progress.detail {
            Some(detail) => format!("{}: {detail}", progress.target),
            None => format!("{} {}", progress.target, progress.state.phrase()),
        })
    }

    /// The question about targets whose step may or may not have run, if there are any.
    fn asking(&self) -> Option<WaitingOn> {
        let unknown = || self.targets.values().filter(|progress| progress.state == TargetState::Unknown);
        let targets: Vec<Name> = unknown().map(|progress| progress.target.clone()).collect();
        let step = unknown().flat_map(|progress| &progress.steps).find(|step| step.state == StepState::Unknown);
        let step = step.map_or("a step".to_owned(), |step| format!("step \"{}\"", step.name));
        let question = format!("did {step} run? It must not run twice");
        (!targets.is_empty()).then_some(WaitingOn::Answer { targets, question })
    }

    fn wind_down(&self, plan: &Plan, evidence: &Evidence<'_>, now_ms: Millis) -> Next {
        if let Some(events) = self.overdue(plan, now_ms) {
            return Next::Do(events);
        }
        if self.in_flight() > 0 {
            return wait(WaitingOn::Targets { count: self.in_flight() }, None).not_later_than(self.due_ms(plan));
        }
        let (reason, then) = self.failure.as_ref().map_or(("", Then::Fail), |failure| (failure.reason.as_str(), failure.then));
        let untouched = self.targets.values().all(|progress| progress.attempt == 0);
        let irreversible = (then == Then::FallBack).then(|| self.passed_irreversible(plan)).flatten();
        match (then, &self.fallback_plan, irreversible) {
            (Then::Cancel, _, _) => Next::Do(vec![Event::Cancelled {
                by: self.failure.as_ref().and_then(|failure| failure.by.clone()).unwrap_or_default(),
                reason: String::new(),
            }]),
            (Then::Fail, _, _) | (_, None, _) => Next::Do(vec![Event::Failed { reason: reason.to_owned() }]),
            (Then::FallBack | Then::FallBackAnyway, Some(_), _) if untouched || self.fallback.is_some() => {
                Next::Do(vec![Event::Failed { reason: reason.to_owned() }])
            }
            // No path deploys what was rejected, the way back neither.
            (Then::FallBack | Then::FallBackAnyway, Some(_), _) if evidence.back_rejected.is_some() => {
                let why = evidence.back_rejected.unwrap_or_default();
                Next::Do(vec![Event::Failed { reason: format!("{reason}; there is no way back, as it would bring {why}") }])
            }
            (Then::FallBack | Then::FallBackAnyway, Some(_), Some((target, step))) => {
                let question = format!("{step} and cannot be taken back; fall back all the same, or stop here?");
                wait(WaitingOn::Answer { targets: vec![target], question }, None)
            }
            (Then::FallBack | Then::FallBackAnyway, Some(_), None) => {
                Next::Do(vec![Event::FallbackStarted { deployment: self.fallback_id() }])
            }
        }
    }

    /// The first target on which a step marked irreversible began, or may have, and what is known of it.
    fn passed_irreversible(&self, plan: &Plan) -> Option<(Name, String)> {
        let planned: BTreeMap<&Name, &PlannedTarget> = plan.targets().map(|(_, target)| (&target.name, target)).collect();
        self.targets.values().find_map(|progress| {
            let target = planned.get(&progress.target)?;
            let marked = plan.steps_of(target).filter(|(_, step)| step.irreversible);
            let found = marked.into_iter().find_map(|(component, step)| {
                let same = |it: &&StepReport| it.component == *component && it.name == step.name;
                let began = progress.ran_before.iter().chain(&progress.steps).filter(same).any(StepReport::began);
                match (began, progress.lost_sight()) {
                    (true, _) => Some(format!("step \"{}\" began", step.name)),
                    // Whoever fell silent may have gone on.
                    (false, true) => Some(format!("step \"{}\" may have begun", step.name)),
                    (false, false) => None,
                }
            });
            found.map(|what| (progress.target.clone(), what))
        })
    }

    fn follow_fallback(&self, evidence: &Evidence<'_>) -> Next {
        match evidence.fallback {
            Some(State::Succeeded) => Next::Do(vec![Event::FellBack]),
            Some(state) if state.is_terminal() => {
                Next::Do(vec![Event::FallbackFailed { reason: format!("the plan back {}", state.phrase()) }])
            }
            Some(_) | None => wait(WaitingOn::Fallback { deployment: self.fallback_id() }, None),
        }
    }
}

impl Next {
    /// The same, looked at again by then at the latest.
    fn not_later_than(self, due_ms: Option<Millis>) -> Next {
        match self {
            Next::Wait(waiting) => {
                let look_at_ms = waiting.look_at_ms.into_iter().chain(due_ms).min();
                Next::Wait(Waiting { look_at_ms, ..waiting })
            }
            Next::Do(_) | Next::Over => self,
        }
    }
}

enum Asked {
    Next(Next),
    Passed(Vec<Event>),
}

/// Where half or more of several metrics have no data, nobody can say that all is well. A metric that stands alone is judged by
/// what it says itself about having no data, and one that a person has decided over is not blind.
fn blind(asked: &[(&String, &Gate, gate::Evidence<'_>)], decided: impl Fn(&String) -> bool) -> Option<String> {
    let metric = |(key, gate, evidence): &(&String, &Gate, gate::Evidence<'_>)| {
        Some((gate.name(), gate.is_blind(evidence)? && !decided(key)))
    };
    let metrics: Vec<(String, bool)> = asked.iter().filter_map(metric).collect();
    let blind: Vec<&str> = metrics.iter().filter(|(_, blind)| *blind).map(|(name, _)| name.as_str()).collect();
    let too_many = metrics.len() > 1 && blind.len() * 2 >= metrics.len();
    too_many.then(|| format!("{} of {} metrics have no data: {}", blind.len(), metrics.len(), blind.join(", ")))
}

fn wait(on: WaitingOn, until_ms: Option<Millis>) -> Next {
    Next::Wait(Waiting { on, until_ms, look_at_ms: until_ms })
}

/// When a target in flight is overdue.
fn due_by(plan: &Plan, progress: &TargetProgress) -> Option<Millis> {
    match progress.state {
        TargetState::Ordered => progress.ordered_at_ms.map(|at_ms| at_ms + i64::from(plan.unreachable_after_seconds) * 1_000),
        TargetState::InProgress => progress.begun_at_ms.map(|at_ms| at_ms + plan.attempt_seconds() * 1_000),
        TargetState::Pending
        | TargetState::Healthy
        | TargetState::Failed
        | TargetState::TimedOut
        | TargetState::Unreachable
        | TargetState::Excluded
        | TargetState::AlreadyCurrent
        | TargetState::Cancelled
        | TargetState::Unknown => None,
    }
}

fn hold(pause: &super::Pause, evidence: &Evidence<'_>) -> Next {
    match (&pause.freeze, evidence.freeze) {
        (Some(_), None) => Next::Do(vec![Event::Resumed { by: "the end of the freeze, or an exception".into() }]),
        (Some(_), Some(freeze)) => {
            let on = WaitingOn::Freeze { freeze: freeze.id.clone(), name: freeze.name.clone() };
            wait(on, Some(freeze.until_ms))
        }
        (None, _) => wait(WaitingOn::Resume { by: pause.by.clone(), reason: pause.reason.clone() }, None),
    }
}
