//! The wire contract of agents, spoken well and badly.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tidegate_api::agent as wire;
use tidegate_domain::Name;
use tidegate_domain::deployment::order::{Order, Outcome};
use tidegate_testkit::{Api, Estate, Fleet, TestServer, WireAgent, is_signed};

use crate::stage::name;

async fn enrolled(api: &Api, target: &str, key: u8) -> (WireAgent, String) {
    let made = api.post(&format!("/targets/{target}/enrolment"), &json!({})).await.good();
    let mut agent = WireAgent::new(&api.base, &name(target), key);
    let enrolled = agent.enrol(made["token"].as_str().expect("a token")).await.good();
    agent.begin().await;
    (agent, enrolled["server_key"].as_str().expect("a key").to_owned())
}

fn report(order: &Order, outcome: Outcome) -> Value {
    let attested = |it: &tidegate_domain::deployment::order::Installation| {
        (it.component.to_string(), json!({"version": it.version, "digest": it.artifact.digest, "complete": true}))
    };
    let attested: serde_json::Map<String, Value> = order.installations.iter().map(attested).collect();
    let attested = if outcome.is_final() { Value::Object(attested) } else { json!({}) };
    json!({"attempt": order.attempt, "generation": order.generation, "outcome": outcome, "steps": [], "attested": attested, "detail": null})
}

#[tokio::test]
async fn an_enrolment_token_makes_one_agent() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::at_rest(folder.path()).await;
    Estate::define(&server.admin, 2).await;
    let made = server.admin.post("/targets/t-01/enrolment", &json!({})).await.good();
    let token = made["token"].as_str().expect("a token");
    let agent = WireAgent::new(&server.admin.base, &name("t-01"), 1);
    let before = server.admin.events().await;
    for bad in ["", "rubbish", "AAAA", &"A".repeat(44), &"/".repeat(43)] {
        let refused = agent.post(wire::ENROL, &json!({"token": token, "agent_key": bad})).await;
        assert_eq!(refused.refused(), "400 malformed", "{bad}");
    }
    assert_eq!(agent.enrol("rubbish").await.refused(), "401 not_signed_in");
    assert_eq!(agent.enrol(&server.admin.token).await.refused(), "401 not_signed_in", "a token of another kind");
    assert_eq!(server.admin.events().await, before, "a bad key used the token up");
    let answers = futures_util::future::join_all((0..4).map(|_| agent.enrol(token))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status.is_success()).count(), 1);
    assert_eq!(agent.enrol(token).await.refused(), "401 not_signed_in");
    let late = server.admin.post("/targets/t-02/enrolment", &json!({})).await.good();
    server.pass_ms(24 * 3_600_000);
    let agent = WireAgent::new(&server.admin.base, &name("t-02"), 2);
    assert_eq!(agent.enrol(late["token"].as_str().expect("a token")).await.refused(), "401 not_signed_in");
    server.running.stop().await;
}

#[tokio::test]
async fn a_session_needs_the_key_and_a_fresh_challenge() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::at_rest(folder.path()).await;
    Estate::define(&server.admin, 2).await;
    let (one, _) = enrolled(&server.admin, "t-01", 1).await;
    let (two, _) = enrolled(&server.admin, "t-02", 2).await;
    let stranger = WireAgent::new(&server.admin.base, &name("t-01"), 9);
    let challenge = stranger.challenge().await;
    assert_eq!(stranger.answer_challenge(&challenge).await.refused(), "401 not_signed_in", "another key");
    one.answer_challenge(&challenge).await.good();
    assert_eq!(one.answer_challenge(&challenge).await.refused(), "401 not_signed_in", "a challenge is good once");
    let (earlier, later) = (one.challenge().await, one.challenge().await);
    one.answer_challenge(&later).await.good();
    assert_eq!(one.answer_challenge(&earlier).await.refused(), "401 not_signed_in", "one from before the last that was answered");
    let of_one = one.challenge().await;
    assert_eq!(two.answer_challenge(&of_one).await.refused(), "401 not_signed_in", "a challenge of another target");
    let late = one.challenge().await;
    server.pass_ms(60_000);
    assert_eq!(one.answer_challenge(&late).await.refused(), "401 not_signed_in", "a late answer");
    let good = one.challenge().await;
    for tampered in tampered(&good) {
        assert_eq!(one.answer_challenge(&tampered).await.refused(), "401 not_signed_in", "{tampered}");
    }
    one.answer_challenge(&good).await.good();
    assert_eq!(one.answer_challenge(&good).await.refused(), "401 not_signed_in", "a replayed one");
    let unknown = WireAgent::new(&server.admin.base, &name("t-99"), 1);
    let challenge = unknown.challenge().await;
    assert_eq!(unknown.answer_challenge(&challenge).await.refused(), "401 not_signed_in", "no such target");
    server.running.stop().await;
}

