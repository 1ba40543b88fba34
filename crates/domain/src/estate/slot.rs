//! An application's place in an environment.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::deployment::plan::Package;
use crate::estate::Attested;
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
    /// What was verified here of each component, newest first; at most [`limits::VERIFIED_MAX`] versions of one.
    pub verified: BTreeMap<Name, Vec<Verified>>,
    /// What was brought here by other means, by what was recorded of it; the newest of each component. No way back leads to it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub recorded: BTreeMap<Name, RecordedHere>,
}

/// A version of a component that was brought into an environment by other means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedHere {
    /// The recorded deployment.
    pub deployment: Id,
    /// The version.
    pub version: Version,
    /// When it was there.
    pub at_ms: Millis,
}

/// A version of a component that was verified in an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verified {
    /// By which deployment first.
    pub deployment: Id,
    /// The release that brought it, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Id>,
    /// The version.
    pub version: Version,
    /// Its bytes.
    pub digest: Digest,
    /// When it was last.
    pub at_ms: Millis,
}

/// A component of a target that is not as it was verified in its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// Which component.
    pub component: Name,
    /// What the target says it has.
    pub found: Attested,
    /// What was last verified.
    pub verified: Version,
}

impl Drift {
    /// In words: `api 1.0, verified 1.1`.
    pub fn sentence(&self) -> String {
        let (component, version) = (&self.component, &self.found.version);
        match (self.found.complete, self.found.version == self.verified) {
            (false, _) => format!("{component} {version} is incomplete"),
            (true, false) => format!("{component} {version}, verified {}", self.verified),
            (true, true) => format!("{component} {version} with other bytes than verified"),
        }
    }
}

/// What stands in an environment, and how it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing<'a> {
    /// Tidegate brought it and verified it.
    Verified(&'a Verified),
    /// Somebody recorded it.
    Recorded(&'a RecordedHere),
}

impl Standing<'_> {
    /// Since when.
    pub fn at_ms(&self) -> Millis {
        match self {
            Standing::Verified(it) => it.at_ms,
            Standing::Recorded(it) => it.at_ms,
        }
    }

    /// Which version.
    pub fn version(&self) -> &Version {
        match self {
            Standing::Verified(it) => &it.version,
            Standing::Recorded(it) => &it.version,
        }
    }

    /// By which deployment.
    pub fn deployment(&self) -> &Id {
        match self {
            Standing::Verified(it) => &it.deployment,
            Standing::Recorded(it) => &it.deployment,
        }
    }
}

/// An event in the stream of a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields are those of the slot")]
pub enum SlotEvent {
    Taken {
        deployment: Id,
        generation: u64,
    },
    Freed {
        deployment: Id,
    },
    Verified {
        deployment: Id,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        release: Option<Id>,
        package: Package,
    },
    /// A deployment that was carried out elsewhere succeeded here.
    Recorded {
        deployment: Id,
        versions: BTreeMap<Name, Version>,
        ended_at_ms: Millis,
    },
}

impl SlotEvent {
    /// One sentence for people, without a full stop.
    pub fn describe(&self) -> String {
        match self {
            SlotEvent::Taken { deployment, generation } => format!("{deployment} took the place as generation {generation}"),
            SlotEvent::Freed { deployment } => format!("{deployment} left the place"),
            SlotEvent::Verified { deployment, .. } => format!("{deployment} verified its package here"),
            SlotEvent::Recorded { deployment, .. } => format!("{deployment} was recorded as carried out here"),
        }
    }
}

