//! Every state machine as a whole: what each command leads to in each state. A change of a machine is a change of these pages.

use std::sync::Arc;

use std::collections::BTreeMap;

use expect_test::expect;
use serde::Serialize;
use serde_json::json;
use tidegate_domain::Refusal;
use tidegate_domain::calendar::Freeze;
use tidegate_domain::calendar::freeze::{Exception, ExceptionState};
use tidegate_domain::change::{self, Change};
use tidegate_domain::deployment::order::{Outcome, Report, StepReport, StepState, attempt_id};
use tidegate_domain::deployment::plan::Plan;
use tidegate_domain::deployment::rollout::{Answer, Command, Deployment, Failure, Pause, State, TargetState, Then};
use tidegate_domain::event::NewEvent;
use tidegate_domain::release::{self, Release};

use crate::world::{Steps, born, has, id, name, plans, strategy};

/// What came out, in one word.
fn word<E: Serialize>(decided: &Result<Vec<E>, Refusal>) -> String {
    match decided {
        Ok(events) if events.is_empty() => "no news".into(),
        Ok(events) => events.iter().map(|event| NewEvent::of(event).kind).collect::<Vec<_>>().join(" + "),
        Err(refusal) => format!("refused ({})", refusal.code),
    }
}

/// `command` and below it each outcome with the states that lead to it.
fn row(command: &str, outcomes: Vec<(String, String)>) -> String {
    let mut by_outcome: Vec<(String, Vec<String>)> = Vec::new();
    for (state, outcome) in outcomes {
        match by_outcome.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, states)) => states.push(state),
            None => by_outcome.push((outcome, vec![state])),
        }
    }
    let lines = by_outcome.into_iter().map(|(outcome, states)| format!("    {outcome}: {}\n", states.join(", ")));
    format!("{command}\n{}", lines.collect::<String>())
}

const STATES: [State; 15] = [
    State::Planned,
    State::AwaitingApproval,
    State::Scheduled,
    State::Queued,
    State::Running,
    State::Baking,
    State::Paused,
    State::Failing,
    State::FallingBack,
    State::Succeeded,
    State::Failed,
    State::FellBack,
    State::FallbackFailed,
    State::Cancelled,
    State::Expired,
];

fn gated_plan() -> Plan {
    let gates = json!({"before": [{"approval": {}}, {"bake": {"at_least_seconds": 5}}]});
    plans(&strategy(gates), Steps::Once, 2, &[]).forward
}

/// A deployment in a state, before its first wave; `web-1` is as asked and has a step in doubt if it is in doubt.
fn deployment(plan: &Plan, state: State, target: TargetState) -> Deployment {
    let mut live = born(plan, id("DEP-1"), None, 0);
    live.state = state;
    let waits = matches!(state, State::Planned | State::AwaitingApproval | State::Scheduled | State::Queued | State::Expired);
    live.started_at_ms = (!waits).then_some(0);
    live.generation = u64::from(!waits);
    let pause = || Pause { by: "eve".into(), reason: String::new(), freeze: None, since_ms: 0 };
    live.pause = (state == State::Paused).then(pause);
    live.failure = (state == State::Failing).then(|| Failure { reason: "bad".into(), by: None, then: Then::FallBack, at_ms: 0 });
    let went_back = matches!(state, State::FallingBack | State::FellBack | State::FallbackFailed);
    live.fallback = went_back.then(|| live.fallback_id());
    let progress = Arc::make_mut(live.targets.get_mut(&name("web-1")).unwrap());
    progress.state = target;
    progress.attempt = u32::from(!matches!(target, TargetState::Pending));
    if target == TargetState::Unknown {
        progress.steps = vec![StepReport {
            index: 1,
            component: name("shop-web"),
            name: "migrate".into(),
            state: StepState::Unknown,
            exit_code: None,
            took_ms: None,
            detail: None,
        }];
    }
    live.counts = BTreeMap::new();
    for progress in live.targets.values() {
        *live.counts.entry(progress.state).or_insert(0) += 1;
    }
    live
}

