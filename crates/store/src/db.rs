//! The only file that knows that there are two databases.
//!
//! Everything else writes one SQL text: `$1` placeholders, `RETURNING`, `ON CONFLICT`, integers for time, text for JSON. Values go
//! in as [`Bind`] and come out of [`Row`]; a NULL has a type, because `PostgreSQL` refuses a NULL of text for a bigint column.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Database, Encode, Postgres, Row as _, Sqlite, Transaction, Type};

use crate::Fault;

/// The first `SQLite` without the WAL-reset race.
const SQLITE_NEEDED: &str = "3.51.3";
/// Connections that read; two cores and a little waiting on disk.
const READERS_MAX: u32 = 8;
/// Seconds to wait for a connection or a lock.
const WAIT_SECONDS: u64 = 10;
/// Milliseconds `PostgreSQL` lets one statement run, or a transaction idle: a writer that has lost its process frees the feed.
const STATEMENT_MS: &str = "60000";
const IDLE_MS: &str = "30000";

/// A value that goes into a statement.
#[derive(Debug, Clone)]
pub(crate) enum Bind {
    Int(i64),
    Text(String),
    TextOrNull(Option<String>),
}

impl From<i64> for Bind {
    fn from(value: i64) -> Bind {
        Bind::Int(value)
    }
}

impl From<&str> for Bind {
    fn from(value: &str) -> Bind {
        Bind::Text(value.to_owned())
    }
}

impl From<String> for Bind {
    fn from(value: String) -> Bind {
        Bind::Text(value)
    }
}

impl From<Option<String>> for Bind {
    fn from(value: Option<String>) -> Bind {
        Bind::TextOrNull(value)
    }
}

/// A row that came out.
#[derive(Debug)]
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    pub(crate) fn int(&self, column: usize) -> Result<i64, sqlx::Error> {
        match self {
            Row::Sqlite(row) => row.try_get(column),
            Row::Postgres(row) => row.try_get(column),
        }
    }

    /// A count or position, which is never negative.
    pub(crate) fn count(&self, column: usize) -> Result<u64, sqlx::Error> {
        let number = self.int(column)?;
        u64::try_from(number).map_err(|cause| sqlx::Error::ColumnDecode { index: column.to_string(), source: cause.into() })
    }

    pub(crate) fn text(&self, column: usize) -> Result<String, sqlx::Error> {
        match self {
            Row::Sqlite(row) => row.try_get(column),
            Row::Postgres(row) => row.try_get(column),
        }
    }
}

/// Where the database is.
#[derive(Debug, Clone)]
pub(crate) enum Address {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Address, Fault> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(url).map_err(|cause| Fault::Address {
                what: cause.to_string(),
                remedy: "use postgres://USER:PASSWORD@HOST:PORT/DATABASE",
            })?;
            return Ok(Address::Postgres(Box::new(options)));
        }
        let path = url.strip_prefix("sqlite:").unwrap_or(url);
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path.contains("://") || path.contains(":memory:") {
            return Err(Fault::Address {
                what: format!("\"{}\" is neither a file nor a PostgreSQL address", tidegate_domain::ids::clip(url)),
                remedy: "use sqlite:PATH, or postgres://USER:PASSWORD@HOST:PORT/DATABASE",
            });
        }
        Ok(Address::Sqlite(PathBuf::from(path)))
    }
}

