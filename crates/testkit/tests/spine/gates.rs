//! What is shown of gates while they are asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;
use tidegate_domain::Name;
use tidegate_domain::deployment::order::Outcome;
use tidegate_domain::deployment::rollout::Deployment;
use tidegate_testkit::{Estate, Fleet, TestServer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::stage::name;

/// A Prometheus endpoint that has seen as many requests as it is told.
async fn endpoint(requests: Arc<AtomicU64>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4_096];
            drop(stream.read(&mut head).await);
            let body = format!("bad 0\nall {}\n", requests.load(Ordering::SeqCst));
            let length = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    format!("http://{address}/metrics")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bake_is_shown_with_the_requests_that_the_gates_beside_it_have_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::at_rest(folder.path()).await;
    let (admin, app) = (&server.admin, &server.running.app);
    let requests = Arc::new(AtomicU64::new(0));
    let estate = Estate::define(admin, 2).await;
    let names: Vec<Name> = vec![name("t-01"), name("t-02")];
    Fleet::enrol(admin, &names).await;
    estate.bring("1.0").await;
    let metric = json!({"name": "errors", "at_most": 0.1, "measurements": 1, "interval_seconds": 10, "source": {"endpoint":
        {"url": endpoint(requests.clone()).await, "numerator": {"metric": "bad"}, "denominator": {"metric": "all"}}}});
    let strategy = json!({"cut": {"rolling": {"batches": [1]}},
        "after_each": [{"bake": {"at_least_seconds": 1, "samples_at_least": 100}}, {"metric": metric}]});
    let id = estate.deploy("1.0", strategy).await;
    let mut fleet = Fleet::new(names, |_| Outcome::Healthy);
    let measured = |wave: u32, count: usize| {
        move |it: &Deployment| it.gates.get(&format!("{wave}.after.1")).is_some_and(|gate| gate.measurements.len() >= count)
    };
    // The first wave has seen five hundred requests and is over.
    fleet.until(app, &id, measured(0, 1)).await;
    requests.store(500, Ordering::SeqCst);
    server.pass_ms(10_000);
    fleet.until(app, &id, measured(1, 1)).await;
    // The second has read its counters once, and no request since.
    server.pass_ms(5_000);
    let shown = admin.get(&format!("/deployments/{id}")).await.good();
    let gate = |key: &str| {
        let gates = shown["gates"].as_array().expect("gates");
        gates.iter().find(|gate| gate["key"] == key).expect("that gate")["sentence"].as_str().expect("a sentence").to_owned()
    };
    assert_eq!(gate("0.after.0"), "baked for 10 s and 500 requests");
    assert_eq!(gate("1.after.0"), "baking, 100 more requests needed");
    assert_eq!(shown["sentence"], "baking: baking, 100 more requests needed");
    server.running.stop().await;
}
