//! The hash of an event, and the walk that verifies every chain.

use sha2::{Digest as _, Sha256};
use tidegate_domain::event::Noun;

use crate::db::{Bind, Db, Row};
use crate::{Fault, Store};

/// What the first event of a stream has as `previous`.
pub(crate) const START: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Events read at once: bounds the memory of the walk.
const PAGE_ROWS: usize = 1_000;

/// What the hash of an event covers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) actor: &'a str,
    pub(crate) at_ms: i64,
    /// Canonical JSON; goes into the hash byte by byte.
    pub(crate) body: &'a str,
    pub(crate) cause: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) previous: &'a str,
    pub(crate) stream: &'a str,
    pub(crate) version: u64,
}

impl Entry<'_> {
    /// SHA-256 in hexadecimal over the canonical JSON of the object with these fields.
    pub(crate) fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.text().as_bytes()))
    }

    /// Written out, because the body is canonical JSON already; the fields stand in byte order.
    fn text(&self) -> String {
        let Entry { at_ms, body, version, .. } = self;
        let [actor, cause, kind, previous, stream] =
            [self.actor, self.cause, self.kind, self.previous, self.stream].map(|text| serde_json::Value::from(text).to_string());
        format!(
            "{{\"actor\":{actor},\"at_ms\":{at_ms},\"body\":{body},\"cause\":{cause},\"kind\":{kind},\
             \"previous\":{previous},\"stream\":{stream},\"version\":{version}}}"
        )
    }
}

/// What the walk over all events found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Events read.
    pub events: u64,
    /// Streams read.
    pub streams: u64,
    /// The first broken entry, by position.
    pub broken: Option<Broken>,
}

/// An entry of the history that does not verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its stream; empty if whole streams are gone.
    pub stream: String,
    /// Its version; of a removed entry, the version that is missing.
    pub version: u64,
    /// Its position; of a removed entry, the position of the next entry of its stream, or of the last one before if none follows.
    pub position: u64,
    /// What is wrong, for people.
    pub what: String,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "position {}, {} version {}: {}", self.position, self.stream, self.version, self.what)
    }
}

impl Store {
    /// Walks every chain in bounded memory, also while commits go on.
    ///
    /// Finds a changed field (the hash differs), a removed entry (a version is missing), a moved one (a position that falls), an
    /// exchanged one (it does not continue the one before it), a removed end (the head in `streams` says more), and whole streams
    /// that are gone (positions are 1 to head without a hole).
    pub async fn verify(&self) -> Result<Verified, Fault> {
        verify(self.reads()).await
    }
}

/// See [`Store::verify`].
pub(crate) async fn verify(db: &Db) -> Result<Verified, Fault> {
    let mut walk = Walk::default();
    loop {
        let after = vec![Bind::from(walk.stream.as_str()), Bind::Int(walk.version), Bind::Int(PAGE_ROWS as i64)];
        let rows = db.rows(WALK, after).await?;
        for row in &rows {
            walk.step(row)?;
        }
        if rows.len() < PAGE_ROWS {
            break;
        }
    }
    walk.end_stream();
    for row in db.rows(HEADS_WITHOUT_EVENTS, vec![]).await? {
        let version = row.count(1)?;
        walk.found(Broken {
            stream: row.text(0)?,
            version: 1,
            position: 0,
            what: format!("every entry is removed: its stream ends at version {version}"),
        });
    }
    if walk.broken.is_none() {
        walk.broken = hole(db).await?;
    }
    Ok(Verified { events: walk.events, streams: walk.streams, broken: walk.broken })
}

/// The first position that is missing though later ones, or the feed, say that it was given out.
async fn hole(db: &Db) -> Result<Option<Broken>, Fault> {
    let rows = db.rows(TOTALS, vec![]).await?;
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let (count, head) = (row.count(0)?, row.count(1)?);
    if count == head {
        return Ok(None);
    }
    let first = db.rows(FIRST_HOLE, vec![]).await?;
    let position = first.first().map(|row| row.count(0)).transpose()?.unwrap_or(0);
    let what =
        format!("there are {count} entries and the feed has given out {head} positions: whole streams are removed or added");
    Ok(Some(Broken { stream: String::new(), version: 0, position, what }))
}

/// Keyset pages in the order of the unique index, each event with the head of its stream from the same snapshot.
const WALK: &str = "SELECT e.stream, e.version, e.position, e.noun, e.kind, e.actor, e.cause, e.at_ms, e.previous, e.hash, e.body, \
                    COALESCE(s.version, -1), COALESCE(s.hash, '') \
                    FROM events e LEFT JOIN streams s ON s.stream = e.stream \
                    WHERE (e.stream, e.version) > ($1, $2) ORDER BY e.stream, e.version LIMIT $3";
const HEADS_WITHOUT_EVENTS: &str = "SELECT s.stream, s.version FROM streams s \
                    WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.stream = s.stream) ORDER BY s.stream LIMIT 1";
