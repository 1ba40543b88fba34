//! The check gate: a probe by HTTP, TCP or a command of the server's host.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::measurement::{Measurement, Reading, Status, Tally};
use super::{Evidence, Verdict, WaitingOn, within};
use crate::Millis;
use crate::refusal::{Code, Refusal};

/// Asks from the server, after the agents found their hosts well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// What is asked. With `{{ name }}` of target variables it is asked for each target of the wave.
    pub probe: Probe,
    /// How often it must pass; 1 to 100.
    #[serde(default = "one")]
    pub times: u32,
    /// How often it may fail.
    #[serde(default)]
    pub failures_max: u32,
    /// Time between two asks; 1 s to 1 h.
    #[serde(default = "interval")]
    pub interval_seconds: u32,
    /// Longest time one ask may take; 1 s to 10 min.
    #[serde(default = "timeout")]
    pub timeout_seconds: u32,
}

fn one() -> u32 {
    1
}

fn interval() -> u32 {
    5
}

fn timeout() -> u32 {
    10
}

/// What a check asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Probe {
    /// A GET that must answer 200 to 299.
    Http {
        /// The address.
        url: String,
        /// Text that the first 64 KiB of the answer must contain.
        #[serde(default)]
        contains: Option<String>,
    },
    /// A connection that must open.
    Tcp {
        /// Host and port.
        address: String,
    },
    /// A program on the server's host that must end 0; allowed only where the server was started with `--allow-commands`.
    Command {
        /// Program and arguments; no shell.
        run: Vec<String>,
    },
}

impl Probe {
    /// What may name variables of a target.
    pub(super) fn template(&self) -> Option<&str> {
        match self {
            Probe::Http { url: text, .. } | Probe::Tcp { address: text } => Some(text),
            Probe::Command { .. } => None,
        }
    }
}

impl Check {
    pub(super) fn verdict(&self, evidence: &Evidence<'_>) -> Verdict {
        let tally = Tally { name: &self.name, successes: self.times, failures_max: self.failures_max }.verdict(evidence);
        let asked_nobody = evidence.measurements.last().is_some_and(|last| last.status == Status::Inconclusive);
        match tally {
            // More asking brings nobody: a person has to say whether it may go on.
            Verdict::Hold { .. } if asked_nobody => {
                Verdict::Hold { waiting_on: WaitingOn::Inconclusive { name: self.name.clone() }, until_ms: None }
            }
            Verdict::Hold { .. } | Verdict::Pass(_) | Verdict::Fail(_) => tally,
        }
    }

    pub(super) fn judge(reading: &Reading, now_ms: Millis) -> Measurement {
        let (status, detail) = match reading {
            Reading::Checked { failed: 0, passed, .. } => (Status::Successful, format!("{passed} of {passed} passed")),
            Reading::Checked { failed, passed, detail } => {
                (Status::Failed, format!("{failed} of {} failed: {detail}", failed + passed))
            }
            Reading::Error(why) => (Status::Error, why.clone()),
            // A check that asked nobody says nothing: it holds until somebody decides.
            Reading::NoData => (Status::Inconclusive, "there was no target to ask".into()),
            Reading::Counters(_) | Reading::Value(_) => (Status::Error, "the probe gave no answer".into()),
        };
        Measurement { at_ms: now_ms, status, value: None, samples: 0, detail }
    }

    pub(super) fn condition(&self) -> String {
        let what = match &self.probe {
            Probe::Http { url, .. } => format!("GET {url} answers well"),
            Probe::Tcp { address } => format!("{address} accepts connections"),
            Probe::Command { run } => format!("`{}` ends 0", run.join(" ")),
        };
        if self.times == 1 { what } else { format!("{what}, {} times", self.times) }
    }

    pub(super) fn check(&self) -> Result<(), Refusal> {
        within(&self.name, "times", u64::from(self.times), 1..=100)?;
        within(&self.name, "interval_seconds", u64::from(self.interval_seconds), 1..=3_600)?;
        within(&self.name, "timeout_seconds", u64::from(self.timeout_seconds), 1..=600)?;
        match &self.probe {
            Probe::Command { run } if run.is_empty() => Err(Refusal::new(
                Code::Malformed,
                format!("check {} has no command", self.name),
                "give run: [program, arguments…]",
            )
            .at("probe.command.run")),
            Probe::Command { .. } | Probe::Http { .. } | Probe::Tcp { .. } => Ok(()),
        }
    }
}
