//! Programs whose end nobody saw: what each class makes of it.

use tidegate_domain::deployment::order::{Order, Outcome, Report, StepState};
use tidegate_domain::estate::Class;

use crate::world::{World, claimed, is_alive, script, signal, unpack, wait_until};

/// Holds before or after its effect until the test lets it go, so that it can be killed right there.
const HELD: &str = r#"
hold() { while [ ! -e "$LEDGER.go" ]; do sleep 0.02; done; }
echo begin >> "$LEDGER"
[ "$1" = before ] && hold
echo effect >> "$LEDGER"
[ "$1" = after ] && hold
echo end >> "$LEDGER"
"#;

struct Told {
    world: World,
    order: Order,
    report: Report,
}

/// Runs a held step of the class; kills everything while it is held, lets it go, and starts the agent again.
async fn power_cut(class: Class, hold: &str, verify: &str) -> Told {
    let mut world = World::running().await;
    let order = held(&world, class, hold, verify);
    world.server.with(|memory| memory.orders.push(order.clone()));
    reached(&world, hold).await;
    world.kill().await;
    world.kill_all().await;
    std::fs::write(world.folder.path().join("ledger.go"), "").expect("let go");
    world.start(0);
    let report = world.server.end_of(&order.attempt).await;
    Told { world, order, report }
}

fn held(world: &World, class: Class, hold: &str, verify: &str) -> Order {
    let mut step = script("step", class);
    if let tidegate_domain::estate::Action::Script { args, .. } = &mut step.action {
        args.push(hold.to_owned());
    }
    let after = script("after", Class::Idempotent);
    let scripts = [("step", HELD), ("after", "echo after >> \"$LEDGER\""), ("verify", verify)];
    world.order(1, 1, vec![world.scripts("1.0", &scripts, vec![unpack(), step, after])])
}

async fn reached(world: &World, hold: &str) {
    let line = if hold == "before" { "begin" } else { "effect" };
    wait_until("the step is held", || world.effects().last().is_some_and(|last| last == line)).await;
}

const GREP: &str = r#"grep -q "^effect$" "$LEDGER""#;

#[tokio::test]
async fn an_idempotent_step_runs_again() {
    let Told { world, report, .. } = power_cut(Class::Idempotent, "before", GREP).await;
    assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
    assert_eq!(world.effects(), ["begin", "begin", "effect", "end", "after"]);
}

#[tokio::test]
async fn a_verifiable_step_that_did_not_happen_runs_again() {
    let Told { world, report, .. } = power_cut(Class::Verifiable, "before", GREP).await;
    assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
    assert_eq!(world.effects(), ["begin", "begin", "effect", "end", "after"]);
}

#[tokio::test]
async fn a_verifiable_step_that_happened_does_not_run_again() {
    let Told { world, report, .. } = power_cut(Class::Verifiable, "after", GREP).await;
    assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
    assert_eq!(world.effects(), ["begin", "effect", "after"]);
}

#[tokio::test]
async fn a_verify_program_that_cannot_say_leaves_the_step_unknown() {
    let Told { world, report, .. } = power_cut(Class::Verifiable, "before", "exit 2").await;
    assert_eq!(report.outcome, Outcome::Unknown, "{report:#?}");
    assert_eq!(report.detail.as_deref(), Some("step 1 \"step\" of ledger: its verify program ended with exit code 2"));
    assert_eq!(world.effects(), ["begin"]);
}

#[tokio::test]
async fn a_verify_program_that_cannot_be_run_leaves_the_step_unknown() {
    let mut world = World::running().await;
    let order = held(&world, Class::Verifiable, "before", GREP);
    world.server.with(|memory| memory.orders.push(order.clone()));
    reached(&world, "before").await;
    world.kill().await;
    world.kill_all().await;
    std::fs::remove_file(world.component().join("releases/1.0/bin/verify")).expect("removed");
    world.start(0);
    let report = world.server.end_of(&order.attempt).await;
    assert_eq!(report.outcome, Outcome::Unknown, "{report:#?}");
    assert_eq!(world.effects(), ["begin"]);
}

