//! What the server counts of itself, the rules that alert by it, and Prometheus itself reading both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Api, Estate, Fleet, TestServer, WireAgent};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::stage::{content, name};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/operate")
}

async fn text(api: &Api) -> String {
    api.get("/metrics").await.good().as_str().expect("text").to_owned()
}

/// Every series with its value.
fn series(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pair = |line: &str| line.rsplit_once(' ').map(|(series, value)| (series.to_owned(), value.parse().expect("a number")));
    lines.filter_map(pair).collect()
}

/// Every word of `text` that is a name of a metric.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    let ours = words.filter(|word| word.starts_with("tidegate_") || word.starts_with("process_"));
    ours.map(str::to_owned).collect()
}

#[tokio::test]
async fn what_an_operator_asks_for_is_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TestServer::at_rest(folder.path()).await;
    let admin = &server.admin;
    let estate = Estate::define(admin, 3).await;
    Fleet::enrol(admin, &[name("t-01"), name("t-02")]).await;
    let mut agent = WireAgent::new(&admin.base, &name("t-01"), 7);
    agent.begin().await;
    let unsteady = json!([{"component": "svc-api", "ends": 3, "ended_seconds_ago": 4, "is_down": true, "last_words": "no port"}]);
    let poll = json!({"nonce": "n", "known": [], "wait_seconds": 0, "agent_version": "1", "unsteady": unsteady});
    agent.post("/agent/v1/poll", &poll).await.good();
    estate.bring("1.0").await;
    estate.plan("1.0", json!({})).await.good();
    let change = admin.post("/changes", &json!({"content": content("one")})).await.good()["value"]["id"].clone();
    admin.post(&format!("/changes/{}/submit", change.as_str().expect("an id")), &json!({})).await.good();
    admin.get("/changes/CHG-none").await.refused();
    for number in 0..5 {
        admin.get(&format!("/made/up/{number}")).await.refused();
    }
    server.pass_ms(60_000);
    admin.get("/audit").await.good();
    let told = text(admin).await;
    let found = series(&told);
    let value = |series: &str| *found.get(series).unwrap_or_else(|| panic!("{series} in\n{told}"));
    let count = |series: &str| value(series) as u64;
    assert_eq!(count("tidegate_targets{agent=\"in_touch\"}"), 1);
    assert_eq!(count("tidegate_targets{agent=\"silent\"}"), 1);
    assert_eq!(count("tidegate_targets{agent=\"missing\"}"), 1);
    assert_eq!(count("tidegate_programs_unsteady"), 1);
    assert_eq!(count("tidegate_changes{state=\"awaiting_authorisation\"}"), 1);
    assert_eq!(count("tidegate_change_wait_seconds"), 60);
    assert_eq!(count("tidegate_deployments{state=\"planned\"}"), 1);
    assert_eq!(count("tidegate_deployments{state=\"running\"}"), 0);
    assert_eq!(count("tidegate_history_intact"), 1);
    assert_eq!(count("tidegate_event_position"), admin.events().await);
    assert_eq!(count("tidegate_commits_failed_total"), 0);
    assert!(value("tidegate_commits_total") > 10.0);
    let ended = ["tidegate_commits_total", "tidegate_commits_overtaken_total", "tidegate_commits_failed_total"].map(count);
    assert_eq!(count("tidegate_commit_seconds_count"), ended.iter().sum::<u64>());
    assert!(value("tidegate_orchestrator_idle_seconds") < 30.0);
    assert!(value("tidegate_database_bytes") > 10_000.0);
    assert!(value("tidegate_media_bytes") > 100.0);
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert_eq!(count("tidegate_refusals_total{code=\"not_found\"}"), 6);
    assert_eq!(count("tidegate_requests_total{method=\"GET\",route=\"/api/v1/changes/{id}\",status=\"4xx\"}"), 1);
    assert!(!told.contains("made/up") && !told.contains("CHG-none"), "addresses that anybody can make up are no labels");
    server.running.stop().await;
}

#[tokio::test]
async fn every_metric_of_the_rules_and_of_the_guide_is_there() {
    let data = tempfile::tempdir().expect("a folder");
    let server = TestServer::at_rest(data.path()).await;
    server.admin.get("/audit").await.good();
    server.admin.get("/whoami").await.good();
    let there = names(&text(&server.admin).await);
    for file in ["alerts.yaml", "alerts-test.yaml", "../guide/operating.md"] {
        let used = names(&std::fs::read_to_string(folder().join(file)).expect("a file"));
        assert!(used.len() > 8, "{file} names {used:?}");
        let missing: Vec<&String> = used.difference(&there).collect();
        assert!(missing.is_empty(), "{file} names {missing:?}, which no server tells");
    }
    server.running.stop().await;
}

