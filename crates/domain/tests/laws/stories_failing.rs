//! How a deployment fails, stops and goes back.

use expect_test::expect;
use serde_json::{Value, json};

use crate::script::Story;
use crate::world::Steps;

fn rolling() -> Value {
    json!({"cut": {"rolling": {"batches": [1]}}})
}

#[test]
fn one_failure_too_many_falls_back_by_itself() {
    Story { fleet: "web-2: fails", ..Story::of(rolling()) }.check(expect![]);
}

#[test]
fn a_failure_within_the_budget_is_left_to_a_person() {
    let strategy = json!({"cut": {"rolling": {"batches": [1]}}, "max_failures": 1});
    let script = "60 retry web-2 bob: the disk has been cleaned";
    Story { count: 3, fleet: "web-2: fails then well", script, ..Story::of(strategy) }.check(expect![]);
}

#[test]
fn a_target_can_be_taken_out() {
    let strategy = json!({"cut": "all_at_once", "max_failures": 1});
    let script = "60 exclude web-2 bob: \n61 exclude web-2 bob: it is to be scrapped";
    Story { fleet: "web-2: fails", script, ..Story::of(strategy) }.check(expect![]);
}

#[test]
fn all_failed_is_failure_whatever_the_budget() {
    Story { fleet: "web-1: fails; web-2: refuses", ..Story::of(json!({"max_failures": "100%", "on_failure": "stop"})) }.check(expect![]);
}

#[test]
fn going_back_may_fail_as_well() {
    let story = Story { fleet: "web-2: fails", back: "web-1: fails; web-2: fails", ..Story::of(json!({})) };
    story.check(expect![]);
}

#[test]
fn a_target_that_lies_has_failed() {
    Story { count: 1, fleet: "web-1: lies", ..Story::of(json!({"on_failure": "stop"})) }.check(expect![]);
}

#[test]
fn a_silent_target_is_unreachable_after_its_time() {
    Story { fleet: "web-2: silent", ..Story::of(json!({"unreachable_after_seconds": 45, "on_failure": "stop"})) }.check(expect![]);
}

#[test]
fn a_target_that_never_ends_is_timed_out() {
    Story { fleet: "web-1: hangs; web-2: hangs", ..Story::of(json!({"on_failure": "stop"})) }.check(expect![]);
}

#[test]
fn good_news_may_come_late() {
    let strategy = json!({"cut": {"rolling": {"batches": [1]}}, "max_failures": 1, "after_each": [{"bake": {"at_least_seconds": 60}}]});
    Story { count: 3, fleet: "web-2: late:90", ..Story::of(strategy) }.check(expect![]);
}

#[test]
fn a_stop_leaves_everything_where_it_is() {
    Story { script: "2 stop bob: wrong version", ..Story::of(rolling()) }.check(expect![]);
}

#[test]
fn a_stop_may_go_back() {
    Story { script: "2 stop-and-back bob: wrong version", ..Story::of(rolling()) }.check(expect![]);
}

#[test]
fn a_stop_before_the_start_cancels() {
    Story { script: "0 unauthorised: no change\n5 stop bob: not today\n6 resume bob\n7 stop bob: again", ..Story::of(rolling()) }.check(expect![]);
}

#[test]
fn what_succeeded_can_be_taken_back_later_once() {
    let script = "100 back bob: customers complain\n200 back bob: again";
    Story { script, ..Story::of(json!({})) }.check(expect![]);
}

#[test]
fn nothing_is_taken_back_where_nothing_was_touched() {
    let script = "100 back bob: to be sure";
    Story { script, current: vec!["web-1", "web-2"], ..Story::of(json!({})) }.check(expect![]);
}

#[test]
fn no_fallback_by_itself_passes_an_irreversible_step() {
    let script = "60 back bob: the old version reads the new schema";
    Story { steps: Steps::Irreversible, fleet: "web-2: fails", script, ..Story::of(rolling()) }.check(expect![]);
}

#[test]
fn a_person_may_stop_at_an_irreversible_step() {
    let script = "60 stop bob: repaired by hand";
    Story { steps: Steps::Irreversible, fleet: "web-2: fails", script, ..Story::of(rolling()) }.check(expect![]);
}

#[test]
fn an_irreversible_step_is_not_forgotten_by_a_retry() {
    let strategy = json!({"cut": "all_at_once", "max_failures": 1});
    let script = "10 retry web-2 bob: once more\n20 pause bob: look\n";
    Story { steps: Steps::Irreversible, fleet: "web-1: silent; web-2: fails then silent", script, ..Story::of(strategy) }.check(expect![]);
}
