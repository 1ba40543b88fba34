//! Another try of the same target, ordered by a server that has not heard all of the one before.

use tidegate_domain::deployment::order::{Order, Outcome, Report, StepState};
use tidegate_domain::estate::Class;

use crate::server::{Lie, Memory};
use crate::world::{World, script, unpack, wait_until};

/// Says that it began and, once the test lets it go, that it ended; and in which try.
const HELD: &str = r#"
try=${TIDEGATE_ATTEMPT##*:}
echo "begin $try" >> "$LEDGER"
while [ ! -e "$LEDGER.go" ]; do sleep 0.02; done
echo "end $try" >> "$LEDGER"
"#;
const FIRST: &str = r#"echo first >> "$LEDGER""#;
const AFTER: &str = r#"echo after >> "$LEDGER""#;
/// A check for [`HELD`].
const HAS_ENDED: &str = r#"echo check >> "$LEDGER"; grep -q ^end "$LEDGER""#;
/// The index of [`HELD`] in every order here.
const STEP: usize = 2;

/// An order whose third step is held; the step before it is of the class `before`.
fn order(world: &World, before: Class, class: Class) -> Order {
    let scripts = [("first", FIRST), ("step", HELD), ("after", AFTER), ("verify", HAS_ENDED)];
    let steps = vec![unpack(), script("first", before), script("step", class), script("after", Class::Idempotent)];
    world.order(1, 1, vec![world.scripts("1.0", &scripts, steps)])
}

fn retry(order: &Order, number: u32, start_at: usize) -> Order {
    Order { attempt: format!("DEP-1:web-1:{number}"), start_at, ..order.clone() }
}

fn let_go(world: &World) {
    std::fs::write(world.folder.path().join("ledger.go"), "").expect("let go");
}

fn hold_again(world: &World) {
    std::fs::remove_file(world.folder.path().join("ledger.go")).expect("held again");
}

/// Gives an order to an agent whose reports do not come through, and waits until its held step has begun.
async fn begun_unheard(world: &World, order: &Order) {
    world.server.with(|memory| {
        memory.deaf = true;
        memory.orders.push(order.clone());
    });
    let begin = format!("begin {}", order.attempt.rsplit(':').next().expect("a number"));
    wait_until("the step is held", || world.effects().last() == Some(&begin)).await;
}

async fn power_cut(world: &mut World) {
    world.kill().await;
    world.kill_all().await;
}

/// The server has lost sight of the try before, tells the agent to end it, and orders another.
async fn retried(world: &World, order: Order) -> Report {
    let attempt = order.attempt.clone();
    world.server.with(|memory| {
        memory.deaf = false;
        let lost: Vec<String> = memory.orders.drain(..).map(|order| order.attempt).collect();
        memory.cancel.extend(lost);
        memory.orders.push(order);
    });
    world.server.end_of(&attempt).await
}

/// A person takes longer than the agent's next poll.
async fn read_by_a_person(world: &World, attempt: u32) {
    let mark = world.root().join(format!("journal/DEP-1_web-1_{attempt}/in_time.json"));
    wait_until("the end has reached a person", || std::fs::read(&mark).is_ok_and(|text| text == b"true")).await;
}

async fn final_on_disk(world: &World, attempt: u32) {
    let end = world.root().join(format!("journal/DEP-1_web-1_{attempt}/final.json"));
    wait_until("the try has ended", || end.exists()).await;
}

fn state(report: &Report) -> (StepState, &str) {
    let step = report.steps.iter().find(|step| step.index == STEP).expect("the step");
    (step.state, step.detail.as_deref().unwrap_or_default())
}

#[tokio::test]
async fn a_once_step_that_ran_unheard_is_not_run_again() {
    let world = World::running().await;
    let order = order(&world, Class::Once, Class::Once);
    begun_unheard(&world, &order).await;
    let_go(&world);
    final_on_disk(&world, 1).await;
    for number in [2, 3] {
        let report = retried(&world, retry(&order, number, 0)).await;
        assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
        assert_eq!(state(&report), (StepState::Succeeded, "ran in try 1"));
        let said = move |memory: &mut Memory| {
            memory.chunks.values().any(|text| text.contains("── succeeded: ran in try 1 ──")).then_some(())
        };
        world.server.until("the log to say so", said).await;
    }
    assert_eq!(world.effects(), ["first", "begin 1", "end 1", "after", "after", "after"]);
}

#[tokio::test]
async fn a_verifiable_step_that_ran_unheard_is_neither_run_nor_checked_again() {
    let world = World::running().await;
    let order = order(&world, Class::Idempotent, Class::Verifiable);
    begun_unheard(&world, &order).await;
    let_go(&world);
    final_on_disk(&world, 1).await;
    let report = retried(&world, retry(&order, 2, 0)).await;
    assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
    assert_eq!(world.effects(), ["first", "begin 1", "end 1", "after", "first", "after"]);
}

#[tokio::test]
async fn an_idempotent_step_runs_again_in_another_try() {
    let world = World::running().await;
    let order = order(&world, Class::Idempotent, Class::Idempotent);
    begun_unheard(&world, &order).await;
    let_go(&world);
    final_on_disk(&world, 1).await;
    let report = retried(&world, retry(&order, 2, 0)).await;
    assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
    assert_eq!(world.effects(), ["first", "begin 1", "end 1", "after", "first", "begin 2", "end 2", "after"]);
}

#[tokio::test]
async fn a_doubt_that_the_server_never_heard_of_is_asked_and_its_answer_is_obeyed() {
    let mut world = World::running().await;
    let order = order(&world, Class::Idempotent, Class::Once);
    begun_unheard(&world, &order).await;
    power_cut(&mut world).await;
    let_go(&world);
    world.start(0);
    let report = retried(&world, retry(&order, 2, 0)).await;
    assert_eq!(report.outcome, Outcome::Unknown, "{report:#?}");
    let asked = "it began in try 1, and nobody saw its end; it must not run twice, so a person must say";
    assert_eq!(state(&report), (StepState::Unknown, asked));
    assert_eq!(world.effects(), ["first", "begin 1", "first"]);
    // At once: no way but a person's `run_again` leads from a start before the step to a start at it.
    let report = world.server.carry_out(retry(&order, 3, STEP)).await;
    assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
    assert_eq!(world.effects(), ["first", "begin 1", "first", "begin 3", "end 3", "after"]);
}

#[tokio::test]
async fn an_order_that_begins_at_a_doubt_nobody_was_asked_about_is_no_answer() {
    let mut world = World::running().await;
    let order = order(&world, Class::Once, Class::Once);
    begun_unheard(&world, &order).await;
    power_cut(&mut world).await;
    let_go(&world);
    world.start(0);
    // The server has heard that the step before has run, and no more.
    let report = retried(&world, retry(&order, 2, STEP)).await;
    assert_eq!(report.outcome, Outcome::Unknown, "{report:#?}");
    assert_eq!(world.effects(), ["first", "begin 1"]);
    read_by_a_person(&world, 2).await;
    // `run_again`, which comes into a power cut too, before anything of it is heard.
    hold_again(&world);
    begun_unheard(&world, &retry(&order, 3, STEP)).await;
    power_cut(&mut world).await;
    let_go(&world);
    world.start(0);
    let report = retried(&world, retry(&order, 4, STEP)).await;
    assert_eq!(report.outcome, Outcome::Unknown, "{report:#?}");
    assert_eq!(world.effects(), ["first", "begin 1", "begin 3"]);
    read_by_a_person(&world, 4).await;
    // The answer is known by what is on disk.
    world.kill().await;
    world.start(0);
    let report = world.server.carry_out(retry(&order, 5, STEP)).await;
    assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
    assert_eq!(world.effects(), ["first", "begin 1", "begin 3", "begin 5", "end 5", "after"]);
}

#[tokio::test]
async fn slow_a_question_that_the_server_forgot_is_told_again() {
    let mut world = World::running().await;
    let order = order(&world, Class::Once, Class::Once);
    begun_unheard(&world, &order).await;
    power_cut(&mut world).await;
    world.start(0);
    // It takes the report well and settles nothing, as if it went back in time between the two.
    world.server.with(|memory| {
        memory.report_status = Some(axum::http::StatusCode::NO_CONTENT);
        memory.deaf = false;
    });
    assert_eq!(world.server.end_of(&order.attempt).await.outcome, Outcome::Unknown);
    world.server.with(|memory| memory.reports.clear());
    assert_eq!(world.server.end_of(&order.attempt).await.outcome, Outcome::Unknown);
}

#[tokio::test]
async fn a_question_that_came_too_late_to_be_heard_is_asked_once_more() {
    let mut world = World::running().await;
    let order = order(&world, Class::Once, Class::Once);
    begun_unheard(&world, &order).await;
    power_cut(&mut world).await;
    world.start(0);
    // The end of the first try is sent before, but taken after the next was ordered.
    final_on_disk(&world, 1).await;
    let report = retried(&world, retry(&order, 2, STEP)).await;
    assert_eq!(report.outcome, Outcome::Unknown, "{report:#?}");
    let mark = world.root().join("journal/DEP-1_web-1_1/in_time.json");
    wait_until("it counts as late", || std::fs::read(&mark).is_ok_and(|text| text == b"false")).await;
    assert_eq!(world.effects(), ["first", "begin 1"]);
}

#[tokio::test]
async fn a_verifiable_step_in_doubt_is_checked_by_the_next_try() {
    for (has_ended, effects) in [
        (true, vec!["first", "begin 1", "end 0", "check", "first", "check", "after"]),
        (false, vec!["first", "begin 1", "check", "first", "check", "begin 2", "end 2", "after"]),
    ] {
        let mut world = World::running().await;
        let mut order = order(&world, Class::Idempotent, Class::Verifiable);
        // Says the first time that nobody knows.
        let verify = "[ -e \"$LEDGER.seen\" ] || { echo check >> \"$LEDGER\"; touch \"$LEDGER.seen\"; exit 2; }";
        let scripts = [("first", FIRST), ("step", HELD), ("after", AFTER), ("verify", &*format!("{verify}\n{HAS_ENDED}"))];
        let steps = order.installations[0].steps.clone();
        order.installations = vec![world.scripts("1.0", &scripts, steps)];
        begun_unheard(&world, &order).await;
        power_cut(&mut world).await;
        if has_ended {
            let text = std::fs::read_to_string(world.ledger()).expect("a ledger");
            std::fs::write(world.ledger(), format!("{text}end 0\n")).expect("as if it had come to its end");
        }
        let_go(&world);
        world.start(0);
        final_on_disk(&world, 1).await;
        let report = retried(&world, retry(&order, 2, 0)).await;
        assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
        assert_eq!(world.effects(), effects);
    }
}

#[tokio::test]
async fn a_check_that_was_ended_leaves_the_doubt_to_the_next_try() {
    let mut world = World::running().await;
    let mut order = order(&world, Class::Idempotent, Class::Verifiable);
    // Does not know, hangs, and then says that it has not ended.
    let verify = r#"
echo check >> "$LEDGER"
case $(grep -c check "$LEDGER") in
1) exit 2 ;;
2) while true; do sleep 0.02; done ;;
*) exit 1 ;;
esac
"#;
    let scripts = [("first", FIRST), ("step", HELD), ("after", AFTER), ("verify", verify)];
    let steps = order.installations[0].steps.clone();
    order.installations = vec![world.scripts("1.0", &scripts, steps)];
    begun_unheard(&world, &order).await;
    power_cut(&mut world).await;
    let_go(&world);
    world.start(0);
    final_on_disk(&world, 1).await;
    let second = retry(&order, 2, 0);
    world.server.with(|memory| {
        memory.deaf = false;
        memory.orders.push(second.clone());
    });
    wait_until("the check hangs", || world.effects().ends_with(&["first".to_owned(), "check".to_owned()])).await;
    world.server.with(|memory| memory.cancel.push(second.attempt.clone()));
    assert_eq!(world.server.end_of(&second.attempt).await.outcome, Outcome::Cancelled);
    read_by_a_person(&world, 2).await;
    let report = world.server.carry_out(retry(&order, 3, 0)).await;
    assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
    let effects = ["first", "begin 1", "check", "first", "check", "first", "check", "begin 3", "end 3", "after"];
    assert_eq!(world.effects(), effects);
}

