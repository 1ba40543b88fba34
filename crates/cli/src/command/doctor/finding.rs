//! What the doctor says of one thing: how it is, what and where, and what would be right.

use serde::Serialize;
use std::fmt::Display;

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Good,
    /// Could not be looked at; the finding says why.
    Skipped,
    /// It works, and something may come of it.
    Warning,
    /// It does not work, or is not safe.
    Problem,
}

/// What a finding is about. The texts are part of the public contract; each has a row in `docs/guide/doctor.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    ServerReached,
    ServerReady,
    Transport,
    Clock,
    Version,
    Token,
    History,
    Agents,
    AgentSilent,
    AgentMissing,
    AgentVersion,
    ProgramUnsteady,
    Artifacts,
    DataFolder,
    DataPrivate,
    Key,
    DiskSpace,
    DiskWritable,
    Library,
    ServerProcess,
    Database,
    DatabaseSchema,
    DatabaseIntegrity,
    WriteAheadLog,
    Backup,
    ReleaseKey,
    AgentFolder,
    AgentIdentity,
    AgentProcess,
    AgentJournal,
    AgentGenerations,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How it is.
    pub level: Level,
    /// What it is about.
    pub code: Code,
    /// What was found, with the value.
    pub what: String,
    /// The server, folder, file or target.
    pub place: String,
    /// What would be right; nothing where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// What was found so far.
#[derive(Debug, Default)]
pub struct Findings(pub Vec<Finding>);

impl Findings {
    /// As it should be.
    pub fn good(&mut self, code: Code, place: impl Display, what: impl Display) {
        self.add(Level::Good, code, place, (what.to_string(), None));
    }

    /// Not looked at.
    pub fn skipped(&mut self, code: Code, place: impl Display, (what, remedy): (impl Display, impl Display)) {
        self.add(Level::Skipped, code, place, (what.to_string(), Some(remedy.to_string())));
    }

    /// Something may come of it.
    pub fn warning(&mut self, code: Code, place: impl Display, (what, remedy): (impl Display, impl Display)) {
        self.add(Level::Warning, code, place, (what.to_string(), Some(remedy.to_string())));
    }

    /// It does not work, or is not safe.
    pub fn problem(&mut self, code: Code, place: impl Display, (what, remedy): (impl Display, impl Display)) {
        self.add(Level::Problem, code, place, (what.to_string(), Some(remedy.to_string())));
    }

    /// How many are at that level.
    pub fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|finding| finding.level == level).count()
    }

    fn add(&mut self, level: Level, code: Code, place: impl Display, (what, remedy): (String, Option<String>)) {
        self.0.push(Finding { level, code, what, place: place.to_string(), remedy });
    }
}

impl Code {
    /// The stable text, as JSON has it.
    pub fn text(self) -> String {
        serde_json::to_value(self).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

impl Finding {
    /// For people: `problem  what; remedy [code] at place`.
    pub fn line(&self) -> String {
        let level = match self.level {
            Level::Good => "good",
            Level::Skipped => "skipped",
            Level::Warning => "warning",
            Level::Problem => "problem",
        };
        let remedy = self.remedy.as_ref().map_or_else(String::new, |remedy| format!("; {remedy}"));
        format!("{level:<9}{}{remedy} [{}] at {}", self.what, self.code.text(), self.place)
    }
}
