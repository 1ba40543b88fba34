//! Supervised programs: kept up, found again, replaced, stopped.

use std::time::Duration;

use tidegate_domain::deployment::order::{Installation, Order, Outcome};
use tidegate_domain::estate::Action;

use crate::world::{World, claimed, free_address, get, http_health, is_alive, process, step, switch, unpack, wait_until};

const SERVE: (&str, &str) = ("serve", "exec \"$PROGRAM\" serve \"$1\"");

fn order(world: &World, number: u32, version: &str, address: &str) -> Order {
    let steps = vec![unpack(), switch(), process(&["{{ address }}"])];
    let installation = Installation { health: Some(http_health()), ..world.scripts(version, &[SERVE], steps) };
    let mut order = world.order(number, u64::from(number), vec![installation]);
    order.variables.insert("address".into(), address.to_owned());
    order
}

async fn served(address: &str) -> String {
    for _ in 0..600 {
        if let Ok(text) = get(address, "/").await {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nothing is served on address {address}");
}

fn alive(world: &World) -> Vec<(i32, u64)> {
    claimed(&world.component().join("runs")).into_iter().filter(|(pid, ticks)| is_alive(*pid, *ticks)).collect()
}

#[tokio::test]
async fn a_new_version_replaces_the_old_program() {
    let world = World::running().await;
    let address = free_address();
    for (number, version) in [(1, "1.0"), (2, "1.1"), (3, "1.0")] {
        let report = world.server.carry_out(order(&world, number, version, &address)).await;
        assert_eq!(report.outcome, Outcome::Healthy, "{report:#?}");
        assert_eq!(served(&address).await, version);
        assert_eq!(alive(&world).len(), 1);
    }
}

#[tokio::test]
async fn a_program_that_dies_is_started_again() {
    let world = World::running().await;
    let address = free_address();
    assert_eq!(world.server.carry_out(order(&world, 1, "1.0", &address)).await.outcome, Outcome::Healthy);
    let first = alive(&world);
    let _ = get(&address, "/end").await;
    wait_until("the first process is gone", || alive(&world) != first).await;
    assert_eq!(served(&address).await, "1.0");
    assert_eq!(alive(&world).len(), 1);
}

#[tokio::test]
async fn a_program_that_does_not_stay_up_is_told_of_until_another_takes_its_place() {
    let world = World::running().await;
    let address = free_address();
    assert_eq!(world.server.carry_out(order(&world, 1, "1.0", &address)).await.outcome, Outcome::Healthy);
    assert!(world.server.with(|memory| memory.unsteady.is_empty()), "it has not ended");
    let mut first = alive(&world);
    for ends in 1..=3 {
        served(&address).await;
        let _ = get(&address, "/end").await;
        wait_until("the process is gone", || alive(&world) != first).await;
        served(&address).await;
        first = alive(&world);
        if ends == 1 {
            let polls = world.server.with(|memory| memory.polls);
            world.server.until("two more polls", |memory| (memory.polls >= polls + 2).then_some(())).await;
            assert!(world.server.with(|memory| memory.unsteady.is_empty()), "one end is no habit");
            continue;
        }
        let told = world.server.until("it is told of", |memory| memory.unsteady.iter().find(|it| it.ends >= ends).cloned()).await;
        assert_eq!((told.component.as_str(), told.ends), ("ledger", ends));
    }
    assert_eq!(world.server.carry_out(order(&world, 2, "1.1", &address)).await.outcome, Outcome::Healthy);
    world.server.until("it is not told of", |memory| memory.unsteady.is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_program_outlives_the_agent_and_is_found_again() {
    let mut world = World::running().await;
    let address = free_address();
    assert_eq!(world.server.carry_out(order(&world, 1, "1.0", &address)).await.outcome, Outcome::Healthy);
    let first = alive(&world);
    world.kill().await;
    assert_eq!(served(&address).await, "1.0");
    world.start(0);
    assert_eq!(world.server.carry_out(world.order(9, 1, Vec::new())).await.outcome, Outcome::Healthy);
    assert_eq!(alive(&world), first, "it was found, not started again");
    assert_eq!(world.server.carry_out(order(&world, 2, "1.1", &address)).await.outcome, Outcome::Healthy);
    let second = alive(&world);
    assert!(second.len() == 1 && second != first, "the found one was replaced");
    // And one that dies while nobody looks is started again.
    world.kill().await;
    let _ = get(&address, "/end").await;
    wait_until("it is gone", || alive(&world).is_empty()).await;
    world.start(0);
    assert_eq!(served(&address).await, "1.1");
}

#[tokio::test]
async fn a_found_program_that_dies_is_started_again() {
    let mut world = World::running().await;
    let address = free_address();
    assert_eq!(world.server.carry_out(order(&world, 1, "1.0", &address)).await.outcome, Outcome::Healthy);
    let first = alive(&world);
    world.kill().await;
    world.start(0);
    let lock = world.root().join("lock");
    wait_until("the new agent holds the folder", || std::fs::File::open(&lock).is_ok_and(|file| file.try_lock().is_err())).await;
    let _ = get(&address, "/end").await;
    wait_until("the first process is gone", || alive(&world) != first).await;
    assert_eq!(served(&address).await, "1.0");
}

#[tokio::test]
async fn a_stopped_program_stays_down() {
    let mut world = World::running().await;
    let address = free_address();
    assert_eq!(world.server.carry_out(order(&world, 1, "1.0", &address)).await.outcome, Outcome::Healthy);
    let stop = step("stop", Action::ProcessStop { stop_grace_seconds: 5 });
    let order = world.order(2, 2, vec![world.scripts("1.0", &[SERVE], vec![stop])]);
    assert_eq!(world.server.carry_out(order).await.outcome, Outcome::Healthy);
    assert!(alive(&world).is_empty());
    world.kill().await;
    world.start(0);
    let empty = world.order(3, 3, Vec::new());
    assert_eq!(world.server.carry_out(empty).await.outcome, Outcome::Healthy);
    assert!(alive(&world).is_empty());
}

#[tokio::test]
async fn a_program_that_ends_at_once_fails_its_step_with_its_last_words() {
    let world = World::running().await;
    let installation = world.scripts("1.0", &[("serve", "echo no address given; exit 1")], vec![unpack(), process(&[])]);
    let report = world.server.carry_out(world.order(1, 1, vec![installation])).await;
    assert_eq!(report.outcome, Outcome::Failed);
    let sentence = "step 1 \"process\" of ledger: ended at once after its start; its last words: no address given";
    assert_eq!(report.detail.as_deref(), Some(sentence));
}

#[tokio::test]
async fn programs_stop_with_the_agent_when_asked_to() {
    let mut world = World::new().await;
    world.stop_services_on_exit = true;
    world.start(0);
    let address = free_address();
    assert_eq!(world.server.carry_out(order(&world, 1, "1.0", &address)).await.outcome, Outcome::Healthy);
    world.stop().await;
    assert!(alive(&world).is_empty());
    world.start(0);
    assert_eq!(served(&address).await, "1.0", "the next agent starts them again");
}

#[tokio::test]
async fn an_agent_ends_with_its_parent_and_takes_its_programs_along() {
    let mut world = World::new().await;
    world.die_with_parent = true;
    world.stop_services_on_exit = true;
    // A shell between the test and the agent, to be killed.
    world.start_below_a_shell();
    let address = free_address();
    assert_eq!(world.server.carry_out(order(&world, 1, "1.0", &address)).await.outcome, Outcome::Healthy);
    world.kill().await;
    wait_until("the program is gone", || alive(&world).is_empty()).await;
}

#[tokio::test]
async fn a_second_agent_does_not_start_in_the_same_folder() {
    let mut world = World::running().await;
    let lock = world.root().join("lock");
    wait_until("the first holds the folder", || std::fs::File::open(&lock).is_ok_and(|file| file.try_lock().is_err())).await;
    let first = world.child.take();
    world.start(0);
    let status = world.child.as_mut().expect("a second agent").wait().await.expect("it ends");
    assert!(!status.success());
    assert!(world.error().starts_with("another agent works in "), "{}", world.error());
    world.child = first;
}

#[tokio::test]
async fn an_agent_waits_for_the_last_traces_of_a_killed_one() {
    let mut world = World::new().await;
    std::fs::create_dir(world.root()).expect("a folder");
    let held = std::fs::File::create(world.root().join("lock")).expect("the lock");
    held.lock().expect("held");
    world.start(0);
    // It opens the file before it asks for the lock.
    let pid = world.child.as_ref().and_then(tokio::process::Child::id).expect("it runs");
    let opened = || {
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        files.filter_map(|file| std::fs::read_link(file.path()).ok()).any(|path| path.ends_with("root/lock"))
    };
    wait_until("the agent asks for the lock", opened).await;
    drop(held);
    assert_eq!(world.server.carry_out(world.order(1, 1, Vec::new())).await.outcome, Outcome::Healthy);
}
