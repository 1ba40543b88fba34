//! A step that must not run twice: it is unknown whether it ran, and a person says.

use expect_test::expect;
use serde_json::json;

use crate::script::Story;
use crate::world::Steps;

fn unsure(fleet: &'static str, script: &'static str) -> Story {
    let strategy = json!({"cut": "all_at_once", "max_failures": 1, "on_failure": "stop"});
    Story { steps: Steps::Once, fleet, script, ..Story::of(strategy) }
}

#[test]
fn it_ran() {
    unsure("web-1: unsure then well", "60 retry web-1 bob: go on\n61 answer web-1 ran bob\n62 answer web-1 ran bob").check(expect![]);
}

#[test]
fn it_did_not_run() {
    unsure("web-1: unsure then well", "60 answer web-1 run_again bob").check(expect![]);
}

#[test]
fn it_counts_as_failed_and_is_still_asked_about_before_another_try() {
    let script = "60 answer web-1 failed bob\n61 retry web-1 bob: again\n62 answer web-1 failed bob\n63 answer web-1 ran bob";
    unsure("web-1: unsure then well", script).check(expect![]);
}

#[test]
fn another_try_goes_on_behind_what_must_not_run_twice() {
    unsure("web-1: fails then fails then well", "60 retry web-1 bob: cleaned\n120 retry web-1 bob: cleaned again").check(expect![]);
}

#[test]
fn a_stop_needs_no_answer() {
    unsure("web-1: unsure", "60 stop bob: too late in the night").check(expect![]);
}
