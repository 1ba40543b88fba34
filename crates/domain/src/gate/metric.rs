//! The metric gate: a measured number stays within its threshold.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::measurement::{Measurement, Reading, Status, Tally};
use super::{Evidence, Verdict, WaitingOn, within};
use crate::Millis;
use crate::refusal::{Code, Refusal};

/// Compares a number with thresholds, `measurements` times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Its name, such as `error rate`.
    pub name: String,
    /// Where the number comes from.
    pub source: Source,
    /// Good is at most this.
    #[serde(default)]
    pub at_most: Option<f64>,
    /// Good is at least this.
    #[serde(default)]
    pub at_least: Option<f64>,
    /// Good measurements needed; 1 to 100.
    #[serde(default = "three")]
    pub measurements: u32,
    /// Bad measurements tolerated.
    #[serde(default)]
    pub failures_max: u32,
    /// Requests below which a measurement says nothing; for counters.
    #[serde(default = "one")]
    pub samples_at_least: u64,
    /// Time between two measurements; 1 s to 1 h.
    #[serde(default = "interval")]
    pub interval_seconds: u32,
    /// What it means when there is still no data after `patience` measurements.
    #[serde(default)]
    pub no_data: NoData,
    /// How many measurements without data are waited out; 1 to 1000.
    #[serde(default = "patience")]
    pub patience: u32,
}

fn one() -> u64 {
    1
}

fn three() -> u32 {
    3
}

fn interval() -> u32 {
    5
}

fn patience() -> u32 {
    10
}

/// Where a metric's number comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// The Prometheus text endpoint of each target of the wave; counters are summed over the targets.
    Endpoint {
        /// The address; `{{ name }}` is replaced by a variable of the target.
        url: String,
        /// What is counted.
        numerator: Selector,
        /// What it is divided by. Without it, the sum of the numerator is the number (for gauges).
        #[serde(default)]
        denominator: Option<Selector>,
    },
    /// An instant query to a Prometheus server; its first sample is the number.
    Prometheus {
        /// The server's address, such as `http://127.0.0.1:9090`.
        server: String,
        /// The query.
        query: String,
    },
}

/// Series of one name whose labels match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Selector {
    /// The metric's name.
    pub metric: String,
    /// Labels that must be equal.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// What a metric without data means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoData {
    /// Go on.
    Pass,
    /// Ask a person.
    #[default]
    Inconclusive,
    /// Fail.
    Fail,
}

impl Metric {
    pub(super) fn verdict(&self, evidence: &Evidence<'_>) -> Verdict {
        let tally = Tally { name: &self.name, successes: self.measurements, failures_max: self.failures_max }.verdict(evidence);
        let without_data = evidence.measurements.iter().filter(|m| m.status == Status::Inconclusive).count() as u32;
        match tally {
            Verdict::Hold { .. } if without_data >= self.patience => match self.no_data {
                NoData::Pass => Verdict::Pass(format!("{}: no data after {without_data} measurements, which passes", self.name)),
                NoData::Fail => Verdict::Fail(format!("{}: no data after {without_data} measurements", self.name)),
                NoData::Inconclusive => {
                    Verdict::Hold { waiting_on: WaitingOn::Inconclusive { name: self.name.clone() }, until_ms: None }
                }
            },
            Verdict::Hold { .. } | Verdict::Pass(_) | Verdict::Fail(_) => tally,
        }
    }

    /// Counters are compared with the first reading since the gate opened or since they last fell (a restart).
    pub(super) fn judge(&self, before: &[Measurement], reading: &Reading, now_ms: Millis) -> Measurement {
        let blank = Measurement {
            at_ms: now_ms,
            status: Status::Inconclusive,
            value: None,
            samples: 0,
            counters: None,
            detail: String::new(),
        };
        match reading {
            Reading::Value(value) => self.compare(*value, &number(*value), blank),
            Reading::Counters { numerator, denominator } => self.growth(before, (*numerator, *denominator), blank),
            Reading::NoData | Reading::Checked { .. } => Measurement { detail: "no data".into(), ..blank },
            Reading::Error(why) => Measurement { status: Status::Error, detail: why.clone(), ..blank },
        }
    }

    fn growth(&self, before: &[Measurement], counters: (f64, f64), blank: Measurement) -> Measurement {
        if !(counters.0.is_finite() && counters.1.is_finite()) {
            return Measurement { detail: "a counter is not a number".into(), ..blank };
        }
        let blank = Measurement { counters: Some(counters), ..blank };
        let mut earlier = before.iter().filter_map(|m| m.counters);
        let Some(first) = earlier.next() else {
            return Measurement { detail: "first reading, counting from here".into(), ..blank };
        };
        let fell = |last: (f64, f64), now: (f64, f64)| now.0 < last.0 || now.1 < last.1;
        let (base, last) = earlier.fold((first, first), |(base, last), now| (if fell(last, now) { now } else { base }, now));
        if fell(last, counters) {
            return Measurement { detail: "the counters fell (a restart), counting from here".into(), ..blank };
        }
        let (bad, all) = (counters.0 - base.0, counters.1 - base.1);
        let samples = all as u64;
        if samples < self.samples_at_least || all <= 0.0 {
            let detail = format!("{samples} of {} requests needed", self.samples_at_least.max(1));
            return Measurement { samples, detail, ..blank };
        }
        let value = bad / all;
        let detail = format!("{} of {} requests, {}", number(bad), number(all), number(value));
        self.compare(value, &detail, Measurement { samples, ..blank })
    }

