//! What people and other tools record.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_api::request::RecordDone;
use tidegate_api::view::RecordedView;
use tidegate_domain::access::{About, Permission};
use tidegate_domain::estate::Component;
use tidegate_domain::record;
use tidegate_domain::{Code, Millis, Name, Refusal, Version, limits};
use tidegate_store::{Commit, CommitError};

use super::batch::{Batch, Made};
use crate::app::App;
use crate::bounds;
use crate::door::Act;
use crate::estate::service as estate;
use crate::problem::No;

/// How often a batch is made again after a lost race for a release or a place.
const TRIES_MAX: u32 = 8;

/// Records a batch, all or none. What is known already, alike, stays as it is.
///
/// # Errors
///
/// [`Code::AlreadyExists`] if something was recorded otherwise before; [`Code::NotFound`] for what it names and is not there; what
/// the records' own checks refuse, with their place in the batch.
pub async fn record(app: &App, act: &Act, request: &RecordDone) -> Result<RecordedView, No> {
    bounded(request)?;
    permitted(act, request)?;
    there(app, request).await?;
    let mut tries = 0;
    loop {
        let now_ms = app.now_ms();
        let Made { changes, documents, answer } = Batch::read(app, request).await?.make(&act.caller.person.name, now_ms)?;
        // A batch of which everything is known writes nothing but its idempotency key.
        let idempotency = act.remember(&answer, now_ms);
        let commit =
            Commit { actor: act.caller.actor(), cause: act.cause.clone(), at_ms: now_ms, changes, documents, idempotency };
        match app.commit(commit).await {
            Ok(_) => return Ok(answer),
            Err(CommitError::Fence { .. }) if tries < TRIES_MAX => tries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

fn bounded(request: &RecordDone) -> Result<(), Refusal> {
    record::reference("source", &request.source)?;
    let records = request.releases.len() + request.changes.len() + request.deployments.len();
    if records == 0 {
        let remedy = "give at least one release, change or deployment";
        return Err(Refusal::new(Code::NothingToDo, "there is nothing to record", remedy));
    }
    bounds::at_most("records", records, bounds::RECORDS_MAX)?;
    let releases = request.releases.iter().map(|it| (it.reference.as_str(), "release"));
    let changes = request.changes.iter().map(|it| (it.reference.as_str(), "change"));
    let deployments = request.deployments.iter().map(|it| (it.reference.as_str(), "deployment"));
    let mut seen = BTreeSet::new();
    for (reference, noun) in releases.chain(changes).chain(deployments) {
        if !seen.insert((noun, reference)) {
            let what = format!("two {noun}s of the batch have the reference \"{}\"", tidegate_domain::ids::clip(reference));
            return Err(Refusal::new(Code::Malformed, what, "give each a reference of its own").at(format!("{noun}s")));
        }
    }
    for (index, release) in request.releases.iter().enumerate() {
        let place = format!("releases[{index}]");
        let dates = release.milestones.iter().map(|it| it.at_ms).chain([release.written_at_ms, release.closed_at_ms]);
        let phases = release.phases.iter().flat_map(|it| [it.started_at_ms, it.ended_at_ms]);
        dates.chain(phases).chain(release.ready_by_ms).try_for_each(|at_ms| bounds::instant(&place, at_ms))?;
        bounds::at_most(&format!("{place}.objectives"), release.objectives.len(), bounds::OBJECTIVES_MAX)?;
        bounds::weight("release", release)?;
        if jiff::tz::TimeZone::get(&release.zone).is_err() {
            let what = format!("\"{}\" is not a time zone", tidegate_domain::ids::clip(&release.zone));
            let remedy = "use an IANA name such as Europe/Vienna or UTC";
            return Err(Refusal::new(Code::OutOfRange, what, remedy).at(format!("{place}.zone")));
        }
    }
    for (index, deployment) in request.deployments.iter().enumerate() {
        let instants = [
            ("started_at_ms", Some(deployment.started_at_ms)),
            ("ended_at_ms", Some(deployment.ended_at_ms)),
            ("failed_at_ms", deployment.failed_at_ms),
        ];
        known(&format!("deployments[{index}]"), &instants)?;
        bounds::weight("deployment", deployment)?;
    }
    for (index, change) in request.changes.iter().enumerate() {
        let instants = [
            ("written_at_ms", Some(change.written_at_ms)),
            ("authorised_at_ms", change.authorised_at_ms),
            ("implemented_at_ms", change.implemented_at_ms),
            ("closed_at_ms", Some(change.closed_at_ms)),
        ];
        known(&format!("changes[{index}]"), &instants)?;
        bounds::weight("change", change)?;
        let place = |field: &str| format!("changes[{index}].content.{field}");
        bounds::at_most(&place("environments"), change.content.environments.len(), bounds::PLACES_MAX)?;
        bounds::at_most(&place("versions"), change.content.versions.len(), limits::COMPONENTS_MAX)?;
    }
    Ok(())
}

/// Refuses an instant that nobody means, at its field.
fn known(place: &str, instants: &[(&str, Option<Millis>)]) -> Result<(), Refusal> {
    let said = instants.iter().filter_map(|(field, at_ms)| Some((field, (*at_ms)?)));
    said.into_iter().try_for_each(|(field, at_ms)| bounds::instant(&format!("{place}.{field}"), at_ms))
}

fn permitted(act: &Act, request: &RecordDone) -> Result<(), No> {
    let require = |application: &Name, environment: Option<&Name>| {
        act.caller.require(Permission::Record, About { application: Some(application), environment })
    };
    request.releases.iter().try_for_each(|it| require(&it.application, None))?;
    for change in &request.changes {
        let environments = &change.content.environments;
        environments.iter().try_for_each(|environment| require(&change.content.application, Some(environment)))?;
    }
    request.deployments.iter().try_for_each(|it| require(&it.application, Some(&it.environment)))?;
    Ok(())
}

/// What the records name has to be defined: a misspelt component would else make a line of its own in every list.
async fn there(app: &App, request: &RecordDone) -> Result<(), No> {
    let releases = request.releases.iter().map(|it| (&it.application, &it.versions));
    let changes = request.changes.iter().map(|it| (&it.content.application, &it.content.versions));
    let deployments = request.deployments.iter().map(|it| (&it.application, &it.versions));
    let packages: Vec<(&Name, &BTreeMap<Name, Version>)> = releases.chain(changes).chain(deployments).collect();
    let applications: BTreeSet<&Name> = packages.iter().map(|(application, _)| *application).collect();
    let of_changes = request.changes.iter().flat_map(|it| &it.content.environments);
    let environments: BTreeSet<&Name> = request.deployments.iter().map(|it| &it.environment).chain(of_changes).collect();
    let environments: Vec<Name> = environments.into_iter().cloned().collect();
    estate::there(app, &applications.into_iter().collect::<Vec<_>>(), &environments).await?;
    let names: BTreeSet<String> = packages.iter().flat_map(|(_, versions)| versions.keys()).map(ToString::to_string).collect();
    let found = app.store.load_many::<Component>(&names.into_iter().collect::<Vec<_>>()).await?;
    let owners: BTreeMap<Name, Name> = found.into_iter().map(|it| (it.value.name, it.value.application)).collect();
    for (application, versions) in packages {
        for component in versions.keys() {
            match owners.get(component) {
                Some(owner) if owner == application => {}
                Some(owner) => {
                    let what = format!("component {component} belongs to {owner}");
                    let remedy = format!("name components of {application}");
                    return Err(Refusal::new(Code::Malformed, what, remedy).at("versions").into());
                }
                None => return Err(Refusal::not_found("component", component).into()),
            }
        }
    }
    Ok(())
}
