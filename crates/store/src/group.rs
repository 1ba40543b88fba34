//! A group of commits: read what they are fenced on, decide in memory, write in bulk.
//!
//! The decision is pure: given the heads of all streams named and the keys already used, each commit in turn either holds its
//! fences, and then the next one is decided on what it leaves behind, or it does not, and then it leaves nothing behind. So a
//! lost fence needs no savepoint: not one row of it was written.
//!
//! # Positions without gaps
//!
//! A reader that has seen position *p* must never be shown a lower one later, or a feed that resumes from *p* would lose an
//! event. Sequences cannot promise that: they are handed out before the commit and become visible in any order. Here the first
//! statement of every writing transaction locks the one row of `feed` (on `SQLite` the file itself is locked by BEGIN IMMEDIATE)
//! and the last one writes the new position to it; the lock is held until the commit. Hence transactions that write events
//! happen one after the other, whatever process they come from; the positions of the later one are all higher; and a
//! transaction that rolls back gives its positions back. Visible positions are always 1 to head without a hole. Under
//! READ COMMITTED each statement after the lock sees everything that was committed before the lock was granted, so the fences
//! are compared with the truth. What one lock costs is won back by up to 256 commits for each time it is taken. As all writers
//! take this lock first, there is no order in which they could block each other for ever.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use tidegate_domain::event::{NewEvent, Stream};
use tidegate_domain::{Digest, Millis, canonical};

use crate::bulk::{self, Table};
use crate::chain::{self, Entry};
use crate::commit::{Commit, StreamChange};
use crate::db::{Bind, Tx};
use crate::{CommitError, Committed, Fault, IdempotencyRow, OrderRow, RecordRow, TargetRow};

/// A commit as the writer takes it: checked for contradictions, everything that costs time done.
#[derive(Debug)]
pub(crate) struct Prepared {
    actor: String,
    cause: String,
    at_ms: Millis,
    changes: Vec<PreparedChange>,
    documents: Vec<(Digest, String)>,
    idempotency: Option<IdempotencyRow>,
}

#[derive(Debug)]
struct PreparedChange {
    stream: Stream,
    stream_text: String,
    expected_version: u64,
    events: Vec<PreparedEvent>,
    record: Option<RecordRow>,
    targets: Vec<TargetRow>,
    orders: Vec<OrderRow>,
}

#[derive(Debug)]
struct PreparedEvent {
    kind: String,
    /// Canonical JSON.
    body: String,
    /// Actor and cause, where they are not the commit's.
    origin: Option<(String, String)>,
}

impl PreparedEvent {
    fn of(event: NewEvent) -> PreparedEvent {
        let origin = event.origin.map(|origin| (origin.actor.to_string(), origin.cause));
        PreparedEvent { kind: event.kind, body: canonical::text(&event.body), origin }
    }
}

impl Prepared {
    pub(crate) fn of(commit: Commit) -> Result<Prepared, Fault> {
        for (digest, body) in &commit.documents {
            if Digest::of(body.as_bytes()) != *digest {
                return Err(Fault::Contradiction(format!("the text of document {digest} has another digest")));
            }
        }
        let changes = commit.changes.into_iter().map(PreparedChange::of).collect::<Result<_, _>>()?;
        Ok(Prepared {
            actor: commit.actor.to_string(),
            cause: commit.cause,
            at_ms: commit.at_ms,
            changes,
            documents: commit.documents,
            idempotency: commit.idempotency,
        })
    }

    /// How many rows it writes, about.
    pub(crate) fn weight(&self) -> usize {
        1 + self.changes.iter().map(|change| 1 + change.events.len() + change.targets.len() + change.orders.len()).sum::<usize>()
    }
}

