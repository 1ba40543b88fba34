//! `decide`: may this be? A person's wish, an agent's report or a probe's reading becomes events, or a refusal.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Deployment, Event, Phase, State, TargetProgress, TargetState, Then};
use crate::Millis;
use crate::deployment::order::{Outcome, Report, StepReport, StepState, attempt_id};
use crate::deployment::plan::Plan;
use crate::estate::Class;
use crate::gate::{Gate, Reading, measurement};
use crate::ids::{Id, Name};
use crate::limits;
use crate::refusal::{Code, Refusal};

/// What somebody asks of a deployment.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "`by` is the person, `reason` their words, the rest names the thing")]
pub enum Command {
    /// Let a change authorise it.
    AttachChange { change: Id },
    /// Start when admitted, not before the time if one is given.
    Start { by: String, not_before_ms: Option<Millis> },
    /// Say yes at an approval gate.
    ApproveGate { gate: String, by: Name },
    /// Let a gate pass by a person's decision.
    OverrideGate { gate: String, by: String, reason: String },
    /// Give no more orders for now.
    Pause { by: String, reason: String },
    /// Go on.
    Resume { by: String },
    /// End it; then go back or leave it. Always works while it is under way.
    Stop { by: String, reason: String, then: Then },
    /// Go back by the plan back, also after the end.
    FallBack { by: String, reason: String },
    /// Give a failed target another try.
    Retry { target: Name, by: String, reason: String },
    /// Take a target out of the frozen set.
    Exclude { target: Name, by: String, reason: String },
    /// Say what became of an uncertain step.
    Answer { target: Name, answer: Answer, by: String },
    /// A target's answer.
    Report(Box<Report>),
    /// A probe's reading for a gate, which has been asked since then.
    Measured { gate: String, since_ms: Millis, reading: Reading },
}

/// What a person says of a step that may or may not have run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It ran: go on with the next step.
    Ran,
    /// It did not run: run it.
    RunAgain,
    /// Count the target as failed.
    Failed,
}

