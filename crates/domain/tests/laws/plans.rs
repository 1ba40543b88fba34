//! Plans: made once, with every choice in them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use tidegate_domain::deployment::plan::{self, Choice, Ingredients, Plan, Purpose, Ticket};
use tidegate_domain::deployment::strategy::Strategy as Way;
use tidegate_domain::estate::{Attested, Component, Environment, Target};
use tidegate_domain::{Code, Name};

use crate::world::{Steps, artifact, component, environment, has, id, name, plain_plan, plans, strategy, targets};

fn labelled(number: usize, tier: &str) -> Target {
    let target =
        json!({"name": format!("{tier}-{number}"), "environment": "live", "labels": {"tier": tier}, "variables": {"port": "81"}});
    serde_json::from_value(target).unwrap()
}

fn of(component_name: &str, tier: &str) -> Component {
    Component { name: name(component_name), runs_on: BTreeMap::from([("tier".into(), tier.into())]), ..component(Steps::Plain) }
}

/// Two components on three kinds of targets; only the first has a way back.
fn two_components() -> plan::Plans {
    let (web, api) = (of("shop-web", "web"), of("shop-api", "api"));
    let (web_new, api_new, web_old) = (artifact("shop-web", "2.0"), artifact("shop-api", "2.1"), artifact("shop-web", "1.0"));
    let targets = [labelled(2, "web"), labelled(1, "web"), labelled(1, "api"), labelled(1, "mail")];
    let (nothing, variables) = (BTreeMap::new(), BTreeMap::from([("port".into(), "80".into()), ("zone".into(), "b".into())]));
    let ingredients = Ingredients {
        environment: &Environment { variables, ..environment(true) },
        forward: vec![Choice { component: &web, artifact: &web_new }, Choice { component: &api, artifact: &api_new }],
        back: Ok(vec![Choice { component: &web, artifact: &web_old }]),
        strategy: &Way::all_at_once(),
        targets: targets.iter().map(|target| (target, &nothing)).collect(),
    };
    plan::make(&ingredients).unwrap()
}

#[test]
fn targets_are_chosen_by_label_and_sorted() {
    let plan = two_components().forward;
    let carried = |target: &plan::PlannedTarget| {
        (target.name.to_string(), target.components.iter().map(Name::to_string).collect::<Vec<_>>())
    };
    let found: Vec<_> = plan.targets().map(|(_, target)| carried(target)).collect();
    let one = |target: &str, component: &str| (target.to_owned(), vec![component.to_owned()]);
    assert_eq!(found, vec![one("api-1", "shop-api"), one("web-1", "shop-web"), one("web-2", "shop-web")]);
    let variables = &plan.waves[0].targets[0].variables;
    assert_eq!((variables["port"].as_str(), variables["zone"].as_str()), ("81", "b"), "a target's own win");
}

#[test]
fn an_order_carries_what_its_target_carries_and_nothing_else() {
    let plan = two_components().forward;
    let digest = plan.digest();
    let ticket =
        Ticket { deployment: &id("DEP-1"), plan: &digest, attempt: 3, generation: 9, expires_at_ms: 60_000, start_at: 1 };
    for (_, target) in plan.targets() {
        let order = plan.order(target, &ticket);
        let installed: Vec<&Name> = order.installations.iter().map(|installation| &installation.component).collect();
        assert_eq!(installed, target.components.iter().collect::<Vec<_>>());
        assert_eq!((order.attempt, order.plan, order.generation), (format!("DEP-1:{}:3", target.name), plan.digest(), 9));
        assert_eq!((&order.target, order.start_at, order.variables), (&target.name, 1, target.variables.clone()));
    }
}

#[test]
fn the_way_back_is_made_together_with_the_way_there() {
    let plans = two_components();
    let back = plans.fallback.unwrap();
    assert_eq!(plans.forward.fallback, Some(back.digest()));
    assert_eq!((back.purpose, back.fallback.clone(), back.waves.len()), (Purpose::Fallback, None, 1));
    assert_eq!(back.targets().count(), plans.forward.targets().count());
    // A target whose component the way back does not know has nothing to do.
    let api = &back.waves[0].targets[0];
    assert!(back.is_current(api, None));
}

#[test]
fn without_a_way_back_the_plan_says_why() {
    let (component, new) = (component(Steps::Plain), artifact("shop-web", "1.1"));
    let ingredients = Ingredients {
        environment: &environment(true),
        forward: vec![Choice { component: &component, artifact: &new }],
        back: Err("nothing was verified here before".into()),
        strategy: &Way::all_at_once(),
        targets: vec![],
    };
    let plans = plan::make(&ingredients).unwrap();
    assert_eq!((plans.fallback, plans.forward.fallback.clone()), (None, None));
    assert_eq!(plans.forward.no_fallback_because.as_deref(), Some("nothing was verified here before"));
    let refusal = plan::make(&Ingredients { forward: vec![], ..ingredients }).unwrap_err();
    assert_eq!(refusal.code, Code::NothingToDo);
}

