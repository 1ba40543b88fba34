//! Things to test with: a fleet of web targets, one component, plans made the way the product makes them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidegate_domain::deployment::artifact::{Artifact, Format};
use tidegate_domain::deployment::plan::{self, Choice, Ingredients, Plan, Plans};
use tidegate_domain::deployment::rollout::{Birth, Deployment};
use tidegate_domain::deployment::strategy::Strategy;
use tidegate_domain::estate::{Attested, Component, Environment, Target};
use tidegate_domain::event::Actor;
use tidegate_domain::{Digest, Id, Millis, Name, Version};

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub fn names(texts: &[&str]) -> Vec<Name> {
    texts.iter().map(|text| name(text)).collect()
}

pub fn id(text: &str) -> Id {
    Id::parse(text).unwrap()
}

pub fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

/// The digest of the artifact of a version.
pub fn bytes_of(version: &str) -> Digest {
    Digest::of(version.as_bytes())
}

/// What a target says that has a version of `shop-web`.
pub fn has(version_text: &str) -> BTreeMap<Name, Attested> {
    let attested = Attested { version: version(version_text), digest: bytes_of(version_text), complete: true };
    BTreeMap::from([(name("shop-web"), attested)])
}

/// The steps that a case asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    /// Unpack and switch.
    Plain,
    /// With a migration that must not run twice, before the switch.
    Once,
    /// With a migration that must not run twice and cannot be taken back.
    Irreversible,
}

pub fn component(steps: Steps) -> Component {
    let migrate = |irreversible: bool| json!({"name": "migrate", "do": {"script": {"run": "bin/migrate", "class": "once"}}, "timeout_seconds": 10, "irreversible": irreversible});
    let between = match steps {
        Steps::Plain => vec![],
        Steps::Once => vec![migrate(false)],
        Steps::Irreversible => vec![migrate(true)],
    };
    let first = json!({"name": "unpack", "do": "unpack", "timeout_seconds": 10});
    let last = json!({"name": "switch", "do": "switch", "timeout_seconds": 10});
    let steps: Vec<Value> = [first].into_iter().chain(between).chain([last]).collect();
    serde_json::from_value(json!({"name": "shop-web", "application": "shop", "steps": steps})).unwrap()
}

pub fn artifact(component: &str, version_text: &str) -> Artifact {
    Artifact {
        digest: bytes_of(version_text),
        component: name(component),
        version: version(version_text),
        format: Format::TarGz,
        size_bytes: 1_000,
        signature: None,
        uploaded_at_ms: 0,
        uploaded_by: "ada".into(),
    }
}

pub fn environment(controlled: bool) -> Environment {
    serde_json::from_value(json!({"name": "live", "tier": "production", "controlled": controlled, "variables": {"host": "web"}}))
        .unwrap()
}

/// `web-1` to `web-<count>`.
pub fn targets(count: usize) -> Vec<Target> {
    let target = |number| serde_json::from_value(json!({"name": format!("web-{number}"), "environment": "live"})).unwrap();
    (1..=count).map(target).collect()
}

pub fn strategy(value: Value) -> Strategy {
    serde_json::from_value(value).unwrap()
}

/// Plans from 1.0 to 1.1 for so many targets, of which some have 1.1 already.
pub fn plans(strategy: &Strategy, steps: Steps, count: usize, current: &[&str]) -> Plans {
    let (component, targets) = (component(steps), targets(count));
    let (old, new) = (artifact("shop-web", "1.0"), artifact("shop-web", "1.1"));
    let (has_old, has_new) = (has("1.0"), has("1.1"));
    let attested = |target: &Target| if current.contains(&target.name.as_str()) { &has_new } else { &has_old };
    let ingredients = Ingredients {
        environment: &environment(true),
        forward: vec![Choice { component: &component, artifact: &new }],
        back: Ok(vec![Choice { component: &component, artifact: &old }]),
        strategy,
        targets: targets.iter().map(|target| (target, attested(target))).collect(),
    };
    plan::make(&ingredients).unwrap()
}

/// The plan of a plain deployment: all at once, two targets.
pub fn plain_plan() -> Plan {
    plans(&Strategy::all_at_once(), Steps::Plain, 2, &[]).forward
}

pub fn born(plan: &Plan, id: Id, takes_back: Option<Id>, now_ms: Millis) -> Deployment {
    let requested_by = Actor::Person(name("ada"));
    let birth = Birth { id, plan, digest: plan.digest(), release: None, change: None, requested_by, takes_back };
    Deployment::new(birth, now_ms)
}
