//! Definitions as files: one YAML document or JSON object for each thing, named by its only key.
//!
//! ```yaml
//! application:
//!   name: ledger
//! ---
//! environment:
//!   name: production
//!   tier: production
//!   controlled: true
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_domain::access::Person;
use tidegate_domain::deployment::strategy::Strategy;
use tidegate_domain::estate::{Application, Component, Environment, Target};
use tidegate_domain::event::Noun;
use tidegate_domain::{Name, Refusal};

/// One thing, as a file defines it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[allow(clippy::large_enum_variant, reason = "a handful at a time")]
pub enum Definition {
    /// A product or service.
    Application(Application),
    /// A deployable unit of one.
    Component(Component),
    /// A place for a purpose.
    Environment(Environment),
    /// A place a component is installed.
    Target(Target),
    /// A way of going about a fleet, by name.
    Strategy(NamedStrategy),
    /// Somebody who may sign in.
    Person(Person),
}

/// A strategy that deployments can name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedStrategy {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub strategy: Strategy,
}

impl Definition {
    /// What kind of thing it is.
    pub fn noun(&self) -> Noun {
        match self {
            Definition::Application(_) => Noun::Application,
            Definition::Component(_) => Noun::Component,
            Definition::Environment(_) => Noun::Environment,
            Definition::Target(_) => Noun::Target,
            Definition::Strategy(_) => Noun::Strategy,
            Definition::Person(_) => Noun::Person,
        }
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        match self {
            Definition::Application(it) => &it.name,
            Definition::Component(it) => &it.name,
            Definition::Environment(it) => &it.name,
            Definition::Target(it) => &it.name,
            Definition::Strategy(it) => &it.name,
            Definition::Person(it) => &it.name,
        }
    }

    /// Checks what serde cannot, by the rules of the domain.
    ///
    /// # Errors
    ///
    /// The domain's refusal, at the field.
    pub fn check(&self) -> Result<(), Refusal> {
        match self {
            Definition::Application(_) | Definition::Person(_) => Ok(()),
            Definition::Component(it) => it.check(),
            Definition::Environment(it) => it.check(),
            Definition::Target(it) => it.check(),
            Definition::Strategy(it) => it.strategy.check(),
        }
    }
}
