//! What `/api/v1` answers with. The nouns themselves are shown as the domain keeps them, inside [`Versioned`].

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_domain::access::{Grant, Role};
use tidegate_domain::admission::Reason;
use tidegate_domain::calendar::freeze::Passage;
use tidegate_domain::deployment::plan::Plan;
use tidegate_domain::deployment::rollout::{Deployment, State as DeploymentState, TargetProgress};
use tidegate_domain::estate::{Target, TargetState};
use tidegate_domain::event::{Actor, Stream};
use tidegate_domain::{Digest, Id, Millis, Name, Version};

/// A thing and the version of it that this is; `version` is also its `ETag`, to be sent back as `If-Match`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Versioned<T> {
    /// How many events it has had.
    pub version: u64,
    /// When it last changed.
    pub updated_at_ms: Millis,
    /// The thing.
    pub value: T,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page begins; absent on the last one.
    pub next: Option<String>,
}

/// What became of one definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Applied {
    /// `application/ledger`
    pub thing: String,
    /// What was done.
    pub outcome: AppliedOutcome,
}

/// What was done with a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AppliedOutcome {
    /// It is new.
    Created,
    /// It was different.
    Changed,
    /// It was so before.
    Unchanged,
}

/// What became of a set of definitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppliedDefinitions {
    /// In the order given.
    pub applied: Vec<Applied>,
}

/// A deployment with what stands around it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeploymentView {
    /// The deployment.
    pub deployment: Deployment,
    /// What stands against starting it now; empty once it has started.
    pub reasons: Vec<Reason>,
    /// What it does or waits on, in one sentence.
    pub sentence: String,
}

/// A deployment's plan, targets and gates, for those who want all of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeploymentDetail {
    /// The deployment.
    pub deployment: Deployment,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// Its targets, by wave and name.
    pub targets: Vec<Arc<TargetProgress>>,
    /// Its gates, by wave.
    pub gates: Vec<GateView>,
    /// What stands against starting it now; empty once it has started.
    pub reasons: Vec<Reason>,
    /// What it does or waits on, in one sentence.
    pub sentence: String,
}

/// A gate of a deployment, for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateView {
    /// Its key, for approving and overriding.
    pub key: String,
    /// Its wave, from 0.
    pub wave: u32,
    /// Its kind: `approval`, `bake`, `check`, `metric` or `window`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What it asks for.
    pub condition: String,
    /// How it stands.
    pub state: GateState,
    /// With what numbers, or what it waits on.
    pub sentence: String,
    /// Since when it is asked.
    pub since_ms: Option<Millis>,
    /// When time alone lifts it, if so.
    pub until_ms: Option<Millis>,
    /// What it measured, oldest first.
    pub measurements: Vec<tidegate_domain::gate::Measurement>,
    /// Who said yes.
    pub approvals: Vec<Name>,
}

/// How a gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateState {
    /// Its turn has not come.
    Pending,
    /// It is asked now.
    Asking,
    /// It let the deployment go on.
    Passed,
    /// It did not.
    Failed,
    /// It was asked, and something else decided before it did.
    CutShort,
}

/// A target with what is known of its agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TargetView {
    /// As defined.
    pub target: Target,
    /// As attested.
    pub state: TargetState,
    /// When its agent was last heard of, by this server process.
    pub contact_at_ms: Option<Millis>,
    /// Its agent's version.
    pub agent_version: Option<String>,
    /// Programs that its agent keeps up and that did not stay up lately; as its agent said last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsteady: Vec<Unsteady>,
}

/// A supervised program that had ended by itself more than once in ten minutes when its agent last spoke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unsteady {
    /// Whose program.
    pub component: Name,
    /// How often it had ended by itself in that time.
    pub ends: u64,
    /// When it did last.
    pub ended_at_ms: Millis,
    /// Whether it waits to be started again.
    pub is_down: bool,
    /// The last line that it wrote; empty if it wrote nothing.
    pub last_words: String,
}

