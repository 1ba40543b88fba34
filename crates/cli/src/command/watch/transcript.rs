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
    /// What gates said when they failed or passed; a decision repeats it.
    verdicts: Vec<String>,
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
            // The headline says it.
            self.state = Some(deployment.state);
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
                if matches!(gate.state, GateState::Passed | GateState::Failed) {
                    self.verdicts.push(verdict(gate).to_owned());
                }
                lines.push((gate_time(gate, now_ms), gate_line(gate)));
            }
        }
    }

    fn decisions(&mut self, detail: &DeploymentDetail, now_ms: Millis, lines: &mut Lines) {
        let decided = &detail.deployment.decided_by;
        for sentence in decided.iter().skip(self.decided) {
            // A gate's own line has said it already, or the line about the end will.
            let end = *sentence == detail.deployment.state.as_str().replace('_', " ");
            if !end && !self.verdicts.iter().any(|verdict| !verdict.is_empty() && sentence.ends_with(verdict.as_str())) {
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
        let told =
            |on: &WaitingOn| matches!(on, WaitingOn::Targets { .. } | WaitingOn::Measurement { .. } | WaitingOn::Bake { .. });
        if let Some(held) = waiting.filter(|held| !told(&held.on)) {
            lines.push((held.since_ms.min(now_ms), held.on.sentence()));
        }
    }
}

fn gate_time(gate: &GateView, now_ms: Millis) -> Millis {
    let since_ms = gate.since_ms.unwrap_or(now_ms);
    match gate.state {
        GateState::Asking => since_ms,
        GateState::Pending | GateState::Passed | GateState::Failed | GateState::CutShort => {
            gate.measurements.last().map_or(now_ms, |last| last.at_ms)
        }
    }
}

fn gate_line(gate: &GateView) -> String {
    let told = if gate.state == GateState::Asking { unnamed(gate, &gate.condition) } else { verdict(gate) };
    format!("wave {}: gate {} {}: {told}", gate.wave + 1, gate.name, gate_state(gate.state))
}

/// What the gate says, without its name in front.
fn verdict(gate: &GateView) -> &str {
    unnamed(gate, &gate.sentence)
}

fn unnamed<'a>(gate: &GateView, sentence: &'a str) -> &'a str {
    sentence.strip_prefix(gate.name.as_str()).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(sentence)
}

