//! The metric gate: a measured number stays within its threshold.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::measurement::{Counted, Counters, Measurement, Reading, Status, Tally, counted};
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
    /// The Prometheus text endpoint of each target of the wave, or of 500 of them, spread evenly, where there are more. What each
    /// has counted since the gate opened is added up.
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

impl Source {
    /// What may name variables of a target.
    pub(super) fn template(&self) -> Option<&str> {
        match self {
            Source::Endpoint { url, .. } => Some(url),
            Source::Prometheus { .. } => None,
        }
    }
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
            Verdict::Hold { .. } if self.is_without_data(evidence) => match self.no_data {
                NoData::Pass => Verdict::Pass(format!("{}: no data after {without_data} measurements, which passes", self.name)),
                NoData::Fail => Verdict::Fail(format!("{}: no data after {without_data} measurements", self.name)),
                NoData::Inconclusive => {
                    Verdict::Hold { waiting_on: WaitingOn::Inconclusive { name: self.name.clone() }, until_ms: None }
                }
            },
            Verdict::Hold { .. } | Verdict::Pass(_) | Verdict::Fail(_) => tally,
        }
    }

    /// Whether it has waited for data for as long as it was told to, and neither passed nor failed.
    pub(super) fn is_without_data(&self, evidence: &Evidence<'_>) -> bool {
        let count = |status| evidence.measurements.iter().filter(|m| m.status == status).count() as u32;
        let undecided = count(Status::Failed) <= self.failures_max && count(Status::Successful) < self.measurements;
        undecided && count(Status::Inconclusive) >= self.patience
    }

    /// Whether there has not been any data in all that time: too little of it is not none.
    pub(super) fn is_blind(&self, evidence: &Evidence<'_>) -> bool {
        let nothing = |m: &Measurement| m.samples == 0 && matches!(m.status, Status::Inconclusive | Status::Error);
        self.is_without_data(evidence) && evidence.measurements.iter().all(nothing)
    }

    /// Whether its number is growth over growth, for which a part of a large wave tells as much as all of it.
    pub fn counts_growth(&self) -> bool {
        matches!(&self.source, Source::Endpoint { denominator: Some(_), .. })
    }

    /// What a reading means after what was `known` of its sources. Counters count from the first reading since the gate opened.
    pub(super) fn judge(&self, known: &BTreeMap<String, Counted>, reading: &Reading, now_ms: Millis) -> Measurement {
        let blank = Measurement { at_ms: now_ms, status: Status::Inconclusive, value: None, samples: 0, detail: String::new() };
        match reading {
            Reading::Value(value) => self.compare(*value, &number(*value), blank),
            Reading::Counters(read) => self.growth(known, read, blank),
            Reading::NoData | Reading::Checked { .. } => Measurement { detail: "no data".into(), ..blank },
            Reading::Error(why) => Measurement { status: Status::Error, detail: why.clone(), ..blank },
        }
    }

    fn growth(&self, known: &BTreeMap<String, Counted>, read: &BTreeMap<String, Counters>, blank: Measurement) -> Measurement {
        let after = counted(known, read);
        // Only of the sources that were read: one that left the fleet leaves the sums.
        let of_read = || read.keys().filter_map(|source| after.get(source));
        if of_read().next().is_none() {
            return Measurement { detail: "no counter is a number".into(), ..blank };
        }
        if !read.keys().any(|source| known.contains_key(source)) {
            return Measurement { detail: "first reading, counting from here".into(), ..blank };
        }
        let (bad, all) = of_read().fold((0.0, 0.0), |(bad, all), it| (bad + it.grown.numerator, all + it.grown.denominator));
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

    /// Feeds readings such as `web-1 3/100, web-2 0/50` and prints each measurement and the verdict.
    fn story(gate: &Metric, readings: &[&str]) -> String {
        let (mut measurements, mut known) = (Vec::new(), BTreeMap::new());
        let mut out = String::new();
        for (index, text) in readings.iter().enumerate() {
            let read: BTreeMap<String, Counters> = text.split(", ").map(source).collect();
            let measurement = gate.judge(&known, &Reading::Counters(read.clone()), index as i64 * 1_000);
            known = counted(&known, &read);
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

    fn source(text: &str) -> (String, Counters) {
        let (name, numbers) = text.split_once(' ').expect("a name and numbers");
        let (numerator, denominator) = numbers.split_once('/').expect("two numbers");
        let number = |text: &str| text.parse::<f64>().expect("a number");
        (name.to_owned(), Counters { numerator: number(numerator), denominator: number(denominator) })
    }

    #[test]
    fn enough_good_measurements_pass() {
        expect_test::expect![[r"
            Inconclusive: first reading, counting from here
            Inconclusive: 5 of 10 requests needed
            Successful: 0 of 20 requests, 0 (allowed at most 0.05)
            Successful: 1 of 40 requests, 0.025 (allowed at most 0.05)
            pass: error rate: 1 of 40 requests, 0.025 (allowed at most 0.05)"]]
        .assert_eq(&story(&error_rate(), &["a 3/100", "a 3/105", "a 3/120", "a 4/140"]));
    }

    #[test]
    fn one_bad_measurement_fails_and_says_with_what_numbers() {
        expect_test::expect![[r"
            Inconclusive: first reading, counting from here
            Failed: 7 of 20 requests, 0.35, but allowed at most 0.05
            fail: error rate: 7 of 20 requests, 0.35, but allowed at most 0.05"]]
        .assert_eq(&story(&error_rate(), &["a 0/0", "a 7/20"]));
    }

    #[test]
    fn what_a_new_process_has_counted_is_growth() {
        expect_test::expect![[r"
            Inconclusive: first reading, counting from here
            Inconclusive: 2 of 10 requests needed
            Successful: 0 of 32 requests, 0 (allowed at most 0.05)
            hold: measuring error rate, 1 more good measurement needed"]]
        .assert_eq(&story(&error_rate(), &["a 50/1000", "a 0/2", "a 0/32"]));
    }

    #[test]
    fn a_restart_of_one_hides_no_errors_of_another() {
        // In a sum of both, 1,100 requests would fall to 190, and the nine errors would be forgotten with the restart.
        expect_test::expect![[r"
            Inconclusive: first reading, counting from here
            Failed: 9 of 100 requests, 0.09, but allowed at most 0.05
            fail: error rate: 9 of 100 requests, 0.09, but allowed at most 0.05"]]
        .assert_eq(&story(&error_rate(), &["a 0/1000, b 0/100", "a 0/10, b 9/190"]));
    }

    #[test]
    fn too_little_data_is_not_blindness() {
        let gate = Metric { patience: 2, ..error_rate() };
        let blind = |readings: &[(f64, f64)]| {
            let (mut known, mut measurements) = (BTreeMap::new(), Vec::new());
            for &(numerator, denominator) in readings {
                let read = BTreeMap::from([("a".to_owned(), Counters { numerator, denominator })]);
                measurements.push(gate.judge(&known, &Reading::Counters(read.clone()), 0));
                known = counted(&known, &read);
            }
            gate.is_blind(&Evidence { since_ms: 0, approvals: &[], measurements: &measurements, samples: 0 })
        };
        assert!(blind(&[(0.0, 7.0), (0.0, 7.0)]), "nobody asked anything");
        assert!(!blind(&[(0.0, 7.0), (0.0, 10.0)]), "three requests, of ten that are needed");
        assert!(!blind(&[(0.0, 7.0)]), "it is not out of patience");
    }

    #[test]
    fn a_source_that_is_no_longer_asked_leaves_the_sums() {
        expect_test::expect![[r"
            Inconclusive: first reading, counting from here
            Failed: 20 of 40 requests, 0.5, but allowed at most 0.05
            Successful: 0 of 30 requests, 0 (allowed at most 0.05)
            fail: error rate: 20 of 40 requests, 0.5, but allowed at most 0.05"]]
        .assert_eq(&story(&error_rate(), &["a 0/0, b 0/0", "a 20/20, b 0/20", "b 0/30"]));
    }
}
