//! Figures at the sizes of a large house, as one JSON object: a year of releases, changes and deployments is stored, and every
//! page and list is asked, by an administrator and by somebody who sees one application.
//!
//! The server is a process of its own. Beside it stand what the same server needs for a file, and the bare query for a page.
//!
//! `at_size DIRECTORY` keeps what it fills there and finds it the next time; without, a temporary one is used. `at_size DIRECTORY
//! /page …` asks only for these.

mod ask;
mod deployments;
mod fill;
mod governance;
mod world;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::Connection as _;
use tidegate_store::Store;
use tidegate_testkit::TestServer;

use ask::Asker;

/// Bare queries beside the pages.
const BARE: usize = 300;
const SERVE: &str = "--serve";
/// Written when a directory is filled.
const FILLED: &str = "filled";

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, data] = arguments.as_slice()
        && first == SERVE
    {
        return serve(Path::new(data)).await;
    }
    drop(rustls::crypto::ring::default_provider().install_default());
    let folder = tempfile::tempdir().expect("a folder");
    let data = arguments.first().map_or(folder.path(), |data| Path::new(data));
    let fill_seconds = filled(data).await;
    let (mut child, askers) = started(data).await;
    let mut rows = Vec::new();
    let now_ms = machine_now_ms();
    let addresses = if arguments.len() > 1 { arguments[1..].to_vec() } else { ask::addresses(now_ms) };
    for asker in &askers {
        for address in &addresses {
            rows.push(asker.measure(address).await);
        }
    }
    let file = askers[0].measure("/assets/tidegate.css").await;
    let bytes = resident_bytes(child.id());
    drop(child.stdin.take());
    child.wait().expect("it ends");
    let counts = counts(data).await;
    let measured = json!({"fill_seconds": fill_seconds, "counts": counts, "rows": rows, "file": file, "bare": bare(data).await,
        "server_bytes": bytes});
    writeln!(std::io::stdout(), "{measured}").expect("somebody reads");
}

fn machine_now_ms() -> i64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
    i64::try_from(since.as_millis()).expect("before the end of time")
}

/// Fills the directory unless it is; how long that took.
async fn filled(data: &Path) -> Option<f64> {
    if data.join(FILLED).exists() {
        return None;
    }
    let begun = Instant::now();
    let _ = std::fs::create_dir_all(data);
    let store = Store::open(&address(data)).await.expect("a database");
    fill::fill(&store, machine_now_ms()).await;
    store.close().await;
    std::fs::write(data.join(FILLED), "").expect("a mark");
    Some(begun.elapsed().as_secs_f64())
}

fn address(data: &Path) -> String {
    format!("sqlite:{}", data.join("tidegate.db").display())
}

/// The server's side: says where it is and how to get in, and ends with its input.
async fn serve(data: &Path) {
    let server = TestServer::start(data).await;
    let admin = &server.admin;
    let request = json!({"person": "vera", "label": "bench", "valid_seconds": 36_000});
    let made = admin.post("/tokens", &request).await.good();
    let mut links = Vec::new();
    for person in ["admin", "vera"] {
        links.push(tidegate_server::link_for(&server.running, person).await.expect("a link"));
    }
    let line = json!({"base": admin.base, "tokens": [admin.token, made["secret"]], "links": links});
    writeln!(std::io::stdout(), "{line}").expect("somebody reads");
    let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    ended.await.expect("it waits").expect("an end");
    server.running.stop().await;
}

async fn started(data: &Path) -> (Child, Vec<Asker>) {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.arg(SERVE).arg(data).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("it starts again");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("it says where it is");
    let said: Value = serde_json::from_str(&line).expect("a line of JSON");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let mut askers = Vec::new();
    for (number, who) in ["admin", "viewer"].into_iter().enumerate() {
        let (base, token) = (text(&said["base"]), text(&said["tokens"][number]));
        let cookie = signed_in(&base, &text(&said["links"][number])).await;
        askers.push(Asker { who, base, token, cookie });
    }
    // What a start leaves to do is done.
    tokio::time::sleep(Duration::from_secs(3)).await;
    (child, askers)
}

/// The cookie for a sign-in link.
async fn signed_in(base: &str, link: &str) -> String {
    let token = link.split("token=").nth(1).expect("a token");
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let form = http.post(format!("{base}/login")).body(format!("token={token}"));
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    let answer = form.send().await.expect("an answer");
    let cookie = answer.headers()["set-cookie"].to_str().expect("text");
    cookie.split(';').next().unwrap_or_default().to_owned()
}

/// What is stored, by noun, and its events.
async fn counts(data: &Path) -> Value {
    let mut connection = sqlx::SqliteConnection::connect(&address(data)).await.expect("the database");
    let sql = "SELECT noun, COUNT(*) FROM records GROUP BY noun UNION ALL SELECT 'events', MAX(position) FROM events";
    let rows: Vec<(String, i64)> = sqlx::query_as(sql).fetch_all(&mut connection).await.expect("counts");
    json!(rows.into_iter().collect::<std::collections::BTreeMap<_, _>>())
}

/// The query of a first page, with nothing around it.
async fn bare(data: &Path) -> Value {
    let mut connection = sqlx::SqliteConnection::connect(&address(data)).await.expect("the database");
    let sql = "SELECT id, version, body FROM records WHERE noun = 'deployment' ORDER BY sort_at_ms DESC, id DESC LIMIT 51";
    let mut ms = Vec::new();
    for _ in 0..BARE {
        let begun = Instant::now();
        let rows: Vec<(String, i64, String)> = sqlx::query_as(sql).fetch_all(&mut connection).await.expect("rows");
        assert_eq!(rows.len(), 51);
        ms.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    ask::figures(ms)
}

fn resident_bytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1_024
}
