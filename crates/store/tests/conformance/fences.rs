//! The door: fences, keys, and what becomes of commits that are not made.

use futures_util::future::join_all;
use tidegate_domain::event::{Actor, Noun};
use tidegate_domain::{Digest, canonical};
use tidegate_store::{Commit, CommitError, Fault, IdempotencyRow, Stored};

use crate::world::{Thing, World, change, commit, kinds, made, stream, thing, writes};

pub async fn a_commit_makes_a_stream_and_its_record(world: &World) {
    let store = &world.store;
    let made = made(store, vec![writes(&thing("A"), 0, &["one", "two"])]).await;
    assert_eq!((made.position, made.versions), (2, vec![(stream("A"), 2)]));
    let stored = store.load::<Thing>("A").await.expect("it is read").expect("it is there");
    assert_eq!(stored, Stored { version: 2, updated_at_ms: 1_000, value: thing("A") });
    assert_eq!(kinds(store, "A").await, ["one", "two"]);
    assert_eq!(store.head().await.expect("it is read"), 2);
}

pub async fn a_stale_version_is_refused_and_leaves_nothing(world: &World) {
    let store = &world.store;
    made(store, vec![writes(&thing("A"), 0, &["one"])]).await;
    let moved = Thing { state: "closed".to_owned(), ..thing("A") };
    for expected_version in [0, 2, 9] {
        match store.commit(commit(vec![writes(&moved, expected_version, &["two"])])).await {
            Err(CommitError::Fence { stream: lost, expected, found }) => {
                assert_eq!((lost, expected, found), (stream("A"), expected_version, 1));
            }
            other => panic!("expected a fence, got {other:?}"),
        }
    }
    assert_eq!(kinds(store, "A").await, ["one"]);
    assert_eq!(store.load::<Thing>("A").await.expect("it is read").expect("it is there").value.state, "draft");
    assert_eq!(made_position(world).await, 2, "a refused commit uses up no position");
}

async fn made_position(world: &World) -> u64 {
    made(&world.store, vec![change("next", 0, &["one"])]).await.position
}

pub async fn several_streams_change_together_or_not_at_all(world: &World) {
    let store = &world.store;
    made(store, vec![change("A", 0, &["one"]), change("B", 0, &["one", "two"])]).await;
    let lost = store.commit(commit(vec![change("A", 1, &["two"]), change("B", 1, &["three"])])).await;
    assert!(matches!(lost, Err(CommitError::Fence { found: 2, .. })), "{lost:?}");
    assert_eq!(kinds(store, "A").await, ["one"]);
    made(store, vec![change("A", 1, &["two"]), change("B", 2, &["three"])]).await;
    assert_eq!(kinds(store, "B").await, ["one", "two", "three"]);
}

pub async fn a_change_without_events_only_checks_its_fence(world: &World) {
    let store = &world.store;
    made(store, vec![change("A", 0, &["one"])]).await;
    let made = made(store, vec![change("A", 1, &[]), change("B", 0, &["one"])]).await;
    assert_eq!(made.versions, [(stream("A"), 1), (stream("B"), 1)]);
    let lost = store.commit(commit(vec![change("A", 0, &[]), change("C", 0, &["one"])])).await;
    assert!(matches!(lost, Err(CommitError::Fence { .. })), "{lost:?}");
    assert_eq!(kinds(store, "C").await, [""; 0]);
}

pub async fn a_stream_may_stand_twice_in_one_commit(world: &World) {
    made(&world.store, vec![change("A", 0, &["one"]), change("A", 1, &["two"])]).await;
    assert_eq!(kinds(&world.store, "A").await, ["one", "two"]);
    let lost = world.store.commit(commit(vec![change("A", 2, &["three"]), change("A", 2, &["four"])])).await;
    assert!(matches!(lost, Err(CommitError::Fence { found: 3, .. })), "{lost:?}");
    assert_eq!(kinds(&world.store, "A").await, ["one", "two"]);
}

pub async fn of_two_who_decide_on_the_same_version_one_wins(world: &World) {
    let other = world.another().await;
    for version in 0..20 {
        let stores = [&world.store, &other, &world.store, &other];
        let tries = stores.map(|store| store.commit(commit(vec![writes(&thing("A"), version, &["move"])])));
        let outcomes = join_all(tries).await;
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(won, 1, "{outcomes:?}");
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(CommitError::Fence { .. }))), "{outcomes:?}");
    }
    other.close().await;
    assert_eq!(world.store.verify().await.expect("it is walked").broken, None);
}

