//! The tables, as an ordered list of migrations: one that has been released is never changed, a new one is added. Databases of
//! earlier programs are kept for tests: `crates/testkit/tests/fixtures`.
//!
//! `KEY64` is a 64-bit row number as primary key; `WORD` is text that sorts by its bytes, so that pages and the walk of
//! `verify` come in the same order from both databases.

use crate::db::{Bind, Db};
use crate::{Fault, forms};

/// One step from a version of the schema to the next.
#[derive(Clone, Copy)]
enum Migration {
    /// Statements.
    Script(&'static str),
    /// Records of before 2026-11-26 in the forms of that day.
    Forms,
}

const MIGRATIONS: [Migration; 3] = [Migration::Script(FIRST), Migration::Script(WHO), Migration::Forms];

/// What somebody did, newest first: the audit asks for it.
const WHO: &str = "CREATE INDEX events_by_actor ON events (actor, position);";

/// Indexes that older databases get when they are opened: they hold nothing that is not in the tables, so that an older program
/// works with them, and without.
///
/// The first has all that a search for text and the counts of a calendar look at, so that neither reads a body. `LONG` is a text
/// that `PostgreSQL` takes into no index, as it may be too long there. The others are for lists by name, and for those of one state
/// in one place.
const INDEXES: &str = "
CREATE INDEX IF NOT EXISTS records_walked ON records (noun, sort_at_ms, id, state, application, environment LONG(search));
DROP INDEX IF EXISTS records_by_time;
CREATE INDEX IF NOT EXISTS records_by_application_and_state ON records (noun, application, state, sort_at_ms, id) WHERE application IS NOT NULL;
CREATE INDEX IF NOT EXISTS records_by_environment_and_state ON records (noun, environment, state, sort_at_ms, id) WHERE environment IS NOT NULL;
CREATE INDEX IF NOT EXISTS records_by_state_and_id ON records (noun, state, id);
CREATE INDEX IF NOT EXISTS records_by_application_and_id ON records (noun, application, id) WHERE application IS NOT NULL;
CREATE INDEX IF NOT EXISTS records_by_environment_and_id ON records (noun, environment, id) WHERE environment IS NOT NULL;
";

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

/// What may be done to a database of an earlier program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// It is migrated.
    Migrate,
    /// Nothing, as that program may be running.
    Leave,
}

/// Brings the schema to the newest version in one transaction.
///
/// # Errors
///
/// [`Fault::SchemaNewer`] if a newer program was here; [`Fault::SchemaOlder`] if an older one was and its work is left.
pub(crate) async fn migrate(db: &Db, earlier: Earlier) -> Result<(), Fault> {
    let mut tx = db.begin().await?;
    tx.lock_schema().await?;
    tx.script("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL);").await?;
    let found = tx.rows("SELECT version FROM schema_version", vec![]).await?.first().map(|row| row.count(0)).transpose()?;
    let known = known();
    let done = found.unwrap_or(0);
    if done > known {
        return Err(Fault::SchemaNewer { found: done, known });
    }
    if let Some(found) = found.filter(|found| *found < known && earlier == Earlier::Leave) {
        return Err(Fault::SchemaOlder { found, known });
    }
    for migration in &MIGRATIONS[done as usize..] {
        match migration {
            Migration::Script(script) => tx.script(script).await?,
            Migration::Forms => forms::of_2026_11_26(&mut tx).await?,
        }
    }
    let sql = match found {
        None => "INSERT INTO schema_version (version) VALUES ($1)",
        Some(_) => "UPDATE schema_version SET version = $1",
    };
    if done < known {
        tx.execute(sql, vec![Bind::Int(known as i64)]).await?;
    }
    tx.script(INDEXES).await?;
    Ok(tx.commit().await?)
}