fn commands() -> Vec<(&'static str, Command)> {
    let (by, reason, gate) = (|| "bob".to_owned(), || "because".to_owned(), || "0.before.0".to_owned());
    vec![
        ("start", Command::Start { by: by(), not_before_ms: None }),
        ("attach a change", Command::AttachChange { change: id("CHG-1") }),
        ("approve gate", Command::ApproveGate { gate: gate(), by: name("bob") }),
        ("approve bake", Command::ApproveGate { gate: "0.before.1".into(), by: name("bob") }),
        ("override gate", Command::OverrideGate { gate: gate(), by: by(), reason: reason() }),
        ("override gate without a reason", Command::OverrideGate { gate: gate(), by: by(), reason: " ".into() }),
        ("pause", Command::Pause { by: by(), reason: reason() }),
        ("resume", Command::Resume { by: by() }),
        ("stop", Command::Stop { by: by(), reason: reason(), then: Then::Cancel }),
        ("fall back", Command::FallBack { by: by(), reason: reason() }),
        ("retry a failed target", Command::Retry { target: name("web-1"), by: by(), reason: reason() }),
        ("exclude a failed target", Command::Exclude { target: name("web-1"), by: by(), reason: reason() }),
        ("exclude a stranger", Command::Exclude { target: name("web-9"), by: by(), reason: reason() }),
    ]
}

