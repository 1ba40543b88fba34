//! Strategies only cut; the same engine carries out whatever they cut.

use expect_test::expect;
use serde_json::json;

use crate::script::Story;

#[test]
fn all_at_once_is_one_wave() {
    Story::of(json!({"cut": "all_at_once"})).check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 2 ordered
            0  … waiting for 2 targets
            1  web-1 is in progress
            1  web-2 is in progress
            3  web-1 is healthy
            3  … waiting for 1 target
            3  web-2 is healthy
            3  wave 1 is up: 2 healthy
            3  succeeded
        = succeeded"#]]);
}

#[test]
fn rolling_goes_batch_after_batch() {
    Story { count: 4, ..Story::of(json!({"cut": {"rolling": {"batches": [1, 2]}}})) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            3  web-1 is healthy
            3  wave 1 is up: 1 healthy
            3  wave 1 is complete
            3  wave 2 began: 2 ordered
            3  … waiting for 2 targets
            4  web-2 is in progress
            4  web-3 is in progress
            6  web-2 is healthy
            6  … waiting for 1 target
            6  web-3 is healthy
            6  wave 2 is up: 2 healthy
            6  wave 2 is complete
            6  wave 3 began: 1 ordered
            7  web-4 is in progress
            9  web-4 is healthy
            9  wave 3 is up: 1 healthy
            9  succeeded
        = succeeded"#]]);
}

#[test]
fn a_canary_bakes_before_the_rest_follows() {
    let strategy = json!({"cut": {"canary": {"first": 1, "then": []}}, "after_first": [{"bake": {"at_least_seconds": 30}}]});
    Story { count: 3, ..Story::of(strategy) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            3  web-1 is healthy
            3  wave 1 is up: 1 healthy
            3  gate bake opened
            3  … baking, until 33
           33  gate bake passed: baked for 30 s
           33  wave 1 is complete
           33  wave 2 began: 2 ordered
           33  … waiting for 2 targets
           34  web-2 is in progress
           34  web-3 is in progress
           36  web-2 is healthy
           36  … waiting for 1 target
           36  web-3 is healthy
           36  wave 2 is up: 2 healthy
           36  succeeded
        = succeeded"#]]);
}

#[test]
fn what_is_current_already_is_left_alone() {
    Story { count: 3, current: vec!["web-1", "web-3"], ..Story::of(json!({})) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered, 2 already current
            0  … waiting for 1 target
            1  web-2 is in progress
            3  web-2 is healthy
            3  wave 1 is up: 3 healthy
            3  succeeded
        = succeeded"#]]);
}

#[test]
fn no_target_is_success_and_says_so() {
    Story { count: 0, ..Story::of(json!({})) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  succeeded, with no target to do anything on
        = succeeded"#]]);
}