/// How it ended, with the numbers.
pub fn ended(detail: &DeploymentDetail) -> String {
    let deployment = &detail.deployment;
    let state = deployment.state.as_str().replace('_', " ");
    let took = match (deployment.started_at_ms, deployment.ended_at_ms) {
        (Some(from_ms), Some(until_ms)) => format!(" after {}", time::lasting(until_ms - from_ms)),
        _ => String::new(),
    };
    let targets = if detail.targets.is_empty() { "no target, so nothing was done".to_owned() } else { counted(&detail.targets) };
    let mut lines = vec![format!("{} {state}{took}: {targets}", deployment.id)];
    lines.extend(deployment.failure.as_ref().map(|failure| format!("  because {}", failure.reason)));
    lines.extend(deployment.fallback.as_ref().map(|id| format!("  taken back by {id}: tidegate deployment show {id}")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use tidegate_api::view::GateState;
    use tidegate_domain::Id;
    use tidegate_domain::deployment::rollout::{Failure, Held, State, TargetState, Then};
    use tidegate_domain::gate::WaitingOn;

    use super::{Transcript, ended};
    use crate::text::sample::{self, BEGUN_MS};

    #[test]
    fn a_canary_that_fails_is_told_line_by_line() {
        let mut detail = sample::detail();
        let mut transcript = Transcript::default();
        let mut told = Vec::new();
        let mut look = |detail: &_, at_ms| told.extend(transcript.lines(detail, at_ms, &sample::zone()));
        let held = |on, since_ms| Some(Held { on, since_ms, until_ms: None });

        detail.deployment.waiting = held(WaitingOn::Request, BEGUN_MS);
        look(&detail, BEGUN_MS + 1_000);
        detail.deployment.state = State::Running;
        detail.deployment.started_at_ms = Some(BEGUN_MS + 2_000);
        detail.deployment.waiting = held(WaitingOn::Targets { count: 1 }, BEGUN_MS + 2_000);
        sample::target(&mut detail, 0, TargetState::Ordered, BEGUN_MS + 2_000);
        look(&detail, BEGUN_MS + 2_500);
        sample::target(&mut detail, 0, TargetState::InProgress, BEGUN_MS + 3_000);
        look(&detail, BEGUN_MS + 3_500);
        // Looking again at the same tells nothing.
        look(&detail, BEGUN_MS + 4_000);
        sample::target(&mut detail, 0, TargetState::Healthy, BEGUN_MS + 5_000);
        for gate in &mut detail.gates[..2] {
            (gate.state, gate.since_ms) = (GateState::Asking, Some(BEGUN_MS + 5_000));
        }
        detail.deployment.waiting = held(WaitingOn::Bake { samples_missing: 40 }, BEGUN_MS + 5_000);
        look(&detail, BEGUN_MS + 5_500);
        // The number is another one, and that is no news.
        detail.deployment.waiting = held(WaitingOn::Bake { samples_missing: 12 }, BEGUN_MS + 5_000);
        look(&detail, BEGUN_MS + 6_500);

        detail.gates[0].state = GateState::Failed;
        detail.gates[0].sentence = "error rate: 0.4 is more than 0.05".into();
        detail.deployment.state = State::Failing;
        let reason = "error rate failed after wave 1: 0.4 is more than 0.05".to_owned();
        detail.deployment.failure =
            Some(Failure { reason: reason.clone(), by: None, then: Then::FallBack, at_ms: BEGUN_MS + 9_000 });
        detail.deployment.decided_by.push(reason);
        detail.deployment.waiting = None;
        look(&detail, BEGUN_MS + 9_000);
        detail.deployment.state = State::FellBack;
        detail.deployment.fallback = Some(Id::parse("DEP-sample-FB").expect("an id"));
        detail.deployment.ended_at_ms = Some(BEGUN_MS + 62_000);
        look(&detail, BEGUN_MS + 62_500);
        told.push(ended(&detail));
        expect![[r#"
            14:00:00  DEP-sample: shop 1.1 to production: planned, 0 of 4 targets done (canary, 2 waves, 4 targets)
            14:00:00  waiting for somebody to start it
            14:00:02  running
            14:00:03  wave 1: prod-1 in progress
            14:00:05  wave 1: prod-1 healthy
            14:00:05  wave 1: gate error rate asking: allowed at most 0.05, 3 times
            14:00:05  wave 1: gate bake asking: well for 30 s
            14:00:09  failing: error rate failed after wave 1: 0.4 is more than 0.05
            14:00:09  wave 1: gate error rate failed: 0.4 is more than 0.05
            DEP-sample fell back after 1 min 0 s: 1 healthy, 3 pending
              because error rate failed after wave 1: 0.4 is more than 0.05
              taken back by DEP-sample-FB: tidegate deployment show DEP-sample-FB"#]]
        .assert_eq(&told.join("\n"));
    }

    #[test]
    fn who_comes_late_is_told_what_happened() {
        let mut detail = sample::detail();
        detail.deployment.state = State::Running;
        detail.deployment.started_at_ms = Some(BEGUN_MS + 2_000);
        for index in 0..3 {
            sample::target(&mut detail, index, TargetState::Healthy, BEGUN_MS + 5_000 * (index as i64 + 1));
        }
        detail.gates[0].state = GateState::Passed;
        detail.gates[0].sentence = "error rate: 0 is at most 0.05".into();
        let lines = Transcript::default().lines(&detail, BEGUN_MS + 30_000, &sample::zone());
        expect![[r#"
            14:00:00  DEP-sample: shop 1.1 to production: running, 3 of 4 targets done (canary, 2 waves, 4 targets)
            14:00:05  wave 1: prod-1 healthy
            14:00:15  wave 2: prod-2, prod-3 healthy
            14:00:30  wave 1: gate error rate passed: 0 is at most 0.05"#]]
        .assert_eq(&lines.join("\n"));
    }
}