    fn compare(&self, value: f64, detail: &str, blank: Measurement) -> Measurement {
        let above = self.at_most.is_some_and(|limit| value > limit);
        let below = self.at_least.is_some_and(|limit| value < limit);
        let (status, detail) = match (value.is_finite(), above, below) {
            (false, _, _) => (Status::Inconclusive, "not a number".into()),
            (true, false, false) => (Status::Successful, format!("{detail} ({})", self.threshold())),
            (true, _, _) => (Status::Failed, format!("{detail}, but {}", self.threshold())),
        };
        Measurement { status, value: value.is_finite().then_some(value), detail, ..blank }
    }

    fn threshold(&self) -> String {
        match (self.at_least, self.at_most) {
            (Some(low), Some(high)) => format!("allowed {} to {}", number(low), number(high)),
            (Some(low), None) => format!("allowed at least {}", number(low)),
            (None, Some(high)) => format!("allowed at most {}", number(high)),
            (None, None) => "no threshold".into(),
        }
    }

    pub(super) fn condition(&self) -> String {
        format!("{}: {}, {} times", self.name, self.threshold(), self.measurements)
    }

    pub(super) fn check(&self) -> Result<(), Refusal> {
        within(&self.name, "measurements", u64::from(self.measurements), 1..=100)?;
        within(&self.name, "interval_seconds", u64::from(self.interval_seconds), 1..=3_600)?;
        within(&self.name, "patience", u64::from(self.patience), 1..=1_000)?;
        let finite = |limit: Option<f64>| limit.is_none_or(f64::is_finite);
        let reachable = self.at_least.zip(self.at_most).is_none_or(|(low, high)| low <= high);
        if (self.at_most.is_none() && self.at_least.is_none()) || !finite(self.at_most) || !finite(self.at_least) || !reachable {
            return Err(Refusal::new(
                Code::OutOfRange,
                format!("metric {} has no threshold that a number could meet", self.name),
                "give at_most, at_least or both, the lower one first",
            )
            .at(self.name.clone()));
        }
        Ok(())
    }
}

/// A number as people write it: up to four decimals, none that are not needed.
fn number(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_rate() -> Metric {
        serde_json::from_value(serde_json::json!({
            "name": "error rate", "at_most": 0.05, "measurements": 2, "samples_at_least": 10,
            "source": {"endpoint": {"url": "http://127.0.0.1:{{ port }}/metrics", "numerator": {"metric": "bad"}, "denominator": {"metric": "all"}}}
        }))
        .expect("a metric gate")
    }

    /// Feeds (numerator, denominator) readings and prints each measurement and the verdict.
    fn story(gate: &Metric, readings: &[(f64, f64)]) -> String {
        let mut measurements = Vec::new();
        let mut out = String::new();
        for (index, &(numerator, denominator)) in readings.iter().enumerate() {
            let measurement = gate.judge(&measurements, &Reading::Counters { numerator, denominator }, index as i64 * 1_000);
            out.push_str(&format!("{:?}: {}\n", measurement.status, measurement.detail));
            measurements.push(measurement);
        }
        let evidence = Evidence { since_ms: 0, approvals: &[], measurements: &measurements, samples: 0 };
        match gate.verdict(&evidence) {
            Verdict::Pass(why) => out.push_str(&format!("pass: {why}")),
            Verdict::Fail(why) => out.push_str(&format!("fail: {why}")),
            Verdict::Hold { waiting_on, .. } => out.push_str(&format!("hold: {}", waiting_on.sentence())),
        }
        out
    }

    #[test]
    fn enough_good_measurements_pass() {
        expect_test::expect![[r"
            Inconclusive: first reading, counting from here
            Inconclusive: 5 of 10 requests needed
            Successful: 0 of 20 requests, 0 (allowed at most 0.05)
            Successful: 1 of 40 requests, 0.025 (allowed at most 0.05)
            pass: error rate: 1 of 40 requests, 0.025 (allowed at most 0.05)"]]
        .assert_eq(&story(&error_rate(), &[(3.0, 100.0), (3.0, 105.0), (3.0, 120.0), (4.0, 140.0)]));
    }

    #[test]
    fn one_bad_measurement_fails_and_says_with_what_numbers() {
        expect_test::expect![[r"
            Inconclusive: first reading, counting from here
            Failed: 7 of 20 requests, 0.35, but allowed at most 0.05
            fail: error rate: 7 of 20 requests, 0.35, but allowed at most 0.05"]]
        .assert_eq(&story(&error_rate(), &[(0.0, 0.0), (7.0, 20.0)]));
    }

    #[test]
    fn a_restart_of_the_process_starts_the_count_again() {
        expect_test::expect![[r"
            Inconclusive: first reading, counting from here
            Inconclusive: the counters fell (a restart), counting from here
            Successful: 0 of 30 requests, 0 (allowed at most 0.05)
            hold: measuring error rate, 1 more good measurement needed"]]
        .assert_eq(&story(&error_rate(), &[(50.0, 1000.0), (0.0, 2.0), (0.0, 32.0)]));
    }
}
