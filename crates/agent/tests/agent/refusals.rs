//! Everything an agent says no to. Nothing of it is ever run.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use tidegate_domain::deployment::artifact::{Format, signed_text};
use tidegate_domain::deployment::order::{Order, Outcome};
use tidegate_domain::estate::Class;
use tidegate_domain::{Digest, Name};

use crate::server::{Lie, NOW_MS};
use crate::world::{World, script, tar_gz, unpack, wait_until};

fn order(world: &World, number: u32, generation: u64) -> Order {
    let steps = vec![unpack(), script("step", Class::Idempotent)];
    world.order(number, generation, vec![world.scripts("1.0", &[("step", "echo ran >> \"$LEDGER\"")], steps)])
}

/// Carries out a changed order; answers how it ended, and makes sure that nothing ran.
async fn refused(change: impl FnOnce(&World, &mut Order)) -> String {
    let world = World::running().await;
    let mut order = order(&world, 1, 5);
    change(&world, &mut order);
    let report = world.server.carry_out(order).await;
    assert_eq!(report.outcome, Outcome::Refused, "{report:#?}");
    assert!(report.steps.is_empty() && report.attested.is_empty());
    assert!(world.effects().is_empty());
    report.detail.expect("a sentence")
}

fn said(sentence: &str, code: &str) {
    assert!(sentence.starts_with(&format!("{code}: ")), "{sentence}");
}

#[tokio::test]
async fn an_order_for_another_host() {
    said(&refused(|_, order| order.target = Name::parse("web-2").expect("a name")).await, "wrong_host");
}

#[tokio::test]
async fn an_order_past_its_time() {
    said(&refused(|_, order| order.expires_at_ms = NOW_MS).await, "order_expired");
}

#[tokio::test]
async fn an_artifact_that_is_not_signed() {
    said(&refused(|_, order| order.installations[0].artifact.signature = None).await, "signature_missing");
}

#[tokio::test]
async fn an_artifact_signed_by_a_stranger() {
    let sentence = refused(|_, order| {
        let stranger = SigningKey::from_bytes(&[1; 32]);
        let installation = &mut order.installations[0];
        let text = signed_text(&installation.component, &installation.version, &installation.artifact.digest);
        let signature = installation.artifact.signature.as_mut().expect("a signature");
        signature.key = STANDARD.encode(stranger.verifying_key().as_bytes());
        signature.value = STANDARD.encode(stranger.sign(text.as_bytes()).to_bytes());
    });
    said(&sentence.await, "signature_missing");
}

#[tokio::test]
async fn a_good_artifact_passed_off_as_another_version() {
    let sentence =
        refused(|_, order| order.installations[0].version = tidegate_domain::Version::parse("9.9").expect("a version"));
    said(&sentence.await, "signature_invalid");
}

#[tokio::test]
async fn a_digest_that_nobody_signed() {
    said(&refused(|_, order| order.installations[0].artifact.digest = Digest::of(b"other")).await, "signature_invalid");
}

#[tokio::test]
async fn bytes_that_do_not_have_the_signed_digest() {
    let other = |_: Vec<u8>| tar_gz(&[("bin/step".into(), b"#!/bin/sh\necho evil".to_vec(), 0o755)]);
    let one_bit = |mut bytes: Vec<u8>| {
        bytes[20] ^= 1;
        bytes
    };
    let changes: [&dyn Fn(Vec<u8>) -> Vec<u8>; 4] = [&other, &one_bit, &|_| Vec::new(), &|_| vec![0; 1 << 20]];
    for change in changes {
        let sentence = refused(|world, order| {
            let digest = order.installations[0].artifact.digest.as_str().to_owned();
            world.server.with(|memory| {
                let bytes = memory.artifacts.remove(&digest).expect("the bytes");
                memory.artifacts.insert(digest, change(bytes));
            });
        });
        said(&sentence.await, "digest_mismatch");
    }
}

#[tokio::test]
async fn an_artifact_that_the_server_does_not_give() {
    said(&refused(|world, _| world.server.with(|memory| memory.artifacts.clear())).await, "digest_unlisted");
}

