//! Doors of agents, below `/agent/v1`. The contract is `tidegate_api::agent`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use tidegate_api::agent as wire;
use tidegate_api::strict;
use tidegate_domain::deployment::order::{Order, Report};
use tidegate_domain::deployment::rollout::Command;
use tidegate_domain::estate::TargetRecord;
use tidegate_domain::event::Actor;
use tidegate_domain::{Code, Digest, Name, Refusal, limits};
use tidegate_store::{OrderRow, OrderState};

use super::service;
use crate::app::App;
use crate::deployment::desk;
use crate::door::read;
use crate::observe;
use crate::problem::{Fault, No};
use crate::secret;

/// Bytes of one message of an agent: a batch of log chunks.
const MESSAGE_BYTES_MAX: usize = 2 << 20;

/// The doors.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route(wire::ENROL, post(enrol))
        .route(wire::HELLO, post(hello))
        .route(wire::SESSION, post(session))
        .route(wire::POLL, post(poll))
        .route(wire::REPORT, post(report))
        .route(wire::LOG, post(log))
        .route(wire::ARTIFACT, get(artifact))
}

type Shared = State<Arc<App>>;

async fn message<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    strict::json(&read(body, MESSAGE_BYTES_MAX).await?)
}

fn session_token(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// Whose session a call belongs to. Asked before a body is read, so that nobody else fills the memory.
fn agent(app: &App, headers: &HeaderMap) -> Result<Name, Refusal> {
    let target = session_token(headers)
        .and_then(|token| app.sessions.target(token))
        .ok_or_else(|| Refusal::new(Code::NotSignedIn, "this agent has no session", "make a new session with the agent's key"))?;
    observe::asked_by(&Actor::Agent(target.clone()));
    Ok(target)
}

async fn enrol(State(app): Shared, body: Body) -> Result<Json<wire::Enrolled>, No> {
    Ok(Json(service::enrol(&app, message(body).await?).await?))
}

async fn hello(State(app): Shared, body: Body) -> Result<Json<wire::Challenge>, No> {
    let request: wire::Hello = message(body).await?;
    Ok(Json(wire::Challenge { challenge: app.sessions.challenge(&request.target, app.now_ms()) }))
}

async fn session(State(app): Shared, body: Body) -> Result<Json<wire::Session>, No> {
    let request: wire::SessionRequest = message(body).await?;
    let unknown = || Refusal::new(Code::NotSignedIn, "the agent's key is not that of the target", "enrol the agent again");
    if !app.sessions.is_good(&request.target, &request.challenge, app.now_ms()) {
        return Err(unknown().into());
    }
    let found = app.store.load::<TargetRecord>(request.target.as_str()).await?.ok_or_else(unknown)?;
    let text = wire::session_text(&request.target, &request.challenge);
    let key = found.value.state.agent_key.ok_or_else(unknown)?;
    if !secret::verifies(&key, &request.signature, &text) {
        return Err(unknown().into());
    }
    let token = app.sessions.begin(&request.target, &request.challenge, app.now_ms()).ok_or_else(unknown)?;
    // The key may have been replaced while it was looked at; the session of an old key ends before it begins.
    let now = app.store.load::<TargetRecord>(request.target.as_str()).await?.and_then(|found| found.value.state.agent_key);
    if now.as_ref() != Some(&key) {
        app.sessions.end(&request.target);
        return Err(unknown().into());
    }
    // A poll that the session before is holding ends now, so that of two agents one alone hears of an order.
    app.bells.ring(&request.target);
    Ok(Json(wire::Session { token }))
}

async fn poll(State(app): Shared, headers: HeaderMap, body: Body) -> Result<Json<wire::Signed>, No> {
    let target = agent(&app, &headers)?;
    let request: wire::PollRequest = message(body).await?;
    let wait = Duration::from_secs(u64::from(request.wait_seconds.min(limits::POLL_SECONDS)));
    let bell = app.bells.of(&target);
    let until = tokio::time::Instant::now() + wait;
    goes_on(&app)?;
    let asked_ms = app.now_ms();
    loop {
        // The bell is armed before the look, so that a ring in between is not lost.
        let rung = bell.notified();
        tokio::pin!(rung);
        rung.as_mut().enable();
        // While the answer was held the session may have ended.
        agent(&app, &headers)?;
        app.sessions.heard(&target, &request, (asked_ms, app.now_ms()));
        let answer = answer(&app, &target, &request).await?;
        let news = !answer.orders.is_empty() || !answer.cancel.is_empty() || !answer.settled.is_empty();
        if news || is_over(&app, until, rung).await {
            return signed(&app, &answer);
        }
    }
}

/// Sends an agent away that comes while the server ends: it comes back by itself, by then to whoever serves next.
fn goes_on(app: &App) -> Result<(), Refusal> {
    if !app.ending.is_cancelled() {
        return Ok(());
    }
    let remedy = "come back after the seconds that Retry-After names";
    Err(Refusal::new(Code::Overloaded, "the server is about to end", remedy))
}

/// Waits for the bell; whether there was none until then, or the server is about to end.
async fn is_over(app: &App, until: tokio::time::Instant, rung: impl Future<Output = ()>) -> bool {
    tokio::select! {
        () = app.ending.cancelled() => true,
        rung = tokio::time::timeout_at(until, rung) => rung.is_err(),
    }
}

fn signed(app: &App, answer: &wire::PollAnswer) -> Result<Json<wire::Signed>, No> {
    let message = serde_json::to_string(answer).map_err(|error| Fault::new(error.to_string()))?;
    let signature = app.key.sign(&wire::answer_text(&message));
    Ok(Json(wire::Signed { message, signature }))
}

async fn answer(app: &App, target: &Name, request: &wire::PollRequest) -> Result<wire::PollAnswer, No> {
    let open = app.store.open_orders(target).await?;
    let is_known = |row: &OrderRow| request.known.contains(&row.attempt);
    let mut orders = Vec::new();
    for row in open.iter().filter(|row| row.state == OrderState::Open && !is_known(row)) {
        let order: Order =
            serde_json::from_str(&row.body).map_err(|error| Fault::new(format!("order {}: {error}", row.attempt)))?;
        orders.push(order);
    }
    let cancel = open.iter().filter(|row| row.state == OrderState::Cancelling).map(|row| row.attempt.clone()).collect();
    let settled = request.known.iter().filter(|known| !open.iter().any(|row| row.attempt == **known)).cloned().collect();
    Ok(wire::PollAnswer {
        nonce: request.nonce.clone(),
        target: target.clone(),
        server_now_ms: app.now_ms(),
        orders,
        cancel,
        settled,
    })
}

async fn report(State(app): Shared, headers: HeaderMap, body: Body) -> Result<StatusCode, No> {
    let target = agent(&app, &headers)?;
    let report: Report = message(body).await?;
    let ordered = service::ordered(&app, &target, &report.attempt).await?;
    service::bounded(&ordered, &report)?;
    let id = ordered.deployment;
    let context = (Actor::Agent(target), format!("report {}", report.attempt));
    desk::pile(&app, &id, context, Command::Report(Box::new(report))).await?;
    app.wake.notify_one();
    Ok(StatusCode::NO_CONTENT)
}

async fn log(State(app): Shared, headers: HeaderMap, body: Body) -> Result<StatusCode, No> {
    let target = agent(&app, &headers)?;
    service::log(&app, &target, message(body).await?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Only what an open order of this target lists.
async fn artifact(State(app): Shared, Path(digest): Path<String>, headers: HeaderMap) -> Result<Response, No> {
    let target = agent(&app, &headers)?;
    let digest = Digest::parse(&digest)?;
    let listed = app.store.open_orders(&target).await?.iter().any(|row| row.body.contains(digest.as_str()));
    if !listed {
        let what = format!("no open order of {target} lists {}", digest.short());
        return Err(Refusal::new(Code::DigestUnlisted, what, "ask only for what an order lists").into());
    }
    let Some((file, size_bytes)) = app.media.open_read(&digest).await? else {
        return Err(Refusal::not_found("artifact", digest).into());
    };
    let body = Body::from_stream(tokio_util::io::ReaderStream::with_capacity(file, 256 << 10));
    Ok(([(header::CONTENT_LENGTH, size_bytes.to_string())], body).into_response())
}
