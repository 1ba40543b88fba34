//! Strategies only cut; the same engine carries out whatever they cut.

use expect_test::expect;
use serde_json::json;

use crate::script::Story;

#[test]
fn all_at_once_is_one_wave() {
    Story::of(json!({"cut": "all_at_once"})).check(expect![]);
}

#[test]
fn rolling_goes_batch_after_batch() {
    Story { count: 4, ..Story::of(json!({"cut": {"rolling": {"batches": [1, 2]}}})) }.check(expect![]);
}

#[test]
fn a_canary_bakes_before_the_rest_follows() {
    let strategy = json!({"cut": {"canary": {"first": 1, "then": []}}, "after_first": [{"bake": {"at_least_seconds": 30}}]});
    Story { count: 3, ..Story::of(strategy) }.check(expect![]);
}

#[test]
fn what_is_current_already_is_left_alone() {
    Story { count: 3, current: vec!["web-1", "web-3"], ..Story::of(json!({})) }.check(expect![]);
}

#[test]
fn no_target_is_success_and_says_so() {
    Story { count: 0, ..Story::of(json!({})) }.check(expect![]);
}
