//! `apply`: the only thing that changes a deployment. It cannot fail.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    Deployment, Event, Failure, GateOutcome, GateProgress, Held, Pause, Phase, Side, State, TargetState, gate_key_prefix,
};
use crate::Millis;
use crate::deployment::order::StepReport;
use crate::gate::{WaitingOn, measurement};
use crate::ids::Name;

impl Deployment {
    /// Takes an event in.
    pub fn apply(&mut self, event: &Event, at_ms: Millis) {
        // Whatever moves no longer waits; `advance` says anew what it waits on. A report or a reading alone moves nothing.
        if !matches!(event, Event::TargetReported { .. } | Event::Measured { .. } | Event::GateApproved { .. }) {
            self.waiting = None;
        }
        self.change(event, at_ms);
        self.recount();
    }

    fn change(&mut self, event: &Event, at_ms: Millis) {
        match event {
            Event::Planned { .. } | Event::Recorded { .. } => {}
            Event::ChangeAttached { change } => self.change = Some(change.clone()),
            Event::StartRequested { not_before_ms, .. } => {
                self.not_before_ms = *not_before_ms;
                self.state = State::Queued;
            }
            Event::Held { state, held, .. } => {
                self.state = *state;
                self.waiting = Some(held.clone());
            }
            Event::Started { generation } => {
                self.generation = *generation;
                self.state = State::Running;
                self.started_at_ms = Some(at_ms);
            }
            Event::GateOpened { .. } | Event::GateApproved { .. } | Event::Measured { .. } | Event::GateClosed { .. } => {
                self.change_gate(event, at_ms);
            }
            Event::WaveStarted { .. } | Event::WaveHealthy { .. } | Event::WaveCompleted { .. } => self.change_wave(event, at_ms),
            Event::TargetReported { .. }
            | Event::TargetsOverdue { .. }
            | Event::TargetRetried { .. }
            | Event::TargetExcluded { .. }
            | Event::TargetFailed { .. } => self.change_target(event, at_ms),
            Event::Paused { by, reason, freeze } => {
                self.state = State::Paused;
                self.pause = Some(Pause { by: by.clone(), reason: reason.clone(), freeze: freeze.clone(), since_ms: at_ms });
            }
            Event::Resumed { .. } => {
                // The time of a pause is nobody's delay.
                if let (Some(progress_ms), Some(pause)) = (&mut self.progress_at_ms, &self.pause) {
                    *progress_ms += at_ms - pause.since_ms.max(*progress_ms);
                }
                self.pause = None;
                self.state = self.moving();
            }
            Event::Failing { .. } | Event::FallbackStarted { .. } => self.change_course(event, at_ms),
            Event::Expired { reason } => self.end(State::Expired, Some(reason), at_ms),
            // What it fell back for has been told.
            Event::FellBack => self.end(State::FellBack, None, at_ms),
            Event::FallbackFailed { reason } => self.end(State::FallbackFailed, Some(reason), at_ms),
            Event::Succeeded { .. } => self.end(State::Succeeded, None, at_ms),
            Event::Failed { reason } => self.end(State::Failed, Some(reason), at_ms),
            Event::Cancelled { by, reason } => self.end(State::Cancelled, Some(&super::event::cancelled(by, reason)), at_ms),
        }
    }

    fn change_gate(&mut self, event: &Event, at_ms: Millis) {
        let (Event::GateOpened { gate, .. }
        | Event::GateApproved { gate, .. }
        | Event::Measured { gate, .. }
        | Event::GateClosed { gate, .. }) = event
        else {
            return;
        };
        let progress = self.gates.entry(gate.clone()).or_insert_with(|| blank(at_ms));
        if let Event::GateApproved { by, .. } = event {
            progress.approvals.push(by.clone());
        }
        if let Event::Measured { measurement, read, .. } = event {
            progress.measurements.push(measurement.clone());
            progress.counted = measurement::counted(&progress.counted, read);
        }
        if let Event::GateClosed { name, passed, sentence, by, .. } = event {
            // What was counted has said what it had to say, and is in the history.
            progress.counted.clear();
            progress.outcome = Some(GateOutcome { passed: *passed, sentence: sentence.clone(), by: by.clone(), at_ms });
            let word = if *passed { "passed" } else { "failed" };
            let side = if self.phase == Phase::Entry { "before" } else { "after" };
            let sentence = super::event::without_name(name, sentence);
            self.decided_by.push(format!("{name} {word} {side} wave {}: {sentence}", self.wave + 1));
        }
    }

    fn change_wave(&mut self, event: &Event, at_ms: Millis) {
        if let Event::WaveStarted { ordered, already_current, .. } = event {
            self.phase = Phase::Targets;
            self.progress_at_ms = Some(at_ms);
            for order in ordered {
                self.order(&order.target, 0, at_ms);
            }
            for target in already_current {
                self.put(target, TargetState::AlreadyCurrent, None, at_ms);
            }
        }
        if let Event::WaveHealthy { wave, .. } = event {
            self.phase = Phase::Verification;
            self.ask_again(*wave, at_ms);
            if *wave + 1 == self.waves {
                self.state = State::Baking;
            }
        }
        if let Event::WaveCompleted { wave } = event {
            self.wave = wave + 1;
            self.phase = Phase::Entry;
        }
    }

