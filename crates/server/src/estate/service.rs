//! Definitions, all or none; and enrolment.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tidegate_api::Definition;
use tidegate_api::definition::NamedStrategy;
use tidegate_api::view::{Applied, AppliedDefinitions, AppliedOutcome, Enrolment, TargetView};
use tidegate_domain::access::{About, Permission, Person, Scope, TokenPurpose};
use tidegate_domain::estate::{Application, Component, Environment, Event, TargetRecord, TargetState};
use tidegate_domain::event::Noun;
use tidegate_domain::{Code, Millis, Name, Refusal};
use tidegate_store::{Commit, Record, Stored, StreamChange};

use super::programs::Programs;
use crate::app::{App, stream_change};
use crate::bounds;
use crate::door::Act;
use crate::problem::No;

/// Seconds an enrolment token is good.
const ENROLMENT_SECONDS: i64 = 24 * 3_600;

/// Whether definitions are stored or only looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "a named truth value")]
pub enum Mode {
    Store,
    Look,
}

/// Takes definitions in, all or none.
///
/// # Errors
///
/// The first refusal, with the definition as its place; nothing is stored then.
pub async fn apply(app: &App, act: &Act, definitions: &[Definition], mode: Mode) -> Result<AppliedDefinitions, No> {
    check(app, act, definitions).await?;
    let now_ms = app.now_ms();
    let (mut applied, mut changes) = (Vec::new(), Vec::new());
    for definition in definitions {
        let (outcome, change) = change_of(app, definition).await?;
        applied.push(Applied { thing: thing(definition), outcome });
        changes.extend(change);
    }
    let answer = AppliedDefinitions { applied };
    if mode == Mode::Store && !changes.is_empty() {
        let commit = Commit {
            actor: act.caller.actor(),
            cause: act.cause.clone(),
            at_ms: now_ms,
            changes,
            documents: Vec::new(),
            idempotency: act.remember(&answer, now_ms),
        };
        app.commit(commit).await?;
    }
    Ok(answer)
}

fn thing(definition: &Definition) -> String {
    format!("{}/{}", definition.noun(), definition.name())
}

async fn check(app: &App, act: &Act, definitions: &[Definition]) -> Result<(), No> {
    bounds::at_most("definitions", definitions.len(), bounds::DEFINITIONS_MAX)?;
    let mut seen = BTreeSet::new();
    for (index, definition) in definitions.iter().enumerate() {
        let place = |refusal: Refusal| {
            let inner = refusal.place.clone().map(|place| format!(" {place}")).unwrap_or_default();
            refusal.at(format!("definitions[{index}] {}{inner}", thing(definition)))
        };
        definition.check().and_then(|()| bounded(definition)).map_err(place)?;
        let permission = match definition.noun() {
            Noun::Person => Permission::Administer,
            _ => Permission::DefineEstate,
        };
        act.caller.require(permission, about(definition)).map_err(place)?;
        if !seen.insert(thing(definition)) {
            let what = format!("{} is defined twice", thing(definition));
            return Err(place(Refusal::new(Code::AlreadyExists, what, "define it once")).into());
        }
    }
    for (index, definition) in definitions.iter().enumerate() {
        for (noun, name) in needs(definition) {
            let here = seen.contains(&format!("{noun}/{name}"));
            if !here && !exists(app, noun, name).await? {
                let refusal = Refusal::new(
                    Code::NotFound,
                    format!("{} needs {noun} {name}, which is not defined", thing(definition)),
                    format!("define the {noun} first, or in the same set"),
                );
                return Err(refusal.at(format!("definitions[{index}] {}", thing(definition))).into());
            }
        }
    }
    Ok(())
}

fn bounded(definition: &Definition) -> Result<(), Refusal> {
    if let Definition::Person(person) = definition {
        bounds::at_most("grants", person.grants.len(), bounds::GRANTS_MAX)?;
    }
    bounds::weight(definition.noun().as_str(), definition)
}

