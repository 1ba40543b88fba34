//! The five DORA figures, from the platform's own deployments. Each names the deployments it was counted from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::ids::Id;

/// Milliseconds of a day.
const DAY_MS: Millis = 86_400_000;
/// Milliseconds of a week.
const WEEK_MS: Millis = 7 * DAY_MS;
/// The first Monday of 1970: ISO weeks are counted from here.
const FIRST_MONDAY_MS: Millis = 4 * DAY_MS;

/// One production deployment, as far as the figures go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Which one.
    pub deployment: Id,
    /// The change it was made under; several deployments of one change have one lead time.
    pub change: Option<Id>,
    /// When it was asked for: the change's drafting where there is a change, else the plan's making.
    pub committed_at_ms: Millis,
    /// When what it brings was in effect, if it ever was; a later way back does not undo that.
    pub reached_at_ms: Option<Millis>,
    /// When it began.
    pub started_at_ms: Millis,
    /// When it began to fail, if it did.
    pub failed_at_ms: Option<Millis>,
    /// When it ended.
    pub ended_at_ms: Millis,
    /// How it ended.
    pub end: End,
    /// Whether it was made to repair something that failed in production (an emergency change, or one that takes another back).
    pub rework: bool,
    /// Whether its instants are known; if not, it is left out.
    pub exact: bool,
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
    /// Median seconds from a change's drafting to its effect in production.
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
    /// Days that the frequency is a share of: from the first deployment that was counted to the end of the period, at least one.
    #[serde(default)]
    pub period_days: f64,
    /// How change lead times spread.
    pub change_lead_time: Option<Spread>,
    /// Deployments that were left out because nobody knows when exactly they were.
    pub left_out_approximate: u64,
    /// If there are more deployments than are counted: the instant before which they are not; the period begins earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_counted_before_ms: Option<Millis>,
    /// Changes without a lead time because they were written after they were in effect.
    pub left_out_negative: u64,
    /// Week by week, Monday to Sunday in UTC, without those in which nothing happened.
    pub weeks: Vec<Week>,
}

/// How durations spread, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// How many.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Between two values, the share of the way from one to the other; what is shown.
    pub linear: Quantiles,
    /// Always one of the values: the smallest that at least that share does not exceed.
    pub nearest_rank: Quantiles,
}

/// Values that half, three quarters, 90 % and 95 % do not exceed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names are the shares")]
pub struct Quantiles {
    pub p50: f64,
    pub p75: f64,
    pub p90: f64,
    pub p95: f64,
}

/// What happened in one week.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Week {
    /// Its Monday, midnight in UTC.
    pub starts_at_ms: Millis,
    /// Deployments that began.
    pub deployments: u64,
    /// Those of them that failed or were taken back.
    pub failed: u64,
    /// Changes that came into effect.
    pub changes: u64,
    /// Their median lead time in seconds, if one has any.
    pub change_lead_time_seconds: Option<f64>,
}

/// Computes the figures over a period.
///
/// Deployments that take others back are not counted themselves; their effect is the end [`End::FellBack`] of the one they took
/// back.
pub fn figures(facts: &[Fact], period_ms: Millis) -> Dora {
    let exact: Vec<&Fact> = facts.iter().filter(|fact| fact.exact).collect();
    let rate = |matching: usize| (!exact.is_empty()).then(|| matching as f64 / exact.len() as f64);
    let succeeded = exact.iter().filter(|fact| fact.end == End::Succeeded).count();
    let recovery = exact.iter().filter(|fact| fact.end == End::FellBack);
    let recovery = recovery.filter_map(|fact| fact.failed_at_ms.map(|at_ms| seconds(fact.ended_at_ms - at_ms))).collect();
    let leads = leads(&exact);
    let counted: Vec<f64> = leads.iter().filter_map(|lead| lead.seconds).collect();
    let days = period_ms as f64 / DAY_MS as f64;
    Dora {
        change_lead_time_seconds: median(counted.clone()),
        deployment_frequency_per_day: (days > 0.0 && !exact.is_empty()).then(|| succeeded as f64 / days),
        failed_deployment_recovery_time_seconds: median(recovery),
        change_fail_rate: rate(exact.len() - succeeded),
        deployment_rework_rate: rate(exact.iter().filter(|fact| fact.rework).count()),
        deployments: exact.len() as u64,
        period_days: days,
        left_out_approximate: (facts.len() - exact.len()) as u64,
        not_counted_before_ms: None,
        left_out_negative: leads.iter().filter(|lead| lead.seconds.is_none()).count() as u64,
        change_lead_time: spread(counted),
        weeks: weeks(&exact, &leads),
    }
}