#[tokio::test]
async fn a_question_names_the_try_that_began_the_step() {
    let mut world = World::running().await;
    let order = order(&world, Class::Once, Class::Once);
    begun_unheard(&world, &order).await;
    power_cut(&mut world).await;
    let_go(&world);
    world.start(0);
    final_on_disk(&world, 1).await;
    // The question of the second try is not heard either.
    world.server.with(|memory| memory.orders.push(retry(&order, 2, STEP)));
    final_on_disk(&world, 2).await;
    let report = retried(&world, retry(&order, 3, STEP)).await;
    let asked = "it began in try 1, and nobody saw its end; it must not run twice, so a person must say";
    assert_eq!(state(&report), (StepState::Unknown, asked));
    assert_eq!(world.effects(), ["first", "begin 1"]);
}

#[tokio::test]
async fn a_step_that_the_retry_itself_has_ended_is_in_doubt() {
    let world = World::running().await;
    let order = order(&world, Class::Idempotent, Class::Once);
    begun_unheard(&world, &order).await;
    let report = retried(&world, retry(&order, 2, 0)).await;
    assert_eq!(report.outcome, Outcome::Unknown, "{report:#?}");
    let asked = "it began in try 1 and ended (cancelled), which was not known when this try was ordered; it must not run twice, so a person must say";
    assert_eq!(state(&report), (StepState::Unknown, asked));
    assert_eq!(world.effects(), ["first", "begin 1", "first"]);
}

