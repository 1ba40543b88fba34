//! What holds a deployment, and how it is let go.

use expect_test::expect;
use serde_json::{Value, json};

use crate::script::Story;

fn rolling() -> Value {
    json!({"cut": {"rolling": {"batches": [1]}}})
}

#[test]
fn a_pause_lets_the_wave_end_and_gives_no_more_orders() {
    Story { script: "1 pause bob: lunch\n1 pause eve: me too\n600 resume bob\n600 resume bob", ..Story::of(rolling()) }.check(expect![]);
}

#[test]
fn a_retry_while_paused_can_still_be_resumed() {
    let strategy = json!({"cut": "all_at_once", "max_failures": 1});
    let script = "10 pause bob: look\n20 retry web-2 bob: cleaned\n60 resume bob";
    Story { fleet: "web-2: fails then well", script, ..Story::of(strategy) }.check(expect![]);
}

#[test]
fn a_freeze_lets_the_wave_end_holds_and_lifts_by_itself() {
    let script = "1 freeze autumn until 900\n30 resume bob\n900 thaw";
    Story { script, ..Story::of(rolling()) }.check(expect![]);
}

#[test]
fn an_exception_lets_it_through() {
    Story { script: "1 freeze autumn until 900\n300 thaw", ..Story::of(rolling()) }.check(expect![]);
}

#[test]
fn a_freeze_does_not_touch_the_last_wave_nor_the_way_back() {
    let strategy = json!({"cut": {"rolling": {"batches": [1]}}});
    Story { fleet: "web-2: fails", script: "5 freeze autumn until 900\n905 thaw", ..Story::of(strategy) }.check(expect![]);
}

#[test]
fn nobody_slips_an_order_through_a_freeze() {
    let strategy = json!({"cut": {"rolling": {"batches": [2]}}, "max_failures": 1});
    let script = "1 freeze autumn until 900\n60 retry web-1 bob: quick\n70 pause bob: let me decide\n900 thaw\n950 resume bob\n\
                  960 exclude web-1 bob: broken";
    Story { count: 3, fleet: "web-1: fails", script, ..Story::of(strategy) }.check(expect![]);
}

#[test]
fn a_stop_works_during_a_freeze() {
    Story { script: "1 freeze autumn until 900\n60 stop-and-back bob: enough", ..Story::of(rolling()) }.check(expect![]);
}

#[test]
fn a_start_may_be_planned_and_then_waits_for_what_it_lacks() {
    let script = "0 start at 100\n0 unauthorised: live is controlled and no change authorises this deployment\n\
                  200 blocked until 300: freeze \"autumn\" is in force\n300 admitted";
    Story { count: 1, script, ..Story::of(json!({})) }.check(expect![]);
}

#[test]
fn an_expired_plan_never_starts() {
    let script = "0 unauthorised: no change\n50 never: web-1 changed since the plan was made\n60 start";
    Story { count: 1, script, ..Story::of(json!({})) }.check(expect![]);
}
