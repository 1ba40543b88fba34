//! How often each may ask, and that it is nobody else's trouble.

use std::path::Path;

use serde_json::json;
use tidegate_server::app::{AddressFrom, Serving};
use tidegate_server::clock::Clock;
use tidegate_testkit::{Estate, Fleet, TestServer, WireAgent, config};

use crate::stage::name;

/// One a second, ten at once, for tokens and strangers.
async fn narrow(data: &Path, address: AddressFrom) -> TestServer {
    let serving = Serving { token_requests_per_second: 1, stranger_requests_per_second: 1, address, linger_seconds: 0 };
    TestServer::with(tidegate_server::Config { serving, ..config(data) }, Clock::System, None).await
}

#[tokio::test]
async fn a_token_that_asks_too_often_is_told_when_to_come_back_and_others_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = narrow(folder.path(), AddressFrom::Connection).await;
    let ada = server.person("ada", json!([])).await;
    let mut last = ada.get("/whoami").await;
    let mut good = 0;
    while last.status.is_success() && good < 20 {
        good += 1;
        last = ada.get("/whoami").await;
    }
    // The first one came as a stranger; the clock gives one more back each second.
    assert!((10..15).contains(&good), "{good}");
    assert_eq!(
        last.problem(),
        "429 rate_limited: there were too many requests in a short time; come back in 1 s, and ask less often"
    );
    assert_eq!(last.headers["retry-after"], "1");
    server.admin.get("/whoami").await.good();
    let counted = server.admin.get("/metrics").await.good();
    assert!(counted.as_str().expect("text").contains("tidegate_refusals_total{code=\"rate_limited\"} 1\n"), "{counted}");
    server.running.stop().await;
}

#[tokio::test]
async fn made_up_tokens_are_counted_by_their_address_and_keep_no_known_one_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = narrow(folder.path(), AddressFrom::Connection).await;
    server.admin.get("/whoami").await.good();
    let mut refused = Vec::new();
    for number in 0..14 {
        refused.push(server.admin.with_token(&format!("TOK-{number:03}.made-up")).get("/whoami").await.refused());
    }
    assert_eq!(refused.first().map(String::as_str), Some("401 not_signed_in"));
    assert_eq!(refused.last().map(String::as_str), Some("429 rate_limited"), "{refused:?}");
    let client = reqwest::Client::new();
    let page = client.get(format!("{}/login", server.admin.base)).send().await.expect("an answer");
    assert_eq!(page.status().as_u16(), 429);
    assert!(page.headers().contains_key("retry-after"));
    let kind = page.headers()["content-type"].to_str().expect("text").to_owned();
    assert!(kind.starts_with("text/html"), "people get a page: {kind}");
    server.admin.get("/whoami").await.good();
    let health = client.get(format!("{}/healthz", server.admin.base)).send().await.expect("an answer");
    assert!(health.status().is_success());
    server.running.stop().await;
}

#[tokio::test]
async fn agents_are_not_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = narrow(folder.path(), AddressFrom::Connection).await;
    Estate::define(&server.admin, 1).await;
    Fleet::enrol(&server.admin, &[name("t-01")]).await;
    let mut agent = WireAgent::new(&server.admin.base, &name("t-01"), 7);
    let poll = json!({"nonce": "n", "known": [], "wait_seconds": 0, "agent_version": "1"});
    for _ in 0..30 {
        agent.begin().await;
        agent.post("/agent/v1/poll", &poll).await.good();
    }
    let mut refused = Vec::new();
    for _ in 0..14 {
        refused.push(agent.enrol("rubbish").await.refused());
    }
    assert_eq!(
        refused.last().map(String::as_str),
        Some("429 rate_limited"),
        "whoever tries out enrolment tokens is: {refused:?}"
    );
    agent.post("/agent/v1/poll", &poll).await.good();
    server.running.stop().await;
}

#[tokio::test]
async fn behind_a_proxy_each_is_counted_by_what_the_proxy_has_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = narrow(folder.path(), AddressFrom::Proxy).await;
    let client = reqwest::Client::new();
    let ask = async |from: &str| {
        let request = client.get(format!("{}/login", server.admin.base)).header("x-forwarded-for", from);
        request.send().await.expect("an answer").status().as_u16()
    };
    let mut last = 200;
    for number in 0..14 {
        // What the visitor says of themselves stands first and is not believed.
        last = ask(&format!("192.0.2.{number}, 198.51.100.7")).await;
    }
    assert_eq!(last, 429);
    assert_eq!(ask("198.51.100.8").await, 200);
    for number in 0..14 {
        last = ask(&format!("2001:db8::{number}")).await;
    }
    assert_eq!(last, 429, "a network of version 6 is one");
    server.running.stop().await;
}