#[tokio::test]
async fn a_failure_that_was_heard_may_be_tried_again() {
    let world = World::running().await;
    let order = failing(&world);
    assert_eq!(world.server.carry_out(order.clone()).await.outcome, Outcome::Failed);
    read_by_a_person(&world, 1).await;
    let_go(&world);
    assert_eq!(world.server.carry_out(retry(&order, 2, 0)).await.outcome, Outcome::Healthy);
    assert_eq!(world.effects(), ["run", "run"]);
}

/// An order of one `once` step that fails until the test lets it go.
fn failing(world: &World) -> Order {
    let fails = r#"echo run >> "$LEDGER"; [ -e "$LEDGER.go" ]"#;
    let steps = vec![unpack(), script("step", Class::Once)];
    world.order(1, 1, vec![world.scripts("1.0", &[("step", fails)], steps)])
}

#[tokio::test]
async fn a_failure_that_nobody_heard_of_is_in_doubt_and_its_answer_is_obeyed() {
    let world = World::running().await;
    let order = failing(&world);
    world.server.with(|memory| {
        memory.deaf = true;
        memory.orders.push(order.clone());
    });
    final_on_disk(&world, 1).await;
    let_go(&world);
    // The poll gets through before the report does.
    world.server.with(|memory| memory.orders.push(retry(&order, 2, 0)));
    final_on_disk(&world, 2).await;
    world.server.with(|memory| memory.deaf = false);
    let report = world.server.end_of("DEP-1:web-1:2").await;
    assert_eq!(report.outcome, Outcome::Unknown, "{report:#?}");
    let asked = "it began in try 1 and ended (failed), which was not known when this try was ordered; \
                 it must not run twice, so a person must say";
    assert_eq!(report.steps[1].detail.as_deref(), Some(asked));
    assert_eq!(world.effects(), ["run"]);
    read_by_a_person(&world, 2).await;
    assert_eq!(world.server.carry_out(retry(&order, 3, 1)).await.outcome, Outcome::Healthy);
    assert_eq!(world.effects(), ["run", "run"]);
}

