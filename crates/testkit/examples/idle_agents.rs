//! Figures with ten thousand idle agents, as one JSON object: what their polls cost a server in memory and time, and how long an
//! order takes to its agent beside them. The server is a process of its own, so that the agents' side is not measured with it.
//!
//! The floor stands beside: the same orders with nobody else polling.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tidegate_api::agent as wire;
use tidegate_domain::Name;
use tidegate_domain::deployment::order::Installation;
use tidegate_testkit::{Api, Estate, Fleet, TestServer, WireAgent};

const AGENTS: usize = 10_000;
/// Of them so many come first, and the memory is looked at.
const FIRST: usize = 1_000;
/// Orders measured for each figure, and the time from one to the next: together longer than a poll is held.
const ORDERS: usize = 16;
const ORDER_EVERY: Duration = Duration::from_secs(2);
/// How long nothing happens: longer than a poll is held, so that each is asked again.
const QUIET: Duration = Duration::from_secs(40);
/// Calls of agents under way at once, before they poll.
const TOGETHER: usize = 64;
/// Descriptors that a server finds, and has to raise by itself.
const SOFT: u64 = 1_024;
/// Ticks of a second in `/proc`; the kernel's promise to programs.
const TICKS: f64 = 100.0;

#[tokio::main]
async fn main() {
    if let Some(data) = std::env::args().nth(1) {
        return serve(Path::new(&data)).await;
    }
    // Clients want one even where nothing is encrypted; the server installs its own.
    drop(rustls::crypto::ring::default_provider().install_default());
    let folder = tempfile::tempdir().expect("a folder");
    limit(SOFT);
    let (mut child, api) = started(folder.path());
    raise();
    let measured = measure(&api, child.id()).await;
    // It ends with its input, also if this process does.
    drop(child.stdin.take());
    child.wait().expect("it ends");
    writeln!(std::io::stdout(), "{measured}").expect("somebody reads");
}

/// The server's side: says where it is, and ends with its input.
async fn serve(data: &Path) {
    let server = TestServer::start(data).await;
    writeln!(std::io::stdout(), "{} {}", server.admin.base, server.admin.token).expect("somebody reads");
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    ended.await.expect("it waits").expect("an end");
    server.running.stop().await;
}

fn started(data: &Path) -> (Child, Api) {
    let program = std::env::current_exe().expect("this program");
    let mut child =
        Command::new(program).arg(data).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts again");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("it says where it is");
    let (base, token) = line.trim().split_once(' ').expect("an address and a token");
    let api = Api::new(base.to_owned(), token.to_owned());
    (child, api)
}

fn limit(soft: u64) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let current = maximum.map_or(soft, |maximum| maximum.min(soft));
    setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum }).expect("a lower limit is taken");
}

fn raise() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("the hard limit may be used");
    let enough = maximum.is_none_or(|maximum| maximum > AGENTS as u64 + 1_000);
    assert!(enough, "{AGENTS} connections need a hard limit of more than {maximum:?} open files: raise it (ulimit -Hn)");
}