#[tokio::test]
async fn a_once_step_asks_a_person_and_goes_on_where_the_person_says() {
    let Told { world, order, report } = power_cut(Class::Once, "after", GREP).await;
    assert_eq!(report.outcome, Outcome::Unknown, "{report:#?}");
    let step = report.steps.last().expect("a step");
    assert_eq!((step.index, step.state), (1, StepState::Unknown));
    assert_eq!(world.effects(), ["begin", "effect"]);
    let report = world.server.carry_out(Order { attempt: "DEP-1:web-1:2".into(), start_at: 2, ..order }).await;
    assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
    let states: Vec<StepState> = report.steps.iter().map(|step| step.state).collect();
    assert_eq!(states, [StepState::Skipped, StepState::Skipped, StepState::Succeeded]);
    assert_eq!(world.effects(), ["begin", "effect", "after"]);
}

#[tokio::test]
async fn a_step_goes_on_while_the_agent_is_away_and_is_found_again() {
    let mut world = World::running().await;
    let order = held(&world, Class::Once, "before", GREP);
    world.server.with(|memory| memory.orders.push(order.clone()));
    reached(&world, "before").await;
    world.kill().await;
    world.start(0);
    // Taken up before it ends.
    let of = order.attempt.clone();
    let taken_up = |memory: &mut crate::server::Memory| {
        let last = memory.reports.last()?;
        (last.attempt == of && last.steps.last()?.state == StepState::Running).then_some(())
    };
    world.server.until("the running step", taken_up).await;
    std::fs::write(world.folder.path().join("ledger.go"), "").expect("let go");
    let report = world.server.end_of(&order.attempt).await;
    assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
    assert_eq!(world.effects(), ["begin", "effect", "end", "after"]);
}

#[tokio::test]
async fn a_step_that_ended_while_the_agent_was_away_is_not_run_again() {
    let mut world = World::running().await;
    let order = held(&world, Class::Once, "before", GREP);
    world.server.with(|memory| memory.orders.push(order.clone()));
    reached(&world, "before").await;
    world.kill().await;
    std::fs::write(world.folder.path().join("ledger.go"), "").expect("let go");
    let result = world.root().join("journal/DEP-1_web-1_1/00001-001/result.json");
    wait_until("the supervisor kept the result", || result.exists()).await;
    world.start(0);
    let report = world.server.end_of(&order.attempt).await;
    assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
    assert_eq!(world.effects(), ["begin", "effect", "end", "after"]);
}

/// Sends the supervisor of the held step a signal that the agent knows nothing of, and answers how the order ended.
async fn signalled(world: &World, class: Class, sent: rustix::process::Signal) -> Report {
    let order = held(world, class, "before", GREP);
    world.server.with(|memory| memory.orders.push(order.clone()));
    reached(world, "before").await;
    let tried = world.root().join("journal/DEP-1_web-1_1/00001-001");
    let supervisor = claimed(&tried)[0];
    signal(supervisor.0, sent);
    wait_until("the supervisor is gone", || !is_alive(supervisor.0, supervisor.1)).await;
    for (pid, ticks) in claimed(&tried.join("child")) {
        wait_until("its program is gone too", || !is_alive(pid, ticks)).await;
    }
    std::fs::write(world.folder.path().join("ledger.go"), "").expect("let go");
    world.server.end_of(&order.attempt).await
}

#[tokio::test]
async fn a_program_dies_with_its_supervisor_and_is_then_in_doubt() {
    let world = World::running().await;
    let report = signalled(&world, Class::Once, rustix::process::Signal::KILL).await;
    assert_eq!(report.outcome, Outcome::Unknown, "{report:#?}");
    assert_eq!(world.effects(), ["begin"]);
}

#[tokio::test]
async fn a_step_that_the_host_ends_unasked_is_in_doubt_and_not_cancelled() {
    let world = World::running().await;
    let report = signalled(&world, Class::Once, rustix::process::Signal::TERM).await;
    assert_eq!(report.outcome, Outcome::Unknown, "{report:#?}");
    assert_eq!(world.effects(), ["begin"]);
    let world = World::running().await;
    let report = signalled(&world, Class::Idempotent, rustix::process::Signal::TERM).await;
    assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
    assert_eq!(world.effects(), ["begin", "begin", "effect", "end", "after"]);
}