#[tokio::test]
async fn a_failure_that_was_taken_after_the_retry_was_ordered_is_in_doubt() {
    let world = World::running().await;
    let order = failing(&world);
    world.server.with(|memory| {
        memory.deaf = true;
        memory.orders.push(order.clone());
    });
    final_on_disk(&world, 1).await;
    let_go(&world);
    // The report gets through before the poll does.
    world.server.with(|memory| {
        memory.orders.push(retry(&order, 2, 0));
        memory.lie = Some(Lie::Signature);
        memory.deaf = false;
    });
    assert_eq!(world.server.end_of("DEP-1:web-1:1").await.outcome, Outcome::Failed);
    world.server.with(|memory| memory.lie = None);
    let report = world.server.end_of("DEP-1:web-1:2").await;
    assert_eq!(report.outcome, Outcome::Unknown, "{report:#?}");
    assert_eq!(world.effects(), ["run"]);
}

#[tokio::test]
async fn tries_of_one_target_are_taken_up_in_their_order() {
    let mut world = World::running().await;
    let order = order(&world, Class::Idempotent, Class::Once);
    begun_unheard(&world, &order).await;
    world.server.with(|memory| memory.orders.push(retry(&order, 2, 0)));
    let taken = world.root().join("journal/DEP-1_web-1_2/order.json");
    wait_until("both are taken on", || taken.exists()).await;
    world.kill().await;
    world.start(0);
    let_go(&world);
    world.server.with(|memory| memory.deaf = false);
    let report = world.server.end_of("DEP-1:web-1:2").await;
    assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
    assert_eq!(state(&report), (StepState::Succeeded, "ran in try 1"));
    assert_eq!(world.effects(), ["first", "begin 1", "end 1", "after", "first", "after"]);
}
