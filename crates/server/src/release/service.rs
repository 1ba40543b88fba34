//! What people do with releases.

use tidegate_api::request::WriteRelease;
use tidegate_domain::access::{About, Permission};
use tidegate_domain::change::Change;
use tidegate_domain::deployment::artifact::Artifact;
use tidegate_domain::estate::{Application, Component};
use tidegate_domain::release::{self, Command, Event, Release, State};
use tidegate_domain::{Code, Id, Millis, Refusal, limits};
use tidegate_store::{Stored, StreamChange};

use crate::app::{App, stream_change};
use crate::bounds;
use crate::door::Act;
use crate::list;
use crate::problem::No;
use crate::secret;

/// Writes a release, as a draft. Its artifacts need not be there yet, its components must.
pub async fn write(app: &App, act: &Act, request: &WriteRelease) -> Result<Stored<Release>, No> {
    act.caller.require(Permission::ManageRelease, About { application: Some(&request.application), environment: None })?;
    bounded(request)?;
    app.need::<Application>(&request.application).await?;
    for component in request.versions.keys() {
        let found = app.need::<Component>(component).await?;
        if found.value.application != request.application {
            let what = format!("component {component} belongs to {}", found.value.application);
            return Err(Refusal::new(Code::Malformed, what, format!("name components of {}", request.application))
                .at("versions")
                .into());
        }
    }
    if jiff::tz::TimeZone::get(&request.zone).is_err() {
        let what = format!("\"{}\" is not a time zone", tidegate_domain::ids::clip(&request.zone));
        return Err(Refusal::new(Code::OutOfRange, what, "use an IANA name such as Europe/Vienna or UTC").at("zone").into());
    }
    let now_ms = app.now_ms();
    let release = Release {
        id: secret::id("REL", now_ms),
        application: request.application.clone(),
        version: request.version.clone(),
        title: request.title.clone(),
        model: request.model.as_str().to_owned(),
        state: State::Draft,
        phases: request.model.phases(),
        milestones: release::in_order(request.milestones.clone()),
        versions: request.versions.clone(),
        changes: Vec::new(),
        ready_by_ms: request.ready_by_ms,
        zone: request.zone.clone(),
        objectives: request.objectives.clone(),
        evaluation: String::new(),
        rejected: None,
        author: act.caller.person.name.clone(),
        created_at_ms: now_ms,
        closed_at_ms: None,
        recorded: None,
    };
    release.check()?;
    let drafted = release.drafted();
    app.create(act, release, &[drafted]).await
}

fn bounded(request: &WriteRelease) -> Result<(), Refusal> {
    bounds::at_most("versions", request.versions.len(), limits::COMPONENTS_MAX)?;
    bounds::at_most("objectives", request.objectives.len(), bounds::OBJECTIVES_MAX)?;
    request.ready_by_ms.map_or(Ok(()), |at_ms| bounds::instant("ready_by_ms", at_ms))?;
    request.milestones.iter().try_for_each(|milestone| bounds::instant("milestones", milestone.at_ms))?;
    bounds::weight("release", request)
}

/// Puts a command to a release.
pub async fn command(app: &App, act: &Act, id: &Id, command: impl Fn(&Release) -> Command) -> Result<Stored<Release>, No> {
    app.edit::<Release, Event>(act, id, |release, now_ms| decided(act, release, &command(release), now_ms)).await
}

/// Takes a new change into a release's scope: the change of the release's stream, to be stored together with the new one.
pub async fn taking_in(app: &App, act: &Act, id: &Id, change: &Change) -> Result<Option<StreamChange>, No> {
    let found = app.need::<Release>(id).await?;
    let (events, value) = taken_in(act, &found.value, change, app.now_ms())?;
    Ok((!events.is_empty()).then(|| stream_change(found.version, &events, &value)))
}

/// Takes a change that is there into a release's scope.
pub async fn take_in(app: &App, act: &Act, id: &Id, change: &Id) -> Result<Stored<Release>, No> {
    let change = list::one::<Change>(app, &act.caller, change.as_str()).await?.value;
    app.edit::<Release, Event>(act, id, |release, now_ms| taken_in(act, release, &change, now_ms)).await
}

/// What taking a change in leads to, new or not; if the asker may write that change, and it is one of the release's application.
fn taken_in(act: &Act, release: &Release, change: &Change, now_ms: Millis) -> Result<(Vec<Event>, Release), No> {
    crate::change::service::require(act, Permission::WriteChange, &change.content)?;
    if release.application != change.content.application {
        let what = format!("release {} is one of {}", release.id, release.application);
        return Err(Refusal::new(Code::Malformed, what, "name a release of the change's application").at("release").into());
    }
    decided(act, release, &Command::AddChange { change: change.id.clone() }, now_ms)
}

/// What a command leads to, and the release as it leaves it; if the asker may.
fn decided(act: &Act, release: &Release, command: &Command, now_ms: Millis) -> Result<(Vec<Event>, Release), No> {
    let permission = match command {
        // Whoever writes a change may put it into the release it is for.
        Command::AddChange { .. } => {
            bounds::at_most("changes", release.changes.len() + 1, bounds::CHANGES_MAX)?;
            Permission::WriteChange
        }
        _ => Permission::ManageRelease,
    };
    act.caller.require(permission, About { application: Some(&release.application), environment: None })?;
    let events = release.decide(command)?;
    let mut changed = release.clone();
    events.iter().for_each(|event| changed.apply(event, now_ms));
    Ok((events, changed))
}

/// The artifacts of a release that are in the media library, by component.
pub async fn artifacts(app: &App, release: &Release) -> Result<Vec<Artifact>, No> {
    let ids: Vec<String> = release.versions.iter().map(|(component, version)| Artifact::id(component, version)).collect();
    Ok(app.store.load_many::<Artifact>(&ids).await?.into_iter().map(|found| found.value).collect())
}
