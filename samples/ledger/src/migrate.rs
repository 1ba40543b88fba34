//! `bin/migrate`: from whatever level the schema has to the one that the version needs.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqlitePool;

use crate::database::{self, Use};
use crate::program::{self, Program};

/// Whether to migrate or only to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Brings the schema to the version's level.
    Apply,
    /// Tells whether it is there, and changes nothing.
    Check,
}

/// What has come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The schema is at the version's level, or above it after a newer version was here.
    Ready {
        /// The schema's level.
        level: u32,
        /// How many migrations were applied to get there.
        applied: u32,
    },
    /// The schema is below the version's level.
    Behind {
        /// The schema's level.
        level: u32,
        /// The version's.
        needed: u32,
    },
}

impl Outcome {
    /// 0 if the schema is ready, 1 if not.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Outcome::Ready { .. } => ExitCode::SUCCESS,
            Outcome::Behind { .. } => ExitCode::from(1),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Ready { level, applied: 0 } => write!(f, "the schema is at {level}, nothing to do"),
            Outcome::Ready { level, applied } => write!(f, "the schema is at {level}, migrations applied: {applied}"),
            Outcome::Behind { level, needed } => write!(f, "the schema is at {level}, {needed} is needed"),
        }
    }
}

/// Migrates `ledger.sqlite` in `TIDEGATE_DATA_DIR` for the `bin/migrate` at `program`, or looks whether that is done.
pub async fn migrate(program: &Path, mode: Mode) -> anyhow::Result<Outcome> {
    let needed = Program::read(program)?.schema;
    let folder = database::folder()?;
    if mode == Mode::Check && !database::file(&folder).exists() {
        return Ok(Outcome::Behind { level: 0, needed });
    }
    let pool = database::open(&folder, Use::Migrate).await?;
    let outcome = match mode {
        Mode::Apply => apply(&pool, &program::migrations(program)?, needed).await,
        Mode::Check => check(&pool, needed).await,
    };
    pool.close().await;
    outcome
}

async fn check(pool: &SqlitePool, needed: u32) -> anyhow::Result<Outcome> {
    let level = database::level(pool).await.context("the level of the schema cannot be read")?;
    Ok(if level >= needed { Outcome::Ready { level, applied: 0 } } else { Outcome::Behind { level, needed } })
}

/// Each migration is one transaction with its number: after a kill, the next run goes on where this one was.
async fn apply(pool: &SqlitePool, folder: &Path, needed: u32) -> anyhow::Result<Outcome> {
    for applied in 0..=needed {
        let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.context("the database is locked")?;
        // Read under the lock: another run may have been faster.
        let level = database::level(&mut *tx).await.context("the level of the schema cannot be read")?;
        if level >= needed {
            return Ok(Outcome::Ready { level, applied });
        }
        let path = folder.join(format!("{:03}.sql", level + 1));
        let sql = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        ensure!(!sql.trim().is_empty(), "{} is empty", path.display());
        // The artifact's own text, as trusted as its programs.
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *tx).await;
        done.with_context(|| format!("{} cannot be applied", path.display()))?;
        let number = format!("PRAGMA user_version = {}", level + 1);
        sqlx::raw_sql(AssertSqlSafe(number)).execute(&mut *tx).await.context("the level cannot be written")?;
        tx.commit().await.with_context(|| format!("{} cannot be committed", path.display()))?;
    }
    bail!("the schema did not reach {needed} after {needed} migrations; look whether one of them sets user_version")
}