/// A pool of connections to one of the two.
#[derive(Debug, Clone)]
pub(crate) enum Db {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// The connections of one store: one that writes, a few that read, and what they lead to.
pub(crate) struct Connections {
    pub(crate) write: Db,
    pub(crate) read: Db,
    pub(crate) description: String,
}

/// Opens the database at `address`; makes the file if there is none.
pub(crate) async fn connect(address: Address) -> Result<Connections, Fault> {
    match address {
        Address::Sqlite(path) => connect_sqlite(&path).await,
        Address::Postgres(options) => connect_postgres(*options).await,
    }
}

/// Opens the database at `address` for looking at it: one connection, nothing is made or changed.
pub(crate) async fn look(address: Address) -> Result<(Db, String), Fault> {
    let path = match address {
        Address::Sqlite(path) => path,
        Address::Postgres(options) => {
            let Connections { read, description, write } = connect_postgres(*options).await?;
            write.close().await;
            return Ok((read, description));
        }
    };
    let wait = Duration::from_secs(WAIT_SECONDS);
    let options = SqliteConnectOptions::new().filename(&path).read_only(true).busy_timeout(wait);
    let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(wait).connect_with(options).await?;
    Ok((Db::Sqlite(pool), format!("SQLite at {}", path.display())))
}

async fn connect_sqlite(path: &Path) -> Result<Connections, Fault> {
    create_private(path)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(WAIT_SECONDS))
        .statement_cache_capacity(256)
        .pragma("journal_size_limit", "67108864")
        .pragma("cache_size", "-16000");
    let pool = |connections: u32| {
        let wait = Duration::from_secs(WAIT_SECONDS);
        let options = SqlitePoolOptions::new().max_connections(connections).acquire_timeout(wait);
        options.idle_timeout(None).max_lifetime(None).test_before_acquire(false)
    };
    let write = pool(1).connect_with(options.clone()).await?;
    let found: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&write).await?;
    if version_numbers(&found) < version_numbers(SQLITE_NEEDED) {
        return Err(Fault::SqliteTooOld { found, needed: SQLITE_NEEDED });
    }
    let read = pool(READERS_MAX).connect_lazy_with(options.read_only(true));
    let description = format!("SQLite {found} at {}", path.display());
    Ok(Connections { write: Db::Sqlite(write), read: Db::Sqlite(read), description })
}

/// Makes the file readable by its owner alone; `SQLite` gives its journal the same mode.
fn create_private(path: &Path) -> Result<(), Fault> {
    use std::os::unix::fs::OpenOptionsExt as _;
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => crate::media::sync_folder(path.parent().unwrap_or(Path::new("."))),
        Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(cause) => Err(Fault::io(path, cause)),
    }
}

fn version_numbers(text: &str) -> Vec<u32> {
    text.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

async fn connect_postgres(options: PgConnectOptions) -> Result<Connections, Fault> {
    let options = options.application_name("tidegate").options([
        // An acknowledged commit survives a crash whatever the server's default is.
        ("synchronous_commit", "on"),
        ("statement_timeout", STATEMENT_MS),
        ("idle_in_transaction_session_timeout", IDLE_MS),
    ]);
    let pool =
        |connections: u32| PgPoolOptions::new().max_connections(connections).acquire_timeout(Duration::from_secs(WAIT_SECONDS));
    let write = pool(1).connect_with(options.clone()).await?;
    let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&write).await?;
    let version = version.split(' ').next().unwrap_or_default().to_owned();
    let database: String = sqlx::query_scalar("SELECT current_database()").fetch_one(&write).await?;
    let fsync: String = sqlx::query_scalar("SHOW fsync").fetch_one(&write).await?;
    if fsync != "on" {
        tracing::warn!(database, "PostgreSQL runs with fsync off: a power cut can lose acknowledged changes");
    }
    let description = format!("PostgreSQL {version} at {}:{}/{database}", options.get_host(), options.get_port());
    Ok(Connections { write: Db::Postgres(write), read: Db::Postgres(pool(READERS_MAX).connect_lazy_with(options)), description })
}

impl Db {
    /// Begins a transaction that is the only one that writes (`SQLite`), or that sees what was committed before each of its
    /// statements (`PostgreSQL`, where [`crate::group`] takes the lock of the feed row first).
    pub(crate) async fn begin(&self) -> Result<Tx, sqlx::Error> {
        match self {
            Db::Sqlite(pool) => Ok(Tx::Sqlite(SqliteTx::begin(pool).await?)),
            Db::Postgres(pool) => Ok(Tx::Postgres(pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?)),
        }
    }