async fn measure(api: &Api, server: u32) -> Value {
    let estate = Estate::define(api, AGENTS).await;
    estate.bring("1.0").await;
    let names: Vec<Name> = (1..=AGENTS).map(|number| name(&format!("t-{number:02}"))).collect();
    let agents = enrolled(api, &names).await;
    let order_alone = orders(api, "alone").await;
    let bytes_before = resident_bytes(server);
    let mut idle = tokio::task::JoinSet::new();
    let mut bytes_first = 0;
    for (number, agent) in agents.into_iter().enumerate() {
        if number == FIRST {
            // Every one of them is heard, and what taking them in took is given back.
            while sockets(server) < FIRST {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(ORDER_EVERY).await;
            bytes_first = resident_bytes(server);
        }
        // As fast as the server takes connections, and no faster: what it has not taken in seconds would be given up.
        while sockets(server) + TOGETHER < number {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        idle.spawn(async move {
            loop {
                assert!(agent.ask("00", &[], 30).await.status.is_success(), "a poll of {} was refused", agent.target);
            }
        });
    }
    while sockets(server) < AGENTS {
        assert!(idle.try_join_next().is_none(), "an idle agent gave up");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (begun, ticks) = (Instant::now(), cpu_ticks(server));
    tokio::time::sleep(QUIET).await;
    let cpu_percent = (cpu_ticks(server) - ticks) / TICKS / begun.elapsed().as_secs_f64() * 100.0;
    let bytes_after = resident_bytes(server);
    let order = orders(api, "among").await;
    assert!(idle.try_join_next().is_none(), "an idle agent gave up");
    let held = sockets(server);
    idle.shutdown().await;
    json!({"agents": AGENTS, "connections": held, "bytes_before": bytes_before, "first": FIRST, "bytes_first": bytes_first, "bytes_after": bytes_after,
        "cpu_percent": cpu_percent, "order": order, "order_alone": order_alone})
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

/// Agents with sessions.
async fn enrolled(api: &Api, names: &[Name]) -> Vec<WireAgent> {
    let one = async |target: &Name| {
        Fleet::enrol(api, std::slice::from_ref(target)).await;
        let mut agent = WireAgent::new(&api.base, target, 7);
        agent.begin().await;
        agent
    };
    futures_util::stream::iter(names.iter().map(one)).buffer_unordered(TOGETHER).collect().await
}

/// How long an order takes from the start of its deployment to its agent, several times.
async fn orders(api: &Api, prefix: &str) -> Value {
    let mut all_ms = Vec::new();
    for number in 0..ORDERS {
        let place = format!("{prefix}-{number}");
        let definitions = json!({"definitions": [{"environment": {"name": place, "tier": "test"}}, {"target": {"name": place, "environment": place}}]});
        api.post("/definitions", &definitions).await.good();
        let agent = enrolled(api, &[name(&place)]).await.remove(0);
        let plan = json!({"application": "shop", "environment": place, "versions": {"shop": "1.0"}});
        let planned = api.post("/deployments", &plan).await.good();
        let start = format!("/deployments/{}/start", planned["deployment"]["id"].as_str().expect("an id"));
        let (answer, begun) = tokio::join!(agent.ask("00", &[], 30), async {
            // The poll is there first.
            tokio::time::sleep(ORDER_EVERY).await;
            let begun = Instant::now();
            api.post(&start, &json!({})).await.good();
            begun
        });
        all_ms.push(begun.elapsed().as_secs_f64() * 1_000.0);
        finish(&agent, &answer.good()).await;
    }
    all_ms.sort_by(f64::total_cmp);
    json!({"median_ms": all_ms[ORDERS / 2], "longest_ms": all_ms[ORDERS - 1]})
}

/// Reports the order that came as carried out, so that nothing of it is under way any more.
async fn finish(agent: &WireAgent, answer: &Value) {
    let message = answer["message"].as_str().expect("a message");
    let order = serde_json::from_str::<wire::PollAnswer>(message).expect("an answer").orders.remove(0);
    let attested = |it: &Installation| {
        (it.component.to_string(), json!({"version": it.version, "digest": it.artifact.digest, "complete": true}))
    };
    let attested: serde_json::Map<String, Value> = order.installations.iter().map(attested).collect();
    let report = json!({"attempt": order.attempt, "generation": order.generation, "outcome": "healthy", "steps": [],
        "attested": attested, "detail": null});
    assert!(agent.post(wire::REPORT, &report).await.status.is_success(), "the report of {} is refused", order.attempt);
}

fn resident_bytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1_024
}

/// User and system time.
fn cpu_ticks(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
    let (_, after_name) = stat.rsplit_once(')').expect("a name in brackets");
    let field =
        |number: usize| after_name.split_whitespace().nth(number).and_then(|text| text.parse::<f64>().ok()).expect("a time");
    field(11) + field(12)
}

fn sockets(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).expect("a process").count()
}