fn about(definition: &Definition) -> About<'_> {
    match definition {
        Definition::Application(it) => About { application: Some(&it.name), environment: None },
        Definition::Component(it) => About { application: Some(&it.application), environment: None },
        Definition::Environment(it) => About { application: None, environment: Some(&it.name) },
        Definition::Target(it) => About { application: None, environment: Some(&it.environment) },
        Definition::Strategy(_) | Definition::Person(_) => About::default(),
    }
}

fn needs(definition: &Definition) -> Vec<(Noun, &Name)> {
    match definition {
        Definition::Component(it) => vec![(Noun::Application, &it.application)],
        Definition::Target(it) => vec![(Noun::Environment, &it.environment)],
        Definition::Person(it) => it.grants.iter().filter_map(|grant| held_in(&grant.scope)).collect(),
        Definition::Application(_) | Definition::Environment(_) | Definition::Strategy(_) => Vec::new(),
    }
}

/// A misspelt place would trust somebody with nothing, and say nothing.
fn held_in(scope: &Scope) -> Option<(Noun, &Name)> {
    match scope {
        Scope::All => None,
        Scope::Application(name) => Some((Noun::Application, name)),
        Scope::Environment(name) => Some((Noun::Environment, name)),
    }
}

/// Refuses names of applications and environments that are not defined.
///
/// # Errors
///
/// [`Code::NotFound`].
pub async fn there(app: &App, applications: &[&Name], environments: &[Name]) -> Result<(), No> {
    let named = applications.iter().map(|name| (Noun::Application, *name));
    for (noun, name) in named.chain(environments.iter().map(|name| (Noun::Environment, name))) {
        if !exists(app, noun, name).await? {
            return Err(Refusal::not_found(noun.as_str(), name).into());
        }
    }
    Ok(())
}

/// Refuses what names a component that is not there.
///
/// # Errors
///
/// [`Code::NotFound`].
pub async fn components_there(app: &App, components: &[Name]) -> Result<(), No> {
    let ids: Vec<String> = components.iter().map(ToString::to_string).collect();
    let found = app.store.load_many::<Component>(&ids).await?;
    let missing = components.iter().find(|name| !found.iter().any(|it| it.value.name == **name));
    missing.map_or(Ok(()), |name| Err(Refusal::not_found(Noun::Component.as_str(), name).into()))
}

async fn exists(app: &App, noun: Noun, name: &Name) -> Result<bool, No> {
    Ok(match noun {
        Noun::Application => app.store.load::<Application>(name.as_str()).await?.is_some(),
        Noun::Environment => app.store.load::<Environment>(name.as_str()).await?.is_some(),
        _ => false,
    })
}

async fn change_of(app: &App, definition: &Definition) -> Result<(AppliedOutcome, Option<StreamChange>), No> {
    match definition {
        Definition::Application(it) => plain(app, it).await,
        Definition::Component(it) => {
            let found = app.store.load::<Component>(it.name.as_str()).await?;
            if let Some(moved) = found.filter(|found| found.value.application != it.application) {
                let what = format!("component {} belongs to {}", it.name, moved.value.application);
                return Err(
                    Refusal::new(Code::StateForbids, what, "a component does not move; define one of another name").into()
                );
            }
            plain(app, it).await
        }
        Definition::Environment(it) => plain(app, it).await,
        Definition::Strategy(it) => plain::<NamedStrategy>(app, it).await,
        Definition::Person(it) => plain::<Person>(app, it).await,
        Definition::Target(it) => {
            let found = app.store.load::<TargetRecord>(it.name.as_str()).await?;
            if let Some(moved) = found.as_ref().filter(|found| found.value.target.environment != it.environment) {
                let what = format!("target {} belongs to {}", it.name, moved.value.target.environment);
                return Err(Refusal::new(Code::StateForbids, what, "a target does not move; define one of another name").into());
            }
            let state = found.as_ref().map_or_else(TargetState::default, |found| found.value.state.clone());
            let record = TargetRecord { target: it.clone(), state };
            let same = found.as_ref().is_some_and(|found| found.value == record);
            Ok(defined(found, same, &record, it))
        }
    }
}

