//! `ledger.sqlite` in the data folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteExecutor, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

/// How long a statement waits for another writer, and a request for a connection.
const WAIT: Duration = Duration::from_secs(5);

/// What a connection is for.
#[derive(Debug, Clone, Copy)]
pub enum Use {
    /// Serving: two connections; a power cut may take the last entries of this sample, but nothing less does.
    Serve,
    /// Migrating: one connection, and what it reports survives a power cut.
    Migrate,
}

/// The data folder that the environment names.
pub fn folder() -> anyhow::Result<PathBuf> {
    let folder = std::env::var_os("TIDEGATE_DATA_DIR").filter(|folder| !folder.is_empty());
    folder.map(PathBuf::from).context("TIDEGATE_DATA_DIR is not set; set it to the folder for ledger.sqlite")
}

/// The database file in a data folder.
pub fn file(folder: &Path) -> PathBuf {
    folder.join("ledger.sqlite")
}

/// Opens the file, and makes it and its folder if there are none.
pub async fn open(folder: &Path, purpose: Use) -> anyhow::Result<SqlitePool> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let (connections, synchronous) = match purpose {
        Use::Serve => (2, SqliteSynchronous::Normal),
        Use::Migrate => (1, SqliteSynchronous::Full),
    };
    let path = file(folder);
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .busy_timeout(WAIT);
    let pool = SqlitePoolOptions::new().max_connections(connections).acquire_timeout(WAIT);
    let pool = pool.idle_timeout(None).max_lifetime(None).test_before_acquire(false);
    pool.connect_with(options).await.with_context(|| format!("{} cannot be opened", path.display()))
}

/// The level of schema: the number of the last migration, committed with it.
pub async fn level(database: impl SqliteExecutor<'_>) -> Result<u32, sqlx::Error> {
    sqlx::query_scalar("PRAGMA user_version").fetch_one(database).await
}
