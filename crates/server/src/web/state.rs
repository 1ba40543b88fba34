//! States for people: a glyph and a word, and a colour that only repeats them.

use maud::{Markup, html};
use tidegate_api::view::GateState;
use tidegate_domain::change;
use tidegate_domain::deployment::order::StepState;
use tidegate_domain::deployment::rollout::{State, TargetState};
use tidegate_domain::gate::Status;
use tidegate_domain::release;

/// How a state looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The symbol's id in `assets/icons.svg`, without its prefix.
    pub glyph: &'static str,
    /// The word.
    pub word: &'static str,
    /// The class that colours it.
    pub tone: Tone,
}

/// What a state means to whoever looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// Moving.
    Busy,
    /// Standing still, and it says on what.
    Wait,
    /// On its way back, or gone back.
    Back,
    /// Not begun, or no longer of interest.
    Idle,
}

impl Tone {
    /// Its class.
    pub fn class(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Bad => "bad",
            Tone::Busy => "busy",
            Tone::Wait => "wait",
            Tone::Back => "back",
            Tone::Idle => "idle",
        }
    }
}

const fn look(glyph: &'static str, word: &'static str, tone: Tone) -> Look {
    Look { glyph, word, tone }
}

impl Look {
    /// Glyph and word.
    pub fn badge(self) -> Markup {
        html! { span class={ "state " (self.tone.class()) } { (glyph(self.glyph)) (self.word) } }
    }

    /// The glyph alone, where the word stands beside or in the title.
    pub fn mark(self) -> Markup {
        html! { span class={ "state mark " (self.tone.class()) } title=(self.word) { (glyph(self.glyph)) span.hidden { (self.word) } } }
    }
}

/// A symbol of the page's sheet.
pub fn glyph(name: &str) -> Markup {
    html! { svg.glyph aria-hidden="true" { use href={ "#g-" (name) } {} } }
}

/// The look of a deployment.
pub fn deployment(state: State) -> Look {
    match state {
        State::Planned => look("ring", "planned", Tone::Idle),
        State::AwaitingApproval => look("person", "awaiting approval", Tone::Wait),
        State::Scheduled => look("clock", "scheduled", Tone::Wait),
        State::Queued => look("dots", "queued", Tone::Wait),
        State::Running => look("half", "running", Tone::Busy),
        State::Paused => look("pause", "paused", Tone::Wait),
        State::Baking => look("clock", "baking", Tone::Busy),
        State::Failing => look("cross", "failing", Tone::Bad),
        State::FallingBack => look("back", "falling back", Tone::Back),
        State::Succeeded => look("check", "succeeded", Tone::Good),
        State::Failed => look("cross", "failed", Tone::Bad),
        State::FellBack => look("back", "fell back", Tone::Back),
        State::FallbackFailed => look("alert", "fallback failed", Tone::Bad),
        State::Cancelled => look("minus", "cancelled", Tone::Idle),
        State::Expired => look("minus", "expired", Tone::Idle),
    }
}

/// The look of a target in a deployment.
pub fn target(state: TargetState) -> Look {
    match state {
        TargetState::Pending => look("ring", "pending", Tone::Idle),
        TargetState::Ordered => look("dots", "ordered", Tone::Busy),
        TargetState::InProgress => look("half", "in progress", Tone::Busy),
        TargetState::Healthy => look("check", "healthy", Tone::Good),
        TargetState::Failed => look("cross", "failed", Tone::Bad),
        TargetState::TimedOut => look("clock", "timed out", Tone::Bad),
        TargetState::Unreachable => look("slash", "unreachable", Tone::Bad),
        TargetState::Excluded => look("minus", "excluded", Tone::Idle),
        TargetState::AlreadyCurrent => look("equal", "already current", Tone::Good),
        TargetState::Cancelled => look("minus", "cancelled", Tone::Idle),
        TargetState::Unknown => look("question", "unknown", Tone::Wait),
    }
}

