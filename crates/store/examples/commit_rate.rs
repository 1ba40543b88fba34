//! How many durable commits a second a database takes, beside the floor: the same inserts in one transaction each.
//!
//! ```text
//! cargo run --release -p tidegate-store --example commit_rate -- URL [WRITERS] [COMMITS]
//! ```
//!
//! Each commit is one event and one record, as most are. `URL` names a scratch database: what is written stays there, but for
//! the table of the floor. On `SQLite` the floor has one connection, because more of them only wait for each other's lock; on
//! `PostgreSQL` it has one for each writer.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use tidegate_domain::event::{Actor, NewEvent, Noun, Stream};
use tidegate_store::{Commit, Index, Record, RecordRow, Store, StreamChange};

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// More would only take longer.
const COMMITS_MAX: u64 = 1_000_000;
const WRITERS_MAX: u64 = 1_024;

#[derive(Serialize, Deserialize)]
struct Thing {
    id: String,
    number: u64,
    text: String,
}

impl Record for Thing {
    const NOUN: Noun = Noun::Change;

    fn id(&self) -> String {
        self.id.clone()
    }

    fn index(&self) -> Index {
        let (state, title) = ("running".to_owned(), format!("number {}", self.number));
        Index { state, application: None, environment: None, sort_at_ms: self.number as i64, title, parent: None }
    }
}

#[tokio::main]
async fn main() -> Fallible<()> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("name the address of a scratch database, then writers, then commits")?;
    let writers = arguments.next().map_or(Ok(64), |text| text.parse::<u64>())?.clamp(1, WRITERS_MAX);
    let commits = arguments.next().map_or(Ok(20_000), |text| text.parse::<u64>())?.clamp(writers, COMMITS_MAX);
    let each = commits / writers;

    let store = Store::open(&url).await?;
    let database = store.describe();
    let run = format!("R{}", store.head().await?);
    let took = commit_all(&store, &run, writers, each).await?;
    store.close().await;
    let floor = floor(&url, writers, each).await?;

    let per_second = |took: Duration| ((writers * each) as f64 / took.as_secs_f64()).round();
    let report = json!({
        "database": database,
        "writers": writers,
        "commits": writers * each,
        "events_per_second": per_second(took),
        "floor_per_second": per_second(floor),
        "ratio": (per_second(took) / per_second(floor) * 100.0).round() / 100.0,
    });
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}

async fn commit_all(store: &Store, run: &str, writers: u64, each: u64) -> Fallible<Duration> {
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..writers {
        let (store, id) = (store.clone(), format!("{run}-{writer}"));
        tasks.spawn(async move {
            for version in 0..each {
                store.commit(commit(&id, version)).await?;
            }
            Ok::<(), tidegate_store::CommitError>(())
        });
    }
    for outcome in tasks.join_all().await {
        outcome?;
    }
    Ok(begun.elapsed())
}

fn commit(id: &str, version: u64) -> Commit {
    let thing = Thing { id: id.to_owned(), number: version, text: "what a record says ".repeat(10) };
    let event =
        NewEvent { kind: "moved".to_owned(), body: json!({"number": version, "detail": "what an event says"}), origin: None };
    let change = StreamChange {
        stream: Stream::new(Noun::Change, id),
        expected_version: version,
        events: vec![event],
        record: Some(RecordRow::of(&thing)),
        targets: vec![],
        orders: vec![],
    };
    let changes = vec![change];
    Commit { actor: Actor::System, cause: "bench".to_owned(), at_ms: 1, changes, documents: vec![], idempotency: None }
}

const CREATE: &str = "CREATE TABLE IF NOT EXISTS commit_rate_floor (writer BIGINT, number BIGINT, body TEXT)";
const INSERT: &str = "INSERT INTO commit_rate_floor (writer, number, body) VALUES ($1, $2, $3)";
const DROP: &str = "DROP TABLE commit_rate_floor";

/// Two pools of two types want the same few lines.
macro_rules! insert_all {
    ($pool:expr, $writers:expr, $each:expr) => {{
        let pool = $pool;
        sqlx::query(CREATE).execute(&pool).await?;
        let begun = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..$writers {
            let pool = pool.clone();
            tasks.spawn(async move {
                for number in 0..$each {
                    let body = "what a row says ".repeat(20);
                    sqlx::query(INSERT).bind(writer as i64).bind(number as i64).bind(body).execute(&pool).await?;
                }
                Ok::<(), sqlx::Error>(())
            });
        }
        for outcome in tasks.join_all().await {
            outcome?;
        }
        let took = begun.elapsed();
        sqlx::query(DROP).execute(&pool).await?;
        pool.close().await;
        Ok(took)
    }};
}

async fn floor(url: &str, writers: u64, each: u64) -> Fallible<Duration> {
    let wait = Duration::from_mins(10);
    if url.starts_with("postgres") {
        let connections = writers.min(64) as u32;
        let pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(wait).connect(url).await?;
        insert_all!(pool, writers, each)
    } else {
        let path = url.strip_prefix("sqlite:").unwrap_or(url);
        let options = SqliteConnectOptions::new().filename(path).synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(wait).connect_with(options).await?;
        insert_all!(pool, writers, each)
    }
}