async fn plain<T: Record + PartialEq + Clone>(app: &App, value: &T) -> Result<(AppliedOutcome, Option<StreamChange>), No> {
    let found = app.store.load::<T>(&value.id()).await?;
    let same = found.as_ref().is_some_and(|found| found.value == *value);
    Ok(defined(found, same, value, value))
}

fn defined<T: Record>(
    found: Option<Stored<T>>,
    same: bool,
    record: &T,
    definition: &impl Serialize,
) -> (AppliedOutcome, Option<StreamChange>) {
    let definition = serde_json::to_value(definition).unwrap_or_default();
    match (found, same) {
        (Some(_), true) => (AppliedOutcome::Unchanged, None),
        (Some(found), false) => {
            (AppliedOutcome::Changed, Some(stream_change(found.version, &[Event::Redefined { definition }], record)))
        }
        (None, _) => (AppliedOutcome::Created, Some(stream_change(0, &[Event::Defined { definition }], record))),
    }
}

/// Makes a one-time token with which an agent becomes a target.
pub async fn enrolment(app: &App, act: &Act, target: &Name) -> Result<Enrolment, No> {
    let found = app.need::<TargetRecord>(target).await?;
    act.caller.require(Permission::Enrol, About { application: None, environment: Some(&found.value.target.environment) })?;
    let purpose = TokenPurpose::Enrolment { target: target.clone() };
    let asked = (act.caller.actor(), act.remember_secret(app.now_ms()));
    let made = crate::access::service::make(app, asked, purpose, ("enrolment", ENROLMENT_SECONDS)).await?;
    let command =
        format!("tidegate agent --server {} --root /var/lib/tidegate-agent --token {}", app.settings.public_url, made.secret);
    Ok(Enrolment { target: target.clone(), token: made.secret, expires_at_ms: made.expires_at_ms, command })
}

/// A target as views show it.
pub async fn view(app: &App, programs: &mut Programs<'_>, record: &TargetRecord) -> Result<TargetView, No> {
    let presence = app.sessions.presence(&record.target.name);
    Ok(TargetView {
        target: record.target.clone(),
        state: record.state.clone(),
        contact_at_ms: presence.as_ref().map(|presence| presence.at_ms),
        agent_version: presence.as_ref().map(|presence| presence.agent_version.clone()),
        unsteady: match presence {
            Some(presence) => programs.seen(&record.target.environment, presence.unsteady).await?,
            None => Vec::new(),
        },
    })
}

/// What targets attest, by name.
pub async fn attested(app: &App, names: &[Name]) -> Result<BTreeMap<Name, TargetRecord>, No> {
    let ids: Vec<String> = names.iter().map(ToString::to_string).collect();
    let found = app.store.load_many::<TargetRecord>(&ids).await?;
    Ok(found.into_iter().map(|found| (found.value.target.name.clone(), found.value)).collect())
}

/// Every target of an environment, in order of names.
pub async fn targets_of(app: &App, environment: &Name) -> Result<Vec<TargetRecord>, No> {
    let filter = tidegate_store::Filter { parent: Some(environment.to_string()), ..Default::default() };
    let mut after = None;
    let mut targets = Vec::new();
    loop {
        let request = tidegate_store::PageRequest { order: tidegate_store::Order::ByName, after, limit: 5_000 };
        let page = app.store.list::<TargetRecord>(&filter, &request).await?;
        targets.extend(page.rows.into_iter().map(|row| row.value));
        match page.next {
            Some(next) if targets.len() <= tidegate_domain::limits::TARGETS_MAX => after = Some(next),
            _ => return Ok(targets),
        }
    }
}

/// Stores what a target attests, if it is news.
pub fn attest(
    found: &Stored<TargetRecord>,
    attested: &BTreeMap<Name, tidegate_domain::estate::Attested>,
    now_ms: Millis,
) -> Option<StreamChange> {
    if found.value.state.attested == *attested {
        return None;
    }
    let event = Event::Attested { attested: attested.clone() };
    let mut record = found.value.clone();
    record.apply(&event, now_ms);
    Some(stream_change(found.version, &[event], &record))
}
