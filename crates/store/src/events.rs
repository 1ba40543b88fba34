//! Reading events: by position, by stream, and backwards.

use std::collections::BTreeSet;

use tidegate_domain::Millis;
use tidegate_domain::event::{Actor, Noun, Stream};

use crate::db::{Bind, Row};
use crate::records::{ROWS_MAX, contains, rows_limit};
use crate::{Fault, Store, chain};

/// What happened, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Its place among all events: 1 to head without a hole.
    pub position: u64,
    /// Its stream.
    pub stream: Stream,
    /// Its place in the stream, from 1.
    pub version: u64,
    /// The variant's name in snake case.
    pub kind: String,
    /// Who caused it.
    pub actor: Actor,
    /// What led to it.
    pub cause: String,
    /// When.
    pub at_ms: Millis,
    /// Canonical JSON of the variant's fields.
    pub body: String,
    /// SHA-256 in hexadecimal over the canonical JSON of stream, version, kind, actor, cause, instant, body and `previous`.
    pub hash: String,
    /// The hash of the event before it in the stream; 64 zeros in the first one.
    pub previous: String,
}

/// Which events; the default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of one thing.
    pub stream: Option<Stream>,
    /// Of one kind of thing.
    pub noun: Option<Noun>,
    /// By one actor.
    pub actor: Option<Actor>,
    /// With this text in its kind, its cause or what it carries, whatever the case.
    pub text: Option<String>,
}

impl EventFilter {
    /// Whether no index leads to what it lets through, so that a page looks only so far.
    fn is_walked(&self) -> bool {
        let said = [self.stream.is_some(), self.noun.is_some(), self.actor.is_some()];
        self.text.is_some() || (self.stream.is_none() && said.into_iter().filter(|it| *it).count() > 1)
    }
}

/// One page of the history, backwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// What was found, newest first.
    pub rows: Vec<EventRow>,
    /// Before which position the next page looks; none at the beginning of the history.
    pub before: Option<u64>,
}

/// Positions that one page looks through for what no index leads to.
const WALKED_MAX: i64 = 20_000;

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT position, stream, version, kind, actor, cause, at_ms, body, hash, previous FROM events ", $rest)
    };
}

impl Store {
    /// Events after `position`, in order. Never skips one that is committed later: see `group.rs`.
    pub async fn events_after(&self, position: u64, limit: u32) -> Result<Vec<EventRow>, Fault> {
        let sql = select!("WHERE position > $1 ORDER BY position LIMIT $2");
        self.events(sql, vec![Bind::Int(number(position)), rows_limit(limit)]).await
    }

    /// Events of one stream after `after_version`, in order.
    pub async fn events_of(&self, stream: &Stream, after_version: u64, limit: u32) -> Result<Vec<EventRow>, Fault> {
        let sql = select!("WHERE stream = $1 AND version > $2 ORDER BY version LIMIT $3");
        self.events(sql, vec![Bind::from(stream.to_string()), Bind::Int(number(after_version)), rows_limit(limit)]).await
    }