/// One change, from its drafting to its effect.
struct Lead {
    reached_at_ms: Millis,
    /// None if it was in effect before it was written.
    seconds: Option<f64>,
}

/// Each change once, when its last deployment had brought it into effect; a deployment without a change is one of its own, if it is
/// known when it was asked for.
fn leads(facts: &[&Fact]) -> Vec<Lead> {
    let mut reached: BTreeMap<&Id, (Millis, Millis)> = BTreeMap::new();
    for fact in facts {
        let Some(reached_at_ms) = fact.reached_at_ms else { continue };
        let known =
            reached.entry(fact.change.as_ref().unwrap_or(&fact.deployment)).or_insert((fact.committed_at_ms, reached_at_ms));
        *known = (known.0.min(fact.committed_at_ms), known.1.max(reached_at_ms));
    }
    let lead = |(committed_at_ms, reached_at_ms): (Millis, Millis)| {
        let known = reached_at_ms >= committed_at_ms;
        Lead { reached_at_ms, seconds: known.then(|| seconds(reached_at_ms - committed_at_ms)) }
    };
    reached.into_values().map(lead).collect()
}

fn weeks(facts: &[&Fact], leads: &[Lead]) -> Vec<Week> {
    let blank = |starts_at_ms| Week { starts_at_ms, deployments: 0, failed: 0, changes: 0, change_lead_time_seconds: None };
    let mut weeks: BTreeMap<Millis, (Week, Vec<f64>)> = BTreeMap::new();
    for fact in facts {
        let start = monday(fact.started_at_ms);
        let (week, _) = weeks.entry(start).or_insert_with(|| (blank(start), Vec::new()));
        week.deployments += 1;
        week.failed += u64::from(fact.end != End::Succeeded);
    }
    for lead in leads {
        let start = monday(lead.reached_at_ms);
        let (week, seconds) = weeks.entry(start).or_insert_with(|| (blank(start), Vec::new()));
        week.changes += 1;
        seconds.extend(lead.seconds);
    }
    let shown = |(week, seconds): (Week, Vec<f64>)| Week { change_lead_time_seconds: median(seconds), ..week };
    weeks.into_values().map(shown).collect()
}

/// The midnight in UTC at which the ISO week of an instant begins.
fn monday(at_ms: Millis) -> Millis {
    (at_ms - FIRST_MONDAY_MS).div_euclid(WEEK_MS) * WEEK_MS + FIRST_MONDAY_MS
}

fn seconds(ms: Millis) -> f64 {
    ms as f64 / 1_000.0
}

fn spread(mut values: Vec<f64>) -> Option<Spread> {
    values.sort_by(f64::total_cmp);
    let of = |quantile: fn(&[f64], f64) -> f64| Quantiles {
        p50: quantile(&values, 0.5),
        p75: quantile(&values, 0.75),
        p90: quantile(&values, 0.9),
        p95: quantile(&values, 0.95),
    };
    let count = values.len();
    let mean = values.iter().sum::<f64>() / count as f64;
    (count > 0).then(|| Spread { count: count as u64, mean, linear: of(linear), nearest_rank: of(nearest_rank) })
}

/// A quantile of sorted values, at least one of them, by linear interpolation between the two it lies between.
fn linear(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (place - place.floor())
}

