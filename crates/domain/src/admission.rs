//! Admission: "may this deployment start, at this time?" One pure function over gathered facts, asked on every path and again at
//! the moment of starting. It returns every reason, not the first.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::calendar::Freeze;
use crate::calendar::freeze::{Controlled, Strictness};
use crate::change::{Change, Class};
use crate::deployment::plan::{Plan, Purpose};
use crate::estate::{AllAttested, Environment, Slot};
use crate::ids::{Digest, Id, Name};
use crate::release::Release;

/// What kind of thing stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// A controlled environment and no change.
    ChangeMissing,
    /// The change does not cover this application or environment.
    ChangeElsewhere,
    /// The change is not authorised.
    ChangeUnauthorised,
    /// The change is on hold.
    ChangeOnHold,
    /// The change authorises another plan.
    PlanUnapproved,
    /// A standard change is not enough here.
    StandardNotEnough,
    /// A freeze is in force, or begins before the planned end.
    Freeze,
    /// Another deployment of the application is at work here.
    SlotTaken,
    /// The change has been implemented here already.
    ChangeImplemented,
    /// The release was rejected.
    ReleaseRejected,
    /// The way back would bring what was rejected since the plan was made.
    FallbackRejected,
    /// Targets changed since the plan was made.
    PlanStale,
    /// A target has no agent.
    AgentMissing,
}

impl ReasonCode {
    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            ReasonCode::ChangeMissing => "change_missing",
            ReasonCode::ChangeElsewhere => "change_elsewhere",
            ReasonCode::ChangeUnauthorised => "change_unauthorised",
            ReasonCode::ChangeOnHold => "change_on_hold",
            ReasonCode::PlanUnapproved => "plan_unapproved",
            ReasonCode::StandardNotEnough => "standard_not_enough",
            ReasonCode::Freeze => "freeze",
            ReasonCode::SlotTaken => "slot_taken",
            ReasonCode::ChangeImplemented => "change_implemented",
            ReasonCode::ReleaseRejected => "release_rejected",
            ReasonCode::FallbackRejected => "fallback_rejected",
            ReasonCode::PlanStale => "plan_stale",
            ReasonCode::AgentMissing => "agent_missing",
        }
    }
}

/// How a reason can be lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// By somebody who authorises.
    Authorisation,
    /// By time or by somebody's work.
    Obstacle,
    /// Not at all: a new plan is needed.
    Never,
}

/// One reason why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// What kind of thing.
    pub code: ReasonCode,
    /// How it can be lifted.
    pub kind: Kind,
    /// The sentence for people.
    pub text: String,
    /// The way to yes.
    pub remedy: String,
    /// Until when, if time alone lifts it.
    pub until_ms: Option<Millis>,
}

/// Everything admission looks at.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The deployment.
    pub deployment: &'a Id,
    /// Its plan.
    pub plan: &'a Plan,
    /// The plan's digest.
    pub digest: &'a Digest,
    /// Where.
    pub environment: &'a Environment,
    /// The change that is to authorise it.
    pub change: Option<&'a Change>,
    /// The release it belongs to, or a rejected one of the same package.
    pub release: Option<&'a Release>,
    /// What rejected version its way back would bring, in words.
    pub back_rejected: Option<&'a str>,
    /// Freezes that are not over.
    pub freezes: &'a [Freeze],
    /// The application's place.
    pub slot: &'a Slot,
    /// What the targets attest now.
    pub attested: &'a AllAttested,
    /// Targets of the plan without an agent.
    pub without_agent: &'a [Name],
    /// How long it will take, as far as is known.
    pub planned_ms: Millis,
}

/// Every reason why the deployment may not start at `now_ms`; none means yes.
pub fn reasons(facts: &Facts<'_>, now_ms: Millis) -> Vec<Reason> {
    let mut reasons = Vec::new();
    // Going back is exempt from authorisation and freezes: it returns to what was authorised before.
    if facts.plan.purpose == Purpose::Forward {
        reasons.extend(release(facts));
        reasons.extend(way_back(facts));
        reasons.extend(authorisation(facts));
        reasons.extend(facts.freezes.iter().filter_map(|freeze| frozen(facts, freeze, now_ms)));
        reasons.extend(stale(facts));
    }
    reasons.extend(slot(facts));
    reasons.extend(agents(facts));
    reasons
}

