//! Events: what happened, who did it, and the one form in which it is kept.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::Name;
use crate::refusal::{Code, Refusal};

/// Who caused an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Actor {
    /// A person, by page, API or CLI.
    Person(Name),
    /// The agent of a target.
    Agent(Name),
    /// Tidegate itself: the orchestrator, or the first start.
    System,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Person(name) => write!(f, "person:{name}"),
            Actor::Agent(name) => write!(f, "agent:{name}"),
            Actor::System => f.write_str("system"),
        }
    }
}

impl From<Actor> for String {
    fn from(actor: Actor) -> String {
        actor.to_string()
    }
}

impl TryFrom<String> for Actor {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Actor, Refusal> {
        match text.split_once(':') {
            Some(("person", name)) => Ok(Actor::Person(Name::parse(name)?)),
            Some(("agent", name)) => Ok(Actor::Agent(Name::parse(name)?)),
            None if text == "system" => Ok(Actor::System),
            _ => Err(Refusal::new(Code::Malformed, "not an actor", "use person:<name>, agent:<name> or system")),
        }
    }
}

/// The kinds of things that have a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Noun {
    /// [`crate::estate::Application`]
    Application,
    /// [`crate::estate::Component`]
    Component,
    /// [`crate::estate::Environment`]
    Environment,
    /// [`crate::estate::Target`]
    Target,
    /// A named [`crate::deployment::strategy::Strategy`]
    Strategy,
    /// [`crate::deployment::artifact::Artifact`]
    Artifact,
    /// [`crate::change::Change`]
    Change,
    /// [`crate::release::Release`]
    Release,
    /// [`crate::calendar::Freeze`]
    Freeze,
    /// Who holds an application in an environment, and its generation.
    Slot,
    /// [`crate::deployment::rollout::Deployment`]
    Deployment,
    /// [`crate::access::Person`]
    Person,
    /// [`crate::access::Token`]
    Token,
}

impl Noun {
    /// Every kind.
    pub const ALL: [Noun; 13] = [
        Noun::Application,
        Noun::Component,
        Noun::Environment,
        Noun::Target,
        Noun::Strategy,
        Noun::Artifact,
        Noun::Change,
        Noun::Release,
        Noun::Freeze,
        Noun::Slot,
        Noun::Deployment,
        Noun::Person,
        Noun::Token,
    ];

    /// Its name in streams, paths and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Noun::Application => "application",
            Noun::Component => "component",
            Noun::Environment => "environment",
            Noun::Target => "target",
            Noun::Strategy => "strategy",
            Noun::Artifact => "artifact",
            Noun::Change => "change",
            Noun::Release => "release",
            Noun::Freeze => "freeze",
            Noun::Slot => "slot",
            Noun::Deployment => "deployment",
            Noun::Person => "person",
            Noun::Token => "token",
        }
    }
}

impl fmt::Display for Noun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The history of one thing: `deployment/DEP-…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Stream {
    /// What kind of thing.
    pub noun: Noun,
    /// Which one.
    pub id: String,
}

impl Stream {
    /// The stream of one thing.
    pub fn new(noun: Noun, id: impl fmt::Display) -> Stream {
        Stream { noun, id: id.to_string() }
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.noun, self.id)
    }
}

/// An event as it goes into the store: its kind and its body, whatever noun it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewEvent {
    /// The variant's name in snake case, such as `wave_started`.
    pub kind: String,
    /// The variant's fields.
    pub body: serde_json::Value,
    /// Who caused this one and what led to it, where several causes are stored together.
    pub origin: Option<Origin>,
}

/// Who caused an event, and what led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Who.
    pub actor: Actor,
    /// What: `request <id>`, `report <attempt>`.
    pub cause: String,
}

impl NewEvent {
    /// Takes an event enum that is written with `#[serde(tag = "kind")]`.
    ///
    /// # Panics
    ///
    /// Only if the enum is not tagged so; every event enum of this crate is, and a test of each prints its kinds.
    pub fn of<E: Serialize>(event: &E) -> NewEvent {
        let mut body = serde_json::to_value(event).expect("events are JSON");
        let kind = body.as_object_mut().and_then(|fields| fields.remove("kind")).expect("events are tagged with their kind");
        NewEvent { kind: kind.as_str().expect("the kind is text").to_owned(), body, origin: None }
    }
}

/// One sentence about an event that was read back, without a full stop and without its actor.
///
/// An event that this program does not know (written by a newer one) is named by its kind.
pub fn sentence(noun: Noun, kind: &str, body: &serde_json::Value) -> String {
    let mut tagged = body.clone();
    if let Some(fields) = tagged.as_object_mut() {
        fields.insert("kind".into(), kind.into());
    }
    let described = match noun {
        Noun::Application | Noun::Component | Noun::Environment | Noun::Strategy | Noun::Target | Noun::Person => {
            serde_json::from_value(tagged).map(|event: crate::estate::Event| event.describe())
        }
        Noun::Artifact => serde_json::from_value(tagged).map(|event: crate::deployment::artifact::Event| event.describe()),
        Noun::Change => serde_json::from_value(tagged).map(|event: crate::change::Event| event.describe()),
        Noun::Release => serde_json::from_value(tagged).map(|event: crate::release::Event| event.describe()),
        Noun::Freeze => serde_json::from_value(tagged).map(|event: crate::calendar::freeze::Event| event.describe()),
        Noun::Slot => serde_json::from_value(tagged).map(|event: crate::estate::SlotEvent| event.describe()),
        Noun::Deployment => serde_json::from_value(tagged).map(|event: crate::deployment::rollout::Event| event.describe()),
        Noun::Token => serde_json::from_value(tagged).map(|event: crate::access::TokenEvent| event.describe()),
    };
    described.unwrap_or_else(|_| kind.replace('_', " "))
}
