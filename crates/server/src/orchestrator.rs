//! The orchestrator: looks at every deployment that is under way, is woken by bell and by timer, and may be killed between any
//! two lines. It decides nothing itself.

use std::sync::Arc;
use std::time::Duration;

use tidegate_domain::deployment::rollout::{Deployment, State};
use tidegate_domain::{Id, Millis, limits};
use tidegate_store::{Filter, Order, PageRequest};

use crate::app::App;
use crate::deployment::desk::{self, Looked};
use crate::probes;
use crate::problem::No;

/// Deployments under way that one server looks after.
const UNDER_WAY_MAX: u32 = 5_000;

/// Time between two times of forgetting old idempotency keys.
const PURGE_MS: Millis = 3_600_000;

/// The states of a deployment that somebody has to look at.
pub const UNDER_WAY: [State; 8] = [
    State::AwaitingApproval,
    State::Scheduled,
    State::Queued,
    State::Running,
    State::Paused,
    State::Baking,
    State::Failing,
    State::FallingBack,
];

/// Runs until `stop` is told.
pub async fn run(app: Arc<App>, mut stop: tokio::sync::watch::Receiver<bool>) {
    let mut purged_ms = 0;
    while !*stop.borrow() {
        purged_ms = purge(&app, purged_ms).await;
        let next_ms = match round(&app).await {
            Ok(next_ms) => {
                app.metrics.walked();
                next_ms
            }
            Err(error) => {
                app.metrics.stumbled();
                tracing::error!(%error, "the orchestrator could not look at the deployments; it tries again");
                None
            }
        };
        let rest = rest(next_ms, app.now_ms());
        tokio::select! {
            () = app.wake.notified() => {}
            () = tokio::time::sleep(rest) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Forgets used idempotency keys that are older than the store keeps them; once in a while. Returns when it last did.
async fn purge(app: &App, purged_ms: Millis) -> Millis {
    let now_ms = app.now_ms();
    if now_ms - purged_ms < PURGE_MS {
        return purged_ms;
    }
    if let Err(error) = app.store.purge(now_ms).await {
        tracing::warn!(%error, "old idempotency keys could not be forgotten; it is tried again");
    }
    now_ms
}

/// How long to rest: until something is due, but never longer than one look interval, as every bell may have been lost.
fn rest(next_ms: Option<Millis>, now_ms: Millis) -> Duration {
    let longest = Duration::from_secs(u64::from(limits::LOOK_SECONDS));
    let due = next_ms.map(|at_ms| Duration::from_millis((at_ms - now_ms).max(5) as u64));
    due.map_or(longest, |due| due.min(longest))
}

/// Looks at everything once; returns when to look again.
pub async fn round(app: &Arc<App>) -> Result<Option<Millis>, No> {
    let mut next_ms: Option<Millis> = None;
    for id in under_way(app).await? {
        match desk::look(app, &id).await {
            Ok(Looked::Wait(at_ms)) => {
                next_ms = [next_ms, at_ms].into_iter().flatten().min();
                if let Err(error) = spawn_probes(app, &id).await {
                    tracing::error!(deployment = %id, %error, "a deployment could not be measured; it is tried again");
                }
            }
            Ok(Looked::Over) => {}
            // One that cannot be looked at must not hide the others.
            Err(error) => tracing::error!(deployment = %id, %error, "a deployment could not be looked at; it is tried again"),
        }
    }
    Ok(next_ms)
}

/// Measures beside the round, so that a slow answer holds nobody up.
async fn spawn_probes(app: &Arc<App>, id: &Id) -> Result<(), No> {
    let due = desk::read(app, id, |copy| !copy.deployment.due_probes(&copy.plan, app.now_ms()).is_empty()).await?;
    if due && app.desk.begin_probes(id) {
        let (app, id) = (app.clone(), id.clone());
        tokio::spawn(async move {
            // In a task of its own, so that a panic in it does not keep the deployment from being measured again.
            let measured = tokio::spawn(probes::measure(app.clone(), id.clone())).await;
            app.desk.end_probes(&id);
            if let Err(error) = measured {
                tracing::error!(deployment = %id, %error, "measuring broke off");
            }
        });
    }
    Ok(())
}

/// Every deployment under way.
pub async fn under_way(app: &App) -> Result<Vec<Id>, No> {
    let states = UNDER_WAY.iter().map(|state| state.as_str().to_owned()).collect();
    let filter = Filter { states, ..Filter::default() };
    let request = PageRequest { order: Order::OldestFirst, after: None, limit: UNDER_WAY_MAX };
    let page = app.store.list::<Deployment>(&filter, &request).await?;
    Ok(page.rows.into_iter().map(|row| row.value.id).collect())
}
