//! What an event of a deployment leads to elsewhere, in the same commit: target rows, orders, the application's place, the
//! change, the release, and the plan back.

use std::collections::BTreeSet;

use tidegate_domain::change::{self, Change};
use tidegate_domain::deployment::plan::{Plan, Ticket};
use tidegate_domain::deployment::rollout::{Birth, Deployment, Event, TargetProgress, TargetState};
use tidegate_domain::estate::{Environment, Slot, SlotEvent, Tier};
use tidegate_domain::event::Actor;
use tidegate_domain::release::{self, Release};
use tidegate_domain::{Id, Millis, Name, canonical};
use tidegate_store::{OrderRow, OrderState, Stored, StreamChange, TargetRow};

use super::facts;
use crate::app::{App, stream_change};
use crate::problem::{Fault, No};

/// The change of a deployment's own stream: `deployment` as the events leave it.
pub fn own(expected_version: u64, events: &[Event], (deployment, plan): (&Deployment, &Plan), now_ms: Millis) -> StreamChange {
    let touched: BTreeSet<&Name> = events.iter().flat_map(Event::touched).collect();
    let mut change = stream_change(expected_version, events, deployment);
    change.targets = touched.iter().filter_map(|name| deployment.targets.get(*name)).map(|it| row(&deployment.id, it)).collect();
    change.orders = orders(events, deployment, plan, now_ms);
    change
}

/// A target's row.
pub fn row(deployment: &Id, progress: &TargetProgress) -> TargetRow {
    TargetRow {
        deployment: deployment.clone(),
        target: progress.target.clone(),
        wave: progress.wave,
        state: progress.state.as_str().to_owned(),
        changed_at_ms: progress.changed_at_ms,
        body: canonical::text(progress),
    }
}

fn orders(events: &[Event], deployment: &Deployment, plan: &Plan, now_ms: Millis) -> Vec<OrderRow> {
    // A person's stop ends what is under way; a failure lets it come to its own end.
    let stopped = events.iter().any(|event| matches!(event, Event::Failing { by: Some(_), .. }));
    let mut names: BTreeSet<&Name> = events.iter().flat_map(Event::touched).collect();
    if stopped {
        names.extend(deployment.targets.values().filter(|it| it.state.is_in_flight()).map(|it| &it.target));
    }
    let progress = names.into_iter().filter_map(|name| deployment.targets.get(name)).filter(|progress| progress.attempt > 0);
    let heard = |name: &Name| events.iter().any(|event| matches!(event, Event::TargetReported { target, .. } if target == name));
    progress.filter_map(|it| order(deployment, plan, it, (stopped, heard(&it.target), now_ms))).collect()
}

/// The order of a target's current try, in the state that its progress asks for.
fn order(deployment: &Deployment, plan: &Plan, progress: &TargetProgress, told: (bool, bool, Millis)) -> Option<OrderRow> {
    let (stopped, heard, now_ms) = told;
    let state = match progress.state {
        TargetState::Ordered | TargetState::InProgress if stopped => OrderState::Cancelling,
        TargetState::Ordered | TargetState::InProgress => OrderState::Open,
        // Late ones are told to end, if they are ever heard of again.
        TargetState::TimedOut | TargetState::Unreachable if !heard => OrderState::Cancelling,
        TargetState::Pending
        | TargetState::Healthy
        | TargetState::Failed
        | TargetState::TimedOut
        | TargetState::Unreachable
        | TargetState::Excluded
        | TargetState::AlreadyCurrent
        | TargetState::Cancelled
        | TargetState::Unknown => OrderState::Closed,
    };
    let target = plan.target(progress.wave, &progress.target)?;
    let ticket = Ticket {
        deployment: &deployment.id,
        plan: &deployment.plan,
        attempt: progress.attempt,
        generation: deployment.generation,
        expires_at_ms: progress.ordered_at_ms? + i64::from(plan.unreachable_after_seconds) * 1_000,
        start_at: progress.start_at,
    };
    let order = plan.order(target, &ticket);
    Some(OrderRow {
        attempt: order.attempt.clone(),
        target: order.target.clone(),
        deployment: deployment.id.clone(),
        state,
        body: canonical::text(&order),
        changed_at_ms: now_ms,
    })
}

