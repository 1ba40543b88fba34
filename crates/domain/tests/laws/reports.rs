//! What a target says, when it may say it, and when it is no news; also what a hostile target says.

use tidegate_domain::deployment::order::{Outcome, Report, StepReport, StepState, attempt_id};
use tidegate_domain::deployment::plan::Plan;
use tidegate_domain::deployment::rollout::{Answer, Command, Deployment, Event, Ordered, TargetState};
use tidegate_domain::deployment::strategy::Strategy;
use tidegate_domain::{Code, Id};

use crate::world::{Steps, born, has, id, name, plain_plan, plans};

/// A running deployment with both targets ordered.
fn running(plan: &Plan) -> Deployment {
    let mut live = born(plan, id("DEP-1"), None, 0);
    live.apply(&Event::StartRequested { by: "ada".into(), not_before_ms: None }, 0);
    live.apply(&Event::Started { generation: 7 }, 0);
    let order = |target: &str| Ordered { target: name(target), attempt: attempt_id(&live.id, &name(target), 1) };
    let ordered = vec![order("web-1"), order("web-2")];
    live.apply(&Event::WaveStarted { wave: 0, ordered, already_current: vec![] }, 0);
    live
}

fn step(index: usize, state: StepState) -> StepReport {
    let names = ["unpack", "migrate", "switch"];
    let name_of = names.get(index).copied().unwrap_or("more");
    let component = name("shop-web");
    StepReport { index, component, name: name_of.into(), state, exit_code: None, took_ms: None, detail: None }
}

fn report(outcome: Outcome, steps: Vec<StepReport>) -> Report {
    let attempt = attempt_id(&id("DEP-1"), &name("web-1"), 1);
    Report { attempt, generation: 7, outcome, steps, attested: has("1.1"), detail: None }
}

fn events(live: &Deployment, plan: &Plan, report: &Report) -> Vec<Event> {
    live.decide(plan, &Command::Report(Box::new(report.clone())), 5_000).unwrap()
}

#[test]
fn only_the_current_try_of_this_generation_is_heard() {
    let plan = plain_plan();
    let live = running(&plan);
    let good = report(Outcome::Healthy, vec![]);
    assert_eq!(events(&live, &plan, &good).len(), 1);
    let attempt = |deployment: &Id, target: &str, number| attempt_id(deployment, &name(target), number);
    let mine = id("DEP-1");
    let strangers = [
        Report { generation: 6, ..good.clone() },
        Report { generation: 8, ..good.clone() },
        Report { attempt: attempt(&mine, "web-1", 2), ..good.clone() },
        Report { attempt: attempt(&mine, "web-1", 0), ..good.clone() },
        Report { attempt: attempt(&mine, "web-9", 1), ..good.clone() },
        Report { attempt: attempt(&id("DEP-2"), "web-1", 1), ..good.clone() },
        Report { attempt: String::new(), ..good.clone() },
        Report { attempt: "DEP-1:web-1".into(), ..good.clone() },
        Report { attempt: "DEP-1:web-1:1:1".into(), ..good.clone() },
        Report { attempt: "::🦀:".into(), ..good },
    ];
    for stranger in strangers {
        assert_eq!(events(&live, &plan, &stranger), vec![], "{stranger:?}");
    }
}

#[test]
fn reports_may_overtake_each_other() {
    let plan = plans(&Strategy::all_at_once(), Steps::Once, 2, &[]).forward;
    let mut live = running(&plan);
    let early = report(Outcome::InProgress, vec![step(0, StepState::Running)]);
    let later = report(Outcome::InProgress, vec![step(0, StepState::Succeeded), step(1, StepState::Running)]);
    let latest = report(Outcome::InProgress, vec![step(0, StepState::Succeeded), step(1, StepState::Succeeded)]);
    for said in [&later, &latest] {
        for event in events(&live, &plan, said) {
            live.apply(&event, 5_000);
        }
    }
    assert_eq!(live.targets[&name("web-1")].steps, latest.steps);
    assert_eq!(events(&live, &plan, &early), vec![]);
    assert_eq!(events(&live, &plan, &later), vec![]);
    assert_eq!(events(&live, &plan, &latest), vec![]);
}

#[test]
fn a_hostile_step_number_breaks_nothing() {
    let plan = plans(&Strategy::all_at_once(), Steps::Once, 2, &[]).forward;
    let mut live = running(&plan);
    for event in events(&live, &plan, &report(Outcome::Unknown, vec![step(usize::MAX, StepState::Unknown)])) {
        live.apply(&event, 5_000);
    }
    let answer = |answer| Command::Answer { target: name("web-1"), answer, by: "bob".into() };
    assert!(live.decide(&plan, &answer(Answer::Ran), 6_000).is_ok());
    assert!(live.decide(&plan, &answer(Answer::Failed), 6_000).is_ok());
}

#[test]
fn doubt_without_a_step_can_still_be_ended() {
    let plan = plain_plan();
    let mut live = running(&plan);
    for event in events(&live, &plan, &report(Outcome::Unknown, vec![])) {
        live.apply(&event, 5_000);
    }
    assert_eq!(live.targets[&name("web-1")].state, TargetState::Unknown);
    let answer = |answer| Command::Answer { target: name("web-1"), answer, by: "bob".into() };
    assert_eq!(live.decide(&plan, &answer(Answer::Ran), 6_000).unwrap_err().code, Code::StateForbids);
    assert!(live.decide(&plan, &answer(Answer::Failed), 6_000).is_ok());
}

#[test]
fn a_step_last_seen_running_on_a_silent_target_is_in_doubt() {
    let plan = plans(&Strategy::all_at_once(), Steps::Once, 2, &[]).forward;
    let mut live = running(&plan);
    for event in
        events(&live, &plan, &report(Outcome::InProgress, vec![step(0, StepState::Succeeded), step(1, StepState::Running)]))
    {
        live.apply(&event, 5_000);
    }
    live.apply(
        &Event::TargetsOverdue { targets: vec![name("web-1")], state: TargetState::TimedOut, detail: "late".into() },
        9_000,
    );
    let retry = Command::Retry { target: name("web-1"), by: "bob".into(), reason: "again".into() };
    assert_eq!(live.decide(&plan, &retry, 9_000).unwrap_err().code, Code::StateForbids);
    let ran = Command::Answer { target: name("web-1"), answer: Answer::Ran, by: "bob".into() };
    let events = live.decide(&plan, &ran, 9_000).unwrap();
    assert!(matches!(events.as_slice(), [Event::TargetRetried { start_at: 2, .. }]), "{events:?}");
}
