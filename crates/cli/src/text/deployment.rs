//! Deployments: one line, a list, and everything.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use tidegate_api::view::{DeploymentDetail, DeploymentView, GateState, GateView, Page, Versioned};
use tidegate_domain::deployment::plan::Purpose;
use tidegate_domain::deployment::rollout::{Deployment, TargetProgress, TargetState};

use super::{plan, problem, time};
use crate::output::table;

/// Rows of targets that are written out when nobody asked for all of them.
const TARGETS_MAX: usize = 40;

/// What a command on a deployment led to.
pub fn view(view: &DeploymentView, zone: &TimeZone) -> String {
    let mut text = told(&view.deployment, &view.sentence);
    if !view.reasons.is_empty() {
        text.push_str(&format!("\n{}", problem::reasons(&view.reasons, zone)));
    }
    text
}

/// The headline, and the sentence below it if that says more than the state does.
fn told(deployment: &Deployment, sentence: &str) -> String {
    let headline = headline(deployment);
    if sentence == deployment.state.as_str().replace('_', " ") { headline } else { format!("{headline}\n  {sentence}") }
}

/// `DEP-1: ledger 1.1 to production: running, 3 of 12 targets done`
pub fn headline(deployment: &Deployment) -> String {
    let versions: Vec<String> = deployment.versions.iter().map(|(component, version)| format!("{component} {version}")).collect();
    let back = if deployment.purpose == Purpose::Fallback { " back" } else { "" };
    let state = deployment.state.as_str().replace('_', " ");
    format!("{}: {}{back} to {}: {state}, {}", deployment.id, versions.join(", "), deployment.environment, progress(deployment))
}

fn progress(deployment: &Deployment) -> String {
    let good: u32 = TargetState::ALL.into_iter().filter(|state| state.is_good()).map(|state| deployment.count(state)).sum();
    format!("{good} of {} done", plan::count(deployment.size as usize, "target"))
}

/// A page of deployments.
pub fn list(page: &Page<Versioned<Deployment>>, zone: &TimeZone) -> String {
    let row = |row: &Versioned<Deployment>| {
        let deployment = &row.value;
        let versions = deployment.versions.iter().map(|(component, version)| format!("{component} {version}"));
        [
            deployment.id.to_string(),
            deployment.state.as_str().replace('_', " "),
            versions.collect::<Vec<_>>().join(", "),
            deployment.environment.to_string(),
            deployment.strategy.clone(),
            progress(deployment),
            time::instant(deployment.created_at_ms, zone),
        ]
    };
    table(["deployment", "state", "package", "environment", "strategy", "progress", "planned"], page.rows.iter().map(row))
}