/// The freeze that holds running work between waves, if one does.
pub fn freeze_holding<'a>(facts: &Facts<'a>, now_ms: Millis) -> Option<&'a Freeze> {
    use crate::calendar::freeze::Running;
    let holds = |freeze: &&Freeze| {
        freeze.running == Running::FinishWave && freeze.touches(now_ms, now_ms) && stops(facts, freeze, now_ms)
    };
    facts.freezes.iter().find(holds)
}

fn authorisation(facts: &Facts<'_>) -> Vec<Reason> {
    if !facts.environment.controlled {
        return Vec::new();
    }
    let environment = &facts.environment.name;
    let Some(change) = facts.change else {
        return vec![reason(
            ReasonCode::ChangeMissing,
            Kind::Authorisation,
            format!("{environment} is controlled and no change authorises this deployment"),
            format!("attach one: tidegate deployment attach-change {} CHANGE", facts.deployment),
        )];
    };
    let mut reasons = Vec::new();
    if !change.content.environments.contains(environment) || change.content.application != facts.plan.application {
        reasons.push(reason(
            ReasonCode::ChangeElsewhere,
            Kind::Authorisation,
            format!("change {} does not cover {} in {environment}", change.id, facts.plan.application),
            "attach one that does, or edit it",
        ));
    }
    if change.implemented.contains_key(environment) {
        let text = format!("change {} has been implemented in {environment} already", change.id);
        reasons.push(reason(ReasonCode::ChangeImplemented, Kind::Authorisation, text, "write a new change"));
    }
    if change.on_hold {
        let text = format!("change {} is on hold", change.id);
        reasons.push(reason(ReasonCode::ChangeOnHold, Kind::Authorisation, text, "take it off hold"));
    }
    let authorised = change.state.lets_deploy() && change.authorised.as_ref() == Some(&change.content.digest());
    if !authorised {
        reasons.push(reason(
            ReasonCode::ChangeUnauthorised,
            Kind::Authorisation,
            format!("change {} is not authorised; it is {}{}", change.id, change.state.as_str().replace('_', " "), fell(change)),
            "get it authorised by somebody other than its author",
        ));
    }
    reasons.extend(content(facts, change));
    reasons
}

/// Who voted on a content that it no longer has, while nobody has on this one; attaching another plan changes it.
fn fell(change: &Change) -> String {
    use crate::change::State;
    let digest = change.content.digest();
    let voters: std::collections::BTreeSet<&str> =
        change.fallen_votes.iter().filter(|vote| vote.digest != digest).map(|vote| vote.by.as_str()).collect();
    let open = matches!(change.state, State::Draft | State::Submitted | State::Assessing | State::AwaitingAuthorisation);
    if !open || !change.votes.is_empty() || voters.is_empty() {
        return String::new();
    }
    let voters = voters.into_iter().collect::<Vec<_>>().join(" and ");
    format!(" again: what {voters} said yes or no to is no longer what it holds")
}

/// Whether what was authorised is what would run.
fn content(facts: &Facts<'_>, change: &Change) -> Vec<Reason> {
    match change.content.class {
        Class::Standard => standard(facts, change),
        Class::Normal | Class::Emergency if change.content.plans.get(&facts.environment.name) == Some(facts.digest) => Vec::new(),
        Class::Normal | Class::Emergency => vec![other_plan(facts, change)],
    }
}

/// A standard change authorises versions, not a plan, and not everywhere.
fn standard(facts: &Facts<'_>, change: &Change) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if !facts.environment.accepts_standard_changes() {
        reasons.push(reason(
            ReasonCode::StandardNotEnough,
            Kind::Authorisation,
            format!("{} does not accept standard changes, and change {} is one", facts.environment.name, change.id),
            "write a normal change",
        ));
    }
    let planned: BTreeMap<_, _> = facts.plan.installations.iter().map(|i| (i.component.clone(), i.version.clone())).collect();
    if !change.content.versions.is_empty() && change.content.versions != planned {
        reasons.push(other_plan(facts, change));
    }
    reasons
}

fn other_plan(facts: &Facts<'_>, change: &Change) -> Reason {
    reason(
        ReasonCode::PlanUnapproved,
        Kind::Authorisation,
        format!("change {} does not authorise plan {}", change.id, facts.digest.short()),
        "attach this plan to the change and get it authorised again",
    )
}

