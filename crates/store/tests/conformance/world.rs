//! A database of its own for each case, and short ways to say what a case needs.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tempfile::TempDir;
use tidegate_domain::event::{Actor, NewEvent, Noun, Stream};
use tidegate_domain::{Millis, Name};
use tidegate_store::{Commit, Committed, Index, Record, RecordRow, Store, StreamChange};

/// A store and where it is.
pub struct World {
    pub store: Store,
    pub url: String,
    pub dir: TempDir,
}

impl World {
    async fn open(url: String, dir: TempDir) -> World {
        let store = Store::open(&url).await.expect("the store opens");
        World { store, url, dir }
    }

    pub fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite:")
    }

    /// A second store on the same database, as a second process would have it.
    pub async fn another(&self) -> Store {
        Store::open(&self.url).await.expect("the store opens again")
    }

    /// Goes round the store, as an attacker with access to the database would.
    pub async fn raw(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        if self.is_sqlite() {
            let mut connection = SqliteConnection::connect(&self.url).await.expect("the file opens");
            sqlx::raw_sql(sql).execute(&mut connection).await.expect("the statement is right");
            connection.close().await.expect("it closes");
        } else {
            let mut connection = PgConnection::connect(&self.url).await.expect("the server answers");
            sqlx::raw_sql(sql).execute(&mut connection).await.expect("the statement is right");
            connection.close().await.expect("it closes");
        }
    }

    /// What stands in the one place that a query names.
    pub async fn text(&self, sql: &str) -> String {
        let sql = AssertSqlSafe(sql.to_owned());
        if self.is_sqlite() {
            let mut connection = SqliteConnection::connect(&self.url).await.expect("the file opens");
            sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("one text")
        } else {
            let mut connection = PgConnection::connect(&self.url).await.expect("the server answers");
            sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("one text")
        }
    }
}

pub async fn on_sqlite(case: impl AsyncFn(&World)) {
    let dir = tempfile::tempdir().expect("there is a folder for temporary files");
    let world = World::open(format!("sqlite:{}", dir.path().join("tidegate.db").display()), dir).await;
    case(&world).await;
    world.store.close().await;
}

pub async fn on_postgres(case: impl AsyncFn(&World)) {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let Ok(server) = std::env::var("TIDEGATE_TEST_POSTGRES") else {
        println!(
            "skipped: TIDEGATE_TEST_POSTGRES does not name a PostgreSQL server, such as postgres://postgres@127.0.0.1:5432/postgres"
        );
        return;
    };
    let name = format!("tidegate_test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    administer(&server, &format!("CREATE DATABASE {name} TEMPLATE template0")).await;
    let (address, _) = server.rsplit_once('/').expect("the address names a database");
    let dir = tempfile::tempdir().expect("there is a folder for temporary files");
    let world = World::open(format!("{address}/{name}"), dir).await;
    let ended = AssertUnwindSafe(case(&world)).catch_unwind().await;
    world.store.close().await;
    administer(&server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
    if let Err(panic) = ended {
        resume_unwind(panic);
    }
}

async fn administer(server: &str, sql: &str) {
    let mut connection = PgConnection::connect(server).await.expect("the server of TIDEGATE_TEST_POSTGRES answers");
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.expect("the user may make databases");
    connection.close().await.expect("it closes");
}

/// A record of our own, kept under changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thing {
    pub id: String,
    pub state: String,
    pub application: Option<Name>,
    pub environment: Option<Name>,
    pub parent: Option<String>,
    pub at_ms: Millis,
    pub title: String,
}

impl Record for Thing {
    const NOUN: Noun = Noun::Change;

    fn id(&self) -> String {
        self.id.clone()
    }

    fn index(&self) -> Index {
        Index {
            state: self.state.clone(),
            application: self.application.clone(),
            environment: self.environment.clone(),
            sort_at_ms: self.at_ms,
            title: self.title.clone(),
            parent: self.parent.clone(),
        }
    }
}

pub fn thing(id: &str) -> Thing {
    let id = id.to_owned();
    Thing {
        title: format!("the thing {id}"),
        id,
        state: "draft".to_owned(),
        application: None,
        environment: None,
        parent: None,
        at_ms: 1,
    }
}

pub fn name(text: &str) -> Name {
    Name::parse(text).expect("it is a name")
}

pub fn stream(id: &str) -> Stream {
    Stream::new(Noun::Change, id)
}

pub fn event(kind: &str) -> NewEvent {
    NewEvent { kind: kind.to_owned(), body: json!({"what": kind}), origin: None }
}

/// A change of `id` from `expected_version` by one event for each of `kinds`.
pub fn change(id: &str, expected_version: u64, kinds: &[&str]) -> StreamChange {
    StreamChange {
        stream: stream(id),
        expected_version,
        events: kinds.iter().map(|kind| event(kind)).collect(),
        record: None,
        targets: vec![],
        orders: vec![],
    }
}

/// The same with its record.
pub fn writes(thing: &Thing, expected_version: u64, kinds: &[&str]) -> StreamChange {
    StreamChange { record: Some(RecordRow::of(thing)), ..change(&thing.id, expected_version, kinds) }
}

pub fn commit(changes: Vec<StreamChange>) -> Commit {
    Commit {
        actor: Actor::Person(name("ada")),
        cause: "request 1".to_owned(),
        at_ms: 1_000,
        changes,
        documents: vec![],
        idempotency: None,
    }
}

/// Commits what must succeed.
pub async fn made(store: &Store, changes: Vec<StreamChange>) -> Committed {
    store.commit(commit(changes)).await.expect("the commit is made")
}

pub async fn kinds(store: &Store, id: &str) -> Vec<String> {
    let events = store.events_of(&stream(id), 0, 1_000).await.expect("events are read");
    events.into_iter().map(|event| event.kind).collect()
}
