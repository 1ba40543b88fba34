//! The arithmetic table of the semantics, row by row.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use tidegate_domain::deployment::plan::Plan;
use tidegate_domain::deployment::rollout::{Event, State};
use tidegate_domain::deployment::strategy::{Amount, Cut};
use tidegate_domain::gate::measurement::{counted, spread};
use tidegate_domain::gate::{Counters, Evidence, Gate, Measurement, Reading, Status, Verdict};

use crate::script::Story;
use crate::world::{Steps, born, id, plans, strategy};

proptest! {
    #[test]
    fn a_minimum_rounds_up(fleet in 0_usize..20_000, percent in 0_u32..=100) {
        let minimum = Amount::Percent(percent).minimum_of(fleet);
        prop_assert!(minimum * 100 >= fleet * percent as usize);
        prop_assert!(minimum == 0 || (minimum - 1) * 100 < fleet * percent as usize);
    }

    #[test]
    fn a_batch_rounds_down_and_is_at_least_one(fleet in 0_usize..20_000, percent in 0_u32..=100) {
        let batch = Amount::Percent(percent).batch_of(fleet);
        prop_assert!(batch >= 1);
        prop_assert!(batch == 1 || batch * 100 <= fleet * percent as usize);
        prop_assert!((batch + 1) * 100 > fleet * percent as usize);
    }

    #[test]
    fn a_budget_rounds_down(fleet in 0_usize..20_000, percent in 0_u32..=100) {
        let budget = Amount::Percent(percent).budget_of(fleet);
        prop_assert!(budget * 100 <= fleet * percent as usize && (budget + 1) * 100 > fleet * percent as usize);
    }

    #[test]
    fn a_canary_is_the_nearest_count_ties_to_the_larger(fleet in 2_usize..2_000, percent in 1_u32..=99) {
        let canary = Amount::Percent(percent).canary_of(fleet);
        let distance = |count: usize| (count * 100).abs_diff(fleet * percent as usize);
        prop_assert!(canary >= 1 && canary < fleet);
        let best = (1..fleet).min_by_key(|count| (distance(*count), fleet - count)).unwrap();
        prop_assert_eq!(canary, best);
    }

    #[test]
    fn the_last_batch_repeats(fleet in 0_usize..120, batches in prop::collection::vec(1_u32..9, 1..4)) {
        let sizes = Cut::Rolling { batches: batches.iter().copied().map(Amount::Count).collect() }.sizes(fleet, Amount::Count(0)).unwrap();
        let wanted = batches.iter().chain(std::iter::repeat(batches.last().unwrap())).map(|size| *size as usize);
        let whole = sizes.len().saturating_sub(1);
        let wanted: Vec<usize> = wanted.take(whole).collect();
        prop_assert_eq!(&sizes[..whole], wanted.as_slice());
        prop_assert_eq!(sizes.iter().sum::<usize>(), fleet);
    }

    #[test]
    fn a_bake_needs_both_its_time_and_its_samples(seconds in 1_i64..100, samples in 0_u64..100, passed in 0_i64..200, seen in 0_u64..200) {
        let gate: Gate = serde_json::from_value(json!({"bake": {"at_least_seconds": seconds, "samples_at_least": samples}})).unwrap();
        let evidence = Evidence { since_ms: 1_000, approvals: &[], measurements: &[], samples: seen };
        let verdict = gate.verdict(&evidence, 1_000 + passed * 1_000);
        prop_assert_eq!(matches!(verdict, Verdict::Pass(_)), passed >= seconds && seen >= samples);
    }

    #[test]
    fn measurements_are_counted_as_the_table_says(
        statuses in prop::collection::vec(prop::sample::select(vec![Status::Successful, Status::Failed, Status::Inconclusive, Status::Error]), 0..12),
        successes in 1_u32..5,
        failures_max in 0_u32..3,
    ) {
        let check = json!({"check": {"name": "smoke", "probe": {"tcp": {"address": "web:80"}}, "times": successes, "failures_max": failures_max}});
        let gate: Gate = serde_json::from_value(check).unwrap();
        let measured: Vec<Measurement> = statuses.iter().map(|status| measurement(*status)).collect();
        let evidence = Evidence { since_ms: 0, approvals: &[], measurements: &measured, samples: 0 };
        let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
        let errors_in_a_row = statuses.iter().rev().take_while(|status| **status == Status::Error).count();
        let wanted = match () {
            // More than tolerated; more than four errors in a row; the limit reached.
            () if count(Status::Failed) > failures_max as usize || errors_in_a_row > 4 => "fail",
            () if count(Status::Successful) >= successes as usize => "pass",
            () => "hold",
        };
        let found = match gate.verdict(&evidence, 0) { Verdict::Pass(_) => "pass", Verdict::Fail(_) => "fail", Verdict::Hold { .. } => "hold" };
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn requests_are_counted_for_each_source_whatever_restarts(
        grows in prop::collection::vec((prop::sample::select(vec!["web-1", "web-2", "web-3"]), 0_u32..50, 0_u32..3, prop::bool::weighted(0.15)), 1..30),
    ) {
        let gate = json!({"metric": {"name": "error rate", "source": {"endpoint": {"url": "u", "numerator": {"metric": "bad"}}}, "at_most": 0.5}});
        let gate: Gate = serde_json::from_value(gate).unwrap();
        let (mut now, mut truth, mut known) = (BTreeMap::<String, Counters>::new(), 0.0, BTreeMap::new());
        for (source, more, worse, restarts) in grows {
            let (bad, all) = (f64::from(worse), f64::from(worse) + f64::from(more));
            let first = !now.contains_key(source);
            let counters = now.entry(source.to_owned()).or_default();
            // A restart shows only where what came since is less than what was before; else nobody could tell.
            let restarts = restarts && all < counters.denominator;
            *counters = if restarts { Counters { numerator: bad, denominator: all } } else {
                Counters { numerator: counters.numerator + bad, denominator: counters.denominator + all }
            };
            truth += if first { 0.0 } else { all };
            let measured = gate.judge(&known, &Reading::Counters(now.clone()), 0).unwrap();
            known = counted(&known, &now);
            prop_assert_eq!(measured.samples, truth as u64);
            let stored: Measurement = serde_json::from_value(serde_json::to_value(&measured).unwrap()).unwrap();
            prop_assert_eq!(&stored, &measured);
        }
    }

    #[test]
    fn those_that_are_asked_are_spread_evenly(count in 0_usize..3_000, most in 1_usize..600) {
        let found = spread((0..count).collect::<Vec<_>>(), most);
        prop_assert_eq!(found.len(), count.min(most));
        let gaps: Vec<usize> = found.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let (least, most) = (gaps.iter().min().unwrap_or(&1), gaps.iter().max().unwrap_or(&1));
        prop_assert!(*least >= 1 && most - least <= 1);
    }

    #[test]
    fn the_budget_is_one_of_the_frozen_set(count in 1_usize..40, percent in 0_u32..=100, healthy in 0_u32..=100, excluded in 0_usize..40) {
        let plan = plans(&strategy(json!({"max_failures": format!("{percent}%")})), Steps::Plain, count, &[]).forward;
        let plan = Plan { min_healthy: Amount::Percent(healthy), ..plan };
        let mut live = born(&plan, id("DEP-1"), None, 0);
        for (_, target) in plan.targets().take(excluded) {
            live.apply(&Event::TargetExcluded { target: target.name.clone(), by: "bob".into(), reason: "gone".into() }, 0);
        }
        let left = count - excluded.min(count);
        let room = left - (left * healthy as usize).div_ceil(100);
        prop_assert_eq!(live.failures_max(&plan), (left * percent as usize / 100).min(room));
    }
}

fn measurement(status: Status) -> Measurement {
    Measurement { at_ms: 0, status, value: None, samples: 0, detail: String::new() }
}

#[test]
fn the_budget_trips_when_there_are_more() {
    for (count, failing, budget) in
        (1..5).flat_map(|count| (0..=count).flat_map(move |failing| (0..5).map(move |b| (count, failing, b))))
    {
        let fleet: Vec<String> = (1..=failing).map(|number| format!("web-{number}: fails")).collect();
        let strategy = json!({"max_failures": budget, "on_failure": "stop"});
        let play = Story { count, fleet: &fleet.join("; "), ..Story::of(strategy) }.played();
        // Whatever the budget is: at least one success is required.
        let wanted = failing > budget || failing == count;
        assert_eq!(play.live.state == State::Failed, wanted, "{failing} of {count}, {budget} tolerated");
    }
}

#[test]
fn one_failing_batch_is_within_the_budget_wherever_it_stands() {
    for at in 2..=4 {
        let fleet = format!("web-{at}: fails");
        let strategy = json!({"cut": {"rolling": {"batches": [1]}}, "max_failures": 1, "on_failure": "stop"});
        let play = Story { count: 4, fleet: &fleet, ..Story::of(strategy) }.played();
        assert_eq!(play.live.state, State::Baking, "it asks about {fleet}");
    }
}

#[test]
fn excluded_leaves_numerator_and_denominator() {
    let strategy = json!({"max_failures": "100%", "before": [{"approval": {}}], "on_failure": "stop"});
    let script = "1 exclude web-1 bob: gone\n2 approve 0.before.0 bob";
    // What is left has failed as a whole.
    let all_failed = Story { script, fleet: "web-2: fails", ..Story::of(strategy.clone()) }.played();
    assert_eq!(all_failed.live.state, State::Failed);
    // Nothing is left: success, flagged.
    let script = "1 exclude web-1 bob: gone\n1 exclude web-2 bob: gone\n2 approve 0.before.0 bob";
    let nothing = Story { script, ..Story::of(strategy) }.played();
    assert_eq!(nothing.live.state, State::Succeeded);
    assert!(nothing.transcript().contains("succeeded, with no target to do anything on"), "{}", nothing.transcript());
}

#[test]
fn counters_that_are_no_numbers_are_no_data_and_can_be_stored() {
    let gate = json!({"metric": {"name": "error rate", "source": {"endpoint": {"url": "u", "numerator": {"metric": "bad"}}}, "at_most": 0.5}});
    let gate: Gate = serde_json::from_value(gate).unwrap();
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for reading in [
            Reading::Counters([("a".to_owned(), Counters { numerator: bad, denominator: 1.0 })].into()),
            Reading::Counters([("a".to_owned(), Counters { numerator: 1.0, denominator: bad })].into()),
            Reading::Value(bad),
        ] {
            let measured = gate.judge(&BTreeMap::new(), &reading, 0).unwrap();
            assert_eq!(measured.status, Status::Inconclusive);
            let stored: Measurement = serde_json::from_value(serde_json::to_value(&measured).unwrap()).unwrap();
            assert_eq!(stored, measured);
        }
    }
}

#[test]
fn a_full_gate_asks_a_person_instead_of_waiting_for_ever() {
    let check =
        json!({"check": {"name": "smoke", "probe": {"tcp": {"address": "web:80"}}, "times": 100, "failures_max": 100_000}});
    let gate: Gate = serde_json::from_value(check).unwrap();
    let measured = vec![measurement(Status::Failed); tidegate_domain::limits::MEASUREMENTS_MAX];
    let evidence = Evidence { since_ms: 0, approvals: &[], measurements: &measured, samples: 0 };
    let Verdict::Hold { waiting_on, .. } = gate.verdict(&evidence, 0) else { panic!("it cannot be decided") };
    assert_eq!(waiting_on.sentence(), "smoke says neither yes nor no; somebody has to decide");
}
