//! Bounds and surroundings of a step's program, and its end on request.

use std::collections::BTreeMap;

use tidegate_domain::deployment::order::{Order, Outcome, Report, StepState};
use tidegate_domain::estate::{Action, Class, HealthProbe, Step};
use tidegate_domain::limits;

use crate::world::{World, claimed, health, is_alive, process, script, step, switch, unpack, wait_until};

async fn one(world: &World, text: &str, change: impl FnOnce(&mut Step)) -> Report {
    let mut only = script("step", Class::Once);
    change(&mut only);
    let installation = world.scripts("1.0", &[("step", text)], vec![unpack(), only]);
    world.server.carry_out(world.order(1, 1, vec![installation])).await
}

/// Every process that the step's session had is gone.
fn assert_all_gone(world: &World, children: &[&str]) {
    for (pid, ticks) in claimed(&world.root()) {
        assert!(!is_alive(pid, ticks), "process {pid} is gone");
    }
    for child in children {
        let pid = std::fs::read_to_string(world.folder.path().join(child)).expect("a number");
        let state = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "child {child} is gone: {state}");
    }
}

/// Leaves a child that ignores the soft signal, in its own process group too.
const STUBBORN: &str = r#"
(trap '' TERM; while :; do sleep 0.05; done) & echo $! > "$(dirname "$LEDGER")/first"
set -m
(trap '' TERM; while :; do sleep 0.05; done) & echo $! > "$(dirname "$LEDGER")/second"
echo begin >> "$LEDGER"
"#;

#[tokio::test]
async fn a_step_past_its_time_is_ended_with_all_its_processes() {
    let world = World::running().await;
    let text = format!("{STUBBORN}\ntrap '' TERM\nwhile :; do sleep 0.05; done");
    let report = one(&world, &text, |step| step.timeout_seconds = 1).await;
    assert_eq!(report.outcome, Outcome::TimedOut);
    assert_eq!(report.detail.as_deref(), Some("step 1 \"step\" of ledger: ran longer than 1 s and was ended"));
    assert_all_gone(&world, &["first", "second"]);
}

#[tokio::test]
async fn what_a_step_leaves_behind_ends_with_it() {
    let world = World::running().await;
    let report = one(&world, STUBBORN, |_| {}).await;
    assert_eq!(report.outcome, Outcome::Healthy);
    assert_all_gone(&world, &["first", "second"]);
}

#[tokio::test]
async fn a_step_is_ended_on_request_also_while_the_agent_is_started_again() {
    for restart in [false, true] {
        let mut world = World::running().await;
        let installation =
            world.scripts("1.0", &[("step", &format!("{STUBBORN}\nwait"))], vec![unpack(), script("step", Class::Once)]);
        let order = world.order(1, 1, vec![installation]);
        world.server.with(|memory| memory.orders.push(order.clone()));
        wait_until("the step runs", || !world.effects().is_empty()).await;
        if restart {
            world.kill().await;
            world.start(0);
        }
        world.server.with(|memory| memory.cancel.push(order.attempt.clone()));
        let report = world.server.end_of(&order.attempt).await;
        assert_eq!(report.outcome, Outcome::Cancelled, "{report:#?}");
        assert_eq!(report.steps.last().map(|step| step.state), Some(StepState::Cancelled));
        assert_all_gone(&world, &["first", "second"]);
    }
}

#[tokio::test]
async fn an_attempt_ended_before_its_order_came_is_never_carried_out() {
    let mut world = World::running().await;
    let installation =
        world.scripts("1.0", &[("step", "echo ran >> \"$LEDGER\"")], vec![unpack(), script("step", Class::Idempotent)]);
    let order = world.order(1, 1, vec![installation]);
    world.server.with(|memory| memory.cancel.push(order.attempt.clone()));
    assert_eq!(world.server.end_of(&order.attempt).await.outcome, Outcome::Cancelled);
    world.kill().await;
    world.start(0);
    world.server.with(|memory| {
        memory.cancel.clear();
        memory.reports.clear();
    });
    assert_eq!(world.server.carry_out(order).await.outcome, Outcome::Cancelled);
    assert!(world.effects().is_empty());
}

