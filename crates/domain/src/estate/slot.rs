//! An application's place in an environment.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::ids::{Digest, Id, Name, Version};
use crate::limits;
use crate::refusal::{Code, Refusal};

/// An application's place in an environment: who holds it, and what is verified there.
///
/// Its generation fences orders: whoever takes the place gets the next number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Slot {
    /// Where.
    pub environment: Name,
    /// Of what.
    pub application: Name,
    /// The last fencing number given.
    pub generation: u64,
    /// The deployment that is at work.
    pub holder: Option<Id>,
    /// The last deployment that was.
    pub last: Option<Id>,
    /// Packages that were verified here, newest first; at most [`limits::VERIFIED_MAX`].
    pub verified: Vec<Verified>,
}

/// A package that was verified in an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verified {
    /// By which deployment.
    pub deployment: Id,
    /// What each component had.
    pub package: BTreeMap<Name, (Version, Digest)>,
    /// When.
    pub at_ms: Millis,
}

/// An event in the stream of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields are those of the slot")]
pub enum SlotEvent {
    Taken { deployment: Id, generation: u64 },
    Freed { deployment: Id },
    Verified { deployment: Id, package: BTreeMap<Name, (Version, Digest)> },
}

impl SlotEvent {
    /// One sentence for people, without a full stop.
    pub fn describe(&self) -> String {
        match self {
            SlotEvent::Taken { deployment, generation } => format!("{deployment} took the place as generation {generation}"),
            SlotEvent::Freed { deployment } => format!("{deployment} left the place"),
            SlotEvent::Verified { deployment, .. } => format!("{deployment} verified its package here"),
        }
    }
}

impl Slot {
    /// A place that nobody has held.
    pub fn new(environment: Name, application: Name) -> Slot {
        Slot { environment, application, generation: 0, holder: None, last: None, verified: Vec::new() }
    }

    /// Its id: `<environment>/<application>`.
    pub fn id(environment: &Name, application: &Name) -> String {
        format!("{environment}/{application}")
    }

    /// Whether a deployment may be taken back here: it holds the place, or was the last that did.
    ///
    /// # Errors
    ///
    /// [`Code::StateForbids`] if another one has been here since: going back would undo that one.
    pub fn lets_fall_back(&self, deployment: &Id) -> Result<(), Refusal> {
        let mine = |id: &Id| id == deployment;
        let free_since = self.holder.is_none() && self.last.as_ref().is_some_and(mine);
        if self.holder.as_ref().is_some_and(mine) || free_since {
            return Ok(());
        }
        let other = self.holder.as_ref().or(self.last.as_ref()).map_or_else(String::new, ToString::to_string);
        Err(Refusal::new(
            Code::StateForbids,
            format!("{deployment} cannot fall back: {other} has been at work here since"),
            "deploy a known good version as a new deployment",
        ))
    }

    /// Takes an event in.
    pub fn apply(&mut self, event: &SlotEvent, at_ms: Millis) {
        match event {
            SlotEvent::Taken { deployment, generation } => {
                self.holder = Some(deployment.clone());
                self.last = Some(deployment.clone());
                self.generation = *generation;
            }
            SlotEvent::Freed { deployment } => {
                if self.holder.as_ref() == Some(deployment) {
                    self.holder = None;
                }
            }
            SlotEvent::Verified { deployment, package } => {
                // A package that is verified again stays that of the release that first brought it: the way back from a bad
                // release must not make the good package look like the bad one's.
                let known = self.verified.iter().position(|verified| verified.package == *package);
                let first = known.map_or_else(|| deployment.clone(), |at| self.verified.remove(at).deployment);
                let verified = Verified { deployment: first, package: package.clone(), at_ms };
                self.verified.insert(0, verified);
                self.verified.truncate(limits::VERIFIED_MAX);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Id {
        Id::parse(text).expect("an id")
    }

    fn slot() -> Slot {
        let name = |text| Name::parse(text).expect("a name");
        Slot::new(name("production"), name("shop"))
    }

    #[test]
    fn only_the_last_one_here_falls_back() {
        let mut slot = slot();
        slot.apply(&SlotEvent::Taken { deployment: id("DEP-1"), generation: 1 }, 0);
        assert_eq!(slot.lets_fall_back(&id("DEP-1")), Ok(()));
        slot.apply(&SlotEvent::Freed { deployment: id("DEP-1") }, 0);
        assert_eq!(slot.lets_fall_back(&id("DEP-1")), Ok(()));
        slot.apply(&SlotEvent::Taken { deployment: id("DEP-2"), generation: 2 }, 0);
        assert_eq!(slot.lets_fall_back(&id("DEP-1")).map_err(|refusal| refusal.code), Err(Code::StateForbids));
        slot.apply(&SlotEvent::Freed { deployment: id("DEP-2") }, 0);
        assert_eq!(slot.lets_fall_back(&id("DEP-1")).map_err(|refusal| refusal.code), Err(Code::StateForbids));
    }

    #[test]
    fn a_package_verified_again_stays_that_of_whoever_brought_it_first() {
        let package = |version: &str| {
            let version = Version::parse(version).expect("a version");
            BTreeMap::from([(Name::parse("shop").expect("a name"), (version, Digest::of(b"bytes")))])
        };
        let mut slot = slot();
        for (deployment, version) in [("DEP-1", "1.0"), ("DEP-2", "1.1"), ("DEP-3-FB", "1.0")] {
            slot.apply(&SlotEvent::Verified { deployment: id(deployment), package: package(version) }, 0);
        }
        let found: Vec<&str> = slot.verified.iter().map(|verified| verified.deployment.as_str()).collect();
        assert_eq!(found, ["DEP-1", "DEP-2"], "the newest first, and 1.0 still as DEP-1 brought it");
    }
}
