//! A gate answers "may we go on?". The same answer serves waves of a deployment and phases of a release.
//!
//! One file per kind. A new kind is one file, one variant of [`Gate`] and one arm of [`Gate::verdict`].

pub mod approval;
pub mod bake;
pub mod check;
pub mod measurement;
pub mod metric;
pub mod window;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::ids::{Id, Name};
use crate::refusal::{Code, Refusal};
use crate::template;

pub use measurement::{Counted, Counters, Measurement, Reading, Status};

/// One condition for going on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Gate {
    /// Enough people said yes to this plan.
    Approval(approval::Approval),
    /// The wave has been well for long enough and for enough requests.
    Bake(bake::Bake),
    /// A probe passes.
    Check(check::Check),
    /// A measured number stays within its threshold.
    Metric(metric::Metric),
    /// It is the right time of the week.
    Window(window::Window),
}

/// What is known to a gate.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// When the gate was first asked.
    pub since_ms: Millis,
    /// Who said yes, each person once.
    pub approvals: &'a [Name],
    /// What was measured for this gate, oldest first.
    pub measurements: &'a [Measurement],
    /// The most requests that any gate beside this one has seen.
    pub samples: u64,
}

/// A gate's answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Yes; the sentence tells with what numbers.
    Pass(String),
    /// Not yet.
    Hold {
        /// For what.
        waiting_on: WaitingOn,
        /// Until when, if time alone can lift it.
        until_ms: Option<Millis>,
    },
    /// No, for good; the sentence tells with what numbers.
    Fail(String),
}

/// What something that does not move waits on. Never silent: each has a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum WaitingOn {
    /// Somebody to start it.
    Request,
    /// The time it was asked for.
    Schedule,
    /// Admission; its reasons are listed beside.
    Admission {
        /// The reasons' sentences.
        reasons: Vec<String>,
    },
    /// Votes at a gate.
    Approval {
        /// How many more.
        missing: u32,
        /// What is asked.
        question: String,
    },
    /// Time.
    Bake {
        /// How many requests more, beside the time.
        samples_missing: u64,
    },
    /// Measurements of a gate.
    Measurement {
        /// The gate's name.
        name: String,
        /// How many good ones more.
        missing: u32,
    },
    /// A gate whose measurements say neither yes nor no: somebody has to look.
    Inconclusive {
        /// The gate's name.
        name: String,
    },
    /// The opening of a window.
    Window,
    /// The end of a freeze, or an exception.
    Freeze {
        /// Which one.
        freeze: Id,
        /// Its name.
        name: String,
    },
    /// Reports from targets.
    Targets {
        /// How many have not answered.
        count: u32,
    },
    /// Somebody to resume.
    Resume {
        /// Who paused.
        by: String,
        /// Why.
        reason: String,
    },
    /// Somebody's answer about a target.
    Answer {
        /// Which targets.
        targets: Vec<Name>,
        /// The question.
        question: String,
    },
    /// The fallback deployment.
    Fallback {
        /// Which one.
        deployment: Id,
    },
}

impl WaitingOn {
    /// The sentence for people, without a full stop.
    pub fn sentence(&self) -> String {
        let plural = |count: u64, one: &str| if count == 1 { format!("1 more {one}") } else { format!("{count} more {one}s") };
        match self {
            WaitingOn::Request => "waiting for somebody to start it".into(),
            WaitingOn::Schedule => "waiting for its planned time".into(),
            WaitingOn::Admission { reasons } => format!("not admitted: {}", reasons.join("; ")),
            WaitingOn::Approval { missing, question } => {
                format!("waiting for {}: {question}", plural(u64::from(*missing), "approval"))
            }
            WaitingOn::Bake { samples_missing: 0 } => "baking".into(),
            WaitingOn::Bake { samples_missing } => format!("baking, {} needed", plural(*samples_missing, "request")),
            WaitingOn::Measurement { name, missing } => {
                format!("measuring {name}, {} needed", plural(u64::from(*missing), "good measurement"))
            }
            WaitingOn::Inconclusive { name } => format!("{name} says neither yes nor no; somebody has to decide"),
            WaitingOn::Window => "waiting for its window to open".into(),
            WaitingOn::Freeze { name, .. } => format!("waiting for the end of freeze \"{name}\" or an exception"),
            WaitingOn::Targets { count: 1 } => "waiting for 1 target".into(),
            WaitingOn::Targets { count } => format!("waiting for {count} targets"),
            WaitingOn::Resume { by, reason } if reason.is_empty() => format!("paused by {by}"),
            WaitingOn::Resume { by, reason } => format!("paused by {by}: {reason}"),
            WaitingOn::Answer { targets, question } => {
                let names: Vec<&str> = targets.iter().take(3).map(Name::as_str).collect();
                let more = if targets.len() > 3 { format!(" and {} more", targets.len() - 3) } else { String::new() };
                format!("asks about {}{more}: {question}", names.join(", "))
            }
            WaitingOn::Fallback { deployment } => format!("falling back with {deployment}"),
        }
    }
}

