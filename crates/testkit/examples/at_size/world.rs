//! The estate of a large house: applications, environments and targets, and what is verified where.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidegate_domain::access::Person;
use tidegate_domain::deployment::artifact::{Artifact, Format};
use tidegate_domain::estate::{Application, Attested, Component, Environment, Event, Slot, Target, TargetRecord, TargetState};
use tidegate_domain::event::{Actor, NewEvent, Origin, Stream};
use tidegate_domain::{Digest, Id, Millis, Name, Version};
use tidegate_store::{Record, RecordRow, StreamChange};

pub const APPLICATIONS: usize = 50;
/// Environments of each tier; an application's release goes to one of the first three tiers and to two of production.
pub const REGIONS: usize = 3;
/// Targets of each of them; the rest of the ten thousand is one fleet.
pub const TARGETS_EACH: usize = 2;
pub const TARGETS: usize = 10_000;
pub const FLEET: &str = "fleet";
const TIERS: [&str; 4] = ["development", "test", "staging", "production"];

/// Everything that deployments are made of.
pub struct World {
    pub now_ms: Millis,
    pub applications: Vec<Name>,
    /// Two of each application.
    pub components: Vec<[Component; 2]>,
    pub environments: Vec<Environment>,
    /// The small environments' targets, by environment.
    pub targets: BTreeMap<Name, Vec<Target>>,
    pub fleet: Vec<Target>,
    /// The places of applications, with the versions of their streams.
    pub slots: BTreeMap<(Name, Name), (Slot, u64)>,
}

pub fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

pub fn id(prefix: &str, number: usize, part: usize) -> Id {
    Id::parse(&format!("{prefix}-{number:09}{part:05}")).expect("an id")
}

/// The version that a release brings of each of its components.
pub fn version(release: usize) -> Version {
    let build = release / APPLICATIONS;
    Version::parse(&format!("{}.{}.{}", 1 + build / 100, build / 10 % 10, build % 10)).expect("a version")
}

pub fn environment_of(tier: usize, region: usize) -> Name {
    name(&format!("{}-{}", TIERS[tier], region % REGIONS + 1))
}

impl World {
    pub fn new(now_ms: Millis) -> World {
        let applications: Vec<Name> = (0..APPLICATIONS).map(|number| name(&format!("app-{number:02}"))).collect();
        let component = |application: &Name, part: &str| -> Component {
            read(json!({"name": format!("{application}-{part}"), "application": application, "steps": [
                {"name": "unpack", "do": "unpack"}, {"name": "switch", "do": "switch"}]}))
        };
        let components = applications.iter().map(|it| [component(it, "api"), component(it, "web")]).collect();
        let mut environments = Vec::new();
        for (tier, word) in TIERS.iter().enumerate() {
            for region in 0..REGIONS {
                let name = environment_of(tier, region);
                let position = tier * REGIONS + region;
                let controlled = tier == 3;
                environments.push(read(json!({"name": name, "tier": word, "controlled": controlled, "position": position})));
            }
        }
        environments.push(read(json!({"name": FLEET, "tier": "production", "controlled": true, "position": 99})));
        let targets: BTreeMap<Name, Vec<Target>> =
            environments[..12].iter().map(|it: &Environment| (it.name.clone(), targets(&it.name, TARGETS_EACH))).collect();
        let fleet = targets_of_fleet();
        World { now_ms, applications, components, environments, targets, fleet, slots: BTreeMap::new() }
    }

    pub fn environment(&self, name: &Name) -> &Environment {
        self.environments.iter().find(|it| it.name == *name).expect("an environment")
    }

    pub fn slot(&mut self, environment: &Name, application: &Name) -> &mut (Slot, u64) {
        let place = (environment.clone(), application.clone());
        self.slots.entry(place).or_insert_with(|| (Slot::new(environment.clone(), application.clone()), 0))
    }

