//! A deployment to show, made by the domain's own planning; only tests use it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use tidegate_api::Definition;
use tidegate_api::strict;
use tidegate_api::view::{DeploymentDetail, GateState, GateView};
use tidegate_domain::deployment::artifact::{Artifact, Format};
use tidegate_domain::deployment::plan::{self, Choice, Ingredients, Plan};
use tidegate_domain::deployment::rollout::{Birth, Deployment, Side, TargetState, gate_key};
use tidegate_domain::deployment::strategy::Strategy;
use tidegate_domain::estate::{Attested, Component, Environment, Target};
use tidegate_domain::event::Actor;
use tidegate_domain::{Digest, Id, Millis, Name, Version};

/// When the sample begins: 2026-11-21 14:00:00 +01:00.
pub const BEGUN_MS: Millis = 1_795_266_000_000;

/// The zone in which it is shown.
pub fn zone() -> TimeZone {
    TimeZone::get("Europe/Vienna").expect("a zone")
}

const COMPONENT: &str =
    "component: {name: shop, application: shop, steps: [{name: unpack, do: unpack}, {name: switch, do: switch}]}";
const STRATEGY: &str = "\
cut: {canary: {first: 1, then: []}}
after_first:
  - metric:
      name: error rate
      source: {prometheus: {server: \"http://127.0.0.1:9090\", query: errors}}
      at_most: 0.05
after_each:
  - bake: {at_least_seconds: 30}
";

/// A canary of one of four targets, planned and not started.
pub fn detail() -> DeploymentDetail {
    let plan = plan();
    let birth = Birth {
        id: Id::parse("DEP-sample").expect("an id"),
        plan: &plan,
        digest: plan.digest(),
        release: None,
        change: Some(Id::parse("CHG-sample").expect("an id")),
        requested_by: Actor::Person(Name::parse("ada").expect("a name")),
        takes_back: None,
    };
    let deployment = Deployment::new(birth, BEGUN_MS);
    let targets = deployment.targets.values().cloned().collect();
    let gates = plan.waves.iter().enumerate().flat_map(|(wave, it)| {
        it.after.iter().enumerate().map(move |(index, gate)| GateView {
            key: gate_key(wave as u32, Side::After, index),
            wave: wave as u32,
            kind: gate.name(),
            name: gate.name(),
            condition: gate.condition(),
            state: GateState::Pending,
            sentence: String::new(),
            since_ms: None,
            until_ms: None,
            measurements: Vec::new(),
            approvals: Vec::new(),
        })
    });
    let gates = gates.collect();
    DeploymentDetail {
        deployment,
        plan: plan.into(),
        targets,
        gates,
        reasons: Vec::new(),
        sentence: "waiting for somebody to start it".into(),
    }
}

/// Puts a target into a state, with its counts, as the domain would.
pub fn target(detail: &mut DeploymentDetail, index: usize, state: TargetState, at_ms: Millis) {
    let progress = Arc::make_mut(&mut detail.targets[index]);
    (progress.state, progress.attempt, progress.changed_at_ms) = (state, 1, at_ms);
    let mut counts = BTreeMap::new();
    for progress in &detail.targets {
        *counts.entry(progress.state).or_default() += 1;
    }
    detail.deployment.counts = counts;
}

fn plan() -> Plan {
    let defined = strict::yaml::<Definition>(COMPONENT, "sample").expect("a component").swap_remove(0).value;
    let Definition::Component(component) = defined else { unreachable!("a component was written") };
    let strategy: Strategy = strict::yaml(STRATEGY, "sample").expect("a strategy").swap_remove(0).value;
    let environment: Environment =
        strict::yaml("{name: production, tier: production, controlled: true}", "sample").expect("it").swap_remove(0).value;
    let target = |number: usize| {
        strict::yaml::<Target>(&format!("{{name: prod-{number}, environment: production}}"), "sample")
            .expect("a target")
            .swap_remove(0)
            .value
    };
    let targets: Vec<Target> = (1..=4).map(target).collect();
    let before = BTreeMap::from([(component.name.clone(), attested("1.0"))]);
    let (new, old) = (artifact("1.1"), artifact("1.0"));
    let choice = |artifact| vec![Choice { component: &component as &Component, artifact }];
    let ingredients = Ingredients {
        environment: &environment,
        forward: choice(&new),
        back: Ok(choice(&old)),
        strategy: &strategy,
        targets: targets.iter().map(|target| (target, &before)).collect(),
    };
    plan::make(&ingredients).expect("a plan").forward
}

fn attested(version: &str) -> Attested {
    Attested { version: Version::parse(version).expect("a version"), digest: Digest::of(version.as_bytes()), complete: true }
}

fn artifact(version: &str) -> Artifact {
    Artifact {
        digest: Digest::of(version.as_bytes()),
        component: Name::parse("shop").expect("a name"),
        version: Version::parse(version).expect("a version"),
        format: Format::TarGz,
        size_bytes: 1_300_000,
        signature: None,
        uploaded_at_ms: BEGUN_MS,
        uploaded_by: "person:ada".into(),
    }
}
