//! Following the history as it grows.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use axum::response::sse::Event;
use tidegate_domain::access::Permission;
use tidegate_domain::{Code, Refusal, limits};
use tidegate_store::EventRow;
use tokio::sync::OwnedSemaphorePermit;

use super::api::{BATCH, StreamQuery, everywhere, view};
use crate::access::Caller;
use crate::app::App;
use crate::door::query;
use crate::overload::Load;
use crate::problem::No;

/// Somebody who follows the history.
pub struct Follower {
    app: Arc<App>,
    /// What they came with; looked at again, as their token may end while they follow.
    request: Parts,
    after: u64,
    bell: tokio::sync::watch::Receiver<u64>,
    /// Read and not yet sent, the last one first.
    ready: Vec<EventRow>,
    _held: OwnedSemaphorePermit,
}

impl Follower {
    /// Begins where they left off.
    pub async fn begin(app: Arc<App>, request: Parts) -> Result<Follower, No> {
        allowed(&app, &request).await?;
        let asked: StreamQuery = query(request.uri.query().unwrap_or_default())?;
        let after = match resumed(&request)?.or(asked.after) {
            Some(after) => after,
            None => app.store.head().await?,
        };
        let (bell, held) = (app.store.positions(), app.overload.enter(Load::Follower)?);
        Ok(Follower { app, request, after, bell, ready: Vec::new(), _held: held })
    }

    /// The next entry, as soon as there is one.
    pub async fn next(mut self) -> Option<(Result<Event, Infallible>, Follower)> {
        loop {
            if let Some(row) = self.ready.pop() {
                self.after = row.position;
                let event = Event::default().id(row.position.to_string()).event("entry");
                return Some((Ok(event.json_data(view(row)).unwrap_or_default()), self));
            }
            match self.app.store.events_after(self.after, BATCH).await {
                Ok(rows) if rows.is_empty() => {
                    // Another process may have written, whose bell does not ring here.
                    let patience = Duration::from_secs(u64::from(limits::LOOK_SECONDS));
                    tokio::select! {
                        // Whoever follows comes back by themselves, with the last position they have.
                        () = self.app.ending.cancelled() => return None,
                        _ = tokio::time::timeout(patience, self.bell.changed()) => {}
                    }
                }
                Ok(rows) => {
                    allowed(&self.app, &self.request).await.ok()?;
                    self.ready = rows.into_iter().rev().collect();
                }
                Err(error) => {
                    tracing::warn!(%error, "a follower of the history was let go");
                    return None;
                }
            }
        }
    }
}

async fn allowed(app: &App, request: &Parts) -> Result<(), No> {
    let caller = Caller::of(app, &request.headers, &request.method, Permission::Read).await?;
    Ok(everywhere(&caller)?)
}

/// Where a browser that lost the stream goes on. Whoever sends nonsense must not silently miss what happened meanwhile.
fn resumed(request: &Parts) -> Result<Option<u64>, Refusal> {
    let Some(value) = request.headers.get("last-event-id") else { return Ok(None) };
    if let Some(position) = value.to_str().ok().and_then(|text| text.parse().ok()) {
        Ok(Some(position))
    } else {
        let remedy = "send the id of the last entry as it came";
        Err(Refusal::new(Code::Malformed, "Last-Event-ID is not a position", remedy).at("Last-Event-ID"))
    }
}
