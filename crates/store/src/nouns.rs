//! How each noun is kept as a record: its id and what lists filter and sort by.

use std::collections::BTreeMap;

use tidegate_api::definition::NamedStrategy;
use tidegate_domain::access::{Person, Token};
use tidegate_domain::calendar::Freeze;
use tidegate_domain::change::Change;
use tidegate_domain::deployment::artifact::Artifact;
use tidegate_domain::deployment::rollout::Deployment;
use tidegate_domain::estate::{Application, Component, Environment, Slot, TargetRecord};
use tidegate_domain::event::Noun;
use tidegate_domain::release::Release;
use tidegate_domain::{Name, Version, canonical};

use crate::{Index, Record};

/// Things that people define have no state of their own.
const DEFINED: &str = "defined";

fn index(state: &str, sort_at_ms: i64, title: &str) -> Index {
    Index { state: state.to_owned(), application: None, environment: None, sort_at_ms, title: title.to_owned(), parent: None }
}

impl Record for Application {
    const NOUN: Noun = Noun::Application;

    fn id(&self) -> String {
        self.name.to_string()
    }

    fn index(&self) -> Index {
        Index { application: Some(self.name.clone()), ..index(DEFINED, 0, &self.title) }
    }
}

impl Record for Component {
    const NOUN: Noun = Noun::Component;

    fn id(&self) -> String {
        self.name.to_string()
    }

    fn index(&self) -> Index {
        Index {
            application: Some(self.application.clone()),
            parent: Some(self.application.to_string()),
            ..index(DEFINED, 0, self.name.as_str())
        }
    }
}

impl Record for Environment {
    const NOUN: Noun = Noun::Environment;

    fn id(&self) -> String {
        self.name.to_string()
    }

    fn index(&self) -> Index {
        // Lists of environments go the way to production.
        Index { environment: Some(self.name.clone()), ..index(DEFINED, i64::from(self.position), self.name.as_str()) }
    }
}

impl Record for NamedStrategy {
    const NOUN: Noun = Noun::Strategy;

    fn id(&self) -> String {
        self.name.to_string()
    }

    fn index(&self) -> Index {
        index(DEFINED, 0, self.strategy.cut.name())
    }
}

impl Record for TargetRecord {
    const NOUN: Noun = Noun::Target;

    fn id(&self) -> String {
        self.target.name.to_string()
    }

    fn index(&self) -> Index {
        let state = if self.state.agent_key.is_some() { "enrolled" } else { "defined" };
        Index {
            environment: Some(self.target.environment.clone()),
            parent: Some(self.target.environment.to_string()),
            ..index(state, 0, self.target.name.as_str())
        }
    }
}

impl Record for Artifact {
    const NOUN: Noun = Noun::Artifact;

    fn id(&self) -> String {
        Artifact::id(&self.component, &self.version)
    }

    fn index(&self) -> Index {
        let state = if self.signature.is_some() { "signed" } else { "unsigned" };
        Index { parent: Some(self.component.to_string()), ..index(state, self.uploaded_at_ms, self.digest.as_str()) }
    }
}

impl Record for Change {
    const NOUN: Noun = Noun::Change;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn index(&self) -> Index {
        Index {
            application: Some(self.content.application.clone()),
            // A change for one environment is filtered by it; one for several is found by its application.
            environment: only(&self.content.environments),
            parent: self.release.as_ref().map(ToString::to_string),
            ..index(self.state.as_str(), self.created_at_ms, &self.content.title)
        }
    }
}

impl Record for Release {
    const NOUN: Noun = Noun::Release;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn index(&self) -> Index {
        let title = format!("{} {}", self.version, self.title);
        Index {
            application: Some(self.application.clone()),
            // What was rejected is found by its package: no path may deploy it.
            parent: self.rejected.as_ref().map(|_| package_key(&self.versions)),
            ..index(self.state.as_str(), self.ready_by_ms.unwrap_or(self.created_at_ms), &title)
        }
    }
}

impl Record for Freeze {
    const NOUN: Noun = Noun::Freeze;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn index(&self) -> Index {
        // Whether it is in force depends on the time of asking, so that only its early end is a state of the row.
        let state = if self.lifted.is_some() { "lifted" } else { "declared" };
        Index { environment: only(&self.environments), ..index(state, self.until_ms, &self.name) }
    }
}

impl Record for Slot {
    const NOUN: Noun = Noun::Slot;

    fn id(&self) -> String {
        Slot::id(&self.environment, &self.application)
    }

    fn index(&self) -> Index {
        let state = if self.holder.is_some() { "taken" } else { "free" };
        Index {
            application: Some(self.application.clone()),
            environment: Some(self.environment.clone()),
            ..index(state, self.newest().map(|(_, verified)| verified.at_ms).max().unwrap_or(0), &self.id())
        }
    }
}

impl Record for Deployment {
    const NOUN: Noun = Noun::Deployment;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn index(&self) -> Index {
        Index {
            application: Some(self.application.clone()),
            environment: Some(self.environment.clone()),
            parent: self.release.as_ref().map(ToString::to_string),
            ..index(
                self.state.as_str(),
                // Where it stands in the calendar.
                self.started_at_ms.or(self.not_before_ms).unwrap_or(self.created_at_ms),
                &format!("{} {} to {}", self.application, self.version_line(), self.environment),
            )
        }
    }
}

impl Record for Person {
    const NOUN: Noun = Noun::Person;

    fn id(&self) -> String {
        self.name.to_string()
    }

    fn index(&self) -> Index {
        index(DEFINED, 0, &self.title)
    }
}

impl Record for Token {
    const NOUN: Noun = Noun::Token;

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn index(&self) -> Index {
        let state = if self.ended_at_ms.is_some() { "ended" } else { "good" };
        index(state, self.created_at_ms, &self.label)
    }
}

/// What a rejected release is found by: its exact package, whichever release brings it.
pub fn package_key(versions: &BTreeMap<Name, Version>) -> String {
    canonical::digest(versions).to_string()
}

fn only(names: &[Name]) -> Option<Name> {
    match names {
        [name] => Some(name.clone()),
        [] | [_, _, ..] => None,
    }
}
