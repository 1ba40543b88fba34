//! One line for each change between two looks. Pure: what was seen, what is there, lines.

use std::collections::BTreeMap;
use std::mem::Discriminant;

use jiff::tz::TimeZone;
use tidegate_api::view::{DeploymentDetail, GateState, GateView};
use tidegate_domain::deployment::rollout::{State, TargetProgress, TargetState};
use tidegate_domain::gate::WaitingOn;
use tidegate_domain::{Millis, Name};

use crate::text::deployment::{counted, gate_state, headline};
use crate::text::plan::count;
use crate::text::time;

/// Names of targets in one line; more are counted.
const NAMES_MAX: usize = 6;

/// What has been told so far.
#[derive(Debug, Default)]
pub struct Transcript {
    begun: bool,
    state: Option<State>,
    targets: BTreeMap<Name, (TargetState, u32)>,
    gates: BTreeMap<String, GateState>,
    decided: usize,
    waiting: Option<Discriminant<WaitingOn>>,
}

type Lines = Vec<(Millis, String)>;

impl Transcript {
    /// What is new, in order of time, each line with its time of day.
    pub fn lines(&mut self, detail: &DeploymentDetail, now_ms: Millis, zone: &TimeZone) -> Vec<String> {
        let mut lines = Lines::new();
        if !self.begun {
            self.begun = true;
            let deployment = &detail.deployment;
            let size = count(deployment.size as usize, "target");
            let shape = format!("{}, {}, {size}", deployment.strategy, count(deployment.waves as usize, "wave"));
            lines.push((deployment.created_at_ms, format!("{} ({shape})", headline(deployment))));
        }
        self.state(detail, now_ms, &mut lines);
        self.targets(detail, &mut lines);
        self.gates(detail, now_ms, &mut lines);
        self.decisions(detail, now_ms, &mut lines);
        self.waiting(detail, now_ms, &mut lines);
        lines.sort_by_key(|(at_ms, _)| *at_ms);
        lines.into_iter().map(|(at_ms, line)| format!("{}  {line}", time::clock(at_ms, zone))).collect()
    }

    fn state(&mut self, detail: &DeploymentDetail, now_ms: Millis, lines: &mut Lines) {
        let deployment = &detail.deployment;
        // The end has a line of its own, after everything else.
        if self.state.replace(deployment.state) == Some(deployment.state) || deployment.state.is_terminal() {
            return;
        }
        let at_ms = if deployment.state == State::Running { deployment.started_at_ms.unwrap_or(now_ms) } else { now_ms };
        let why = match (&deployment.failure, &deployment.pause) {
            (Some(failure), _) if deployment.state == State::Failing => format!(": {}", failure.reason),
            (_, Some(pause)) if deployment.state == State::Paused => format!(" by {}: {}", pause.by, pause.reason),
            _ => String::new(),
        };
        lines.push((at_ms, format!("{}{why}", deployment.state.as_str().replace('_', " "))));
    }

    fn targets(&mut self, detail: &DeploymentDetail, lines: &mut Lines) {
        let mut changed: BTreeMap<(u32, TargetState), Vec<&TargetProgress>> = BTreeMap::new();
        for target in &detail.targets {
            let now = (target.state, target.attempt);
            let before = self.targets.insert(target.target.clone(), now).unwrap_or((TargetState::Pending, 0));
            // That an order is out says less than that its agent began.
            if before != now && !matches!(target.state, TargetState::Pending | TargetState::Ordered) {
                changed.entry((target.wave, target.state)).or_default().push(target);
            }
        }
        for ((wave, state), targets) in changed {
            let at_ms = targets.iter().map(|target| target.changed_at_ms).max().unwrap_or_default();
            let names: Vec<&str> = targets.iter().take(NAMES_MAX).map(|target| target.target.as_str()).collect();
            let who = if targets.len() > NAMES_MAX { count(targets.len(), "target") } else { names.join(", ") };
            let quiet = matches!(state, TargetState::Healthy | TargetState::InProgress | TargetState::AlreadyCurrent);
            let detail = targets.iter().find_map(|target| target.detail.as_ref()).filter(|_| !quiet);
            let why = detail.map_or_else(String::new, |detail| format!(": {detail}"));
            lines.push((at_ms, format!("wave {}: {who} {}{why}", wave + 1, state.as_str().replace('_', " "))));
        }
    }

    fn gates(&mut self, detail: &DeploymentDetail, now_ms: Millis, lines: &mut Lines) {
        for gate in &detail.gates {
            let before = self.gates.insert(gate.key.clone(), gate.state).unwrap_or(GateState::Pending);
            if before != gate.state {
                lines.push((gate_time(gate, now_ms), gate_line(gate)));
            }
        }
    }

    fn decisions(&mut self, detail: &DeploymentDetail, now_ms: Millis, lines: &mut Lines) {
        let decided = &detail.deployment.decided_by;
        for sentence in decided.iter().skip(self.decided) {
            // A gate's own line has said it already.
            if !lines.iter().any(|(_, line)| line.contains(sentence.as_str())) {
                lines.push((now_ms, format!("decided: {sentence}")));
            }
        }
        self.decided = decided.len();
    }

    /// Told when the kind changes: the numbers inside a sentence change with every look.
    fn waiting(&mut self, detail: &DeploymentDetail, now_ms: Millis, lines: &mut Lines) {
        let waiting = detail.deployment.waiting.as_ref();
        let kind = waiting.map(|held| std::mem::discriminant(&held.on));
        if self.waiting == kind {
            return;
        }
        self.waiting = kind;
        // Targets and gates that are at work have lines of their own.
        if let Some(held) = waiting.filter(|held| !matches!(held.on, WaitingOn::Targets { .. } | WaitingOn::Measurement { .. })) {
            lines.push((held.since_ms.min(now_ms), held.on.sentence()));
        }
    }
}

fn gate_time(gate: &GateView, now_ms: Millis) -> Millis {
    let since_ms = gate.since_ms.unwrap_or(now_ms);
    match gate.state {
        GateState::Asking => since_ms,
        GateState::Pending | GateState::Passed | GateState::Failed => gate.measurements.last().map_or(now_ms, |last| last.at_ms),
    }
}

fn gate_line(gate: &GateView) -> String {
    let told = if gate.state == GateState::Asking { &gate.condition } else { &gate.sentence };
    format!("wave {}: gate {} {}: {told}", gate.wave + 1, gate.name, gate_state(gate.state))
}

/// How it ended, with the numbers.
pub fn ended(detail: &DeploymentDetail) -> String {
    let deployment = &detail.deployment;
    let state = deployment.state.as_str().replace('_', " ");
    let took = match (deployment.started_at_ms, deployment.ended_at_ms) {
        (Some(from_ms), Some(until_ms)) => format!(" after {}", time::lasting(until_ms - from_ms)),
        _ => String::new(),
    };
    let mut lines = vec![format!("{} {state}{took}: {}", deployment.id, counted(&detail.targets))];
    lines.extend(deployment.failure.as_ref().map(|failure| format!("  because {}", failure.reason)));
    lines.extend(deployment.fallback.as_ref().map(|id| format!("  taken back by {id}: tidegate deployment show {id}")));
    lines.join("\n")
}
