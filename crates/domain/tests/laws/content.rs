//! Canonical JSON and digests: whatever is changed in a plan is seen in its digest, and nothing else is.

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_domain::canonical;
use tidegate_domain::deployment::plan::{Plan, Plans};

use crate::world::{Steps, plans, strategy};

/// Plans with something in every field.
fn rich() -> Plans {
    let selector = json!({"metric": "bad", "labels": {"code": "500"}});
    let endpoint =
        json!({"endpoint": {"url": "http://{{ host }}/metrics", "numerator": selector, "denominator": {"metric": "all"}}});
    let way = json!({
        "cut": {"canary": {"first": 1, "then": ["50%"]}},
        "before": [{"approval": {"quorum": 2}}, {"window": {"days": ["friday"], "from": "22:00", "until": "23:00"}}],
        "after_first": [{"bake": {"at_least_seconds": 60, "samples_at_least": 10}}],
        "after_each": [
            {"check": {"name": "smoke", "probe": {"http": {"url": "http://web", "contains": "ok"}}}},
            {"metric": {"name": "error rate", "source": endpoint, "at_most": 0.05, "at_least": 0.0}},
        ],
        "max_failures": "50%",
    });
    plans(&strategy(way), Steps::Irreversible, 4, &["web-2"])
}

/// `value` with each leaf changed, one at a time, and each member or item left out.
fn mutants(value: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let mut without = members.clone();
                without.remove(key);
                found.push((format!("{key} left out"), Value::Object(without)));
                for (place, mutant) in mutants(member) {
                    let mut changed = members.clone();
                    changed.insert(key.clone(), mutant);
                    found.push((format!("{key}.{place}"), Value::Object(changed)));
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let mut without = items.clone();
                without.remove(index);
                found.push((format!("[{index}] left out"), Value::Array(without)));
                for (place, mutant) in mutants(item) {
                    let mut changed = items.clone();
                    changed[index] = mutant;
                    found.push((format!("[{index}].{place}"), Value::Array(changed)));
                }
            }
            if items.len() > 1 {
                found.push(("order".into(), Value::Array(items.iter().rev().cloned().collect())));
            }
        }
        Value::Null => found.push(("null".into(), json!("x"))),
        Value::Bool(truth) => found.push(("truth".into(), json!(!truth))),
        Value::Number(number) => found.push(("number".into(), json!(number.as_f64().unwrap() + 1.0))),
        Value::String(text) => found.push(("text".into(), json!(format!("{text}0")))),
    }
    found
}

#[test]
fn whatever_changes_in_a_plan_changes_its_digest() {
    let plan = rich().forward;
    let value = serde_json::to_value(&plan).unwrap();
    let mutants = mutants(&value);
    assert!(mutants.len() > 300, "only {} mutants", mutants.len());
    let mut readable = 0;
    for (place, mutant) in mutants.into_iter().filter(|(_, mutant)| *mutant != value) {
        assert_ne!(canonical::digest(&mutant), plan.digest(), "{place}");
        // Where it still is a plan, it is another plan, unless only a default was left out.
        if let Ok(other) = serde_json::from_value::<Plan>(mutant) {
            assert_eq!(other == plan, other.digest() == plan.digest(), "{place}");
            readable += usize::from(other != plan);
        }
    }
    assert!(readable > 100, "only {readable} mutants are plans");
}

#[test]
fn a_digest_survives_being_stored() {
    let plans = rich();
    for plan in [&plans.forward, plans.fallback.as_ref().unwrap()] {
        let stored = serde_json::to_string_pretty(plan).unwrap();
        let read: Plan = serde_json::from_str(&stored).unwrap();
        assert_eq!(&read, plan);
        assert_eq!(read.digest(), plan.digest());
        assert_eq!(serde_json::from_str::<Plan>(&canonical::text(plan)).unwrap().digest(), plan.digest());
    }
}

#[test]
fn the_way_back_is_part_of_what_is_approved() {
    let plans = rich();
    let back = plans.fallback.unwrap();
    assert_eq!(plans.forward.fallback, Some(back.digest()));
    let other = Plan { unreachable_after_seconds: back.unreachable_after_seconds + 1, ..back };
    let forward = Plan { fallback: Some(other.digest()), ..plans.forward.clone() };
    assert_ne!(forward.digest(), plans.forward.digest());
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..5).prop_map(Value::from_iter),
        ]
    })
}

/// The same value with the members of every object the other way round.
fn reversed(value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().rev().map(|(key, member)| (key.clone(), reversed(member))).collect(),
        Value::Array(items) => items.iter().map(reversed).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

proptest! {
    #[test]
    fn canonical_text_is_one_text_for_one_value(value in json_value(), other in json_value()) {
        let text = canonical::text(&value);
        prop_assert_eq!(&canonical::text(&reversed(&value)), &text);
        let read: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&canonical::text(&read), &text);
        prop_assert_eq!(canonical::digest(&value) == canonical::digest(&other), text == canonical::text(&other));
    }
}
