//! What people do with deployments.

use std::collections::BTreeMap;

use tidegate_api::definition::NamedStrategy;
use tidegate_api::request::{AfterStop, Otherwise, PlanDeployment, StartDeployment, StopDeployment, StrategyChoice};
use tidegate_api::view::DeploymentView;
use tidegate_domain::access::{About, Permission};
use tidegate_domain::change::{self, Change};
use tidegate_domain::deployment::artifact::Artifact;
use tidegate_domain::deployment::plan::{self, Choice, Ingredients, Plans};
use tidegate_domain::deployment::rollout::{Birth, Command, Deployment, Then};
use tidegate_domain::deployment::strategy::Strategy;
use tidegate_domain::estate::{Application, Component, Environment, Slot};
use tidegate_domain::release::Release;
use tidegate_domain::{Code, Digest, Id, Name, Refusal, Version, canonical};
use tidegate_store::{Commit, StreamChange};

use super::{consequence, desk, facts, view};
use crate::app::{App, stream_change};
use crate::bounds;
use crate::door::Act;
use crate::estate::counted::Slots;
use crate::problem::No;
use crate::secret;

/// [`Deployment::is_overtaken`] in its own place.
pub fn is_overtaken(slots: &Slots, deployment: &Deployment) -> bool {
    let slot = slots.get(&Slot::id(&deployment.environment, &deployment.application));
    slot.is_some_and(|slot| deployment.is_overtaken(slot))
}

/// Makes a plan, the plan back, and a deployment that would carry them out.
pub async fn plan(app: &App, act: &Act, request: &PlanDeployment) -> Result<DeploymentView, No> {
    let about = About { application: Some(&request.application), environment: Some(&request.environment) };
    act.caller.require(Permission::Plan, about)?;
    let versions = versions(app, request).await?;
    let plans = plans(app, request, &versions).await?;
    let now_ms = app.now_ms();
    let digest = plans.forward.digest();
    let birth = Birth {
        id: secret::id("DEP", now_ms),
        plan: &plans.forward,
        digest: digest.clone(),
        release: request.release.clone(),
        change: None,
        requested_by: act.caller.actor(),
        takes_back: None,
    };
    let mut deployment = Deployment::new(birth, now_ms);
    let mut events = vec![consequence::planned(&deployment)];
    let mut bound = None;
    if let Some(change) = &request.change {
        bound = bind(app, act, change, (&plans.forward, &digest)).await?;
        events.extend(deployment.decide(&plans.forward, &Command::AttachChange { change: change.clone() }, now_ms)?);
    }
    events.iter().for_each(|event| deployment.apply(event, now_ms));
    let mut own = stream_change(0, &events, &deployment);
    own.targets = deployment.targets.values().map(|progress| consequence::row(&deployment.id, progress)).collect();
    let documents = [Some(&plans.forward), plans.fallback.as_ref()];
    let documents = documents.into_iter().flatten().map(|plan| (plan.digest(), canonical::text(plan))).collect();
    let answer = view::of(app, &deployment, &plans.forward).await?;
    let idempotency = act.remember(&answer, now_ms);
    let version = events.len() as u64;
    let changes = [Some(own), bound].into_iter().flatten().collect();
    let commit = Commit { actor: act.caller.actor(), cause: act.cause.clone(), at_ms: now_ms, changes, documents, idempotency };
    app.commit(commit).await?;
    act.show(version);
    Ok(answer)
}

async fn versions(app: &App, request: &PlanDeployment) -> Result<BTreeMap<Name, Version>, No> {
    app.need::<Application>(&request.application).await?;
    let Some(id) = &request.release else {
        package_not_rejected(app, request, &request.versions).await?;
        return Ok(request.versions.clone());
    };
    let release = app.need::<Release>(id).await?.value;
    not_rejected(&release, "release")?;
    package_not_rejected(app, request, &release.versions).await?;
    if release.application != request.application {
        let what = format!("release {id} is one of {}", release.application);
        return Err(Refusal::new(Code::Malformed, what, "name a release of this application").at("release").into());
    }
    if !request.versions.is_empty() && request.versions != release.versions {
        let what = "the versions are not those of the release";
        return Err(Refusal::new(Code::Malformed, what, "leave the versions out").at("versions").into());
    }
    Ok(release.versions)
}

/// Neither its versions nor another release of them are a way around the rejection of a package.
async fn package_not_rejected(app: &App, request: &PlanDeployment, versions: &BTreeMap<Name, Version>) -> Result<(), No> {
    let rejected = facts::rejected_package(app, &request.application, versions).await?;
    rejected.map_or(Ok(()), |release| not_rejected(&release, "versions"))
}