#[tokio::test]
async fn a_program_outside_the_artifact() {
    for path in ["../bin/sh", "/bin/sh", "bin/../../sh"] {
        let sentence = refused(|_, order| {
            if let tidegate_domain::estate::Action::Script { run, .. } = &mut order.installations[0].steps[1].action {
                *run = path.into();
            }
        });
        said(&sentence.await, "malformed");
    }
}

#[tokio::test]
async fn a_variable_that_would_choose_what_runs() {
    said(&refused(|_, order| drop(order.variables.insert("ld_preload".into(), "/tmp/x.so".into()))).await, "malformed");
}

#[tokio::test]
async fn a_lower_generation_also_after_a_restart() {
    let mut world = World::running().await;
    assert_eq!(world.server.carry_out(order(&world, 1, 5)).await.outcome, Outcome::Healthy);
    world.kill().await;
    world.start(0);
    let report = world.server.carry_out(order(&world, 2, 4)).await;
    assert_eq!(report.outcome, Outcome::Refused);
    said(&report.detail.expect("a sentence"), "generation_low");
    assert_eq!(world.effects(), ["ran"]);
    assert_eq!(world.server.carry_out(order(&world, 3, 5)).await.outcome, Outcome::Healthy);
}

#[tokio::test]
async fn a_refused_order_stays_refused_after_a_restart() {
    let mut world = World::running().await;
    let mut order = order(&world, 1, 5);
    order.installations[0].artifact.signature = None;
    world.server.with(|memory| memory.report_status = Some(axum::http::StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(world.server.carry_out(order.clone()).await.outcome, Outcome::Refused);
    world.kill().await;
    world.server.with(|memory| {
        memory.report_status = None;
        memory.reports.clear();
    });
    world.start(0);
    assert_eq!(world.server.end_of(&order.attempt).await.outcome, Outcome::Refused);
    assert!(world.effects().is_empty());
}

#[tokio::test]
async fn a_known_attempt_is_answered_and_never_run_again() {
    let mut world = World::running().await;
    let order = order(&world, 1, 5);
    assert_eq!(world.server.carry_out(order.clone()).await.outcome, Outcome::Healthy);
    let heard = world.root().join("journal/DEP-1_web-1_1/heard.json");
    wait_until("the agent knows that it was heard", || heard.exists()).await;
    for restart in [false, true] {
        if restart {
            world.kill().await;
            world.start(0);
        }
        // The server was restored from an older copy and has forgotten the end.
        world.server.with(|memory| memory.reports.clear());
        let report = world.server.end_of(&order.attempt).await;
        assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
        assert_eq!(report.steps.len(), 2);
    }
    assert_eq!(world.effects(), ["ran"]);
}

#[tokio::test]
async fn answers_that_lie_are_not_heard() {
    for lie in [Lie::Signature, Lie::Nonce, Lie::Target] {
        let world = World::running().await;
        world.server.with(|memory| memory.lie = Some(lie));
        let order = order(&world, 1, 5);
        world.server.with(|memory| memory.orders.push(order.clone()));
        world.server.until("two lies", |memory| (memory.lies_told >= 2).then_some(())).await;
        assert!(world.server.with(|memory| memory.reports.is_empty()), "{lie:?}");
        assert!(!world.root().join("journal/DEP-1_web-1_1").exists(), "{lie:?}");
        world.server.with(|memory| memory.lie = None);
        assert_eq!(world.server.end_of(&order.attempt).await.outcome, Outcome::Healthy);
    }
}

#[tokio::test]
async fn an_order_that_waited_for_its_turn_past_its_time() {
    let world = World::running().await;
    let hold = "while [ ! -e \"$LEDGER.go\" ]; do sleep 0.02; done";
    let first = world.order(1, 1, vec![world.scripts("1.0", &[("step", hold)], vec![unpack(), script("step", Class::Once)])]);
    let mut second = order(&world, 2, 1);
    second.expires_at_ms = NOW_MS + 300;
    world.server.with(|memory| memory.orders.extend([first.clone(), second.clone()]));
    let taken = world.root().join("journal/DEP-1_web-1_2/order.json");
    wait_until("both are taken on", || taken.exists()).await;
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    std::fs::write(world.folder.path().join("ledger.go"), "").expect("let go");
    let report = world.server.end_of(&second.attempt).await;
    assert_eq!(report.outcome, Outcome::Refused);
    said(&report.detail.expect("a sentence"), "order_expired");
    assert!(world.effects().is_empty());
}

/// An agent that died when an order was on its disk and nothing more of it; none if it came further, as its writes go side by side.
async fn died_with_an_order() -> Option<(World, Order)> {
    let mut world = World::new().await;
    world.start(0);
    let first = order(&world, 1, 1);
    assert_eq!(world.server.carry_out(first).await.outcome, Outcome::Healthy);
    world.kill().await;
    let second = order(&world, 2, 1);
    world.server.with(|memory| memory.orders.push(second.clone()));
    let mut point = 1;
    let taken = world.root().join("journal/DEP-1_web-1_2/order.json");
    while !taken.exists() {
        world.start(point);
        world.child.as_mut().expect("it runs").wait().await.expect("it dies");
        point += 1;
    }
    let files = std::fs::read_dir(taken.parent().expect("a folder")).expect("the attempt's folder").count();
    (files == 1).then_some((world, second))
}

#[tokio::test]
async fn an_order_that_expired_while_the_agent_was_away() {
    let mut tries = 0;
    let (mut world, second) = loop {
        if let Some(found) = died_with_an_order().await {
            break found;
        }
        tries += 1;
        assert!(tries < 20, "each of them came further");
    };
    world.server.with(|memory| memory.now_ms = second.expires_at_ms);
    world.start(0);
    let report = world.server.end_of(&second.attempt).await;
    assert_eq!(report.outcome, Outcome::Refused, "{report:#?}");
    said(&report.detail.expect("a sentence"), "order_expired");
    assert_eq!(world.effects(), ["ran"]);
}

#[tokio::test]
async fn slow_an_agent_that_is_not_heard_takes_on_only_so_much() {
    let world = World::running().await;
    let attempts: Vec<String> = (1..=300).map(|number| format!("DEP-{number}:web-1:1")).collect();
    world.server.with(|memory| {
        memory.deaf = true;
        memory.cancel.clone_from(&attempts);
    });
    let journal = || std::fs::read_dir(world.root().join("journal")).map_or(0, Iterator::count);
    wait_until("the agent holds all it can", || journal() == 256).await;
    let polls = world.server.with(|memory| memory.polls);
    world.server.until("two more polls", |memory| (memory.polls >= polls + 2).then_some(())).await;
    assert_eq!(journal(), 256);
    world.server.with(|memory| memory.deaf = false);
    for attempt in &attempts {
        assert_eq!(world.server.end_of(attempt).await.outcome, Outcome::Cancelled);
    }
}

#[tokio::test]
async fn an_evil_archive_leaves_nothing_behind() {
    let world = World::running().await;
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    builder.append_data(&mut header.clone(), "good", &b"good"[..]).expect("an entry");
    header.as_old_mut().name[..7].copy_from_slice(b"../evil");
    header.set_cksum();
    builder.append(&header, &b"evil"[..]).expect("an entry");
    let mut installation = world.installation("1.0", Format::Tar, builder.into_inner().expect("an archive"));
    installation.steps = vec![unpack()];
    let report = world.server.carry_out(world.order(1, 1, vec![installation])).await;
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(report.detail.expect("a sentence").contains("archive_unsafe: archive entry \"../evil\" leaves its folder"));
    let releases = world.component().join("releases");
    assert_eq!(std::fs::read_dir(releases).expect("a folder").count(), 0);
}

#[tokio::test]
async fn a_forgotten_session_is_made_anew() {
    let world = World::running().await;
    assert_eq!(world.server.carry_out(order(&world, 1, 1)).await.outcome, Outcome::Healthy);
    world.server.forget_sessions();
    assert_eq!(world.server.carry_out(order(&world, 2, 1)).await.outcome, Outcome::Healthy);
}

#[tokio::test]
async fn a_report_that_is_not_accepted_is_kept_until_it_is_settled() {
    let world = World::running().await;
    world.server.with(|memory| memory.report_status = Some(axum::http::StatusCode::CONFLICT));
    let order = order(&world, 1, 1);
    assert_eq!(world.server.carry_out(order.clone()).await.outcome, Outcome::Healthy);
    let heard = world.root().join("journal/DEP-1_web-1_1/heard.json");
    assert!(!heard.exists());
    world.server.with(|memory| memory.settled.push(order.attempt.clone()));
    wait_until("it is settled", || heard.exists()).await;
}
