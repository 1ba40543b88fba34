//! What happens to what there is.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Attested, Target, TargetState};
use crate::Millis;
use crate::ids::Name;

/// An event in the stream of an application, component, environment, strategy, target or person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields are those of the thing")]
pub enum Event {
    /// It was defined for the first time.
    Defined { definition: serde_json::Value },
    /// It was defined differently.
    Redefined { definition: serde_json::Value },
    /// An agent enrolled; for targets.
    Enrolled { agent_key: String },
    /// The agent said what is installed; for targets.
    Attested { attested: BTreeMap<Name, Attested> },
}

impl Event {
    /// One sentence for people, without a full stop.
    pub fn describe(&self) -> String {
        match self {
            Event::Defined { .. } => "defined it".into(),
            Event::Redefined { .. } => "defined it differently".into(),
            Event::Enrolled { .. } => "its agent enrolled with a new key".into(),
            Event::Attested { attested } if attested.is_empty() => "it attests that nothing is installed".into(),
            Event::Attested { attested } => {
                let line = attested.iter().map(|(name, it)| format!("{name} {}", it.version)).collect::<Vec<_>>().join(", ");
                format!("it attests {line}")
            }
        }
    }
}

/// A target as defined, with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetRecord {
    /// As defined.
    pub target: Target,
    /// As attested.
    pub state: TargetState,
}

impl TargetRecord {
    /// Takes an event in; a new definition is put in by whoever made the event of it.
    pub fn apply(&mut self, event: &Event, at_ms: Millis) {
        match event {
            Event::Defined { .. } | Event::Redefined { .. } => {}
            Event::Enrolled { agent_key } => {
                self.state.agent_key = Some(agent_key.clone());
                self.state.enrolled_at_ms = Some(at_ms);
            }
            Event::Attested { attested } => {
                self.state.attested.clone_from(attested);
                self.state.attested_at_ms = Some(at_ms);
            }
        }
    }
}