    pub(crate) async fn rows(&self, sql: impl Into<Cow<'static, str>>, binds: Vec<Bind>) -> Result<Vec<Row>, sqlx::Error> {
        let sql = sql.into();
        Ok(match self {
            Db::Sqlite(pool) => bound::<Sqlite>(sql, binds).map(Row::Sqlite).fetch_all(pool).await?,
            Db::Postgres(pool) => bound::<Postgres>(sql, binds).map(Row::Postgres).fetch_all(pool).await?,
        })
    }

    /// Bytes on the disk.
    pub(crate) async fn size_bytes(&self) -> Result<u64, sqlx::Error> {
        match self {
            Db::Sqlite(pool) => {
                let options = pool.connect_options();
                let file = options.get_filename();
                let mut log = file.as_os_str().to_owned();
                log.push("-wal");
                let size = |path: &Path| std::fs::metadata(path).map(|found| found.len());
                // Without a write-ahead log nothing has been written since the last start.
                Ok(size(file)? + size(Path::new(&log)).unwrap_or(0))
            }
            Db::Postgres(_) => {
                let rows = self.rows("SELECT pg_database_size(current_database())", vec![]).await?;
                rows.first().ok_or(sqlx::Error::RowNotFound)?.count(0)
            }
        }
    }

    /// Copies a live `SQLite` database into the new file `to`.
    pub(crate) async fn copy_into(&self, to: &Path) -> Result<(), Fault> {
        match self {
            Db::Sqlite(pool) => {
                let name = to.to_str().ok_or_else(|| Fault::Unsupported {
                    what: format!("{} cannot be passed to SQLite", to.display()),
                    remedy: "use a path that is UTF-8".to_owned(),
                })?;
                sqlx::query("VACUUM INTO $1").bind(name).execute(pool).await?;
                Ok(())
            }
            Db::Postgres(_) => Err(Fault::Unsupported {
                what: "a PostgreSQL database is not backed up by Tidegate".to_owned(),
                remedy: "use pg_dump or the base backup of the server, and copy the media library".to_owned(),
            }),
        }
    }

    /// Moves the write-ahead log of `SQLite` into the file and closes every connection.
    pub(crate) async fn checkpoint_and_close(&self) {
        match self {
            Db::Sqlite(pool) => {
                if let Err(cause) = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(pool).await {
                    tracing::warn!(%cause, "the write-ahead log was not moved into the database file; the next start does it");
                }
                pool.close().await;
            }
            Db::Postgres(pool) => pool.close().await,
        }
    }

    /// The first damage to the structure of an `SQLite` file; nothing for a good one, and for `PostgreSQL`.
    pub(crate) async fn damage(&self) -> Result<Option<String>, Fault> {
        let Db::Sqlite(pool) = self else { return Ok(None) };
        let said: String = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(pool).await?;
        // It says so in several lines, which belong together.
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Some(said).filter(|said| said != "ok"))
    }

    /// Closes every connection.
    pub(crate) async fn close(&self) {
        match self {
            Db::Sqlite(pool) => pool.close().await,
            Db::Postgres(pool) => pool.close().await,
        }
    }
}

/// A transaction on the one writing connection of `SQLite`.
///
/// Not [`sqlx::Transaction`]: when the disk is full `SQLite` ends the transaction by itself, sqlx goes on counting it, and then
/// refuses every later one. Here a connection whose transaction did not end well is closed, and the pool opens another.
pub(crate) struct SqliteTx {
    connection: PoolConnection<Sqlite>,
    ended: bool,
}

impl SqliteTx {
    async fn begin(pool: &SqlitePool) -> Result<SqliteTx, sqlx::Error> {
        let mut tx = SqliteTx { connection: pool.acquire().await?, ended: false };
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *tx.connection).await?;
        Ok(tx)
    }

    async fn end(mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::query(sql).execute(&mut *self.connection).await?;
        self.ended = true;
        Ok(())
    }
}

