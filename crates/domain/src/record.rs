//! Records of what was carried out elsewhere, by another tool or by hand: releases, changes and deployments that are over.
//!
//! Nothing of them runs here. They stand in lists, calendar, matrix and figures beside what Tidegate did itself, and each says
//! that it is only recorded, by whom, and from where. What Tidegate attested itself is never replaced by a record: no way back
//! leads to one.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::change::{Content, Outcome, said};
use crate::ids::{Digest, Id, Name, Version, clip};
use crate::refusal::{Code, Refusal};
use crate::release::Milestone;
use crate::{Millis, canonical, limits};

/// Characters of a source or a reference: a title in the other tool, not a text.
pub const REFERENCE_CHARS_MAX: usize = 200;
/// Phases or milestones of one recorded release.
pub const DATES_MAX: usize = 200;

/// That something was carried out elsewhere and is only recorded here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recorded {
    /// The tool or place in which it was carried out.
    pub source: String,
    /// What it is called there.
    pub reference: String,
    /// Who recorded it.
    pub by: Name,
    /// When it was recorded.
    pub at_ms: Millis,
    /// How well its instants are known.
    pub time: Precision,
    /// What was recorded, so that recording it again is known for the same.
    pub digest: Digest,
}

/// How well an instant is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// As the other tool wrote it down.
    #[default]
    Exact,
    /// Nobody wrote it down: it stands where it most likely was, and no figure is made of it.
    Approximate,
}

impl Precision {
    /// Whether figures may be made of it.
    pub fn is_exact(self) -> bool {
        self == Precision::Exact
    }
}

/// A deployment that was carried out elsewhere and has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeploymentRecord {
    /// What it is called there; with the source, what it is known again by.
    pub reference: String,
    /// What was deployed.
    pub application: Name,
    /// Where.
    pub environment: Name,
    /// What each component got.
    pub versions: BTreeMap<Name, Version>,
    /// How it ended.
    #[serde(default)]
    pub outcome: Ending,
    /// When it began.
    pub started_at_ms: Millis,
    /// When it ended; for one that fell back, when the way back had ended.
    pub ended_at_ms: Millis,
    /// When it was seen to fail, if it did; from here to the end is the time of recovery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at_ms: Option<Millis>,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// How well these instants are known.
    #[serde(default)]
    pub time: Precision,
    /// The reference of the change it was made under; recorded before or with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// The reference of the release it belongs to; recorded before or with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
}

/// How a recorded deployment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// As planned.
    #[default]
    Succeeded,
    /// It failed, and nothing was taken back.
    Failed,
    /// It failed, or was found bad later, and was taken back.
    FellBack,
    /// Somebody stopped it.
    Cancelled,
}

/// A change that was made elsewhere and is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeRecord {
    /// What it is called there; with the source, what it is known again by.
    pub reference: String,
    /// What was changed. It names no plans: nothing was planned here.
    pub content: Content,
    /// Who wrote it.
    pub author: Name,
    /// When it was written.
    pub written_at_ms: Millis,
    /// When it was authorised. A change that nobody authorised enters at review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorised_at_ms: Option<Millis>,
    /// When it was in effect in all its environments, if it ever was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub implemented_at_ms: Option<Millis>,
    /// When it was over.
    pub closed_at_ms: Millis,
    /// How it ended.
    pub outcome: Outcome,
    /// What its review found.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub review: String,
    /// Whether it was made to take back or repair what failed: rework.
    #[serde(default)]
    pub repairs: bool,
    /// How well these instants are known.
    #[serde(default)]
    pub time: Precision,
    /// The reference of the release it belongs to; recorded before or with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
}

/// A release that was made elsewhere and is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRecord {
    /// What it is called there; with the source, what it is known again by.
    pub reference: String,
    /// Of what.
    pub application: Name,
    /// Its version.
    pub version: Version,
    /// In one line.
    pub title: String,
    /// The way it followed, in a word.
    pub model: String,
    /// Its periods of work, in order.
    #[serde(default)]
    pub phases: Vec<PhaseRecord>,
    /// Its dated points.
    #[serde(default)]
    pub milestones: Vec<Milestone>,
    /// What each component had.
    pub versions: BTreeMap<Name, Version>,
    /// By when it had to be ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_by_ms: Option<Millis>,
    /// The zone in which that was meant.
    #[serde(default = "utc")]
    pub zone: String,
    /// What it was for.
    #[serde(default)]
    pub objectives: Vec<String>,
    /// What its evaluation found.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub evaluation: String,
    /// Who wrote it.
    pub author: Name,
    /// When it was begun.
    pub written_at_ms: Millis,
    /// When it was closed.
    pub closed_at_ms: Millis,
}

fn utc() -> String {
    "UTC".into()
}

/// A period of work of a recorded release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhaseRecord {
    /// Its name.
    pub name: String,
    /// When it began.
    pub started_at_ms: Millis,
    /// When it ended.
    pub ended_at_ms: Millis,
}

/// The id of what was recorded: the same application, source and reference lead to the same thing, in one batch and in all.
///
/// # Panics
///
/// Never: the characters of a digest are those of an id.
pub fn id(prefix: &str, (application, source): (&Name, &str), reference: &str) -> Id {
    let digest = canonical::digest(&(application, source, reference));
    let hex = digest.as_str().trim_start_matches("sha256:");
    Id::parse(&format!("{prefix}-r{}", &hex[..20])).expect("prefix and hexadecimal digits are an id")
}

