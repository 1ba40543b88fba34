//! What clients send to `/api/v1`. Unknown fields are refused.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_domain::access::Grant;
use tidegate_domain::calendar::freeze::{Running, Strictness};
use tidegate_domain::change::{Choice, Content, Outcome};
use tidegate_domain::deployment::artifact::Format;
use tidegate_domain::deployment::rollout::Answer;
use tidegate_domain::deployment::strategy::Strategy;
use tidegate_domain::record::{ChangeRecord, DeploymentRecord, ReleaseRecord};
use tidegate_domain::release::{Milestone, Model};
use tidegate_domain::{Digest, Id, Millis, Name, Version, limits};

use crate::definition::Definition;

/// Define things, all or none. Defining a thing again changes it; defining it alike changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyDefinitions {
    /// In any order; they may need each other.
    pub definitions: Vec<Definition>,
}

/// What an upload's query says about the bytes that are its body.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadArtifact {
    /// The component it is a version of.
    pub component: Name,
    /// The version it is.
    pub version: Version,
    /// How it is packed.
    pub format: Format,
    /// The digest it must have.
    pub digest: Option<Digest>,
    /// Public half of the release key that signed it, in standard base64; with `signature`.
    pub signature_key: Option<String>,
    /// The signature, in standard base64; with `signature_key`.
    pub signature: Option<String>,
}

/// Write a change, as a draft.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteChange {
    /// What is to be authorised.
    pub content: Content,
    /// The release it belongs to.
    #[serde(default)]
    pub release: Option<Id>,
}

/// Vote on a change.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VoteOnChange {
    /// Yes or no.
    pub choice: Choice,
    /// The digest of the content that was looked at.
    pub digest: Digest,
    /// In the voter's words; required for a no.
    #[serde(default)]
    pub reason: String,
}

/// Close a change after its review.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseChange {
    /// How it ended.
    pub outcome: Outcome,
    /// What the review found.
    pub review: String,
}

/// Words that go into the history.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WithReason {
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// Nothing to say; an empty object.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Write a release, as a draft.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteRelease {
    /// Of what.
    pub application: Name,
    /// Its version.
    pub version: Version,
    /// In one line.
    pub title: String,
    /// The model it follows.
    #[serde(default)]
    pub model: Model,
    /// What each component will have.
    pub versions: BTreeMap<Name, Version>,
    /// Its dated points.
    #[serde(default)]
    pub milestones: Vec<Milestone>,
    /// By when it must be ready.
    #[serde(default)]
    pub ready_by_ms: Option<Millis>,
    /// The zone in which that was meant.
    #[serde(default = "utc")]
    pub zone: String,
    /// Stated before, measured after.
    #[serde(default)]
    pub objectives: Vec<String>,
}

fn utc() -> String {
    "UTC".into()
}

/// Say that an exit criterion of a phase holds.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeetCriterion {
    /// The phase, from 0.
    pub phase: usize,
    /// The criterion in it, from 0.
    pub criterion: usize,
}

/// Take a change into a release's scope, or attach one to a deployment.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NameChange {
    /// Which one.
    pub change: Id,
}

/// Declare a freeze.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeclareFreeze {
    /// What people call it.
    pub name: String,
    /// Why.
    pub reason: String,
    /// Where; none means every controlled environment.
    #[serde(default)]
    pub environments: Vec<Name>,
    /// Of what; none means every application.
    #[serde(default)]
    pub applications: Vec<Name>,
    /// Of which components; none means every one.
    #[serde(default)]
    pub components: Vec<Name>,
    /// First instant.
    pub from_ms: Millis,
    /// First instant after it.
    pub until_ms: Millis,
    /// The zone in which the times were meant.
    #[serde(default = "utc")]
    pub zone: String,
    /// What it lets through.
    #[serde(default)]
    pub strictness: Strictness,
    /// What it does to work that is already running.
    #[serde(default)]
    pub running: Running,
}

/// Ask to let one deployment into a freeze.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestException {
    /// Which deployment.
    pub deployment: Id,
    /// Why.
    pub reason: String,
}