/// Everything about one deployment; `all` writes out every target.
pub fn detail(detail: &DeploymentDetail, zone: &TimeZone, all: bool) -> String {
    let deployment = &detail.deployment;
    let mut parts = vec![told(deployment, &detail.sentence), facts(deployment, zone)];
    parts.push(waves(detail));
    if !detail.gates.is_empty() {
        parts.push(gates(&detail.gates, zone));
    }
    parts.push(targets(&detail.targets, zone, all));
    if !detail.reasons.is_empty() {
        parts.push(format!("against starting it now:\n{}", problem::reasons(&detail.reasons, zone)));
    }
    if !deployment.decided_by.is_empty() {
        parts.push(format!("decided by:\n  - {}", deployment.decided_by.join("\n  - ")));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

fn facts(deployment: &Deployment, zone: &TimeZone) -> String {
    let mut facts = vec![("plan", deployment.plan.to_string()), ("strategy", deployment.strategy.clone())];
    facts.extend(deployment.fallback_plan.as_ref().map(|digest| ("plan back", digest.to_string())));
    facts.extend(deployment.release.as_ref().map(|id| ("release", id.to_string())));
    facts.extend(deployment.change.as_ref().map(|id| ("change", id.to_string())));
    facts.push(("asked for by", deployment.requested_by.to_string()));
    facts.push(("planned", time::instant(deployment.created_at_ms, zone)));
    facts.extend(deployment.not_before_ms.map(|at_ms| ("not before", time::instant(at_ms, zone))));
    facts.extend(deployment.started_at_ms.map(|at_ms| ("started", time::instant(at_ms, zone))));
    facts.extend(deployment.ended_at_ms.map(|at_ms| ("ended", time::instant(at_ms, zone))));
    if let (Some(from_ms), Some(until_ms)) = (deployment.started_at_ms, deployment.ended_at_ms) {
        facts.push(("took", time::lasting(until_ms - from_ms)));
    }
    facts.extend(deployment.pause.as_ref().map(|pause| ("paused by", format!("{}: {}", pause.by, pause.reason))));
    facts.extend(deployment.failure.as_ref().map(|failure| ("failed", failure.reason.clone())));
    facts.extend(deployment.fallback.as_ref().map(|id| ("taken back by", id.to_string())));
    facts.extend(deployment.takes_back.as_ref().map(|id| ("takes back", id.to_string())));
    facts.iter().map(|(name, value)| format!("  {name:<14}{value}")).collect::<Vec<_>>().join("\n")
}

/// How many targets of one wave are in which state: `3 healthy, 1 in progress`.
pub fn counted<'a>(targets: impl IntoIterator<Item = &'a Arc<TargetProgress>>) -> String {
    let mut counts: BTreeMap<TargetState, usize> = BTreeMap::new();
    for target in targets {
        *counts.entry(target.state).or_default() += 1;
    }
    let shown = TargetState::ALL.into_iter().filter_map(|state| counts.get(&state).map(|count| (state, count)));
    shown.map(|(state, count)| format!("{count} {}", state.as_str().replace('_', " "))).collect::<Vec<_>>().join(", ")
}

fn waves(detail: &DeploymentDetail) -> String {
    let rows = detail.plan.waves.iter().enumerate().map(|(index, wave)| {
        let of_wave = detail.targets.iter().filter(|target| target.wave as usize == index);
        [(index + 1).to_string(), wave.targets.len().to_string(), counted(of_wave)]
    });
    table(["wave", "targets", "states"], rows)
}

fn gates(gates: &[GateView], zone: &TimeZone) -> String {
    let rows = gates.iter().map(|gate| {
        let until = gate.until_ms.map_or_else(String::new, |at_ms| format!(" (until {})", time::instant(at_ms, zone)));
        let sentence = if gate.sentence.is_empty() { &gate.condition } else { &gate.sentence };
        [gate.key.clone(), gate.name.clone(), gate_state(gate.state).into(), format!("{sentence}{until}")]
    });
    table(["gate", "name", "state", "why"], rows)
}

/// A gate's state in a word.
pub fn gate_state(state: GateState) -> &'static str {
    match state {
        GateState::Pending => "pending",
        GateState::Asking => "asking",
        GateState::Passed => "passed",
        GateState::Failed => "failed",
        GateState::CutShort => "cut short",
    }
}

