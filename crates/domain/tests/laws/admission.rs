//! Admission: every reason, on every path, for the whole planned interval.

use std::collections::BTreeMap;
use std::sync::Arc;

use expect_test::expect;
use proptest::prelude::*;
use tidegate_domain::admission::{self, Facts, Kind, ReasonCode};
use tidegate_domain::calendar::Freeze;
use tidegate_domain::calendar::freeze::{Exception, ExceptionState, Running, Strictness};
use tidegate_domain::change::{self, Change};
use tidegate_domain::deployment::plan::Plan;
use tidegate_domain::deployment::strategy::Strategy as Way;
use tidegate_domain::estate::{AllAttested, Environment, Slot};
use tidegate_domain::release::{self, Release};
use tidegate_domain::{Digest, Id, Millis, Name};

use crate::state_tables::{change_in, exception, freeze, release_in};
use crate::world::{Steps, environment, has, id, name, names, plans, version};

/// A deployment at one o'clock, so to speak: at 1000, for 100.
#[derive(Debug, Clone)]
struct World {
    id: Id,
    plan: Plan,
    digest: Digest,
    environment: Environment,
    change: Option<Change>,
    release: Option<Release>,
    freezes: Vec<Freeze>,
    slot: Slot,
    attested: AllAttested,
    without_agent: Vec<Name>,
    back_rejected: Option<String>,
    planned_ms: Millis,
}

const NOW_MS: Millis = 1_000;

impl World {
    /// Nothing stands in the way.
    fn open() -> World {
        let plan = plans(&Way::all_at_once(), Steps::Plain, 2, &[]).forward;
        let digest = plan.digest();
        let mut change = change_in("normal", change::State::Authorised);
        change.content.plans.insert(name("live"), digest.clone());
        change.authorised = Some(change.content.digest());
        World {
            id: id("DEP-1"),
            attested: plan.targets().map(|(_, target)| (target.name.clone(), Arc::new(target.from.clone()))).collect(),
            plan,
            digest,
            environment: environment(true),
            change: Some(change),
            release: Some(release_in(release::State::Deploying)),
            freezes: vec![],
            slot: Slot::new(name("live"), name("shop")),
            without_agent: vec![],
            back_rejected: None,
            planned_ms: 100,
        }
    }

    /// The same for the way back.
    fn back() -> World {
        let plans = plans(&Way::all_at_once(), Steps::Plain, 2, &[]);
        let plan = plans.fallback.unwrap();
        World { id: id("DEP-1").fallback(), digest: plan.digest(), plan, ..World::open() }
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            deployment: &self.id,
            plan: &self.plan,
            digest: &self.digest,
            environment: &self.environment,
            change: self.change.as_ref(),
            release: self.release.as_ref(),
            freezes: &self.freezes,
            slot: &self.slot,
            attested: &self.attested,
            without_agent: &self.without_agent,
            back_rejected: self.back_rejected.as_deref(),
            planned_ms: self.planned_ms,
        }
    }

    fn codes(&self) -> Vec<ReasonCode> {
        admission::reasons(&self.facts(), NOW_MS).into_iter().map(|reason| reason.code).collect()
    }

    fn said(&self) -> String {
        let line = |it: admission::Reason| format!("{} ({:?}): {}; {}\n", it.code.as_str(), it.kind, it.text, it.remedy);
        admission::reasons(&self.facts(), NOW_MS).into_iter().map(line).collect()
    }

    /// Everything at once stands in the way, but for the change.
    fn obstructed(self) -> World {
        let mut release = release_in(release::State::Deploying);
        release.rejected = Some(release::Rejected { by: "eve".into(), reason: "loses orders".into(), at_ms: 0 });
        let slot = Slot { holder: Some(id("DEP-9")), ..self.slot.clone() };
        let without_agent = names(&["web-1", "web-2"]);
        World {
            release: Some(release),
            freezes: vec![freeze(0, 5_000)],
            slot,
            attested: AllAttested::new(),
            without_agent,
            ..self
        }
    }
}