const TOTALS: &str = "SELECT (SELECT COUNT(*) FROM events), (SELECT position FROM feed)";
const FIRST_HOLE: &str = "SELECT p.position + 1 FROM (SELECT position FROM events UNION ALL SELECT 0) AS p \
                    WHERE NOT EXISTS (SELECT 1 FROM events n WHERE n.position = p.position + 1) ORDER BY p.position LIMIT 1";

/// The state of the walk: the stream it is in and what the next entry has to continue.
#[derive(Default)]
struct Walk {
    stream: String,
    version: i64,
    position: u64,
    hash: String,
    head_version: i64,
    head_hash: String,
    /// After the first fault of a stream, its later entries say nothing new.
    stream_broken: bool,
    events: u64,
    streams: u64,
    broken: Option<Broken>,
}

impl Walk {
    fn step(&mut self, row: &Row) -> Result<(), Fault> {
        let (stream, version, position) = (row.text(0)?, row.int(1)?, row.count(2)?);
        if stream != self.stream || self.streams == 0 {
            self.end_stream();
            self.streams += 1;
            self.version = 0;
            self.position = 0;
            START.clone_into(&mut self.hash);
            self.stream_broken = false;
            self.stream = stream;
        }
        self.events += 1;
        let what = if self.stream_broken {
            None
        } else {
            self.fault(row, version, position).unwrap_or_else(|cause| Some(unreadable(&cause)))
        };
        if let Some(what) = what {
            self.stream_broken = true;
            // Of a removed entry its own version is named, not that of the one that shows it.
            let version = if version > self.version + 1 { self.version + 1 } else { version };
            self.found(Broken { stream: self.stream.clone(), version: version.max(0) as u64, position, what });
        }
        self.version = version;
        self.position = position;
        self.hash = row.text(9)?;
        self.head_version = row.int(11)?;
        self.head_hash = row.text(12)?;
        Ok(())
    }

    fn fault(&self, row: &Row, version: i64, position: u64) -> Result<Option<String>, sqlx::Error> {
        let (noun, previous) = (row.text(3)?, row.text(8)?);
        let [kind, actor, cause, body] = [row.text(4)?, row.text(5)?, row.text(6)?, row.text(10)?];
        let entry = Entry {
            actor: &actor,
            at_ms: row.int(7)?,
            body: &body,
            cause: &cause,
            kind: &kind,
            previous: &previous,
            stream: &self.stream,
            version: version.max(0) as u64,
        };
        let expected = self.version + 1;
        Ok(if version != expected {
            Some(format!("it is missing: after version {} comes {version}", self.version))
        } else if previous != self.hash {
            Some("it does not continue the entry before it: one of the two was changed or exchanged".to_owned())
        } else if entry.hash() != row.text(9)? {
            Some("its content does not have the hash it was stored with".to_owned())
        } else if position <= self.position {
            Some(format!("it stands out of order: its predecessor is at position {}", self.position))
        } else if self.stream.split_once('/').map(|(noun, _)| noun) != Some(noun.as_str()) {
            Some(format!("its noun column says \"{noun}\""))
        } else {
            None
        })
    }

    /// Compares the last entry of a stream with the head that `streams` remembers.
    fn end_stream(&mut self) {
        if self.streams == 0 || self.stream_broken {
            return;
        }
        let (version, head) = (self.version, self.head_version);
        let (version, what) = if head == -1 {
            (version, "the head of its stream is removed".to_owned())
        } else if head > version {
            (version + 1, format!("it is missing: its stream ends at version {head}"))
        } else if head < version {
            (version, format!("its stream ends at version {head} by its head: the head was changed or the entry added"))
        } else if self.head_hash != self.hash {
            (version, "the head of its stream has another hash".to_owned())
        } else {
            return;
        };
        self.found(Broken { stream: self.stream.clone(), version: version as u64, position: self.position, what });
    }

    fn found(&mut self, broken: Broken) {
        if self.broken.as_ref().is_none_or(|known| broken.position < known.position) {
            self.broken = Some(broken);
        }
    }
}

fn unreadable(cause: &sqlx::Error) -> String {
    format!("it cannot be read: {cause}")
}

/// The kind of thing a stream belongs to, and which one.
pub(crate) fn parse_stream(text: &str) -> Option<(Noun, &str)> {
    let (noun, id) = text.split_once('/')?;
    Noun::ALL.into_iter().find(|known| known.as_str() == noun).map(|noun| (noun, id))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tidegate_domain::canonical;

    use super::{Entry, START};

    #[test]
    fn the_text_that_is_hashed_is_canonical_json() {
        let body = json!({"z": [1, null], "a": "é\n\""});
        let entry = Entry {
            actor: "person:ada",
            at_ms: -5,
            body: &canonical::text(&body),
            cause: "request \"1\"\u{1}",
            kind: "made",
            previous: START,
            stream: "change/CHG-1",
            version: 7,
        };
        let whole = json!({
            "stream": entry.stream, "version": 7, "kind": "made", "actor": "person:ada", "cause": entry.cause,
            "at_ms": -5, "body": body, "previous": START,
        });
        assert_eq!(entry.text(), canonical::text(&whole));
    }
}
