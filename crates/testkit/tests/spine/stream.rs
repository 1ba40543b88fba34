//! The history as server-sent events: from any entry on, without a gap or a repeat, in order, over a restart.

use serde_json::json;
use tidegate_testkit::{Api, Entry, Estate, Follower, TestServer};

use crate::stage::content;

async fn write(api: &Api, count: usize) {
    for number in 0..count {
        api.post("/changes", &json!({"content": content(&format!("change {number}"))})).await.good();
    }
}

async fn take(follower: &mut Follower, count: usize) -> Vec<Entry> {
    let mut entries = Vec::new();
    while entries.len() < count {
        let next = tokio::time::timeout(std::time::Duration::from_secs(10), follower.next()).await;
        entries.push(next.expect("an entry comes").expect("the stream goes on"));
    }
    entries
}

fn positions(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.position).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_goes_on_where_it_was_over_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::at_rest(folder.path()).await;
    Estate::define(&server.admin, 1).await;
    write(&server.admin, 5).await;
    let head = server.admin.events().await;
    let mut all = Follower::begin(&server.admin, "/stream?after=0", None).await;
    let mut seen = take(&mut all, head as usize).await;
    let server = server.restart(folder.path()).await;
    // What was open ends; whoever comes back says what came last.
    while let Ok(Some(entry)) = tokio::time::timeout(std::time::Duration::from_secs(10), all.next()).await {
        seen.push(entry);
    }
    write(&server.admin, 5).await;
    let last = seen.last().map(|entry| entry.position);
    let mut again = Follower::begin(&server.admin, "/stream?after=0", last).await;
    seen.extend(take(&mut again, 5).await);
    write(&server.admin, 3).await;
    seen.extend(take(&mut again, 3).await);
    assert_eq!(positions(&seen), (1..=head + 8).collect::<Vec<_>>());
    assert_eq!(seen.last().expect("an entry").data["kind"], "drafted");
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_at_once_are_heard_in_one_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::at_rest(folder.path()).await;
    Estate::define(&server.admin, 1).await;
    let head = server.admin.events().await;
    let mut live = Follower::begin(&server.admin, "/stream", None).await;
    let mut early = Follower::begin(&server.admin, &format!("/stream?after={}", head - 1), None).await;
    let writers = (0..8).map(|_| write(&server.admin, 10));
    let (_, live, early) = tokio::join!(futures_util::future::join_all(writers), take(&mut live, 80), take(&mut early, 81));
    let expected: Vec<u64> = (head + 1..=head + 80).collect();
    assert_eq!(positions(&live), expected);
    assert_eq!(positions(&early)[1..], expected);
    let hashes = |entries: &[Entry]| entries.iter().map(|entry| entry.data["hash"].clone()).collect::<Vec<_>>();
    assert_eq!(hashes(&live), hashes(&early[1..]));
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_whose_token_ends_is_let_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::at_rest(folder.path()).await;
    Estate::define(&server.admin, 1).await;
    let made = server.admin.post("/tokens", &json!({"person": "admin", "label": "short", "valid_seconds": 60})).await.good();
    let other = server.admin.with_token(made["secret"].as_str().expect("a secret"));
    let mut follower = Follower::begin(&other, "/stream", None).await;
    write(&server.admin, 1).await;
    take(&mut follower, 1).await;
    let path = format!("/tokens/{}", made["id"].as_str().expect("an id"));
    server.admin.send(server.admin.request(reqwest::Method::DELETE, &path)).await.good();
    write(&server.admin, 1).await;
    assert!(follower.next().await.is_none(), "it hears what it may not");
    server.running.stop().await;
}

#[tokio::test]
async fn the_history_is_read_in_pages_and_by_stream() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::at_rest(folder.path()).await;
    Estate::define(&server.admin, 1).await;
    write(&server.admin, 10).await;
    let head = server.admin.events().await;
    let (mut seen, mut after) = (Vec::new(), "0".to_owned());
    loop {
        let page = server.admin.get(&format!("/events?limit=4&after={after}")).await.good();
        seen.extend(page["rows"].as_array().expect("rows").iter().filter_map(|row| row["position"].as_u64()));
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, (1..=head).collect::<Vec<_>>());
    let of_target = server.admin.get("/events?stream=target/t-01").await.good();
    assert_eq!(of_target["rows"].as_array().map(Vec::len), Some(1));
    assert_eq!(server.admin.get("/events?stream=target/none").await.good()["rows"], json!([]));
    server.running.stop().await;
}
