//! From enrolment to a healthy, supervised program, and on to the next version.

use tidegate_domain::deployment::order::{Outcome, StepState};
use tidegate_domain::estate::Class;

use crate::server::Memory;
use crate::world::{World, free_address, get, http_health, process, script, switch, unpack};

const SERVE: (&str, &str) = ("serve", "exec \"$PROGRAM\" serve \"$1\"");

#[tokio::test]
async fn an_order_ends_in_a_healthy_supervised_program() {
    let world = World::running().await;
    let address = free_address();
    let migrate =
        ("migrate", "echo \"migrating $TIDEGATE_COMPONENT to $TIDEGATE_VERSION in $PWD\"; echo migrated >> \"$LEDGER\"");
    let steps = vec![unpack(), script("migrate", Class::Once), switch(), process(&["{{ address }}"])];
    let mut installation = world.scripts("1.0", &[SERVE, migrate], steps);
    installation.health = Some(http_health());
    let mut order = world.order(1, 1, vec![installation]);
    order.variables.insert("address".into(), address.clone());
    let report = world.server.carry_out(order.clone()).await;
    assert_eq!((report.outcome, report.detail), (Outcome::Healthy, None));
    assert!(report.steps.iter().all(|step| step.state == StepState::Succeeded), "{:#?}", report.steps);
    assert_eq!(report.steps.len(), 4);
    let attested = report.attested.values().next().expect("an installation");
    assert_eq!((attested.version.as_str(), attested.complete), ("1.0", true));
    assert_eq!(world.effects(), ["migrated"]);
    assert_eq!(get(&address, "/").await.expect("an answer"), "1.0");
    let of = order.attempt.clone();
    let log = world.server.until("the log", move |memory| {
        let text: String =
            memory.chunks.iter().filter(|((attempt, _), _)| *attempt == of).map(|(_, text)| text.as_str()).collect();
        text.contains("health of ledger").then_some(text)
    });
    assert!(log.await.contains("migrating ledger to 1.0 in "), "{}", world.server.log(&order.attempt));
}

#[tokio::test]
async fn an_agent_that_dies_between_its_last_report_and_the_last_of_the_log_sends_the_rest() {
    let mut world = World::running().await;
    world.server.with(|memory| memory.log_lost = true);
    let steps = vec![unpack(), script("step", Class::Once)];
    let order = world.order(1, 1, vec![world.scripts("1.0", &[("step", "echo the last line")], steps)]);
    assert_eq!(world.server.carry_out(order.clone()).await.outcome, Outcome::Healthy);
    let lost = |memory: &mut Memory| (memory.log_lost_after_end > 0).then_some(());
    world.server.until("output that is lost", lost).await;
    world.kill().await;
    world.server.with(|memory| memory.log_lost = false);
    world.start(0);
    let whole = |memory: &mut Memory| memory.chunks.values().any(|text| text.contains("the last line")).then_some(());
    world.server.until("the whole log", whole).await;
    world.server.log(&order.attempt);
}
