//! Measurements: what a probe read and what it means.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Evidence, Verdict, WaitingOn};
use crate::Millis;
use crate::limits;

/// What the shell brought back from a probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Reading {
    /// Two counters, summed over the targets of the wave; they only grow while the processes live.
    Counters {
        /// Counts what is bad (or whatever is measured).
        numerator: f64,
        /// Counts everything.
        denominator: f64,
    },
    /// A number as it is.
    Value(f64),
    /// How many targets passed and failed a check, and the first failure's sentence.
    Checked {
        /// Passed.
        passed: u32,
        /// Failed.
        failed: u32,
        /// What the first failing one said.
        detail: String,
    },
    /// There was an answer, but no such number in it.
    NoData,
    /// The infrastructure failed: no answer from what should measure.
    Error(String),
}

/// What one measurement says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Within the threshold.
    Successful,
    /// Beyond it.
    Failed,
    /// Too little data to tell.
    Inconclusive,
    /// The measuring itself failed.
    Error,
}

/// One measurement of one gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measurement {
    /// When.
    pub at_ms: Millis,
    /// What it says.
    pub status: Status,
    /// The number that was compared with the threshold.
    pub value: Option<f64>,
    /// Requests (growth of the denominator) the number was made of.
    pub samples: u64,
    /// The counters as read, from which growth is counted.
    pub counters: Option<(f64, f64)>,
    /// One sentence with the numbers.
    pub detail: String,
}

/// How many measurements of which kind decide.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tally<'a> {
    /// The gate's name.
    pub name: &'a str,
    /// Good ones needed; met when reached.
    pub successes: u32,
    /// Bad ones tolerated; trips when exceeded.
    pub failures_max: u32,
}

impl Tally<'_> {
    /// Fails on the first bad measurement too many or on too many infrastructure errors in a row; passes on enough good ones.
    pub(super) fn verdict(&self, evidence: &Evidence<'_>) -> Verdict {
        let count = |status| evidence.measurements.iter().filter(|m| m.status == status).count() as u32;
        let last_of = |status| evidence.measurements.iter().rev().find(|m| m.status == status).map_or("", |m| m.detail.as_str());
        if count(Status::Failed) > self.failures_max {
            return Verdict::Fail(format!("{}: {}", self.name, last_of(Status::Failed)));
        }
        let errors = evidence.measurements.iter().rev().take_while(|m| m.status == Status::Error).count() as u32;
        if errors > limits::MEASUREMENT_ERRORS_MAX {
            return Verdict::Fail(format!("{}: {errors} errors in a row, the last: {}", self.name, last_of(Status::Error)));
        }
        let missing = self.successes.saturating_sub(count(Status::Successful));
        if missing == 0 {
            return Verdict::Pass(format!("{}: {}", self.name, last_of(Status::Successful)));
        }
        if evidence.measurements.len() >= limits::MEASUREMENTS_MAX {
            // Nothing more is measured, so waiting for it would be waiting for ever.
            return Verdict::Hold { waiting_on: WaitingOn::Inconclusive { name: self.name.to_owned() }, until_ms: None };
        }
        Verdict::Hold { waiting_on: WaitingOn::Measurement { name: self.name.to_owned(), missing }, until_ms: None }
    }
}