impl Drop for SqliteTx {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
        }
    }
}

/// A transaction; dropped without [`Tx::commit`] it is rolled back.
pub(crate) enum Tx {
    Sqlite(SqliteTx),
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    pub(crate) async fn rows(&mut self, sql: impl Into<Cow<'static, str>>, binds: Vec<Bind>) -> Result<Vec<Row>, sqlx::Error> {
        let sql = sql.into();
        Ok(match self {
            Tx::Sqlite(tx) => bound::<Sqlite>(sql, binds).map(Row::Sqlite).fetch_all(&mut *tx.connection).await?,
            Tx::Postgres(tx) => bound::<Postgres>(sql, binds).map(Row::Postgres).fetch_all(&mut **tx).await?,
        })
    }

    /// Carries out one statement; answers how many rows it touched.
    pub(crate) async fn execute(&mut self, sql: impl Into<Cow<'static, str>>, binds: Vec<Bind>) -> Result<u64, sqlx::Error> {
        let sql = sql.into();
        Ok(match self {
            Tx::Sqlite(tx) => bound::<Sqlite>(sql, binds).execute(&mut *tx.connection).await?.rows_affected(),
            Tx::Postgres(tx) => bound::<Postgres>(sql, binds).execute(&mut **tx).await?.rows_affected(),
        })
    }

    /// Carries out a script of the schema, in which `KEY64` and `WORD` stand for what each database calls them: a 64-bit row
    /// number as primary key, and text that sorts by its bytes. `LONG(column)` ends an index with a text of any length where that
    /// may be.
    pub(crate) async fn script(&mut self, script: &str) -> Result<(), sqlx::Error> {
        match self {
            Tx::Sqlite(tx) => {
                let script =
                    script.replace("KEY64", "INTEGER PRIMARY KEY").replace("WORD", "TEXT").replace(" LONG(search)", ", search");
                sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut *tx.connection).await?;
            }
            Tx::Postgres(tx) => {
                let script = script
                    .replace("KEY64", "BIGINT PRIMARY KEY")
                    .replace("WORD", "TEXT COLLATE \"C\"")
                    .replace(" LONG(search)", "");
                sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut **tx).await?;
            }
        }
        Ok(())
    }

    /// Lets only one process at a time look at the schema and change it.
    pub(crate) async fn lock_schema(&mut self) -> Result<(), sqlx::Error> {
        match self {
            // BEGIN IMMEDIATE has locked the file.
            Tx::Sqlite(_) => {}
            Tx::Postgres(tx) => {
                sqlx::query("SELECT pg_advisory_xact_lock(8433428)").execute(&mut **tx).await?;
            }
        }
        Ok(())
    }

    /// Locks the one row of the feed until the transaction ends, and answers the last position given out.
    pub(crate) async fn lock_feed(&mut self) -> Result<u64, sqlx::Error> {
        let sql = match self {
            Tx::Sqlite(_) => "SELECT position FROM feed",
            Tx::Postgres(_) => "SELECT position FROM feed FOR UPDATE",
        };
        self.rows(sql, vec![]).await?.first().ok_or(sqlx::Error::RowNotFound)?.count(0)
    }

    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Tx::Sqlite(tx) => tx.end("COMMIT").await,
            Tx::Postgres(tx) => tx.commit().await,
        }
    }

    pub(crate) async fn rollback(self) -> Result<(), sqlx::Error> {
        match self {
            Tx::Sqlite(tx) => tx.end("ROLLBACK").await,
            Tx::Postgres(tx) => tx.rollback().await,
        }
    }
}

/// What to do after a statement failed before COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// The values are at fault: only the commit that brought them fails.
    Single,
    /// A lost connection or a lost lock: nothing has happened, so try again.
    Again,
    /// Everything else: every commit of the group fails.
    Fail,
}