/// The look of a step.
pub fn step(state: StepState) -> Look {
    match state {
        StepState::Starting => look("dots", "starting", Tone::Busy),
        StepState::Running => look("half", "running", Tone::Busy),
        StepState::Succeeded => look("check", "succeeded", Tone::Good),
        StepState::Failed => look("cross", "failed", Tone::Bad),
        StepState::Errored => look("alert", "errored", Tone::Bad),
        StepState::TimedOut => look("clock", "timed out", Tone::Bad),
        StepState::Cancelled => look("minus", "cancelled", Tone::Idle),
        StepState::Skipped => look("minus", "skipped", Tone::Idle),
        StepState::Unknown => look("question", "unknown", Tone::Wait),
    }
}

/// The look of a gate.
pub fn gate(state: GateState) -> Look {
    match state {
        GateState::Pending => look("ring", "not asked yet", Tone::Idle),
        GateState::Asking => look("dots", "asking", Tone::Busy),
        GateState::Passed => look("check", "passed", Tone::Good),
        GateState::Failed => look("cross", "failed", Tone::Bad),
        GateState::CutShort => look("ring", "cut short", Tone::Idle),
    }
}

/// The look of a measurement.
pub fn measurement(status: Status) -> Look {
    match status {
        Status::Successful => look("check", "good", Tone::Good),
        Status::Failed => look("cross", "bad", Tone::Bad),
        Status::Inconclusive => look("question", "too little data", Tone::Idle),
        Status::Error => look("alert", "error", Tone::Wait),
    }
}

/// The look of a release.
pub fn release(state: release::State) -> Look {
    match state {
        release::State::Draft => look("ring", "draft", Tone::Idle),
        release::State::Planned => look("ring", "planned", Tone::Idle),
        release::State::InProgress => look("half", "in progress", Tone::Busy),
        release::State::Deploying => look("half", "deploying", Tone::Busy),
        release::State::EarlyLifeSupport => look("heart", "early life support", Tone::Busy),
        release::State::Evaluated => look("check", "evaluated", Tone::Good),
        release::State::Closed => look("check", "closed", Tone::Good),
        release::State::Cancelled => look("minus", "cancelled", Tone::Idle),
    }
}

/// The look of a phase.
pub fn phase(state: release::PhaseState) -> Look {
    match state {
        release::PhaseState::Pending => look("ring", "pending", Tone::Idle),
        release::PhaseState::Active => look("half", "active", Tone::Busy),
        release::PhaseState::Complete => look("check", "complete", Tone::Good),
    }
}

/// The look of a change.
pub fn change(state: change::State) -> Look {
    match state {
        change::State::Draft => look("ring", "draft", Tone::Idle),
        change::State::Submitted => look("dots", "submitted", Tone::Wait),
        change::State::Assessing => look("dots", "assessing", Tone::Wait),
        change::State::AwaitingAuthorisation => look("person", "awaiting authorisation", Tone::Wait),
        change::State::Authorised => look("check", "authorised", Tone::Good),
        change::State::Scheduled => look("clock", "scheduled", Tone::Wait),
        change::State::Implementing => look("half", "implementing", Tone::Busy),
        change::State::Verifying => look("half", "verifying", Tone::Busy),
        change::State::Review => look("person", "in review", Tone::Wait),
        change::State::Closed => look("check", "closed", Tone::Good),
        change::State::Rejected => look("cross", "rejected", Tone::Bad),
        change::State::Cancelled => look("minus", "cancelled", Tone::Idle),
    }
}

/// The look of a change that has ended, by how it did.
pub fn outcome(outcome: change::Outcome) -> Look {
    match outcome {
        change::Outcome::Successful => look("check", "closed, successful", Tone::Good),
        change::Outcome::WithIssues => look("alert", "closed, with issues", Tone::Wait),
        change::Outcome::Unsuccessful => look("cross", "closed, unsuccessful", Tone::Bad),
        change::Outcome::FellBack => look("back", "closed, fell back", Tone::Back),
    }
}

/// The look of a freeze, by the word of [`tidegate_domain::calendar::Freeze::state`].
pub fn freeze(state: &str) -> Look {
    match state {
        "planned" => look("clock", "planned", Tone::Idle),
        "in_force" => look("freeze", "in force", Tone::Busy),
        "lifted" => look("minus", "lifted", Tone::Idle),
        _ => look("minus", "over", Tone::Idle),
    }
}

/// A release that no path deploys any more.
pub const REJECTED: Look = look("cross", "rejected", Tone::Bad);
/// A change whose approvals are suspended.
pub const ON_HOLD: Look = look("pause", "on hold", Tone::Wait);
