//! Probes: what gates ask the world. Each brings a [`Reading`] back; what it means is the gate's business.

mod check;
mod metric;
mod prometheus;

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_domain::Id;
use tidegate_domain::deployment::plan::{PlannedTarget, Wave};
use tidegate_domain::deployment::rollout::{Command, Deployment, DueProbe, Phase, TargetState};
use tidegate_domain::gate::measurement::spread;
use tidegate_domain::gate::{Gate, Reading};
use tidegate_domain::{limits, template};

use crate::app::{App, SYSTEM};
use crate::deployment::desk;

/// Targets asked at once by one gate.
const TOGETHER_MAX: usize = 32;
/// Bytes read of one answer.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Measures what is due for a deployment and puts the readings to it.
pub async fn measure(app: Arc<App>, id: Id) {
    let due = desk::read(&app, &id, |copy| {
        let due = copy.deployment.due_probes(&copy.plan, app.now_ms());
        let of = |probe: &DueProbe<'_>| {
            copy.plan.waves.get(probe.wave as usize).map(|wave| asked(wave, probe.gate, &copy.deployment)).unwrap_or_default()
        };
        due.into_iter().map(|probe| (of(&probe), probe.key, probe.since_ms, probe.gate.clone())).collect::<Vec<_>>()
    })
    .await;
    for (targets, gate, since_ms, asked) in due.unwrap_or_default() {
        let reading = read(&app, &asked, &targets).await;
        let put = desk::pile(&app, &id, (SYSTEM, "probe".into()), Command::Measured { gate, since_ms, reading }).await;
        if let Err(error) = put {
            tracing::warn!(deployment = %id, %error, "a reading could not be put to a deployment");
        }
    }
    app.wake.notify_one();
}

/// The targets of a wave that a gate asks: before it all that will be changed, after it those that are up. Of a large wave always
/// the same ones, whichever are up.
fn asked(wave: &Wave, gate: &Gate, deployment: &Deployment) -> Vec<PlannedTarget> {
    let well = |target: &&PlannedTarget| {
        let state = deployment.targets.get(&target.name).map(|progress| progress.state);
        match deployment.phase {
            Phase::Entry => state != Some(TargetState::Excluded),
            Phase::Targets | Phase::Verification => matches!(state, Some(TargetState::Healthy | TargetState::AlreadyCurrent)),
        }
    };
    let targets = wave.targets.iter().collect();
    let targets = match gate {
        Gate::Metric(metric) if metric.counts_growth() => spread(targets, limits::METRIC_SOURCES_MAX),
        _ => targets,
    };
    targets.into_iter().filter(well).cloned().collect()
}

async fn read(app: &App, gate: &Gate, targets: &[PlannedTarget]) -> Reading {
    match gate {
        Gate::Check(gate) => check::read(app, gate, targets).await,
        Gate::Metric(gate) => metric::read(app, gate, targets).await,
        Gate::Approval(_) | Gate::Bake(_) | Gate::Window(_) => Reading::Error("this gate measures nothing".into()),
    }
}

/// A text for each target, where it names variables; once, where it does not. Each with the name of its source.
fn addresses(text: &str, targets: &[PlannedTarget]) -> Result<Vec<(String, String)>, String> {
    if !template::is_template(text) {
        return Ok(vec![("all targets".into(), template::render(text, &BTreeMap::new())?)]);
    }
    let one = |target: &PlannedTarget| Ok((target.name.to_string(), template::render(text, &target.variables)?));
    targets.iter().map(one).collect()
}

/// The beginning of an answer's body, as text.
async fn body(response: reqwest::Response) -> Result<String, String> {
    use futures_util::StreamExt as _;
    let mut bytes = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk.map_err(|error| error.to_string())?);
        if bytes.len() > ANSWER_BYTES_MAX {
            return Err(format!("the answer is more than {ANSWER_BYTES_MAX} bytes"));
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