impl Deployment {
    /// What a command leads to.
    ///
    /// No event means that the command is no news: a repeated report, or a reading that came too late.
    ///
    /// # Errors
    ///
    /// [`Code::StateForbids`], [`Code::NotFound`], [`Code::AlreadyVoted`], [`Code::Irreversible`] or [`Code::Malformed`].
    pub fn decide(&self, plan: &Plan, command: &Command, now_ms: Millis) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::AttachChange { change } => self.decide_attach(change),
            Command::Start { by, not_before_ms } => self.decide_start(by, *not_before_ms),
            Command::ApproveGate { gate, by } => self.decide_approval(plan, gate, by),
            Command::OverrideGate { gate, by, reason } => self.decide_override(plan, gate, by, reason),
            Command::Pause { by, reason } => self.decide_pause(by, reason),
            Command::Resume { by } => self.decide_resume(by),
            Command::Stop { by, reason, then } => self.decide_stop(by, reason, *then),
            Command::FallBack { by, reason } => self.decide_fall_back(by, reason),
            Command::Retry { target, by, reason } => self.decide_retry(plan, target, by, reason),
            Command::Exclude { target, by, reason } => self.decide_exclude(target, by, reason),
            Command::Answer { target, answer, by } => self.decide_answer(plan, target, *answer, by),
            Command::Report(report) => Ok(self.decide_report(plan, report)),
            Command::Measured { gate, since_ms, reading } => Ok(self.decide_measured(plan, (gate, *since_ms), reading, now_ms)),
        }
    }

    fn decide_attach(&self, change: &Id) -> Result<Vec<Event>, Refusal> {
        if self.state != State::Planned && !self.state.is_waiting_to_start() {
            return Err(self.forbids("get another change", "plan a new deployment"));
        }
        let known = self.change.as_ref() == Some(change);
        Ok(if known { Vec::new() } else { vec![Event::ChangeAttached { change: change.clone() }] })
    }

    fn decide_start(&self, by: &str, not_before_ms: Option<Millis>) -> Result<Vec<Event>, Refusal> {
        match self.state {
            State::Planned => Ok(vec![Event::StartRequested { by: by.to_owned(), not_before_ms }]),
            State::AwaitingApproval
            | State::Scheduled
            | State::Queued
            | State::Running
            | State::Paused
            | State::Baking
            | State::Failing
            | State::FallingBack
            | State::Succeeded
            | State::Failed
            | State::FellBack
            | State::FallbackFailed
            | State::Cancelled
            | State::Expired => Err(self.forbids("start", "plan a new deployment")),
        }
    }

    fn decide_approval(&self, plan: &Plan, gate: &str, by: &Name) -> Result<Vec<Event>, Refusal> {
        match self.open_gate(plan, gate)? {
            Gate::Approval(_) if self.gates.get(gate).is_some_and(|it| it.approvals.contains(by)) => {
                Err(Refusal::new(Code::AlreadyVoted, format!("{by} has said yes here already"), "somebody else has to"))
            }
            Gate::Approval(_) => Ok(vec![Event::GateApproved { gate: gate.to_owned(), by: by.clone() }]),
            Gate::Bake(_) | Gate::Check(_) | Gate::Metric(_) | Gate::Window(_) => {
                Err(Refusal::new(Code::Malformed, format!("gate {gate} asks for no approval"), "override it, with a reason"))
            }
        }
    }

    fn decide_override(&self, plan: &Plan, gate: &str, by: &str, reason: &str) -> Result<Vec<Event>, Refusal> {
        let name = self.open_gate(plan, gate)?.name();
        reasoned(reason)?;
        let sentence = format!("decided by {by}: {reason}");
        Ok(vec![Event::GateClosed { gate: gate.to_owned(), name, passed: true, sentence, by: Some(by.to_owned()) }])
    }

    fn open_gate<'a>(&self, plan: &'a Plan, key: &str) -> Result<&'a Gate, Refusal> {
        let moving = matches!(self.state, State::Running | State::Baking | State::Paused);
        let found = self.open_gates(plan).into_iter().find(|(open, _)| moving && open == key).map(|(_, gate)| gate);
        let decided = self.gates.get(key).is_some_and(|gate| gate.outcome.is_some());
        found.filter(|_| !decided).ok_or_else(|| {
            let open: Vec<String> = self.open_gates(plan).into_iter().map(|(key, _)| key).collect();
            let remedy = if open.is_empty() { "no gate is asked now".into() } else { format!("asked now: {}", open.join(", ")) };
            Refusal::new(Code::StateForbids, format!("gate {} is not asked now", crate::ids::clip(key)), remedy)
        })
    }

    fn decide_pause(&self, by: &str, reason: &str) -> Result<Vec<Event>, Refusal> {
        // A person's pause may replace that of a freeze, so that the end of the freeze does not resume it.
        let by_freeze = self.pause.as_ref().is_some_and(|pause| pause.freeze.is_some());
        if matches!(self.state, State::Running | State::Baking) || (self.state == State::Paused && by_freeze) {
            return Ok(vec![Event::Paused { by: by.to_owned(), reason: reason.to_owned(), freeze: None }]);
        }
        Err(self.forbids("be paused", "only a running deployment can be"))
    }

    fn decide_resume(&self, by: &str) -> Result<Vec<Event>, Refusal> {
        match (&self.pause, self.state) {
            (Some(pause), State::Paused) if pause.freeze.is_some() => {
                Err(self.forbids("be resumed during a freeze", "get an exception approved, or wait for its end"))
            }
            (Some(_), State::Paused) => Ok(vec![Event::Resumed { by: by.to_owned() }]),
            _ => Err(self.forbids("be resumed", "only a paused deployment can be")),
        }
    }

    fn decide_stop(&self, by: &str, reason: &str, then: Then) -> Result<Vec<Event>, Refusal> {
        if self.state.is_terminal() {
            return Err(self.forbids("be stopped", "it is over already; fall back if that is what you want"));
        }
        if matches!(self.state, State::Planned) || self.state.is_waiting_to_start() {
            return Ok(vec![Event::Cancelled { by: by.to_owned(), reason: reason.to_owned() }]);
        }
        let then = if then == Then::FallBack { Then::FallBackAnyway } else { then };
        if self.state == State::FallingBack {
            return Err(self.forbids("be stopped", "stop the deployment that takes it back"));
        }
        Ok(vec![Event::Failing { reason: reason.to_owned(), then, by: Some(by.to_owned()) }])
    }

    fn decide_fall_back(&self, by: &str, reason: &str) -> Result<Vec<Event>, Refusal> {
        if self.fallback_plan.is_none() {
            return Err(Refusal::new(
                Code::NothingToDo,
                format!("{} has no plan back", self.id),
                "deploy a known good version as a new deployment",
            ));
        }
        let after_the_end =
            matches!(self.state, State::Succeeded | State::Failed | State::Cancelled) && self.started_at_ms.is_some();
        if !(after_the_end || self.state.holds_slot()) || self.fallback.is_some() {
            return Err(self.forbids("fall back", "it must have started, and not have fallen back before"));
        }
        if self.targets.values().all(|progress| progress.attempt == 0) {
            let what = format!("{} has not touched any target", self.id);
            return Err(Refusal::new(Code::NothingToDo, what, "stop it, if it is still under way"));
        }
        reasoned(reason)?;
        Ok(vec![Event::Failing { reason: reason.to_owned(), then: Then::FallBackAnyway, by: Some(by.to_owned()) }])
    }

    fn decide_retry(&self, plan: &Plan, target: &Name, by: &str, reason: &str) -> Result<Vec<Event>, Refusal> {
        let progress = self.changeable(target)?;
        match progress.state {
            TargetState::Unknown => Err(ask_first(progress)),
            TargetState::Failed | TargetState::TimedOut | TargetState::Unreachable | TargetState::Cancelled => {
                if uncertain_step(plan, progress).is_some() {
                    return Err(ask_first(progress));
                }
                self.not_frozen()?;
                Ok(vec![self.retry(progress, resume_at(plan, progress), by, reason)])
            }
            TargetState::Pending
            | TargetState::Ordered
            | TargetState::InProgress
            | TargetState::Healthy
            | TargetState::Excluded
            | TargetState::AlreadyCurrent => Err(not_now(progress, "try again", "only a target that failed can")),
        }
    }

    /// A freeze that holds the deployment lets no new order out, a person's neither.
    fn not_frozen(&self) -> Result<(), Refusal> {
        match &self.pause {
            Some(pause) if pause.freeze.is_some() => {
                Err(self.forbids("give orders during a freeze", "get an exception approved, or wait for its end"))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn retry(&self, progress: &TargetProgress, start_at: usize, by: &str, reason: &str) -> Event {
        Event::TargetRetried {
            target: progress.target.clone(),
            attempt: attempt_id(&self.id, &progress.target, progress.attempt + 1),
            start_at,
            by: by.to_owned(),
            reason: reason.to_owned(),
        }
    }

    fn decide_exclude(&self, target: &Name, by: &str, reason: &str) -> Result<Vec<Event>, Refusal> {
        reasoned(reason)?;
        let progress = self.changeable(target)?;
        if progress.state.is_in_flight() || progress.state.is_good() {
            let remedy = "wait for its end; a target that is well needs no exclusion";
            return Err(not_now(progress, "be excluded", remedy));
        }
        Ok(vec![Event::TargetExcluded { target: target.clone(), by: by.to_owned(), reason: reason.to_owned() }])
    }

    fn decide_answer(&self, plan: &Plan, target: &Name, answer: Answer, by: &str) -> Result<Vec<Event>, Refusal> {
        let progress = self.changeable(target)?;
        let asked = progress.state == TargetState::Unknown || progress.state.is_failure();
        let (start_at, reason) = match (answer, uncertain_step(plan, progress).filter(|_| asked)) {
            (Answer::Failed, _) if progress.state == TargetState::Unknown => {
                return Ok(vec![Event::TargetFailed { target: target.clone(), by: by.to_owned() }]);
            }
            (Answer::Ran, Some(step)) => (step.index.saturating_add(1), format!("step \"{}\" has run", step.name)),
            (Answer::RunAgain, Some(step)) => (step.index, format!("step \"{}\" has not run", step.name)),
            (Answer::Ran | Answer::RunAgain, None) => {
                return Err(not_now(progress, "be answered for", "no step of it is in doubt"));
            }
            (Answer::Failed, _) => {
                return Err(not_now(progress, "be declared failed", "it asks no question; retry or exclude it"));
            }
        };
        self.not_frozen()?;
        Ok(vec![self.retry(progress, start_at, by, &reason)])
    }

    /// The target, if a person may still change its way.
    fn changeable(&self, target: &Name) -> Result<&TargetProgress, Refusal> {
        if !matches!(self.state, State::Running | State::Paused | State::Baking) {
            return Err(self.forbids("change a target's way", "that is possible while it is running, baking or paused"));
        }
        self.targets.get(target).map(Arc::as_ref).ok_or_else(|| Refusal::not_found("target in this deployment", target))
    }

    fn decide_report(&self, plan: &Plan, report: &Report) -> Vec<Event> {
        let Some(progress) = self.reported(report) else { return Vec::new() };
        let (state, detail) = self.meaning(plan, progress, report);
        // What the agent repeats until it hears us is no news.
        if state == progress.state && (state != TargetState::InProgress || !goes_on(&progress.steps, &report.steps)) {
            return Vec::new();
        }
        vec![Event::TargetReported {
            target: progress.target.clone(),
            attempt: report.attempt.clone(),
            state,
            steps: report.steps.clone(),
            detail,
        }]
    }

    /// The target that a report is about, unless the report is about an earlier try or comes after a final one.
    fn reported(&self, report: &Report) -> Option<&TargetProgress> {
        let target = Name::parse(report.attempt.split(':').nth(1)?).ok()?;
        let progress = self.targets.get(&target)?;
        let current = progress.attempt_id(&self.id).is_some_and(|attempt| attempt == report.attempt);
        let open = match progress.state {
            TargetState::Ordered | TargetState::InProgress => true,
            // Good news may come late: the target did it after all.
            TargetState::TimedOut | TargetState::Unreachable => report.outcome.is_final(),
            TargetState::Pending
            | TargetState::Healthy
            | TargetState::Failed
            | TargetState::Excluded
            | TargetState::AlreadyCurrent
            | TargetState::Cancelled
            | TargetState::Unknown => false,
        };
        (current && open && self.speaks_of(report) && !self.state.is_terminal()).then_some(progress)
    }

    /// Whether a report is of this deployment's generation. An agent that was told to end an attempt before it heard of its order
    /// knows no generation.
    fn speaks_of(&self, report: &Report) -> bool {
        report.generation == self.generation || (report.generation == 0 && report.outcome == Outcome::Cancelled)
    }

    fn meaning(&self, plan: &Plan, progress: &TargetProgress, report: &Report) -> (TargetState, Option<String>) {
        let told = report.detail.clone();
        match report.outcome {
            Outcome::InProgress => (TargetState::InProgress, told),
            Outcome::Healthy => {
                let planned = plan.target(progress.wave, &progress.target);
                if planned.is_some_and(|target| plan.is_current(target, Some(&report.attested))) {
                    (TargetState::Healthy, told)
                } else {
                    (TargetState::Failed, Some("it says it is healthy but attests another package than the plan's".into()))
                }
            }
            Outcome::Failed | Outcome::Refused => (TargetState::Failed, told),
            Outcome::TimedOut => (TargetState::TimedOut, told),
            Outcome::Cancelled if self.state == State::Failing => (TargetState::Cancelled, told),
            Outcome::Cancelled => (TargetState::Failed, Some(told.unwrap_or_else(|| "ended on the target".into()))),
            Outcome::Unknown => (TargetState::Unknown, told),
        }
    }

    fn decide_measured(&self, plan: &Plan, (gate, since_ms): (&str, Millis), reading: &Reading, now_ms: Millis) -> Vec<Event> {
        let moving = matches!(self.state, State::Running | State::Baking) && self.phase != Phase::Targets;
        let open = self.open_gates(plan).into_iter().find(|(key, _)| moving && key == gate);
        let Some(((_, asked), progress)) = open.zip(self.gates.get(gate)) else { return Vec::new() };
        // A reading that is not due yet is one that came twice; one that was begun before the gate was asked anew is of another wave.
        if progress.since_ms != since_ms || self.probe_at(gate, asked).is_none_or(|due_ms| now_ms < due_ms) {
            return Vec::new();
        }
        let judged = asked.judge(&progress.counted, reading, now_ms);
        let read = if let Reading::Counters(read) = reading { measurement::numbers(read) } else { BTreeMap::new() };
        judged.map(|measurement| Event::Measured { gate: gate.to_owned(), measurement, read }).into_iter().collect()
    }

    fn forbids(&self, command: &str, remedy: &str) -> Refusal {
        Refusal::new(Code::StateForbids, format!("{} {} and cannot {command}", self.id, self.state.phrase()), remedy)
    }

    /// The fallback's id, which is also how often there can be one.
    pub fn fallback_id(&self) -> Id {
        self.id.fallback()
    }
}

/// The step of a target of which nobody knows whether it ran, and that must not run twice.
fn uncertain_step<'a>(plan: &Plan, progress: &'a TargetProgress) -> Option<&'a StepReport> {
    progress.steps.iter().find(|step| match step.state {
        StepState::Unknown => true,
        // Last seen running on a target that fell silent.
        StepState::Starting | StepState::Running => progress.lost_sight() && runs_once(plan, progress, step),
        StepState::Succeeded
        | StepState::Failed
        | StepState::Errored
        | StepState::TimedOut
        | StepState::Cancelled
        | StepState::Skipped => false,
    })
}