impl Gate {
    /// The gate's answer now.
    pub fn verdict(&self, evidence: &Evidence<'_>, now_ms: Millis) -> Verdict {
        match self {
            Gate::Approval(gate) => gate.verdict(evidence),
            Gate::Bake(gate) => gate.verdict(evidence, now_ms),
            Gate::Check(gate) => gate.verdict(evidence),
            Gate::Metric(gate) => gate.verdict(evidence),
            Gate::Window(gate) => gate.verdict(now_ms),
        }
    }

    /// The gate's name for people.
    pub fn name(&self) -> String {
        match self {
            Gate::Approval(_) => "approval".into(),
            Gate::Bake(_) => "bake".into(),
            Gate::Check(gate) => gate.name.clone(),
            Gate::Metric(gate) => gate.name.clone(),
            Gate::Window(_) => "window".into(),
        }
    }

    /// What the gate asks for, in one line.
    pub fn condition(&self) -> String {
        match self {
            Gate::Approval(gate) => gate.condition(),
            Gate::Bake(gate) => gate.condition(),
            Gate::Check(gate) => gate.condition(),
            Gate::Metric(gate) => gate.condition(),
            Gate::Window(gate) => gate.condition(),
        }
    }

    /// Seconds between two measurements, if the gate measures at all.
    pub fn interval_seconds(&self) -> Option<u32> {
        match self {
            Gate::Check(gate) => Some(gate.interval_seconds),
            Gate::Metric(gate) => Some(gate.interval_seconds),
            Gate::Approval(_) | Gate::Bake(_) | Gate::Window(_) => None,
        }
    }

    /// What a reading means, given what was known of its sources.
    pub fn judge(&self, known: &BTreeMap<String, Counted>, reading: &Reading, now_ms: Millis) -> Option<Measurement> {
        match self {
            Gate::Check(_) => Some(check::Check::judge(reading, now_ms)),
            Gate::Metric(gate) => Some(gate.judge(known, reading, now_ms)),
            Gate::Approval(_) | Gate::Bake(_) | Gate::Window(_) => None,
        }
    }

    /// Whether it is a metric, and if so whether it has waited in vain for any data at all.
    pub fn is_blind(&self, evidence: &Evidence<'_>) -> Option<bool> {
        match self {
            Gate::Metric(gate) => Some(gate.is_blind(evidence)),
            Gate::Approval(_) | Gate::Bake(_) | Gate::Check(_) | Gate::Window(_) => None,
        }
    }

    /// Its text that may name variables of a target, with the gate's name.
    pub fn template(&self) -> Option<(&str, &str)> {
        match self {
            Gate::Check(gate) => gate.probe.template().map(|text| (gate.name.as_str(), text)),
            Gate::Metric(gate) => gate.source.template().map(|text| (gate.name.as_str(), text)),
            Gate::Approval(_) | Gate::Bake(_) | Gate::Window(_) => None,
        }
    }

    /// Checks what serde cannot.
    ///
    /// # Errors
    ///
    /// [`Code::OutOfRange`] or [`Code::Malformed`], naming the gate.
    pub fn check(&self) -> Result<(), Refusal> {
        self.template().map_or(Ok(()), |(gate, text)| template::check(text).map_err(|refusal| refusal.at(gate)))?;
        match self {
            Gate::Approval(gate) => gate.check(),
            Gate::Bake(gate) => gate.check(),
            Gate::Check(gate) => gate.check(),
            Gate::Metric(gate) => gate.check(),
            Gate::Window(gate) => gate.check(),
        }
    }
}

/// Refuses a number outside its range.
fn within(gate: &str, field: &str, value: u64, range: std::ops::RangeInclusive<u64>) -> Result<(), Refusal> {
    if range.contains(&value) {
        return Ok(());
    }
    let what = format!("{field} of gate {gate} is {value}");
    Err(Refusal::new(Code::OutOfRange, what, format!("use {} to {}", range.start(), range.end())).at(field))
}
