//! Every kind of event is stored and read back as it was; the list of kinds is part of the history's contract.

use std::collections::BTreeMap;

use expect_test::expect;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidegate_domain::calendar::freeze;
use tidegate_domain::calendar::freeze::ExceptionState;
use tidegate_domain::deployment::order::{StepReport, StepState};
use tidegate_domain::deployment::rollout::{Event, Held, Ordered, State, TargetState, Then};
use tidegate_domain::estate::SlotEvent;
use tidegate_domain::event::{NewEvent, Noun, sentence};
use tidegate_domain::gate::{Counters, Measurement, Status, WaitingOn};
use tidegate_domain::{change, release};

use crate::state_tables::{change_in, exception};
use crate::world::{bytes_of, id, name, names, version};

/// The kind, after the way through the store and back; and what is said of it when it was read back.
pub fn line<E: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(noun: Noun, event: &E) -> String {
    let stored = NewEvent::of(event);
    let text = serde_json::to_string(&stored.body).unwrap();
    let mut body: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body, stored.body);
    let said = sentence(noun, &stored.kind, &body);
    body.as_object_mut().unwrap().insert("kind".into(), stored.kind.clone().into());
    assert_eq!(&serde_json::from_value::<E>(body).unwrap(), event);
    format!("{}: {said}\n", stored.kind)
}

fn by() -> String {
    "bob".into()
}

fn before_waves() -> Vec<Event> {
    let held = Held { on: WaitingOn::Schedule, since_ms: 1, until_ms: Some(2) };
    let measurement =
        Measurement { at_ms: 1, status: Status::Failed, value: Some(0.1 + 0.2), samples: u64::MAX, detail: "3 of 10".into() };
    let read = BTreeMap::from([("web-1".to_owned(), Counters { numerator: 1e300, denominator: 3.0 })]);
    let versions = BTreeMap::from([(name("shop-web"), version("1.1"))]);
    vec![
        Event::Planned { plan: bytes_of("a"), fallback_plan: Some(bytes_of("b")), versions, targets: 3, waves: 1 },
        Event::ChangeAttached { change: id("CHG-1") },
        Event::StartRequested { by: by(), not_before_ms: Some(5) },
        Event::Held { state: State::Scheduled, held, codes: vec!["freeze".into()] },
        Event::Started { generation: u64::MAX },
        Event::Expired { reason: "stale".into() },
        Event::GateOpened { gate: "0.before.0".into(), name: "smoke".into() },
        Event::GateApproved { gate: "0.before.0".into(), by: name("bob") },
        Event::Measured { gate: "0.after.0".into(), measurement, read },
        Event::GateClosed {
            gate: "0.after.0".into(),
            name: "smoke".into(),
            passed: false,
            sentence: "smoke: 503".into(),
            by: None,
        },
    ]
}

fn in_waves() -> Vec<Event> {
    let ordered = vec![Ordered { target: name("web-1"), attempt: "DEP-1:web-1:1".into() }];
    let component = name("shop-web");
    let step = StepReport {
        index: 0,
        component,
        name: "unpack".into(),
        state: StepState::Errored,
        exit_code: Some(-1),
        took_ms: Some(1),
        detail: None,
    };
    let (target, attempt, reason) = (name("web-1"), "DEP-1:web-1:2".to_owned(), "because".to_owned());
    vec![
        Event::WaveStarted { wave: 0, ordered, already_current: names(&["web-2"]) },
        Event::TargetReported {
            target: target.clone(),
            attempt: attempt.clone(),
            state: TargetState::TimedOut,
            steps: vec![step],
            detail: Some("slow".into()),
        },
        Event::TargetsOverdue {
            targets: names(&["a", "b", "c", "d"]),
            state: TargetState::Unreachable,
            detail: "no answer".into(),
        },
        Event::WaveHealthy { wave: 0, healthy: 1, failed: 1 },
        Event::WaveCompleted { wave: 0 },
        Event::Paused { by: by(), reason: String::new(), freeze: Some(id("FRZ-1")) },
        Event::Resumed { by: by() },
        Event::TargetRetried { target: target.clone(), attempt, start_at: 2, by: by(), reason: reason.clone() },
        Event::TargetExcluded { target: target.clone(), by: by(), reason },
        Event::TargetFailed { target, by: by() },
    ]
}