fn with_key(id: &str, key: &str, at_ms: i64) -> Commit {
    let request = canonical::digest(&id);
    let row = IdempotencyRow { key: key.to_owned(), request, answer: format!("{{\"id\":\"{id}\"}}"), at_ms };
    Commit { idempotency: Some(row), ..commit(vec![change(id, 0, &["one"])]) }
}

pub async fn an_idempotency_key_is_used_once(world: &World) {
    let store = &world.store;
    let tries = ["A", "B", "C"].map(|id| store.commit(with_key(id, "ada/1", 5)));
    let outcomes = join_all(tries).await;
    assert!(outcomes[0].is_ok(), "{outcomes:?}");
    for lost in &outcomes[1..] {
        assert!(matches!(lost, Err(CommitError::KeyTaken { key }) if key == "ada/1"), "{lost:?}");
    }
    let lost = store.commit(with_key("D", "ada/1", 5)).await;
    assert!(matches!(lost, Err(CommitError::KeyTaken { .. })), "{lost:?}");
    let row = store.idempotent("ada/1").await.expect("it is read").expect("it is there");
    assert_eq!((row.answer.as_str(), row.request), ("{\"id\":\"A\"}", canonical::digest(&"A")));
    assert_eq!(store.idempotent("ada/2").await.expect("it is read"), None);
    assert_eq!(kinds(store, "B").await, [""; 0]);
    let stale = store.commit(Commit { changes: vec![change("A", 0, &["two"])], ..with_key("A", "ada/3", 5) }).await;
    assert!(matches!(stale, Err(CommitError::Fence { .. })), "{stale:?}");
    assert_eq!(store.idempotent("ada/3").await.expect("it is read"), None, "a refused commit uses up no key");
}

pub async fn an_idempotency_key_is_forgotten_after_a_day(world: &World) {
    let (store, day) = (&world.store, 24 * 60 * 60 * 1_000);
    for (id, at_ms) in [("A", 0), ("B", 1)] {
        store.commit(with_key(id, id, at_ms)).await.expect("the commit is made");
    }
    assert_eq!(store.purge(day + 1).await.expect("it is purged"), 1);
    assert_eq!(store.idempotent("A").await.expect("it is read"), None);
    assert!(store.idempotent("B").await.expect("it is read").is_some());
}

pub async fn commits_stop_when_told_to(world: &World) {
    let store = &world.store;
    store.stop_after(Some(2));
    let ids = ["A", "B", "A", "C", "D", "E"];
    let outcomes = join_all(ids.map(|id| store.commit(commit(vec![change(id, 0, &["one"])])))).await;
    let told: Vec<&str> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Ok(_) => "made",
            Err(CommitError::Fence { .. }) => "fence",
            Err(CommitError::Stopped) => "stopped",
            Err(other) => panic!("{other}"),
        })
        .collect();
    // The third came when two had been made: it is not even looked at.
    assert_eq!(told, ["made", "made", "stopped", "stopped", "stopped", "stopped"]);
    assert_eq!(store.head().await.expect("it is read"), 2);
    store.stop_after(None);
    made(store, vec![change("C", 0, &["one"])]).await;
    // The same when each comes in a group of its own.
    store.stop_after(Some(1));
    made(store, vec![change("D", 0, &["one"])]).await;
    let lost = store.commit(commit(vec![change("E", 0, &["one"])])).await;
    assert!(matches!(lost, Err(CommitError::Stopped)), "{lost:?}");
}

pub async fn a_commit_that_contradicts_itself_is_refused(world: &World) {
    let mut foreign = writes(&thing("A"), 0, &["one"]);
    foreign.stream.noun = Noun::Release;
    let false_digest = Commit { documents: vec![(Digest::of(b"x"), "y".to_owned())], ..commit(vec![]) };
    for wrong in [commit(vec![foreign]), false_digest] {
        let lost = world.store.commit(wrong).await;
        assert!(matches!(lost, Err(CommitError::Fault(Fault::Contradiction(_)))), "{lost:?}");
    }
}

pub async fn a_commit_that_cannot_be_stored_fails_alone(world: &World) {
    let store = &world.store;
    let tries = (0..20).map(|number| {
        let mut commit = commit(vec![change(&format!("T{number}"), 0, &["one"])]);
        commit.actor = Actor::System;
        if number == 7 {
            // PostgreSQL cannot keep this; SQLite can.
            commit.cause.push('\0');
        }
        store.commit(commit)
    });
    let outcomes = join_all(tries).await;
    for (number, outcome) in outcomes.iter().enumerate() {
        let expected = number != 7 || world.is_sqlite();
        assert_eq!(outcome.is_ok(), expected, "{number}: {outcome:?}");
    }
    let verified = store.verify().await.expect("it is walked");
    assert_eq!((verified.broken, verified.events), (None, if world.is_sqlite() { 20 } else { 19 }));
}
