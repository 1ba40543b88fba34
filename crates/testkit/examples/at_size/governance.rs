//! Changes, releases and freezes, as the domain lets them go.

use std::collections::BTreeMap;

use tidegate_domain::calendar::Freeze;
use tidegate_domain::calendar::freeze::{self, Running, Strictness};
use tidegate_domain::change::{self, Change, Choice, Class, Content, Level, Outcome, Vote};
use tidegate_domain::event::NewEvent;
use tidegate_domain::release::{self, Model, Release};
use tidegate_domain::{Digest, Id, Millis, Name, Version};
use tidegate_store::StreamChange;

use crate::world::{APPLICATIONS, World, by, id, moved, name, person, version};

/// How a change ends that no deployment of ours carries out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Draft,
    Awaiting,
    Cancelled,
    Closed,
}

pub fn fate(number: usize, is_recent: bool) -> Fate {
    match number % 10 {
        0..=5 => Fate::Closed,
        6 if is_recent => Fate::Draft,
        7 if is_recent => Fate::Awaiting,
        _ => Fate::Cancelled,
    }
}

pub fn content(title: String, class: Class, application: &Name, environments: Vec<Name>) -> Content {
    Content {
        title,
        class,
        description: "Brings what was agreed on, after the tests of the week before".into(),
        application: application.clone(),
        environments,
        versions: BTreeMap::new(),
        plans: BTreeMap::new(),
        risk: Level::Low,
        impact: Level::Medium,
        back_out: "the plan back".into(),
    }
}

struct Play {
    live: Change,
    events: Vec<NewEvent>,
    at_ms: Millis,
}

impl Play {
    fn begin(id: Id, content: Content, release: Option<&Id>, at_ms: Millis) -> Play {
        let (mut live, events) = Change::draft(id, content, name("dora"), at_ms).expect("a change");
        live.release = release.cloned();
        Play { live, events: by(&events, &person("dora")), at_ms }
    }

    fn ask(&mut self, command: &change::Command, who: &str) {
        let events = self.live.decide(command).expect("it may be asked");
        events.iter().for_each(|event| self.live.apply(event, self.at_ms));
        self.events.extend(by(&events, &person(who)));
    }

    fn authorise(&mut self) {
        self.ask(&change::Command::Submit { by: name("dora") }, "dora");
        if self.live.content.class != Class::Standard {
            let vote = Vote {
                by: name("carl"),
                at_ms: self.at_ms,
                choice: Choice::Approve,
                digest: self.live.content.digest(),
                reason: String::new(),
            };
            self.ask(&change::Command::Vote(vote), "carl");
        }
    }

    fn conclude(&mut self, outcome: Outcome) {
        self.ask(&change::Command::Implement, "dora");
        for environment in self.live.content.environments.clone() {
            self.ask(&change::Command::Conclude { environment, outcome }, "dora");
        }
        if self.live.state == change::State::Review {
            self.ask(&change::Command::Close { outcome, review: "as planned".into(), by: name("carl") }, "carl");
        }
    }

    fn stored(self) -> StreamChange {
        let row = tidegate_store::RecordRow::of(&self.live);
        moved(tidegate_domain::event::Stream::new(row.noun, &row.id), 0, self.events, Some(row))
    }
}

/// A change that no deployment of ours carries out, perhaps one of a release.
pub fn other_change(world: &World, number: usize, release: Option<usize>, (at_ms, fate): (Millis, Fate)) -> StreamChange {
    let application = &world.applications[release.unwrap_or(number) % APPLICATIONS];
    let release = release.map(|release| id("REL", release, 0));
    let environment = world.environments[number / APPLICATIONS % 12].name.clone();
    let class = if fate == Fate::Closed { Class::Standard } else { Class::Normal };
    let title = format!("Rotate the certificates of {application}, ticket {number}");
    let mut play =
        Play::begin(id("CHG", number, 1), content(title, class, application, vec![environment]), release.as_ref(), at_ms);
    match fate {
        Fate::Draft => {}
        Fate::Awaiting => play.ask(&change::Command::Submit { by: name("dora") }, "dora"),
        Fate::Cancelled => {
            play.ask(&change::Command::Cancel { by: name("dora"), reason: "not needed".into() }, "dora");
        }
        Fate::Closed => {
            play.authorise();
            play.conclude(Outcome::Successful);
        }
    }
    play.stored()
}

/// The change that lets a release into production.
pub fn change_of_release(
    id: Id,
    (content, plans): (Content, BTreeMap<Name, Digest>),
    release: &Id,
    (at_ms, outcome): (Millis, Outcome),
) -> StreamChange {
    let mut play = Play::begin(id, Content { plans, ..content }, Some(release), at_ms);
    play.authorise();
    play.conclude(outcome);
    play.stored()
}

/// A release that went its way, with its changes.
pub fn release(world: &World, number: usize, changes: &[Id], at_ms: Millis, is_live: bool) -> StreamChange {
    let application = number % APPLICATIONS;
    let versions: BTreeMap<Name, Version> =
        world.components[application].iter().map(|it| (it.name.clone(), version(number))).collect();
    let mut live = Release {
        id: id("REL", number, 0),
        application: world.applications[application].clone(),
        version: version(number),
        title: format!("Fortnight {number}"),
        model: "light".into(),
        state: release::State::Draft,
        phases: Model::Light.phases(),
        milestones: Vec::new(),
        versions,
        changes: Vec::new(),
        ready_by_ms: Some(at_ms + 86_400_000),
        zone: "UTC".into(),
        objectives: vec!["fewer complaints".into()],
        evaluation: String::new(),
        rejected: None,
        author: name("dora"),
        created_at_ms: at_ms,
        closed_at_ms: None,
        recorded: None,
    };
    let mut events = by(&[live.drafted()], &person("dora"));
    let mut commands: Vec<release::Command> =
        changes.iter().map(|change| release::Command::AddChange { change: change.clone() }).collect();
    commands.extend([release::Command::Plan, release::Command::Start, release::Command::Deploying, release::Command::Live]);
    if !is_live {
        commands.extend([release::Command::Evaluate { evaluation: "as hoped".into() }, release::Command::Close]);
    }
    for command in commands {
        let decided = live.decide(&command).expect("it may be asked");
        decided.iter().for_each(|event| live.apply(event, at_ms));
        events.extend(by(&decided, &person("dora")));
    }
    let row = tidegate_store::RecordRow::of(&live);
    moved(tidegate_domain::event::Stream::new(row.noun, &row.id), 0, events, Some(row))
}

/// Freezes of a day over the whole time, the last of them ahead.
pub fn freeze(world: &World, number: usize, from_ms: Millis) -> StreamChange {
    let everywhere = number.is_multiple_of(5);
    let environments = if everywhere { Vec::new() } else { vec![world.environments[number % 12].name.clone()] };
    let freeze = Freeze {
        id: id("FRZ", number, 0),
        name: format!("Quiet day {number}"),
        reason: "sales".into(),
        environments,
        applications: vec![world.applications[number % APPLICATIONS].clone()],
        components: Vec::new(),
        from_ms,
        until_ms: from_ms + 86_400_000,
        zone: "UTC".into(),
        strictness: Strictness::Soft,
        running: Running::GoOn,
        lifted: None,
        exceptions: Vec::new(),
    };
    let declared = freeze::Event::Declared { name: freeze.name.clone(), from_ms: freeze.from_ms, until_ms: freeze.until_ms };
    crate::world::born(&freeze, &[declared], &person("carl"))
}