/// Decide on an exception.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleException {
    /// Yes or no.
    pub choice: Choice,
    /// For a yes: when it expires; the end of the freeze unless said.
    #[serde(default)]
    pub until_ms: Option<Millis>,
    /// In the decider's words; required for a no.
    #[serde(default)]
    pub reason: String,
}

/// Make a plan and a deployment that would carry it out.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanDeployment {
    /// Of what.
    pub application: Name,
    /// Where.
    pub environment: Name,
    /// What each component will have; or name a release.
    #[serde(default)]
    pub versions: BTreeMap<Name, Version>,
    /// The release whose package it is.
    #[serde(default)]
    pub release: Option<Id>,
    /// The change that is to authorise it.
    #[serde(default)]
    pub change: Option<Id>,
    /// How; everything at once unless said.
    #[serde(default)]
    pub strategy: Option<StrategyChoice>,
}

/// A strategy by name or in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StrategyChoice {
    /// One that is defined.
    Named(Name),
    /// This one.
    Inline(Strategy),
}

/// Start a deployment.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartDeployment {
    /// What to do if admission says no.
    #[serde(default)]
    pub otherwise: Otherwise,
    /// Before when it must not start.
    #[serde(default)]
    pub not_before_ms: Option<Millis>,
}

/// What to do if admission says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Otherwise {
    /// Refuse, with every reason.
    #[default]
    Refuse,
    /// Wait until it says yes.
    Wait,
}

/// Stop a deployment.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StopDeployment {
    /// Why.
    pub reason: String,
    /// What then.
    #[serde(default)]
    pub then: AfterStop,
}

/// What follows a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AfterStop {
    /// Leave everything where it is.
    #[default]
    Stay,
    /// Go back by the plan back.
    FallBack,
}

/// Say what became of a step that may or may not have run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerTarget {
    /// The answer.
    pub answer: Answer,
}

/// Make an API token.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MakeToken {
    /// Whose it is.
    pub person: Name,
    /// What people call it.
    pub label: String,
    /// How long it is good; 1 minute to 400 days.
    #[schemars(range(min = 60, max = 34_560_000))]
    pub valid_seconds: u32,
}

/// Change what a person is trusted with.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetGrants {
    /// All of them.
    pub grants: Vec<Grant>,
}

/// The query of every list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// Only these states, separated by commas.
    #[serde(default)]
    pub state: Option<String>,
    /// Only of this application.
    #[serde(default)]
    pub application: Option<Name>,
    /// Only in this environment.
    #[serde(default)]
    pub environment: Option<Name>,
    /// Only of this release; of changes and deployments.
    #[serde(default)]
    pub release: Option<Id>,
    /// Only what contains this text in its id or title.
    #[serde(default)]
    pub text: Option<String>,
    /// `newest` (unless said), `oldest` or `name`.
    #[serde(default)]
    #[schemars(extend("enum" = ["newest", "oldest", "name"]))]
    pub sort: Option<String>,
    /// Rows on the page, 1 to 200; 50 unless said.
    #[serde(default)]
    #[schemars(range(min = 1, max = limits::PAGE_ROWS_MAX))]
    pub limit: Option<u32>,
    /// `next` of the page before.
    #[serde(default)]
    pub after: Option<String>,
}

/// Record what was carried out elsewhere and is over, all or none. What was recorded before, alike, stays as it is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordDone {
    /// The tool or place in which it was carried out; with the reference of each, what it is known again by.
    pub source: String,
    /// Releases.
    #[serde(default)]
    pub releases: Vec<ReleaseRecord>,
    /// Changes.
    #[serde(default)]
    pub changes: Vec<ChangeRecord>,
    /// Deployments.
    #[serde(default)]
    pub deployments: Vec<DeploymentRecord>,
}

/// Which deployments and changes figures are made of.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeasureQuery {
    /// From this instant on; 90 days before `until_ms` unless said.
    #[serde(default)]
    pub from_ms: Option<Millis>,
    /// And before this one; now unless said.
    #[serde(default)]
    pub until_ms: Option<Millis>,
    /// Only of this application.
    #[serde(default)]
    pub application: Option<Name>,
    /// Only in these environments, separated by commas; those of the tier production unless said.
    #[serde(default)]
    pub environment: Option<String>,
}