fn not_rejected(release: &Release, place: &str) -> Result<(), No> {
    let Some(rejected) = &release.rejected else { return Ok(()) };
    let what = format!("release {} was rejected by {}: {}", release.version, rejected.by, rejected.reason);
    Err(Refusal::new(Code::StateForbids, what, "deploy another release").at(place).into())
}

async fn plans(app: &App, request: &PlanDeployment, versions: &BTreeMap<Name, Version>) -> Result<Plans, No> {
    let environment = app.need::<Environment>(&request.environment).await?.value;
    let strategy = strategy(app, request.strategy.as_ref()).await?;
    let components = components(app, &request.application, versions).await?;
    let artifacts = artifacts(app, versions).await?;
    let targets = crate::estate::service::targets_of(app, &request.environment).await?;
    let slot = facts::slot(app, &request.environment, &request.application).await?;
    let rejected = facts::rejected(app, &slot.value).await?;
    let back_versions = slot.value.way_back(versions.keys().cloned(), |release| rejected.contains(release));
    let back_rejected = facts::rejected_package(app, &request.application, &back_versions).await?;
    let back_artifacts = artifacts_of(app, &back_versions).await?;
    let back = match choices(&components, &back_artifacts) {
        back if back.is_empty() || back_rejected.is_some() => {
            let known = versions.keys().any(|component| slot.value.verified.contains_key(component));
            let why = if known {
                "what was verified here before has been rejected"
            } else {
                "nothing of this was verified here before"
            };
            Err(why.to_owned())
        }
        back => Ok(back),
    };
    let ingredients = Ingredients {
        environment: &environment,
        forward: choices(&components, &artifacts),
        back,
        strategy: &strategy,
        targets: targets.iter().map(|record| (&record.target, &record.state.attested)).collect(),
    };
    Ok(plan::make(&ingredients)?)
}

async fn strategy(app: &App, choice: Option<&StrategyChoice>) -> Result<Strategy, No> {
    Ok(match choice {
        None => Strategy::all_at_once(),
        Some(StrategyChoice::Inline(strategy)) => strategy.clone(),
        Some(StrategyChoice::Named(name)) => app.need::<NamedStrategy>(name).await?.value.strategy,
    })
}

async fn components(app: &App, application: &Name, versions: &BTreeMap<Name, Version>) -> Result<Vec<Component>, No> {
    let mut components = Vec::new();
    for name in versions.keys() {
        let component = app.need::<Component>(name).await?.value;
        if component.application != *application {
            let what = format!("component {name} belongs to {}", component.application);
            return Err(Refusal::new(Code::Malformed, what, format!("name components of {application}")).at("versions").into());
        }
        components.push(component);
    }
    Ok(components)
}

async fn artifacts(app: &App, versions: &BTreeMap<Name, Version>) -> Result<Vec<Artifact>, No> {
    let found = artifacts_of(app, versions).await?;
    for (component, version) in versions {
        if !found.iter().any(|artifact| artifact.component == *component && artifact.version == *version) {
            let what = format!("there is no artifact of {component} {version}");
            let remedy = format!("bring it: tidegate artifact upload --component {component} --version {version} FILE");
            return Err(Refusal::new(Code::NotFound, what, remedy).at("versions").into());
        }
    }
    Ok(found)
}

async fn artifacts_of(app: &App, versions: &BTreeMap<Name, Version>) -> Result<Vec<Artifact>, No> {
    let ids: Vec<String> = versions.iter().map(|(component, version)| Artifact::id(component, version)).collect();
    Ok(app.store.load_many::<Artifact>(&ids).await?.into_iter().map(|found| found.value).collect())
}

fn choices<'a>(components: &'a [Component], artifacts: &'a [Artifact]) -> Vec<Choice<'a>> {
    let of = |artifact: &'a Artifact| {
        components.iter().find(|it| it.name == artifact.component).map(|component| Choice { component, artifact })
    };
    artifacts.iter().filter_map(of).collect()
}

/// Binds a change to a plan: what is authorised is what will run. Votes on anything else fall. Answers with the change of its
/// stream, to be stored together with what names it.
async fn bind(app: &App, act: &Act, id: &Id, (plan, digest): (&plan::Plan, &Digest)) -> Result<Option<StreamChange>, No> {
    let found = crate::list::one::<Change>(app, &act.caller, id.as_str()).await?;
    let bound = found.value.content.plans.get(&plan.environment) == Some(digest);
    // A plan for elsewhere would be refused; that the change does not cover it is said by admission.
    let elsewhere = !found.value.content.environments.contains(&plan.environment);
    if found.value.content.class == change::Class::Standard || bound || elsewhere {
        return Ok(None);
    }
    let mut content = found.value.content.clone();
    content.plans.insert(plan.environment.clone(), digest.clone());
    let versions = plan.installations.iter().map(|it| (it.component.clone(), it.version.clone()));
    if content.environments.len() == 1 {
        content.versions = versions.collect();
    } else {
        // Each environment has a plan of its own, and people read what all of them bring.
        content.versions.extend(versions);
    }
    let edit = change::Command::Edit { content, by: act.caller.person.name.clone() };
    let now_ms = app.now_ms();
    let (events, value) = crate::change::service::decided(act, &found.value, (Permission::WriteChange, &edit), now_ms)?;
    Ok((!events.is_empty()).then(|| stream_change(found.version, &events, &value)))
}

