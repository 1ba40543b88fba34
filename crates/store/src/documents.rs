//! Immutable documents by digest, and used idempotency keys.

use tidegate_domain::{Digest, Millis};

use crate::db::Bind;
use crate::{Fault, IdempotencyRow, Store};

/// How long an idempotency key is remembered: one day.
const IDEMPOTENCY_MS: Millis = 24 * 60 * 60 * 1_000;

impl Store {
    /// The document with `digest`.
    pub async fn document(&self, digest: &Digest) -> Result<Option<String>, Fault> {
        let sql = "SELECT body FROM documents WHERE digest = $1";
        let rows = self.reads().rows(sql, vec![Bind::from(digest.as_str())]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let body = row.text(0)?;
        if Digest::of(body.as_bytes()) == *digest {
            return Ok(Some(body));
        }
        Err(Fault::corrupt(format!("document {digest}"), "its text has another digest"))
    }

    /// What was answered when `key` was used.
    pub async fn idempotent(&self, key: &str) -> Result<Option<IdempotencyRow>, Fault> {
        let sql = "SELECT key, request, answer, at_ms FROM idempotency WHERE key = $1";
        let rows = self.reads().rows(sql, vec![Bind::from(key)]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let request = Digest::parse(&row.text(1)?).map_err(|cause| Fault::corrupt(format!("idempotency {key}"), cause))?;
        Ok(Some(IdempotencyRow { key: row.text(0)?, request, answer: row.text(2)?, at_ms: row.int(3)? }))
    }

    /// Forgets idempotency keys older than 24 hours; answers how many.
    pub async fn purge(&self, now_ms: Millis) -> Result<u64, Fault> {
        self.writer().purge(now_ms.saturating_sub(IDEMPOTENCY_MS)).await
    }
}
