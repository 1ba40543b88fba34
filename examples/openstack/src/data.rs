//! The files of the reference data, as they are; see its README for what they mean.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;
use tidegate_api::strict;

/// One deliverable in one series.
#[derive(Debug, Clone, Deserialize)]
pub struct Deliverable {
    /// `library`, `service`, …
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Its versions, in order.
    #[serde(default)]
    pub releases: Vec<Release>,
}

/// One version of a deliverable.
#[derive(Debug, Clone, Deserialize)]
pub struct Release {
    /// Such as `29.0.0`, `29.0.0.0rc1` or `caracal-eol`.
    pub version: String,
}

/// The weeks of a series.
#[derive(Debug, Clone, Deserialize)]
pub struct Schedule {
    /// One after the other.
    pub cycle: Vec<Week>,
}

/// A week, Monday to Friday.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Week {
    /// Its Monday.
    pub start: Date,
    /// Its Friday.
    pub end: Date,
    /// Events for everybody, by their tags.
    #[serde(default)]
    pub x_project: Vec<String>,
    /// Events of some.
    #[serde(default)]
    pub project_specific: Vec<String>,
}

impl Week {
    /// All tags of its events.
    pub fn tags(&self) -> impl Iterator<Item = &String> {
        self.x_project.iter().chain(&self.project_specific)
    }
}

/// What the tags of some events mean.
#[derive(Debug, Clone, Deserialize)]
pub struct Meaning {
    /// Which ones.
    pub tags: Vec<String>,
    /// In a few words.
    pub title: String,
    /// In full.
    #[serde(default)]
    pub text: String,
}

/// A proposed change to the release data.
#[derive(Debug, Clone, Deserialize)]
pub struct Request {
    /// Its commit.
    pub commit: String,
    /// Its first line.
    pub subject: String,
    /// Who proposed it.
    pub proposer: String,
    /// When.
    pub proposed_at: Timestamp,
    /// When it last changed.
    pub last_patchset_at: Timestamp,
    /// When the gate merged it; the history of some does not say.
    pub merged_at: Option<Timestamp>,
    /// The series it touches.
    pub series: Vec<String>,
    /// The versions it adds.
    pub versions_added: Vec<Versioned>,
    /// The versions it takes back.
    pub versions_removed: Vec<Versioned>,
    /// Whether it takes another request back.
    pub is_revert: bool,
}

/// A version in a request.
#[derive(Debug, Clone, Deserialize)]
pub struct Versioned {
    /// In which series.
    pub series: String,
    /// Of what.
    pub deliverable: String,
    /// Which.
    pub version: String,
    /// The type of the deliverable at that time.
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
}

/// Everything there is about one series.
#[derive(Debug, Clone)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// By name.
    pub deliverables: BTreeMap<String, Deliverable>,
    /// Its weeks.
    pub schedule: Schedule,
    /// What its events mean.
    pub meanings: Vec<Meaning>,
    /// The requests that touch it, as they were written down.
    pub requests: Vec<Request>,
}

impl Series {
    /// Reads a series from the folder of the data set.
    ///
    /// # Errors
    ///
    /// If a file is missing or is not as the README of the data says, with its name.
    pub fn read(folder: &Path, name: &str) -> anyhow::Result<Series> {
        let mut deliverables = BTreeMap::new();
        let place = folder.join("deliverables").join(name);
        for entry in std::fs::read_dir(&place).with_context(|| format!("{} cannot be read", place.display()))? {
            let path = entry?.path();
            let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
            deliverables.insert(stem.to_owned(), yaml(&path)?);
        }
        let requests = folder.join("release_requests.jsonl");
        let text = text(&requests)?;
        let requests = text.lines().enumerate().map(|(index, line)| {
            serde_json::from_str::<Request>(line).with_context(|| format!("{}:{}", requests.display(), index + 1))
        });
        let requests = requests.collect::<anyhow::Result<Vec<_>>>()?;
        let meanings = folder.join("schedule").join(format!("{name}.milestones.json"));
        Ok(Series {
            name: name.to_owned(),
            deliverables,
            schedule: yaml(&folder.join("schedule").join(format!("{name}.yaml")))?,
            meanings: serde_json::from_str(&self::text(&meanings)?).with_context(|| meanings.display().to_string())?,
            requests: requests.into_iter().filter(|it| it.series.iter().any(|series| series == name)).collect(),
        })
    }
}

fn text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

fn yaml<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let name = path.display().to_string();
    let read = strict::yaml::<T>(&text(path)?, &name);
    let read = read.map_err(|marked| {
        let first = marked.first().map(|it| format!("{} at {}", it.refusal.what, it.refusal.place.as_deref().unwrap_or(&name)));
        anyhow!("{}", first.unwrap_or_else(|| name.clone()))
    })?;
    read.into_iter().next().map(|located| located.value).ok_or_else(|| anyhow!("{name} is empty"))
}
