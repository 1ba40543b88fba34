//! What the pages have in common: people, names, instants, a plan.

use std::collections::BTreeMap;

use serde_json::json;
use tidegate_api::request::ListQuery;
use tidegate_api::view::EventView;
use tidegate_domain::access::{Grant, Person, Role, Scope};
use tidegate_domain::deployment::plan::{Plan, PlannedTarget, Purpose, Wave};
use tidegate_domain::deployment::strategy::{Amount, OnFailure};
use tidegate_domain::estate::{Attested, Environment};
use tidegate_domain::event::{Actor, Noun, Stream};
use tidegate_domain::gate::Gate;
use tidegate_domain::{Digest, Id, Millis, Name, Version};
use tidegate_server::web::layout::Chrome;
use tidegate_server::web::page::List;

/// 2026-11-21T14:02:07Z
pub const NOW: Millis = 1_795_269_727_000;
pub const SECOND: Millis = 1_000;
pub const MINUTE: Millis = 60 * SECOND;
pub const HOUR: Millis = 60 * MINUTE;
pub const DAY: Millis = 24 * HOUR;

pub fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

pub fn id(text: &str) -> Id {
    Id::parse(text).expect("an id")
}

pub fn version(text: &str) -> Version {
    Version::parse(text).expect("a version")
}

pub fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

pub fn nobody() -> Chrome {
    Chrome { person: None, csrf: "made-up".into(), path: "/login".into(), now_ms: NOW, zone: "UTC".into(), stream: None }
}

/// Alice manages releases, bob authorises and operates, vera looks.
pub fn chrome(person: &str) -> Chrome {
    let roles = match person {
        "alice" => vec![Role::ReleaseManager, Role::ChangeAuthority],
        "bob" => vec![Role::ChangeAuthority, Role::ReleaseManager, Role::Operator],
        _ => vec![Role::Viewer],
    };
    let grants = roles.into_iter().map(|role| Grant { role, scope: Scope::All }).collect();
    let person = Person { name: name(person), title: format!("{person} of the gallery"), grants };
    Chrome { person: Some(person), path: "/".into(), stream: Some("/api/v1/stream".into()), ..nobody() }
}

pub fn list<T>(rows: Vec<T>) -> List<T> {
    List { next: (rows.len() > 3).then(|| "next".into()), rows, query: ListQuery::default() }
}

pub fn environment(called: &str) -> Environment {
    let controlled = called == "production";
    serde_json::from_value(json!({"name": called, "tier": called, "controlled": controlled, "zone": "UTC"}))
        .expect("an environment")
}

pub fn gate(value: serde_json::Value) -> Gate {
    serde_json::from_value(value).expect("a gate")
}

pub fn error_rate() -> Gate {
    gate(json!({"metric": {
        "name": "error rate", "at_most": 0.05, "measurements": 6, "samples_at_least": 20,
        "source": {"endpoint": {"url": "http://127.0.0.1:{{ port }}/metrics",
            "numerator": {"metric": "requests_failed_total"}, "denominator": {"metric": "requests_total"}}}
    }}))
}

pub fn bake(seconds: u32) -> Gate {
    gate(json!({"bake": {"at_least_seconds": seconds, "samples_at_least": 200}}))
}

/// A plan of `ledger` over waves of the given sizes.
pub fn plan(to: &str, sizes: &[usize], after: &[Gate]) -> Plan {
    let installation = json!({
        "component": "ledger", "version": to, "artifact": {"digest": digest(to), "format": "tar_gz", "size_bytes": 4_194_304},
        "steps": [
            {"name": "unpack", "do": "unpack"},
            {"name": "migrate", "do": {"script": {"run": "bin/migrate", "class": "once"}}},
            {"name": "switch", "do": "switch"},
            {"name": "serve", "do": {"process": {"run": "bin/ledger"}}}
        ],
        "health": {"probe": {"http": {"url": "http://127.0.0.1:{{ port }}/health"}}}, "keep_releases": 3
    });
    Plan {
        application: name("ledger"),
        environment: name("production"),
        purpose: Purpose::Forward,
        strategy: if sizes.len() > 1 { "canary".into() } else { "all at once".into() },
        installations: vec![serde_json::from_value(installation).expect("an installation")],
        waves: waves(sizes, after),
        max_failures: Amount::Count(1),
        min_healthy: Amount::Count(0),
        progress_deadline_seconds: None,
        unreachable_after_seconds: 60,
        on_failure: OnFailure::FallBack,
        fallback: Some(digest("back")),
        no_fallback_because: None,
        fallback_package: [(name("ledger"), (version("1.0"), digest("1.0")))].into(),
        fallback_leaves: Vec::new(),
    }
}

fn waves(sizes: &[usize], after: &[Gate]) -> Vec<Wave> {
    let all: usize = sizes.iter().sum();
    let width = if all > 99 { 5 } else { 2 };
    let mut number = 0;
    let target = |number: usize| PlannedTarget {
        name: name(&format!("{}-{number:0width$}", if all > 99 { "edge" } else { "prod" })),
        components: vec![name("ledger")],
        variables: BTreeMap::new(),
        from: BTreeMap::from([(name("ledger"), Attested { version: version("1.1"), digest: digest("1.1"), complete: true })]),
    };
    let wave = |size: &usize| {
        let targets = (number + 1..=number + size).map(target).collect();
        number += size;
        Wave { before: Vec::new(), targets, after: after.to_vec() }
    };
    sizes.iter().map(wave).collect()
}

/// A history out of sentences, newest first, some seconds apart.
pub fn history(noun: Noun, of: &str, sentences: &[(&str, &str)]) -> Vec<EventView> {
    let event = |(index, (actor, sentence)): (usize, &(&str, &str))| EventView {
        position: 4_812 - index as u64,
        stream: Stream::new(noun, of),
        version: (sentences.len() - index) as u64,
        kind: "made_up".into(),
        actor: match *actor {
            "" => Actor::System,
            agent if agent.starts_with("prod-") => Actor::Agent(name(agent)),
            person => Actor::Person(name(person)),
        },
        cause: "page".into(),
        at_ms: NOW - index as i64 * 17 * SECOND - 4 * SECOND,
        sentence: (*sentence).to_owned(),
        body: json!({}),
        hash: digest(sentence).hex().to_owned(),
    };
    sentences.iter().enumerate().map(event).collect()
}
