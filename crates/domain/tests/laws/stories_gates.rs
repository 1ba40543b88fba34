//! Each gate holds, passes and fails in its own words.

use expect_test::expect;
use serde_json::{Value, json};

use crate::script::Story;

fn after_each(gate: Value) -> Story {
    Story::of(json!({"cut": {"rolling": {"batches": [1]}}, "after_each": [gate]}))
}

fn metric(no_data: &str) -> Story {
    let endpoint = json!({"endpoint": {"url": "http://{{ host }}/metrics", "numerator": {"metric": "bad"}, "denominator": {"metric": "all"}}});
    let metric = json!({"name": "error rate", "source": endpoint, "at_most": 0.05, "measurements": 2, "samples_at_least": 10,
        "interval_seconds": 5, "no_data": no_data, "patience": 3});
    Story { count: 1, ..after_each(json!({"metric": metric})) }
}

fn check_gate() -> Value {
    json!({"check": {"name": "smoke", "probe": {"tcp": {"address": "{{ host }}:80"}}, "times": 2, "interval_seconds": 5}})
}

#[test]
fn an_approval_counts_different_people() {
    let before = json!({"before": [{"approval": {"quorum": 2, "question": "is the shop quiet?"}}]});
    let script = "10 approve 0.before.0 ada\n11 approve 0.before.0 ada\n20 approve 0.before.0 bob\n21 approve 0.before.0 eve";
    Story { script, count: 1, ..Story::of(before) }.check(expect![]);
}

#[test]
fn a_bake_takes_its_time_after_each_wave() {
    after_each(json!({"bake": {"at_least_seconds": 60}})).check(expect![]);
}

#[test]
fn a_bake_asks_for_time_and_requests() {
    let metric = json!({"name": "error rate", "source": {"prometheus": {"server": "http://127.0.0.1:9090", "query": "q"}}, "at_most": 0.05,
        "measurements": 1, "interval_seconds": 10});
    let gates = json!([{"bake": {"at_least_seconds": 15, "samples_at_least": 100}}, {"metric": metric}]);
    let story = Story { count: 1, readings: "error rate: 0/0 1/40 2/90 3/130", ..Story::of(json!({"after_each": gates})) };
    story.check(expect![]);
}

#[test]
fn a_check_passes_so_many_times() {
    Story { count: 1, readings: "smoke: passed", ..after_each(check_gate()) }.check(expect![]);
}

#[test]
fn a_check_that_fails_fails_the_deployment() {
    Story { readings: "smoke: passed failed", ..after_each(check_gate()) }.check(expect![]);
}

#[test]
fn five_errors_in_a_row_end_a_check() {
    Story { count: 1, readings: "smoke: error", ..after_each(check_gate()) }.check(expect![]);
}

#[test]
fn a_metric_within_its_threshold_passes() {
    Story { readings: "error rate: 0/0 1/40 2/90", ..metric("fail") }.check(expect![]);
}

#[test]
fn a_metric_beyond_its_threshold_fails_the_deployment() {
    Story { readings: "error rate: 0/0 9/40", ..metric("pass") }.check(expect![]);
}

#[test]
fn no_data_may_pass() {
    Story { readings: "error rate: nodata", ..metric("pass") }.check(expect![]);
}

#[test]
fn no_data_may_fail() {
    Story { readings: "error rate: nodata", ..metric("fail") }.check(expect![]);
}

#[test]
fn no_data_may_ask_a_person_who_decides_over_it() {
    let script = "60 override 0.after.0 bob: \n70 override 0.after.0 bob: no traffic at night, logs are clean";
    Story { readings: "error rate: nodata", script, ..metric("inconclusive") }.check(expect![]);
}

#[test]
fn a_window_opens_by_itself() {
    // The counter begins on 1970-01-01T00:00Z, a Thursday; 01:30 in Vienna is half an hour later.
    let window = json!({"window": {"days": ["thursday"], "from": "01:30", "until": "02:00", "zone": "Europe/Vienna"}});
    Story { count: 1, ..Story::of(json!({"before": [window]})) }.check(expect![]);
}

#[test]
fn gates_of_one_wave_close_together() {
    let metric = json!({"name": "load", "source": {"prometheus": {"server": "http://127.0.0.1:9090", "query": "q"}}, "at_most": 2.0,
        "measurements": 1, "interval_seconds": 10});
    let gates = json!([{"metric": metric}, {"bake": {"at_least_seconds": 25}}]);
    // The metric is good at first and bad while the bake still goes on.
    Story { count: 1, readings: "load: 1 1 7", ..Story::of(json!({"after_each": gates})) }.check(expect![]);
}
