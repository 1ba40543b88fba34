//! What can go wrong: a fault is ours and has a cause; a lost race is neither.

use std::path::PathBuf;
use std::sync::Arc;

use tidegate_domain::event::Stream;
use tidegate_domain::{Code, Refusal};

/// Something of ours that failed, with its cause.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault {
    /// The database said no, is not there, or has no room.
    #[error("the database failed: {0}")]
    Database(Arc<sqlx::Error>),
    /// A file operation failed.
    #[error("{path} failed: {cause}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        cause: Arc<std::io::Error>,
    },
    /// What was read cannot have been written by this program.
    #[error("{place} is corrupt: {what}")]
    Corrupt {
        /// Table and key.
        place: String,
        /// What does not fit.
        what: String,
    },
    /// The address of the database cannot be used.
    #[error("the database address is not usable: {what}; {remedy}")]
    Address {
        /// What is wrong with it.
        what: String,
        /// What would be right.
        remedy: &'static str,
    },
    /// The database was written by a newer program.
    #[error(
        "the database has schema {found} and this program knows schemas up to {known}; start the newer program, or restore a backup that was made before it ran"
    )]
    SchemaNewer {
        /// The version in the database.
        found: u64,
        /// The newest version this program knows.
        known: u64,
    },
    /// The database is that of an older program, which may be running.
    #[error("the database has schema {found}, of an older program, and this program's is {known}")]
    SchemaOlder {
        /// The version in the database.
        found: u64,
        /// The version of this program.
        known: u64,
    },
    /// The linked `SQLite` is older than the first one without the WAL-reset race.
    #[error("the linked SQLite is {found} and at least {needed} is needed")]
    SqliteTooOld {
        /// The linked version.
        found: String,
        /// The oldest one accepted.
        needed: &'static str,
    },
    /// A page cursor that this program did not make, or that belongs to another order of rows.
    #[error("\"{cursor}\" is not a page cursor of this list")]
    CursorInvalid {
        /// The cursor, clipped.
        cursor: String,
    },
    /// This database cannot do that.
    #[error("{what}; {remedy}")]
    Unsupported {
        /// What was asked.
        what: String,
        /// What to do instead.
        remedy: String,
    },
    /// A commit that contradicts itself; a mistake in the caller.
    #[error("the commit contradicts itself: {0}")]
    Contradiction(String),
    /// The queue to the writer stayed full.
    #[error("the writer did not take the commit within {seconds} s")]
    Overloaded {
        /// How long it was tried.
        seconds: u64,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl Fault {
    /// The fault as a refusal, where a person's input caused it rather than we.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Fault::CursorInvalid { cursor } => Some(Refusal::new(
                Code::Malformed,
                format!("\"{cursor}\" is not a page cursor of this list"),
                "use the cursor from the answer before, unchanged, or none for the first page",
            )),
            Fault::SchemaOlder { .. } => Some(Refusal::new(
                Code::StateForbids,
                self.to_string(),
                "use the program that runs the server; or start the server with this one first, which migrates the database",
            )),
            Fault::Unsupported { what, remedy } => Some(Refusal::new(Code::StateForbids, what, remedy)),
            Fault::Overloaded { .. } => {
                Some(Refusal::new(Code::Overloaded, "the database is behind with its work", "try again in a few seconds"))
            }
            Fault::Database(_)
            | Fault::Io { .. }
            | Fault::Corrupt { .. }
            | Fault::Address { .. }
            | Fault::SchemaNewer { .. }
            | Fault::SqliteTooOld { .. }
            | Fault::Contradiction(_)
            | Fault::Closed => None,
        }
    }

    pub(crate) fn io(path: impl Into<PathBuf>, cause: std::io::Error) -> Fault {
        Fault::Io { path: path.into(), cause: Arc::new(cause) }
    }

    pub(crate) fn corrupt(place: impl Into<String>, what: impl std::fmt::Display) -> Fault {
        Fault::Corrupt { place: place.into(), what: what.to_string() }
    }
}

impl From<sqlx::Error> for Fault {
    fn from(cause: sqlx::Error) -> Fault {
        Fault::Database(Arc::new(cause))
    }
}

/// Why a commit was not made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// The stream is not at the version the decision was made on: load again and decide again.
    #[error("{stream} is at version {found}, not {expected}")]
    Fence {
        /// The stream.
        stream: Stream,
        /// The version the decision was made on.
        expected: u64,
        /// The version it has.
        found: u64,
    },
    /// Another commit has used the idempotency key: read its answer with [`crate::Store::idempotent`].
    #[error("the idempotency key \"{key}\" has been used")]
    KeyTaken {
        /// The key.
        key: String,
    },
    /// Fault injection: see [`crate::Store::stop_after`].
    #[error("commits are stopped by fault injection")]
    Stopped,
    /// A fault. The commit was not acknowledged; whether it is stored shows only after loading again.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for CommitError {
    fn from(cause: sqlx::Error) -> CommitError {
        CommitError::Fault(cause.into())
    }
}
