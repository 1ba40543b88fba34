//! Records of what was carried out elsewhere: their events, what they leave standing, and how they passed a freeze.

use std::collections::BTreeMap;

use expect_test::expect;
use proptest::prelude::*;
use serde_json::json;
use tidegate_domain::calendar::Freeze;
use tidegate_domain::calendar::freeze::{Controlled, ExceptionState, Passage};
use tidegate_domain::change::{self, Change};
use tidegate_domain::deployment::plan::Purpose;
use tidegate_domain::deployment::rollout::{Deployment, Event};
use tidegate_domain::estate::{Slot, SlotEvent, Standing};
use tidegate_domain::event::Noun;
use tidegate_domain::record::{self, ChangeRecord, DeploymentRecord, Precision, Recorded, ReleaseRecord};
use tidegate_domain::release::Release;

use crate::event_forms::line;
use crate::state_tables::exception;
use crate::world::{id, name, version};

fn deployment_record() -> DeploymentRecord {
    let record = json!({"reference": "run 7", "application": "shop", "environment": "production", "versions": {"shop-web": "1.1"},
        "outcome": "fell_back", "started_at_ms": 10, "failed_at_ms": 12, "ended_at_ms": 20, "reason": "503"});
    serde_json::from_value(record).unwrap()
}

fn change_record() -> ChangeRecord {
    let record = json!({"reference": "c7", "author": "ada", "written_at_ms": 30, "authorised_at_ms": 12, "closed_at_ms": 20,
        "outcome": "successful", "content": {"title": "Shop 1.1", "class": "normal", "application": "shop",
        "environments": ["production"]}});
    serde_json::from_value(record).unwrap()
}

fn release_record() -> ReleaseRecord {
    let record = json!({"reference": "r7", "application": "shop", "version": "1.1", "title": "Autumn", "model": "train",
        "versions": {"shop-web": "1.1"}, "author": "ada", "written_at_ms": 1, "closed_at_ms": 20,
        "phases": [{"name": "build", "started_at_ms": 1, "ended_at_ms": 9}],
        "milestones": [{"title": "late", "at_ms": 9}, {"title": "early", "at_ms": 2}]});
    serde_json::from_value(record).unwrap()
}

fn noted<R: serde::Serialize>(record: &R) -> Recorded {
    Recorded::of(record, ("ci", "7"), Precision::Exact, (&name("bob"), 100))
}

fn deployment() -> Deployment {
    let record = deployment_record();
    Deployment::recorded(id("DEP-7"), &record, (None, None), noted(&record)).unwrap().0
}

