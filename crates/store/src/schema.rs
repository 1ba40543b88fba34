//! The tables, as an ordered list of migrations: a script that has been released is never changed, a new one is added.
//!
//! `KEY64` is a 64-bit row number as primary key; `WORD` is text that sorts by its bytes, so that pages and the walk of
//! `verify` come in the same order from both databases.

use crate::Fault;
use crate::db::{Bind, Db};

const MIGRATIONS: &[&str] = &[FIRST, WHO];

/// What somebody did, newest first: the audit asks for it.
const WHO: &str = "CREATE INDEX events_by_actor ON events (actor, position);";

const FIRST: &str = "
-- The last position given out. Its row is locked by whoever writes: see group.rs.
CREATE TABLE feed (id KEY64 CHECK (id = 1), position BIGINT NOT NULL);
INSERT INTO feed (id, position) VALUES (1, 0);

-- The head of every stream, against which a commit is fenced and a removed last event shows.
CREATE TABLE streams (stream WORD PRIMARY KEY, version BIGINT NOT NULL, hash WORD NOT NULL);

CREATE TABLE events (
    position KEY64,
    stream WORD NOT NULL,
    noun WORD NOT NULL,
    version BIGINT NOT NULL,
    kind WORD NOT NULL,
    actor WORD NOT NULL,
    cause WORD NOT NULL,
    at_ms BIGINT NOT NULL,
    previous WORD NOT NULL,
    hash WORD NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX events_by_stream ON events (stream, version);
CREATE INDEX events_by_noun ON events (noun, position);

-- One row per noun instance. `search` is its id and title in lower case. The body comes last: a filter need not read it.
CREATE TABLE records (
    noun WORD NOT NULL,
    id WORD NOT NULL,
    version BIGINT NOT NULL,
    state WORD NOT NULL,
    application WORD,
    environment WORD,
    parent WORD,
    sort_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    title WORD NOT NULL,
    search WORD NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (noun, id)
);
CREATE INDEX records_by_time ON records (noun, sort_at_ms, id);
CREATE INDEX records_by_state ON records (noun, state, sort_at_ms, id);
CREATE INDEX records_by_application ON records (noun, application, sort_at_ms, id) WHERE application IS NOT NULL;
CREATE INDEX records_by_environment ON records (noun, environment, sort_at_ms, id) WHERE environment IS NOT NULL;
CREATE INDEX records_by_parent ON records (noun, parent, sort_at_ms, id) WHERE parent IS NOT NULL;

CREATE TABLE deployment_targets (
    deployment WORD NOT NULL,
    target WORD NOT NULL,
    wave BIGINT NOT NULL,
    state WORD NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (deployment, target)
);
CREATE INDEX deployment_targets_by_wave ON deployment_targets (deployment, wave, target);

CREATE TABLE orders (
    attempt WORD PRIMARY KEY,
    target WORD NOT NULL,
    deployment WORD NOT NULL,
    state WORD NOT NULL,
    changed_at_ms BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX orders_not_closed ON orders (target, changed_at_ms, attempt) WHERE state IN ('open', 'cancelling');

CREATE TABLE documents (digest WORD PRIMARY KEY, body TEXT NOT NULL);

CREATE TABLE idempotency (key WORD PRIMARY KEY, request WORD NOT NULL, at_ms BIGINT NOT NULL, answer TEXT NOT NULL);
CREATE INDEX idempotency_by_time ON idempotency (at_ms);

CREATE TABLE log_chunks (
    attempt WORD NOT NULL,
    number BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (attempt, number)
);
CREATE TABLE log_sizes (attempt WORD PRIMARY KEY, bytes BIGINT NOT NULL, chunks BIGINT NOT NULL);
";

/// The newest schema that this program knows.
pub(crate) fn known() -> u64 {
    MIGRATIONS.len() as u64
}

/// Brings the schema to the newest version in one transaction.
///
/// # Errors
///
/// [`Fault::SchemaNewer`] if a newer program was here.
pub(crate) async fn migrate(db: &Db) -> Result<(), Fault> {
    let mut tx = db.begin().await?;
    tx.lock_schema().await?;
    tx.script("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL);").await?;
    let found = tx.rows("SELECT version FROM schema_version", vec![]).await?.first().map(|row| row.count(0)).transpose()?;
    let known = known();
    let done = found.unwrap_or(0);
    if done > known {
        return Err(Fault::SchemaNewer { found: done, known });
    }
    for script in &MIGRATIONS[done as usize..] {
        tx.script(script).await?;
    }
    let sql = match found {
        None => "INSERT INTO schema_version (version) VALUES ($1)",
        Some(_) => "UPDATE schema_version SET version = $1",
    };
    if done < known {
        tx.execute(sql, vec![Bind::Int(known as i64)]).await?;
    }
    Ok(tx.commit().await?)
}
