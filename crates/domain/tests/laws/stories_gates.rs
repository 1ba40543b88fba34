//! Each gate holds, passes and fails in its own words.

use expect_test::expect;
use serde_json::{Value, json};

use crate::script::Story;

fn after_each<'a>(gate: Value) -> Story<'a> {
    Story::of(json!({"cut": {"rolling": {"batches": [1]}}, "after_each": [gate]}))
}

fn metric<'a>(no_data: &str) -> Story<'a> {
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
    Story { script, count: 1, ..Story::of(before) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  gate approval opened
            0  … waiting for 2 more approvals: is the shop quiet?
           10  ada said yes at the gate
           10  … waiting for 1 more approval: is the shop quiet?
           11  refused, already_voted: ada has said yes here already; somebody else has to
           20  bob said yes at the gate
           20  gate approval passed: approved by ada, bob
           20  wave 1 began: 1 ordered
           20  … waiting for 1 target
           21  web-1 is in progress
           21  refused, state_forbids: gate 0.before.0 is not asked now; no gate is asked now
           23  web-1 is healthy
           23  wave 1 is up: 1 healthy
           23  succeeded
        = succeeded"#]]);
}

#[test]
fn a_bake_takes_its_time_after_each_wave() {
    after_each(json!({"bake": {"at_least_seconds": 60}})).check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            3  web-1 is healthy
            3  wave 1 is up: 1 healthy
            3  gate bake opened
            3  … baking, until 63
           63  gate bake passed: baked for 60 s
           63  wave 1 is complete
           63  wave 2 began: 1 ordered
           63  … waiting for 1 target
           64  web-2 is in progress
           66  web-2 is healthy
           66  wave 2 is up: 1 healthy
           66  gate bake opened
           66  … baking, until 126
          126  gate bake passed: baked for 60 s
          126  succeeded
        = succeeded"#]]);
}

#[test]
fn a_bake_asks_for_time_and_requests() {
    let metric = json!({"name": "error rate", "source": {"prometheus": {"server": "http://127.0.0.1:9090", "query": "q"}}, "at_most": 0.05,
        "measurements": 1, "interval_seconds": 10});
    let gates = json!([{"bake": {"at_least_seconds": 15, "samples_at_least": 100}}, {"metric": metric}]);
    let story = Story { count: 1, readings: "error rate: 0/0 1/40 2/90 3/130", ..Story::of(json!({"after_each": gates})) };
    story.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            3  web-1 is healthy
            3  wave 1 is up: 1 healthy
            3  gate bake opened
            3  gate error rate opened
            3  measured: first reading, counting from here
            3  … baking, 100 more requests needed, until 18
           13  measured: 1 of 40 requests, 0.025 (allowed at most 0.05)
           13  … baking, 60 more requests needed, until 18
           18  … baking, 60 more requests needed
           23  measured: 2 of 90 requests, 0.0222 (allowed at most 0.05)
           23  … baking, 10 more requests needed
           33  measured: 3 of 130 requests, 0.0231 (allowed at most 0.05)
           33  gate bake passed: baked for 30 s and 130 requests
           33  gate error rate passed: 3 of 130 requests, 0.0231 (allowed at most 0.05)
           33  succeeded
        = succeeded"#]]);
}

#[test]
fn a_check_passes_so_many_times() {
    Story { count: 1, readings: "smoke: passed", ..after_each(check_gate()) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            3  web-1 is healthy
            3  wave 1 is up: 1 healthy
            3  gate smoke opened
            3  measured: 2 of 2 passed
            3  … measuring smoke, 1 more good measurement needed
            8  measured: 2 of 2 passed
            8  gate smoke passed: 2 of 2 passed
            8  succeeded
        = succeeded"#]]);
}

#[test]
fn a_check_that_fails_fails_the_deployment() {
    Story { readings: "smoke: passed failed", ..after_each(check_gate()) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            3  web-1 is healthy
            3  wave 1 is up: 1 healthy
            3  gate smoke opened
            3  measured: 2 of 2 passed
            3  … measuring smoke, 1 more good measurement needed
            8  measured: 1 of 2 failed: web-2 answered 503
            8  gate smoke failed: 1 of 2 failed: web-2 answered 503
            8  failing: smoke: 1 of 2 failed: web-2 answered 503
            8  falling back with DEP-1-FB
            8  | tidegate asked to start it
            8  | admitted and started as generation 8
            8  | wave 1 began: 1 ordered, 1 already current
            8  | … waiting for 1 target
            8  … falling back with DEP-1-FB
            9  | web-1 is in progress
           11  | web-1 is healthy
           11  | wave 1 is up: 2 healthy
           11  | succeeded
           11  fell back
        = fell_back"#]]);
}

#[test]
fn five_errors_in_a_row_end_a_check() {
    Story { count: 1, readings: "smoke: error", ..after_each(check_gate()) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            3  web-1 is healthy
            3  wave 1 is up: 1 healthy
            3  gate smoke opened
            3  could not measure: no answer within 10 s
            3  … measuring smoke, 2 more good measurements needed
            8  could not measure: no answer within 10 s
           13  could not measure: no answer within 10 s
           18  could not measure: no answer within 10 s
           23  could not measure: no answer within 10 s
           23  gate smoke failed: 5 errors in a row, the last: no answer within 10 s
           23  failing: smoke: 5 errors in a row, the last: no answer within 10 s
           23  falling back with DEP-1-FB
           23  | tidegate asked to start it
           23  | admitted and started as generation 8
           23  | wave 1 began: 1 ordered
           23  | … waiting for 1 target
           23  … falling back with DEP-1-FB
           24  | web-1 is in progress
           26  | web-1 is healthy
           26  | wave 1 is up: 1 healthy
           26  | succeeded
           26  fell back
        = fell_back"#]]);
}

#[test]
fn a_metric_within_its_threshold_passes() {
    Story { readings: "error rate: 0/0 1/40 2/90", ..metric("fail") }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            3  web-1 is healthy
            3  wave 1 is up: 1 healthy
            3  gate error rate opened
            3  measured: first reading, counting from here
            3  … measuring error rate, 2 more good measurements needed
            8  measured: 1 of 40 requests, 0.025 (allowed at most 0.05)
            8  … measuring error rate, 1 more good measurement needed
           13  measured: 2 of 90 requests, 0.0222 (allowed at most 0.05)
           13  gate error rate passed: 2 of 90 requests, 0.0222 (allowed at most 0.05)
           13  succeeded
        = succeeded"#]]);
}

#[test]
fn a_metric_beyond_its_threshold_fails_the_deployment() {
    Story { readings: "error rate: 0/0 9/40", ..metric("pass") }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            3  web-1 is healthy
            3  wave 1 is up: 1 healthy
            3  gate error rate opened
            3  measured: first reading, counting from here
            3  … measuring error rate, 2 more good measurements needed
            8  measured: 9 of 40 requests, 0.225, but allowed at most 0.05
            8  gate error rate failed: 9 of 40 requests, 0.225, but allowed at most 0.05
            8  failing: error rate: 9 of 40 requests, 0.225, but allowed at most 0.05
            8  falling back with DEP-1-FB
            8  | tidegate asked to start it
            8  | admitted and started as generation 8
            8  | wave 1 began: 1 ordered
            8  | … waiting for 1 target
            8  … falling back with DEP-1-FB
            9  | web-1 is in progress
           11  | web-1 is healthy
           11  | wave 1 is up: 1 healthy
           11  | succeeded
           11  fell back
        = fell_back"#]]);
}

#[test]
fn no_data_may_pass() {
    Story { readings: "error rate: nodata", ..metric("pass") }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            3  web-1 is healthy
            3  wave 1 is up: 1 healthy
            3  gate error rate opened
            3  measured: no data
            3  … measuring error rate, 2 more good measurements needed
            8  measured: no data
           13  measured: no data
           13  gate error rate passed: no data after 3 measurements, which passes
           13  succeeded
        = succeeded"#]]);
}

#[test]
fn no_data_may_fail() {
    Story { readings: "error rate: nodata", ..metric("fail") }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            3  web-1 is healthy
            3  wave 1 is up: 1 healthy
            3  gate error rate opened
            3  measured: no data
            3  … measuring error rate, 2 more good measurements needed
            8  measured: no data
           13  measured: no data
           13  gate error rate failed: no data after 3 measurements
           13  failing: error rate: no data after 3 measurements
           13  falling back with DEP-1-FB
           13  | tidegate asked to start it
           13  | admitted and started as generation 8
           13  | wave 1 began: 1 ordered
           13  | … waiting for 1 target
           13  … falling back with DEP-1-FB
           14  | web-1 is in progress
           16  | web-1 is healthy
           16  | wave 1 is up: 1 healthy
           16  | succeeded
           16  fell back
        = fell_back"#]]);
}

#[test]
fn no_data_may_ask_a_person_who_decides_over_it() {
    let script = "60 override 0.after.0 bob: \n70 override 0.after.0 bob: no traffic at night, logs are clean";
    Story { readings: "error rate: nodata", script, ..metric("inconclusive") }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            3  web-1 is healthy
            3  wave 1 is up: 1 healthy
            3  gate error rate opened
            3  measured: no data
            3  … measuring error rate, 2 more good measurements needed
            8  measured: no data
           13  measured: no data
           13  … error rate says neither yes nor no; somebody has to decide
           18  measured: no data
           23  measured: no data
           28  measured: no data
           33  measured: no data
           38  measured: no data
           43  measured: no data
           48  measured: no data
           53  measured: no data
           58  measured: no data
           60  refused, malformed: there is no reason; say why; it is kept in the history
           63  measured: no data
           68  measured: no data
           70  gate error rate passed: decided by bob: no traffic at night, logs are clean
           70  succeeded
        = succeeded"#]]);
}

#[test]
fn a_window_opens_by_itself() {
    // The counter begins on 1970-01-01T00:00Z, a Thursday; 01:30 in Vienna is half an hour later.
    let window = json!({"window": {"days": ["thursday"], "from": "01:30", "until": "02:00", "zone": "Europe/Vienna"}});
    Story { count: 1, ..Story::of(json!({"before": [window]})) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  gate window opened
            0  … waiting for its window to open, until 1800
         1800  gate window passed: inside Thursday 01:30–02:00 Europe/Vienna
         1800  wave 1 began: 1 ordered
         1800  … waiting for 1 target
         1801  web-1 is in progress
         1803  web-1 is healthy
         1803  wave 1 is up: 1 healthy
         1803  succeeded
        = succeeded"#]]);
}

#[test]
fn gates_of_one_wave_close_together() {
    let metric = json!({"name": "load", "source": {"prometheus": {"server": "http://127.0.0.1:9090", "query": "q"}}, "at_most": 2.0,
        "measurements": 1, "interval_seconds": 10});
    let gates = json!([{"metric": metric}, {"bake": {"at_least_seconds": 25}}]);
    // The metric is good at first and bad while the bake still goes on.
    Story { count: 1, readings: "load: 1 1 7", ..Story::of(json!({"after_each": gates})) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            3  web-1 is healthy
            3  wave 1 is up: 1 healthy
            3  gate load opened
            3  gate bake opened
            3  measured: 1 (allowed at most 2)
            3  … baking, until 28
           13  measured: 1 (allowed at most 2)
           23  measured: 7, but allowed at most 2
           23  gate load failed: 7, but allowed at most 2
           23  failing: load: 7, but allowed at most 2
           23  falling back with DEP-1-FB
           23  | tidegate asked to start it
           23  | admitted and started as generation 8
           23  | wave 1 began: 1 ordered
           23  | … waiting for 1 target
           23  … falling back with DEP-1-FB
           24  | web-1 is in progress
           26  | web-1 is healthy
           26  | wave 1 is up: 1 healthy
           26  | succeeded
           26  fell back
        = fell_back"#]]);
}

fn two_metrics<'a>(no_data: &str, readings: &'a str, script: &'a str) -> Story<'a> {
    let source = json!({"prometheus": {"server": "http://127.0.0.1:9090", "query": "q"}});
    let metric = |name: &str| {
        json!({"metric": {"name": name, "source": source, "at_most": 1, "measurements": 1, "patience": 2, "interval_seconds": 5,
            "no_data": no_data}})
    };
    let gates = json!([metric("errors"), metric("latency"), {"bake": {"at_least_seconds": 20}}]);
    Story { count: 1, readings, script, ..Story::of(json!({"after_each": gates, "on_failure": "stop"})) }
}

#[test]
fn half_of_the_metrics_without_data_fail_whatever_each_would_say() {
    two_metrics("pass", "errors: 0\nlatency: nodata", "").check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            3  web-1 is healthy
            3  wave 1 is up: 1 healthy
            3  gate errors opened
            3  gate latency opened
            3  gate bake opened
            3  measured: 0 (allowed at most 1)
            3  measured: no data
            3  … measuring latency, 1 more good measurement needed
            8  measured: 0 (allowed at most 1)
            8  measured: no data
            8  failing: 1 of 2 metrics have no data: latency
            8  failed: 1 of 2 metrics have no data: latency
        = failed"#]]);
}

#[test]
fn a_metric_that_a_person_decided_over_is_not_blind() {
    two_metrics("inconclusive", "errors: 0\nlatency: nodata", "4 override 0.after.1 bob: measured by hand").check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            3  web-1 is healthy
            3  wave 1 is up: 1 healthy
            3  gate errors opened
            3  gate latency opened
            3  gate bake opened
            3  measured: 0 (allowed at most 1)
            3  measured: no data
            3  … measuring latency, 1 more good measurement needed
            4  gate latency passed: decided by bob: measured by hand
            4  … baking, until 23
            8  measured: 0 (allowed at most 1)
           13  measured: 0 (allowed at most 1)
           18  measured: 0 (allowed at most 1)
           23  gate errors passed: 0 (allowed at most 1)
           23  gate bake passed: baked for 20 s
           23  succeeded
        = succeeded"#]]);
}

#[test]
fn a_target_that_tried_again_is_baked_anew() {
    let script = "30 retry web-2 ada: disk cleaned";
    let strategy = json!({"max_failures": 1, "after_each": [{"approval": {}}, {"bake": {"at_least_seconds": 60}}]});
    let script = format!("{script}\n20 approve 0.after.0 bob");
    Story { fleet: "web-2: fails then well", script: &script, ..Story::of(strategy) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 2 ordered
            0  … waiting for 2 targets
            1  web-1 is in progress
            1  web-2 is in progress
            3  web-1 is healthy
            3  … waiting for 1 target
            3  web-2 failed: step switch: no space left
            3  wave 1 has ended within the budget: 1 healthy, 1 failed
            3  gate approval opened
            3  gate bake opened
            3  … waiting for 1 more approval: may it go on?
           20  bob said yes at the gate
           20  … baking, until 63
           30  web-2 tries again, as ada asked: disk cleaned
           30  … waiting for 1 target
           31  web-2 is in progress
           33  web-2 is healthy
           33  wave 1 is up: 2 healthy
           33  gate bake opened
           33  … baking, until 93
           93  gate approval passed: approved by bob
           93  gate bake passed: baked for 60 s
           93  succeeded
        = succeeded"#]]);
}

#[test]
fn a_target_that_tried_again_after_all_gates_passed_is_baked_anew() {
    let strategy = json!({"max_failures": 1, "after_each": [{"bake": {"at_least_seconds": 60}}]});
    let script = "100 retry web-2 ada: disk cleaned";
    Story { fleet: "web-2: fails then well", script, ..Story::of(strategy) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 2 ordered
            0  … waiting for 2 targets
            1  web-1 is in progress
            1  web-2 is in progress
            3  web-1 is healthy
            3  … waiting for 1 target
            3  web-2 failed: step switch: no space left
            3  wave 1 has ended within the budget: 1 healthy, 1 failed
            3  gate bake opened
            3  … baking, until 63
           63  gate bake passed: baked for 60 s
           63  … asks about web-2: try again, or exclude? Success means every target of the frozen set
          100  web-2 tries again, as ada asked: disk cleaned
          100  … waiting for 1 target
          101  web-2 is in progress
          103  web-2 is healthy
          103  wave 1 is up: 2 healthy
          103  gate bake opened
          103  … baking, until 163
          163  gate bake passed: baked for 60 s
          163  succeeded
        = succeeded"#]]);
}

#[test]
fn a_target_that_becomes_healthy_late_is_baked_as_well() {
    let strategy =
        json!({"max_failures": 1, "after_each": [{"bake": {"at_least_seconds": 60}}], "unreachable_after_seconds": 30});
    Story { fleet: "web-2: late:80", ..Story::of(strategy) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 2 ordered
            0  … waiting for 2 targets
            1  web-1 is in progress
            3  web-1 is healthy
            3  … waiting for 1 target
           30  web-2 is unreachable: no answer within 30 s
           30  wave 1 has ended within the budget: 1 healthy, 1 failed
           30  gate bake opened
           30  … baking, until 90
           80  web-2 is healthy
           80  wave 1 is up: 2 healthy
           80  gate bake opened
           80  … baking, until 140
          140  gate bake passed: baked for 60 s
          140  succeeded
        = succeeded"#]]);
}