impl PreparedChange {
    fn of(change: StreamChange) -> Result<PreparedChange, Fault> {
        let StreamChange { stream, expected_version, events, record, targets, orders } = change;
        if let Some(record) = &record
            && (record.noun != stream.noun || record.id != stream.id)
        {
            return Err(Fault::Contradiction(format!("the change of {stream} carries the record {}/{}", record.noun, record.id)));
        }
        let events = events.into_iter().map(PreparedEvent::of).collect();
        Ok(PreparedChange { stream_text: stream.to_string(), stream, expected_version, events, record, targets, orders })
    }
}

/// The end of a stream.
#[derive(Debug, Clone)]
struct Head {
    version: u64,
    hash: String,
}

/// What the group is decided on.
#[derive(Debug, Default)]
pub(crate) struct Known {
    position: u64,
    heads: HashMap<String, Head>,
    keys: HashSet<String>,
}

/// What was decided, and the rows that say so.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// One for each commit, in order.
    pub(crate) outcomes: Vec<Result<Committed, CommitError>>,
    /// The last position given out after the group.
    pub(crate) position: u64,
    events: Vec<Vec<Bind>>,
    streams: BTreeMap<String, Head>,
    records: BTreeMap<(&'static str, String), Vec<Bind>>,
    targets: BTreeMap<(String, String), Vec<Bind>>,
    orders: BTreeMap<String, Vec<Bind>>,
    documents: BTreeMap<String, String>,
    idempotency: Vec<Vec<Bind>>,
}

impl Known {
    /// Locks the feed and reads what `commits` are fenced on.
    pub(crate) async fn read(tx: &mut Tx, commits: &[Prepared]) -> Result<Known, sqlx::Error> {
        let mut known = Known { position: tx.lock_feed().await?, ..Known::default() };
        let streams: BTreeSet<&String> =
            commits.iter().flat_map(|commit| &commit.changes).map(|change| &change.stream_text).collect();
        let streams = streams.into_iter().cloned().collect();
        for row in bulk::select_in(tx, "SELECT stream, version, hash FROM streams", "stream", streams).await? {
            known.heads.insert(row.text(0)?, Head { version: row.count(1)?, hash: row.text(2)? });
        }
        let keys: BTreeSet<&String> =
            commits.iter().filter_map(|commit| commit.idempotency.as_ref()).map(|row| &row.key).collect();
        let keys = keys.into_iter().cloned().collect();
        for row in bulk::select_in(tx, "SELECT key FROM idempotency", "key", keys).await? {
            known.keys.insert(row.text(0)?);
        }
        Ok(known)
    }

    fn version(&self, stream: &str) -> u64 {
        self.heads.get(stream).map_or(0, |head| head.version)
    }
}

impl Plan {
    /// Decides `commits` one after the other; at most `allowance` of them may succeed.
    pub(crate) fn of(commits: &[Prepared], mut known: Known, allowance: Option<u64>) -> Plan {
        let mut plan = Plan::default();
        let mut left = allowance.unwrap_or(u64::MAX);
        for commit in commits {
            let outcome =
                if left == 0 { Err(CommitError::Stopped) } else { admit(commit, &known).map(|()| plan.take(commit, &mut known)) };
            left -= u64::from(outcome.is_ok());
            plan.outcomes.push(outcome);
        }
        plan.position = known.position;
        plan
    }

    /// How many of the commits succeed.
    pub(crate) fn successes(&self) -> u64 {
        self.outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64
    }

    fn take(&mut self, commit: &Prepared, known: &mut Known) -> Committed {
        let mut versions = Vec::with_capacity(commit.changes.len());
        for change in &commit.changes {
            let head = self.take_events(commit, change, known);
            versions.push((change.stream.clone(), head.version));
            if let Some(record) = &change.record {
                let row = record_binds(record, head.version, commit.at_ms);
                self.records.insert((record.noun.as_str(), record.id.clone()), row);
            }
            for target in &change.targets {
                let key = (target.deployment.to_string(), target.target.to_string());
                self.targets.insert(key, target_binds(target));
            }
            for order in &change.orders {
                self.orders.insert(order.attempt.clone(), order_binds(order));
            }
        }
        for (digest, body) in &commit.documents {
            self.documents.insert(digest.to_string(), body.clone());
        }
        if let Some(row) = &commit.idempotency {
            known.keys.insert(row.key.clone());
            self.idempotency.push(idempotency_binds(row));
        }
        Committed { position: known.position, versions }
    }