    /// What is defined, as the first commit.
    pub fn definitions(&self) -> Vec<StreamChange> {
        let mut changes = Vec::new();
        for (application, components) in self.applications.iter().zip(&self.components) {
            let title = format!("Application {application}");
            changes.push(defined(&Application { name: application.clone(), title, team: "platform".into() }));
            changes.extend(components.iter().map(defined));
        }
        changes.extend(self.environments.iter().map(defined));
        let person = |name: &str, grants: Value| -> Person { read(json!({"name": name, "title": name, "grants": grants})) };
        changes.push(defined(&person("vera", json!([{"role": "viewer", "scope": {"application": "app-07"}}]))));
        changes.push(defined(&person("dora", json!([{"role": "developer", "scope": "all"}]))));
        changes.push(defined(&person("carl", json!([{"role": "change_authority", "scope": "all"}]))));
        changes
    }

    /// The targets with what they attest at the end: in one of a hundred of the fleet something else than was verified.
    pub fn records(&self) -> Vec<StreamChange> {
        let mut changes = Vec::new();
        for (number, target) in self.targets.values().flatten().chain(&self.fleet).enumerate() {
            let mut attested = BTreeMap::new();
            for (slot, _) in self.slots.values().filter(|(slot, _)| slot.environment == target.environment) {
                let newest = slot.newest().map(|(component, it)| (component.clone(), attests(&it.version, &it.digest)));
                attested.extend(newest);
            }
            if number % 100 == 99 {
                attested.values_mut().for_each(|it| it.version = Version::parse("0.0.1").expect("a version"));
            }
            changes.push(enrolled(target, attested, self.now_ms));
        }
        changes
    }
}

pub fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("it is written as the API takes it")
}

fn targets(environment: &Name, count: usize) -> Vec<Target> {
    (1..=count).map(|number| read(json!({"name": format!("{environment}-{number:02}"), "environment": environment}))).collect()
}

fn targets_of_fleet() -> Vec<Target> {
    let count = TARGETS - 4 * REGIONS * TARGETS_EACH;
    (1..=count).map(|number| read(json!({"name": format!("fleet-{number:05}"), "environment": FLEET}))).collect()
}

pub fn attests(version: &Version, digest: &Digest) -> Attested {
    Attested { version: version.clone(), digest: digest.clone(), complete: true }
}

/// The change of a new stream by events that one actor caused.
pub fn born<T: Record, E: serde::Serialize>(value: &T, events: &[E], actor: &Actor) -> StreamChange {
    moved(Stream::new(T::NOUN, value.id()), 0, by(events, actor), Some(RecordRow::of(value)))
}

pub fn moved(stream: Stream, expected_version: u64, events: Vec<NewEvent>, record: Option<RecordRow>) -> StreamChange {
    StreamChange { stream, expected_version, events, record, targets: Vec::new(), orders: Vec::new() }
}

pub fn by<E: serde::Serialize>(events: &[E], actor: &Actor) -> Vec<NewEvent> {
    let of = |event: &E| {
        let origin = Some(Origin { actor: actor.clone(), cause: "the bench".into() });
        NewEvent { origin, ..NewEvent::of(event) }
    };
    events.iter().map(of).collect()
}

pub fn person(text: &str) -> Actor {
    Actor::Person(name(text))
}

fn defined<T: Record>(value: &T) -> StreamChange {
    let definition = serde_json::to_value(value).expect("it is JSON");
    born(value, &[Event::Defined { definition }], &person("admin"))
}

fn enrolled(target: &Target, attested: BTreeMap<Name, Attested>, now_ms: Millis) -> StreamChange {
    let mut record = TargetRecord { target: target.clone(), state: TargetState::default() };
    let definition = serde_json::to_value(target).expect("it is JSON");
    let agent_key = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw=".to_owned();
    let events = [Event::Defined { definition }, Event::Enrolled { agent_key }, Event::Attested { attested }];
    events.iter().for_each(|event| record.apply(event, now_ms));
    born(&record, &events, &Actor::Agent(target.name.clone()))
}

/// What a release brings of a component.
pub fn artifact(component: &Component, release: usize, at_ms: Millis) -> Artifact {
    Artifact {
        digest: Digest::of(format!("{} {release}", component.name).as_bytes()),
        component: component.name.clone(),
        version: version(release),
        format: Format::TarGz,
        size_bytes: 10 << 20,
        signature: None,
        uploaded_at_ms: at_ms,
        uploaded_by: "dora".into(),
    }
}
