//! The server as a process: how it ends when it is told to, and what it says meanwhile.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tidegate_domain::Name;
use tidegate_domain::deployment::order::{Order, Outcome};
use tidegate_testkit::{Api, Estate, WireAgent};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::world::{run, tidegate};

/// Seconds within which a server ends that nobody holds up; it may take twenty if somebody does.
const END_SECONDS: u64 = 8;

/// A server's process and all that it has said.
struct Process {
    child: Child,
    base: String,
    said: Arc<Mutex<String>>,
    reading: JoinHandle<()>,
}

impl Process {
    async fn start(home: &Path, words: &[&str]) -> Process {
        let mut command = tidegate(home);
        command.args(["server", "--listen", "127.0.0.1:0", "--data", "data"]).args(words);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let (said, (told, address)) = (Arc::new(Mutex::new(String::new())), oneshot::channel());
        let mut lines = BufReader::new(child.stderr.take().expect("its words")).lines();
        let (all, mut told) = (said.clone(), Some(told));
        let reading = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(address) = line.strip_prefix("listening on ")
                    && let Some(told) = told.take()
                {
                    told.send(address.to_owned()).expect("somebody waits");
                }
                *all.lock().unwrap_or_else(PoisonError::into_inner) += &(line + "\n");
            }
        });
        let base = tokio::time::timeout(Duration::from_secs(30), address).await.expect("it starts").expect("it says where");
        Process { child, base, said, reading }
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(id as i32)).expect("it runs");
        kill_process(pid, signal).expect("it hears");
    }

    /// Waits for its end; its exit code, and all that it said.
    async fn ended(mut self) -> (Option<i32>, String) {
        let ended = tokio::time::timeout(Duration::from_secs(END_SECONDS), self.child.wait()).await;
        self.reading.await.expect("it reads to the end");
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (ended.unwrap_or_else(|_| panic!("it did not end: {said}")).expect("an end").code(), said)
    }
}

/// The administrator's API, by a token made beside the server.
async fn admin(home: &Path, process: &Process) -> Api {
    drop(rustls::crypto::ring::default_provider().install_default());
    let made = run(home, &["token", "create", "--person", "admin", "--label", "test", "--data", "data"]).await;
    assert_eq!(made.code, 0, "{}", made.all());
    Api::new(process.base.clone(), made.out.trim().to_owned())
}

fn target() -> Name {
    Name::parse("t-01").expect("a name")
}

async fn enrolled(api: &Api) -> WireAgent {
    let made = api.post("/targets/t-01/enrolment", &json!({})).await.good();
    let mut agent = WireAgent::new(&api.base, &target(), 7);
    agent.enrol(made["token"].as_str().expect("a token")).await.good();
    agent.begin().await;
    agent
}

fn poll(known: &[&str], wait_seconds: u32) -> Value {
    json!({"nonce": "n", "known": known, "wait_seconds": wait_seconds, "agent_version": "1"})
}

/// The first order that the agent is given.
async fn order(agent: &WireAgent) -> Order {
    loop {
        let signed = agent.post("/agent/v1/poll", &poll(&[], 5)).await.good();
        let answer: Value = serde_json::from_str(signed["message"].as_str().expect("a message")).expect("JSON");
        if let Some(order) = answer["orders"].get(0) {
            return serde_json::from_value(order.clone()).expect("an order");
        }
    }
}

async fn healthy(agent: &WireAgent, order: &Order) {
    let installed = order.installations.iter().map(|it| {
        let attested = json!({"version": it.version, "digest": it.artifact.digest, "complete": true});
        (it.component.to_string(), attested)
    });
    let attested: serde_json::Map<String, Value> = installed.collect();
    let report = json!({"attempt": order.attempt, "generation": order.generation, "outcome": Outcome::Healthy, "steps": [],
        "attested": attested, "detail": null});
    agent.post("/agent/v1/report", &report).await.good();
}

/// Writes changes until the server takes no more; the ids of those it has acknowledged.
async fn write(api: Api, writer: u32) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let content = json!({"title": format!("{writer}-{number}"), "class": "normal", "application": "shop",
            "environments": ["test"]});
        let request = api.request(reqwest::Method::POST, "/changes").json(&json!({ "content": content }));
        let Ok(answer) = request.send().await else { break };
        let good = answer.status().is_success();
        // An answer that breaks off has acknowledged nothing.
        let Ok(body) = answer.json::<Value>().await else { break };
        if !good {
            assert_eq!(body["code"], "overloaded", "{body}");
            break;
        }
        acknowledged.push(body["value"]["id"].as_str().expect("an id").to_owned());
    }
    acknowledged
}

