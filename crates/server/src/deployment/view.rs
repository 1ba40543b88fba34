//! What is shown of a deployment.

use std::sync::Arc;

use tidegate_api::view::{DeploymentDetail, DeploymentView, GateState, GateView};
use tidegate_domain::Id;
use tidegate_domain::deployment::plan::Plan;
use tidegate_domain::deployment::rollout::{Deployment, Side, State, TargetProgress, gate_key};
use tidegate_domain::gate::{Gate, Verdict};

use super::{desk, facts};
use crate::app::App;
use crate::problem::No;

/// A deployment with what stands around it.
pub async fn of(app: &App, deployment: &Deployment, plan: &Plan) -> Result<DeploymentView, No> {
    let reasons = reasons(app, deployment, plan).await?;
    Ok(DeploymentView { reasons, ..without_reasons(deployment) })
}

/// A deployment alone.
pub fn without_reasons(deployment: &Deployment) -> DeploymentView {
    DeploymentView { deployment: deployment.clone(), reasons: Vec::new(), sentence: sentence(deployment) }
}

/// All of it: plan, targets, gates, reasons; and the version that this is.
pub async fn detail(app: &App, id: &Id) -> Result<(DeploymentDetail, u64), No> {
    let now_ms = app.now_ms();
    let read = desk::read_light(app, id, |copy| {
        let mut targets: Vec<Arc<TargetProgress>> = copy.deployment.targets.values().cloned().collect();
        targets.sort_by(|a, b| (a.wave, &a.target).cmp(&(b.wave, &b.target)));
        (copy.plan.clone(), targets, gates(&copy.deployment, &copy.plan, now_ms), copy.version)
    });
    let (deployment, (plan, targets, gates, version)) = read.await?;
    let reasons = reasons(app, &deployment, &plan).await?;
    Ok((DeploymentDetail { sentence: sentence(&deployment), gates, reasons, targets, plan, deployment }, version))
}

async fn reasons(app: &App, deployment: &Deployment, plan: &Plan) -> Result<Vec<tidegate_domain::admission::Reason>, No> {
    if deployment.state != State::Planned && !deployment.state.is_waiting_to_start() {
        return Ok(Vec::new());
    }
    Ok(facts::gather(app, deployment, plan).await?.reasons(deployment, plan, app.now_ms()))
}

/// What it does or waits on.
pub fn sentence(deployment: &Deployment) -> String {
    let word = deployment.state.as_str().replace('_', " ");
    let failed = deployment.failure.as_ref().map(|failure| &failure.reason);
    if deployment.state == State::Succeeded && deployment.size == 0 && deployment.recorded.is_none() {
        return format!("{word}: no target carries any of it, so nothing was done");
    }
    match (&deployment.waiting, failed.or(deployment.decided_by.last())) {
        (Some(held), _) if !deployment.state.is_terminal() => format!("{word}: {}", held.on.sentence()),
        (_, Some(why)) if deployment.state.is_terminal() && deployment.state != State::Succeeded => format!("{word}: {why}"),
        _ => word,
    }
}

/// The gates of a deployment, by wave.
fn gates(deployment: &Deployment, plan: &Plan, now_ms: i64) -> Vec<GateView> {
    let mut views = Vec::new();
    for (wave, planned) in plan.waves.iter().enumerate() {
        let sides = [(Side::Before, &planned.before), (Side::After, &planned.after)];
        for (side, gates) in sides {
            for (index, gate) in gates.iter().enumerate() {
                let key = gate_key(wave as u32, side, index);
                views.push(gate_view((deployment, plan), (wave as u32, key), gate, now_ms));
            }
        }
    }
    views
}

fn gate_view((deployment, plan): (&Deployment, &Plan), (wave, key): (u32, String), gate: &Gate, now_ms: i64) -> GateView {
    let progress = deployment.gates.get(&key);
    let (state, sentence, until_ms) = match progress {
        None => (GateState::Pending, String::new(), None),
        Some(progress) => match &progress.outcome {
            Some(outcome) if outcome.passed => (GateState::Passed, outcome.sentence.clone(), None),
            Some(outcome) => (GateState::Failed, outcome.sentence.clone(), None),
            None => asking((deployment, plan), &key, gate, now_ms),
        },
    };
    GateView {
        key,
        wave,
        kind: kind(gate).to_owned(),
        name: gate.name(),
        condition: gate.condition(),
        state,
        sentence,
        since_ms: progress.map(|progress| progress.since_ms),
        until_ms,
        measurements: progress.map(|progress| progress.measurements.clone()).unwrap_or_default(),
        approvals: progress.map(|progress| progress.approvals.clone()).unwrap_or_default(),
    }
}

type Asking = (GateState, String, Option<i64>);

fn asking((deployment, plan): (&Deployment, &Plan), key: &str, gate: &Gate, now_ms: i64) -> Asking {
    let evidence = deployment.evidence_for(plan, key).filter(|_| !deployment.state.is_terminal());
    let Some(evidence) = evidence else { return (GateState::CutShort, "something else decided first".into(), None) };
    match gate.verdict(&evidence, now_ms) {
        Verdict::Pass(sentence) => (GateState::Asking, format!("would pass: {sentence}"), None),
        Verdict::Fail(sentence) => (GateState::Asking, sentence, None),
        Verdict::Hold { waiting_on, until_ms } => (GateState::Asking, waiting_on.sentence(), until_ms),
    }
}

fn kind(gate: &Gate) -> &'static str {
    match gate {
        Gate::Approval(_) => "approval",
        Gate::Bake(_) => "bake",
        Gate::Check(_) => "check",
        Gate::Metric(_) => "metric",
        Gate::Window(_) => "window",
    }
}
