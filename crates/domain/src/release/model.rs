//! Release models: repeatable approaches whose rigour matches what is at stake.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Criterion, Phase, PhaseState};

/// A repeatable approach for a kind of release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// Small and frequent: build and deploy.
    Light,
    /// The usual way.
    #[default]
    Standard,
    /// Much at stake: people, documents and support are prepared, too.
    Major,
}

impl Model {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Model::Light => "light",
            Model::Standard => "standard",
            Model::Major => "major",
        }
    }

    /// Its phases, with what must hold at the end of each.
    pub fn phases(self) -> Vec<Phase> {
        let phases: &[(&str, &[&str])] = match self {
            Model::Light => &[("build", &[]), ("deploy", &[])],
            Model::Standard => &[
                ("plan", &["scope and objectives are agreed"]),
                ("build", &["every artifact is in the media library and signed"]),
                ("test", &["the release is verified in a pre-production environment"]),
                ("deploy", &[]),
            ],
            Model::Major => &[
                ("plan", &["scope and objectives are agreed", "risk and resources are assessed"]),
                ("build", &["every artifact is in the media library and signed"]),
                ("test", &["the release is verified in a pre-production environment", "the way back was rehearsed"]),
                ("prepare", &["users and support know what comes", "documents are ready"]),
                ("deploy", &[]),
            ],
        };
        phases.iter().map(|(name, criteria)| phase(name, criteria)).collect()
    }
}

fn phase(name: &str, criteria: &[&str]) -> Phase {
    Phase {
        name: name.to_owned(),
        state: PhaseState::Pending,
        exit_criteria: criteria.iter().map(|text| Criterion { text: (*text).to_owned(), met: None }).collect(),
        started_at_ms: None,
        ended_at_ms: None,
    }
}
