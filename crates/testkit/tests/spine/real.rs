//! Real agents, killed in the middle of a step that must not run twice.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::json;
use tidegate_domain::deployment::order::Outcome;
use tidegate_domain::deployment::rollout::{Deployment, State};
use tidegate_domain::gate::WaitingOn;
use tidegate_testkit::{Fleet, TestServer};
use tokio::process::{Child, Command};

/// What the step does: says in two ways that it runs, and waits for a word.
const SCRIPT: &str = "#!/bin/sh\necho ran >> \"$1/ledger\"\necho started > \"$1/started\"\nread word < \"$1/go\"\n";

struct Host {
    folder: tempfile::TempDir,
    server: TestServer,
    token: String,
    child: Option<Child>,
}

impl Host {
    async fn new() -> Host {
        let folder = tempfile::tempdir().expect("a folder");
        let server = TestServer::start(&folder.path().join("data")).await;
        for pipe in ["started", "go"] {
            let made = Command::new("mkfifo").arg(folder.path().join(pipe)).status().await;
            assert!(made.expect("mkfifo is there").success());
        }
        let at = folder.path().to_str().expect("text");
        let steps = json!([{"name": "unpack", "do": "unpack"},
            {"name": "migrate", "do": {"script": {"run": "bin/run", "args": [at], "class": "once"}}}, {"name": "switch", "do": "switch"}]);
        let definitions = json!({"definitions": [{"application": {"name": "shop"}},
            {"component": {"name": "shop", "application": "shop", "steps": steps}},
            {"environment": {"name": "test", "tier": "test"}}, {"target": {"name": "host", "environment": "test"}}]});
        server.admin.post("/definitions", &definitions).await.good();
        let upload = server.admin.request(reqwest::Method::POST, "/artifacts?component=shop&version=1.0&format=tar_gz");
        server.admin.send(upload.body(tidegate_testkit::artifact(SCRIPT))).await.good();
        let made = server.admin.post("/targets/host/enrolment", &json!({})).await.good();
        let token = made["token"].as_str().expect("a token").to_owned();
        Host { folder, server, token, child: None }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn start_agent(&mut self) {
        let child = Command::new(env!("CARGO_BIN_EXE_tidegate-test-agent"))
            .arg(&self.server.admin.base)
            .arg(self.root())
            .arg(&self.token)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        self.child = Some(child.expect("the agent starts"));
    }

    async fn kill_agent(&mut self) {
        let mut child = self.child.take().expect("an agent");
        child.kill().await.expect("it is killed");
    }

    /// Plans and starts a deployment, once the agent is enrolled.
    async fn deploy(&self) -> String {
        let plan = json!({"application": "shop", "environment": "test", "versions": {"shop": "1.0"}});
        let planned = self.server.admin.post("/deployments", &plan).await.good();
        let id = planned["deployment"]["id"].as_str().expect("an id").to_owned();
        self.server.admin.post(&format!("/deployments/{id}/start"), &json!({"otherwise": "wait"})).await.good();
        id
    }

    /// Waits until the step says that it runs.
    async fn started(&self) {
        let pipe = self.folder.path().join("started");
        let word = tokio::task::spawn_blocking(move || std::fs::read_to_string(pipe)).await.expect("a reader");
        assert_eq!(word.expect("a word"), "started\n");
    }

    /// Lets the step end.
    async fn go(&self) {
        let pipe = self.folder.path().join("go");
        tokio::task::spawn_blocking(move || std::fs::write(pipe, "go\n")).await.expect("a writer").expect("it is read");
    }

    async fn until(&self, id: &str, done: impl Fn(&Deployment) -> bool) -> Deployment {
        Fleet::new(Vec::new(), |_| Outcome::Healthy).until(&self.server.running.app, id, done).await
    }

    fn ledger(&self) -> usize {
        std::fs::read_to_string(self.folder.path().join("ledger")).unwrap_or_default().lines().count()
    }

    async fn end(mut self) {
        self.kill_agent().await;
        self.server.running.stop().await;
    }
}

/// Processes that were started below a folder of ours, by its path on their command line.
fn below(folder: &Path) -> Vec<u32> {
    let at = folder.to_str().expect("text");
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if pid != std::process::id() && String::from_utf8_lossy(&line).contains(at) {
            found.push(pid);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_an_agent_that_is_killed_finds_its_step_again() {
    let mut host = Host::new().await;
    host.start_agent();
    let id = host.deploy().await;
    host.started().await;
    host.kill_agent().await;
    host.start_agent();
    host.go().await;
    let end = host.until(&id, |deployment| deployment.state.is_terminal()).await;
    assert_eq!((end.state, host.ledger()), (State::Succeeded, 1), "{:?}", end.decided_by);
    assert!(host.root().join("components/shop/current").exists());
    host.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_a_step_of_which_nothing_is_known_is_asked_about() {
    let mut host = Host::new().await;
    host.start_agent();
    let id = host.deploy().await;
    host.started().await;
    // The whole host goes down: agent, supervisor and step.
    host.kill_agent().await;
    for pid in below(host.folder.path()) {
        drop(Command::new("kill").args(["-9", &pid.to_string()]).status().await);
    }
    host.start_agent();
    let asking = |it: &Deployment| it.waiting.as_ref().is_some_and(|held| matches!(held.on, WaitingOn::Answer { .. }));
    host.until(&id, |deployment| asking(deployment) || deployment.state.is_terminal()).await;
    assert_eq!(host.ledger(), 1, "a step that must not run twice was run again");
    let page = host.server.admin.get(&format!("/deployments/{id}")).await.good();
    assert_eq!(page["targets"][0]["state"], "unknown", "{}", page["targets"][0]);
    let again = host.server.admin.post(&format!("/deployments/{id}/targets/host/retry"), &json!({"reason": "x"})).await;
    assert_eq!(again.refused(), "409 state_forbids", "it must be answered first");
    host.server.admin.post(&format!("/deployments/{id}/targets/host/answer"), &json!({"answer": "run_again"})).await.good();
    host.started().await;
    host.go().await;
    let end = host.until(&id, |deployment| deployment.state.is_terminal()).await;
    assert_eq!((end.state, host.ledger()), (State::Succeeded, 2), "{:?}", end.decided_by);
    host.end().await;
}
