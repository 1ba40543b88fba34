//! Gathers what the home page shows, as far as the visitor may see it.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_api::request::ListQuery;
use tidegate_api::view::{DeploymentView, Unsteady};
use tidegate_domain::access::{About, Permission, Scope};
use tidegate_domain::change::{Change, State as ChangeState};
use tidegate_domain::deployment::plan::Purpose;
use tidegate_domain::deployment::rollout::{Deployment, State};
use tidegate_domain::estate::{AgentState, Environment, Slot};
use tidegate_domain::gate::WaitingOn;
use tidegate_domain::release::{Release, State as ReleaseState};
use tidegate_domain::{Millis, Name, limits};
use tidegate_store::{Filter, Order, PageRequest};

use crate::app::App;
use crate::deployment::{desk, service, view};
use crate::estate::programs::Programs;
use crate::list;
use crate::pages::Visit;
use crate::problem::No;
use crate::web::page::today::{Agents, Ask, EnvironmentNow, Place, Runs, Today, Waiting};

/// Freezes this near are shown.
const NEAR_MS: Millis = 14 * 86_400_000;
/// Environments that are shown.
const ENVIRONMENTS_MAX: u32 = 1_000;
/// How long what ended badly is shown, unless something is verified in its place.
const FAILED_MS: Millis = 14 * 86_400_000;
/// Names of silent targets that are shown.
const NAMED_MAX: usize = 8;

/// What the home page shows.
pub async fn today(app: &App, visit: &Visit) -> Result<Today, No> {
    let slots = app.counted.slots(app).await?;
    let is_overtaken = |view: &DeploymentView| service::is_overtaken(&slots, &view.deployment);
    let (behind, under_way): (Vec<_>, Vec<_>) = under_way(app, visit).await?.into_iter().partition(is_overtaken);
    let changes = of_state::<Change>(app, visit, ChangeState::AwaitingAuthorisation.as_str()).await?;
    let mut freezes = crate::freeze::service::current(app).await?;
    freezes.retain(|freeze| freeze.from_ms < app.now_ms() + NEAR_MS && list::may_see(&visit.caller.person, freeze));
    freezes.sort_by_key(|freeze| freeze.from_ms);
    let (environments, defined) = environments(app, visit, &under_way).await?;
    let failed = failed(app, visit).await?;
    let mut asks = asks(visit, &under_way, &changes);
    asks.extend(failed.iter().filter(|it| may_deploy(visit, it)).map(mend));
    let (agents, looks) = agents(app, visit).await?;
    asks.extend(looks);
    Ok(Today {
        environments,
        defined,
        waiting: failed
            .iter()
            .map(stays)
            .chain(under_way.iter().filter_map(waiting))
            .chain(changes.iter().map(change_waits))
            .chain(behind.iter().map(|view| overtaken(&view.deployment)))
            .collect(),
        asks,
        freezes,
        support: of_state::<Release>(app, visit, ReleaseState::EarlyLifeSupport.as_str()).await?,
        agents,
        dora: crate::measure::service::of(app, &visit.caller.person).await?,
        dora_days: crate::measure::service::DAYS as u32,
    })
}

async fn of_state<T: list::Seen>(app: &App, visit: &Visit, state: &str) -> Result<Vec<T>, No> {
    let query = ListQuery { state: Some(state.to_owned()), limit: Some(limits::PAGE_ROWS_MAX), ..ListQuery::default() };
    Ok(list::page::<T>(app, &visit.caller, &query).await?.rows.into_iter().map(|row| row.value).collect())
}

/// Deployments that are not over, as the desk sees them.
async fn under_way(app: &App, visit: &Visit) -> Result<Vec<DeploymentView>, No> {
    let states = "planned,awaiting_approval,scheduled,queued,running,paused,baking,failing,falling_back";
    let found = of_state::<Deployment>(app, visit, states).await?;
    let mut views = Vec::new();
    for deployment in found {
        views.push(view::without_reasons(&desk::glance(app, deployment).await));
    }
    Ok(views)
}

/// The controlled environments, or all if none is; and whether there is any at all, seen or not.
async fn environments(app: &App, visit: &Visit, under_way: &[DeploymentView]) -> Result<(Vec<EnvironmentNow>, bool), No> {
    let request = PageRequest { order: Order::OldestFirst, after: None, limit: ENVIRONMENTS_MAX };
    let slots = app.counted.slots(app).await?;
    let found = app.store.list::<Environment>(&Filter::default(), &request).await?.rows;
    let may = |application: Option<&Name>, environment: &Name| {
        visit.caller.person.may(Permission::Read, About { application, environment: Some(environment) })
    };
    let defined = !found.is_empty();
    let mut environments = Vec::new();
    for environment in found.into_iter().map(|row| row.value) {
        let here: Vec<&DeploymentView> =
            under_way.iter().filter(|view| view.deployment.environment == environment.name).collect();
        let of_slots = slots.values().filter(|slot| slot.environment == environment.name);
        let mut applications: BTreeMap<&Name, Option<&Slot>> = of_slots.map(|it| (&it.application, Some(it.as_ref()))).collect();
        for view in &here {
            applications.entry(&view.deployment.application).or_default();
        }
        // Whoever is trusted with one application sees it wherever it is.
        applications.retain(|application, _| may(Some(*application), &environment.name));
        if applications.is_empty() && !may(None, &environment.name) {
            continue;
        }
        let places = applications.into_iter().map(|(application, slot)| place(slot, &here, application.clone())).collect();
        environments.push(EnvironmentNow { environment, places });
    }
    let any_controlled = environments.iter().any(|it| it.environment.controlled);
    environments.retain(|it| it.environment.controlled || !any_controlled);
    Ok((environments, defined))
}