#[tokio::test]
async fn output_is_bounded_and_says_so() {
    let world = World::running().await;
    let report = one(&world, "head -c 3000000 /dev/zero | tr '\\0' x; echo done >> \"$LEDGER\"", |_| {}).await;
    assert_eq!(report.outcome, Outcome::Healthy);
    assert_eq!(world.effects(), ["done"], "the program was not blocked");
    let log = world.server.until("the whole log", |memory| {
        let text: String = memory.chunks.values().map(String::as_str).collect();
        text.contains("output cut").then_some(text)
    });
    let log = log.await;
    assert_eq!(log.matches('x').count() as u64, limits::STEP_OUTPUT_BYTES_MAX);
    assert!(log.contains("── output cut after 1048576 bytes ──"));
}

#[tokio::test]
async fn a_program_sees_little_and_the_same_everywhere() {
    let world = World::running().await;
    let mut only = script("step", Class::Idempotent);
    only.action = Action::Script {
        run: "bin/step".into(),
        args: vec!["--zone={{ zone }}".into()],
        class: Class::Idempotent,
        verify: Vec::new(),
    };
    let installation = world.scripts(
        "1.0",
        &[("step", "echo \"$@\" > \"$LEDGER\"; pwd >> \"$LEDGER\"; env | sort >> \"$LEDGER\"")],
        vec![unpack(), only],
    );
    let mut order = world.order(1, 4, vec![installation]);
    order.variables.insert("zone".into(), "eu-1".into());
    let report = world.server.carry_out(order).await;
    assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
    let root = world.component().canonicalize().expect("it exists").display().to_string();
    let effects = world.effects();
    assert_eq!(effects[0], "--zone=eu-1");
    assert_eq!(effects[1], format!("{root}/releases/1.0"));
    let seen: BTreeMap<&str, &str> = effects[2..].iter().filter_map(|line| line.split_once('=')).collect();
    let expected = [
        ("HOME", root.clone()),
        ("LEDGER", world.ledger().display().to_string()),
        ("TIDEGATE_APPLICATION", "shop".into()),
        ("TIDEGATE_ATTEMPT", "DEP-1:web-1:1".into()),
        ("TIDEGATE_COMPONENT", "ledger".into()),
        ("TIDEGATE_DATA_DIR", format!("{root}/data")),
        ("TIDEGATE_ENVIRONMENT", "test".into()),
        ("TIDEGATE_GENERATION", "4".into()),
        ("TIDEGATE_RELEASE_DIR", format!("{root}/releases/1.0")),
        ("TIDEGATE_STEP", "step".into()),
        ("TIDEGATE_TARGET", "web-1".into()),
        ("TIDEGATE_VERSION", "1.0".into()),
        ("ZONE", "eu-1".into()),
    ];
    for (name, value) in &expected {
        assert_eq!(seen.get(name), Some(&value.as_str()), "{name}");
    }
    // PWD, OLDPWD, SHLVL and _ are the shell's own.
    let other: Vec<&&str> = seen.keys().filter(|name| !expected.iter().any(|(known, _)| known == *name)).collect();
    let allowed = ["LANG", "PATH", "PROGRAM", "PWD", "OLDPWD", "SHLVL", "_"];
    assert!(other.iter().all(|name| allowed.contains(name)), "{other:?}");
}

#[tokio::test]
async fn what_cannot_run_says_why() {
    let sentences = [
        (
            "echo",
            vec!["{{ nothing }}"],
            "\"{{ nothing }}\" names a variable that the target does not have (it has: ledger, program)",
        ),
        ("missing", vec![], "bin/missing of the artifact cannot be found: No such file or directory (os error 2)"),
        ("plain", vec![], "cannot be started: Permission denied (os error 13)"),
        ("fails", vec![], "ended with exit code 7; its last words: no such table"),
        ("mute", vec![], "ended with exit code 7"),
    ];
    let world = World::running().await;
    for (number, (name, args, sentence)) in sentences.into_iter().enumerate() {
        let args = args.into_iter().map(str::to_owned).collect();
        let action = Action::Script { run: format!("bin/{name}"), args, class: Class::Idempotent, verify: Vec::new() };
        let files = [
            ("bin/echo", "#!/bin/sh\n", 0o755),
            ("bin/plain", "no program", 0o644),
            ("bin/fails", "#!/bin/sh\necho no such table >&2\nexit 7\n", 0o755),
            ("bin/mute", "#!/bin/sh\nexit 7\n", 0o755),
        ];
        let files: Vec<_> = files.map(|(path, text, mode)| (path.to_owned(), text.as_bytes().to_vec(), mode)).to_vec();
        let mut installation =
            world.installation("1.0", tidegate_domain::deployment::artifact::Format::TarGz, crate::world::tar_gz(&files));
        installation.steps = vec![unpack(), step("step", action)];
        let report = world.server.carry_out(world.order(number as u32 + 1, 1, vec![installation])).await;
        assert_eq!(report.outcome, Outcome::Failed);
        let detail = report.detail.expect("a sentence");
        assert!(detail.starts_with("step 1 \"step\" of ledger: ") && detail.ends_with(sentence), "{detail}");
    }
}