/// A challenge with each of its bytes changed, without its end, with more at its end, and things that are none.
fn tampered(challenge: &str) -> Vec<String> {
    let bytes = BASE64.decode(challenge).expect("standard base64");
    let changed = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        BASE64.encode(bytes)
    };
    let mut all: Vec<String> = (0..bytes.len()).map(changed).collect();
    all.extend([&bytes[..bytes.len() - 1], &bytes[..16], &bytes[..3], &[]].map(|some| BASE64.encode(some)));
    all.extend([BASE64.encode([bytes.as_slice(), b"x"].concat()), format!("{challenge}="), "not base64".to_owned()]);
    all
}

/// More than any table of challenges would hold.
const HELLOS: usize = 60_000;

#[tokio::test]
async fn sixty_thousand_hellos_of_nobody_keep_no_agent_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::at_rest(folder.path()).await;
    Estate::define(&server.admin, 2).await;
    let (one, _) = enrolled(&server.admin, "t-01", 1).await;
    let early = one.challenge().await;
    let targets = [name("t-01"), name("t-02"), name("nobody")];
    // What the door does, without the minute that so many requests take.
    for target in targets.iter().cycle().take(HELLOS) {
        assert!(!server.running.app.sessions.challenge(target, server.now_ms()).is_empty());
    }
    let late = one.challenge().await;
    one.answer_challenge(&early).await.good();
    one.answer_challenge(&late).await.good();
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_goes_its_way_and_nobody_else_can_meddle() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::start(folder.path()).await;
    let estate = Estate::define(&server.admin, 2).await;
    let (one, key) = enrolled(&server.admin, "t-01", 1).await;
    let (two, _) = enrolled(&server.admin, "t-02", 2).await;
    let artifact = estate.bring("1.0").await;
    let digest = artifact["value"]["digest"].as_str().expect("a digest").to_owned();
    assert_eq!(one.fetch(&digest).await.refused(), "422 digest_unlisted", "before it is ordered");
    // Both poll before there is anything; the order has to wake them.
    let (polled, id) = tokio::join!(one.poll(&key, &[], 30), async {
        let id = estate.deploy("1.0", json!({})).await;
        (id, Instant::now())
    });
    assert!(id.1.elapsed() < Duration::from_secs(1), "the order took {:?}", id.1.elapsed());
    let order = polled.orders.into_iter().next().expect("an order");
    assert_eq!(order.target.as_str(), "t-01");
    assert_eq!(one.fetch(&digest).await.status.as_u16(), 200);
    assert_eq!(one.fetch(&format!("sha256:{}", "0".repeat(64))).await.refused(), "422 digest_unlisted");
    assert_eq!(one.fetch("../../server.key").await.status.as_u16(), 404);
    assert_eq!(one.fetch("nonsense").await.refused(), "400 digest_invalid");
    // An order that is known is not told again, and stays signed over the question.
    let asked = one.ask("ffeeddccbbaa99887766554433221100", &[], 0).await.good();
    let (message, signature) = (asked["message"].as_str().expect("text"), asked["signature"].as_str().expect("text"));
    assert!(is_signed(&key, message, signature) && message.contains("ffeeddccbbaa99887766554433221100"));
    assert!(!is_signed(&key, &message.replace("t-01", "t-02"), signature));
    assert!(one.poll(&key, &[&order.attempt], 0).await.orders.is_empty());
    meddle(&server, (&one, &two), &order).await;
    for outcome in [Outcome::InProgress, Outcome::Healthy, Outcome::Healthy] {
        assert_eq!(one.post(wire::REPORT, &report(&order, outcome)).await.status.as_u16(), 204);
    }
    let settled = one.poll(&key, &[&order.attempt], 30).await;
    assert_eq!((settled.settled, settled.cancel), (vec![order.attempt.clone()], vec![]));
    // The other one is told to end when a person stops the deployment.
    let other = two.poll(&key, &[], 30).await.orders.remove(0);
    let known = [other.attempt.as_str()];
    let (cancelled, _) = tokio::join!(two.poll(&key, &known, 30), async {
        server.admin.post(&format!("/deployments/{}/stop", id.0), &json!({"reason": "enough"})).await.good()
    });
    assert_eq!(cancelled.cancel, known);
    assert_eq!(two.post(wire::REPORT, &report(&other, Outcome::Cancelled)).await.status.as_u16(), 204);
    server.running.stop().await;
}