/// A quantile of sorted values, at least one of them, by the nearest rank.
fn nearest_rank(sorted: &[f64], share: f64) -> f64 {
    sorted[((share * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len()) - 1]
}

/// The middle value; the mean of the two middle ones for an even number.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    (!values.is_empty()).then(|| linear(&values, 0.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(name: &str, committed_at_ms: Millis, ended_at_ms: Millis, end: End) -> Fact {
        Fact {
            deployment: Id::parse(name).expect("an id"),
            change: None,
            committed_at_ms,
            reached_at_ms: (end == End::Succeeded).then_some(ended_at_ms),
            started_at_ms: committed_at_ms,
            failed_at_ms: (end != End::Succeeded).then_some(5_000),
            ended_at_ms,
            end,
            rework: false,
            exact: true,
        }
    }

    #[test]
    fn figures_come_from_deployments_alone() {
        let facts = [
            fact("DEP-1", 0, 10_000, End::Succeeded),
            fact("DEP-2", 0, 20_000, End::Succeeded),
            fact("DEP-3", 0, 9_000, End::FellBack),
        ];
        let dora = figures(&facts, 86_400_000);
        assert_eq!(dora.change_lead_time_seconds, Some(15.0));
        assert_eq!(dora.deployment_frequency_per_day, Some(2.0));
        assert_eq!(dora.failed_deployment_recovery_time_seconds, Some(4.0));
        assert_eq!(dora.change_fail_rate, Some(1.0 / 3.0));
        assert_eq!(figures(&[], 0).change_fail_rate, None);
        assert_eq!(figures(&[], 0).change_lead_time, None);
    }

    #[test]
    fn a_change_has_one_lead_time_however_many_deployments_brought_it() {
        let change = Some(Id::parse("CHG-1").expect("an id"));
        let mut facts = [fact("DEP-1", 0, 10_000, End::Succeeded), fact("DEP-2", 0, 30_000, End::Succeeded)];
        facts.iter_mut().for_each(|fact| fact.change.clone_from(&change));
        assert_eq!(figures(&facts, DAY_MS).change_lead_time_seconds, Some(30.0));
    }

    #[test]
    fn what_cannot_be_measured_is_left_out_and_counted() {
        let mut facts = [fact("DEP-1", 0, 10_000, End::Succeeded), fact("DEP-2", 50_000, 20_000, End::Succeeded)];
        let dora = figures(&facts, DAY_MS);
        assert_eq!((dora.change_lead_time_seconds, dora.left_out_negative, dora.deployments), (Some(10.0), 1, 2));
        facts[1].exact = false;
        let dora = figures(&facts, DAY_MS);
        assert_eq!((dora.left_out_negative, dora.left_out_approximate, dora.deployments), (0, 1, 1));
    }

    #[test]
    fn quantiles_are_those_of_the_textbook() {
        let values = [1.0, 2.0, 3.0, 4.0, 10.0];
        let say = |quantile: fn(&[f64], f64) -> f64, share| format!("{:.3}", quantile(&values, share));
        assert_eq!([0.0, 0.5, 0.75, 0.9, 1.0].map(|share| say(linear, share)), ["1.000", "3.000", "4.000", "7.600", "10.000"]);
        assert_eq!([0.5, 0.75, 0.9, 1.0].map(|share| say(nearest_rank, share)), ["3.000", "4.000", "10.000", "10.000"]);
        assert_eq!(say(nearest_rank, 0.0), "1.000");
    }

    #[test]
    fn weeks_begin_on_monday() {
        // 2024-01-01 was a Monday, 2023-12-31 a Sunday.
        let new_year = 1_704_067_200_000;
        assert_eq!(monday(new_year), new_year);
        assert_eq!(monday(new_year - 1), new_year - WEEK_MS);
        assert_eq!(monday(-1), FIRST_MONDAY_MS - WEEK_MS);
    }
}
