//! Kills the agent at each durable write of a whole order, one after the other, and starts it again. The end is always the same.

use std::time::Duration;

use tidegate_domain::deployment::order::{Installation, Order, Outcome, Report, StepState};
use tidegate_domain::estate::Class;

use crate::world::{World, claimed, free_port, http_health, is_alive, process, script, switch, unpack, wait_until};

/// Says in the ledger that it began, what it did and that it ended, each on disk; and sees whether another is at it.
const EFFECT: &str = r#"
name=$TIDEGATE_STEP
say() { echo "$1 $name $TIDEGATE_ATTEMPT" >> "$LEDGER"; sync "$LEDGER"; }
if [ -f "$LEDGER.$name" ] && grep -q "^State:[^ZX]*$" "/proc/$(cat "$LEDGER.$name")/status" 2>/dev/null; then say overlap; fi
echo $$ > "$LEDGER.$name"
say begin
say effect
sleep 0.02
say end
rm "$LEDGER.$name"
"#;
const VERIFY: &str = r#"grep -q "^effect $1 " "$LEDGER""#;
const SERVE: &str = "exec \"$PROGRAM\" serve \"$1\"";
/// Worlds at work at the same time.
const AT_ONCE: u32 = 4;
/// More durable writes than one order has.
const POINTS_MAX: u32 = 400;

/// What dies with the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kill {
    /// Nothing: steps go on under their supervisors.
    AgentAlone,
    /// Everything below its root, as in a power cut.
    Everything,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_at_any_durable_write_reaches_the_same_end() {
    at_each_point(Kill::AgentAlone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_killed_at_any_durable_write_reaches_the_same_end_or_asks() {
    at_each_point(Kill::Everything).await;
}

async fn at_each_point(kill: Kill) {
    let mut unknown = 0;
    for first in (1..POINTS_MAX).step_by(AT_ONCE as usize) {
        let stories = (first..first + AT_ONCE).map(|point| tokio::spawn(story(kill, point)));
        let mut crashed = true;
        for story in futures_util::future::join_all(stories).await {
            let told = story.expect("the story holds");
            crashed &= told.crashed;
            unknown += u32::from(told.unknown);
        }
        if !crashed {
            assert!(first > 40, "the order has more durable writes than {first}");
            assert!(kill == Kill::Everything || unknown == 0, "a step that goes on under its supervisor is never unknown");
            return;
        }
    }
    panic!("the order never came to its end without a crash");
}

struct Told {
    crashed: bool,
    unknown: bool,
}

async fn story(kill: Kill, point: u32) -> Told {
    let mut world = World::new().await;
    world.start(point);
    let port = free_port();
    let order = order(&world, &port);
    world.server.with(|memory| memory.orders.push(order.clone()));
    let crashed = crashed_before_the_end(&mut world, &order.attempt).await;
    if crashed {
        if kill == Kill::Everything {
            world.kill_all().await;
        }
        world.start(0);
    }
    let mut report = world.server.end_of(&order.attempt).await;
    let unknown = report.outcome == Outcome::Unknown;
    if unknown {
        let place = format!("killed at write {point}");
        report = answered(&world, &order, &report, &place).await;
    }
    assert_same_end(&world, &report, point).await;
    assert_log_is_whole(&world, &order.attempt).await;
    Told { crashed, unknown }
}

fn order(world: &World, port: &str) -> Order {
    let scripts = [("idempotent", EFFECT), ("verifiable", EFFECT), ("once", EFFECT), ("verify", VERIFY), ("serve", SERVE)];
    let steps = vec![
        unpack(),
        script("idempotent", Class::Idempotent),
        script("verifiable", Class::Verifiable),
        script("once", Class::Once),
        switch(),
        process(&["{{ port }}"]),
    ];
    let installation = Installation { health: Some(http_health()), ..world.scripts("1.0", &scripts, steps) };
    let mut order = world.order(1, 1, vec![installation]);
    order.variables.insert("port".into(), port.to_owned());
    order
}

/// Whether the agent died before the server had the end and the agent knew it.
async fn crashed_before_the_end(world: &mut World, attempt: &str) -> bool {
    let heard = world.root().join("journal").join(attempt.replace(':', "_")).join("heard.json");
    let child = world.child.as_mut().expect("it runs");
    loop {
        tokio::select! {
            _ = child.wait() => return true,
            () = tokio::time::sleep(Duration::from_millis(20)) => {
                if heard.exists() {
                    return false;
                }
            }
        }
    }
}

/// A person looks whether the `once` step did its work, and lets the deployment go on behind or with it.
async fn answered(world: &World, order: &Order, report: &Report, place: &str) -> Report {
    let last = report.steps.last().expect("a step");
    assert_eq!((last.name.as_str(), last.state), ("once", StepState::Unknown), "{place}");
    assert!(
        world.effects().iter().any(|line| line == &format!("begin once {}", order.attempt)) || last.state == StepState::Unknown
    );
    let done = world.effects().iter().any(|line| line.starts_with("effect once"));
    let mut next = order.clone();
    next.attempt = "DEP-1:web-1:2".into();
    next.start_at = last.index + usize::from(done);
    world.server.carry_out(next).await
}

async fn assert_same_end(world: &World, report: &Report, point: u32) {
    let log = std::fs::read_to_string(world.component().join("log")).unwrap_or_default();
    assert_eq!((report.outcome, report.detail.as_deref()), (Outcome::Healthy, None), "killed at write {point}: {log}");
    let attested = report.attested.values().next().expect("an installation");
    assert!(attested.complete && attested.version.as_str() == "1.0", "killed at write {point}: {attested:?}");
    let effects = world.effects();
    let count = |what: &str| effects.iter().filter(|line| line.starts_with(what)).count();
    assert_eq!(count("overlap"), 0, "killed at write {point}: {effects:#?}");
    assert!(count("effect idempotent") >= 1, "killed at write {point}: {effects:#?}");
    assert_eq!(count("effect verifiable"), 1, "killed at write {point}: {effects:#?}");
    assert_eq!(count("effect once"), 1, "killed at write {point}: {effects:#?}");
    assert!(count("begin once DEP-1:web-1:1") <= 1, "killed at write {point}: {effects:#?}");
    let alive = || claimed(&world.component().join("runs")).iter().filter(|(pid, ticks)| is_alive(*pid, *ticks)).count();
    wait_until("one service runs", || alive() == 1).await;
    let ratchet = std::fs::read_to_string(world.root().join("ratchet.json")).expect("the ratchet");
    assert_eq!(ratchet, r#"{"shop":1}"#);
}

async fn assert_log_is_whole(world: &World, attempt: &str) {
    let of = attempt.to_owned();
    let whole = world.server.until("the whole log", move |memory| {
        let all = memory.chunks.iter().filter(|((attempt, _), _)| *attempt == of).map(|(_, text)| text.as_str());
        let text: String = all.collect();
        (text.contains("health of ledger") || text.contains("unknown")).then_some(())
    });
    whole.await;
    world.server.log(attempt);
}
