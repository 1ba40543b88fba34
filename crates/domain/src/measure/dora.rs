//! The five DORA figures, from the platform's own deployments. Each names the deployments it was counted from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::ids::Id;

/// One production deployment, as far as the figures go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Which one.
    pub deployment: Id,
    /// When it was asked for: the change's drafting where there is a change, else the plan's making.
    pub committed_at_ms: Millis,
    /// When it ended.
    pub ended_at_ms: Millis,
    /// How it ended.
    pub end: End,
    /// Whether it was made to repair something that failed in production (an emergency change or a fallback by a person).
    pub rework: bool,
}

/// How a deployment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// As planned.
    Succeeded,
    /// It failed; service was restored by going back at that time.
    FellBack,
    /// It failed and was not taken back.
    Failed,
}

/// The figures. `None` where nothing was counted: no figure is better than an invented one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Dora {
    /// Median seconds from the change's drafting to its success in production.
    pub change_lead_time_seconds: Option<f64>,
    /// Successful deployments in production in the period, per day.
    pub deployment_frequency_per_day: Option<f64>,
    /// Median seconds from a deployment's failure to the restored service.
    pub failed_deployment_recovery_time_seconds: Option<f64>,
    /// Failed of all deployments, 0 to 1.
    pub change_fail_rate: Option<f64>,
    /// Repairing of all deployments, 0 to 1.
    pub deployment_rework_rate: Option<f64>,
    /// How many deployments were counted.
    pub deployments: u64,
}

/// Computes the figures over a period.
///
/// `failed_at` gives the moment a deployment began to fail. Deployments that take others back are not counted themselves; their
/// effect is the end [`End::FellBack`] of the one they took back.
pub fn figures(facts: &[Fact], failed_at: impl Fn(&Id) -> Option<Millis>, period_ms: Millis) -> Dora {
    let count = facts.len() as f64;
    let rate = |matching: usize| (!facts.is_empty()).then(|| matching as f64 / count);
    let seconds = |ms: Millis| ms as f64 / 1_000.0;
    let succeeded: Vec<&Fact> = facts.iter().filter(|fact| fact.end == End::Succeeded).collect();
    let lead = succeeded.iter().map(|fact| seconds(fact.ended_at_ms - fact.committed_at_ms)).collect();
    let recovery = facts
        .iter()
        .filter(|fact| fact.end == End::FellBack)
        .filter_map(|fact| failed_at(&fact.deployment).map(|at_ms| seconds(fact.ended_at_ms - at_ms)))
        .collect();
    let days = period_ms as f64 / 86_400_000.0;
    Dora {
        change_lead_time_seconds: median(lead),
        deployment_frequency_per_day: (days > 0.0 && !facts.is_empty()).then(|| succeeded.len() as f64 / days),
        failed_deployment_recovery_time_seconds: median(recovery),
        change_fail_rate: rate(facts.iter().filter(|fact| fact.end != End::Succeeded).count()),
        deployment_rework_rate: rate(facts.iter().filter(|fact| fact.rework).count()),
        deployments: facts.len() as u64,
    }
}

/// The middle value; the mean of the two middle ones for an even number.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_come_from_deployments_alone() {
        let fact = |name: &str, committed, ended, end| Fact {
            deployment: Id::parse(name).expect("an id"),
            committed_at_ms: committed,
            ended_at_ms: ended,
            end,
            rework: false,
        };
        let facts = [
            fact("DEP-1", 0, 10_000, End::Succeeded),
            fact("DEP-2", 0, 20_000, End::Succeeded),
            fact("DEP-3", 0, 9_000, End::FellBack),
        ];
        let dora = figures(&facts, |_| Some(5_000), 86_400_000);
        assert_eq!(dora.change_lead_time_seconds, Some(15.0));
        assert_eq!(dora.deployment_frequency_per_day, Some(2.0));
        assert_eq!(dora.failed_deployment_recovery_time_seconds, Some(4.0));
        assert_eq!(dora.change_fail_rate, Some(1.0 / 3.0));
        assert_eq!(figures(&[], |_| None, 0).change_fail_rate, None);
    }
}