/// Where another try begins: at the beginning, or behind the last step that has run and must not run twice.
fn resume_at(plan: &Plan, progress: &TargetProgress) -> usize {
    let done = progress.steps.iter().filter(|step| step.state == StepState::Succeeded && runs_once(plan, progress, step));
    done.map(|step| step.index.saturating_add(1)).chain([progress.start_at]).max().unwrap_or(0)
}

/// Whether a step must not run twice, by the class that the plan declares.
fn runs_once(plan: &Plan, progress: &TargetProgress, report: &StepReport) -> bool {
    let target = plan.targets().map(|(_, target)| target).find(|target| target.name == progress.target);
    let step = target.and_then(|target| plan.steps_of(target).nth(report.index));
    step.is_some_and(|(_, step)| step.class() != Class::Idempotent)
}

fn not_now(progress: &TargetProgress, command: &str, remedy: &str) -> Refusal {
    Refusal::new(Code::StateForbids, format!("{} {} and cannot {command}", progress.target, progress.state.phrase()), remedy)
}

/// Whether steps as reported are further than those known; reports may overtake each other.
fn goes_on(known: &[StepReport], reported: &[StepReport]) -> bool {
    let open = |step: &StepReport| matches!(step.state, StepState::Starting | StepState::Running);
    let kept = known.iter().zip(reported).all(|(before, now)| before.index == now.index && (open(before) || !open(now)));
    reported != known && kept && reported.len() >= known.len()
}

fn ask_first(progress: &TargetProgress) -> Refusal {
    let what = format!("{} has a step that may have run", progress.target);
    Refusal::new(Code::StateForbids, what, "answer whether it ran (ran, run_again or failed), or exclude the target")
}

fn reasoned(reason: &str) -> Result<(), Refusal> {
    match reason.trim().len() {
        0 => Err(Refusal::new(Code::Malformed, "there is no reason", "say why; it is kept in the history").at("reason")),
        _ if reason.chars().count() > limits::TEXT_CHARS_MAX => {
            let remedy = format!("use at most {} characters", limits::TEXT_CHARS_MAX);
            Err(Refusal::new(Code::TooLarge, "the reason is too long", remedy).at("reason"))
        }
        _ => Ok(()),
    }
}
