//! Admission over HTTP: every reason, what waits for it, and what a freeze does to work that is under way.

use expect_test::expect;
use serde_json::{Value, json};
use tidegate_domain::Name;
use tidegate_domain::deployment::order::Outcome;
use tidegate_domain::deployment::rollout::{Deployment, State};
use tidegate_testkit::{Answer, Api, Estate, Fleet, TestServer};

use crate::stage::name;

/// A controlled environment `prod` with two targets, and the people it takes.
pub struct Prod {
    pub server: TestServer,
    /// Writes changes and deploys.
    pub ada: Api,
    /// Authorises.
    cora: Api,
    /// Declares freezes, writes and rejects releases.
    pub rhea: Api,
    pub targets: Vec<Name>,
}

impl Prod {
    async fn set(folder: &std::path::Path, described: Value) -> Prod {
        let server = TestServer::at_rest(folder).await;
        let estate = Estate::define_as(&server.admin, "prod", 2, described).await;
        estate.bring("1.0").await;
        estate.bring("1.1").await;
        let role = |role: &str| json!([{"role": role, "scope": "all"}]);
        let ada = server.person("ada", role("developer")).await;
        let cora = server.person("cora", role("change_authority")).await;
        let rhea = server.person("rhea", role("release_manager")).await;
        Prod { server, ada, cora, rhea, targets: vec![name("p-01"), name("p-02")] }
    }

    pub async fn enrolled(folder: &std::path::Path, described: Value) -> Prod {
        let prod = Prod::set(folder, described).await;
        Fleet::enrol(&prod.server.admin, &prod.targets).await;
        prod
    }

    pub fn fleet(&self) -> Fleet {
        Fleet::new(self.targets.clone(), |_| Outcome::Healthy)
    }

    pub async fn plan(&self, version: &str, more: Value) -> String {
        let mut plan = json!({"application": "shop", "environment": "prod", "versions": {"shop": version}});
        for (field, value) in more.as_object().expect("fields") {
            plan[field] = value.clone();
        }
        let planned = self.ada.post("/deployments", &plan).await.good();
        planned["deployment"]["id"].as_str().expect("an id").to_owned()
    }

    pub async fn start(&self, id: &str) -> Answer {
        self.ada.post(&format!("/deployments/{id}/start"), &json!({})).await
    }

    async fn write(&self, class: &str, environments: Value) -> String {
        let content = json!({"title": "x", "class": class, "application": "shop", "environments": environments});
        thing(&self.ada.post("/changes", &json!({"content": content})).await.good())
    }

    /// A change for a deployment that somebody else has authorised.
    async fn authorise(&self, deployment: &str) -> String {
        let change = self.write("normal", json!(["prod"])).await;
        self.ada.post(&format!("/deployments/{deployment}/change"), &json!({"change": change})).await.good();
        self.vote(&change).await;
        change
    }

    pub async fn vote(&self, change: &str) {
        self.ada.post(&format!("/changes/{change}/submit"), &json!({})).await.good();
        let digest = digest(&self.cora, change).await;
        self.cora.post(&format!("/changes/{change}/vote"), &json!({"choice": "approve", "digest": digest})).await.good();
    }

    async fn freeze(&self, strictness: &str, (from_ms, until_ms): (i64, i64)) -> String {
        let now_ms = self.server.now_ms();
        let freeze = json!({"name": "rest", "reason": "holidays", "environments": ["prod"], "strictness": strictness,
            "from_ms": now_ms + from_ms, "until_ms": now_ms + until_ms});
        thing(&self.rhea.post("/freezes", &freeze).await.good())
    }

    async fn lift(&self, freeze: &str) {
        self.rhea.post(&format!("/freezes/{freeze}/lift"), &json!({"reason": "over"})).await.good();
    }

    pub async fn until(&self, fleet: &mut Fleet, id: &str, done: impl Fn(&Deployment) -> bool) -> Deployment {
        fleet.until(&self.server.running.app, id, done).await
    }

    pub async fn end(self) {
        let verified = self.server.running.app.store.verify().await.expect("a walk");
        assert!(verified.broken.is_none(), "{verified:?}");
        self.server.running.stop().await;
    }
}

pub fn thing(stored: &Value) -> String {
    stored["value"]["id"].as_str().expect("an id").to_owned()
}

