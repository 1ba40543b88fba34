//! Pages of releases.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::Markup;
use tidegate_api::request::{ListQuery, MeetCriterion, Nothing, WithReason};
use tidegate_domain::Id;
use tidegate_domain::change::{Change, State as ChangeState};
use tidegate_domain::deployment::rollout::Deployment;
use tidegate_domain::estate::Environment;
use tidegate_domain::event::{Noun, Stream};
use tidegate_domain::release::{Command, Release};
use tidegate_store::{Filter, Order, PageRequest};

use super::service;
use crate::app::App;
use crate::deployment::view;
use crate::list;
use crate::pages::form::{Form, Query};
use crate::pages::{Visit, back, history, no_page};
use crate::problem::No;
use crate::web::page::release::{ArtifactFacts, ComponentVersion, EnvironmentStop, ReleasePage};
use crate::web::page::{List, release as page, releases};

type Shared = State<Arc<App>>;

/// Things shown beside one release at most.
const BESIDE_MAX: u32 = 500;

/// The doors.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/releases", get(all))
        .route("/releases/{id}", get(one))
        .route("/releases/{id}/plan", post(plan))
        .route("/releases/{id}/start", post(start))
        .route("/releases/{id}/meet", post(meet))
        .route("/releases/{id}/complete-phase", post(complete_phase))
        .route("/releases/{id}/reject", post(reject))
}

async fn all(State(app): Shared, visit: Visit, Query(query): Query<ListQuery>) -> Response {
    visit.show(listed(&app, &visit, query).await)
}

async fn listed(app: &App, visit: &Visit, query: ListQuery) -> Result<Markup, No> {
    let found = list::page::<Release>(app, &visit.caller, &query).await?;
    let rows = found.rows.into_iter().map(|row| row.value).collect();
    Ok(releases::releases(&visit.chrome, &List { rows, next: found.next, query }))
}

async fn one(State(app): Shared, visit: Visit, Path(id): Path<String>) -> Response {
    visit.show(shown(&app, &visit, &id).await)
}

async fn shown(app: &App, visit: &Visit, id: &str) -> Result<Markup, No> {
    let release = list::one::<Release>(app, &visit.caller, id).await?.value;
    let ids: Vec<String> = release.changes.iter().map(ToString::to_string).collect();
    let changes = app.store.load_many::<Change>(&ids).await?.into_iter().map(|found| found.value);
    let changes: Vec<Change> = changes.filter(|change| list::may_see(&visit.caller.person, change)).collect();
    let waits = changes.iter().find(|change| change.state == ChangeState::AwaitingAuthorisation).cloned();
    let awaiting = match waits {
        Some(change) => Some(crate::change::pages::with_plan(app, visit, change).await?),
        None => None,
    };
    let view = ReleasePage {
        package: package(app, &release).await?,
        way: way(app, visit, &release).await?,
        history: history(app, &Stream::new(Noun::Release, id)).await?,
        awaiting,
        changes,
        release,
    };
    Ok(page::release(&visit.chrome, &view))
}

async fn package(app: &App, release: &Release) -> Result<Vec<ComponentVersion>, No> {
    let artifacts = service::artifacts(app, release).await?;
    let facts = |component, version| {
        let found = artifacts.iter().find(|it| it.component == component && it.version == version)?;
        Some(ArtifactFacts { digest: found.digest.clone(), size_bytes: found.size_bytes, signed: found.signature.is_some() })
    };
    let versions = release.versions.clone().into_iter();
    Ok(versions
        .map(|(component, version)| ComponentVersion { artifact: facts(component.clone(), version.clone()), component, version })
        .collect())
}

/// Every environment on the way to production that the visitor may see, with the newest deployment of the release there.
async fn way(app: &App, visit: &Visit, release: &Release) -> Result<Vec<EnvironmentStop>, No> {
    let request = |order| PageRequest { order, after: None, limit: BESIDE_MAX };
    let of_release = Filter { parent: Some(release.id.to_string()), ..Filter::default() };
    let deployments = app.store.list::<Deployment>(&of_release, &request(Order::NewestFirst)).await?.rows;
    let environments = app.store.list::<Environment>(&Filter::default(), &request(Order::OldestFirst)).await?.rows;
    let newest = |environment: &Environment| {
        let mut here = deployments.iter().map(|row| &row.value).filter(|it| it.environment == environment.name);
        let seen = |it: &&Deployment| it.takes_back.is_none() && list::may_see(&visit.caller.person, *it);
        here.find(seen).map(view::without_reasons)
    };
    let environments = environments.into_iter().filter(|row| list::may_see(&visit.caller.person, &row.value));
    Ok(environments.map(|row| EnvironmentStop { deployment: newest(&row.value), environment: row.value }).collect())
}

async fn put(app: &App, visit: &Visit, id: &str, command: Command) -> Response {
    let done = async { service::command(app, &visit.act(), &Id::parse(id)?, |_| command.clone()).await };
    match done.await {
        Ok(_) => back(&format!("/releases/{id}")),
        Err(no) => no_page(&visit.chrome, &no),
    }
}

async fn plan(State(app): Shared, Path(id): Path<String>, form: Form<Nothing>) -> Response {
    put(&app, &form.visit, &id, Command::Plan).await
}

async fn start(State(app): Shared, Path(id): Path<String>, form: Form<Nothing>) -> Response {
    put(&app, &form.visit, &id, Command::Start).await
}

async fn meet(State(app): Shared, Path(id): Path<String>, form: Form<MeetCriterion>) -> Response {
    let by = form.visit.caller.person.name.clone();
    put(&app, &form.visit, &id, Command::Meet { phase: form.value.phase, criterion: form.value.criterion, by }).await
}

async fn complete_phase(State(app): Shared, Path(id): Path<String>, form: Form<Nothing>) -> Response {
    put(&app, &form.visit, &id, Command::CompletePhase).await
}

async fn reject(State(app): Shared, Path(id): Path<String>, form: Form<WithReason>) -> Response {
    let by = form.visit.caller.person.name.to_string();
    put(&app, &form.visit, &id, Command::Reject { by, reason: form.value.reason }).await
}