#[test]
fn events_of_records() {
    let (deployment, change, release) = (deployment_record(), change_record(), release_record());
    let (_, plan, of_deployment) = Deployment::recorded(id("DEP-7"), &deployment, (None, None), noted(&deployment)).unwrap();
    assert_eq!((plan.size(), plan.waves.len(), plan.installations.len()), (0, 0, 0), "the plan of a record orders nothing");
    let (_, of_change) = Change::recorded(id("CHG-7"), &change, None, noted(&change)).unwrap();
    let (kept, of_release) = Release::recorded(id("REL-7"), &release, noted(&release)).unwrap();
    let titles: Vec<&str> = kept.milestones.iter().map(|it| it.title.as_str()).collect();
    assert_eq!(titles, ["early", "late"], "milestones stand in order of time");
    let arrived = SlotEvent::Recorded { deployment: id("DEP-7"), versions: BTreeMap::new(), ended_at_ms: 20 };
    let lines = line::<Event>(Noun::Deployment, &of_deployment)
        + &line(Noun::Change, &of_change)
        + &line(Noun::Release, &of_release)
        + &line(Noun::Slot, &arrived);
    expect![[r#"
        recorded: recorded as carried out in ci (run 7)
        recorded: recorded "Shop 1.1" from ci
        recorded: recorded version 1.1 from ci
        recorded: DEP-7 was recorded as carried out here
    "#]]
    .assert_eq(&lines);
}

#[test]
fn the_same_source_and_reference_are_the_same_thing() {
    let of = |prefix, application: &str, source, reference| record::id(prefix, (&name(application), source), reference);
    assert_eq!(of("DEP", "shop", "ci", "7"), of("DEP", "shop", "ci", "7"));
    let others = [
        of("DEP", "shop", "ci", "8"),
        of("DEP", "shop", "cd", "7"),
        of("DEP", "shop", "c", "i7"),
        of("CHG", "shop", "ci", "7"),
        of("DEP", "web", "ci", "7"),
    ];
    assert!(others.iter().all(|other| *other != of("DEP", "shop", "ci", "7")));
}

#[test]
fn nobody_is_said_to_have_authorised_what_nobody_did() {
    let unauthorised = ChangeRecord { authorised_at_ms: None, ..change_record() };
    let (change, _) = Change::recorded(id("CHG-7"), &unauthorised, None, noted(&unauthorised)).unwrap();
    assert_eq!((change.state, change.authorised, change.closed_at_ms), (change::State::Review, None, None));
    assert!(!change.state.lets_deploy());
    let (change, _) = Change::recorded(id("CHG-7"), &change_record(), None, noted(&change_record())).unwrap();
    assert_eq!((change.state, change.closed_at_ms), (change::State::Closed, Some(20)));
    assert!(!change.state.lets_deploy(), "what is over authorises nothing");
}

proptest! {
    /// Batches come in any order, and several times; what stands is what happened last.
    #[test]
    fn what_stands_does_not_depend_on_the_order_of_recording(ends in prop::collection::btree_set(0_i64..1_000, 1..20), turn in 0_usize..20) {
        let event = |at_ms: i64| SlotEvent::Recorded {
            deployment: id(&format!("DEP-{at_ms}")),
            versions: BTreeMap::from([(name("shop-web"), version(&format!("1.{at_ms}")))]),
            ended_at_ms: at_ms,
        };
        let mut order: Vec<i64> = ends.iter().copied().collect();
        let places = order.len();
        order.rotate_left(turn % places);
        let mut slot = Slot::new(name("production"), name("shop"));
        order.iter().chain(&order).for_each(|at_ms| slot.apply(&event(*at_ms), 5_000));
        let last = *ends.last().unwrap();
        let stands = slot.standing(&name("shop-web")).map(|it| (it.at_ms(), it.version().clone()));
        prop_assert_eq!(stands, Some((last, version(&format!("1.{last}")))));
        prop_assert!(slot.way_back([name("shop-web")].into_iter(), |_| false).is_empty(), "a way back leads to a record");
    }
}

#[test]
fn the_newer_of_what_was_verified_and_what_was_recorded_stands() {
    let mut slot = Slot::new(name("production"), name("shop"));
    let package = BTreeMap::from([(name("shop-web"), (version("1.0"), crate::world::bytes_of("1.0")))]);
    slot.apply(&SlotEvent::Verified { deployment: id("DEP-1"), release: None, package }, 50);
    let record = |at_ms| SlotEvent::Recorded {
        deployment: id("DEP-2"),
        versions: BTreeMap::from([(name("shop-web"), version("0.9"))]),
        ended_at_ms: at_ms,
    };
    slot.apply(&record(40), 60);
    assert!(matches!(slot.standing(&name("shop-web")), Some(Standing::Verified(_))));
    slot.apply(&record(51), 60);
    assert!(matches!(slot.standing(&name("shop-web")), Some(Standing::Recorded(_))));
}

#[test]
fn nothing_older_falls_back_over_a_record() {
    let held = || {
        let mut slot = Slot::new(name("production"), name("shop"));
        let package = BTreeMap::from([(name("shop-web"), (version("1.1"), crate::world::bytes_of("1.1")))]);
        slot.apply(&SlotEvent::Taken { deployment: id("DEP-1"), generation: 1 }, 10);
        slot.apply(&SlotEvent::Verified { deployment: id("DEP-1"), release: None, package }, 50);
        slot
    };
    let record = |at_ms| SlotEvent::Recorded {
        deployment: id("DEP-2"),
        versions: BTreeMap::from([(name("shop-web"), version("1.2"))]),
        ended_at_ms: at_ms,
    };
    let mut at_work = held();
    at_work.apply(&record(60), 70);
    assert_eq!(at_work.lets_fall_back(&id("DEP-1")), Ok(()), "whoever holds the place may always go back");
    for (at_ms, may) in [(40, true), (60, false)] {
        let mut free = held();
        free.apply(&SlotEvent::Freed { deployment: id("DEP-1") }, 55);
        free.apply(&record(at_ms), 70);
        assert_eq!(free.lets_fall_back(&id("DEP-1")).is_ok(), may, "a record of {at_ms}");
    }
}

fn freeze() -> Freeze {
    let freeze = json!({"id": "FRZ-1", "name": "autumn", "reason": "books", "environments": [], "applications": [],
        "from_ms": 5, "until_ms": 15, "zone": "UTC", "strictness": "soft", "running": "finish_wave", "lifted": null, "exceptions": []});
    serde_json::from_value(freeze).unwrap()
}

#[test]
fn how_a_deployment_passed_a_freeze() {
    let (recorded, here) = (deployment(), Deployment { recorded: None, ..deployment() });
    let controlled = |freeze: &Freeze, it: &Deployment, standard| freeze.passage(it, Controlled::Yes, standard);
    let soft = freeze();
    assert_eq!(controlled(&soft, &recorded, true), Some(Passage::Elsewhere));
    assert_eq!(controlled(&soft, &here, true), Some(Passage::StandardChange));
    assert_eq!(controlled(&soft, &here, false), Some(Passage::Declared));
    assert_eq!(controlled(&soft, &Deployment { purpose: Purpose::Fallback, ..here.clone() }, false), Some(Passage::Fallback));
    let mut let_in = exception(ExceptionState::Approved { by: name("bob"), until_ms: 15 });
    let_in.deployment = here.id.clone();
    let excepted = Freeze { exceptions: vec![let_in], ..freeze() };
    assert_eq!(controlled(&excepted, &here, false), Some(Passage::Exception));
    // What it does not concern did not pass it.
    assert_eq!(soft.passage(&here, Controlled::No, false), None);
    let elsewhere = Freeze { components: vec![name("other")], ..freeze() };
    assert_eq!(controlled(&elsewhere, &here, false), None);
    let other = Freeze { applications: vec![name("other")], ..freeze() };
    assert_eq!(controlled(&other, &here, false), None);
    for (from_ms, until_ms) in [(11, 15), (5, 10)] {
        assert_eq!(controlled(&Freeze { from_ms, until_ms, ..freeze() }, &here, false), None, "{from_ms}..{until_ms}");
    }
    let mut lifted = freeze();
    lifted.apply(&tidegate_domain::calendar::freeze::Event::Lifted { by: "bob".into(), reason: "over".into() }, 9);
    assert_eq!(controlled(&lifted, &here, false), None, "it was lifted before");
}