/// Lets a change authorise a deployment, and binds it to its plan.
pub async fn attach(app: &App, act: &Act, id: &Id, change: &Id) -> Result<DeploymentView, No> {
    let deployment = permitted(app, act, id, Permission::Plan).await?;
    let plan = desk::plan(app, &deployment.plan).await?;
    let bound = bind(app, act, change, (&plan, &deployment.plan)).await?;
    let command = Command::AttachChange { change: change.clone() };
    put_beside(app, act, id, (command, bound.into_iter().collect())).await
}

/// Starts a deployment: refuses with every reason, or waits until none is left.
pub async fn start(app: &App, act: &Act, id: &Id, request: &StartDeployment) -> Result<DeploymentView, No> {
    let deployment = permitted(app, act, id, Permission::Deploy).await?;
    if let Some(not_before_ms) = request.not_before_ms {
        bounds::instant("not_before_ms", not_before_ms)?;
    }
    if request.otherwise == Otherwise::Refuse && request.not_before_ms.is_none() {
        let plan = desk::plan(app, &deployment.plan).await?;
        let gathered = facts::gather(app, &deployment, &plan).await?;
        let reasons = gathered.reasons(&deployment, &plan, app.now_ms());
        if !reasons.is_empty() {
            return Err(No::NotAdmitted(reasons));
        }
    }
    let by = act.caller.person.name.to_string();
    put(app, act, id, Command::Start { by, not_before_ms: request.not_before_ms }).await
}

/// Stops a deployment.
pub async fn stop(app: &App, act: &Act, id: &Id, request: &StopDeployment) -> Result<DeploymentView, No> {
    permitted(app, act, id, Permission::Deploy).await?;
    let then = match request.then {
        AfterStop::Stay => Then::Cancel,
        AfterStop::FallBack => Then::FallBackAnyway,
    };
    put(app, act, id, Command::Stop { by: act.caller.person.name.to_string(), reason: request.reason.clone(), then }).await
}

/// Puts a person's command to a deployment, if they may.
pub async fn command(app: &App, act: &Act, id: &Id, permission: Permission, command: Command) -> Result<DeploymentView, No> {
    permitted(app, act, id, permission).await?;
    put(app, act, id, command).await
}

async fn permitted(app: &App, act: &Act, id: &Id, permission: Permission) -> Result<Deployment, No> {
    let found = crate::list::one::<Deployment>(app, &act.caller, id.as_str()).await?;
    let about = About { application: Some(&found.value.application), environment: Some(&found.value.environment) };
    act.caller.require(permission, about)?;
    Ok(found.value)
}

async fn put(app: &App, act: &Act, id: &Id, command: Command) -> Result<DeploymentView, No> {
    put_beside(app, act, id, (command, Vec::new())).await
}

async fn put_beside(
    app: &App,
    act: &Act,
    id: &Id,
    (command, beside): (Command, Vec<StreamChange>),
) -> Result<DeploymentView, No> {
    if let Some(reason) = reason(&command) {
        bounds::text("reason", reason)?;
    }
    let context = (act.caller.actor(), act.cause.clone());
    let remember = |answer: &DeploymentView, now_ms| act.remember(answer, now_ms);
    let with = desk::With { matches: |version| act.matches(version), beside, remember };
    let (answer, version) = desk::put(app, id, context, command, with).await?;
    act.show(version);
    Ok(answer)
}

/// What a person gave as their reason.
fn reason(command: &Command) -> Option<&str> {
    match command {
        Command::Pause { reason, .. }
        | Command::Stop { reason, .. }
        | Command::FallBack { reason, .. }
        | Command::OverrideGate { reason, .. }
        | Command::Retry { reason, .. }
        | Command::Exclude { reason, .. } => Some(reason),
        Command::AttachChange { .. }
        | Command::Start { .. }
        | Command::ApproveGate { .. }
        | Command::Resume { .. }
        | Command::Answer { .. }
        | Command::Report(_)
        | Command::Measured { .. } => None,
    }
}
