//! What happens to a deployment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Held, State, TargetState, Then};
use crate::Millis;
use crate::deployment::order::{AttemptId, StepReport};
use crate::gate::{Counters, Measurement, Status};
use crate::ids::{Digest, Id, Name, Version};
use crate::record::DeploymentRecord;

/// An order given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    /// To whom.
    pub target: Name,
    /// Its ticket.
    pub attempt: AttemptId,
}

/// An event in the stream of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields are those of the deployment; each variant says what happened")]
pub enum Event {
    /// The plan stands.
    Planned { plan: Digest, fallback_plan: Option<Digest>, versions: BTreeMap<Name, Version>, targets: u32, waves: u32 },
    /// A change that is to authorise it was attached.
    ChangeAttached { change: Id },
    /// Somebody asked to start it.
    StartRequested { by: String, not_before_ms: Option<Millis> },
    /// It waits to start, and on what.
    Held { state: State, held: Held, codes: Vec<String> },
    /// It was admitted and holds its place.
    Started { generation: u64 },
    /// It can never start.
    Expired { reason: String },
    /// A gate was asked for the first time.
    GateOpened { gate: String, name: String },
    /// A person said yes at a gate.
    GateApproved { gate: String, by: Name },
    /// A gate measured.
    Measured {
        gate: String,
        measurement: Measurement,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        read: BTreeMap<String, Counters>,
    },
    /// A gate gave its final answer.
    GateClosed {
        gate: String,
        name: String,
        passed: bool,
        sentence: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// A wave began: orders are out, and some targets had nothing to do.
    WaveStarted { wave: u32, ordered: Vec<Ordered>, already_current: Vec<Name> },
    /// A target answered.
    TargetReported { target: Name, attempt: AttemptId, state: TargetState, steps: Vec<StepReport>, detail: Option<String> },
    /// Targets did not answer, or did not end, in time.
    TargetsOverdue { targets: Vec<Name>, state: TargetState, detail: String },
    /// Every target of a wave is where it should be, within the budget; the gates after it open.
    WaveHealthy { wave: u32, healthy: u32, failed: u32 },
    /// A wave and its gates are done; the next one is asked.
    WaveCompleted { wave: u32 },
    /// It holds.
    Paused { by: String, reason: String, freeze: Option<Id> },
    /// It goes on.
    Resumed { by: String },
    /// A target gets another try.
    TargetRetried { target: Name, attempt: AttemptId, start_at: usize, by: String, reason: String },
    /// A target left the frozen set.
    TargetExcluded { target: Name, by: String, reason: String },
    /// A person said that a target's uncertain step counts as failed.
    TargetFailed { target: Name, by: String },
    /// It failed or was stopped; no more orders.
    Failing { reason: String, then: Then, by: Option<String> },
    /// The plan back starts.
    FallbackStarted { deployment: Id },
    /// The plan back has ended well.
    FellBack,
    /// The plan back has ended badly.
    FallbackFailed { reason: String },
    /// Every target of the frozen set has the package.
    Succeeded { empty: bool },
    /// It ended short of that.
    Failed { reason: String },
    /// It was stopped.
    Cancelled {
        by: String,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// It was carried out elsewhere.
    Recorded { source: String, record: Box<DeploymentRecord> },
}

/// That somebody stopped it, and why if that was said.
pub(super) fn cancelled(by: &str, reason: &str) -> String {
    if reason.is_empty() { format!("cancelled by {by}") } else { format!("cancelled by {by}: {reason}") }
}

impl Event {
    /// One sentence for people, without a full stop and without the actor.
    pub fn describe(&self) -> String {
        match self {
            Event::Planned { plan, targets, waves, .. } => {
                let (targets, waves) = (counted(*targets as usize, "target"), counted(*waves as usize, "wave"));
                format!("planned {targets} in {waves} as plan {}", plan.short())
            }
            Event::ChangeAttached { change } => format!("attached change {change}"),
            Event::StartRequested { by, .. } => format!("{by} asked to start it"),
            Event::Held { held, .. } => held.on.sentence(),
            Event::Started { generation } => format!("admitted and started as generation {generation}"),
            Event::Expired { reason } => format!("can no longer start: {reason}"),
            Event::GateOpened { name, .. } => format!("gate {name} opened"),
            Event::GateApproved { by, .. } => format!("{by} said yes at the gate"),
            Event::Measured { measurement, .. } => match measurement.status {
                Status::Error => format!("could not measure: {}", measurement.detail),
                Status::Successful | Status::Failed | Status::Inconclusive => format!("measured: {}", measurement.detail),
            },
            Event::GateClosed { name, passed, sentence, .. } => {
                let word = if *passed { "passed" } else { "failed" };
                format!("gate {name} {word}: {}", without_name(name, sentence))
            }
            Event::WaveStarted { wave, ordered, already_current } => {
                format!(
                    "wave {} began: {}",
                    wave + 1,
                    numbers(&[(ordered.len(), "ordered"), (already_current.len(), "already current")])
                )
            }
            Event::TargetReported { target, state, detail, .. } => {
                let why = detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
                format!("{target} {}{why}", state.phrase())
            }
            Event::TargetsOverdue { targets, state, detail } => {
                format!("{}: {detail}", few(targets, *state))
            }
            Event::WaveHealthy { wave, healthy, failed: 0 } => format!("wave {} is up: {healthy} healthy", wave + 1),
            Event::WaveHealthy { wave, healthy, failed } => {
                format!(
                    "wave {} has ended within the budget: {}",
                    wave + 1,
                    numbers(&[(*healthy as usize, "healthy"), (*failed as usize, "failed")])
                )
            }
            Event::WaveCompleted { wave } => format!("wave {} is complete", wave + 1),
            Event::Paused { by, reason, .. } => because(format!("paused by {by}"), reason),
            Event::Resumed { by } => format!("resumed by {by}"),
            Event::TargetRetried { target, by, reason, .. } => because(format!("{target} tries again, as {by} asked"), reason),
            Event::TargetExcluded { target, by, reason } => format!("{target} was excluded by {by}: {reason}"),
            Event::TargetFailed { target, by } => format!("{by} decided that {target} has failed"),
            Event::Failing { reason, by: Some(by), then: Then::FallBack | Then::FallBackAnyway } => {
                because(format!("taken back by {by}"), reason)
            }
            Event::Failing { reason, by: Some(by), .. } => because(format!("stopped by {by}"), reason),
            Event::Failing { reason, .. } => format!("failing: {reason}"),
            Event::FallbackStarted { deployment } => format!("falling back with {deployment}"),
            Event::FellBack => "fell back".into(),
            Event::FallbackFailed { reason } => format!("falling back failed: {reason}"),
            Event::Succeeded { empty: true } => "succeeded, with no target to do anything on".into(),
            Event::Succeeded { .. } => "succeeded".into(),
            Event::Failed { reason } => format!("failed: {reason}"),
            Event::Cancelled { by, reason } => cancelled(by, reason),
            Event::Recorded { source, record } => format!("recorded as carried out in {source} ({})", record.reference),
        }
    }

    /// The targets whose rows change with it.
    pub fn touched(&self) -> Vec<&Name> {
        match self {
            Event::WaveStarted { ordered, already_current, .. } => {
                ordered.iter().map(|order| &order.target).chain(already_current).collect()
            }
            Event::TargetReported { target, .. }
            | Event::TargetRetried { target, .. }
            | Event::TargetExcluded { target, .. }
            | Event::TargetFailed { target, .. } => vec![target],
            Event::TargetsOverdue { targets, .. } => targets.iter().collect(),
            Event::Planned { .. }
            | Event::ChangeAttached { .. }
            | Event::StartRequested { .. }
            | Event::Held { .. }
            | Event::Started { .. }
            | Event::Expired { .. }
            | Event::GateOpened { .. }
            | Event::GateApproved { .. }
            | Event::Measured { .. }
            | Event::GateClosed { .. }
            | Event::WaveHealthy { .. }
            | Event::WaveCompleted { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::Failing { .. }
            | Event::FallbackStarted { .. }
            | Event::FellBack
            | Event::FallbackFailed { .. }
            | Event::Succeeded { .. }
            | Event::Failed { .. }
            | Event::Cancelled { .. }
            | Event::Recorded { .. } => Vec::new(),
        }
    }
}

/// A number with its noun: `1 wave`, `2 waves`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// The numbers that are not 0, or the first: `2 ordered, 1 already current`.
fn numbers(numbers: &[(usize, &str)]) -> String {
    let some = numbers.iter().filter(|(count, _)| *count > 0);
    let shown = some.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ");
    if shown.is_empty() { "nothing to do".into() } else { shown }
}

/// What happened, and why if somebody said so.
fn because(what: String, reason: &str) -> String {
    if reason.trim().is_empty() { what } else { format!("{what}: {reason}") }
}

/// The sentence of a gate, which begins with its name where it stands alone.
pub(super) fn without_name<'a>(name: &str, sentence: &'a str) -> &'a str {
    sentence.strip_prefix(name).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(sentence)
}

/// Up to three names with what became of them: `web-1 timed out`, `web-1, web-2, web-3 and 4 more are unreachable`.
fn few(names: &[Name], state: TargetState) -> String {
    let shown = names.iter().take(3).map(Name::as_str).collect::<Vec<_>>().join(", ");
    let more = if names.len() > 3 { format!(" and {} more", names.len() - 3) } else { String::new() };
    let phrase = state.phrase();
    let phrase = if names.len() > 1 { phrase.replacen("is ", "are ", 1) } else { phrase.to_owned() };
    format!("{shown}{more} {phrase}")
}