fn place(slot: Option<&Slot>, here: &[&DeploymentView], application: Name) -> Place {
    let newest = slot.and_then(|slot| slot.newest().map(|(_, verified)| verified).max_by_key(|verified| verified.at_ms));
    let runs = slot.zip(newest).map(|(slot, newest)| Runs {
        version: versions(slot),
        since_ms: newest.at_ms,
        deployment: newest.deployment.clone(),
    });
    let mine = |view: &&&DeploymentView| view.deployment.application == application;
    let now = here.iter().filter(mine).find(|view| view.deployment.state.holds_slot()).map(|view| (*view).clone());
    let next = here.iter().filter(mine).find(|view| !view.deployment.state.holds_slot()).map(|view| (*view).clone());
    let recorded = slot.map_or(0, |slot| slot.recorded.len() as u64);
    Place { application, runs, now, next, recorded }
}

fn versions(slot: &Slot) -> String {
    match slot.newest().collect::<Vec<_>>().as_slice() {
        [(_, verified)] => verified.version.to_string(),
        several => several.iter().map(|(name, it)| format!("{name} {}", it.version)).collect::<Vec<_>>().join(", "),
    }
}

fn waiting(view: &DeploymentView) -> Option<Waiting> {
    let held = view.deployment.waiting.as_ref()?;
    let whom = match &held.on {
        WaitingOn::Request | WaitingOn::Resume { .. } | WaitingOn::Answer { .. } => "an operator",
        WaitingOn::Approval { .. } | WaitingOn::Inconclusive { .. } => "a change authority",
        WaitingOn::Admission { .. } => "what stands against its start",
        WaitingOn::Freeze { .. } => "time, or an exception",
        WaitingOn::Targets { .. } => "its targets",
        WaitingOn::Fallback { .. } => "the way back",
        WaitingOn::Schedule | WaitingOn::Bake { .. } | WaitingOn::Measurement { .. } | WaitingOn::Window => "time",
    };
    Some(Waiting {
        what: view.deployment.title(),
        href: format!("/deployments/{}", view.deployment.id),
        sentence: held.on.sentence(),
        whom: whom.into(),
        since_ms: Some(held.since_ms),
        until_ms: held.until_ms,
    })
}

/// What ended badly lately, with nothing verified in its place since: the last one of each place.
async fn failed(app: &App, visit: &Visit) -> Result<Vec<Deployment>, No> {
    let since_ms = app.now_ms() - FAILED_MS;
    let slots = app.counted.slots(app).await?;
    let mut places = BTreeSet::new();
    let mut failed = of_state::<Deployment>(app, visit, "failed,fallback_failed").await?;
    failed.retain(|it| {
        let ended_ms = it.ended_at_ms.unwrap_or(it.created_at_ms);
        let slot = slots.get(&Slot::id(&it.environment, &it.application));
        let verified_ms = slot.and_then(|slot| slot.newest().map(|(_, verified)| verified.at_ms).max());
        it.purpose == Purpose::Forward
            && it.recorded.is_none()
            && ended_ms >= since_ms
            && verified_ms.is_none_or(|at_ms| at_ms < ended_ms)
            && places.insert((it.environment.clone(), it.application.clone()))
    });
    Ok(failed)
}

fn stays(deployment: &Deployment) -> Waiting {
    Waiting {
        what: deployment.title(),
        href: format!("/deployments/{}", deployment.id),
        sentence: view::sentence(deployment),
        whom: "an operator: nothing was verified there since".into(),
        since_ms: deployment.ended_at_ms,
        until_ms: None,
    }
}

fn overtaken(deployment: &Deployment) -> Waiting {
    Waiting {
        what: deployment.title(),
        href: format!("/deployments/{}", deployment.id),
        sentence: "planned before what was verified there since; most likely it can no longer start".into(),
        whom: "an operator: cancel it on its page, or plan it again".into(),
        since_ms: Some(deployment.created_at_ms),
        until_ms: None,
    }
}

fn mend(deployment: &Deployment) -> Ask {
    Ask {
        verb: "Mend".into(),
        what: format!("{} {}", deployment.title(), deployment.state.as_str().replace('_', " ")),
        href: format!("/deployments/{}", deployment.id),
        since_ms: deployment.ended_at_ms.unwrap_or(deployment.created_at_ms),
    }
}

