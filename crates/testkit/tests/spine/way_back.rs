//! What was rejected is deployed by no path, the way back neither; and a change for several environments lasts for all of them.

use serde_json::{Value, json};
use tidegate_domain::deployment::order::Outcome;
use tidegate_domain::deployment::rollout::State;
use tidegate_testkit::Fleet;

use crate::admission::{Prod, reasons, thing};

/// Release 1.0, deployed and verified.
async fn with_release(prod: &Prod) -> String {
    let release = json!({"application": "shop", "version": "1.0", "title": "x", "versions": {"shop": "1.0"}});
    let release = thing(&prod.rhea.post("/releases", &release).await.good());
    let id = prod.plan("1.0", json!({"release": release, "versions": {}})).await;
    prod.start(&id).await.good();
    prod.until(&mut prod.fleet(), &id, |it| it.state == State::Succeeded).await;
    release
}

async fn reject(prod: &Prod, release: &str) {
    prod.rhea.post(&format!("/releases/{release}/reject"), &json!({"reason": "it leaks"})).await.good();
}

async fn plan_of(prod: &Prod, id: &str) -> Value {
    prod.ada.get(&format!("/deployments/{id}")).await.good()["plan"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_starts_whose_way_back_was_rejected_since() {
    let folder = tempfile::tempdir().expect("a folder");
    let prod = Prod::enrolled(folder.path(), json!({"tier": "test"})).await;
    let release = with_release(&prod).await;
    let before = prod.plan("1.1", json!({})).await;
    assert_eq!(plan_of(&prod, &before).await["fallback_package"]["shop"][0], "1.0");
    reject(&prod, &release).await;
    let refused = prod.start(&before).await;
    assert_eq!(reasons(&refused), "fallback_rejected (never)");
    assert!(
        refused.body["reasons"][0]["text"].as_str().is_some_and(|it| it.contains("shop 1.0 of release 1.0")),
        "{}",
        refused.body
    );
    let after = plan_of(&prod, &prod.plan("1.1", json!({})).await).await;
    assert_eq!((&after["fallback"], after["no_fallback_because"].is_string()), (&Value::Null, true), "{after}");
    prod.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_rejected_on_the_way_is_not_gone_back_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let prod = Prod::enrolled(folder.path(), json!({"tier": "test"})).await;
    let release = with_release(&prod).await;
    let id = prod.plan("1.1", json!({})).await;
    prod.start(&id).await.good();
    prod.until(&mut Fleet::new(Vec::new(), |_| Outcome::Healthy), &id, |it| it.state == State::Running).await;
    reject(&prod, &release).await;
    let asked = prod.ada.post(&format!("/deployments/{id}/fall-back"), &json!({"reason": "it is bad"})).await;
    assert_eq!(asked.refused(), "409 state_forbids", "{}", asked.body);
    let targets = prod.targets.clone();
    let mut failing = Fleet::new(targets, |_| Outcome::Failed);
    let end = prod.until(&mut failing, &id, |it| it.state.is_terminal()).await;
    assert_eq!((end.state, end.fallback.clone()), (State::Failed, None));
    let why = end.decided_by.last().expect("a reason");
    assert!(why.contains("no way back") && why.contains("rhea rejected: it leaks"), "{why}");
    prod.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn naming_the_versions_is_no_way_around_a_rejection() {
    let folder = tempfile::tempdir().expect("a folder");
    let prod = Prod::enrolled(folder.path(), json!({"tier": "test"})).await;
    let release = with_release(&prod).await;
    let queued = prod.plan("1.0", json!({})).await;
    let at_ms = prod.server.now_ms() + 60_000;
    prod.ada.post(&format!("/deployments/{queued}/start"), &json!({"not_before_ms": at_ms})).await.good();
    reject(&prod, &release).await;
    let named = json!({"application": "shop", "environment": "prod", "versions": {"shop": "1.0"}});
    assert_eq!(prod.ada.post("/deployments", &named).await.refused(), "409 state_forbids");
    let end = prod.until(&mut prod.fleet(), &queued, |it| it.state.is_terminal()).await;
    assert_eq!(end.state, State::Expired, "a queued one is not started");
    // Neither is another release of the same package.
    let again = json!({"application": "shop", "version": "1.0.1", "title": "x", "versions": {"shop": "1.0"}});
    let again = thing(&prod.rhea.post("/releases", &again).await.good());
    let other = json!({"application": "shop", "environment": "prod", "release": again});
    assert_eq!(prod.ada.post("/deployments", &other).await.refused(), "409 state_forbids");
    prod.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_for_several_environments_lasts_for_all_of_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let prod = Prod::enrolled(folder.path(), json!({"tier": "production", "controlled": true})).await;
    let other = json!({"definitions": [{"environment": {"name": "stage", "tier": "staging", "controlled": true}},
        {"target": {"name": "s-01", "environment": "stage"}}]});
    prod.server.admin.post("/definitions", &other).await.good();
    let staged = vec![crate::stage::name("s-01")];
    Fleet::enrol(&prod.server.admin, &staged).await;
    let content = json!({"title": "x", "class": "normal", "application": "shop", "environments": ["stage", "prod"]});
    let change = thing(&prod.ada.post("/changes", &json!({"content": content})).await.good());
    let stage = prod.plan("1.0", json!({"environment": "stage", "change": change})).await;
    let live = prod.plan("1.0", json!({"change": change})).await;
    prod.vote(&change).await;
    prod.start(&stage).await.good();
    prod.until(&mut Fleet::new(staged, |_| Outcome::Healthy), &stage, |it| it.state == State::Succeeded).await;
    let shown = prod.ada.get(&format!("/changes/{change}")).await.good();
    assert_eq!(shown["value"]["state"], "authorised", "it is not over: {shown}");
    prod.start(&live).await.good();
    prod.until(&mut prod.fleet(), &live, |it| it.state == State::Succeeded).await;
    let shown = prod.ada.get(&format!("/changes/{change}")).await.good();
    assert_eq!((&shown["value"]["state"], &shown["value"]["outcome"]), (&json!("review"), &json!("successful")), "{shown}");
    prod.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_elsewhere_spends_no_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let prod = Prod::enrolled(folder.path(), json!({"tier": "production", "controlled": true})).await;
    let other = json!({"definitions": [{"environment": {"name": "dev", "tier": "test"}}, {"target": {"name": "d-01", "environment": "dev"}}]});
    prod.server.admin.post("/definitions", &other).await.good();
    let there = vec![crate::stage::name("d-01")];
    Fleet::enrol(&prod.server.admin, &there).await;
    let content = json!({"title": "x", "class": "normal", "application": "shop", "environments": ["prod"]});
    let change = thing(&prod.ada.post("/changes", &json!({"content": content})).await.good());
    let live = prod.plan("1.0", json!({"change": change})).await;
    prod.vote(&change).await;
    // Where no change is needed, somebody names this one, and fails.
    let dev = prod.plan("1.1", json!({"environment": "dev", "change": change})).await;
    prod.start(&dev).await.good();
    prod.until(&mut Fleet::new(there, |_| Outcome::Failed), &dev, |it| it.state.is_terminal()).await;
    let shown = prod.ada.get(&format!("/changes/{change}")).await.good();
    assert_eq!(shown["value"]["state"], "authorised", "{shown}");
    prod.start(&live).await.good();
    prod.until(&mut prod.fleet(), &live, |it| it.state == State::Succeeded).await;
    prod.end().await;
}