/// What a vote has to name; only the domain computes it, as a page would.
async fn digest(api: &Api, change: &str) -> String {
    let change = api.get(&format!("/changes/{change}")).await.good();
    let content = serde_json::from_value::<tidegate_domain::change::Content>(change["value"]["content"].clone());
    content.expect("a content").digest().as_str().to_owned()
}

/// The reasons of a refused start, each with its kind.
#[track_caller]
pub fn reasons(answer: &Answer) -> String {
    assert!(answer.problem().starts_with("409 not_admitted"), "{}", answer.problem());
    let all = answer.body["reasons"].as_array().expect("reasons");
    let line = |reason: &Value| {
        assert!(reason["remedy"].as_str().is_some_and(|it| !it.is_empty()) && reason["text"].is_string(), "{reason}");
        format!("{} ({})", reason["code"].as_str().expect("a code"), reason["kind"].as_str().expect("a kind"))
    };
    all.iter().map(line).collect::<Vec<_>>().join(", ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reason_of_a_change_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let prod = Prod::set(folder.path(), json!({"tier": "production", "controlled": true})).await;
    let mut told = String::new();
    let mut tell = |what: &str, answer: &Answer| told.push_str(&format!("{what}: {}\n", reasons(answer)));
    let id = prod.plan("1.0", json!({})).await;
    tell("no agent, no change", &prod.start(&id).await);
    Fleet::enrol(&prod.server.admin, &prod.targets).await;
    tell("no change", &prod.start(&id).await);
    let lab = json!({"definitions": [{"environment": {"name": "lab", "tier": "test"}}]});
    prod.server.admin.post("/definitions", &lab).await.good();
    let attach = async |change: &str| {
        let path = format!("/deployments/{id}/change");
        prod.ada.post(&path, &json!({"change": change})).await.good()
    };
    attach(&prod.write("normal", json!(["lab"])).await).await;
    tell("a change elsewhere", &prod.start(&id).await);
    let standard = prod.write("standard", json!(["prod"])).await;
    prod.ada.post(&format!("/changes/{standard}/submit"), &json!({})).await.good();
    attach(&standard).await;
    tell("a standard change", &prod.start(&id).await);
    let change = prod.write("normal", json!(["prod"])).await;
    attach(&change).await;
    tell("a draft", &prod.start(&id).await);
    prod.vote(&change).await;
    prod.ada.post(&format!("/changes/{change}/hold"), &json!({"reason": "wait"})).await.good();
    tell("on hold", &prod.start(&id).await);
    prod.ada.post(&format!("/changes/{change}/unhold"), &json!({})).await.good();
    let mut content = prod.ada.get(&format!("/changes/{change}")).await.good()["value"]["content"].clone();
    content["plans"] = json!({});
    let edit = prod.ada.request(reqwest::Method::PUT, &format!("/changes/{change}")).json(&content);
    prod.ada.send(edit).await.good();
    tell("edited after the vote", &prod.start(&id).await);
    let digest = digest(&prod.cora, &change).await;
    prod.cora.post(&format!("/changes/{change}/vote"), &json!({"choice": "approve", "digest": digest})).await.good();
    tell("authorised without the plan", &prod.start(&id).await);
    expect![[r#"
        no agent, no change: change_missing (authorisation), agent_missing (obstacle)
        no change: change_missing (authorisation)
        a change elsewhere: change_elsewhere (authorisation), change_unauthorised (authorisation), plan_unapproved (authorisation)
        a standard change: standard_not_enough (authorisation)
        a draft: change_unauthorised (authorisation)
        on hold: change_on_hold (authorisation)
        edited after the vote: change_unauthorised (authorisation), plan_unapproved (authorisation)
        authorised without the plan: plan_unapproved (authorisation)
    "#]]
    .assert_eq(&told);
    prod.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_other_reason_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let prod = Prod::enrolled(folder.path(), json!({"tier": "test"})).await;
    let mut told = String::new();
    let mut tell = |what: &str, answer: &Answer| told.push_str(&format!("{what}: {}\n", reasons(answer)));
    let first = prod.plan("1.0", json!({})).await;
    let stale = prod.plan("1.1", json!({})).await;
    let release = json!({"application": "shop", "version": "1.1", "title": "x", "versions": {"shop": "1.1"}});
    let release = thing(&prod.rhea.post("/releases", &release).await.good());
    // `stale` names the versions of that release without naming it: no way around its rejection.
    let rejected = prod.plan("1.1", json!({"release": release, "versions": {}})).await;
    prod.rhea.post(&format!("/releases/{release}/reject"), &json!({"reason": "bad"})).await.good();
    tell("a rejected release", &prod.start(&rejected).await);
    let again = json!({"application": "shop", "environment": "prod", "release": release});
    assert_eq!(prod.ada.post("/deployments", &again).await.refused(), "409 state_forbids");
    let freeze = prod.freeze("hard", (0, 3_600_000)).await;
    tell("a freeze", &prod.start(&first).await);
    prod.lift(&freeze).await;
    let later = prod.freeze("soft", (1_000, 3_600_000)).await;
    tell("a freeze that begins before the planned end", &prod.start(&first).await);
    prod.lift(&later).await;
    prod.start(&first).await.good();
    let mut fleet = prod.fleet();
    prod.until(&mut Fleet::new(Vec::new(), |_| Outcome::Healthy), &first, |it| it.state == State::Running).await;
    tell("another one at work", &prod.start(&stale).await);
    prod.until(&mut fleet, &first, |it| it.state == State::Succeeded).await;
    tell("targets that have changed", &prod.start(&stale).await);
    expect![[r#"
        a rejected release: release_rejected (never)
        a freeze: freeze (obstacle)
        a freeze that begins before the planned end: freeze (obstacle)
        another one at work: release_rejected (never), slot_taken (obstacle)
        targets that have changed: release_rejected (never), plan_stale (never)
    "#]]
    .assert_eq(&told);
    prod.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_approves_their_own_and_a_vote_falls_with_the_content() {
    let folder = tempfile::tempdir().expect("a folder");
    let prod = Prod::enrolled(folder.path(), json!({"tier": "production", "controlled": true})).await;
    let both = json!([{"role": "change_authority", "scope": "all"}, {"role": "developer", "scope": "all"}]);
    let vera = prod.server.person("vera", both).await;
    let content = json!({"title": "x", "class": "normal", "application": "shop", "environments": ["prod"]});
    let change = thing(&vera.post("/changes", &json!({"content": content})).await.good());
    vera.post(&format!("/changes/{change}/submit"), &json!({})).await.good();
    let vote = async |api: &Api, digest: String| {
        api.post(&format!("/changes/{change}/vote"), &json!({"choice": "approve", "digest": digest})).await
    };
    assert_eq!(vote(&vera, digest(&vera, &change).await).await.refused(), "403 author_approves");
    assert_eq!(vote(&prod.ada, digest(&vera, &change).await).await.refused(), "403 permission_denied");
    let seen = digest(&vera, &change).await;
    let id = prod.plan("1.0", json!({"change": change})).await;
    assert_eq!(vote(&prod.cora, seen).await.refused(), "409 approval_stale");
    // Whoever bound it to their plan wrote some of it.
    let promoted = json!([{"role": "change_authority", "scope": "all"}, {"role": "developer", "scope": "all"}]);
    let ada = prod.server.person("ada", promoted).await;
    assert_eq!(vote(&ada, digest(&vera, &change).await).await.refused(), "403 author_approves");
    vote(&prod.cora, digest(&vera, &change).await).await.good();
    prod.start(&id).await.good();
    prod.until(&mut prod.fleet(), &id, |it| it.state == State::Succeeded).await;
    prod.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exception_lets_one_deployment_through_and_is_nobodys_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let prod = Prod::enrolled(folder.path(), json!({"tier": "production", "controlled": true})).await;
    let (id, other) = (prod.plan("1.0", json!({})).await, prod.plan("1.1", json!({})).await);
    prod.authorise(&id).await;
    prod.authorise(&other).await;
    let freeze = prod.freeze("hard", (0, 3_600_000)).await;
    let ask = json!({"deployment": id, "reason": "it cannot wait"});
    let rule = async |api: &Api, asked: &Value, ruling: Value| {
        let exception = asked["value"]["exceptions"].as_array().expect("exceptions").last().expect("one")["id"].clone();
        api.post(&format!("/freezes/{freeze}/exceptions/{}/rule", exception.as_str().expect("an id")), &ruling).await
    };
    let own = prod.rhea.post(&format!("/freezes/{freeze}/exceptions"), &ask).await.good();
    assert_eq!(rule(&prod.rhea, &own, json!({"choice": "approve"})).await.refused(), "403 author_approves");
    rule(&prod.cora, &own, json!({"choice": "reject", "reason": "it can wait"})).await.good();
    assert_eq!(reasons(&prod.start(&id).await), "freeze (obstacle)");
    let asked = prod.ada.post(&format!("/freezes/{freeze}/exceptions"), &ask).await.good();
    assert_eq!(rule(&prod.ada, &asked, json!({"choice": "approve"})).await.refused(), "403 permission_denied");
    let late = json!({"choice": "approve", "until_ms": prod.server.now_ms() + 7_200_000});
    assert_eq!(rule(&prod.cora, &asked, late).await.refused(), "400 out_of_range");
    rule(&prod.cora, &asked, json!({"choice": "approve"})).await.good();
    assert_eq!(rule(&prod.cora, &asked, json!({"choice": "approve"})).await.refused(), "409 state_forbids");
    assert_eq!(reasons(&prod.start(&other).await), "freeze (obstacle)", "an exception is for one deployment");
    prod.start(&id).await.good();
    prod.until(&mut prod.fleet(), &id, |it| it.state == State::Succeeded).await;
    prod.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_starts_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let prod = Prod::enrolled(folder.path(), json!({"tier": "test"})).await;
    let freeze = prod.freeze("hard", (0, 3_600_000)).await;
    let id = prod.plan("1.0", json!({})).await;
    let mut fleet = prod.fleet();
    let wait = json!({"otherwise": "wait"});
    let queued = prod.ada.post(&format!("/deployments/{id}/start"), &wait).await.good();
    assert_eq!(queued["reasons"][0]["code"], "freeze", "{queued}");
    prod.until(&mut fleet, &id, |it| it.state == State::Queued).await;
    prod.lift(&freeze).await;
    prod.until(&mut fleet, &id, |it| it.state == State::Succeeded).await;
    // By the clock: not before its time, and then without anybody.
    let id = prod.plan("1.1", json!({})).await;
    let at_ms = prod.server.now_ms() + 60_000;
    prod.ada.post(&format!("/deployments/{id}/start"), &json!({"not_before_ms": at_ms})).await.good();
    prod.until(&mut fleet, &id, |it| it.state == State::Scheduled && it.waiting.is_some()).await;
    prod.server.pass_ms(59_999);
    prod.until(&mut fleet, &id, |it| it.state == State::Scheduled).await;
    prod.server.pass_ms(1);
    prod.until(&mut fleet, &id, |it| it.state == State::Succeeded).await;
    // By the end of another one.
    let (one, two) = (prod.plan("1.0", json!({})).await, prod.plan("1.0", json!({})).await);
    prod.start(&one).await.good();
    prod.until(&mut Fleet::new(Vec::new(), |_| Outcome::Healthy), &one, |it| it.state == State::Running).await;
    prod.ada.post(&format!("/deployments/{two}/start"), &wait).await.good();
    prod.ada.post(&format!("/deployments/{one}/stop"), &json!({"reason": "make room"})).await.good();
    prod.until(&mut fleet, &one, |it| it.state.is_terminal()).await;
    // Nothing was installed by the one that was stopped in time, or the plan is stale: either is said.
    let end = prod.until(&mut fleet, &two, |it| it.state != State::Queued || it.waiting.is_some()).await;
    assert!(end.state != State::Planned, "{end:?}");
    prod.end().await;
}

fn one_by_one() -> Value {
    json!({"strategy": {"inline": {"cut": {"rolling": {"batches": [1]}}}}})
}

/// A deployment of two waves, held by a freeze that began in its first.
async fn held(prod: &Prod, fleet: &mut Fleet) -> (String, String) {
    let first = prod.plan("1.0", json!({})).await;
    prod.start(&first).await.good();
    prod.until(fleet, &first, |it| it.state == State::Succeeded).await;
    let id = prod.plan("1.1", one_by_one()).await;
    prod.start(&id).await.good();
    // An order is out: a freeze that comes before the first order holds the first wave too.
    prod.until(&mut Fleet::new(Vec::new(), |_| Outcome::Healthy), &id, |it| it.in_flight() > 0).await;
    let freeze = prod.freeze("hard", (0, 3_600_000)).await;
    let now = prod.until(fleet, &id, |it| it.state == State::Paused).await;
    let pause = now.pause.as_ref().expect("a pause");
    assert!(pause.freeze.is_some(), "{pause:?}");
    let page = prod.ada.get(&format!("/deployments/{id}")).await.good();
    let states: Vec<&str> = page["targets"].as_array().expect("targets").iter().filter_map(|it| it["state"].as_str()).collect();
    assert_eq!(states, ["healthy", "pending"], "the wave in flight is finished, the next one is not begun");
    assert!(page["sentence"].as_str().expect("a sentence").contains("freeze"), "{}", page["sentence"]);
    (id, freeze)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_freeze_holds_between_waves_and_lets_go_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let prod = Prod::enrolled(folder.path(), json!({"tier": "test"})).await;
    let mut fleet = prod.fleet();
    let (id, freeze) = held(&prod, &mut fleet).await;
    let resumed = prod.ada.post(&format!("/deployments/{id}/resume"), &json!({})).await;
    assert_eq!(resumed.refused(), "409 state_forbids", "a person does not end a freeze by resuming");
    prod.lift(&freeze).await;
    prod.until(&mut fleet, &id, |it| it.state == State::Succeeded).await;
    prod.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_freeze_ends_by_the_clock() {
    let folder = tempfile::tempdir().expect("a folder");
    let prod = Prod::enrolled(folder.path(), json!({"tier": "test"})).await;
    let mut fleet = prod.fleet();
    let (id, _) = held(&prod, &mut fleet).await;
    prod.server.pass_ms(3_600_000);
    prod.until(&mut fleet, &id, |it| it.state == State::Succeeded).await;
    prod.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_works_during_a_freeze() {
    let folder = tempfile::tempdir().expect("a folder");
    let prod = Prod::enrolled(folder.path(), json!({"tier": "test"})).await;
    let mut fleet = prod.fleet();
    let (id, _) = held(&prod, &mut fleet).await;
    prod.ada.post(&format!("/deployments/{id}/stop"), &json!({"reason": "enough"})).await.good();
    prod.until(&mut fleet, &id, |it| it.state == State::Cancelled).await;
    prod.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn falling_back_works_during_a_freeze() {
    let folder = tempfile::tempdir().expect("a folder");
    let prod = Prod::enrolled(folder.path(), json!({"tier": "test"})).await;
    let mut fleet = prod.fleet();
    let (id, _) = held(&prod, &mut fleet).await;
    prod.ada.post(&format!("/deployments/{id}/fall-back"), &json!({"reason": "it is bad"})).await.good();
    prod.until(&mut fleet, &id, |it| it.state == State::FellBack).await;
    let target = prod.ada.get("/targets/p-01").await.good();
    assert_eq!(target["state"]["attested"]["shop"]["version"], "1.0", "{target}");
    prod.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn today_shows_what_ended_badly_until_something_is_verified_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let prod = Prod::enrolled(folder.path(), json!({"tier": "test"})).await;
    let today = async || {
        let mut browser = crate::browser::Browser::new(&prod.server);
        browser.sign_in_as(&prod.server.running, "ada").await;
        browser.get("/").await.text
    };
    let bad = prod.plan("1.1", json!({})).await;
    prod.start(&bad).await.good();
    // Nothing was verified here before, so that there is no way back.
    let mut failing = Fleet::new(prod.targets.clone(), |_| Outcome::Failed);
    let end = prod.until(&mut failing, &bad, |it| it.state.is_terminal()).await;
    assert_eq!(end.state, State::Failed);
    let page = today().await;
    assert!(page.contains("Mend") && page.contains("nothing was verified there since"), "{page}");
    let good = prod.plan("1.0", json!({})).await;
    prod.server.pass_ms(1_000);
    prod.start(&good).await.good();
    prod.until(&mut prod.fleet(), &good, |it| it.state == State::Succeeded).await;
    let page = today().await;
    assert!(!page.contains("Mend") && page.contains("Nothing waits for you"), "{page}");
    prod.end().await;
}