    /// The gates after a wave that was well, lost a target and is well again, are opened anew: a soak is one without a break.
    /// What people said stays.
    fn ask_again(&mut self, wave: u32, at_ms: Millis) {
        let mine = gate_key_prefix(wave, Side::After);
        let by_person = |gate: &GateProgress| gate.outcome.as_ref().is_some_and(|outcome| outcome.by.is_some());
        self.gates.retain(|key, gate| !key.starts_with(&mine) || by_person(gate) || !gate.approvals.is_empty());
        for (_, gate) in self.gates.iter_mut().filter(|(key, gate)| key.starts_with(&mine) && !by_person(gate)) {
            *gate = GateProgress { approvals: std::mem::take(&mut gate.approvals), ..blank(at_ms) };
        }
    }

    fn change_target(&mut self, event: &Event, at_ms: Millis) {
        if let Event::TargetReported { target, state, steps, detail, .. } = event {
            self.put(target, *state, detail.clone(), at_ms);
            if let Some(progress) = self.targets.get_mut(target).map(Arc::make_mut) {
                progress.begun_at_ms.get_or_insert(at_ms);
                progress.steps.clone_from(steps);
            }
            if *state == TargetState::Healthy {
                self.gather_again();
            }
        }
        if let Event::TargetsOverdue { targets, state, detail } = event {
            for target in targets {
                self.put(target, *state, Some(detail.clone()), at_ms);
            }
        }
        if let Event::TargetRetried { target, start_at, .. } = event {
            self.order(target, *start_at, at_ms);
        }
        if let Event::TargetExcluded { target, by, reason } = event {
            self.put(target, TargetState::Excluded, Some(format!("excluded by {by}: {reason}")), at_ms);
        }
        if let Event::TargetFailed { target, by } = event {
            self.put(target, TargetState::Failed, Some(format!("{by} decided that it has failed")), at_ms);
        }
    }

    fn change_course(&mut self, event: &Event, at_ms: Millis) {
        if let Event::Failing { reason, then, by } = event {
            self.state = State::Failing;
            self.ended_at_ms = None;
            self.pause = None;
            self.failure = Some(Failure { reason: reason.clone(), by: by.clone(), then: *then, at_ms });
            self.decided_by.push(reason.clone());
        }
        if let Event::FallbackStarted { deployment } = event {
            self.state = State::FallingBack;
            self.ended_at_ms = None;
            self.fallback = Some(deployment.clone());
        }
    }

    /// Keeps the number of awaited targets right between two looks.
    fn recount(&mut self) {
        let in_flight = self.in_flight();
        if let Some(Held { on: WaitingOn::Targets { count }, .. }) = &mut self.waiting {
            *count = in_flight;
            if in_flight == 0 {
                self.waiting = None;
            }
        }
    }

    /// Notes what it waits on, where only that has changed; this is shown, not decided upon, and so is no event.
    pub fn note_waiting(&mut self, on: &WaitingOn, until_ms: Option<Millis>, now_ms: Millis) {
        let since_ms = self.waiting.as_ref().filter(|held| held.on == *on).map_or(now_ms, |held| held.since_ms);
        self.waiting = Some(Held { on: on.clone(), since_ms, until_ms });
    }

    /// Running, or baking once the last wave is up.
    fn moving(&self) -> State {
        match self.phase {
            Phase::Verification if self.wave + 1 == self.waves => State::Baking,
            Phase::Verification | Phase::Entry | Phase::Targets => State::Running,
        }
    }

    fn end(&mut self, state: State, reason: Option<&String>, at_ms: Millis) {
        self.state = state;
        self.pause = None;
        self.ended_at_ms = Some(at_ms);
        if reason != self.decided_by.last() {
            self.decided_by.extend(reason.cloned());
        }
    }

    fn order(&mut self, target: &Name, start_at: usize, at_ms: Millis) {
        self.put(target, TargetState::Ordered, None, at_ms);
        if let Some(progress) = self.targets.get_mut(target).map(Arc::make_mut) {
            progress.attempt += 1;
            progress.ordered_at_ms = Some(at_ms);
            progress.begun_at_ms = None;
            progress.start_at = start_at;
            let ran = std::mem::take(&mut progress.steps).into_iter().filter(StepReport::began);
            for step in ran {
                progress.ran_before.retain(|it| (&it.component, &it.name) != (&step.component, &step.name));
                progress.ran_before.push(step);
            }
        }
        self.gather_again();
    }

    /// A target that is tried again, or becomes healthy late, while the gates after a wave are asked: they are asked anew when it
    /// is well, or it would go without its soak.
    fn gather_again(&mut self) {
        if self.phase == Phase::Verification {
            self.phase = Phase::Targets;
            // A paused deployment stays paused, or nobody could resume it.
            if self.state == State::Baking {
                self.state = State::Running;
            }
        }
    }

    fn put(&mut self, target: &Name, state: TargetState, detail: Option<String>, at_ms: Millis) {
        let Some(progress) = self.targets.get_mut(target).map(Arc::make_mut) else { return };
        let before = std::mem::replace(&mut progress.state, state);
        progress.detail = detail;
        progress.changed_at_ms = at_ms;
        // Nor is the time that an answer took.
        if matches!(state, TargetState::Ordered | TargetState::Healthy) || before == TargetState::Unknown {
            self.progress_at_ms = Some(at_ms);
        }
        if let Some(count) = self.counts.get_mut(&before) {
            *count = count.saturating_sub(1);
        }
        self.counts.retain(|_, count| *count > 0);
        *self.counts.entry(state).or_insert(0) += 1;
    }
}

fn blank(at_ms: Millis) -> GateProgress {
    GateProgress { since_ms: at_ms, approvals: Vec::new(), measurements: Vec::new(), counted: BTreeMap::new(), outcome: None }
}
