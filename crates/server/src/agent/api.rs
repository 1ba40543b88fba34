//! Doors of agents, below `/agent/v1`. The contract is `tidegate_api::agent`.

use std::collections::BTreeSet;
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
use tidegate_domain::access::TokenPurpose;
use tidegate_domain::deployment::order::{Order, Report};
use tidegate_domain::deployment::rollout::Command;
use tidegate_domain::estate::{Event, TargetRecord};
use tidegate_domain::event::{Actor, Noun};
use tidegate_domain::{Code, Digest, Name, Refusal, limits};
use tidegate_store::{Commit, CommitError, OrderRow, OrderState};

use crate::access::service::{gone, used_up};
use crate::app::{App, stream_change};
use crate::deployment::desk;
use crate::door::read;
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
    session_token(headers).and_then(|token| app.sessions.target(token)).ok_or_else(|| {
        Refusal::new(Code::NotSignedIn, "this agent has no session", "make a new session with the agent's key")
    })
}

/// The order of an attempt, if it is one of this target's: what nobody ordered is neither reported on nor logged.
async fn ordered(app: &App, target: &Name, attempt: &str) -> Result<OrderRow, No> {
    if attempt.split(':').nth(1) != Some(target.as_str()) {
        let what = format!("{target} speaks for another target");
        return Err(Refusal::new(Code::WrongHost, what, "report and log for oneself").into());
    }
    let missing = || Refusal::not_found("attempt", tidegate_domain::ids::clip(attempt));
    Ok(app.store.order(attempt).await?.filter(|row| row.target == *target).ok_or_else(missing)?)
}

async fn enrol(State(app): Shared, body: Body) -> Result<Json<wire::Enrolled>, No> {
    let request: wire::EnrolRequest = message(body).await?;
    // Looked at before the token is used up: a key that is none could never open a session.
    if !secret::is_key(&request.agent_key) {
        let remedy = "send the 32 bytes of an Ed25519 public key in standard base64";
        return Err(Refusal::new(Code::Malformed, "the agent's key is not one", remedy).at("agent_key").into());
    }
    let gone = || gone("get a new one: tidegate target enrol NAME");
    let token = crate::access::good(&app, &request.token).await?.ok_or_else(gone)?;
    let TokenPurpose::Enrolment { target } = token.value.purpose.clone() else { return Err(gone().into()) };
    let found = app.need::<TargetRecord>(&target).await?;
    let event = Event::Enrolled { agent_key: request.agent_key };
    let now_ms = app.now_ms();
    let mut record = found.value;
    record.apply(&event, now_ms);
    let commit = Commit {
        actor: Actor::Agent(target.clone()),
        cause: "enrolment".into(),
        at_ms: now_ms,
        changes: vec![used_up(&token, now_ms), stream_change(found.version, &[event], &record)],
        documents: Vec::new(),
        idempotency: None,
    };
    match app.commit(commit).await {
        Ok(_) => {}
        Err(CommitError::Fence { stream, .. }) if stream.noun == Noun::Token => return Err(gone().into()),
        Err(error) => return Err(error.into()),
    }
    // A new key ends what the old one had opened, a poll that is being held included.
    app.sessions.end(&target);
    app.bells.ring(&target);
    Ok(Json(wire::Enrolled { target, server_key: app.key.public() }))
}

async fn hello(State(app): Shared, body: Body) -> Result<Json<wire::Challenge>, No> {
    let request: wire::Hello = message(body).await?;
    Ok(Json(wire::Challenge { challenge: app.sessions.challenge(&request.target, app.now_ms()) }))
}

async fn session(State(app): Shared, body: Body) -> Result<Json<wire::Session>, No> {
    let request: wire::SessionRequest = message(body).await?;
    let unknown = || Refusal::new(Code::NotSignedIn, "the agent's key is not that of the target", "enrol the agent again");
    if !app.sessions.redeem(&request.target, &request.challenge, app.now_ms()) {
        return Err(unknown().into());
    }
    let found = app.store.load::<TargetRecord>(request.target.as_str()).await?.ok_or_else(unknown)?;
    let text = wire::session_text(&request.target, &request.challenge);
    let key = found.value.state.agent_key.ok_or_else(unknown)?;
    if !secret::verifies(&key, &request.signature, &text) {
        return Err(unknown().into());
    }
    let token = app.sessions.begin(&request.target);
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
    loop {
        // The bell is armed before the look, so that a ring in between is not lost.
        let rung = bell.notified();
        tokio::pin!(rung);
        rung.as_mut().enable();
        // While the answer was held the session may have ended.
        agent(&app, &headers)?;
        app.sessions.heard(&target, &request.agent_version, app.now_ms());
        let answer = answer(&app, &target, &request).await?;
        let news = !answer.orders.is_empty() || !answer.cancel.is_empty() || !answer.settled.is_empty();
        if news || tokio::time::timeout_at(until, rung).await.is_err() {
            let message = serde_json::to_string(&answer).map_err(|error| Fault::new(error.to_string()))?;
            let signature = app.key.sign(&wire::answer_text(&message));
            return Ok(Json(wire::Signed { message, signature }));
        }
    }
}

async fn answer(app: &App, target: &Name, request: &wire::PollRequest) -> Result<wire::PollAnswer, No> {
    let open = app.store.open_orders(target).await?;
    let is_known = |row: &OrderRow| request.known.contains(&row.attempt);
    let mut orders = Vec::new();
    for row in open.iter().filter(|row| row.state == OrderState::Open && !is_known(row)) {
        let order: Order = serde_json::from_str(&row.body).map_err(|error| Fault::new(format!("order {}: {error}", row.attempt)))?;
        orders.push(order);
    }
    let cancel = open.iter().filter(|row| row.state == OrderState::Cancelling).map(|row| row.attempt.clone()).collect();
    let settled = request.known.iter().filter(|known| !open.iter().any(|row| row.attempt == **known)).cloned().collect();
    Ok(wire::PollAnswer { nonce: request.nonce.clone(), target: target.clone(), server_now_ms: app.now_ms(), orders, cancel, settled })
}

async fn report(State(app): Shared, headers: HeaderMap, body: Body) -> Result<StatusCode, No> {
    let target = agent(&app, &headers)?;
    let report: Report = message(body).await?;
    let id = ordered(&app, &target, &report.attempt).await?.deployment;
    let context = (Actor::Agent(target), format!("report {}", report.attempt));
    desk::pile(&app, &id, context, Command::Report(Box::new(report))).await?;
    app.wake.notify_one();
    Ok(StatusCode::NO_CONTENT)
}

async fn log(State(app): Shared, headers: HeaderMap, body: Body) -> Result<StatusCode, No> {
    let target = agent(&app, &headers)?;
    let batch: wire::LogChunks = message(body).await?;
    let mut attempts = BTreeSet::new();
    let mut chunks = Vec::new();
    for chunk in batch.chunks {
        if chunk.text.len() > limits::LOG_CHUNK_BYTES_MAX {
            let remedy = format!("use at most {} bytes", limits::LOG_CHUNK_BYTES_MAX);
            return Err(Refusal::new(Code::TooLarge, "a chunk of a log is too long", remedy).into());
        }
        if attempts.insert(chunk.attempt.clone()) {
            ordered(&app, &target, &chunk.attempt).await?;
        }
        chunks.push(tidegate_store::LogChunk {
            attempt: chunk.attempt,
            number: chunk.number,
            at_ms: chunk.at_ms,
            text: chunk.text,
        });
    }
    app.store.append_log(&chunks).await?;
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
