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
    Story { fleet: "web-2: fails", ..Story::of(rolling()) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            3  web-1 is healthy
            3  wave 1 is up: 1 healthy
            3  wave 1 is complete
            3  wave 2 began: 1 ordered
            4  web-2 is in progress
            6  web-2 failed: step switch: no space left
            6  failing: 1 target failed, 0 tolerated; web-2: step switch: no space left
            6  falling back with DEP-1-FB
            6  | tidegate asked to start it
            6  | admitted and started as generation 8
            6  | wave 1 began: 1 ordered, 1 already current
            6  | … waiting for 1 target
            6  … falling back with DEP-1-FB
            7  | web-1 is in progress
            9  | web-1 is healthy
            9  | wave 1 is up: 2 healthy
            9  | succeeded
            9  fell back
        = fell_back"#]]);
}

#[test]
fn a_failure_within_the_budget_is_left_to_a_person() {
    let strategy = json!({"cut": {"rolling": {"batches": [1]}}, "max_failures": 1});
    let script = "60 retry web-2 bob: the disk has been cleaned";
    Story { count: 3, fleet: "web-2: fails then well", script, ..Story::of(strategy) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            3  web-1 is healthy
            3  wave 1 is up: 1 healthy
            3  wave 1 is complete
            3  wave 2 began: 1 ordered
            4  web-2 is in progress
            6  web-2 failed: step switch: no space left
            6  wave 2 has ended within the budget: 1 failed
            6  wave 2 is complete
            6  wave 3 began: 1 ordered
            7  web-3 is in progress
            9  web-3 is healthy
            9  wave 3 is up: 1 healthy
            9  … asks about web-2: try again, or exclude? Success means every target of the frozen set
           60  web-2 tries again, as bob asked: the disk has been cleaned
           60  … waiting for 1 target
           61  web-2 is in progress
           63  web-2 is healthy
           63  wave 3 is up: 1 healthy
           63  succeeded
        = succeeded"#]]);
}

#[test]
fn a_target_can_be_taken_out() {
    let strategy = json!({"cut": "all_at_once", "max_failures": 1});
    let script = "60 exclude web-2 bob: \n61 exclude web-2 bob: it is to be scrapped";
    Story { fleet: "web-2: fails", script, ..Story::of(strategy) }.check(expect![[r#"
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
            3  … asks about web-2: try again, or exclude? Success means every target of the frozen set
           60  refused, malformed: there is no reason; say why; it is kept in the history
           61  web-2 was excluded by bob: it is to be scrapped
           61  succeeded
        = succeeded"#]]);
}

#[test]
fn all_failed_is_failure_whatever_the_budget() {
    Story { fleet: "web-1: fails; web-2: refuses", ..Story::of(json!({"max_failures": "100%", "on_failure": "stop"})) }.check(
        expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 2 ordered
            0  … waiting for 2 targets
            1  web-1 is in progress
            2  web-2 failed: generation_low: generation 1 is below 7
            2  … waiting for 1 target
            3  web-1 failed: step switch: no space left
            3  failing: no target has succeeded by the end of wave 1; web-2: generation_low: generation 1 is below 7
            3  failed: no target has succeeded by the end of wave 1; web-2: generation_low: generation 1 is below 7
        = failed"#]],
    );
}

#[test]
fn going_back_may_fail_as_well() {
    let check = json!({"check": {"name": "smoke", "probe": {"tcp": {"address": "web:80"}}}});
    let strategy = json!({"after_each": [check]});
    let story = Story { readings: "smoke: failed", back: "web-1: fails; web-2: silent", ..Story::of(strategy) };
    story.check(expect![[r#"
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
            3  gate smoke opened
            3  measured: 1 of 2 failed: web-2 answered 503
            3  gate smoke failed: 1 of 2 failed: web-2 answered 503
            3  failing: smoke: 1 of 2 failed: web-2 answered 503
            3  falling back with DEP-1-FB
            3  | tidegate asked to start it
            3  | admitted and started as generation 8
            3  | wave 1 began: 2 ordered
            3  | … waiting for 2 targets
            3  … falling back with DEP-1-FB
            4  | web-1 is in progress
            6  | web-1 failed: step switch: no space left
            6  | … waiting for 1 target
           63  | web-2 is unreachable: no answer within 60 s
           63  | failing: no target has succeeded by the end of wave 1; web-1: step switch: no space left
           63  | failed: no target has succeeded by the end of wave 1; web-1: step switch: no space left
           63  falling back failed: the plan back has failed
        = fallback_failed"#]]);
}

#[test]
fn what_cannot_go_back_is_left_to_a_person() {
    Story { fleet: "web-2: fails", back: "web-1: fails", ..Story::of(json!({})) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 2 ordered
            0  … waiting for 2 targets
            1  web-1 is in progress
            1  web-2 is in progress
            3  web-1 is healthy
            3  … waiting for 1 target
            3  web-2 failed: step switch: no space left
            3  failing: 1 target failed, 0 tolerated; web-2: step switch: no space left
            3  falling back with DEP-1-FB
            3  | tidegate asked to start it
            3  | admitted and started as generation 8
            3  | wave 1 began: 1 ordered, 1 already current
            3  | … waiting for 1 target
            3  … falling back with DEP-1-FB
            4  | web-1 is in progress
            6  | web-1 failed: step switch: no space left
            6  | wave 1 has ended within the budget: 1 healthy, 1 failed
            6  | … asks about web-1: try again, or exclude? Success means every target of the frozen set
        = falling_back"#]]);
}

#[test]
fn a_target_that_lies_has_failed() {
    Story { count: 1, fleet: "web-1: lies", ..Story::of(json!({"on_failure": "stop"})) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            3  web-1 failed: it says it is healthy but attests another package than the plan's
            3  failing: 1 target failed, 0 tolerated; web-1: it says it is healthy but attests another package than the plan's
            3  failed: 1 target failed, 0 tolerated; web-1: it says it is healthy but attests another package than the plan's
        = failed"#]]);
}

#[test]
fn a_silent_target_is_unreachable_after_its_time() {
    Story { fleet: "web-2: silent", ..Story::of(json!({"unreachable_after_seconds": 45, "on_failure": "stop"})) }.check(expect![
        [r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 2 ordered
            0  … waiting for 2 targets
            1  web-1 is in progress
            3  web-1 is healthy
            3  … waiting for 1 target
           45  web-2 is unreachable: no answer within 45 s
           45  failing: 1 target failed, 0 tolerated; web-2: no answer within 45 s
           45  failed: 1 target failed, 0 tolerated; web-2: no answer within 45 s
        = failed"#]
    ]);
}

#[test]
fn a_target_that_never_ends_is_timed_out() {
    Story { fleet: "web-1: hangs; web-2: hangs", ..Story::of(json!({"on_failure": "stop"})) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 2 ordered
            0  … waiting for 2 targets
            1  web-1 is in progress
            1  web-2 is in progress
          321  web-1, web-2 timed out: not done within 320 s
          321  failing: 2 targets failed, 0 tolerated; web-1: not done within 320 s
          321  failed: 2 targets failed, 0 tolerated; web-1: not done within 320 s
        = failed"#]]);
}

#[test]
fn good_news_may_come_late() {
    let strategy =
        json!({"cut": {"rolling": {"batches": [1]}}, "max_failures": 1, "after_each": [{"bake": {"at_least_seconds": 60}}]});
    Story { count: 3, fleet: "web-2: late:90", ..Story::of(strategy) }.check(expect![[r#"
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
          123  web-2 is unreachable: no answer within 60 s
          123  wave 2 has ended within the budget: 1 failed
          123  gate bake opened
          123  … baking, until 183
          153  web-2 is healthy
          153  wave 2 is up: 1 healthy
          153  gate bake opened
          153  … baking, until 213
          213  gate bake passed: baked for 60 s
          213  wave 2 is complete
          213  wave 3 began: 1 ordered
          213  … waiting for 1 target
          214  web-3 is in progress
          216  web-3 is healthy
          216  wave 3 is up: 1 healthy
          216  gate bake opened
          216  … baking, until 276
          276  gate bake passed: baked for 60 s
          276  succeeded
        = succeeded"#]]);
}

#[test]
fn a_stop_leaves_everything_where_it_is() {
    Story { script: "2 stop bob: wrong version", ..Story::of(rolling()) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            2  stopped by bob: wrong version
            3  web-1 is healthy
            3  cancelled by bob
        = cancelled"#]]);
}

#[test]
fn a_stop_may_go_back() {
    Story { script: "2 stop-and-back bob: wrong version", ..Story::of(rolling()) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            2  taken back by bob: wrong version
            3  web-1 is healthy
            3  falling back with DEP-1-FB
            3  | tidegate asked to start it
            3  | admitted and started as generation 8
            3  | wave 1 began: 1 ordered, 1 already current
            3  | … waiting for 1 target
            3  … falling back with DEP-1-FB
            4  | web-1 is in progress
            6  | web-1 is healthy
            6  | wave 1 is up: 2 healthy
            6  | succeeded
            6  fell back
        = fell_back"#]]);
}

#[test]
fn a_stop_before_the_start_cancels() {
    Story { script: "0 unauthorised: no change\n5 stop bob: not today\n6 resume bob\n7 stop bob: again", ..Story::of(rolling()) }.check(expect![[r#"
            0  … waiting for somebody to start it
            0  ada asked to start it
            0  not admitted: no change
            0  … not admitted: no change
            5  cancelled by bob: not today
            6  refused, state_forbids: DEP-1 was cancelled and cannot be resumed; only a paused deployment can be
            7  refused, state_forbids: DEP-1 was cancelled and cannot be stopped; it is over already; fall back if that is what you want
        = cancelled"#]]);
}

#[test]
fn what_succeeded_can_be_taken_back_later_once() {
    let script = "100 back bob: customers complain\n200 back bob: again";
    Story { script, ..Story::of(json!({})) }.check(expect![[r#"
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
          100  taken back by bob: customers complain
          100  falling back with DEP-1-FB
          100  | tidegate asked to start it
          100  | admitted and started as generation 8
          100  | wave 1 began: 2 ordered
          100  | … waiting for 2 targets
          100  … falling back with DEP-1-FB
          101  | web-1 is in progress
          101  | web-2 is in progress
          103  | web-1 is healthy
          103  | … waiting for 1 target
          103  | web-2 is healthy
          103  | wave 1 is up: 2 healthy
          103  | succeeded
          103  fell back
          200  refused, state_forbids: DEP-1 has fallen back and cannot fall back; it must have started, and not have fallen back before
        = fell_back"#]]);
}

#[test]
fn nothing_is_taken_back_where_nothing_was_touched() {
    let script = "100 back bob: to be sure";
    Story { script, current: vec!["web-1", "web-2"], ..Story::of(json!({})) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 2 already current
            0  wave 1 is up: 2 healthy
            0  succeeded
          100  refused, nothing_to_do: DEP-1 has not touched any target; stop it, if it is still under way
        = succeeded"#]]);
}

#[test]
fn no_fallback_by_itself_passes_an_irreversible_step() {
    let script = "60 back bob: the old version reads the new schema";
    Story { steps: Steps::Irreversible, fleet: "web-2: fails", script, ..Story::of(rolling()) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            3  web-1 is healthy
            3  wave 1 is up: 1 healthy
            3  wave 1 is complete
            3  wave 2 began: 1 ordered
            4  web-2 is in progress
            6  web-2 failed: step switch: no space left
            6  failing: 1 target failed, 0 tolerated; web-2: step switch: no space left
            6  … asks about web-1: step "migrate" began and cannot be taken back; fall back all the same, or stop here?
           60  taken back by bob: the old version reads the new schema
           60  falling back with DEP-1-FB
           60  | tidegate asked to start it
           60  | admitted and started as generation 8
           60  | wave 1 began: 1 ordered, 1 already current
           60  | … waiting for 1 target
           60  … falling back with DEP-1-FB
           61  | web-1 is in progress
           63  | web-1 is healthy
           63  | wave 1 is up: 2 healthy
           63  | succeeded
           63  fell back
        = fell_back"#]]);
}

#[test]
fn a_person_may_stop_at_an_irreversible_step() {
    let script = "60 stop bob: repaired by hand";
    Story { steps: Steps::Irreversible, fleet: "web-2: fails", script, ..Story::of(rolling()) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            3  web-1 is healthy
            3  wave 1 is up: 1 healthy
            3  wave 1 is complete
            3  wave 2 began: 1 ordered
            4  web-2 is in progress
            6  web-2 failed: step switch: no space left
            6  failing: 1 target failed, 0 tolerated; web-2: step switch: no space left
            6  … asks about web-1: step "migrate" began and cannot be taken back; fall back all the same, or stop here?
           60  stopped by bob: repaired by hand
           60  cancelled by bob
        = cancelled"#]]);
}

#[test]
fn an_irreversible_step_may_have_begun_where_nobody_answers() {
    let story = Story { steps: Steps::Irreversible, fleet: "web-1: silent", ..Story::of(rolling()) };
    story.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
           60  web-1 is unreachable: no answer within 60 s
           60  failing: 1 target failed, 0 tolerated; web-1: no answer within 60 s
           60  … asks about web-1: step "migrate" may have begun and cannot be taken back; fall back all the same, or stop here?
        = failing"#]]);
}

#[test]
fn an_irreversible_step_is_not_forgotten_by_a_retry() {
    let strategy = json!({"cut": "all_at_once", "max_failures": 1});
    let script = "10 retry web-1 bob: once more";
    Story { steps: Steps::Irreversible, fleet: "web-1: fails then refuses; web-2: refuses:30", script, ..Story::of(strategy) }
        .check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 2 ordered
            0  … waiting for 2 targets
            1  web-1 is in progress
            3  web-1 failed: step switch: no space left
            3  … waiting for 1 target
           10  web-1 tries again, as bob asked: once more
           10  … waiting for 2 targets
           12  web-1 failed: generation_low: generation 1 is below 7
           12  … waiting for 1 target
           30  web-2 failed: generation_low: generation 1 is below 7
           30  failing: 2 targets failed, 1 tolerated; web-1: generation_low: generation 1 is below 7
           30  … asks about web-1: step "migrate" began and cannot be taken back; fall back all the same, or stop here?
        = failing"#]]);
}

#[test]
fn nothing_goes_back_to_what_was_rejected_since() {
    let script = "2 rejected: shop-web 1.0 of release 1.0, which bob rejected: it leaks";
    Story { count: 2, fleet: "web-1: fails", script, ..Story::of(json!({})) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 2 ordered
            0  … waiting for 2 targets
            1  web-1 is in progress
            1  web-2 is in progress
            3  web-1 failed: step switch: no space left
            3  failing: 1 target failed, 0 tolerated; web-1: step switch: no space left
            3  … waiting for 1 target
            3  web-2 is healthy
            3  failed: 1 target failed, 0 tolerated; web-1: step switch: no space left; there is no way back, as it would bring shop-web 1.0 of release 1.0, which bob rejected: it leaks
        = failed"#]]);
}

#[test]
fn a_fleet_that_makes_no_progress_fails_before_the_time_of_its_targets() {
    let fleet = "web-2: hangs; web-3: hangs";
    let strategy = json!({"progress_deadline_seconds": 30, "on_failure": "stop"});
    Story { count: 3, fleet, ..Story::of(strategy) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 3 ordered
            0  … waiting for 3 targets
            1  web-1 is in progress
            1  web-2 is in progress
            1  web-3 is in progress
            3  web-1 is healthy
            3  … waiting for 2 targets
           33  failing: no target became healthy for 30 s; 2 targets at work
          321  web-2, web-3 timed out: not done within 320 s
          321  failed: no target became healthy for 30 s; 2 targets at work
        = failed"#]]);
}

#[test]
fn the_progress_deadline_begins_anew_with_each_healthy_target() {
    let fleet = "web-1: well:20; web-2: well:40; web-3: well:60";
    Story { count: 3, fleet, ..Story::of(json!({"progress_deadline_seconds": 25})) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 3 ordered
            0  … waiting for 3 targets
            1  web-1 is in progress
            1  web-2 is in progress
            1  web-3 is in progress
           21  web-1 is healthy
           21  … waiting for 2 targets
           41  web-2 is healthy
           41  … waiting for 1 target
           61  web-3 is healthy
           61  wave 1 is up: 3 healthy
           61  succeeded
        = succeeded"#]]);
}

#[test]
fn the_progress_deadline_is_frozen_during_a_pause() {
    let fleet = "web-1: well:50";
    let script = "10 pause ada: lunch\n40 resume ada";
    let strategy = json!({"progress_deadline_seconds": 30});
    Story { count: 1, fleet, script, ..Story::of(strategy) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
           10  paused by ada: lunch
           10  … paused by ada: lunch
           40  resumed by ada
           40  … waiting for 1 target
           51  web-1 is healthy
           51  wave 1 is up: 1 healthy
           51  succeeded
        = succeeded"#]]);
}

#[test]
fn the_progress_deadline_waits_for_an_answer() {
    let fleet = "web-1: unsure then well; web-2: well:70";
    let script = "60 answer web-1 ran ada";
    let strategy = json!({"progress_deadline_seconds": 30});
    Story { count: 2, steps: Steps::Once, fleet, script, ..Story::of(strategy) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 2 ordered
            0  … waiting for 2 targets
            1  web-1 is in progress
            1  web-2 is in progress
            3  web-1 is in doubt: the agent was away while it ran
            3  … waiting for 1 target
           60  web-1 tries again, as ada asked: step "migrate" has run
           60  … waiting for 2 targets
           61  web-1 is in progress
           63  web-1 is healthy
           63  … waiting for 1 target
           71  web-2 is healthy
           71  wave 1 is up: 2 healthy
           71  succeeded
        = succeeded"#]]);
}

#[test]
fn no_wave_leaves_fewer_targets_healthy_than_asked() {
    // Two of four may be out at once; one has failed already, so the second wave of two has no room.
    let strategy = json!({"cut": {"rolling": {"batches": [2]}}, "max_failures": 2, "min_healthy": 2, "on_failure": "stop"});
    Story { count: 4, fleet: "web-1: fails", ..Story::of(strategy) }.check(expect![[r#"
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
            3  wave 1 is complete
            3  failing: wave 2 would leave 1 of 4 targets healthy, at least 2 asked; web-1: step switch: no space left
            3  failed: wave 2 would leave 1 of 4 targets healthy, at least 2 asked; web-1: step switch: no space left
        = failed"#]]);
}

#[test]
fn a_target_that_tries_again_makes_room() {
    let strategy = json!({"cut": {"rolling": {"batches": [2]}}, "max_failures": 2, "min_healthy": 2, "on_failure": "stop",
        "after_first": [{"approval": {}}]});
    let script = "10 retry web-1 ada: disk cleaned\n20 approve 0.after.0 bob";
    Story { count: 4, fleet: "web-1: fails then well", script, ..Story::of(strategy) }.check(expect![[r#"
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
            3  gate approval opened
            3  … waiting for 1 more approval: may it go on?
           10  web-1 tries again, as ada asked: disk cleaned
           10  … waiting for 1 target
           11  web-1 is in progress
           13  web-1 is healthy
           13  wave 1 is up: 2 healthy
           13  gate approval opened
           13  … waiting for 1 more approval: may it go on?
           20  bob said yes at the gate
           20  gate approval passed: approved by bob
           20  wave 1 is complete
           20  wave 2 began: 2 ordered
           20  … waiting for 2 targets
           21  web-3 is in progress
           21  web-4 is in progress
           23  web-3 is healthy
           23  … waiting for 1 target
           23  web-4 is healthy
           23  wave 2 is up: 2 healthy
           23  succeeded
        = succeeded"#]]);
}