fn look_at(target: &Name, program: &Unsteady) -> Ask {
    Ask {
        verb: "Look".into(),
        what: format!("{target}: {}", program.sentence()),
        href: format!("/targets/{target}"),
        since_ms: program.ended_at_ms,
    }
}

fn may_deploy(visit: &Visit, it: &Deployment) -> bool {
    let about = About { application: Some(&it.application), environment: Some(&it.environment) };
    visit.caller.person.may(Permission::Deploy, about)
}

fn change_waits(change: &Change) -> Waiting {
    let votes = change.votes.len() as u32;
    let missing = change.quorum.saturating_sub(votes);
    Waiting {
        what: change.content.title.clone(),
        href: format!("/changes/{}", change.id),
        sentence: format!("waiting for {missing} more approval{}", if missing == 1 { "" } else { "s" }),
        whom: "a change authority other than its author".into(),
        since_ms: Some(change.created_at_ms),
        until_ms: None,
    }
}

/// What the visitor themselves can do something about.
fn asks(visit: &Visit, under_way: &[DeploymentView], changes: &[Change]) -> Vec<Ask> {
    let may = |permission, application: &Name, environment: Option<&Name>| {
        visit.caller.person.may(permission, About { application: Some(application), environment })
    };
    let votes = changes.iter().filter(|change| crate::change::service::awaits(&visit.caller.person, change));
    let votes = votes.map(|change| Ask {
        verb: "Decide".into(),
        what: change.content.title.clone(),
        href: format!("/changes/{}", change.id),
        since_ms: change.created_at_ms,
    });
    let questions = under_way.iter().filter_map(|view| {
        let it = &view.deployment;
        let held = it.waiting.as_ref()?;
        let (verb, permission) = match &held.on {
            WaitingOn::Answer { .. } => ("Answer", Permission::Deploy),
            WaitingOn::Approval { .. } => ("Say yes", Permission::Authorise),
            WaitingOn::Inconclusive { .. } => ("Decide", Permission::Authorise),
            WaitingOn::Resume { .. } if it.state == State::Paused => ("Resume", Permission::Deploy),
            _ => return None,
        };
        let asked = may(permission, &it.application, Some(&it.environment));
        asked.then(|| Ask {
            verb: verb.into(),
            what: it.title(),
            href: format!("/deployments/{}", it.id),
            since_ms: held.since_ms,
        })
    });
    votes.chain(questions).collect()
}

/// How the agents are, and which of their programs the visitor can do something about.
async fn agents(app: &App, visit: &Visit) -> Result<(Agents, Vec<Ask>), No> {
    let all = app.counted.targets(app).await?;
    let scopes = visit.caller.person.grants.iter().map(|grant| &grant.scope).collect::<Vec<_>>();
    // Whoever is trusted with an application sees the targets of every environment, as its list does.
    let sees = |environment: &Name| scopes.iter().any(|scope| !matches!(scope, Scope::Environment(name) if name != environment));
    let targets: Vec<_> = all.values().filter(|target| sees(&target.environment)).collect();
    let now_ms = app.now_ms();
    let (mut programs, mut looks) = (Programs::of(app, &visit.caller.person), Vec::new());
    let mut agents = Agents {
        targets: targets.len() as u64,
        in_touch: 0,
        silent: Vec::new(),
        silent_count: 0,
        without: Vec::new(),
        without_count: 0,
        versions: BTreeMap::new(),
        unsteady: Vec::new(),
        unsteady_count: 0,
    };
    for target in targets {
        let presence = app.sessions.presence(&target.name);
        let heard_at_ms = presence.as_ref().map(|presence| presence.at_ms);
        match AgentState::of(&target.state, heard_at_ms, now_ms) {
            AgentState::Missing => {
                agents.without_count += 1;
                if agents.without.len() < NAMED_MAX {
                    agents.without.push(target.name.clone());
                }
            }
            AgentState::InTouch => {
                agents.in_touch += 1;
                let Some(presence) = presence else { continue };
                *agents.versions.entry(presence.agent_version).or_insert(0) += 1;
                let unsteady = programs.seen(&target.environment, presence.unsteady).await?;
                agents.unsteady_count += unsteady.len() as u64;
                let room = NAMED_MAX.saturating_sub(agents.unsteady.len());
                for program in unsteady.into_iter().take(room) {
                    if programs.may(Permission::Deploy, (&program.component, &target.environment)).await? {
                        looks.push(look_at(&target.name, &program));
                    }
                    agents.unsteady.push((target.name.clone(), program));
                }
            }
            AgentState::Silent => {
                agents.silent_count += 1;
                if agents.silent.len() < NAMED_MAX {
                    agents.silent.push((target.name.clone(), heard_at_ms));
                }
            }
        }
    }
    Ok((agents, looks))
}