#[test]
fn every_alert_is_explained_and_tested() {
    let read = |file: &str| std::fs::read_to_string(folder().join(file)).expect("a file");
    let (rules, tests, guide) = (read("alerts.yaml"), read("alerts-test.yaml"), read("../guide/operating.md"));
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 8, "{alerts:?}");
    for alert in alerts {
        assert!(tests.matches(&format!("alertname: {alert}")).count() >= 2, "{alert} is tested to speak and to be silent");
        // Two alerts about silent agents share a place.
        let place = alert.replace("ManyAgents", "Agents");
        assert!(rules.contains(&format!("#{}\"", place.to_lowercase())), "{alert} names its place in the guide");
        assert!(guide.contains(&format!("### {place}\n")), "{alert} has a place in the guide");
    }
}

/// Prometheus and its tool, as `cargo xtask test` names them.
fn prometheus(program: &str) -> Option<PathBuf> {
    let found = std::env::var_os("TIDEGATE_TEST_PROMETHEUS").map(|prometheus| Path::new(&prometheus).with_file_name(program));
    if found.is_none() {
        println!("skipped: TIDEGATE_TEST_PROMETHEUS does not name the program, such as /usr/bin/prometheus");
        assert!(std::env::var_os("CI").is_none(), "CI has it");
    }
    found
}

async fn promtool(arguments: &[&str], input: &str) {
    let Some(program) = prometheus("promtool") else { return };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool starts");
    let mut pipe = child.stdin.take().expect("its input");
    pipe.write_all(input.as_bytes()).await.expect("it reads");
    drop(pipe);
    let output = child.wait_with_output().await.expect("it ends");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

#[tokio::test]
async fn the_rules_are_sound_and_speak_when_they_should() {
    promtool(&["check", "rules", "alerts.yaml"], "").await;
    promtool(&["test", "rules", "alerts-test.yaml"], "").await;
}

#[tokio::test]
async fn the_metrics_are_good_ones() {
    let data = tempfile::tempdir().expect("a folder");
    let server = TestServer::at_rest(data.path()).await;
    server.admin.get("/audit").await.good();
    promtool(&["check", "metrics"], &text(&server.admin).await).await;
    server.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_prometheus_reads_a_server_with_a_token() {
    let Some(program) = prometheus("prometheus") else { return };
    let data = tempfile::tempdir().expect("a folder");
    let server = TestServer::start(&data.path().join("data")).await;
    let viewer = server.person("prometheus", json!([{"role": "viewer", "scope": "all"}])).await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port();
    std::fs::write(data.path().join("token"), &viewer.token).expect("a file");
    let rules = folder().join("alerts.yaml").canonicalize().expect("the rules");
    let configuration = format!(
        "global: {{scrape_interval: 1s}}\nrule_files: ['{}']\nscrape_configs:\n  - job_name: tidegate\n    metrics_path: \
         /api/v1/metrics\n    authorization: {{credentials_file: token}}\n    static_configs: [{{targets: ['{}']}}]\n",
        rules.display(),
        server.running.address
    );
    std::fs::write(data.path().join("prometheus.yaml"), configuration).expect("a file");
    let child = Command::new(program)
        .args(["--config.file=prometheus.yaml", "--storage.tsdb.path=series", "--log.level=warn"])
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .current_dir(data.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let _child = child.expect("Prometheus starts");
    let asked = asked(port, "tidegate_event_position{job=\"tidegate\"}").await;
    assert!(asked.parse::<f64>().expect("a number") > 0.0, "{asked}");
    server.running.stop().await;
}

/// What Prometheus answers, as soon as it knows.
async fn asked(port: u16, query: &str) -> String {
    let client = reqwest::Client::new();
    let patience = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let request = client.get(format!("http://127.0.0.1:{port}/api/v1/query")).query(&[("query", query)]);
        let answer = match request.send().await {
            Ok(answer) => answer.json::<Value>().await.unwrap_or_default(),
            Err(error) => json!(error.to_string()),
        };
        if let Some(value) = answer["data"]["result"][0]["value"][1].as_str() {
            return value.to_owned();
        }
        assert!(tokio::time::Instant::now() < patience, "{answer}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