/// Everything that changes with the events in other streams.
pub async fn elsewhere(app: &App, deployment: &Deployment, plan: &Plan, events: &[Event]) -> Result<Vec<StreamChange>, No> {
    let now_ms = app.now_ms();
    let mut changes = Vec::new();
    changes.extend(place(app, deployment, plan, events).await?);
    changes.extend(authorisation(app, deployment, events, now_ms).await?);
    changes.extend(package(app, deployment, events, now_ms).await?);
    if events.iter().any(|event| matches!(event, Event::FallbackStarted { .. })) {
        changes.push(way_back(app, deployment, now_ms).await?);
    }
    Ok(changes)
}

/// The application's place: taken at the start, handed over to the plan back, freed at the end.
async fn place(app: &App, deployment: &Deployment, plan: &Plan, events: &[Event]) -> Result<Option<StreamChange>, No> {
    let found = facts::slot(app, &deployment.environment, &deployment.application).await?;
    let taken_over = events.iter().any(|event| matches!(event, Event::FallbackStarted { .. }));
    if taken_over && found.value.holder.as_ref() != Some(&deployment.id) {
        return Err(Fault::new(format!("{} would fall back over another deployment", deployment.id)).into());
    }
    let mut happened = Vec::new();
    for event in events {
        happened.extend(at_place(&found.value, deployment, plan, event));
    }
    let now_ms = app.now_ms();
    let mut slot = found.value.clone();
    happened.iter().for_each(|event: &SlotEvent| slot.apply(event, now_ms));
    Ok((!happened.is_empty()).then(|| stream_change(found.version, &happened, &slot)))
}

fn at_place(slot: &Slot, deployment: &Deployment, plan: &Plan, event: &Event) -> Vec<SlotEvent> {
    let freed = || SlotEvent::Freed { deployment: deployment.id.clone() };
    match event {
        Event::Started { generation } => vec![SlotEvent::Taken { deployment: deployment.id.clone(), generation: *generation }],
        // Falling back after the end takes the place again, before the plan back does.
        Event::Failing { .. } if slot.holder.is_none() => {
            vec![SlotEvent::Taken { deployment: deployment.id.clone(), generation: deployment.generation.max(slot.generation) }]
        }
        Event::FallbackStarted { deployment: back } => {
            vec![SlotEvent::Taken { deployment: back.clone(), generation: slot.generation + 1 }]
        }
        // Where nothing was done, nothing was verified.
        Event::Succeeded { empty: true } => vec![freed()],
        Event::Succeeded { empty: false } => {
            // The way back brings nothing of the release that it takes back.
            let release = deployment.release.clone().filter(|_| deployment.takes_back.is_none());
            let verified = SlotEvent::Verified { deployment: deployment.id.clone(), release, package: plan.package() };
            vec![verified, freed()]
        }
        Event::Failed { .. } | Event::Cancelled { .. } | Event::FellBack | Event::FallbackFailed { .. }
            if slot.holder.as_ref() == Some(&deployment.id) =>
        {
            vec![freed()]
        }
        _ => Vec::new(),
    }
}