    fn take_events(&mut self, commit: &Prepared, change: &PreparedChange, known: &mut Known) -> Head {
        let stream = &change.stream_text;
        let start = || Head { version: 0, hash: chain::START.to_owned() };
        let mut head = known.heads.get(stream).cloned().unwrap_or_else(start);
        for PreparedEvent { kind, body, origin } in &change.events {
            let origin = origin.as_ref().map(|(actor, cause)| (actor.as_str(), cause.as_str()));
            let (actor, cause) = origin.unwrap_or((commit.actor.as_str(), commit.cause.as_str()));
            let at_ms = commit.at_ms;
            head.version += 1;
            known.position += 1;
            let entry = Entry { actor, at_ms, body, cause, kind, previous: &head.hash, stream, version: head.version };
            let hash = entry.hash();
            self.events.push(vec![
                Bind::Int(known.position as i64),
                Bind::from(stream.as_str()),
                Bind::from(change.stream.noun.as_str()),
                Bind::Int(head.version as i64),
                Bind::from(kind.as_str()),
                Bind::from(actor),
                Bind::from(cause),
                Bind::Int(at_ms),
                Bind::Text(std::mem::replace(&mut head.hash, hash.clone())),
                Bind::Text(hash),
                Bind::from(body.as_str()),
            ]);
        }
        if !change.events.is_empty() {
            self.streams.insert(stream.clone(), head.clone());
            known.heads.insert(stream.clone(), head.clone());
        }
        head
    }

    /// Writes the rows of all commits that succeed.
    pub(crate) async fn write(&mut self, tx: &mut Tx) -> Result<(), sqlx::Error> {
        EVENTS.insert(tx, std::mem::take(&mut self.events)).await?;
        let streams = std::mem::take(&mut self.streams).into_iter();
        let streams =
            streams.map(|(stream, head)| vec![Bind::Text(stream), Bind::Int(head.version as i64), Bind::Text(head.hash)]);
        STREAMS.insert(tx, streams.collect()).await?;
        RECORDS.insert(tx, std::mem::take(&mut self.records).into_values().collect()).await?;
        TARGETS.insert(tx, std::mem::take(&mut self.targets).into_values().collect()).await?;
        ORDERS.insert(tx, std::mem::take(&mut self.orders).into_values().collect()).await?;
        let documents = std::mem::take(&mut self.documents).into_iter();
        DOCUMENTS.insert(tx, documents.map(|(digest, body)| vec![Bind::Text(digest), Bind::Text(body)]).collect()).await?;
        IDEMPOTENCY.insert(tx, std::mem::take(&mut self.idempotency)).await?;
        tx.execute("UPDATE feed SET position = $1", vec![Bind::Int(self.position as i64)]).await?;
        Ok(())
    }
}

/// Whether `commit` holds all its fences; the versions a change leaves behind count for the next change of the same commit.
fn admit(commit: &Prepared, known: &Known) -> Result<(), CommitError> {
    if let Some(row) = &commit.idempotency
        && known.keys.contains(&row.key)
    {
        return Err(CommitError::KeyTaken { key: row.key.clone() });
    }
    let mut moved: HashMap<&str, u64> = HashMap::new();
    for change in &commit.changes {
        let stream = change.stream_text.as_str();
        let found = moved.get(stream).copied().unwrap_or_else(|| known.version(stream));
        if found != change.expected_version {
            let expected = change.expected_version;
            return Err(CommitError::Fence { stream: change.stream.clone(), expected, found });
        }
        moved.insert(stream, found + change.events.len() as u64);
    }
    Ok(())
}