#[test]
fn a_deployment_in_every_state() {
    let plan = gated_plan();
    let table = commands().into_iter().map(|(title, command)| {
        let outcome = |state: &State| {
            let live = deployment(&plan, *state, TargetState::Failed);
            (state.as_str().to_owned(), word(&live.decide(&plan, &command, 0)))
        };
        row(title, STATES.iter().map(outcome).collect())
    });
    expect![[r#"
        start
            start_requested: planned
            refused (state_forbids): awaiting_approval, scheduled, queued, running, baking, paused, failing, falling_back, succeeded, failed, fell_back, fallback_failed, cancelled, expired
        attach a change
            change_attached: planned, awaiting_approval, scheduled, queued
            refused (state_forbids): running, baking, paused, failing, falling_back, succeeded, failed, fell_back, fallback_failed, cancelled, expired
        approve gate
            refused (state_forbids): planned, awaiting_approval, scheduled, queued, failing, falling_back, succeeded, failed, fell_back, fallback_failed, cancelled, expired
            gate_approved: running, baking, paused
        approve bake
            refused (state_forbids): planned, awaiting_approval, scheduled, queued, failing, falling_back, succeeded, failed, fell_back, fallback_failed, cancelled, expired
            refused (malformed): running, baking, paused
        override gate
            refused (state_forbids): planned, awaiting_approval, scheduled, queued, failing, falling_back, succeeded, failed, fell_back, fallback_failed, cancelled, expired
            gate_closed: running, baking, paused
        override gate without a reason
            refused (state_forbids): planned, awaiting_approval, scheduled, queued, failing, falling_back, succeeded, failed, fell_back, fallback_failed, cancelled, expired
            refused (malformed): running, baking, paused
        pause
            refused (state_forbids): planned, awaiting_approval, scheduled, queued, paused, failing, falling_back, succeeded, failed, fell_back, fallback_failed, cancelled, expired
            paused: running, baking
        resume
            refused (state_forbids): planned, awaiting_approval, scheduled, queued, running, baking, failing, falling_back, succeeded, failed, fell_back, fallback_failed, cancelled, expired
            resumed: paused
        stop
            cancelled: planned, awaiting_approval, scheduled, queued
            failing: running, baking, paused, failing
            refused (state_forbids): falling_back, succeeded, failed, fell_back, fallback_failed, cancelled, expired
        fall back
            refused (state_forbids): planned, awaiting_approval, scheduled, queued, falling_back, fell_back, fallback_failed, expired
            failing: running, baking, paused, failing, succeeded, failed, cancelled
        retry a failed target
            refused (state_forbids): planned, awaiting_approval, scheduled, queued, failing, falling_back, succeeded, failed, fell_back, fallback_failed, cancelled, expired
            target_retried: running, baking, paused
        exclude a failed target
            refused (state_forbids): planned, awaiting_approval, scheduled, queued, failing, falling_back, succeeded, failed, fell_back, fallback_failed, cancelled, expired
            target_excluded: running, baking, paused
        exclude a stranger
            refused (state_forbids): planned, awaiting_approval, scheduled, queued, failing, falling_back, succeeded, failed, fell_back, fallback_failed, cancelled, expired
            refused (not_found): running, baking, paused
    "#]].assert_eq(&table.collect::<String>());
}

#[test]
fn a_target_in_every_state() {
    let plan = gated_plan();
    let report = |outcome| {
        let attempt = attempt_id(&id("DEP-1"), &name("web-1"), 1);
        Command::Report(Box::new(Report { attempt, generation: 1, outcome, steps: vec![], attested: has("1.1"), detail: None }))
    };
    let answer = |answer| Command::Answer { target: name("web-1"), answer, by: "bob".into() };
    let commands = [
        ("retry", Command::Retry { target: name("web-1"), by: "bob".into(), reason: "again".into() }),
        ("exclude", Command::Exclude { target: name("web-1"), by: "bob".into(), reason: "gone".into() }),
        ("answer: it ran", answer(Answer::Ran)),
        ("answer: run it again", answer(Answer::RunAgain)),
        ("answer: it failed", answer(Answer::Failed)),
        ("report: in progress", report(Outcome::InProgress)),
        ("report: healthy", report(Outcome::Healthy)),
        ("report: failed", report(Outcome::Failed)),
        ("report: timed out", report(Outcome::TimedOut)),
        ("report: cancelled", report(Outcome::Cancelled)),
        ("report: in doubt", report(Outcome::Unknown)),
        ("report: refused", report(Outcome::Refused)),
    ];
    let table = commands.into_iter().map(|(title, command)| {
        let outcome = |state: &TargetState| {
            let live = deployment(&plan, State::Running, *state);
            (state.as_str().to_owned(), word(&live.decide(&plan, &command, 0)))
        };
        row(title, TargetState::ALL.iter().map(outcome).collect())
    });
    expect![[r#"
        retry
            refused (state_forbids): healthy, already_current, in_progress, ordered, pending, unknown, excluded
            target_retried: failed, timed_out, unreachable, cancelled
        exclude
            refused (state_forbids): healthy, already_current, in_progress, ordered, excluded
            target_excluded: pending, unknown, failed, timed_out, unreachable, cancelled
        answer: it ran
            refused (state_forbids): healthy, already_current, in_progress, ordered, pending, failed, timed_out, unreachable, cancelled, excluded
            target_retried: unknown
        answer: run it again
            refused (state_forbids): healthy, already_current, in_progress, ordered, pending, failed, timed_out, unreachable, cancelled, excluded
            target_retried: unknown
        answer: it failed
            refused (state_forbids): healthy, already_current, in_progress, ordered, pending, failed, timed_out, unreachable, cancelled, excluded
            target_failed: unknown
        report: in progress
            no news: healthy, already_current, in_progress, pending, unknown, failed, timed_out, unreachable, cancelled, excluded
            target_reported: ordered
        report: healthy
            no news: healthy, already_current, pending, unknown, failed, cancelled, excluded
            target_reported: in_progress, ordered, timed_out, unreachable
        report: failed
            no news: healthy, already_current, pending, unknown, failed, cancelled, excluded
            target_reported: in_progress, ordered, timed_out, unreachable
        report: timed out
            no news: healthy, already_current, pending, unknown, failed, timed_out, cancelled, excluded
            target_reported: in_progress, ordered, unreachable
        report: cancelled
            no news: healthy, already_current, pending, unknown, failed, cancelled, excluded
            target_reported: in_progress, ordered, timed_out, unreachable
        report: in doubt
            no news: healthy, already_current, pending, unknown, failed, cancelled, excluded
            target_reported: in_progress, ordered, timed_out, unreachable
        report: refused
            no news: healthy, already_current, pending, unknown, failed, cancelled, excluded
            target_reported: in_progress, ordered, timed_out, unreachable
    "#]].assert_eq(&table.collect::<String>());
}

const CHANGE_STATES: [change::State; 12] = [
    change::State::Draft,
    change::State::Submitted,
    change::State::Assessing,
    change::State::AwaitingAuthorisation,
    change::State::Authorised,
    change::State::Scheduled,
    change::State::Implementing,
    change::State::Verifying,
    change::State::Review,
    change::State::Closed,
    change::State::Rejected,
    change::State::Cancelled,
];

/// A change of a class in a state, by ada, approved by eve where that has to be.
pub fn change_in(class: &str, state: change::State) -> Change {
    let content = json!({"title": "Shop 1.1", "class": class, "application": "shop", "environments": ["live"]});
    let content: change::Content = serde_json::from_value(content).unwrap();
    let (mut change, _) = Change::draft(id("CHG-1"), content, name("ada"), 0).unwrap();
    change.state = state;
    let voted = change::Vote {
        by: name("eve"),
        at_ms: 0,
        choice: change::Choice::Approve,
        digest: change.content.digest(),
        reason: String::new(),
    };
    if state.lets_deploy() {
        change.authorised = Some(change.content.digest());
        change.votes = vec![voted];
    }
    change
}

fn change_commands() -> Vec<(&'static str, change::Command)> {
    use change::{Choice, Command, Outcome, Vote};
    let other: change::Content =
        change::Content { title: "Shop 1.2".into(), ..change_in("normal", change::State::Draft).content };
    let digest = change_in("normal", change::State::Draft).content.digest();
    let vote = |choice, reason: &str| Vote { by: name("bob"), at_ms: 0, choice, digest: digest.clone(), reason: reason.into() };
    vec![
        ("edit", Command::Edit { content: other, by: name("ada") }),
        ("submit", Command::Submit { by: name("ada") }),
        ("approve", Command::Vote(vote(Choice::Approve, ""))),
        ("reject", Command::Vote(vote(Choice::Reject, "too late"))),
        ("reject without a reason", Command::Vote(vote(Choice::Reject, ""))),
        ("withdraw the vote", Command::WithdrawVote { by: name("eve") }),
        ("hold", Command::Hold { by: name("bob"), reason: "wait".into() }),
        ("release", Command::Release { by: name("bob") }),
        ("cancel", Command::Cancel { by: name("ada"), reason: "no need".into() }),
        ("implement", Command::Implement),
        ("verify", Command::Verify),
        ("conclude well", Command::Conclude { environment: name("live"), outcome: Outcome::Successful }),
        ("conclude badly", Command::Conclude { environment: name("live"), outcome: Outcome::FellBack }),
        ("close", Command::Close { outcome: Outcome::Successful, review: "went well".into(), by: name("bob") }),
    ]
}

#[test]
fn a_normal_change_in_every_state() {
    let table = change_commands().into_iter().map(|(title, command)| {
        let outcome = |state: &change::State| (state.as_str().to_owned(), word(&change_in("normal", *state).decide(&command)));
        row(title, CHANGE_STATES.iter().map(outcome).collect())
    });
    expect![[r#"
        edit
            edited: draft, submitted, assessing, awaiting_authorisation, rejected
            edited + authorisation_fell: authorised, scheduled
            refused (state_forbids): implementing, verifying, review, closed, cancelled
        submit
            submitted + awaiting_authorisation: draft, rejected
            refused (state_forbids): submitted, assessing, awaiting_authorisation, authorised, scheduled, implementing, verifying, review, closed, cancelled
        approve
            refused (state_forbids): draft, submitted, assessing, authorised, scheduled, implementing, verifying, review, closed, rejected, cancelled
            voted + authorised: awaiting_authorisation
        reject
            refused (state_forbids): draft, submitted, assessing, authorised, scheduled, implementing, verifying, review, closed, rejected, cancelled
            voted + rejected: awaiting_authorisation
        reject without a reason
            refused (state_forbids): draft, submitted, assessing, authorised, scheduled, implementing, verifying, review, closed, rejected, cancelled
            refused (malformed): awaiting_authorisation
        withdraw the vote
            refused (state_forbids): draft, submitted, assessing, awaiting_authorisation, implementing, verifying, review, closed, rejected, cancelled
            vote_withdrawn + authorisation_fell: authorised, scheduled
        hold
            held: draft, submitted, assessing, awaiting_authorisation, authorised, scheduled, implementing, verifying, rejected
            refused (state_forbids): review, closed, cancelled
        release
            refused (state_forbids): draft, submitted, assessing, awaiting_authorisation, authorised, scheduled, implementing, verifying, review, closed, rejected, cancelled
        cancel
            cancelled: draft, submitted, assessing, awaiting_authorisation, authorised, scheduled, implementing, verifying, rejected
            refused (state_forbids): review, closed, cancelled
        implement
            no news: draft, submitted, assessing, awaiting_authorisation, implementing, verifying, review, closed, rejected, cancelled
            implementing: authorised, scheduled
        verify
            no news: draft, submitted, assessing, awaiting_authorisation, authorised, scheduled, verifying, review, closed, rejected, cancelled
            verifying: implementing
        conclude well
            no news: draft, submitted, assessing, awaiting_authorisation, review, closed, rejected, cancelled
            implemented + reviewing: authorised, scheduled, implementing, verifying
        conclude badly
            no news: draft, submitted, assessing, awaiting_authorisation, review, closed, rejected, cancelled
            reviewing: authorised, scheduled, implementing, verifying
        close
            refused (state_forbids): draft, submitted, assessing, awaiting_authorisation, authorised, scheduled, implementing, verifying, closed, rejected, cancelled
            closed: review
    "#]].assert_eq(&table.collect::<String>());
}

#[test]
fn classes_differ_in_these_ways_only() {
    let differs = |class: &str| {
        let mut lines = String::new();
        for (title, command) in
            change_commands().into_iter().filter(|(title, _)| !title.starts_with("approve") && !title.starts_with("reject"))
        {
            for state in CHANGE_STATES {
                let (normal, other) = (change_in("normal", state).decide(&command), change_in(class, state).decide(&command));
                if word(&normal) != word(&other) {
                    lines += &format!("{class}, {title} in {}: {}, not {}\n", state.as_str(), word(&other), word(&normal));
                }
            }
        }
        lines
    };
    expect![[r#"
        standard, submit in draft: submitted + authorised, not submitted + awaiting_authorisation
        standard, submit in rejected: submitted + authorised, not submitted + awaiting_authorisation
        standard, conclude well in authorised: implemented + reviewing + closed, not implemented + reviewing
        standard, conclude well in scheduled: implemented + reviewing + closed, not implemented + reviewing
        standard, conclude well in implementing: implemented + reviewing + closed, not implemented + reviewing
        standard, conclude well in verifying: implemented + reviewing + closed, not implemented + reviewing
    "#]]
    .assert_eq(&(differs("standard") + &differs("emergency")));
}

const RELEASE_STATES: [release::State; 8] = [
    release::State::Draft,
    release::State::Planned,
    release::State::InProgress,
    release::State::Deploying,
    release::State::EarlyLifeSupport,
    release::State::Evaluated,
    release::State::Closed,
    release::State::Cancelled,
];

pub fn release_in(state: release::State) -> Release {
    let mut phases = release::Model::Standard.phases();
    phases[0].state = release::PhaseState::Active;
    let phases = serde_json::to_value(phases).unwrap();
    let release = json!({"id": "REL-1", "application": "shop", "version": "1.1", "title": "Shop 1.1", "model": "standard",
        "state": state, "phases": phases, "versions": {"shop-web": "1.1"}, "changes": [], "ready_by_ms": null, "zone": "UTC",
        "objectives": [], "evaluation": "", "rejected": null, "author": "ada", "created_at_ms": 0, "closed_at_ms": null});
    serde_json::from_value(release).unwrap()
}

#[test]
fn a_release_in_every_state() {
    use release::Command;
    let commands = [
        ("plan", Command::Plan),
        ("start", Command::Start),
        ("meet a criterion", Command::Meet { phase: 0, criterion: 0, by: name("bob") }),
        ("meet no criterion", Command::Meet { phase: 0, criterion: 9, by: name("bob") }),
        ("complete a phase with an open criterion", Command::CompletePhase),
        ("add a change", Command::AddChange { change: id("CHG-1") }),
        ("deploying", Command::Deploying),
        ("live", Command::Live),
        ("evaluate", Command::Evaluate { evaluation: "as stated".into() }),
        ("close", Command::Close),
        ("cancel", Command::Cancel { reason: "no need".into() }),
        ("reject", Command::Reject { by: "bob".into(), reason: "loses orders".into() }),
    ];
    let table = commands.into_iter().map(|(title, command)| {
        let outcome = |state: &release::State| (state.as_str().to_owned(), word(&release_in(*state).decide(&command)));
        row(title, RELEASE_STATES.iter().map(outcome).collect())
    });
    expect![[r#"
        plan
            planned: draft
            refused (state_forbids): planned, in_progress, deploying, early_life_support, evaluated, closed, cancelled
        start
            refused (state_forbids): draft, in_progress, deploying, early_life_support, evaluated, closed, cancelled
            started: planned
        meet a criterion
            refused (state_forbids): draft, early_life_support, evaluated, closed, cancelled
            criterion_met: planned, in_progress, deploying
        meet no criterion
            refused (state_forbids): draft, early_life_support, evaluated, closed, cancelled
            refused (not_found): planned, in_progress, deploying
        complete a phase with an open criterion
            refused (state_forbids): draft, planned, in_progress, deploying, early_life_support, evaluated, closed, cancelled
        add a change
            change_added: draft, planned, in_progress, deploying
            refused (state_forbids): early_life_support, evaluated, closed, cancelled
        deploying
            no news: draft, deploying, early_life_support, evaluated, closed, cancelled
            deploying: planned, in_progress
        live
            no news: draft, early_life_support, evaluated, closed, cancelled
            early_life_support: planned, in_progress, deploying
        evaluate
            refused (state_forbids): draft, planned, in_progress, deploying, evaluated, closed, cancelled
            evaluated: early_life_support
        close
            refused (state_forbids): draft, planned, in_progress, deploying, early_life_support, closed, cancelled
            closed: evaluated
        cancel
            cancelled: draft, planned, in_progress, deploying
            refused (state_forbids): early_life_support, evaluated, closed, cancelled
        reject
            rejected: draft, planned, in_progress, deploying, early_life_support, evaluated, closed, cancelled
    "#]]
    .assert_eq(&table.collect::<String>());
}

pub fn freeze(from_ms: i64, until_ms: i64) -> Freeze {
    let freeze = json!({"id": "FRZ-1", "name": "autumn", "reason": "sales", "environments": [], "applications": [], "from_ms": from_ms,
        "until_ms": until_ms, "zone": "UTC", "strictness": "hard", "running": "finish_wave", "lifted": null, "exceptions": []});
    serde_json::from_value(freeze).unwrap()
}

pub fn exception(state: ExceptionState) -> Exception {
    let reason = "a hole".to_owned();
    Exception { id: id("EXC-1"), deployment: id("DEP-1"), reason, requested_by: name("ada"), requested_at_ms: 0, state }
}

#[test]
fn a_freeze_in_every_state() {
    let at = |title: &str, now_ms: i64, lift: bool| {
        let mut freeze = freeze(100, 200);
        if lift {
            freeze.apply(&tidegate_domain::calendar::freeze::Event::Lifted { by: "bob".into(), reason: "over".into() }, 90);
        }
        let state = freeze.state(now_ms);
        let request = word(&freeze.request(exception(ExceptionState::Requested), now_ms));
        format!("{title}: {state}; request {request}; lift {}\n", word(&freeze.lift("bob", "enough", now_ms)))
    };
    let table = [
        at("before", 99, false),
        at("in it", 100, false),
        at("its last", 199, false),
        at("after", 200, false),
        at("lifted", 150, true),
    ];
    expect![[r#"
        before: planned; request exception_requested; lift lifted
        in it: in_force; request exception_requested; lift lifted
        its last: in_force; request exception_requested; lift lifted
        after: over; request refused (state_forbids); lift refused (state_forbids)
        lifted: lifted; request refused (state_forbids); lift refused (state_forbids)
    "#]]
    .assert_eq(&table.concat());
}

#[test]
fn an_exception_in_every_state() {
    let by = || name("bob");
    let states = [
        ("requested", ExceptionState::Requested),
        ("approved", ExceptionState::Approved { by: by(), until_ms: 150 }),
        ("rejected", ExceptionState::Rejected { by: by(), reason: "no".into() }),
        ("withdrawn", ExceptionState::Withdrawn),
    ];
    let rulings = [
        ("approve", ExceptionState::Approved { by: by(), until_ms: 150 }),
        ("approve as the one who asked", ExceptionState::Approved { by: name("ada"), until_ms: 150 }),
        ("approve until now", ExceptionState::Approved { by: by(), until_ms: 110 }),
        ("approve past the freeze", ExceptionState::Approved { by: by(), until_ms: 201 }),
        ("reject", ExceptionState::Rejected { by: by(), reason: "no".into() }),
        ("reject without a reason", ExceptionState::Rejected { by: by(), reason: String::new() }),
        ("rule nothing", ExceptionState::Requested),
    ];
    let table = rulings.into_iter().map(|(title, ruling)| {
        let outcome = |(state, it): &(&str, ExceptionState)| {
            let mut freeze = freeze(100, 200);
            freeze.exceptions.push(exception(it.clone()));
            ((*state).to_owned(), word(&freeze.rule(&id("EXC-1"), ruling.clone(), 110)))
        };
        row(title, states.iter().map(outcome).collect())
    });
    expect![[r#"
        approve
            exception_approved: requested
            refused (state_forbids): approved, rejected, withdrawn
        approve as the one who asked
            refused (author_approves): requested
            refused (state_forbids): approved, rejected, withdrawn
        approve until now
            refused (out_of_range): requested
            refused (state_forbids): approved, rejected, withdrawn
        approve past the freeze
            refused (out_of_range): requested
            refused (state_forbids): approved, rejected, withdrawn
        reject
            exception_rejected: requested
            refused (state_forbids): approved, rejected, withdrawn
        reject without a reason
            refused (malformed): requested
            refused (state_forbids): approved, rejected, withdrawn
        rule nothing
            refused (malformed): requested
            refused (state_forbids): approved, rejected, withdrawn
    "#]]
    .assert_eq(&table.collect::<String>());
}
