//! One canary with an approval and a bake, on each database: the same story, told by the same events.

use std::collections::BTreeMap;

use expect_test::expect;
use serde_json::json;
use tidegate_domain::Name;
use tidegate_domain::deployment::order::Outcome;
use tidegate_domain::deployment::rollout::{Deployment, State};
use tidegate_domain::gate::WaitingOn;
use tidegate_testkit::{Behaviour, Estate, Fleet, TestServer, on_postgres};

use crate::stage::name;

/// Plays the canary of version 1.1 and tells how it went.
async fn story(server: &TestServer, behaviour: Behaviour) -> String {
    let admin = &server.admin;
    let names: Vec<Name> = (1..=12).map(|number| name(&format!("t-{number:02}"))).collect();
    let estate = Estate::define(admin, names.len()).await;
    Fleet::enrol(admin, &names).await;
    estate.bring("1.0").await;
    estate.bring("1.1").await;
    let app = &server.running.app;
    let mut fleet = Fleet::new(names, behaviour);
    let first = estate.deploy("1.0", json!({})).await;
    fleet.until(app, &first, |it| it.state == State::Succeeded).await;
    let cut = json!({"cut": {"canary": {"first": 1, "then": ["25%"]}}, "after_each": [{"bake": {"at_least_seconds": 5}}],
        "after_first": [{"approval": {"question": "is the canary well?"}}]});
    let id = estate.deploy("1.1", cut).await;
    let on = |it: &Deployment, what: fn(&WaitingOn) -> bool| it.waiting.as_ref().is_some_and(|held| what(&held.on));
    loop {
        let asked = |it: &Deployment| on(it, |on| matches!(on, WaitingOn::Approval { .. }));
        let bakes = |it: &Deployment| on(it, |on| matches!(on, WaitingOn::Bake { .. }));
        let now = fleet.until(app, &id, |it| it.state.is_terminal() || asked(it) || bakes(it)).await;
        if now.state.is_terminal() {
            break;
        }
        if asked(&now) {
            let gate = now.gates.iter().find(|(_, gate)| gate.outcome.is_none() && gate.approvals.is_empty());
            let approve = async |key: &str| admin.post(&format!("/deployments/{id}/gates/{key}/approve"), &json!({})).await;
            if let Some((key, _)) = gate {
                // A bake asks for no approval; a round later the gate that does may be through already.
                drop(approve(key).await);
            }
        }
        server.pass_ms(1_000);
    }
    let page = admin.get(&format!("/events?limit=200&stream=deployment/{id}")).await.good();
    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    for row in page["rows"].as_array().expect("rows") {
        *kinds.entry(row["kind"].as_str().expect("a kind").to_owned()).or_default() += 1;
    }
    let end = admin.get(&format!("/deployments/{id}")).await.good();
    format!("{} {} {kinds:?}\n", end["deployment"]["state"], end["deployment"]["counts"])
}

async fn stories(server: &TestServer, bad: &TestServer) -> String {
    let fails: Behaviour = |order| {
        let new = order.installations.iter().any(|it| it.version.as_str() == "1.1");
        if new && order.target.as_str() == "t-02" { Outcome::Failed } else { Outcome::Healthy }
    };
    let told = format!("{}{}", story(server, |_| Outcome::Healthy).await, story(bad, fails).await);
    let verified = bad.running.app.store.verify().await.expect("a walk");
    assert!(verified.broken.is_none(), "{verified:?}");
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_the_canary_is_told_the_same_on_both_databases() {
    let (one, two) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (server, bad) = (TestServer::at_rest(one.path()).await, TestServer::at_rest(two.path()).await);
    let told = stories(&server, &bad).await;
    server.running.stop().await;
    bad.running.stop().await;
    expect![[r#"
        "succeeded" {"healthy":12} {"gate_approved": 1, "gate_closed": 4, "gate_opened": 4, "planned": 1, "start_requested": 1, "started": 1, "succeeded": 1, "target_reported": 24, "wave_completed": 2, "wave_healthy": 3, "wave_started": 3}
        "fell_back" {"pending":9,"healthy":2,"failed":1} {"failing": 1, "fallback_started": 1, "fell_back": 1, "gate_approved": 1, "gate_closed": 2, "gate_opened": 2, "planned": 1, "start_requested": 1, "started": 1, "target_reported": 6, "wave_completed": 1, "wave_healthy": 1, "wave_started": 2}
    "#]].assert_eq(&told);
    let on_other = on_postgres(|good_url| async {
        let inner = on_postgres(|bad_url| async {
            let (one, two) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
            let server = TestServer::on_database(one.path(), good_url).await;
            let bad = TestServer::on_database(two.path(), bad_url).await;
            let on_postgres = stories(&server, &bad).await;
            server.running.stop().await;
            bad.running.stop().await;
            assert_eq!(on_postgres, told);
        });
        inner.await.expect("the server that was just there");
    });
    if let Err(skipped) = on_other.await {
        println!("{skipped}");
    }
}
