//! Measurements: what a probe read and what it means.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Evidence, Verdict, WaitingOn};
use crate::Millis;
use crate::limits;

/// What the shell brought back from a probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Reading {
    /// The counters of each source that answered, by its name; at most [`limits::METRIC_SOURCES_MAX`].
    Counters(BTreeMap<String, Counters>),
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

/// Two counters of one process; they only grow while it lives.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Counters {
    /// Counts what is bad (or whatever is measured).
    pub numerator: f64,
    /// Counts everything.
    pub denominator: f64,
}

impl Counters {
    fn is_finite(self) -> bool {
        self.numerator.is_finite() && self.denominator.is_finite()
    }

    fn plus(self, other: Counters) -> Counters {
        Counters { numerator: self.numerator + other.numerator, denominator: self.denominator + other.denominator }
    }

    fn minus(self, other: Counters) -> Counters {
        Counters { numerator: self.numerator - other.numerator, denominator: self.denominator - other.denominator }
    }
}

/// What one source has counted since its gate opened.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Counted {
    /// Its last reading.
    pub last: Counters,
    /// By how much its counters have grown since the first one.
    pub grown: Counters,
}

impl Counted {
    /// What a source has counted with one more reading. Counters that fell began again at 0 with a new process, and all that
    /// it has counted is growth. Looked at for each source alone: in a sum the others would hide that one fell.
    fn after(before: Option<&Counted>, now: Counters) -> Counted {
        let Some(before) = before else { return Counted { last: now, grown: Counters::default() } };
        let fell = now.numerator < before.last.numerator || now.denominator < before.last.denominator;
        let growth = if fell { now } else { now.minus(before.last) };
        Counted { last: now, grown: before.grown.plus(growth) }
    }
}

/// What all sources have counted with one more reading of some of them.
pub fn counted(before: &BTreeMap<String, Counted>, read: &BTreeMap<String, Counters>) -> BTreeMap<String, Counted> {
    let mut after = before.clone();
    for (source, now) in numbers(read) {
        let counted = Counted::after(before.get(&source), now);
        after.insert(source, counted);
    }
    after
}

/// Those of the readings that are numbers.
pub fn numbers(read: &BTreeMap<String, Counters>) -> BTreeMap<String, Counters> {
    read.iter().filter(|(_, now)| now.is_finite()).map(|(source, now)| (source.clone(), *now)).collect()
}

/// At most `most` of them, spread evenly over all.
pub fn spread<T>(all: Vec<T>, most: usize) -> Vec<T> {
    let (count, most) = (all.len(), most.max(1));
    // The one at `index` is taken where its share of `most` reaches the next whole number.
    let taken = |index: usize| (index + 1) * most / count > index * most / count;
    if count <= most { all } else { all.into_iter().enumerate().filter(|(index, _)| taken(*index)).map(|(_, it)| it).collect() }
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
