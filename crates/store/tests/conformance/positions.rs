//! Whoever follows the events by position sees each of them, once and in order.

use tidegate_store::Store;

use crate::world::{World, change, commit, made};

/// Streams each writer writes, one commit each.
const COMMITS: u64 = 60;

pub async fn a_tail_never_misses_an_event(world: &World) {
    let stores = [world.store.clone(), world.another().await];
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8_usize {
        writers.spawn(write(stores[writer % 2].clone(), writer));
    }
    let total = 8 * COMMITS * 3;
    let mut bells = stores.each_ref().map(Store::positions);
    let mut seen = 0;
    while seen < total {
        let [one, two] = &mut bells;
        one.mark_unchanged();
        two.mark_unchanged();
        let over = writers.is_empty();
        let events = world.store.events_after(seen, 50).await.expect("they are read");
        for event in &events {
            assert_eq!(event.position, seen + 1, "an event was committed before the reader's place, or a position is missing");
            seen += 1;
        }
        if events.is_empty() {
            assert!(!over, "the writers have ended and the reader has seen {seen} of {total} events");
            tokio::select! {
                rung = one.changed() => rung.expect("the store is open"),
                rung = two.changed() => rung.expect("the store is open"),
                Some(ended) = writers.join_next() => ended.expect("the writer ends well"),
            }
        }
    }
    while let Some(ended) = writers.join_next().await {
        ended.expect("the writer ends well");
    }
    stores[1].close().await;
    assert_eq!(world.store.head().await.expect("it is read"), total);
    assert_eq!(world.store.verify().await.expect("it is walked").broken, None);
}

async fn write(store: Store, writer: usize) {
    for number in 0..COMMITS {
        // Every other commit also loses a fence, which must not use up a position.
        let lost = store.commit(commit(vec![change(&format!("W{writer}-{number}"), 5, &["lost"])])).await;
        assert!(lost.is_err());
        made(&store, vec![change(&format!("W{writer}-{number}"), 0, &["one", "two", "three"])]).await;
    }
}

pub async fn every_commit_rings(world: &World) {
    let mut bell = world.store.positions();
    assert_eq!(*bell.borrow_and_update(), 0);
    for position in 1..5 {
        made(&world.store, vec![change("A", position - 1, &["moved"])]).await;
        bell.changed().await.expect("the store is open");
        assert_eq!(*bell.borrow_and_update(), position);
    }
    let lost = world.store.commit(commit(vec![change("A", 0, &["moved"])])).await;
    assert!(lost.is_err() && !bell.has_changed().expect("the store is open"), "a lost fence does not ring");
}