/// All targets of a small deployment; of a large one those that are not simply done or waiting for their turn.
fn targets(targets: &[Arc<TargetProgress>], zone: &TimeZone, all: bool) -> String {
    let quiet = |state: TargetState| matches!(state, TargetState::Healthy | TargetState::Pending | TargetState::AlreadyCurrent);
    let everything = all || targets.len() <= TARGETS_MAX;
    let shown: Vec<&Arc<TargetProgress>> = targets.iter().filter(|target| everything || !quiet(target.state)).collect();
    if shown.is_empty() {
        return String::new();
    }
    let cut = if everything || shown.len() <= TARGETS_MAX { shown.len() } else { TARGETS_MAX };
    let rows = shown[..cut].iter().map(|target| {
        [
            target.target.to_string(),
            (target.wave + 1).to_string(),
            target.state.as_str().replace('_', " "),
            target.attempt.to_string(),
            time::instant(target.changed_at_ms, zone),
            target.detail.clone().unwrap_or_default(),
        ]
    });
    let mut text = table(["target", "wave", "state", "attempt", "since", "detail"], rows);
    let hidden = targets.len() - cut;
    if hidden > 0 {
        text.push_str(&format!("\n{} not shown: add --targets", plan::count(hidden, "target")));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::expect;
    use tidegate_api::view::{DeploymentView, GateState};
    use tidegate_domain::admission::{Kind, Reason, ReasonCode};
    use tidegate_domain::deployment::rollout::{State, TargetState};

    use crate::text::sample::{self, BEGUN_MS};

    #[test]
    fn everything_about_a_deployment_fits_on_a_screen() {
        let mut detail = sample::detail();
        detail.deployment.state = State::Failing;
        detail.deployment.started_at_ms = Some(BEGUN_MS + 1_000);
        sample::target(&mut detail, 0, TargetState::Healthy, BEGUN_MS + 9_000);
        sample::target(&mut detail, 2, TargetState::Failed, BEGUN_MS + 70_000);
        Arc::make_mut(&mut detail.targets[2]).detail = Some("step switch ended 1".into());
        let gate = &mut detail.gates[0];
        (gate.state, gate.sentence) = (GateState::Passed, "error rate: 0 is at most 0.05".into());
        let gate = &mut detail.gates[2];
        (gate.state, gate.sentence, gate.until_ms) = (GateState::Asking, "baking".into(), Some(BEGUN_MS + 100_000));
        detail.sentence = "1 target failed, none is tolerated".into();
        detail.deployment.decided_by = vec!["error rate: 0 is at most 0.05".into()];
        expect![[r#"
            DEP-sample: shop 1.1 to production: failing, 1 of 4 targets done
              1 target failed, none is tolerated

              plan          sha256:a48c92dcad2ec741b894889e71ed6ae7cfb924316015b7ec65f0da51f43e6662
              strategy      canary
              plan back     sha256:79c248d8acce2b0726ddd6a8d085a93cd9a074e584f5b6abec25251fd3631ea0
              change        CHG-sample
              asked for by  person:ada
              planned       2026-11-21 14:00:00 +01:00
              started       2026-11-21 14:00:01 +01:00

            WAVE  TARGETS  STATES
            1     1        1 healthy
            2     3        2 pending, 1 failed

            GATE       NAME        STATE    WHY
            0.after.0  error rate  passed   error rate: 0 is at most 0.05
            0.after.1  bake        pending  well for 30 s
            1.after.0  bake        asking   baking (until 2026-11-21 14:01:40 +01:00)

            TARGET  WAVE  STATE    ATTEMPT  SINCE                       DETAIL
            prod-1  1     healthy  1        2026-11-21 14:00:09 +01:00
            prod-2  2     pending  0        2026-11-21 14:00:00 +01:00
            prod-3  2     failed   1        2026-11-21 14:01:10 +01:00  step switch ended 1
            prod-4  2     pending  0        2026-11-21 14:00:00 +01:00

            decided by:
              - error rate: 0 is at most 0.05"#]]
        .assert_eq(&super::detail(&detail, &sample::zone(), false));
    }

    #[test]
    fn a_refused_start_lists_every_reason() {
        let detail = sample::detail();
        let reason = |code, text: &str, until_ms| Reason {
            code,
            kind: Kind::Obstacle,
            text: text.into(),
            remedy: "wait".into(),
            until_ms,
        };
        let reasons = vec![
            reason(ReasonCode::Freeze, "freeze \"year end\" is in force in production", Some(BEGUN_MS + 3_600_000)),
            reason(ReasonCode::SlotTaken, "DEP-other is at work on shop in production", None),
        ];
        let view = DeploymentView { deployment: detail.deployment, reasons, sentence: detail.sentence };
        expect![[r#"
            DEP-sample: shop 1.1 to production: planned, 0 of 4 targets done
              waiting for somebody to start it
              - freeze "year end" is in force in production; wait [freeze, until 2026-11-21 15:00:00 +01:00]
              - DEP-other is at work on shop in production; wait [slot_taken]"#]]
        .assert_eq(&super::view(&view, &sample::zone()));
    }
}
