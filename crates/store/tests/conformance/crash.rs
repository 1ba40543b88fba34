//! A process that commits is killed; what it was told is stored is stored.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use tidegate_store::Store;

use crate::world::{World, change, commit, kinds};

/// The database a child writes to.
const CHILD_URL: &str = "TIDEGATE_TEST_CHILD_URL";
/// Acknowledgements after which each child is killed; uneven, so that the kill meets another point each time.
const KILLS: [usize; 6] = [1, 7, 40, 133, 301, 512];

pub async fn what_was_acknowledged_survives_a_kill(world: &World) {
    world.store.close().await;
    let mut acknowledged: BTreeMap<String, usize> = BTreeMap::new();
    for (round, acknowledgements) in KILLS.into_iter().enumerate() {
        let url = world.url.clone();
        let told =
            tokio::task::spawn_blocking(move || kill_after(&url, round, acknowledgements)).await.expect("the child is killed");
        for line in told {
            let (stream, version) = line.split_once(' ').expect("stream and version");
            acknowledged.insert(stream.to_owned(), version.parse().expect("a number"));
        }
        let store = world.another().await;
        let verified = store.verify().await.expect("it is walked");
        assert_eq!(verified.broken, None, "round {round}");
        for (stream, version) in &acknowledged {
            let stored = kinds(&store, stream).await.len();
            assert!(stored >= *version, "{stream} was acknowledged at {version} and has {stored} events");
        }
        store.close().await;
    }
}

/// Starts a child, reads so many acknowledgements, kills it, and answers with everything it had said.
fn kill_after(url: &str, round: usize, acknowledgements: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", "crash::child", "--ignored", "--nocapture"])
        .env(CHILD_URL, url)
        .env("TIDEGATE_TEST_CHILD_ROUND", round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines().map(|line| line.expect("it is text"));
    let mut told = Vec::new();
    while told.len() < acknowledgements {
        let line = lines.next().expect("the child goes on until it is killed");
        told.extend(line.strip_prefix("acknowledged ").map(str::to_owned));
    }
    child.kill().expect("it is killed");
    child.wait().expect("it has ended");
    // A line may have been cut off by the kill; whole ones end with a mark.
    told.extend(lines.filter_map(|line| line.strip_prefix("acknowledged ").map(str::to_owned)));
    told.iter().filter_map(|line| line.strip_suffix(" .")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by what_was_acknowledged_survives_a_kill"]
async fn child() {
    let Ok(url) = std::env::var(CHILD_URL) else { return };
    let round = std::env::var("TIDEGATE_TEST_CHILD_ROUND").unwrap_or_default();
    let store = Store::open(&url).await.expect("the store opens");
    let writers = (0..8).map(|writer| tokio::spawn(commit_for_ever(store.clone(), format!("{round}-{writer}"))));
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("it goes on until it is killed");
    }
}

async fn commit_for_ever(store: Store, id: String) {
    for version in 0..100_000 {
        store.commit(commit(vec![change(&id, version, &["moved"])])).await.expect("the commit is made");
        let mut out = std::io::stdout().lock();
        writeln!(out, "acknowledged {id} {} .", version + 1).and_then(|()| out.flush()).expect("the parent listens");
    }
}