#[tokio::test]
async fn a_long_sentence_is_cut_to_what_the_server_takes() {
    let world = World::running().await;
    let args = vec!["{{ nothing }}".to_owned()];
    let action = Action::Script { run: "bin/step".to_owned(), args, class: Class::Idempotent, verify: Vec::new() };
    let installation = world.scripts("1.0", &[("step", "true")], vec![unpack(), step("step", action)]);
    let mut order = world.order(1, 1, vec![installation]);
    order.variables.extend((0..100).map(|number| (format!("v{number:x>60}"), String::new())));
    let report = world.server.carry_out(order).await;
    assert_eq!(report.outcome, Outcome::Failed);
    for detail in [&report.detail, &report.steps[1].detail] {
        let detail = detail.as_deref().expect("a sentence");
        assert_eq!(detail.chars().count(), limits::TEXT_CHARS_MAX);
        assert!(detail.contains("{{ nothing }}") && detail.ends_with('…'), "{detail}");
    }
}

#[tokio::test]
async fn health_must_hold_without_a_gap_before_its_deadline() {
    let world = World::running().await;
    // Well, not well, then well for good: the first does not count.
    let text = "echo x >> \"$LEDGER\"; [ \"$(wc -l < \"$LEDGER\")\" != 2 ]";
    let mut installation = world.scripts("1.0", &[("well", text)], vec![unpack(), switch()]);
    let mut asked = health(HealthProbe::Command { run: "bin/well".into(), args: Vec::new() });
    asked.min_healthy_seconds = 1;
    installation.health = Some(asked.clone());
    let report = world.server.carry_out(world.order(1, 1, vec![installation.clone()])).await;
    assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
    assert!(world.effects().len() >= 4, "{:?}", world.effects());
    assert!(report.attested.values().all(|attested| attested.complete));

    let mut never = world.scripts("1.1", &[("well", "exit 1")], vec![unpack(), switch()]);
    asked.healthy_deadline_seconds = 1;
    never.health = Some(asked);
    let report = world.server.carry_out(world.order(2, 2, vec![never])).await;
    assert_eq!(report.outcome, Outcome::TimedOut);
    let sentence = "health of ledger: was not well for 1 s without a gap within 1 s; last: the probe ended with exit code 1";
    assert_eq!(report.detail.as_deref(), Some(sentence));
    let attested = report.attested.values().next().expect("an installation");
    assert_eq!((attested.version.as_str(), attested.complete), ("1.1", false));
}

#[tokio::test]
async fn what_answers_in_place_of_a_program_that_ended_is_not_its_health() {
    let world = World::running().await;
    // It cannot stay up, and is started again after ever longer rests; the probe is answered all the time.
    let scripts = [("serve", "sleep 0.4; echo 'the port is taken' >&2; exit 1"), ("well", "exit 0")];
    let mut installation = world.scripts("1.0", &scripts, vec![unpack(), switch(), process(&[])]);
    let mut asked = health(HealthProbe::Command { run: "bin/well".into(), args: Vec::new() });
    (asked.min_healthy_seconds, asked.healthy_deadline_seconds) = (2, 7);
    installation.health = Some(asked);
    let report = world.server.carry_out(world.order(1, 1, vec![installation])).await;
    assert_eq!(report.outcome, Outcome::TimedOut, "{report:#?}");
    let detail = report.detail.expect("a sentence");
    assert!(detail.starts_with("health of ledger: was not well for 2 s without a gap within 7 s"), "{detail}");
}