fn at_the_end() -> Vec<Event> {
    vec![
        Event::Failing { reason: "1 target failed".into(), then: Then::FallBack, by: None },
        Event::Failing { reason: String::new(), then: Then::Cancel, by: Some(by()) },
        Event::Failing { reason: "bad".into(), then: Then::FallBackAnyway, by: Some(by()) },
        Event::FallbackStarted { deployment: id("DEP-1-FB") },
        Event::FellBack,
        Event::FallbackFailed { reason: "the plan back has failed".into() },
        Event::Succeeded { empty: true },
        Event::Succeeded { empty: false },
        Event::Failed { reason: "1 target failed".into() },
        Event::Cancelled { by: by(), reason: String::new() },
        Event::Cancelled { by: by(), reason: "not needed".into() },
    ]
}

#[test]
fn events_of_a_deployment() {
    let all = [before_waves(), in_waves(), at_the_end()].concat();
    expect![[r#"
        planned: planned 3 targets in 1 wave as plan ca978112ca1b
        change_attached: attached change CHG-1
        start_requested: bob asked to start it
        held: waiting for its planned time
        started: admitted and started as generation 18446744073709551615
        expired: can no longer start: stale
        gate_opened: gate smoke opened
        gate_approved: bob said yes at the gate
        measured: measured: 3 of 10
        gate_closed: gate smoke failed: 503
        wave_started: wave 1 began: 1 ordered, 1 already current
        target_reported: web-1 timed out: slow
        targets_overdue: a, b, c and 1 more are unreachable: no answer
        wave_healthy: wave 1 has ended within the budget: 1 healthy, 1 failed
        wave_completed: wave 1 is complete
        paused: paused by bob
        resumed: resumed by bob
        target_retried: web-1 tries again, as bob asked: because
        target_excluded: web-1 was excluded by bob: because
        target_failed: bob decided that web-1 has failed
        failing: failing: 1 target failed
        failing: stopped by bob
        failing: taken back by bob: bad
        fallback_started: falling back with DEP-1-FB
        fell_back: fell back
        fallback_failed: falling back failed: the plan back has failed
        succeeded: succeeded, with no target to do anything on
        succeeded: succeeded
        failed: failed: 1 target failed
        cancelled: cancelled by bob
        cancelled: cancelled by bob: not needed
    "#]]
    .assert_eq(&all.iter().map(|event| line(Noun::Deployment, event)).collect::<String>());
}

#[test]
fn events_of_a_change() {
    use change::{Event, Outcome};
    let content = change_in("normal", change::State::Draft).content;
    let (digest, reason) = (content.digest(), || "because".to_owned());
    let vote = |choice| change::Vote { by: name("bob"), at_ms: 1, choice, digest: digest.clone(), reason: reason() };
    let events = [
        Event::Drafted { content: content.clone(), author: name("ada") },
        Event::Edited { content, by: name("ada"), votes_fallen: 2 },
        Event::Submitted,
        Event::AwaitingAuthorisation,
        Event::Voted { vote: vote(change::Choice::Approve) },
        Event::Voted { vote: vote(change::Choice::Reject) },
        Event::VoteWithdrawn { by: name("bob") },
        Event::Authorised { digest: digest.clone(), by: by() },
        Event::AuthorisationFell { reason: reason() },
        Event::Rejected { by: name("bob"), reason: reason() },
        Event::Held { reason: reason() },
        Event::Unheld,
        Event::Implementing,
        Event::Verifying,
        Event::Reviewing { outcome: Outcome::WithIssues },
        Event::Closed { outcome: Outcome::FellBack, review: "fine".into() },
        Event::Cancelled { reason: reason() },
    ];
    expect![[r#"
        drafted: drafted "Shop 1.1"
        edited: edited it, so that 2 votes fell
        submitted: submitted it
        awaiting_authorisation: it awaits authorisation
        voted: bob approved it
        voted: bob voted against it: because
        vote_withdrawn: bob withdrew their vote
        authorised: authorised by bob for content c3e256c83f4c
        authorisation_fell: its authorisation fell: because
        rejected: bob rejected it: because
        held: put on hold: because
        unheld: taken off hold
        implementing: its implementation began
        verifying: its implementation is being verified
        reviewing: implemented, with issues; it awaits review
        closed: closed, fell back
        cancelled: cancelled: because
    "#]]
    .assert_eq(&events.iter().map(|event| line(Noun::Change, event)).collect::<String>());
}

#[test]
fn events_of_a_release() {
    use release::Event;
    let versions = BTreeMap::from([(name("shop-web"), version("1.1"))]);
    let events = [
        Event::Drafted { version: version("1.1"), versions, model: "standard".into() },
        Event::Planned,
        Event::Started,
        Event::CriterionMet { phase: 0, criterion: 1, text: "documents are ready".into(), by: name("bob") },
        Event::PhaseCompleted { phase: 0, name: "plan".into() },
        Event::ChangeAdded { change: id("CHG-1") },
        Event::Deploying,
        Event::EarlyLifeSupport,
        Event::Evaluated { evaluation: "as stated".into() },
        Event::Closed,
        Event::Cancelled { reason: "no need".into() },
        Event::Rejected { by: by(), reason: "loses orders".into() },
    ];
    expect![[r#"
        drafted: drafted version 1.1 after model standard
        planned: planned it
        started: began its first phase
        criterion_met: bob said that "documents are ready" holds
        phase_completed: completed phase plan
        change_added: took change CHG-1 into its scope
        deploying: it is being deployed
        early_life_support: it is live and in early life support
        evaluated: evaluated it against its objectives
        closed: closed it
        cancelled: cancelled it: no need
        rejected: bob rejected it, so that no path deploys it: loses orders
    "#]]
    .assert_eq(&events.iter().map(|event| line(Noun::Release, event)).collect::<String>());
}

#[test]
fn events_of_a_freeze_and_of_a_place() {
    use freeze::Event;
    let (asked, bob) = (exception(ExceptionState::Requested), name("bob"));
    let events = [
        Event::Declared { name: "autumn".into(), from_ms: 1, until_ms: 2 },
        Event::Lifted { by: by(), reason: "over".into() },
        Event::ExceptionRequested { exception: asked },
        Event::ExceptionApproved { exception: id("EXC-1"), by: bob.clone(), until_ms: 2 },
        Event::ExceptionRejected { exception: id("EXC-1"), by: bob, reason: "no".into() },
    ];
    let package = BTreeMap::from([(name("shop-web"), (version("1.1"), bytes_of("1.1")))]);
    let places = [
        SlotEvent::Taken { deployment: id("DEP-1"), generation: 7 },
        SlotEvent::Freed { deployment: id("DEP-1") },
        SlotEvent::Verified { deployment: id("DEP-1"), release: Some(id("REL-1")), package },
    ];
    let freezes = events.iter().map(|event| line(Noun::Freeze, event)).collect::<String>();
    let places = places.iter().map(|event| line(Noun::Slot, event)).collect::<String>();
    expect![[r#"
        declared: declared freeze "autumn"
        lifted: bob lifted it: over
        exception_requested: ada asked to let DEP-1 through: a hole
        exception_approved: bob approved exception EXC-1
        exception_rejected: bob rejected exception EXC-1: no
        taken: DEP-1 took the place as generation 7
        freed: DEP-1 left the place
        verified: DEP-1 verified its package here
    "#]]
    .assert_eq(&(freezes + &places));
}

#[test]
fn an_event_of_a_newer_program_is_named_by_its_kind() {
    assert_eq!(sentence(Noun::Deployment, "target_teleported", &serde_json::json!({"to": "the moon"})), "target teleported");
}