/// Whether a freeze concerns the deployment and no exception lets it through until then.
fn stops(facts: &Facts<'_>, freeze: &Freeze, until_ms: Millis) -> bool {
    let controlled = if facts.environment.controlled { Controlled::Yes } else { Controlled::No };
    let standard = facts.change.is_some_and(|change| change.content.class == Class::Standard);
    let components = facts.plan.installations.iter().map(|installation| &installation.component);
    freeze.covers(&facts.plan.application, components, (&facts.environment.name, controlled))
        && !(freeze.strictness == Strictness::Soft && standard)
        && !freeze.lets_through(facts.deployment, until_ms)
}

fn frozen(facts: &Facts<'_>, freeze: &Freeze, now_ms: Millis) -> Option<Reason> {
    // The whole planned interval is tested, not the moment of starting alone.
    let end_ms = now_ms + facts.planned_ms;
    let last_ms = (end_ms.min(freeze.until_ms) - 1).max(now_ms);
    if !freeze.touches(now_ms, end_ms) || !stops(facts, freeze, last_ms) {
        return None;
    }
    let begins = match (freeze.from_ms > now_ms, freeze.lets_through(facts.deployment, now_ms)) {
        (_, true) => "has an exception that expires before it would end",
        (true, false) => "begins before it would end",
        (false, false) => "is in force",
    };
    Some(Reason {
        until_ms: Some(freeze.until_ms),
        ..reason(
            ReasonCode::Freeze,
            Kind::Obstacle,
            format!("freeze \"{}\" ({}) {begins} in {}: {}", freeze.name, freeze.id, facts.environment.name, freeze.reason),
            "wait for its end, or ask for an exception",
        )
    })
}

fn slot(facts: &Facts<'_>) -> Option<Reason> {
    // The plan back takes the place over from the deployment that it takes back.
    let mine = |holder: &Id| holder == facts.deployment || holder.fallback() == *facts.deployment;
    let holder = facts.slot.holder.as_ref().filter(|holder| !mine(holder))?;
    Some(reason(
        ReasonCode::SlotTaken,
        Kind::Obstacle,
        format!("{holder} is at work on {} in {}", facts.plan.application, facts.environment.name),
        "wait for its end, or stop it",
    ))
}

fn release(facts: &Facts<'_>) -> Option<Reason> {
    let release = facts.release?;
    let rejected = release.rejected.as_ref()?;
    Some(reason(
        ReasonCode::ReleaseRejected,
        Kind::Never,
        format!("release {} was rejected by {}: {}", release.version, rejected.by, rejected.reason),
        "deploy another release",
    ))
}

fn way_back(facts: &Facts<'_>) -> Option<Reason> {
    let text = format!("its way back would bring {}", facts.back_rejected?);
    Some(reason(ReasonCode::FallbackRejected, Kind::Never, text, "make a new plan"))
}

fn stale(facts: &Facts<'_>) -> Option<Reason> {
    let moved = |(_, target): &(usize, &crate::deployment::plan::PlannedTarget)| {
        let now = facts.attested.get(&target.name);
        target.components.iter().any(|component| now.and_then(|now| now.get(component)) != target.from.get(component))
    };
    let moved: Vec<&str> = facts.plan.targets().filter(moved).map(|(_, target)| target.name.as_str()).collect();
    let first = moved.first()?;
    Some(reason(
        ReasonCode::PlanStale,
        Kind::Never,
        format!("{} changed since the plan was made; its way back would be wrong", and_more(first, moved.len())),
        "make a new plan",
    ))
}

fn agents(facts: &Facts<'_>) -> Option<Reason> {
    let first = facts.without_agent.first()?;
    Some(reason(
        ReasonCode::AgentMissing,
        Kind::Obstacle,
        format!("there is no agent on {}", and_more(first.as_str(), facts.without_agent.len())),
        format!("enrol it: tidegate target enrol {first}"),
    ))
}

/// `web-1`, or `web-1 and 2 more targets`.
fn and_more(first: &str, count: usize) -> String {
    match count {
        0 | 1 => first.to_owned(),
        2 => format!("{first} and 1 more target"),
        _ => format!("{first} and {} more targets", count - 1),
    }
}

fn reason(code: ReasonCode, kind: Kind, text: String, remedy: impl Into<String>) -> Reason {
    Reason { code, kind, text, remedy: remedy.into(), until_ms: None }
}
