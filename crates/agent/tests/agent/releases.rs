//! Versions beside each other on disk.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidegate_domain::deployment::artifact::Format;
use tidegate_domain::deployment::order::{Installation, Outcome, Report};

use crate::world::{World, switch, tar_gz, unpack, wait_until};

fn releases(world: &World) -> Vec<String> {
    let entries = fs::read_dir(world.component().join("releases")).expect("a folder");
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn plain(world: &World, version: &str, text: &str) -> Installation {
    let bytes = tar_gz(&[("text".into(), text.as_bytes().to_vec(), 0o600), ("run".into(), b"#!/bin/sh\n".to_vec(), 0o4775)]);
    Installation { steps: vec![unpack(), switch()], keep_releases: 2, ..world.installation(version, Format::TarGz, bytes) }
}

#[tokio::test]
async fn the_last_versions_stay_and_current_points_at_one_of_them() {
    let world = World::running().await;
    for (number, version) in [(1, "1.0"), (2, "1.1"), (3, "1.2"), (4, "1.10")] {
        let report = world.server.carry_out(world.order(number, u64::from(number), vec![plain(&world, version, version)])).await;
        assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
        assert_eq!(
            fs::read_link(world.component().join("current")).expect("a link").to_str(),
            Some(&*format!("releases/{version}"))
        );
    }
    assert_eq!(releases(&world), ["1.10", "1.2"]);
    // Nothing is fetched for a version that is there: the way back needs no server.
    world.server.with(|memory| memory.artifacts.clear());
    let mut back = plain(&world, "1.2", "1.2");
    world.server.with(|memory| memory.artifacts.clear());
    back.keep_releases = 1;
    let report = world.server.carry_out(world.order(5, 5, vec![back])).await;
    assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
    assert_eq!(report.steps[0].detail.as_deref(), Some("1.2 is unpacked already"));
    assert_eq!(releases(&world), ["1.2"]);
    assert_eq!(fs::read_to_string(world.component().join("current/text")).expect("the file"), "1.2");
}

#[tokio::test]
async fn current_is_never_missing_while_it_is_switched() {
    let world = World::running().await;
    let report = world.server.carry_out(world.order(1, 1, vec![plain(&world, "1.0", "1.0")])).await;
    assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
    let current = world.component().join("current/text");
    let over = Arc::new(AtomicBool::new(false));
    let seen = over.clone();
    let reader = std::thread::spawn(move || {
        let mut looks = 0_u32;
        while !seen.load(Ordering::SeqCst) {
            fs::read_to_string(&current).expect("current points at a whole version, always");
            looks += 1;
        }
        looks
    });
    for number in 2..=12 {
        // Turn by turn another version, and every third time the same version with other bytes.
        let (version, text) = (format!("1.{}", number / 3), format!("text {number}"));
        let report = world.server.carry_out(world.order(number, 1, vec![plain(&world, &version, &text)])).await;
        assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
    }
    over.store(true, Ordering::SeqCst);
    assert!(reader.join().expect("every look found it") > 100);
}

#[tokio::test]
async fn the_same_version_with_other_bytes_replaces_the_folder_in_one_move() {
    let world = World::running().await;
    for (number, text) in [(1, "first"), (2, "second")] {
        let report = world.server.carry_out(world.order(number, 1, vec![plain(&world, "1.0", text)])).await;
        assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
        assert_eq!(fs::read_to_string(world.component().join("current/text")).expect("the file"), text);
    }
    assert_eq!(releases(&world), ["1.0"]);
}

#[tokio::test]
async fn a_version_that_is_installed_again_is_complete_only_after_its_end() {
    let world = World::running().await;
    let complete = |report: Report| report.attested.values().next().expect("an installation").complete;
    let again = plain(&world, "1.0", "x");
    assert!(complete(world.server.carry_out(world.order(1, 1, vec![again.clone()])).await));
    let mut failing = again.clone();
    failing.steps.push(crate::world::script("absent", tidegate_domain::estate::Class::Idempotent));
    let report = world.server.carry_out(world.order(2, 2, vec![failing])).await;
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(!complete(report));
    assert!(complete(world.server.carry_out(world.order(3, 3, vec![again])).await));
}

#[tokio::test]
async fn modes_are_plain_and_data_outlives_versions() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::running().await;
    assert_eq!(world.server.carry_out(world.order(1, 1, vec![plain(&world, "1.0", "x")])).await.outcome, Outcome::Healthy);
    let mode = |path: &str| fs::metadata(world.component().join(path)).expect("it exists").permissions().mode() & 0o7777;
    assert_eq!((mode("current/text"), mode("current/run")), (0o644, 0o755));
    fs::write(world.component().join("data/kept"), "kept").expect("written");
    assert_eq!(world.server.carry_out(world.order(2, 2, vec![plain(&world, "1.1", "y")])).await.outcome, Outcome::Healthy);
    assert_eq!(fs::read_to_string(world.component().join("data/kept")).expect("the file"), "kept");
}

#[tokio::test]
async fn one_file_is_installed_under_the_name_of_its_component() {
    let world = World::running().await;
    let mut installation = world.installation("1.0", Format::File, b"#!/bin/sh\necho ran >> \"$LEDGER\"\n".to_vec());
    let action = tidegate_domain::estate::Action::Script {
        run: "ledger".into(),
        args: Vec::new(),
        class: tidegate_domain::estate::Class::Idempotent,
        verify: Vec::new(),
    };
    installation.steps = vec![unpack(), crate::world::step("step", action)];
    let report = world.server.carry_out(world.order(1, 1, vec![installation])).await;
    assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
    assert_eq!(world.effects(), ["ran"]);
}

#[tokio::test]
async fn journals_and_cache_stay_small() {
    let world = World::running().await;
    for number in 1..=60 {
        let version = format!("1.{number}");
        let report =
            world.server.carry_out(world.order(number, u64::from(number), vec![plain(&world, &version, &version)])).await;
        assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
    }
    // The agent reports first and tidies up afterwards.
    let count = |folder: &str| fs::read_dir(world.root().join(folder)).expect("a folder").count();
    wait_until("journals and cache are small", || count("journal") <= 53 && count("cache") <= 2).await;
}
