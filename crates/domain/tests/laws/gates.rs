//! What gates ask for, in their own words, and what they cannot be.

use expect_test::expect;
use serde_json::{Value, json};
use tidegate_domain::gate::{Evidence, Gate, Verdict};

use crate::world::names;

fn gate(value: Value) -> Gate {
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_gate_says_what_it_asks_for() {
    let prometheus = json!({"prometheus": {"server": "http://127.0.0.1:9090", "query": "up"}});
    let gates = [
        json!({"approval": {"quorum": 2, "question": "is the shop quiet?"}}),
        json!({"bake": {"at_least_seconds": 60}}),
        json!({"bake": {"at_least_seconds": 60, "samples_at_least": 100}}),
        json!({"check": {"name": "smoke", "probe": {"tcp": {"address": "web:80"}}, "times": 3}}),
        json!({"check": {"name": "page", "probe": {"http": {"url": "http://web"}}}}),
        json!({"check": {"name": "script", "probe": {"command": {"run": ["bin/smoke", "-q"]}}}}),
        json!({"metric": {"name": "load", "source": prometheus, "at_least": 1.0, "at_most": 2.5}}),
        json!({"window": {"days": ["friday"], "from": "22:00", "until": "02:00", "zone": "Europe/Vienna"}}),
    ];
    let said = gates.into_iter().map(|value| gate(value).condition() + "\n").collect::<String>();
    expect![[r#"
        2 of the people who may say yes: is the shop quiet?
        well for 60 s
        well for 60 s and 100 requests
        web:80 accepts connections, 3 times
        GET http://web answers well
        `bin/smoke -q` ends 0
        load: allowed 1 to 2.5, 3 times
        Friday 22:00–02:00 Europe/Vienna
    "#]]
    .assert_eq(&said);
}

#[test]
fn a_gate_that_cannot_be_is_refused_with_its_place() {
    let metric = |fields: Value| {
        let mut metric = json!({"name": "load", "source": {"prometheus": {"server": "s", "query": "q"}}});
        metric.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"metric": metric})
    };
    let gates = [
        json!({"approval": {"quorum": 0}}),
        json!({"approval": {"quorum": 21}}),
        json!({"bake": {"at_least_seconds": 0}}),
        json!({"bake": {"at_least_seconds": 2_592_001}}),
        json!({"check": {"name": "smoke", "probe": {"tcp": {"address": "web:80"}}, "times": 0}}),
        json!({"check": {"name": "smoke", "probe": {"command": {"run": []}}}}),
        metric(json!({})),
        metric(json!({"at_least": 2.0, "at_most": 1.0})),
        metric(json!({"at_most": 1.0, "patience": 0})),
        json!({"window": {"from": "25:00", "until": "02:00"}}),
        json!({"window": {"from": "22:00", "until": "02:00", "zone": "Europe/Wien"}}),
    ];
    let said = gates.into_iter().map(|value| {
        let refusal = gate(value).check().unwrap_err();
        format!("{} at {}: {refusal}\n", refusal.code, refusal.place.clone().unwrap_or_default())
    });
    expect![[r#"
        out_of_range at quorum: quorum of gate approval is 0; use 1 to 20
        out_of_range at quorum: quorum of gate approval is 21; use 1 to 20
        out_of_range at at_least_seconds: at_least_seconds of gate bake is 0; use 1 to 2592000
        out_of_range at at_least_seconds: at_least_seconds of gate bake is 2592001; use 1 to 2592000
        out_of_range at times: times of gate smoke is 0; use 1 to 100
        malformed at probe.command.run: check smoke has no command; give run: [program, arguments…]
        out_of_range at load: metric load has no threshold that a number could meet; give at_most, at_least or both, the lower one first
        out_of_range at load: metric load has no threshold that a number could meet; give at_most, at_least or both, the lower one first
        out_of_range at patience: patience of gate load is 0; use 1 to 1000
        malformed at window: "25:00" is not a time of day; use HH:MM, such as 22:30
        out_of_range at window: failed to find time zone `Europe/Wien` in time zone database; use an IANA zone name
    "#]].assert_eq(&said.collect::<String>());
}

#[test]
fn a_person_counts_once_at_a_gate() {
    let approval = gate(json!({"approval": {"quorum": 2}}));
    let asked = |people: &[&str]| {
        let approvals = names(people);
        matches!(
            approval.verdict(&Evidence { since_ms: 0, approvals: &approvals, measurements: &[], samples: 0 }, 0),
            Verdict::Pass(_)
        )
    };
    assert!(!asked(&[]) && !asked(&["ada"]) && !asked(&["ada", "ada"]) && asked(&["ada", "bob"]));
}