/// Everything that an agent must not be able to do to another, or to the server.
async fn meddle(server: &TestServer, (one, two): (&WireAgent, &WireAgent), order: &Order) {
    let before = server.admin.events().await;
    let good = report(order, Outcome::Healthy);
    assert_eq!(two.post(wire::REPORT, &good).await.refused(), "409 wrong_host");
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    let cases = [
        with("attempt", json!("nonsense")),
        with("attempt", json!("DEP-none:t-01:1")),
        with("attempt", json!(format!("{}:t-01:99", order.deployment))),
        with("attempt", json!(format!("{}:t-01:1:1", order.deployment))),
        with("generation", json!(-1)),
        with("outcome", json!("perfect")),
        json!([]),
    ];
    for case in cases {
        let answer = one.post(wire::REPORT, &case).await;
        assert!(answer.status.is_client_error(), "{case}: {} {}", answer.status, answer.body);
        answer.problem();
    }
    // A report of an older generation is no news.
    assert_eq!(one.post(wire::REPORT, &with("generation", json!(0))).await.status.as_u16(), 204);
    let chunk = |attempt: &str, text: &str| json!({"chunks": [{"attempt": attempt, "number": 0, "at_ms": 0, "text": text}]});
    assert_eq!(one.post(wire::LOG, &chunk(&order.attempt, "hello")).await.status.as_u16(), 204);
    assert_eq!(two.post(wire::LOG, &chunk(&order.attempt, "mine")).await.refused(), "409 wrong_host");
    assert_eq!(one.post(wire::LOG, &chunk("DEP-none:t-01:1", "x")).await.refused(), "404 not_found");
    assert_eq!(one.post(wire::LOG, &chunk(&order.attempt, &"x".repeat(17_000))).await.refused(), "413 too_large");
    let large = "x".repeat(3 << 20);
    assert_eq!(one.post(wire::LOG, &chunk(&order.attempt, &large)).await.refused(), "413 too_large");
    let nobody = WireAgent::new(&server.admin.base, &name("t-01"), 1);
    for path in [wire::POLL, wire::REPORT, wire::LOG] {
        assert_eq!(nobody.post(path, &json!({})).await.refused(), "401 not_signed_in", "{path}");
    }
    let states = server.admin.get(&format!("/deployments/{}", order.deployment)).await.good();
    assert_eq!(states["targets"][0]["state"], "ordered", "{}", states["targets"][0]);
    let attested = server.admin.get("/targets/t-01").await.good();
    assert!(server.admin.events().await <= before + 1, "{attested}");
}

/// A step as reported, with some fields changed.
fn step(index: u64, name: &str, more: Value) -> Value {
    let mut step = json!({"index": index, "component": "shop", "name": name, "state": "succeeded", "exit_code": null,
        "took_ms": 1, "detail": null});
    for (field, value) in more.as_object().expect("fields") {
        step[field] = value.clone();
    }
    step
}