impl Unsteady {
    /// In words, without when: `ledger has ended 3 times by itself in ten minutes and is down: port is taken`.
    pub fn sentence(&self) -> String {
        let down = if self.is_down { " and is down" } else { "" };
        let words = if self.last_words.is_empty() { String::new() } else { format!(": {}", self.last_words) };
        format!("{} has ended {} times by itself in ten minutes{down}{words}", self.component, self.ends)
    }
}

/// How to enrol an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Enrolment {
    /// The target.
    pub target: Name,
    /// The one-time token; shown once.
    pub token: String,
    /// When it expires.
    pub expires_at_ms: Millis,
    /// The command to run on the target.
    pub command: String,
}

/// A token that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MadeToken {
    /// Which one.
    pub id: Id,
    /// The secret; shown once.
    pub secret: String,
    /// When it expires.
    pub expires_at_ms: Millis,
}

/// A token without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenView {
    /// Which one.
    pub id: Id,
    /// What it opens, in words.
    pub opens: String,
    /// What people call it.
    pub label: String,
    /// When it was made.
    pub created_at_ms: Millis,
    /// When it expires.
    pub expires_at_ms: Millis,
    /// When it was used up or revoked.
    pub ended_at_ms: Option<Millis>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhoAmI {
    /// The person.
    pub name: Name,
    /// Their name for people.
    pub title: String,
    /// What they are trusted with.
    pub grants: Vec<Grant>,
    /// The roles, without scopes.
    pub roles: Vec<Role>,
}

/// One entry of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventView {
    /// Its place in the whole history; also the id of server-sent events.
    pub position: u64,
    /// Of what.
    pub stream: Stream,
    /// Its place in that stream.
    pub version: u64,
    /// What kind of event.
    pub kind: String,
    /// Who caused it.
    pub actor: Actor,
    /// What led to it.
    pub cause: String,
    /// When.
    pub at_ms: Millis,
    /// One sentence for people.
    pub sentence: String,
    /// Its fields.
    pub body: serde_json::Value,
    /// Its hash.
    pub hash: String,
}

/// What a walk over the whole history found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditVerified {
    /// Events walked.
    pub events: u64,
    /// Streams walked.
    pub streams: u64,
    /// The first entry that does not fit, if any.
    pub broken: Option<BrokenEntry>,
}

/// The first entry of the history that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BrokenEntry {
    /// In which stream, as it stands in the database.
    pub stream: String,
    /// Its place in the stream.
    pub version: u64,
    /// Its place in the whole history.
    pub position: u64,
    /// What is wrong.
    pub what: String,
}

/// A piece of a target's log.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LogView {
    /// The pieces, in order.
    pub chunks: Vec<crate::agent::LogChunk>,
}

/// A plan by its digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanView {
    /// Its digest.
    pub digest: Digest,
    /// The plan.
    pub plan: Plan,
}

/// What the server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct About {
    /// The program's version.
    pub version: String,
    /// The database.
    pub database: String,
    /// The server's public key, which signs orders.
    pub server_key: String,
    /// Things by kind.
    pub counts: BTreeMap<String, u64>,
}

/// What became of a batch of records; the ids stand in the order of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedView {
    /// How many are new.
    pub recorded: u64,
    /// How many were recorded before, alike.
    pub known: u64,
    /// The releases.
    pub releases: Vec<Id>,
    /// The changes.
    pub changes: Vec<Id>,
    /// The deployments.
    pub deployments: Vec<Id>,
}

/// What came through a freeze.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FreezePassages {
    /// Oldest first.
    pub rows: Vec<PassageView>,
    /// Whether every deployment of that time was looked at; if not, only the newest ones were.
    pub complete: bool,
}

/// A deployment that began while a freeze that concerns it was in force.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PassageView {
    /// Which one.
    pub deployment: Id,
    /// Of what.
    pub application: Name,
    /// Where.
    pub environment: Name,
    /// What each component got.
    pub versions: BTreeMap<Name, Version>,
    /// When it began.
    pub started_at_ms: Millis,
    /// Whether that is known, or only guessed: then nobody can say that it was against the freeze.
    pub exact: bool,
    /// How far it is.
    pub state: DeploymentState,
    /// How it could begin.
    pub passage: Passage,
    /// The same in words.
    pub sentence: String,
}