    /// Events before `position` (without one: from the end) that `filter` lets through, newest first. A page may have fewer rows
    /// than `limit`, even none, and still lead on: then only a part of the history was looked through.
    pub async fn events_before(&self, position: Option<u64>, filter: &EventFilter, limit: u32) -> Result<EventPage, Fault> {
        let end = position.map_or(i64::MAX, number).min(number(self.head().await?).saturating_add(1));
        let mut sql = select!("WHERE position < $1").to_owned();
        let mut binds = vec![Bind::Int(end)];
        let said = [
            ("stream", filter.stream.as_ref().map(ToString::to_string)),
            ("noun", filter.noun.map(|noun| noun.as_str().to_owned())),
            ("actor", filter.actor.as_ref().map(ToString::to_string)),
        ];
        for (column, value) in said {
            if let Some(value) = value {
                binds.push(Bind::Text(value));
                sql.push_str(&format!(" AND {column} = ${}", binds.len()));
            }
        }
        let begin = Some(end - WALKED_MAX).filter(|begin| filter.is_walked() && *begin > 1);
        if let Some(begin) = begin {
            binds.push(Bind::Int(begin));
            sql.push_str(&format!(" AND position >= ${}", binds.len()));
        }
        if let Some(text) = &filter.text {
            binds.push(Bind::Text(contains(text)));
            let number = binds.len();
            sql.push_str(&format!(" AND LOWER(kind || ' ' || cause || ' ' || body) LIKE ${number} ESCAPE '\\'"));
        }
        binds.push(rows_limit(limit));
        sql.push_str(&format!(" ORDER BY position DESC LIMIT ${}", binds.len()));
        let rows: Vec<EventRow> = self.reads().rows(sql, binds).await?.iter().map(event_row).collect::<Result<_, _>>()?;
        let before = match rows.last() {
            Some(last) if rows.len() as u32 >= limit.min(ROWS_MAX) => Some(last.position),
            _ => begin.map(|begin| begin as u64),
        };
        Ok(EventPage { rows, before })
    }

    /// Which things of one kind events after `after`, up to `until`, are about; nothing if there are more than `limit` events.
    pub async fn touched(&self, noun: Noun, (after, until): (u64, u64), limit: u32) -> Result<Option<BTreeSet<String>>, Fault> {
        let sql = "SELECT stream FROM events WHERE noun = $1 AND position > $2 AND position <= $3 ORDER BY position LIMIT $4";
        let binds =
            vec![Bind::from(noun.as_str()), Bind::Int(number(after)), Bind::Int(number(until)), Bind::Int(i64::from(limit) + 1)];
        let rows = self.reads().rows(sql, binds).await?;
        if rows.len() > limit as usize {
            return Ok(None);
        }
        let id = |row: &Row| Ok(row.text(0)?.split_once('/').map(|(_, id)| id.to_owned()).unwrap_or_default());
        rows.iter().map(id).collect::<Result<_, Fault>>().map(Some)
    }

    /// The position of the last event; 0 if there is none.
    pub async fn head(&self) -> Result<u64, Fault> {
        let rows = self.reads().rows("SELECT position FROM feed", vec![]).await?;
        Ok(rows.first().ok_or(sqlx::Error::RowNotFound)?.count(0)?)
    }

    /// How many events a stream has; 0 if it has none.
    pub async fn stream_version(&self, stream: &Stream) -> Result<u64, Fault> {
        let sql = "SELECT version FROM streams WHERE stream = $1";
        let rows = self.reads().rows(sql, vec![Bind::from(stream.to_string())]).await?;
        Ok(rows.first().map(|row| row.count(0)).transpose()?.unwrap_or(0))
    }

    async fn events(&self, sql: &'static str, binds: Vec<Bind>) -> Result<Vec<EventRow>, Fault> {
        self.reads().rows(sql, binds).await?.iter().map(event_row).collect()
    }
}

/// A position a caller names may be anything; beyond what the database counts to there is nothing.
fn number(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

fn event_row(row: &Row) -> Result<EventRow, Fault> {
    let position = row.count(0)?;
    let place = || format!("event {position}");
    let stream = row.text(1)?;
    let (noun, id) =
        chain::parse_stream(&stream).ok_or_else(|| Fault::corrupt(place(), format!("\"{stream}\" is not a stream")))?;
    Ok(EventRow {
        position,
        stream: Stream::new(noun, id),
        version: row.count(2)?,
        kind: row.text(3)?,
        actor: Actor::try_from(row.text(4)?).map_err(|cause| Fault::corrupt(place(), cause))?,
        cause: row.text(5)?,
        at_ms: row.int(6)?,
        body: row.text(7)?,
        hash: row.text(8)?,
        previous: row.text(9)?,
    })
}
