//! Doors of the history.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get as on_get;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_api::request::Nothing;
use tidegate_api::view::{AuditVerified, BrokenEntry, EventView, Page};
use tidegate_domain::access::{About, Permission};
use tidegate_domain::{Code, Refusal, event, limits};
use tidegate_store::EventRow;

use super::follow::Follower;
use crate::access::Caller;
use crate::app::App;
use crate::door::{Act, Input, Route, Source, Told, get, raw};
use crate::overload::Load;
use crate::problem::No;

/// The doors.
pub fn routes() -> Vec<Route> {
    let stream = ("/stream", Permission::Read, "Follow the history as server-sent events, from Last-Event-ID or `after` on");
    vec![
        get("/events", Permission::Read, "Read the history in order", events),
        raw::<StreamQuery>(Method::GET, stream, Source::Query, Told::Stream, on_get(follow)),
        get("/audit", Permission::Read, "Walk the whole history and verify every hash", verify),
    ]
}

/// The query of the history.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    /// Only what comes after this position.
    #[serde(default)]
    after: Option<u64>,
    /// Entries, 1 to 200; 50 unless said.
    #[serde(default)]
    #[schemars(range(min = 1, max = limits::PAGE_ROWS_MAX))]
    limit: Option<u32>,
    /// Only of this thing, such as `deployment/DEP-…`.
    #[serde(default)]
    stream: Option<String>,
}

/// The whole history tells about everything, so that reading it needs the permission everywhere.
pub fn everywhere(caller: &Caller) -> Result<(), Refusal> {
    caller.require(Permission::Read, About::default())
}

async fn events(app: Arc<App>, act: Act, input: Input<EventsQuery>) -> Result<Page<EventView>, No> {
    everywhere(&act.caller)?;
    let limit = input.body.limit.unwrap_or(limits::PAGE_ROWS);
    if !(1..=limits::PAGE_ROWS_MAX).contains(&limit) {
        let remedy = format!("use 1 to {}", limits::PAGE_ROWS_MAX);
        return Err(Refusal::new(Code::OutOfRange, format!("limit is {limit}"), remedy).at("limit").into());
    }
    let after = input.body.after.unwrap_or(0);
    let rows = match &input.body.stream {
        Some(stream) => app.store.events_of(&stream_of(stream)?, after, limit).await?,
        None => app.store.events_after(after, limit).await?,
    };
    let full = rows.len() as u32 == limit;
    let by_stream = input.body.stream.is_some();
    let next = rows.last().filter(|_| full).map(|row| if by_stream { row.version } else { row.position }.to_string());
    Ok(Page { rows: rows.into_iter().map(view).collect(), next })
}

/// Reads `noun/id`.
pub fn stream_of(text: &str) -> Result<event::Stream, Refusal> {
    let found = text.split_once('/').and_then(|(noun, id)| {
        let noun = event::Noun::ALL.into_iter().find(|it| it.as_str() == noun)?;
        Some(event::Stream::new(noun, id))
    });
    found.ok_or_else(|| {
        let what = format!("\"{}\" is not a stream", tidegate_domain::ids::clip(text));
        Refusal::new(Code::Malformed, what, "use a noun and an id, such as deployment/DEP-…").at("stream")
    })
}

/// An entry as views show it.
pub fn view(row: EventRow) -> EventView {
    let body = serde_json::from_str(&row.body).unwrap_or_default();
    EventView {
        sentence: event::sentence(row.stream.noun, &row.kind, &body),
        position: row.position,
        stream: row.stream,
        version: row.version,
        kind: row.kind,
        actor: row.actor,
        cause: row.cause,
        at_ms: row.at_ms,
        body,
        hash: row.hash,
    }
}

async fn verify(app: Arc<App>, act: Act, _: Input<Nothing>) -> Result<AuditVerified, No> {
    everywhere(&act.caller)?;
    verified(&app).await
}

/// Walks the whole history.
pub async fn verified(app: &App) -> Result<AuditVerified, No> {
    let _walk = app.overload.enter(Load::Walk)?;
    let found = app.store.verify().await?;
    app.metrics.verified(app.now_ms(), found.broken.is_none());
    let broken =
        found.broken.map(|it| BrokenEntry { stream: it.stream, version: it.version, position: it.position, what: it.what });
    Ok(AuditVerified { events: found.events, streams: found.streams, broken })
}

/// Entries sent in one go.
pub(super) const BATCH: u32 = 100;

/// The query of the stream.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamQuery {
    /// Only what comes after this position; what comes from now on unless said.
    #[serde(default)]
    pub(super) after: Option<u64>,
}

async fn follow(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match Follower::begin(app, parts).await {
        Ok(follower) => {
            let entries = futures_util::stream::unfold(follower, Follower::next);
            Sse::new(entries).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response()
        }
        Err(no) => no.into_response(),
    }
}