#[test]
fn every_reason_is_said_not_the_first() {
    let open = World::open();
    assert_eq!(open.codes(), vec![]);
    let mut change = change_in("normal", change::State::AwaitingAuthorisation);
    change.content.application = name("bank");
    change.on_hold = true;
    expect![[r#"
        release_rejected (Never): release 1.1 was rejected by eve: loses orders; deploy another release
        change_elsewhere (Authorisation): change CHG-1 does not cover shop in live; attach one that does, or edit it
        change_on_hold (Authorisation): change CHG-1 is on hold; take it off hold
        change_unauthorised (Authorisation): change CHG-1 is not authorised; it is awaiting authorisation; get it authorised by somebody other than its author
        plan_unapproved (Authorisation): change CHG-1 does not authorise plan 40e0512ed6cf; attach this plan to the change and get it authorised again
        freeze (Obstacle): freeze "autumn" (FRZ-1) is in force in live: sales; wait for its end, or ask for an exception
        plan_stale (Never): web-1 and 1 more target changed since the plan was made; its way back would be wrong; make a new plan
        slot_taken (Obstacle): DEP-9 is at work on shop in live; wait for its end, or stop it
        agent_missing (Obstacle): there is no agent on web-1 and 1 more target; enrol it: tidegate target enrol web-1
    "#]].assert_eq(&World { change: Some(change), ..open }.obstructed().said());
}

#[test]
fn without_a_change_everything_else_is_said_as_well() {
    let world = World { change: None, ..World::open() }.obstructed();
    let wanted = "release_rejected, change_missing, freeze, plan_stale, slot_taken, agent_missing";
    assert_eq!(world.codes().iter().map(|code| code.as_str()).collect::<Vec<_>>().join(", "), wanted);
}

#[test]
fn a_standard_change_is_not_enough_everywhere_and_authorises_versions() {
    let mut change = change_in("standard", change::State::Authorised);
    change.content.versions = BTreeMap::from([(name("shop-web"), version("2.0"))]);
    change.authorised = Some(change.content.digest());
    let world = World { change: Some(change.clone()), ..World::open() };
    assert_eq!(world.codes(), vec![ReasonCode::StandardNotEnough, ReasonCode::PlanUnapproved]);
    change.content.versions = BTreeMap::from([(name("shop-web"), version("1.1"))]);
    change.authorised = Some(change.content.digest());
    let accepting = Environment { standard_changes: Some(true), ..environment(true) };
    assert_eq!(World { change: Some(change), environment: accepting, ..World::open() }.codes(), vec![]);
}

#[test]
fn an_authorisation_is_of_exactly_this_plan_and_this_content() {
    let world = World::open();
    let mut other_plan = world.clone();
    other_plan.digest = Digest::of(b"another plan");
    assert_eq!(other_plan.codes(), vec![ReasonCode::PlanUnapproved]);
    let mut edited = world.clone();
    edited.change.as_mut().unwrap().content.description = "and one thing more".into();
    assert_eq!(edited.codes(), vec![ReasonCode::ChangeUnauthorised]);
    let mut elsewhere = world.clone();
    elsewhere.change.as_mut().unwrap().content.environments = names(&["test"]);
    assert_eq!(elsewhere.codes(), vec![ReasonCode::ChangeElsewhere, ReasonCode::ChangeUnauthorised]);
    let free = World { environment: environment(false), change: None, ..world };
    assert_eq!(free.codes(), vec![]);
}

#[test]
fn the_way_back_is_exempt_from_what_holds_the_way_forward() {
    let mut world = World { change: None, ..World::back() }.obstructed();
    assert_eq!(world.codes(), vec![ReasonCode::SlotTaken, ReasonCode::AgentMissing]);
    world.back_rejected = Some("shop-web 1.0 of release 1.0".into());
    assert_eq!(world.codes(), vec![ReasonCode::SlotTaken, ReasonCode::AgentMissing]);
    // It takes the place over from the deployment that it takes back, and from no other.
    world.slot.holder = Some(id("DEP-1"));
    assert_eq!(world.codes(), vec![ReasonCode::AgentMissing]);
    let forward = World { id: id("DEP-2"), slot: Slot { holder: Some(id("DEP-1")), ..World::open().slot }, ..World::open() };
    assert_eq!(forward.codes(), vec![ReasonCode::SlotTaken]);
}

#[test]
fn nothing_starts_that_could_only_go_back_to_what_was_rejected() {
    let rejected = Some("shop-web 1.0 of release 1.0, which bob rejected: it leaks".to_owned());
    let world = World { back_rejected: rejected, ..World::open() };
    expect![[r#"
        fallback_rejected (Never): its way back would bring shop-web 1.0 of release 1.0, which bob rejected: it leaks; make a new plan
    "#]].assert_eq(&world.said());
}

#[test]
fn a_change_is_implemented_once_in_each_of_its_environments() {
    let mut world = World::open();
    world.change.as_mut().unwrap().implemented.insert(name("test"), 1);
    assert_eq!(world.codes(), vec![]);
    world.change.as_mut().unwrap().implemented.insert(name("live"), 1);
    assert_eq!(world.codes(), vec![ReasonCode::ChangeImplemented]);
}

#[test]
fn what_can_never_be_is_said_to_be_so() {
    let kinds: Vec<Kind> =
        admission::reasons(&World::open().obstructed().facts(), NOW_MS).into_iter().map(|it| it.kind).collect();
    assert_eq!(kinds, vec![Kind::Never, Kind::Obstacle, Kind::Never, Kind::Obstacle, Kind::Obstacle]);
}

#[test]
fn a_target_that_changed_makes_the_plan_stale() {
    let mut world = World::open();
    world.attested.insert(name("web-2"), Arc::new(has("0.9")));
    assert_eq!(world.codes(), vec![ReasonCode::PlanStale]);
    let mut incomplete = World::open();
    Arc::make_mut(incomplete.attested.get_mut(&name("web-1")).unwrap()).get_mut(&name("shop-web")).unwrap().complete = false;
    assert_eq!(incomplete.codes(), vec![ReasonCode::PlanStale]);
    let mut more = World::open();
    Arc::make_mut(more.attested.get_mut(&name("web-1")).unwrap()).insert(name("bank-api"), has("3.0")[&name("shop-web")].clone());
    assert_eq!(more.codes(), vec![], "another application's component is nobody's business here");
}

fn let_through(deployment: &str, until_ms: Millis) -> Exception {
    let state = ExceptionState::Approved { by: name("bob"), until_ms };
    Exception { deployment: id(deployment), ..exception(state) }
}

#[test]
fn an_exception_is_for_one_deployment_until_it_expires() {
    let with =
        |exceptions: Vec<Exception>| World { freezes: vec![Freeze { exceptions, ..freeze(0, 5_000) }], ..World::open() }.codes();
    let frozen = vec![ReasonCode::Freeze];
    assert_eq!(with(vec![]), frozen);
    assert_eq!(with(vec![let_through("DEP-2", 5_000)]), frozen);
    assert_eq!(with(vec![let_through("DEP-1", 1_000)]), frozen);
    assert_eq!(with(vec![let_through("DEP-1", 1_099)]), frozen, "it would expire before the planned end");
    assert_eq!(with(vec![let_through("DEP-1", 1_100)]), vec![]);
    for state in
        [ExceptionState::Requested, ExceptionState::Withdrawn, ExceptionState::Rejected { by: name("bob"), reason: "no".into() }]
    {
        assert_eq!(with(vec![exception(state)]), frozen);
    }
}

#[test]
fn a_soft_freeze_lets_standard_changes_through() {
    let soft = Freeze { strictness: Strictness::Soft, ..freeze(0, 5_000) };
    let accepting = Environment { standard_changes: Some(true), ..environment(true) };
    let standard = change_in("standard", change::State::Authorised);
    let world = World { freezes: vec![soft], environment: accepting, ..World::open() };
    assert_eq!(world.codes(), vec![ReasonCode::Freeze]);
    let standard = World { change: Some(standard), ..world };
    assert_eq!(standard.codes(), vec![]);
    assert_eq!(World { freezes: vec![freeze(0, 5_000)], ..standard }.codes(), vec![ReasonCode::Freeze]);
}

#[test]
fn a_freeze_that_begins_holds_running_work_unless_it_lets_it_go_on() {
    let holding = |freeze: Freeze, now_ms: Millis| {
        let world = World { freezes: vec![freeze], ..World::open() };
        admission::freeze_holding(&world.facts(), now_ms).is_some()
    };
    assert!(!holding(freeze(100, 200), 99) && holding(freeze(100, 200), 100));
    assert!(holding(freeze(100, 200), 199) && !holding(freeze(100, 200), 200));
    assert!(!holding(Freeze { running: Running::GoOn, ..freeze(100, 200) }, 150));
    let excepted = || Freeze { exceptions: vec![let_through("DEP-1", 180)], ..freeze(100, 200) };
    assert!(!holding(excepted(), 179) && holding(excepted(), 180));
}

#[test]
fn a_freeze_covers_what_it_names() {
    let covered = |environments: &[&str], applications: &[&str], controlled| {
        let freeze = Freeze { environments: names(environments), applications: names(applications), ..freeze(0, 5_000) };
        let environment = environment(controlled);
        World { freezes: vec![freeze], environment, ..World::open() }.codes() == vec![ReasonCode::Freeze]
    };
    assert!(covered(&[], &[], true) && !covered(&[], &[], false), "none means every controlled environment");
    assert!(covered(&["live"], &[], false) && !covered(&["test"], &[], true));
    assert!(covered(&[], &["shop"], true) && !covered(&[], &["bank"], true));
}

proptest! {
    #[test]
    fn a_freeze_stops_what_touches_it_anywhere(from in 900_i64..1_300, lasts in 1_i64..300, planned in 0_i64..300) {
        let world = World { freezes: vec![freeze(from, from + lasts)], planned_ms: planned, ..World::open() };
        // An instant at least, even if it is planned to take no time.
        let touches = (NOW_MS..NOW_MS + planned.max(1)).any(|at_ms| from <= at_ms && at_ms < from + lasts);
        prop_assert_eq!(world.codes().contains(&ReasonCode::Freeze), touches);
    }
}

#[test]
fn it_says_whose_yes_fell_when_another_plan_was_attached() {
    let mut change = change_in("normal", change::State::Draft);
    let vote = |by: &str| change::Vote {
        by: name(by),
        at_ms: 0,
        choice: change::Choice::Approve,
        digest: Digest::of(b"what it held then"),
        reason: String::new(),
    };
    change.fallen_votes = vec![vote("olaf"), vote("grace"), vote("grace")];
    let said = World { change: Some(change.clone()), ..World::open() }.said();
    assert!(
        said.contains("it is draft again: what grace and olaf said yes or no to is no longer what it holds; get it"),
        "{said}"
    );
    for state in [change::State::Rejected, change::State::Cancelled] {
        let said = World { change: Some(Change { state, ..change.clone() }), ..World::open() }.said();
        assert!(!said.contains("said yes or no"), "it is over: {said}");
    }
    let same = change::Vote { digest: change.content.digest(), ..vote("grace") };
    let said = World { change: Some(Change { fallen_votes: vec![same], ..change.clone() }), ..World::open() }.said();
    assert!(!said.contains("said yes or no"), "her vote was on this content: {said}");
    change.votes = vec![vote("grace")];
    let said = World { change: Some(change), ..World::open() }.said();
    assert!(said.contains("it is draft; get it"), "somebody has said yes to the new content: {said}");
}
