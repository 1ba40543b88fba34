//! What people do with freezes.

use tidegate_api::request::{DeclareFreeze, RequestException, RuleException};
use tidegate_domain::access::{About, Permission};
use tidegate_domain::calendar::Freeze;
use tidegate_domain::calendar::freeze::{Controlled, Event, Exception, ExceptionState};
use tidegate_domain::change::Choice;
use tidegate_domain::deployment::rollout::Deployment;
use tidegate_domain::estate::Environment;
use tidegate_domain::{Code, Id, Millis, Name, Refusal, limits};
use tidegate_store::{Filter, Order, PageRequest, Stored};

use crate::app::App;
use crate::bounds;
use crate::door::Act;
use crate::estate::service as estate;
use crate::problem::No;
use crate::secret;

/// Freezes that are looked at for one decision; more at once is no plan but a mistake.
const FREEZES_MAX: u32 = 1_000;

/// Declares a freeze.
pub async fn declare(app: &App, act: &Act, request: &DeclareFreeze) -> Result<Stored<Freeze>, No> {
    bounded(request)?;
    require(act, Permission::ManageFreeze, &request.environments, &request.applications)?;
    // A freeze of what is not there would stop nothing, and nobody would notice before it should have.
    estate::there(app, &request.applications.iter().collect::<Vec<_>>(), &request.environments).await?;
    estate::components_there(app, &request.components).await?;
    if jiff::tz::TimeZone::get(&request.zone).is_err() {
        let what = format!("\"{}\" is not a time zone", tidegate_domain::ids::clip(&request.zone));
        return Err(Refusal::new(Code::OutOfRange, what, "use an IANA name such as Europe/Vienna or UTC").at("zone").into());
    }
    let freeze = Freeze {
        id: secret::id("FRZ", app.now_ms()),
        name: request.name.clone(),
        reason: request.reason.clone(),
        environments: request.environments.clone(),
        applications: request.applications.clone(),
        components: request.components.clone(),
        from_ms: request.from_ms,
        until_ms: request.until_ms,
        zone: request.zone.clone(),
        strictness: request.strictness,
        running: request.running,
        lifted: None,
        exceptions: Vec::new(),
    };
    freeze.check()?;
    let event = Event::Declared { name: freeze.name.clone(), from_ms: freeze.from_ms, until_ms: freeze.until_ms };
    app.create(act, freeze, &[event]).await
}

fn bounded(request: &DeclareFreeze) -> Result<(), Refusal> {
    bounds::at_most("environments", request.environments.len(), bounds::PLACES_MAX)?;
    bounds::at_most("applications", request.applications.len(), bounds::PLACES_MAX)?;
    bounds::at_most("components", request.components.len(), limits::COMPONENTS_MAX)?;
    bounds::instant("from_ms", request.from_ms)?;
    bounds::instant("until_ms", request.until_ms)?;
    bounds::weight("freeze", request)
}

/// Ends a freeze early.
pub async fn lift(app: &App, act: &Act, id: &Id, reason: &str) -> Result<Stored<Freeze>, No> {
    edit(app, act, id, |freeze, now_ms| {
        require(act, Permission::ManageFreeze, &freeze.environments, &freeze.applications)?;
        Ok(freeze.lift(act.caller.person.name.as_str(), reason, now_ms)?)
    })
    .await
}

/// Asks to let one deployment through.
pub async fn request_exception(app: &App, act: &Act, id: &Id, request: &RequestException) -> Result<Stored<Freeze>, No> {
    let deployment = app.need::<Deployment>(&request.deployment).await?.value;
    let about = About { application: Some(&deployment.application), environment: Some(&deployment.environment) };
    act.caller.require(Permission::Deploy, about)?;
    if deployment.state.is_terminal() {
        let remedy = "an exception is for a deployment that is not over";
        let state = deployment.state.as_str().replace('_', " ");
        return Err(Refusal::state_forbids(&deployment.id, &state, "be let into a freeze", remedy).into());
    }
    let environment = app.need::<Environment>(&deployment.environment).await?.value;
    let controlled = if environment.controlled { Controlled::Yes } else { Controlled::No };
    let exception = secret::id("EXC", app.now_ms());
    edit(app, act, id, |freeze, now_ms| {
        bounds::at_most("exceptions", freeze.exceptions.len() + 1, bounds::EXCEPTIONS_MAX)?;
        if !freeze.covers(&deployment.application, deployment.versions.keys(), (&deployment.environment, controlled)) {
            let what = format!("freeze {} does not stop {}", freeze.id, deployment.id);
            return Err(Refusal::new(Code::NothingToDo, what, "it needs no exception").into());
        }
        let exception = Exception {
            id: exception.clone(),
            deployment: request.deployment.clone(),
            reason: request.reason.clone(),
            requested_by: act.caller.person.name.clone(),
            requested_at_ms: now_ms,
            state: ExceptionState::Requested,
        };
        Ok(freeze.request(exception, now_ms)?)
    })
    .await
}

/// Decides on an exception.
pub async fn rule(app: &App, act: &Act, (id, exception): (&Id, &Id), request: &RuleException) -> Result<Stored<Freeze>, No> {
    let by = act.caller.person.name.clone();
    edit(app, act, id, |freeze, now_ms| {
        require(act, Permission::RuleException, &freeze.environments, &freeze.applications)?;
        let ruling = match request.choice {
            Choice::Approve => ExceptionState::Approved { by: by.clone(), until_ms: request.until_ms.unwrap_or(freeze.until_ms) },
            Choice::Reject => ExceptionState::Rejected { by: by.clone(), reason: request.reason.clone() },
        };
        Ok(freeze.rule(exception, ruling, now_ms)?)
    })
    .await
}

async fn edit(
    app: &App,
    act: &Act,
    id: &Id,
    decide: impl Fn(&Freeze, Millis) -> Result<Vec<Event>, No>,
) -> Result<Stored<Freeze>, No> {
    app.edit::<Freeze, Event>(act, id, |freeze, now_ms| {
        let events = decide(freeze, now_ms)?;
        let mut changed = freeze.clone();
        events.iter().for_each(|event| changed.apply(event, now_ms));
        Ok((events, changed))
    })
    .await
}

/// Freezes that are not over.
pub async fn current(app: &App) -> Result<Vec<Freeze>, No> {
    let now_ms = app.now_ms();
    // Freezes stand in their list by their end: what is over is not read.
    let filter = Filter { states: vec!["declared".into()], from_ms: Some(now_ms + 1), ..Filter::default() };
    let request = PageRequest { order: Order::NewestFirst, after: None, limit: FREEZES_MAX };
    let page = app.store.list::<Freeze>(&filter, &request).await?;
    Ok(page.rows.into_iter().map(|row| row.value).collect())
}

/// A freeze reaches as far as it says; so must the permission of whoever declares, lifts or opens it.
fn require(act: &Act, permission: Permission, environments: &[Name], applications: &[Name]) -> Result<(), No> {
    if environments.is_empty() && applications.is_empty() {
        return Ok(act.caller.require(permission, About::default())?);
    }
    let none = [None];
    let environments: Vec<Option<&Name>> =
        if environments.is_empty() { none.to_vec() } else { environments.iter().map(Some).collect() };
    let applications: Vec<Option<&Name>> =
        if applications.is_empty() { none.to_vec() } else { applications.iter().map(Some).collect() };
    for environment in &environments {
        for application in &applications {
            act.caller.require(permission, About { application: *application, environment: *environment })?;
        }
    }
    Ok(())
}