#[test]
fn too_many_targets_are_refused() {
    let (component, new, nothing) = (component(Steps::Plain), artifact("shop-web", "1.1"), BTreeMap::new());
    let targets = targets(tidegate_domain::limits::TARGETS_MAX + 1);
    let ingredients = Ingredients {
        environment: &environment(true),
        forward: vec![Choice { component: &component, artifact: &new }],
        back: Err("none".into()),
        strategy: &Way::all_at_once(),
        targets: targets.iter().map(|target| (target, &nothing)).collect(),
    };
    assert_eq!(plan::make(&ingredients).unwrap_err().code, Code::TooLarge);
}

#[test]
fn current_is_what_attests_version_bytes_and_a_good_end() {
    let plan: Plan = plain_plan();
    let target = plan.targets().next().unwrap().1;
    let attested = |edit: fn(&mut Attested)| {
        let mut attested = has("1.1");
        edit(attested.get_mut(&name("shop-web")).unwrap());
        plan.is_current(target, Some(&attested))
    };
    assert!(attested(|_| {}));
    assert!(!attested(|it| it.complete = false));
    assert!(!attested(|it| it.version = tidegate_domain::Version::parse("1.2").unwrap()));
    assert!(!attested(|it| it.digest = tidegate_domain::Digest::of(b"other bytes")));
    assert!(!plan.is_current(target, None));
}

#[test]
fn two_windows_that_may_never_meet_are_refused() {
    let window = |from: &str| json!({"window": {"from": from, "until": "23:00"}});
    let refused = |way| strategy(way).check().unwrap_err().code;
    assert_eq!(refused(json!({"before": [window("01:00"), window("02:00")]})), Code::Malformed);
    assert_eq!(refused(json!({"after_first": [window("01:00")], "after_each": [window("02:00")]})), Code::Malformed);
    assert!(strategy(json!({"before": [window("01:00")], "after_each": [window("02:00")]})).check().is_ok());
}

proptest! {
    #[test]
    fn every_target_is_planned_once_and_gates_stand_where_they_belong(count in 0_usize..30, first in 1_u32..10) {
        let way = strategy(json!({"cut": {"canary": {"first": first, "then": ["50%"]}}, "before": [{"approval": {}}],
            "after_first": [{"bake": {"at_least_seconds": 1}}], "after_each": [{"approval": {}}]}));
        let plan = plans(&way, Steps::Plain, count, &[]).forward;
        let found: Vec<&Name> = plan.targets().map(|(_, target)| &target.name).collect();
        prop_assert_eq!(found.len(), count);
        prop_assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
        for (index, wave) in plan.waves.iter().enumerate() {
            let first = usize::from(index == 0);
            prop_assert_eq!((wave.before.len(), wave.after.len()), (first, 1 + first));
            prop_assert!(!wave.targets.is_empty());
        }
    }
}

#[test]
fn a_variable_that_a_target_lacks_is_refused_before_anything_runs() {
    let step = |action: serde_json::Value| serde_json::from_value(json!({"name": "start", "do": action})).unwrap();
    let process = step(json!({"process": {"run": "bin/web", "args": ["--port={{ port }}", "--room={{ rom }}"]}}));
    let verified = step(json!({"script": {"run": "m", "class": "verifiable", "verify": ["v", "{{ rom }}"]}}));
    let health = serde_json::from_value(json!({"probe": {"http": {"url": "http://127.0.0.1:{{ prot }}/"}}})).unwrap();
    let sick = Component { health: Some(health), ..component(Steps::Plain) };
    let check = json!({"check": {"name": "smoke", "probe": {"tcp": {"address": "127.0.0.1:{{ prot }}"}}}});
    let asks = Way { before: vec![serde_json::from_value(check).unwrap()], ..Way::all_at_once() };
    let cases = [
        (Component { steps: vec![process], ..component(Steps::Plain) }, Way::all_at_once(), "step \"start\" of component"),
        (Component { steps: vec![verified], ..component(Steps::Plain) }, Way::all_at_once(), "step \"start\" of component"),
        (sick, Way::all_at_once(), "the health of component"),
        (component(Steps::Plain), asks, "gate smoke"),
    ];
    for (component, strategy, whose) in cases {
        let artifact = artifact(component.name.as_str(), "2.0");
        let (poor, rich) = (labelled(1, "web"), Target { variables: rich_in(&["port", "rom", "prot"]), ..labelled(2, "web") });
        let nothing = BTreeMap::new();
        let made = |targets: &[&Target]| {
            plan::make(&Ingredients {
                environment: &environment(true),
                forward: vec![Choice { component: &component, artifact: &artifact }],
                back: Err("nothing".into()),
                strategy: &strategy,
                targets: targets.iter().map(|target| (*target, &nothing)).collect(),
            })
        };
        assert!(made(&[&rich]).is_ok());
        let refusal = made(&[&rich, &poor]).unwrap_err();
        assert_eq!(refusal.code, Code::TemplateInvalid);
        assert!(refusal.what.starts_with(whose) && refusal.what.contains(" for target web-1: "), "{}", refusal.what);
    }
}

fn rich_in(names: &[&str]) -> BTreeMap<String, String> {
    names.iter().map(|name| ((*name).to_owned(), "1".to_owned())).collect()
}
