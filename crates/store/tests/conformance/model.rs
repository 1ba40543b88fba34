//! A group of commits with random fences behaves like the same commits one after the other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tidegate_store::{CommitError, Store};

use crate::world::{Thing, World, commit, kinds, thing, writes};

/// Stream, expected version, number of events.
type Step = Vec<(usize, u64, usize)>;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let change = (0..4_usize, 0..6_u64, 0..3_usize);
    prop::collection::vec(prop::collection::vec(change, 1..4), 1..60)
}

/// Stream, expected and found version of a lost fence.
type Lost = (usize, u64, u64);

/// What each commit comes to, and the kinds of each stream's events.
fn expected(steps: &[Step]) -> (Vec<Option<Lost>>, BTreeMap<usize, Vec<String>>) {
    let mut streams: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let outcomes = steps.iter().enumerate().map(|(number, step)| {
        let mut then = streams.clone();
        for (stream, version, events) in step {
            let known = then.entry(*stream).or_default();
            if known.len() as u64 != *version {
                return Some((*stream, *version, known.len() as u64));
            }
            known.extend((0..*events).map(|event| format!("{number}-{event}")));
        }
        streams = then;
        None
    });
    (outcomes.collect(), streams)
}

async fn check(store: &Store, round: u64, steps: &[Step]) -> Result<(), TestCaseError> {
    let id = |stream: usize| format!("{round}-{stream}");
    let commits = steps.iter().enumerate().map(|(number, step)| {
        let changes = step.iter().map(|(stream, version, events)| {
            let kinds: Vec<String> = (0..*events).map(|event| format!("{number}-{event}")).collect();
            let thing = Thing { title: format!("by {number}"), ..thing(&id(*stream)) };
            writes(&thing, *version, &kinds.iter().map(String::as_str).collect::<Vec<_>>())
        });
        store.commit(commit(changes.collect()))
    });
    // Polled in order, they stand in the queue in this order.
    let outcomes = join_all(commits).await;
    let (fences, streams) = expected(steps);
    for (outcome, fence) in outcomes.iter().zip(&fences) {
        match (outcome, fence) {
            (Ok(_), None) => {}
            (Err(CommitError::Fence { stream, expected, found }), Some(fence)) => {
                prop_assert_eq!((&stream.id, *expected, *found), (&id(fence.0), fence.1, fence.2));
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
    for (stream, expected) in streams {
        prop_assert_eq!(&kinds(store, &id(stream)).await, &expected);
        let last =
            steps.iter().zip(&fences).rposition(|(step, fence)| fence.is_none() && step.iter().any(|change| change.0 == stream));
        let stored = store.load::<Thing>(&id(stream)).await.expect("it is read");
        let told = stored.map(|stored| (stored.version, stored.value.title));
        prop_assert_eq!(told, last.map(|number| (expected.len() as u64, format!("by {number}"))));
    }
    Ok(())
}

pub async fn groups_behave_like_one_commit_after_the_other(world: &World) {
    static ROUND: AtomicU64 = AtomicU64::new(0);
    let store = &world.store;
    let mut runner = TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    let outcome = tokio::task::block_in_place(|| {
        runner.run(&steps(), |steps| {
            let round = ROUND.fetch_add(1, Ordering::Relaxed);
            tokio::runtime::Handle::current().block_on(check(store, round, &steps))
        })
    });
    outcome.expect("groups behave like single commits");
    assert_eq!(store.verify().await.expect("it is walked").broken, None);
}