const EVENTS: Table = Table {
    name: "events",
    columns: &["position", "stream", "noun", "version", "kind", "actor", "cause", "at_ms", "previous", "hash", "body"],
    conflict: "",
};
const STREAMS: Table = Table {
    name: "streams",
    columns: &["stream", "version", "hash"],
    conflict: "ON CONFLICT (stream) DO UPDATE SET version = excluded.version, hash = excluded.hash",
};
const RECORDS: Table = Table {
    name: "records",
    columns: &[
        "noun",
        "id",
        "version",
        "state",
        "application",
        "environment",
        "parent",
        "sort_at_ms",
        "updated_at_ms",
        "title",
        "search",
        "body",
    ],
    conflict: "ON CONFLICT (noun, id) DO UPDATE SET version = excluded.version, state = excluded.state, \
               application = excluded.application, environment = excluded.environment, parent = excluded.parent, \
               sort_at_ms = excluded.sort_at_ms, updated_at_ms = excluded.updated_at_ms, title = excluded.title, \
               search = excluded.search, body = excluded.body",
};
const TARGETS: Table = Table {
    name: "deployment_targets",
    columns: &["deployment", "target", "wave", "state", "changed_at_ms", "body"],
    conflict: "ON CONFLICT (deployment, target) DO UPDATE SET wave = excluded.wave, state = excluded.state, \
               changed_at_ms = excluded.changed_at_ms, body = excluded.body",
};
const ORDERS: Table = Table {
    name: "orders",
    columns: &["attempt", "target", "deployment", "state", "changed_at_ms", "body"],
    conflict: "ON CONFLICT (attempt) DO UPDATE SET target = excluded.target, deployment = excluded.deployment, \
               state = excluded.state, changed_at_ms = excluded.changed_at_ms, body = excluded.body",
};
const DOCUMENTS: Table = Table { name: "documents", columns: &["digest", "body"], conflict: "ON CONFLICT (digest) DO NOTHING" };
const IDEMPOTENCY: Table = Table { name: "idempotency", columns: &["key", "request", "at_ms", "answer"], conflict: "" };

fn record_binds(record: &RecordRow, version: u64, updated_at_ms: Millis) -> Vec<Bind> {
    let index = &record.index;
    vec![
        Bind::from(record.noun.as_str()),
        Bind::from(record.id.as_str()),
        Bind::Int(version as i64),
        Bind::from(index.state.as_str()),
        Bind::from(index.application.as_ref().map(ToString::to_string)),
        Bind::from(index.environment.as_ref().map(ToString::to_string)),
        Bind::from(index.parent.clone()),
        Bind::Int(index.sort_at_ms),
        Bind::Int(updated_at_ms),
        Bind::from(index.title.as_str()),
        Bind::from(format!("{}\n{}", record.id, index.title).to_lowercase()),
        Bind::from(record.body.as_str()),
    ]
}

fn target_binds(row: &TargetRow) -> Vec<Bind> {
    vec![
        Bind::from(row.deployment.as_str()),
        Bind::from(row.target.as_str()),
        Bind::Int(i64::from(row.wave)),
        Bind::from(row.state.as_str()),
        Bind::Int(row.changed_at_ms),
        Bind::from(row.body.as_str()),
    ]
}

fn order_binds(row: &OrderRow) -> Vec<Bind> {
    vec![
        Bind::from(row.attempt.as_str()),
        Bind::from(row.target.as_str()),
        Bind::from(row.deployment.as_str()),
        Bind::from(row.state.as_str()),
        Bind::Int(row.changed_at_ms),
        Bind::from(row.body.as_str()),
    ]
}

fn idempotency_binds(row: &IdempotencyRow) -> Vec<Bind> {
    vec![Bind::from(row.key.as_str()), Bind::from(row.request.as_str()), Bind::Int(row.at_ms), Bind::from(row.answer.as_str())]
}
