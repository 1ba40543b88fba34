//! Kills the agent at each durable write of a whole order, one after the other, and starts it again. The end is always the same.

use tidegate_domain::deployment::order::{Installation, Order, Outcome, Report, StepState};
use tidegate_domain::estate::Class;

use crate::server::Memory;
use crate::world::{World, claimed, free_address, http_health, is_alive, process, script, switch, unpack, wait_until};

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
    let order = order(&world, &free_address());
    world.server.with(|memory| memory.orders.push(order.clone()));
    let mut crashed = false;
    // The agent may die once at any time, also after the server has the end but not yet the whole log.
    let mut report = loop {
        match end_or_crash(&mut world, &order.attempt).await {
            Some(report) => break report,
            None => assert!(!crashed, "the agent started again after write {point} died by itself: {}", world.error()),
        }
        crashed = true;
        if kill == Kill::Everything {
            world.kill_all().await;
        }
        world.start(0);
    };
    let unknown = report.outcome == Outcome::Unknown;
    if unknown {
        report = answered(&world, &order, &report, point).await;
    }
    assert_same_end(&world, &report, point).await;
    world.server.log(&order.attempt);
    Told { crashed, unknown }
}

/// The last report, once the server has the whole log too and the agent knows that it has; `None` if the agent died first.
async fn end_or_crash(world: &mut World, attempt: &str) -> Option<Report> {
    let heard = world.root().join("journal").join(attempt.replace(':', "_")).join("heard.json");
    let (server, child) = (world.server.clone(), world.child.as_mut().expect("it runs"));
    let of = attempt.to_owned();
    let whole = async move {
        let report = server.end_of(&of).await;
        let last_words = |memory: &mut Memory| {
            let all = memory.chunks.iter().filter(|((attempt, _), _)| *attempt == of).map(|(_, text)| text.as_str());
            let text: String = all.collect();
            (text.contains("health of ledger") || text.contains("unknown")).then_some(())
        };
        server.until("the whole log", last_words).await;
        wait_until("the agent knows that it was heard", || heard.exists()).await;
        report
    };
    tokio::select! {
        biased;
        _ = child.wait() => None,
        report = whole => Some(report),
    }
}

fn order(world: &World, address: &str) -> Order {
    let scripts = [("idempotent", EFFECT), ("verifiable", EFFECT), ("once", EFFECT), ("verify", VERIFY), ("serve", SERVE)];
    let steps = vec![
        unpack(),
        script("idempotent", Class::Idempotent),
        script("verifiable", Class::Verifiable),
        script("once", Class::Once),
        switch(),
        process(&["{{ address }}"]),
    ];
    let installation = Installation { health: Some(http_health()), ..world.scripts("1.0", &scripts, steps) };
    let mut order = world.order(1, 1, vec![installation]);
    order.variables.insert("address".into(), address.to_owned());
    order
}

/// A person looks whether the `once` step did its work, and lets the deployment go on behind or with it.
async fn answered(world: &World, order: &Order, report: &Report, point: u32) -> Report {
    let last = report.steps.last().expect("a step");
    assert_eq!((last.name.as_str(), last.state), ("once", StepState::Unknown), "killed at write {point}");
    // A person takes longer than the agent's next poll.
    let mark = world.root().join("journal/DEP-1_web-1_1/in_time.json");
    wait_until("the question has reached a person", || mark.exists()).await;
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
