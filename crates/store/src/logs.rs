//! Output of steps: telemetry, numbered by the agent, bounded per attempt.

use std::collections::BTreeMap;

use tidegate_domain::Millis;

use crate::bulk::{self, Table};
use crate::db::{Bind, Tx};
use crate::records::rows_limit;
use crate::{Fault, Store};

/// Bytes of output kept of one attempt: 64 MiB, more than all its steps may write; what is beyond is dropped.
pub const ATTEMPT_LOG_BYTES_MAX: u64 = 64 << 20;

/// A piece of the output of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// The attempt.
    pub attempt: String,
    /// Its number, given by the agent; one that is there already stays.
    pub number: u64,
    /// When it was written, by the target's clock.
    pub at_ms: Millis,
    /// The text; NUL is replaced, because `PostgreSQL` cannot keep it.
    pub text: String,
}

/// How much output of an attempt is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogSize {
    /// Bytes of text.
    pub bytes: u64,
    /// Chunks.
    pub chunks: u64,
}

impl Store {
    /// Keeps chunks that are not there yet. Beyond [`ATTEMPT_LOG_BYTES_MAX`] of an attempt they are dropped; [`Store::log_size`]
    /// tells.
    pub async fn append_log(&self, chunks: &[LogChunk]) -> Result<(), Fault> {
        if chunks.is_empty() {
            return Ok(());
        }
        let storable = |chunk: &LogChunk| LogChunk { text: chunk.text.replace('\0', "\u{fffd}"), ..chunk.clone() };
        self.writer().log(chunks.iter().map(storable).collect()).await
    }

    /// Chunks of an attempt after number `after` (without one: from the first), in order.
    pub async fn logs(&self, attempt: &str, after: Option<u64>, limit: u32) -> Result<Vec<LogChunk>, Fault> {
        let sql =
            "SELECT attempt, number, at_ms, text FROM log_chunks WHERE attempt = $1 AND number > $2 ORDER BY number LIMIT $3";
        let after = after.map_or(-1, |after| i64::try_from(after).unwrap_or(i64::MAX));
        let rows = self.reads().rows(sql, vec![Bind::from(attempt), Bind::Int(after), rows_limit(limit)]).await?;
        let chunks = rows
            .iter()
            .map(|row| Ok(LogChunk { attempt: row.text(0)?, number: row.count(1)?, at_ms: row.int(2)?, text: row.text(3)? }));
        chunks.collect()
    }

    /// How much output of an attempt is kept.
    pub async fn log_size(&self, attempt: &str) -> Result<LogSize, Fault> {
        let rows = self.reads().rows("SELECT bytes, chunks FROM log_sizes WHERE attempt = $1", vec![Bind::from(attempt)]).await?;
        let Some(row) = rows.first() else { return Ok(LogSize::default()) };
        Ok(LogSize { bytes: row.count(0)?, chunks: row.count(1)? })
    }
}

const CHUNKS: Table = Table {
    name: "log_chunks",
    columns: &["attempt", "number", "at_ms", "text"],
    conflict: "ON CONFLICT (attempt, number) DO NOTHING RETURNING attempt, number",
};
const SIZES: Table = Table {
    name: "log_sizes",
    columns: &["attempt", "bytes", "chunks"],
    conflict: "ON CONFLICT (attempt) DO UPDATE SET bytes = excluded.bytes, chunks = excluded.chunks",
};

/// Writes chunks as part of the writer's transaction, which nobody else's can overlap.
pub(crate) async fn write(tx: &mut Tx, chunks: &[LogChunk]) -> Result<(), sqlx::Error> {
    if chunks.is_empty() {
        return Ok(());
    }
    let mut fresh: BTreeMap<(&str, u64), &LogChunk> = BTreeMap::new();
    let mut sizes: BTreeMap<String, LogSize> = BTreeMap::new();
    for chunk in chunks {
        fresh.entry((&chunk.attempt, chunk.number)).or_insert(chunk);
        sizes.entry(chunk.attempt.clone()).or_default();
    }
    let attempts = sizes.keys().cloned().collect();
    for row in bulk::select_in(tx, "SELECT attempt, bytes, chunks FROM log_sizes", "attempt", attempts).await? {
        sizes.insert(row.text(0)?, LogSize { bytes: row.count(1)?, chunks: row.count(2)? });
    }
    let mut room: BTreeMap<String, u64> =
        sizes.iter().map(|(attempt, size)| (attempt.clone(), ATTEMPT_LOG_BYTES_MAX.saturating_sub(size.bytes))).collect();
    fresh.retain(|(attempt, _), chunk| {
        let left = room.entry((*attempt).to_owned()).or_default();
        let fits = chunk.text.len() as u64 <= *left;
        *left -= if fits { chunk.text.len() as u64 } else { 0 };
        fits
    });
    let rows = fresh.values().map(|chunk| {
        let number = i64::try_from(chunk.number).unwrap_or(i64::MAX);
        vec![Bind::from(chunk.attempt.as_str()), Bind::Int(number), Bind::Int(chunk.at_ms), Bind::from(chunk.text.as_str())]
    });
    let kept = CHUNKS.insert_returning(tx, rows.collect()).await?;
    for row in kept {
        let (attempt, number) = (row.text(0)?, row.count(1)?);
        let bytes = fresh.get(&(attempt.as_str(), number)).map_or(0, |chunk| chunk.text.len() as u64);
        let size = sizes.entry(attempt).or_default();
        size.bytes += bytes;
        size.chunks += 1;
    }
    let rows = sizes
        .into_iter()
        .map(|(attempt, size)| vec![Bind::Text(attempt), Bind::Int(size.bytes as i64), Bind::Int(size.chunks as i64)]);
    SIZES.insert(tx, rows.collect()).await
}