/// Reports that say more than the order of the two steps `unpack` and `switch` can lead to, and what each is refused with.
fn hostile() -> Vec<(&'static str, Value, &'static str)> {
    let attests = |count: usize| {
        let one =
            |number| (format!("c-{number}"), json!({"version": "1", "digest": format!("sha256:{:064}", 1), "complete": true}));
        (0..count).map(one).collect::<serde_json::Map<_, _>>()
    };
    let (unpack, switch) = (|| step(0, "unpack", json!({})), || step(1, "switch", json!({})));
    let long = "x".repeat(4_001);
    vec![
        ("steps", json!(vec![unpack(); 5_000]), "413 too_large"),
        ("steps", json!([unpack(), unpack()]), "400 out_of_range"),
        ("steps", json!([switch(), unpack()]), "400 out_of_range"),
        ("steps", json!([unpack(), step(2, "switch", json!({}))]), "400 out_of_range"),
        ("steps", json!([step(u64::MAX, "unpack", json!({}))]), "400 out_of_range"),
        ("steps", json!([step(0, &long, json!({}))]), "400 out_of_range"),
        ("steps", json!([step(0, "unpack", json!({"component": "other"}))]), "400 out_of_range"),
        ("steps", json!([step(0, "unpack", json!({"detail": long}))]), "413 too_large"),
        ("detail", json!(long), "413 too_large"),
        ("attested", Value::Object(attests(5 * tidegate_domain::limits::COMPONENTS_MAX + 1)), "413 too_large"),
        (
            "attested",
            json!({"shop": {"version": "1".repeat(65), "digest": format!("sha256:{:064}", 1), "complete": true}}),
            "400 version_invalid",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_says_no_more_than_its_order_can_lead_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::start(folder.path()).await;
    let estate = Estate::define(&server.admin, 1).await;
    let (one, key) = enrolled(&server.admin, "t-01", 1).await;
    estate.bring("1.0").await;
    let id = estate.deploy("1.0", json!({})).await;
    let order = one.poll(&key, &[], 30).await.orders.remove(0);
    let before = server.admin.events().await;
    for (number, (field, value, refused)) in hostile().into_iter().enumerate() {
        let mut body = report(&order, Outcome::Failed);
        body[field] = value;
        assert_eq!(one.post(wire::REPORT, &body).await.refused(), refused, "case {number}: {field}");
    }
    assert_eq!(server.admin.events().await, before);
    let mut good = report(&order, Outcome::Healthy);
    // As an agent that has another application's components, and was told to begin at the second step.
    good["attested"]["till"] = good["attested"]["shop"].clone();
    good["steps"] = json!([step(1, "switch", json!({"detail": "x".repeat(4_000)}))]);
    assert_eq!(one.post(wire::REPORT, &good).await.status.as_u16(), 204);
    let shown = server.admin.get(&format!("/deployments/{id}")).await.good();
    assert_eq!((&shown["targets"][0]["state"], &shown["targets"][0]["steps"][0]["name"]), (&json!("healthy"), &json!("switch")));
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_agent_ends_the_session_of_the_old_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::start(folder.path()).await;
    Estate::define(&server.admin, 1).await;
    let (old, _) = enrolled(&server.admin, "t-01", 1).await;
    let begun = Instant::now();
    let (held, (new, key)) = tokio::join!(old.ask("00", &[], 30), async {
        // A contact shows that the old one's poll is being held.
        while server.admin.get("/targets/t-01").await.good()["contact_at_ms"].is_null() {
            tokio::task::yield_now().await;
        }
        enrolled(&server.admin, "t-01", 2).await
    });
    assert_eq!(held.refused(), "401 not_signed_in");
    assert!(begun.elapsed() < Duration::from_secs(10), "the old poll was held on");
    assert_eq!(old.ask("00", &[], 0).await.refused(), "401 not_signed_in");
    let challenge = old.challenge().await;
    assert_eq!(old.answer_challenge(&challenge).await.refused(), "401 not_signed_in");
    assert!(new.poll(&key, &[], 0).await.orders.is_empty());
    server.running.stop().await;
}

const IDLE: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_a_thousand_idle_agents_and_an_order_still_comes_within_a_second() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::start(folder.path()).await;
    let estate = Estate::define(&server.admin, IDLE).await;
    let more = json!({"definitions": [{"environment": {"name": "solo", "tier": "test"}}, {"target": {"name": "solo-1", "environment": "solo"}}]});
    server.admin.post("/definitions", &more).await.good();
    let names: Vec<Name> = (1..=IDLE).map(|number| name(&format!("t-{number:02}"))).collect();
    Fleet::enrol(&server.admin, &names).await;
    let mut agents: Vec<WireAgent> = names.iter().map(|target| WireAgent::new(&server.admin.base, target, 7)).collect();
    for batch in agents.chunks_mut(50) {
        futures_util::future::join_all(batch.iter_mut().map(WireAgent::begin)).await;
    }
    let (solo, key) = enrolled(&server.admin, "solo-1", 1).await;
    estate.bring("1.0").await;
    let mut idle = tokio::task::JoinSet::new();
    for agent in agents {
        idle.spawn(async move { agent.ask("00", &[], 30).await.status });
    }
    let in_touch = async || {
        let mut count = 0;
        for target in &names {
            count += usize::from(server.running.app.sessions.presence(target).is_some());
        }
        count
    };
    while in_touch().await < IDLE {
        tokio::task::yield_now().await;
    }
    let plan = json!({"application": "shop", "environment": "solo", "versions": {"shop": "1.0"}});
    let planned = server.admin.post("/deployments", &plan).await.good();
    let path = format!("/deployments/{}/start", planned["deployment"]["id"].as_str().expect("an id"));
    let (answer, begun) = tokio::join!(solo.poll(&key, &[], 30), async {
        let begun = Instant::now();
        server.admin.post(&path, &json!({})).await.good();
        begun
    });
    let took = begun.elapsed();
    assert_eq!(answer.orders.len(), 1);
    assert!(took < Duration::from_secs(1), "the order took {took:?} with {IDLE} idle polls");
    println!("an order came after {took:?} with {IDLE} idle polls");
    // The idle ones were left alone.
    assert!(idle.try_join_next().is_none());
    idle.shutdown().await;
    server.running.stop().await;
}