/// Reads the cause of a failed statement.
pub(crate) fn after(cause: &sqlx::Error) -> After {
    match cause {
        sqlx::Error::Database(cause) => {
            let code = cause.code().unwrap_or_default();
            match cause.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() {
                // Data exceptions, constraints and program limits; then serialization failures, shut-downs and lost connections.
                Some(_) if ["22", "23", "54"].iter().any(|class| code.starts_with(class)) => After::Single,
                Some(_) if ["40", "57P", "08"].iter().any(|class| code.starts_with(class)) => After::Again,
                Some(_) => After::Fail,
                // CONSTRAINT, TOOBIG and MISMATCH, whose extended codes keep the primary one in the low byte.
                None => match code.parse::<u32>().map(|code| code & 0xff) {
                    Ok(18..=20) => After::Single,
                    _ => After::Fail,
                },
            }
        }
        sqlx::Error::Encode(_) => After::Single,
        sqlx::Error::Io(_) => After::Again,
        _ => After::Fail,
    }
}

fn bound<'q, DB>(sql: Cow<'static, str>, binds: Vec<Bind>) -> sqlx::query::Query<'q, DB, DB::Arguments>
where
    DB: Database,
    i64: for<'t> Encode<'t, DB> + Type<DB>,
    String: for<'t> Encode<'t, DB> + Type<DB>,
    Option<String>: for<'t> Encode<'t, DB> + Type<DB>,
{
    binds.into_iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, bind| match bind {
        Bind::Int(value) => query.bind(value),
        Bind::Text(value) => query.bind(value),
        Bind::TextOrNull(value) => query.bind(value),
    })
}

#[cfg(test)]
mod tests {
    use super::{Address, Db, connect};

    async fn settings(db: &Db, questions: &[&'static str]) -> Vec<String> {
        let mut answers = Vec::new();
        for question in questions {
            let rows = db.rows(*question, vec![]).await.expect("it answers");
            let row = rows.first().expect("it has an answer");
            answers.push(row.int(0).map_or_else(|_| row.text(0).expect("number or text"), |number| number.to_string()));
        }
        answers
    }

    /// A kill cannot show whether a commit was synced, because the pages of a killed process survive it; so this is asked.
    #[tokio::test]
    async fn sqlite_syncs_every_commit() {
        let dir = tempfile::tempdir().expect("there is a folder");
        let connections = connect(Address::Sqlite(dir.path().join("a.db"))).await.expect("it opens");
        let questions = ["PRAGMA journal_mode", "PRAGMA synchronous", "PRAGMA foreign_keys", "PRAGMA busy_timeout"];
        assert_eq!(settings(&connections.write, &questions).await, ["wal", "2", "1", "10000"]);
        let refused = connections.read.rows("CREATE TABLE t (id INTEGER)", vec![]).await;
        assert!(refused.is_err(), "readers only read");
    }

    #[tokio::test]
    async fn a_dropped_transaction_leaves_nothing_and_the_next_one_begins() {
        let dir = tempfile::tempdir().expect("there is a folder");
        let write = connect(Address::Sqlite(dir.path().join("a.db"))).await.expect("it opens").write;
        write.rows("CREATE TABLE t (id INTEGER)", vec![]).await.expect("it is made");
        for _ in 0..3 {
            let mut tx = write.begin().await.expect("it begins");
            tx.execute("INSERT INTO t (id) VALUES (1)", vec![]).await.expect("it is written");
        }
        assert_eq!(settings(&write, &["SELECT COUNT(*) FROM t"]).await, ["0"]);
    }

    #[tokio::test]
    async fn postgres_syncs_every_commit() {
        let Ok(url) = std::env::var("TIDEGATE_TEST_POSTGRES") else { return };
        let connections = connect(Address::parse(&url).expect("it is an address")).await.expect("it opens");
        assert_eq!(settings(&connections.write, &["SHOW synchronous_commit"]).await, ["on"]);
    }
}