impl Slot {
    /// A place that nobody has held.
    pub fn new(environment: Name, application: Name) -> Slot {
        Slot {
            environment,
            application,
            generation: 0,
            holder: None,
            last: None,
            verified: BTreeMap::new(),
            recorded: BTreeMap::new(),
        }
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
            SlotEvent::Verified { deployment, release, package } => {
                for (component, (version, digest)) in package {
                    let (deployment, release) = (deployment.clone(), release.clone());
                    let now = Verified { deployment, release, version: version.clone(), digest: digest.clone(), at_ms };
                    self.verify(component, now);
                }
            }
            SlotEvent::Recorded { deployment, versions, ended_at_ms } => {
                let newest = self.newest().map(|(_, verified)| verified.at_ms).max();
                // What came later by other means would be undone by a way back from what was here before.
                if self.holder.is_none() && newest.is_some_and(|at_ms| at_ms < *ended_at_ms) {
                    self.last = Some(deployment.clone());
                }
                for (component, version) in versions {
                    let newer = self.recorded.get(component).is_none_or(|known| known.at_ms <= *ended_at_ms);
                    if newer {
                        let now = RecordedHere { deployment: deployment.clone(), version: version.clone(), at_ms: *ended_at_ms };
                        self.recorded.insert(component.clone(), now);
                    }
                }
            }
        }
    }

    /// What stands here of a component, as far as is known: what was verified or recorded last.
    pub fn standing(&self, component: &Name) -> Option<Standing<'_>> {
        let verified = self.verified.get(component).and_then(|versions| versions.first()).map(Standing::Verified);
        let recorded = self.recorded.get(component).map(Standing::Recorded);
        [recorded, verified].into_iter().flatten().max_by_key(Standing::at_ms)
    }

    /// Whether something of these components was verified here after an instant.
    pub fn has_verified_after<'a>(&self, at_ms: Millis, mut components: impl Iterator<Item = &'a Name>) -> bool {
        components.any(|component| {
            let newest = self.verified.get(component).and_then(|versions| versions.first());
            newest.is_some_and(|verified| verified.at_ms > at_ms)
        })
    }

    /// A version that is verified again stays that of the release that first brought it: the way back from a bad release must
    /// not make the good version look like the bad one's.
    fn verify(&mut self, component: &Name, now: Verified) {
        let here = self.verified.entry(component.clone()).or_default();
        let known = here.iter().position(|it| it.version == now.version && it.digest == now.digest);
        let now = known.map_or(now.clone(), |at| Verified { at_ms: now.at_ms, ..here.remove(at) });
        here.insert(0, now);
        here.truncate(limits::VERIFIED_MAX);
    }

    /// What to go back to from `leaving`: of each component the newest verified version whose release is not `rejected`.
    /// Components are verified one by one, as they are deployed in whatever company.
    pub fn way_back(&self, leaving: impl Iterator<Item = Name>, rejected: impl Fn(&Id) -> bool) -> BTreeMap<Name, Version> {
        let newest = |component: Name| {
            let found = self.verified.get(&component)?.iter().find(|it| !it.release.as_ref().is_some_and(&rejected))?;
            Some((component, found.version.clone()))
        };
        leaving.filter_map(newest).collect()
    }

    /// The release that first brought a version here.
    pub fn brought_by(&self, component: &Name, (version, digest): &(Version, Digest)) -> Option<&Id> {
        let found = self.verified.get(component)?.iter().find(|it| it.version == *version && it.digest == *digest)?;
        found.release.as_ref()
    }

    /// Every release that brought something that is known here.
    pub fn releases(&self) -> impl Iterator<Item = &Id> {
        self.verified.values().flatten().filter_map(|verified| verified.release.as_ref())
    }

    /// Where a target differs from what was last verified here; what a deployment at work is changing is not drift.
    pub fn drift(&self, attested: &BTreeMap<Name, Attested>) -> Vec<Drift> {
        if self.holder.is_some() {
            return Vec::new();
        }
        let differs = |(component, verified): (&Name, &Verified)| {
            let found = attested.get(component)?;
            let same = found.complete && found.version == verified.version && found.digest == verified.digest;
            (!same).then(|| Drift { component: component.clone(), found: found.clone(), verified: verified.version.clone() })
        };
        self.newest().filter_map(differs).collect()
    }

    /// The version of each component that was last verified here.
    pub fn newest(&self) -> impl Iterator<Item = (&Name, &Verified)> {
        self.verified.iter().filter_map(|(component, versions)| Some((component, versions.first()?)))
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

    fn package(versions: &[(&str, &str)]) -> Package {
        let entry = |&(component, text): &(&str, &str)| {
            let version = Version::parse(text).expect("a version");
            (Name::parse(component).expect("a name"), (version, Digest::of(text.as_bytes())))
        };
        versions.iter().map(entry).collect()
    }

    fn verified(history: &[(&str, &[(&str, &str)])]) -> Slot {
        let mut slot = slot();
        for (deployment, versions) in history {
            let release = deployment.strip_prefix("DEP-").map(|number| id(&format!("REL-{number}")));
            slot.apply(&SlotEvent::Verified { deployment: id(deployment), release, package: package(versions) }, 0);
        }
        slot
    }

    fn back(slot: &Slot, leaving: &[&str], rejected: &[&str]) -> String {
        let leaving = leaving.iter().map(|name| Name::parse(name).expect("a name"));
        let found = slot.way_back(leaving, |release| rejected.contains(&release.as_str()));
        found.iter().map(|(component, version)| format!("{component} {version}")).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_version_verified_again_stays_that_of_whoever_brought_it_first() {
        let slot = verified(&[("DEP-1", &[("shop", "1.0")]), ("DEP-2", &[("shop", "1.1")]), ("DEP-3-FB", &[("shop", "1.0")])]);
        let shop = Name::parse("shop").expect("a name");
        let found: Vec<&str> = slot.verified[&shop].iter().map(|verified| verified.deployment.as_str()).collect();
        assert_eq!(found, ["DEP-1", "DEP-2"], "the newest first, and 1.0 still as DEP-1 brought it");
        assert_eq!(slot.brought_by(&shop, &package(&[("shop", "1.0")])[&shop]), Some(&id("REL-1")));
    }

    #[test]
    fn each_component_goes_back_to_its_own_newest_version() {
        let slot = verified(&[("DEP-1", &[("api", "1.0"), ("web", "1.0")]), ("DEP-2", &[("api", "2.0")])]);
        assert_eq!(back(&slot, &["web"], &[]), "web 1.0");
        assert_eq!(back(&slot, &["api", "web"], &[]), "api 2.0, web 1.0");
        assert_eq!(back(&slot, &["api", "mail", "web"], &[]), "api 2.0, web 1.0", "nothing is known of mail");
    }

    #[test]
    fn nothing_goes_back_to_what_was_rejected() {
        let slot = verified(&[("DEP-1", &[("api", "1.0"), ("web", "1.0")]), ("DEP-2", &[("api", "2.0")])]);
        assert_eq!(back(&slot, &["api", "web"], &["REL-2"]), "api 1.0, web 1.0");
        assert_eq!(back(&slot, &["api", "web"], &["REL-1"]), "api 2.0");
        assert_eq!(back(&slot, &["web"], &["REL-1", "REL-2"]), "");
    }

    #[test]
    fn what_differs_from_the_verified_is_drift_unless_somebody_is_at_work() {
        let mut slot = verified(&[("DEP-1", &[("api", "1.0"), ("web", "1.0")])]);
        let has = |text: &str, bytes: &str, complete| {
            let version = Version::parse(text).expect("a version");
            let attested = Attested { version, digest: Digest::of(bytes.as_bytes()), complete };
            BTreeMap::from([(Name::parse("api").expect("a name"), attested)])
        };
        let told = |slot: &Slot, attested| slot.drift(&attested).iter().map(Drift::sentence).collect::<Vec<_>>().join("; ");
        assert_eq!(told(&slot, has("1.0", "1.0", true)), "");
        assert_eq!(told(&slot, has("0.9", "0.9", true)), "api 0.9, verified 1.0");
        assert_eq!(told(&slot, has("1.0", "other", true)), "api 1.0 with other bytes than verified");
        assert_eq!(told(&slot, has("1.0", "1.0", false)), "api 1.0 is incomplete");
        slot.holder = Some(id("DEP-2"));
        assert_eq!(told(&slot, has("0.9", "0.9", true)), "");
    }

    #[test]
    fn many_versions_of_one_component_push_no_other_out() {
        let mut slot = verified(&[("DEP-1", &[("web", "1.0")])]);
        for number in 0..2 * limits::VERIFIED_MAX {
            let package = package(&[("api", format!("2.{number}").as_str())]);
            slot.apply(&SlotEvent::Verified { deployment: id("DEP-2"), release: None, package }, 0);
        }
        assert_eq!(back(&slot, &["web"], &[]), "web 1.0");
        assert_eq!(slot.verified.values().map(Vec::len).max(), Some(limits::VERIFIED_MAX));
    }
}