impl Recorded {
    /// The note on a record that `by` made.
    pub fn of<R: Serialize>(
        record: &R,
        (source, reference): (&str, &str),
        time: Precision,
        (by, at_ms): (&Name, Millis),
    ) -> Recorded {
        let (source, reference) = (source.to_owned(), reference.to_owned());
        Recorded { source, reference, by: by.clone(), at_ms, time, digest: canonical::digest(record) }
    }
}

impl DeploymentRecord {
    /// Checks what serde cannot.
    ///
    /// # Errors
    ///
    /// [`Code::Malformed`], [`Code::TooLarge`] or [`Code::OutOfRange`], at the field.
    pub fn check(&self, now_ms: Millis) -> Result<(), Refusal> {
        reference("reference", &self.reference)?;
        versions(&self.versions)?;
        ordered("ended_at_ms", self.started_at_ms, self.ended_at_ms)?;
        past("ended_at_ms", self.ended_at_ms, now_ms)?;
        if let Some(failed_at_ms) = self.failed_at_ms {
            if matches!(self.outcome, Ending::Succeeded | Ending::Cancelled) {
                let what = "it names an instant of failure, and did not fail";
                return Err(
                    Refusal::new(Code::Malformed, what, "leave failed_at_ms out, or say how it failed").at("failed_at_ms")
                );
            }
            ordered("failed_at_ms", self.started_at_ms, failed_at_ms)?;
            ordered("ended_at_ms", failed_at_ms, self.ended_at_ms)?;
        }
        if self.reason.chars().count() > limits::TEXT_CHARS_MAX {
            return Err(too_long("reason"));
        }
        Ok(())
    }
}

impl ChangeRecord {
    /// Checks what serde and the content's own check cannot.
    ///
    /// A change that was written after it was over is taken as it is told: other tools' clocks and imports make such ones, and
    /// the figures leave them out and say so.
    ///
    /// # Errors
    ///
    /// [`Code::Malformed`], [`Code::TooLarge`] or [`Code::OutOfRange`], at the field.
    pub fn check(&self, now_ms: Millis) -> Result<(), Refusal> {
        reference("reference", &self.reference)?;
        if !self.content.plans.is_empty() {
            let what = "it names plans, and nothing of it was planned here";
            return Err(Refusal::new(Code::Malformed, what, "leave the plans out").at("content.plans"));
        }
        let instants = [
            ("written_at_ms", Some(self.written_at_ms)),
            ("authorised_at_ms", self.authorised_at_ms),
            ("implemented_at_ms", self.implemented_at_ms),
            ("closed_at_ms", Some(self.closed_at_ms)),
        ];
        instants.into_iter().try_for_each(|(field, at_ms)| at_ms.map_or(Ok(()), |at_ms| past(field, at_ms, now_ms)))?;
        if self.review.chars().count() > limits::TEXT_CHARS_MAX {
            return Err(too_long("review"));
        }
        Ok(())
    }
}

impl ReleaseRecord {
    /// Checks what serde and the release's own check cannot.
    ///
    /// # Errors
    ///
    /// [`Code::Malformed`], [`Code::TooLarge`] or [`Code::OutOfRange`], at the field.
    pub fn check(&self, now_ms: Millis) -> Result<(), Refusal> {
        reference("reference", &self.reference)?;
        said("model", &self.model)?;
        ordered("closed_at_ms", self.written_at_ms, self.closed_at_ms)?;
        past("closed_at_ms", self.closed_at_ms, now_ms)?;
        if self.phases.len() > DATES_MAX {
            let what = format!("it has {} phases", self.phases.len());
            return Err(Refusal::new(Code::TooLarge, what, format!("use at most {DATES_MAX}")).at("phases"));
        }
        for (index, phase) in self.phases.iter().enumerate() {
            said(&format!("phases[{index}].name"), &phase.name)?;
            ordered(&format!("phases[{index}].ended_at_ms"), phase.started_at_ms, phase.ended_at_ms)?;
        }
        Ok(())
    }
}

/// A source or a reference: short, and something.
///
/// # Errors
///
/// [`Code::Malformed`] at the field.
pub fn reference(field: &str, text: &str) -> Result<(), Refusal> {
    let good = !text.trim().is_empty() && text.chars().count() <= REFERENCE_CHARS_MAX && !text.chars().any(char::is_control);
    if good {
        return Ok(());
    }
    let what = format!("\"{}\" is not a {field}", clip(text));
    Err(Refusal::new(Code::Malformed, what, format!("use 1 to {REFERENCE_CHARS_MAX} plain characters")).at(field))
}

fn versions(versions: &BTreeMap<Name, Version>) -> Result<(), Refusal> {
    if (1..=limits::COMPONENTS_MAX).contains(&versions.len()) {
        return Ok(());
    }
    let what = format!("it has {} component versions", versions.len());
    Err(Refusal::new(Code::OutOfRange, what, format!("give it 1 to {}", limits::COMPONENTS_MAX)).at("versions"))
}

fn ordered(field: &str, first_ms: Millis, then_ms: Millis) -> Result<(), Refusal> {
    if first_ms <= then_ms {
        return Ok(());
    }
    Err(Refusal::new(Code::OutOfRange, format!("{field} is before what comes before it"), "give the instants in their order")
        .at(field))
}

fn past(field: &str, at_ms: Millis, now_ms: Millis) -> Result<(), Refusal> {
    if (0..=now_ms).contains(&at_ms) {
        return Ok(());
    }
    let remedy = "record what is over, with instants between 1970 and now, in milliseconds";
    Err(Refusal::new(Code::OutOfRange, format!("{field} is not in the past"), remedy).at(field))
}

fn too_long(field: &str) -> Refusal {
    Refusal::new(Code::TooLarge, format!("{field} is too long"), format!("use at most {} characters", limits::TEXT_CHARS_MAX))
        .at(field)
}