#[tokio::test]
async fn applications_go_side_by_side_but_each_one_order_at_a_time() {
    let world = World::running().await;
    let hold = "echo \"begin $TIDEGATE_APPLICATION\" >> \"$LEDGER\"; while [ ! -e \"$LEDGER.go\" ]; do sleep 0.02; done";
    let installation = world.scripts("1.0", &[("step", hold)], vec![unpack(), script("step", Class::Idempotent)]);
    let first = world.order(1, 1, vec![installation.clone()]);
    let same = world.order(2, 1, vec![installation.clone()]);
    let mut other = world.order(
        3,
        1,
        vec![tidegate_domain::deployment::order::Installation {
            component: tidegate_domain::Name::parse("other").expect("a name"),
            ..world.scripts("1.0", &[("step", hold)], vec![unpack(), script("step", Class::Idempotent)])
        }],
    );
    other.application = tidegate_domain::Name::parse("desk").expect("a name");
    sign_as(&world, &mut other);
    world.server.with(|memory| memory.orders.extend([first.clone(), same.clone()]));
    wait_until("the first order runs", || world.effects() == ["begin shop"]).await;
    world.server.with(|memory| memory.orders.push(other.clone()));
    wait_until("the other application's order runs", || world.effects() == ["begin shop", "begin desk"]).await;
    std::fs::write(world.folder.path().join("ledger.go"), "").expect("let go");
    for order in [first, other, same] {
        assert_eq!(world.server.end_of(&order.attempt).await.outcome, Outcome::Healthy);
    }
    assert_eq!(world.effects(), ["begin shop", "begin desk", "begin shop"]);
}

/// The signature names the component.
fn sign_as(world: &World, order: &mut Order) {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use ed25519_dalek::Signer as _;
    for installation in &mut order.installations {
        let text = tidegate_domain::deployment::artifact::signed_text(
            &installation.component,
            &installation.version,
            &installation.artifact.digest,
        );
        let signature = installation.artifact.signature.as_mut().expect("a signature");
        signature.value = STANDARD.encode(world.release_key.sign(text.as_bytes()).to_bytes());
    }
}

#[tokio::test]
async fn a_defect_of_the_agent_ends_the_attempt_and_not_the_turn() {
    let mut world = World::new().await;
    world.defect_at = Some("defect");
    world.start(0);
    let run = r#"echo run >> "$LEDGER""#;
    let version = |version: &str, name: &str| {
        world.scripts(version, &[("defect", run), ("step", run)], vec![unpack(), script(name, Class::Once)])
    };
    let report = world.server.carry_out(world.order(1, 1, vec![version("1.0", "defect")])).await;
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(report.steps[1].state, StepState::Errored);
    let said = "step 1 \"defect\" of ledger: the agent has a defect and gave the order up; its log says more";
    assert_eq!(report.detail.as_deref(), Some(said));
    let report = world.server.carry_out(world.order(2, 2, vec![version("1.1", "step")])).await;
    assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
    assert_eq!(world.effects(), ["run"]);
}

#[tokio::test]
async fn a_higher_generation_ends_the_older_order_first() {
    let world = World::running().await;
    let hold = "echo \"begin $TIDEGATE_VERSION\" >> \"$LEDGER\"; [ $TIDEGATE_VERSION = 1.1 ] || while :; do sleep 0.02; done";
    let version = |version: &str| world.scripts(version, &[("step", hold)], vec![unpack(), script("step", Class::Once)]);
    let older = world.order(1, 1, vec![version("1.0")]);
    world.server.with(|memory| memory.orders.push(older.clone()));
    wait_until("the older order runs", || world.effects() == ["begin 1.0"]).await;
    let report = world.server.carry_out(world.order(2, 2, vec![version("1.1")])).await;
    assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
    let older = world.server.end_of(&older.attempt).await;
    assert_eq!(older.outcome, Outcome::Cancelled);
    assert_eq!(world.effects(), ["begin 1.0", "begin 1.1"]);
    assert_all_gone(&world, &[]);
}