/// Follows the history to the end of the stream; whether it was ended rather than cut off.
async fn follow(api: Api) -> bool {
    let mut answer = api.request(reqwest::Method::GET, "/stream").send().await.expect("an answer");
    loop {
        match answer.chunk().await {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// Asks until the server is not ready any more; whether it said so, before it took no more connections.
async fn unready(base: &str) -> bool {
    let client = reqwest::Client::new();
    loop {
        match client.get(format!("{base}/readyz")).send().await {
            Ok(answer) if answer.status().is_success() => tokio::time::sleep(Duration::from_millis(5)).await,
            Ok(answer) => return answer.status().as_u16() == 503 && answer.headers().contains_key("retry-after"),
            Err(_) => return false,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_a_server_that_is_told_to_end_keeps_what_it_has_acknowledged_and_goes_on_after_its_start() {
    let home = tempfile::tempdir().expect("a folder");
    let process = Process::start(home.path(), &[]).await;
    let api = admin(home.path(), &process).await;
    let estate = Estate::define(&api, 1).await;
    estate.bring("1.0").await;
    let agent = enrolled(&api).await;
    let deployment = estate.deploy("1.0", json!({})).await;
    let given = order(&agent).await;
    let before = api.events().await;
    let writers: Vec<_> = (0..4).map(|writer| tokio::spawn(write(api.clone(), writer))).collect();
    let (follower, attempt) = (tokio::spawn(follow(api.clone())), given.attempt.clone());
    let held = tokio::spawn(async move { agent.post("/agent/v1/poll", &poll(&[attempt.as_str()], 30)).await });
    while api.events().await < before + 20 {}
    process.signal(Signal::TERM);
    assert!(unready(&api.base).await, "it says that it is not ready before it goes");
    assert!(held.await.expect("it is answered").status.is_success(), "a held poll is answered");
    assert!(follower.await.expect("it ends"), "a stream is ended, not cut off");
    let (code, said) = process.ended().await;
    assert_eq!(code, Some(0), "{said}");
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.expect("a writer ends"));
    }
    assert!(acknowledged.len() >= 20, "{}", acknowledged.len());

    let process = Process::start(home.path(), &[]).await;
    let api = Api::new(process.base.clone(), api.token);
    for id in &acknowledged {
        api.get(&format!("/changes/{id}")).await.good();
    }
    api.events().await;
    let mut agent = WireAgent::new(&api.base, &target(), 7);
    agent.begin().await;
    let again = order(&agent).await;
    assert_eq!(again.attempt, given.attempt, "the same try, not a second one");
    healthy(&agent, &again).await;
    while api.get(&format!("/deployments/{deployment}")).await.good()["deployment"]["state"] != "succeeded" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    process.signal(Signal::INT);
    let (code, said) = process.ended().await;
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test]
async fn slow_a_request_that_never_ends_does_not_keep_a_server_that_is_told_twice() {
    let home = tempfile::tempdir().expect("a folder");
    let process = Process::start(home.path(), &["--linger-seconds", "60"]).await;
    process.signal(Signal::TERM);
    assert!(
        unready(&{
            drop(rustls::crypto::ring::default_provider().install_default());
            process.base.clone()
        })
        .await
    );
    process.signal(Signal::TERM);
    let (code, said) = process.ended().await;
    assert_eq!(code, Some(1), "{said}");
}

#[tokio::test]
async fn the_alert_rules_are_those_of_the_documentation() {
    let home = tempfile::tempdir().expect("a folder");
    let said = run(home.path(), &["alerts"]).await;
    assert_eq!((said.code, said.out.as_str()), (0, include_str!("../../../../docs/operate/alerts.yaml")));
}

/// Secrets by what they are.
type Secrets = Vec<(&'static str, String)>;

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

/// Everything with a token: good ones, ended ones, wrong ones, in headers, queries, paths and bodies.
async fn use_tokens(api: &Api, secrets: &mut Secrets) {
    secrets.push(("the administrator's token", api.token.clone()));
    let made = api.post("/tokens", &json!({"person": "admin", "label": "second", "valid_seconds": 3600})).await.good();
    let (id, secret) = (text(&made["id"]), text(&made["secret"]));
    api.with_token(&secret).get("/whoami").await.good();
    api.send(api.request(reqwest::Method::DELETE, &format!("/tokens/{id}"))).await.good();
    api.with_token(&secret).get("/whoami").await.refused();
    secrets.push(("a token that was ended", secret));
    let wrong = format!("{id}.a-secret-that-nobody-has");
    api.with_token(&wrong).get("/whoami").await.refused();
    secrets.push(("a wrong token", wrong));
    api.get("/changes?token=secret-in-a-query").await.refused();
    secrets.push(("a query", "secret-in-a-query".into()));
    api.get("/made-up/secret-in-a-path").await.refused();
    secrets.push(("a path", "secret-in-a-path".into()));
    api.post("/changes", &json!({"secret-in-a-body": 1})).await.refused();
    api.post("/changes", &json!({"content": {"title": "secret-in-a-title"}})).await.refused();
    secrets.push(("a body", "secret-in-a-body".into()));
    secrets.push(("a title", "secret-in-a-title".into()));
}

/// Signing in by a link, using a page and a form, and doing all of it wrong.
async fn sign_in(home: &Path, api: &Api, secrets: &mut Secrets) {
    let made = run(home, &["login-link", "admin", "--data", "data"]).await;
    let link = made.out.trim().rsplit_once("token=").expect("a link").1.to_owned();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let at = |path: &str| format!("{}{path}", api.base);
    let form = |body: String| client.post(at("/login")).header("content-type", "application/x-www-form-urlencoded").body(body);
    client.get(at(&format!("/login?token={link}"))).send().await.expect("an answer");
    form("token=a-link-that-nobody-has".into()).send().await.expect("an answer");
    let answer = form(format!("token={link}")).send().await.expect("an answer");
    let cookie = answer.headers()["set-cookie"].to_str().expect("text").split(';').next().expect("a cookie").to_owned();
    let page = client.get(at("/people")).header("cookie", &cookie).send().await.expect("an answer").text().await.expect("a page");
    let csrf = page.split_once("name=\"csrf\" value=\"").expect("a form").1.split('"').next().expect("a value").to_owned();
    let made = client
        .post(at("/tokens"))
        .header("cookie", &cookie)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("csrf={csrf}&label=of-a-page&days=1"));
    assert!(made.send().await.expect("an answer").status().is_success());
    client.get(at("/")).header("cookie", "tidegate_session=a-cookie-that-nobody-has").send().await.expect("an answer");
    secrets.push(("a sign-in link", link));
    secrets.push(("a wrong link", "a-link-that-nobody-has".into()));
    secrets.push(("a cookie", cookie.split_once('=').expect("a cookie").1.to_owned()));
    secrets.push(("a wrong cookie", "a-cookie-that-nobody-has".into()));
    secrets.push(("the proof of forms", csrf));
}

/// Enrolling an agent, its session, and both with what is wrong.
async fn enrol(api: &Api, secrets: &mut Secrets) {
    Estate::define(api, 1).await;
    let enrolment = text(&api.post("/targets/t-01/enrolment", &json!({})).await.good()["token"]);
    let agent = WireAgent::new(&api.base, &target(), 7);
    agent.enrol("an-enrolment-that-nobody-made").await.refused();
    agent.enrol(&enrolment).await.good();
    agent.enrol(&enrolment).await.refused();
    let challenge = agent.challenge().await;
    let session = text(&agent.answer_challenge(&challenge).await.good()["token"]);
    let call = |token: &str| agent.call("/agent/v1/poll", &poll(&[], 0)).bearer_auth(token);
    assert!(call(&session).send().await.expect("an answer").status().is_success());
    assert_eq!(call("a-session-that-nobody-has").send().await.expect("an answer").status().as_u16(), 401);
    secrets.push(("an enrolment token", enrolment));
    secrets.push(("a wrong enrolment token", "an-enrolment-that-nobody-made".into()));
    secrets.push(("an agent's session", session));
    secrets.push(("a wrong session", "a-session-that-nobody-has".into()));
    secrets.push(("a challenge", challenge));
}

async fn says_no_secret(words: &[&str], seen: &[&str]) {
    let home = tempfile::tempdir().expect("a folder");
    let process = Process::start(home.path(), words).await;
    let api = admin(home.path(), &process).await;
    let mut secrets = Secrets::new();
    use_tokens(&api, &mut secrets).await;
    sign_in(home.path(), &api, &mut secrets).await;
    enrol(&api, &mut secrets).await;
    process.signal(Signal::TERM);
    let (code, said) = process.ended().await;
    assert_eq!(code, Some(0), "{said}");
    for words in seen {
        assert!(said.contains(words), "{words} in\n{said}");
    }
    assert!(secrets.len() > 12 && secrets.iter().all(|(_, secret)| secret.len() > 10), "{secrets:?}");
    for (what, secret) in secrets {
        let line = said.lines().find(|line| line.contains(&secret));
        assert!(line.is_none(), "{what} stands in the log: {line:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_no_secret_stands_in_a_log_for_people() {
    let seen = [
        "method=\"GET\" route=\"/api/v1/whoami\" status=200",
        "actor=\"person:admin\"",
        "actor=\"nobody\" code=\"not_signed_in\"",
    ];
    says_no_secret(&["--log-level", "debug"], &seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_no_secret_stands_in_a_log_for_programs() {
    let seen = ["\"route\":\"/api/v1/whoami\",\"status\":200", "\"route\":\"/agent/v1/poll\"", "\"actor\":\"agent:t-01\""];
    says_no_secret(&["--log-format", "json", "--log-level", "trace"], &seen).await;
}
