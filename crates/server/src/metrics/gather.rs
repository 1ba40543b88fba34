//! Reads what is not counted while the server runs: how many of each thing there are, in which state, and how long they wait.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tidegate_domain::Millis;
use tidegate_domain::change::{Change, State as ChangeState};
use tidegate_domain::deployment::rollout::{Deployment, State};
use tidegate_domain::estate::AgentState;
use tidegate_domain::gate::WaitingOn;
use tidegate_domain::limits;
use tidegate_store::{Filter, Order, PageRequest};

use super::{Readings, process};
use crate::app::App;
use crate::deployment::desk;
use crate::orchestrator::{self, UNDER_WAY};
use crate::problem::{Fault, No};

/// How long the size of the media library is taken for true: it grows with uploads alone, and looking reads every folder.
const MEDIA_FRESH: Duration = Duration::from_mins(1);

/// Everything that is read.
pub(super) async fn readings(app: &App) -> Result<Readings, No> {
    let mut readings = Readings::default();
    server(app, &mut readings).await?;
    work(app, &mut readings).await?;
    waits(app, &mut readings).await?;
    agents(app, &mut readings).await?;
    process::read(&mut readings, &app.settings.data);
    Ok(readings)
}

async fn server(app: &App, readings: &mut Readings) -> Result<(), No> {
    let kind = if app.store.describe().starts_with("SQLite") { "sqlite" } else { "postgresql" };
    let labels = [("version", env!("CARGO_PKG_VERSION")), ("database", kind)];
    readings.0.register("tidegate_build", "What runs", prometheus_client::metrics::info::Info::new(labels.to_vec()));
    readings.one("process_start_time_seconds", "When it started, since 1970", app.metrics.started_at_ms as f64 / 1e3);
    readings.one(
        "tidegate_orchestrator_idle_seconds",
        "Since the last look at every deployment",
        app.metrics.idle().as_secs_f64(),
    );
    let waiting_max = tidegate_store::COMMITS_WAITING_MAX as f64;
    readings.one("tidegate_commits_waiting_max", "Commits that find a place in the queue", waiting_max);
    readings.one("tidegate_event_position", "Position of the last entry of the history", app.store.head().await? as f64);
    readings.one("tidegate_database_bytes", "Size of the database", app.store.size_bytes().await? as f64);
    readings.one("tidegate_media_bytes", "Size of the media library", media_bytes(app).await? as f64);
    if let Some((at_ms, good)) = app.metrics.verification() {
        readings.one("tidegate_history_verified_seconds", "When the history was last walked, since 1970", at_ms as f64 / 1e3);
        readings.one("tidegate_history_intact", "1 if every hash held then, else 0", f64::from(u8::from(good)));
    }
    let under_way = app.overload.under_way();
    let used = under_way.iter().map(|(kind, used, _)| ((*kind).to_owned(), *used as f64));
    readings.each(("tidegate_under_way", "kind"), "What is under way; polls are agents that listen", used);
    let max = under_way.iter().map(|(kind, _, max)| ((*kind).to_owned(), *max as f64));
    readings.each(("tidegate_under_way_max", "kind"), "How much may be under way", max);
    Ok(())
}

async fn media_bytes(app: &App) -> Result<u64, No> {
    let mut known = app.metrics.media_bytes.lock().await;
    if let Some((at, bytes)) = *known
        && at.elapsed() < MEDIA_FRESH
    {
        return Ok(bytes);
    }
    let folder = app.settings.data.join("media");
    let bytes = tokio::task::spawn_blocking(move || process::folder_bytes(&folder)).await;
    let bytes = bytes.map_err(|error| Fault::new(error.to_string()))?;
    *known = Some((Instant::now(), bytes));
    Ok(bytes)
}

/// Deployments and changes by state; what is not over stands there even if there is none.
async fn work(app: &App, readings: &mut Readings) -> Result<(), No> {
    let open = [State::Planned].into_iter().chain(UNDER_WAY).map(State::as_str);
    let deployments = filled(open, app.store.count_by_state::<Deployment>().await?);
    readings.each(("tidegate_deployments", "state"), "Deployments, by state", deployments);
    let changes = filled([ChangeState::AwaitingAuthorisation.as_str()], app.store.count_by_state::<Change>().await?);
    readings.each(("tidegate_changes", "state"), "Changes, by state; awaiting_authorisation is a vote that is due", changes);
    Ok(())
}