/// The change follows its deployment.
async fn authorisation(app: &App, deployment: &Deployment, events: &[Event], now_ms: Millis) -> Result<Option<StreamChange>, No> {
    let Some(id) = deployment.change.as_ref().filter(|_| deployment.takes_back.is_none()) else { return Ok(None) };
    let conclude = |outcome| change::Command::Conclude { environment: deployment.environment.clone(), outcome };
    let last = |event: &Event| match event {
        Event::Started { .. } => Some(change::Command::Implement),
        Event::WaveHealthy { wave, .. } if wave + 1 == deployment.waves => Some(change::Command::Verify),
        Event::Succeeded { .. } => Some(conclude(change::Outcome::Successful)),
        Event::FellBack => Some(conclude(change::Outcome::FellBack)),
        Event::Failed { .. } | Event::FallbackFailed { .. } | Event::Cancelled { .. } if deployment.started_at_ms.is_some() => {
            Some(conclude(change::Outcome::Unsuccessful))
        }
        _ => None,
    };
    let Some(found) = app.store.load::<Change>(id.as_str()).await? else { return Ok(None) };
    let content = &found.value.content;
    // A deployment that the change does not cover, where none was needed, is none of its business.
    if content.application != deployment.application || !content.environments.contains(&deployment.environment) {
        return Ok(None);
    }
    let mut value = found.value.clone();
    let mut happened = Vec::new();
    for command in events.iter().filter_map(last) {
        for event in value.decide(&command)? {
            value.apply(&event, now_ms);
            happened.push(event);
        }
    }
    Ok((!happened.is_empty()).then(|| stream_change(found.version, &happened, &value)))
}

/// The release follows its deployments.
async fn package(app: &App, deployment: &Deployment, events: &[Event], now_ms: Millis) -> Result<Option<StreamChange>, No> {
    let Some(id) = deployment.release.as_ref().filter(|_| deployment.takes_back.is_none()) else { return Ok(None) };
    let started = events.iter().any(|event| matches!(event, Event::Started { .. }));
    let succeeded = events.iter().any(|event| matches!(event, Event::Succeeded { .. }));
    if !started && !succeeded {
        return Ok(None);
    }
    let Some(found) = app.store.load::<Release>(id.as_str()).await? else { return Ok(None) };
    let production = app.need::<Environment>(&deployment.environment).await?.value.tier == Tier::Production;
    let mut value = found.value.clone();
    let mut happened = Vec::new();
    let commands = [started.then_some(release::Command::Deploying), (succeeded && production).then_some(release::Command::Live)];
    for command in commands.iter().flatten() {
        for event in value.decide(command)? {
            value.apply(&event, now_ms);
            happened.push(event);
        }
    }
    Ok((!happened.is_empty()).then(|| stream_change(found.version, &happened, &value)))
}

/// The deployment that carries the plan back out: born started, as it is exempt from whatever could hold it.
async fn way_back(app: &App, deployment: &Deployment, now_ms: Millis) -> Result<StreamChange, No> {
    let lost = || Fault::new(format!("the plan back of {} is not in the store", deployment.id));
    let digest = deployment.fallback_plan.clone().ok_or_else(lost)?;
    let plan = super::desk::plan(app, &digest).await?;
    let slot: Stored<Slot> = facts::slot(app, &deployment.environment, &deployment.application).await?;
    let birth = Birth {
        id: deployment.fallback_id(),
        plan: &plan,
        digest: digest.clone(),
        release: deployment.release.clone(),
        change: deployment.change.clone(),
        requested_by: Actor::System,
        takes_back: Some(deployment.id.clone()),
    };
    let mut back = Deployment::new(birth, now_ms);
    let events = [
        planned(&back),
        Event::StartRequested { by: format!("the failure of {}", deployment.id), not_before_ms: None },
        Event::Started { generation: slot.value.generation + 1 },
    ];
    events.iter().for_each(|event| back.apply(event, now_ms));
    let mut change = own(0, &events, (&back, &plan), now_ms);
    change.targets = back.targets.values().map(|progress| row(&back.id, progress)).collect();
    Ok(change)
}

/// The first event of a deployment.
pub fn planned(deployment: &Deployment) -> Event {
    Event::Planned {
        plan: deployment.plan.clone(),
        fallback_plan: deployment.fallback_plan.clone(),
        versions: deployment.versions.clone(),
        targets: deployment.size,
        waves: deployment.waves,
    }
}
