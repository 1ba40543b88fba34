//! What a commit is made of.

use tidegate_domain::event::{Actor, NewEvent, Noun, Stream};
use tidegate_domain::{Digest, Millis, canonical};

use crate::{Index, OrderRow, Record, TargetRow};

/// One change, whole or not at all.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Who caused it; an event may name somebody of its own.
    pub actor: Actor,
    /// What led to it: `request <id>`, `orchestrator`, `report <attempt>`; an event may name a cause of its own.
    pub cause: String,
    /// When.
    pub at_ms: Millis,
    /// The streams it changes, each fenced.
    pub changes: Vec<StreamChange>,
    /// Immutable documents with the digest of their text; one that is there already stays.
    pub documents: Vec<(Digest, String)>,
    /// The idempotency key that is used up with it.
    pub idempotency: Option<IdempotencyRow>,
}

/// The change of one stream.
#[derive(Debug, Clone)]
pub struct StreamChange {
    /// The stream.
    pub stream: Stream,
    /// The version it must have: the number of its events, 0 if it must not exist.
    pub expected_version: u64,
    /// What happened. May be empty: then the fence is only checked.
    pub events: Vec<NewEvent>,
    /// The new snapshot.
    pub record: Option<RecordRow>,
    /// Target rows to write, by deployment and target.
    pub targets: Vec<TargetRow>,
    /// Orders to write, by attempt.
    pub orders: Vec<OrderRow>,
}

/// A snapshot with its index columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRow {
    /// What kind of thing.
    pub noun: Noun,
    /// Which one.
    pub id: String,
    /// What lists filter and sort by.
    pub index: Index,
    /// Canonical JSON.
    pub body: String,
}

impl RecordRow {
    /// The row of `record`.
    pub fn of<T: Record>(record: &T) -> RecordRow {
        RecordRow { noun: T::NOUN, id: record.id(), index: record.index(), body: canonical::text(record) }
    }
}

/// A used idempotency key: the caller's actor and key, what was asked, and what was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRow {
    /// Actor and key.
    pub key: String,
    /// Digest of the request.
    pub request: Digest,
    /// JSON of status and body.
    pub answer: String,
    /// When it was used.
    pub at_ms: Millis,
}

/// What a commit has become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The position of its last event; without events, of the last event there is.
    pub position: u64,
    /// The version each of its streams has now, in the order of the changes.
    pub versions: Vec<(Stream, u64)>,
}
