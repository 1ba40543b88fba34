//! What agents bring: themselves, and their logs.

use std::collections::BTreeSet;

use tidegate_api::agent as wire;
use tidegate_domain::access::TokenPurpose;
use tidegate_domain::deployment::order::{Installation, Order, Report};
use tidegate_domain::estate::{Event, TargetRecord};
use tidegate_domain::event::{Actor, Noun};
use tidegate_domain::{Code, Name, Refusal, limits};
use tidegate_store::{Commit, CommitError, OrderRow};

use crate::access::service::{gone, used_up};
use crate::app::{App, stream_change};
use crate::bounds;
use crate::problem::{Fault, No};
use crate::secret;

/// Components that one target attests: those of a few applications at their largest.
const ATTESTED_MAX: usize = 5 * limits::COMPONENTS_MAX;

/// The order of an attempt, if it is one of this target's: what nobody ordered is neither reported on nor logged.
pub async fn ordered(app: &App, target: &Name, attempt: &str) -> Result<OrderRow, No> {
    if attempt.split(':').nth(1) != Some(target.as_str()) {
        let what = format!("{target} speaks for another target");
        return Err(Refusal::new(Code::WrongHost, what, "report and log for oneself").into());
    }
    let missing = || Refusal::not_found("attempt", tidegate_domain::ids::clip(attempt));
    Ok(app.store.order(attempt).await?.filter(|row| row.target == *target).ok_or_else(missing)?)
}

/// Refuses a report that says more than its order can lead to: what an agent tells is kept with the deployment and shown to people.
pub fn bounded(ordered: &OrderRow, report: &Report) -> Result<(), No> {
    let order: Order =
        serde_json::from_str(&ordered.body).map_err(|error| Fault::new(format!("order {}: {error}", ordered.attempt)))?;
    let steps = |it: &Installation| it.steps.iter().map(|step| (it.component.clone(), step.name.clone())).collect::<Vec<_>>();
    let steps: Vec<(Name, String)> = order.installations.iter().flat_map(steps).collect();
    bounds::at_most("steps", report.steps.len(), steps.len())?;
    bounds::at_most("attested", report.attested.len(), ATTESTED_MAX)?;
    bounds::text("detail", report.detail.as_deref().unwrap_or_default())?;
    let mut next = 0;
    for (at, step) in report.steps.iter().enumerate() {
        let place = format!("steps[{at}]");
        let is_ordered =
            steps.get(step.index).is_some_and(|(component, name)| (component, name) == (&step.component, &step.name));
        if step.index < next || !is_ordered {
            let what = format!("step {} is not the next of the order's {} steps", step.index, steps.len());
            let remedy = "report the order's steps by their position, component and name, each once and in order";
            return Err(Refusal::new(Code::OutOfRange, what, remedy).at(&place).into());
        }
        bounds::text(&format!("{place}.detail"), step.detail.as_deref().unwrap_or_default())?;
        next = step.index + 1;
    }
    Ok(())
}

/// Makes an agent that of its target.
pub async fn enrol(app: &App, request: wire::EnrolRequest) -> Result<wire::Enrolled, No> {
    // Looked at before the token is used up: a key that is none could never open a session.
    if !secret::is_key(&request.agent_key) {
        let remedy = "send the 32 bytes of an Ed25519 public key in standard base64";
        return Err(Refusal::new(Code::Malformed, "the agent's key is not one", remedy).at("agent_key").into());
    }
    let gone = || gone("get a new one: tidegate target enrol NAME");
    let token = crate::access::good(app, &request.token).await?.ok_or_else(gone)?;
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
    Ok(wire::Enrolled { target, server_key: app.key.public() })
}

/// Keeps pieces of logs.
pub async fn log(app: &App, target: &Name, batch: wire::LogChunks) -> Result<(), No> {
    let mut attempts = BTreeSet::new();
    let mut chunks = Vec::new();
    for chunk in batch.chunks {
        if chunk.text.len() > limits::LOG_CHUNK_BYTES_MAX {
            let remedy = format!("use at most {} bytes", limits::LOG_CHUNK_BYTES_MAX);
            return Err(Refusal::new(Code::TooLarge, "a chunk of a log is too long", remedy).into());
        }
        if attempts.insert(chunk.attempt.clone()) {
            ordered(app, target, &chunk.attempt).await?;
        }
        chunks.push(tidegate_store::LogChunk {
            attempt: chunk.attempt,
            number: chunk.number,
            at_ms: chunk.at_ms,
            text: chunk.text,
        });
    }
    app.store.append_log(&chunks).await?;
    Ok(())
}