fn filled(known: impl IntoIterator<Item = &'static str>, found: Vec<(String, u64)>) -> BTreeMap<String, f64> {
    let none = known.into_iter().map(|state| (state.to_owned(), 0.0));
    none.chain(found.into_iter().map(|(state, count)| (state, count as f64))).collect()
}

/// What a deployment waits on, as few words as an alert needs.
fn kind(on: &WaitingOn) -> &'static str {
    match on {
        WaitingOn::Request
        | WaitingOn::Resume { .. }
        | WaitingOn::Answer { .. }
        | WaitingOn::Approval { .. }
        | WaitingOn::Inconclusive { .. } => "people",
        WaitingOn::Admission { .. } => "admission",
        WaitingOn::Freeze { .. }
        | WaitingOn::Schedule
        | WaitingOn::Bake { .. }
        | WaitingOn::Measurement { .. }
        | WaitingOn::Window => "time",
        WaitingOn::Targets { .. } => "targets",
        WaitingOn::Fallback { .. } => "fallback",
    }
}

async fn waits(app: &App, readings: &mut Readings) -> Result<(), No> {
    let now_ms = app.now_ms();
    let mut held: BTreeMap<&str, (u32, Millis)> =
        ["people", "admission", "time", "targets", "fallback"].map(|on| (on, (0, 0))).into();
    for id in orchestrator::under_way(app).await? {
        let waiting = desk::read(app, &id, |copy| copy.deployment.waiting.as_ref().map(|it| (kind(&it.on), it.since_ms))).await?;
        if let Some((on, since_ms)) = waiting {
            let (count, longest_ms) = held.entry(on).or_default();
            (*count, *longest_ms) = (*count + 1, (*longest_ms).max(now_ms - since_ms));
        }
    }
    let counts = held.iter().map(|(on, (count, _))| ((*on).to_owned(), f64::from(*count)));
    readings.each(("tidegate_deployments_waiting", "on"), "Deployments under way that wait, by what they wait on", counts);
    let longest = held.iter().map(|(on, (_, ms))| ((*on).to_owned(), *ms as f64 / 1e3));
    readings.each(("tidegate_deployment_wait_seconds", "on"), "How long the one waits that has waited longest", longest);
    let votes = Filter { states: vec![ChangeState::AwaitingAuthorisation.as_str().into()], ..Filter::default() };
    let page = PageRequest { order: Order::OldestFirst, after: None, limit: limits::PAGE_ROWS_MAX };
    let oldest_ms = app.store.list::<Change>(&votes, &page).await?.rows.into_iter().map(|row| row.updated_at_ms).min();
    let wait_ms = oldest_ms.map_or(0, |since_ms| (now_ms - since_ms).max(0));
    readings.one(
        "tidegate_change_wait_seconds",
        "How long a vote has been due, at the change that waits longest",
        wait_ms as f64 / 1e3,
    );
    Ok(())
}

async fn agents(app: &App, readings: &mut Readings) -> Result<(), No> {
    let now_ms = app.now_ms();
    let mut counts = BTreeMap::from([("in_touch", 0_u32), ("silent", 0), ("missing", 0)]);
    let mut unsteady = 0;
    for target in app.counted.targets(app).await?.values() {
        let presence = app.sessions.presence(&target.name);
        let state = match AgentState::of(&target.state, presence.as_ref().map(|presence| presence.at_ms), now_ms) {
            AgentState::InTouch => {
                unsteady += presence.map_or(0, |presence| presence.unsteady.len());
                "in_touch"
            }
            AgentState::Silent => "silent",
            AgentState::Missing => "missing",
        };
        *counts.entry(state).or_default() += 1;
    }
    let counts = counts.into_iter().map(|(state, count)| (state.to_owned(), f64::from(count)));
    readings.each(("tidegate_targets", "agent"), "Targets, by how their agent is: heard of, silent, or none enrolled", counts);
    readings.one(
        "tidegate_programs_unsteady",
        "Programs that ended by themselves more than once in ten minutes, as the agents say that keep them up",
        unsteady as f64,
    );
    Ok(())
}
