//! A step that must not run twice: it is unknown whether it ran, and a person says.

use expect_test::expect;
use serde_json::json;

use crate::script::Story;
use crate::world::Steps;

fn unsure<'a>(fleet: &'a str, script: &'a str) -> Story<'a> {
    let strategy = json!({"cut": "all_at_once", "max_failures": 1, "on_failure": "stop"});
    Story { steps: Steps::Once, fleet, script, ..Story::of(strategy) }
}

#[test]
fn it_ran() {
    unsure("web-1: unsure then well", "60 retry web-1 bob: go on\n61 answer web-1 ran bob\n62 answer web-1 ran bob").check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 2 ordered
            0  … waiting for 2 targets
            1  web-1 is in progress
            1  web-2 is in progress
            3  web-1 is in doubt: the agent was away while it ran
            3  … waiting for 1 target
            3  web-2 is healthy
            3  … asks about web-1: did step "migrate" run? It must not run twice
           60  refused, state_forbids: web-1 has a step that may have run; answer whether it ran (ran, run_again or failed), or exclude the target
           61  web-1 tries again, as bob asked: step "migrate" has run
           61  … waiting for 1 target
           62  web-1 is in progress
           62  refused, state_forbids: web-1 is in progress and cannot be answered for; no step of it is in doubt
           64  web-1 is healthy
           64  wave 1 is up: 2 healthy
           64  succeeded
        = succeeded"#]]);
}

#[test]
fn it_did_not_run() {
    unsure("web-1: unsure then well", "60 answer web-1 run_again bob").check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 2 ordered
            0  … waiting for 2 targets
            1  web-1 is in progress
            1  web-2 is in progress
            3  web-1 is in doubt: the agent was away while it ran
            3  … waiting for 1 target
            3  web-2 is healthy
            3  … asks about web-1: did step "migrate" run? It must not run twice
           60  web-1 tries again, as bob asked: step "migrate" has not run
           60  … waiting for 1 target
           61  web-1 is in progress
           63  web-1 is healthy
           63  wave 1 is up: 2 healthy
           63  succeeded
        = succeeded"#]]);
}

#[test]
fn it_counts_as_failed_and_is_still_asked_about_before_another_try() {
    let script = "60 answer web-1 failed bob\n61 retry web-1 bob: again\n62 answer web-1 failed bob\n63 answer web-1 ran bob";
    unsure("web-1: unsure then well", script).check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 2 ordered
            0  … waiting for 2 targets
            1  web-1 is in progress
            1  web-2 is in progress
            3  web-1 is in doubt: the agent was away while it ran
            3  … waiting for 1 target
            3  web-2 is healthy
            3  … asks about web-1: did step "migrate" run? It must not run twice
           60  bob decided that web-1 has failed
           60  wave 1 has ended within the budget: 1 healthy, 1 failed
           60  … asks about web-1: try again, or exclude? Success means every target of the frozen set
           61  refused, state_forbids: web-1 has a step that may have run; answer whether it ran (ran, run_again or failed), or exclude the target
           62  refused, state_forbids: web-1 failed and cannot be declared failed; it asks no question; retry or exclude it
           63  web-1 tries again, as bob asked: step "migrate" has run
           63  … waiting for 1 target
           64  web-1 is in progress
           66  web-1 is healthy
           66  wave 1 is up: 2 healthy
           66  succeeded
        = succeeded"#]]);
}

#[test]
fn another_try_goes_on_behind_what_must_not_run_twice() {
    unsure("web-1: fails then fails then well", "60 retry web-1 bob: cleaned\n120 retry web-1 bob: cleaned again").check(
        expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 2 ordered
            0  … waiting for 2 targets
            1  web-1 is in progress
            1  web-2 is in progress
            3  web-1 failed: step switch: no space left
            3  … waiting for 1 target
            3  web-2 is healthy
            3  wave 1 has ended within the budget: 1 healthy, 1 failed
            3  … asks about web-1: try again, or exclude? Success means every target of the frozen set
           60  web-1 tries again, as bob asked: cleaned
           60  … waiting for 1 target
           61  web-1 is in progress
           63  web-1 failed: step switch: no space left
           63  wave 1 has ended within the budget: 1 healthy, 1 failed
           63  … asks about web-1: try again, or exclude? Success means every target of the frozen set
          120  web-1 tries again, as bob asked: cleaned again
          120  … waiting for 1 target
          121  web-1 is in progress
          123  web-1 is healthy
          123  wave 1 is up: 2 healthy
          123  succeeded
        = succeeded"#]],
    );
}

#[test]
fn a_stop_needs_no_answer() {
    unsure("web-1: unsure", "60 stop bob: too late in the night").check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 2 ordered
            0  … waiting for 2 targets
            1  web-1 is in progress
            1  web-2 is in progress
            3  web-1 is in doubt: the agent was away while it ran
            3  … waiting for 1 target
            3  web-2 is healthy
            3  … asks about web-1: did step "migrate" run? It must not run twice
           60  stopped by bob: too late in the night
           60  cancelled by bob
        = cancelled"#]]);
}
