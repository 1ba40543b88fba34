//! Orders and reports: what one target is told to do, and what it answers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::deployment::artifact::ArtifactRef;
use crate::estate::{Attested, Health, Step};
use crate::ids::{Digest, Id, Name, Version};

/// One try of one target in one deployment: `<deployment>:<target>:<n>`. Also the idempotency ticket of its order.
pub type AttemptId = String;

/// The attempt id of the `number`th try, counted from 1.
pub fn attempt_id(deployment: &Id, target: &Name, number: u32) -> AttemptId {
    format!("{deployment}:{target}:{number}")
}

/// One instruction to one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Order {
    /// The idempotency ticket: an agent that knows it answers with its status and runs nothing twice.
    pub attempt: AttemptId,
    /// The deployment it belongs to.
    pub deployment: Id,
    /// The plan it was taken from.
    pub plan: Digest,
    /// The application; the agent keeps one ratchet for each.
    pub application: Name,
    /// The environment of the target.
    pub environment: Name,
    /// The only target that may carry it out.
    pub target: Name,
    /// Fencing number; an agent refuses anything below the highest it has seen for the application.
    pub generation: u64,
    /// Server's clock. The agent compares it only with the server's clock in the same signed answer.
    pub expires_at_ms: Millis,
    /// What to install, in order.
    pub installations: Vec<Installation>,
    /// Names and values that steps see as environment variables.
    pub variables: BTreeMap<String, String>,
    /// The first step to run, counted over all installations; earlier ones are done.
    ///
    /// It is 0 until a person answers a question about a step, or another try is ordered after a step has succeeded that must
    /// not run twice: that try begins behind it. From one try to the next it never goes back.
    pub start_at: usize,
}

/// Bring one component to one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Installation {
    /// The component.
    pub component: Name,
    /// The version.
    pub version: Version,
    /// Its bytes.
    pub artifact: ArtifactRef,
    /// What to do, in order.
    pub steps: Vec<Step>,
    /// What must hold afterwards.
    pub health: Option<Health>,
    /// How many unpacked versions stay on the target, the current one included; at least 1.
    pub keep_releases: u32,
}

/// The state of one step of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Intent is journaled; nothing has been done yet, as far as is known.
    Starting,
    /// Its process runs.
    Running,
    /// It ended well.
    Succeeded,
    /// It ended badly.
    Failed,
    /// The infrastructure failed it: no disk, no such program.
    Errored,
    /// It ran longer than allowed and was ended.
    TimedOut,
    /// It was ended on request.
    Cancelled,
    /// It was not needed.
    Skipped,
    /// The agent was away while it ran and cannot tell how it ended.
    Unknown,
}

/// What became of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepReport {
    /// Position over all installations of the order, from 0.
    pub index: usize,
    /// The component.
    pub component: Name,
    /// The step's name.
    pub name: String,
    /// Its state.
    pub state: StepState,
    /// The exit code of its process, if it had one and ended by itself.
    pub exit_code: Option<i32>,
    /// How long it ran, by the target's clock.
    pub took_ms: Option<u64>,
    /// One line for people.
    pub detail: Option<String>,
}

impl StepReport {
    /// Whether it began, as far as is known.
    pub fn began(&self) -> bool {
        self.state != StepState::Skipped
    }
}

/// How far an attempt has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The agent has journaled the order and began.
    InProgress,
    /// Every step succeeded and the health check held for as long as asked.
    Healthy,
    /// A step or the health check failed.
    Failed,
    /// A step or the health check took too long.
    TimedOut,
    /// Ended on request.
    Cancelled,
    /// A `once` step may or may not have run: a person must say.
    Unknown,
    /// The order itself was refused; nothing was run.
    Refused,
}

impl Outcome {
    /// Whether the agent will say no more about the attempt.
    pub fn is_final(self) -> bool {
        !matches!(self, Outcome::InProgress)
    }
}

/// A target's answer to an order. Repeated until the server has it; a repeat is no news.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The order's ticket.
    pub attempt: AttemptId,
    /// The order's generation.
    pub generation: u64,
    /// How far it has come.
    pub outcome: Outcome,
    /// The steps so far.
    pub steps: Vec<StepReport>,
    /// What the target says is installed now, by component.
    pub attested: BTreeMap<Name, Attested>,
    /// One sentence for people: what decided the outcome.
    pub detail: Option<String>,
}
