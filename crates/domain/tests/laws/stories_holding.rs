//! What holds a deployment, and how it is let go.

use expect_test::expect;
use serde_json::{Value, json};

use crate::script::Story;

fn rolling() -> Value {
    json!({"cut": {"rolling": {"batches": [1]}}})
}

#[test]
fn a_pause_lets_the_wave_end_and_gives_no_more_orders() {
    Story { script: "1 pause bob: lunch\n1 pause eve: me too\n600 resume bob\n600 resume bob", ..Story::of(rolling()) }.check(
        expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            1  paused by bob: lunch
            1  … paused by bob: lunch
            1  refused, state_forbids: DEP-1 is paused and cannot be paused; only a running deployment can be
            3  web-1 is healthy
          600  resumed by bob
          600  wave 1 is up: 1 healthy
          600  wave 1 is complete
          600  wave 2 began: 1 ordered
          600  … waiting for 1 target
          600  refused, state_forbids: DEP-1 is running and cannot be resumed; only a paused deployment can be
          601  web-2 is in progress
          603  web-2 is healthy
          603  wave 2 is up: 1 healthy
          603  succeeded
        = succeeded"#]],
    );
}

#[test]
fn a_retry_while_paused_can_still_be_resumed() {
    let strategy = json!({"cut": "all_at_once", "max_failures": 1});
    let script = "10 pause bob: look\n20 retry web-2 bob: cleaned\n60 resume bob";
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
            3  … asks about web-2: try again, or exclude? Success means every target of the frozen set
           10  paused by bob: look
           10  … paused by bob: look
           20  web-2 tries again, as bob asked: cleaned
           21  web-2 is in progress
           23  web-2 is healthy
           60  resumed by bob
           60  wave 1 is up: 2 healthy
           60  succeeded
        = succeeded"#]]);
}

#[test]
fn a_freeze_lets_the_wave_end_holds_and_lifts_by_itself() {
    let script = "1 freeze autumn until 900\n30 resume bob\n900 thaw";
    Story { script, ..Story::of(rolling()) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            1  (freeze "autumn" is in force)
            3  web-1 is healthy
            3  wave 1 is up: 1 healthy
            3  wave 1 is complete
            3  paused by freeze "autumn": no further wave begins
            3  … waiting for the end of freeze "autumn" or an exception, until 900
           30  refused, state_forbids: DEP-1 is paused and cannot be resumed during a freeze; get an exception approved, or wait for its end
          900  (no freeze holds it)
          900  resumed by the end of the freeze, or an exception
          900  wave 2 began: 1 ordered
          900  … waiting for 1 target
          901  web-2 is in progress
          903  web-2 is healthy
          903  wave 2 is up: 1 healthy
          903  succeeded
        = succeeded"#]]);
}

#[test]
fn an_exception_lets_it_through() {
    Story { script: "1 freeze autumn until 900\n300 thaw", ..Story::of(rolling()) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            1  (freeze "autumn" is in force)
            3  web-1 is healthy
            3  wave 1 is up: 1 healthy
            3  wave 1 is complete
            3  paused by freeze "autumn": no further wave begins
            3  … waiting for the end of freeze "autumn" or an exception, until 900
          300  (no freeze holds it)
          300  resumed by the end of the freeze, or an exception
          300  wave 2 began: 1 ordered
          300  … waiting for 1 target
          301  web-2 is in progress
          303  web-2 is healthy
          303  wave 2 is up: 1 healthy
          303  succeeded
        = succeeded"#]]);
}

#[test]
fn a_freeze_does_not_touch_the_last_wave_nor_the_way_back() {
    let strategy = json!({"cut": {"rolling": {"batches": [1]}}});
    Story { fleet: "web-2: fails", script: "5 freeze autumn until 900\n905 thaw", ..Story::of(strategy) }.check(expect![[r#"
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
            5  (freeze "autumn" is in force)
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
          905  (no freeze holds it)
        = fell_back"#]]);
}

#[test]
fn nobody_slips_an_order_through_a_freeze() {
    let strategy = json!({"cut": {"rolling": {"batches": [2]}}, "max_failures": 1});
    let script = "1 freeze autumn until 900\n60 retry web-1 bob: quick\n70 pause bob: let me decide\n900 thaw\n950 resume bob\n\
                  960 exclude web-1 bob: broken";
    Story { count: 3, fleet: "web-1: fails", script, ..Story::of(strategy) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 2 ordered
            0  … waiting for 2 targets
            1  web-1 is in progress
            1  web-2 is in progress
            1  (freeze "autumn" is in force)
            3  web-1 failed: step switch: no space left
            3  … waiting for 1 target
            3  web-2 is healthy
            3  wave 1 has ended within the budget: 1 healthy, 1 failed
            3  wave 1 is complete
            3  paused by freeze "autumn": no further wave begins
            3  … waiting for the end of freeze "autumn" or an exception, until 900
           60  refused, state_forbids: DEP-1 is paused and cannot give orders during a freeze; get an exception approved, or wait for its end
           70  paused by bob: let me decide
           70  … paused by bob: let me decide
          900  (no freeze holds it)
          950  resumed by bob
          950  wave 2 began: 1 ordered
          950  … waiting for 1 target
          951  web-3 is in progress
          953  web-3 is healthy
          953  wave 2 is up: 1 healthy
          953  … asks about web-1: try again, or exclude? Success means every target of the frozen set
          960  web-1 was excluded by bob: broken
          960  succeeded
        = succeeded"#]]);
}

#[test]
fn a_stop_works_during_a_freeze() {
    Story { script: "1 freeze autumn until 900\n60 stop-and-back bob: enough", ..Story::of(rolling()) }.check(expect![[r#"
            0  ada asked to start it
            0  admitted and started as generation 7
            0  wave 1 began: 1 ordered
            0  … waiting for 1 target
            1  web-1 is in progress
            1  (freeze "autumn" is in force)
            3  web-1 is healthy
            3  wave 1 is up: 1 healthy
            3  wave 1 is complete
            3  paused by freeze "autumn": no further wave begins
            3  … waiting for the end of freeze "autumn" or an exception, until 900
           60  taken back by bob: enough
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
fn a_start_may_be_planned_and_then_waits_for_what_it_lacks() {
    let script = "0 start at 100\n0 unauthorised: live is controlled and no change authorises this deployment\n\
                  200 blocked until 300: freeze \"autumn\" is in force\n300 admitted";
    Story { count: 1, script, ..Story::of(json!({})) }.check(expect![[r#"
            0  … waiting for somebody to start it
            0  ada asked to start it
            0  waiting for its planned time
            0  … waiting for its planned time, until 100
          100  not admitted: live is controlled and no change authorises this deployment
          100  … not admitted: live is controlled and no change authorises this deployment
          200  not admitted: freeze "autumn" is in force
          200  … not admitted: freeze "autumn" is in force, until 300
          300  admitted and started as generation 7
          300  wave 1 began: 1 ordered
          300  … waiting for 1 target
          301  web-1 is in progress
          303  web-1 is healthy
          303  wave 1 is up: 1 healthy
          303  succeeded
        = succeeded"#]]);
}

#[test]
fn an_expired_plan_never_starts() {
    let script = "0 unauthorised: no change\n50 never: web-1 changed since the plan was made\n60 start";
    Story { count: 1, script, ..Story::of(json!({})) }.check(expect![[r#"
            0  … waiting for somebody to start it
           60  ada asked to start it
           60  can no longer start: web-1 changed since the plan was made
        = expired"#]]);
}
