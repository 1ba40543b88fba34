//! The load is steady and bounded, and goes on through restarts.

use std::time::{Duration, Instant};

use axum::Router;
use tidegate_sample_ledger::{Edition, LOAD_ACCOUNTS, LoadSummary, load};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::host::{Host, Service};

/// A load in the background and the way to end it.
struct Running {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<LoadSummary>,
}

fn run(urls: Vec<String>, rate: f64) -> Running {
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(load(urls, rate, async { drop(stopped.await) }));
    Running { stop, ended }
}

impl Running {
    async fn stop(self) -> LoadSummary {
        drop(self.stop);
        self.ended.await.expect("a summary")
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Answers,
    KeepsWaiting,
}

/// A peer that tells of each request it gets.
async fn peer(manner: Manner) -> (String, mpsc::UnboundedReceiver<()>) {
    let (told, requests) = mpsc::unbounded_channel();
    let handler = move || {
        let told = told.clone();
        async move {
            let _ = told.send(());
            if manner == Manner::KeepsWaiting {
                std::future::pending::<()>().await;
            }
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
    (url, requests)
}

#[tokio::test]
async fn no_more_is_asked_than_was_said() {
    let (url, mut requests) = peer(Manner::Answers).await;
    let began = Instant::now();
    let running = run(vec![url.clone(), url], 20.0);
    for _ in 0..11 {
        requests.recv().await.expect("a request");
    }
    assert!(began.elapsed() >= Duration::from_millis(500), "eleven requests have ten pauses of 50 ms between them");
    let total = running.stop().await.total();
    assert!((11..=12).contains(&total.ok), "an address that is given twice is asked once: {total:?}");
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_asked_once_at_a_time() {
    let (url, mut requests) = peer(Manner::KeepsWaiting).await;
    let running = run(vec![url], 50.0);
    requests.recv().await.expect("a request");
    let second = tokio::time::timeout(Duration::from_secs(1), requests.recv()).await;
    assert!(second.is_err(), "the first is still waited for");
    let total = running.stop().await.total();
    assert_eq!((total.ok, total.failed, total.unreachable), (0, 0, 1));
}

#[tokio::test]
async fn addresses_beyond_the_bounds_are_left_alone() {
    let (url, mut requests) = peer(Manner::Answers).await;
    // Other addresses of this host at the peer's port, where nobody listens.
    let port = url.rsplit(':').next().expect("a port").to_owned();
    let mut urls = vec!["http://192.0.2.1:80".to_owned(), url];
    urls.extend((2..82).map(|host| format!("http://127.0.0.{host}:{port}")));
    let running = run(urls, f64::INFINITY);
    requests.recv().await.expect("a request");
    let summary = running.stop().await;
    assert_eq!((summary.services.len(), summary.refused.len()), (64, 18));
    assert_eq!(summary.refused["http://192.0.2.1:80"], "192.0.2.1 is not on this host");
}

#[tokio::test]
async fn the_load_goes_on_through_restarts_and_kills_and_loses_nothing_acknowledged() {
    let host = Host::new();
    host.migrate(Edition::V1_2Bad).await;
    let service = host.start(Edition::V1_1).await;
    let (url, port) = (service.url.clone(), service.port());
    let running = run(vec![url], 50.0);
    answered(&service, 20).await;
    service.stop().await;
    let service = host.start_on(Edition::V1_2Bad, port).await;
    answered(&service, 20).await;
    service.kill().await;
    let service = host.start_on(Edition::V1_1, port).await;
    answered(&service, 20).await;
    let total = running.stop().await.total();
    assert!(total.ok >= 50 && total.failed >= 5, "{total:?}");
    let mut balance_cents = 0;
    for account in 0..LOAD_ACCOUNTS {
        balance_cents += service.balance(&format!("load-{account}")).await;
    }
    // At most the one entry that was in flight at the kill is kept without having been acknowledged.
    let unacknowledged = balance_cents - total.acknowledged_cents;
    assert!((0..=1_000).contains(&unacknowledged), "{unacknowledged} of {balance_cents}: {total:?}");
}

/// Waits until the service has answered so many entries, well or not.
async fn answered(service: &Service, count: u64) {
    let mut look = tokio::time::interval(Duration::from_millis(20));
    while service.metric("ledger_request_seconds_count{route=\"/entries\"}").await < count {
        look.tick().await;
    }
}
