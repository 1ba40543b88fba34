//! Pages of deployments.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::Markup;
use tidegate_api::agent::LogChunk;
use tidegate_api::request::{AnswerTarget, ListQuery, Nothing, StartDeployment, StopDeployment, WithReason};
use tidegate_api::view::{DeploymentDetail, DeploymentView};
use tidegate_domain::access::Permission;
use tidegate_domain::change::Change;
use tidegate_domain::deployment::order::attempt_id;
use tidegate_domain::deployment::rollout::{Command, Deployment};
use tidegate_domain::event::{Noun, Stream};
use tidegate_domain::release::Release;
use tidegate_domain::{Id, Name};

use super::api::LOG_CHUNKS;
use super::{service, view};
use crate::app::App;
use crate::list;
use crate::pages::form::{Form, Query};
use crate::pages::{Visit, back, history, no_page};
use crate::problem::No;
use crate::web::page::deployment::{self as page, Asked, DeploymentPage};
use crate::web::page::{ChangeLink, List, deployments};

type Shared = State<Arc<App>>;
type One = Path<String>;
type OfOne = Path<(String, String)>;

/// The doors.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/deployments", get(all))
        .route("/deployments/{id}", get(one))
        .route("/deployments/{id}/start", post(start))
        .route("/deployments/{id}/pause", post(pause))
        .route("/deployments/{id}/resume", post(resume))
        .route("/deployments/{id}/stop", post(stop))
        .route("/deployments/{id}/fall-back", post(fall_back))
        .route("/deployments/{id}/gates/{key}/approve", post(approve))
        .route("/deployments/{id}/gates/{key}/override", post(decide_over))
        .route("/deployments/{id}/targets/{target}/retry", post(retry))
        .route("/deployments/{id}/targets/{target}/exclude", post(exclude))
        .route("/deployments/{id}/targets/{target}/answer", post(answer))
}

async fn all(State(app): Shared, visit: Visit, Query(query): Query<ListQuery>) -> Response {
    visit.show(listed(&app, &visit, query).await)
}

async fn listed(app: &App, visit: &Visit, query: ListQuery) -> Result<Markup, No> {
    let found = list::page::<Deployment>(app, &visit.caller, &query).await?;
    let rows = found.rows.iter().map(|row| view::without_reasons(&row.value)).collect();
    Ok(deployments::deployments(&visit.chrome, &List { rows, next: found.next, query }))
}

async fn one(State(app): Shared, visit: Visit, Path(id): One, Query(asked): Query<Asked>) -> Response {
    visit.show(shown(&app, &visit, &id, asked).await)
}

async fn shown(app: &App, visit: &Visit, id: &str, asked: Asked) -> Result<Markup, No> {
    list::one::<Deployment>(app, &visit.caller, id).await?;
    let (detail, _) = view::detail(app, &Id::parse(id)?).await?;
    let release = match &detail.deployment.release {
        Some(release) => app.store.load::<Release>(release.as_str()).await?.map(|found| crate::change::pages::link(&found.value)),
        None => None,
    };
    let change = match &detail.deployment.change {
        Some(change) => app.store.load::<Change>(change.as_str()).await?,
        None => None,
    };
    let view = DeploymentPage {
        release,
        change: change.map(|found| ChangeLink { id: found.value.id, title: found.value.content.title }),
        history: history(app, &Stream::new(Noun::Deployment, id)).await?,
        log: log(app, &detail, asked.target.as_ref()).await?,
        asked,
        detail,
    };
    Ok(page::deployment(&visit.chrome, &view))
}

/// The end of the log of a target's current try.
async fn log(app: &App, detail: &DeploymentDetail, target: Option<&Name>) -> Result<Vec<LogChunk>, No> {
    let Some(progress) = detail.targets.iter().find(|it| Some(&it.target) == target && it.attempt > 0) else {
        return Ok(Vec::new());
    };
    let attempt = attempt_id(&detail.deployment.id, &progress.target, progress.attempt);
    let size = app.store.log_size(&attempt).await?;
    let after = size.chunks.checked_sub(u64::from(LOG_CHUNKS) + 1);
    let chunks = app.store.logs(&attempt, after, LOG_CHUNKS).await?;
    Ok(chunks.into_iter().map(|it| LogChunk { attempt: it.attempt, number: it.number, at_ms: it.at_ms, text: it.text }).collect())
}

fn done(visit: &Visit, id: &str, outcome: Result<DeploymentView, No>) -> Response {
    match outcome {
        Ok(_) => back(&format!("/deployments/{id}")),
        Err(no) => no_page(&visit.chrome, &no),
    }
}

async fn put(app: &App, visit: &Visit, id: &str, (permission, command): (Permission, Command)) -> Response {
    let outcome = async { service::command(app, &visit.act(), &Id::parse(id)?, permission, command).await };
    done(visit, id, outcome.await)
}

fn by(visit: &Visit) -> String {
    visit.caller.person.name.to_string()
}

async fn start(State(app): Shared, Path(id): One, form: Form<StartDeployment>) -> Response {
    let started = async { service::start(&app, &form.visit.act(), &Id::parse(&id)?, &form.value).await };
    done(&form.visit, &id, started.await)
}

async fn stop(State(app): Shared, Path(id): One, form: Form<StopDeployment>) -> Response {
    let stopped = async { service::stop(&app, &form.visit.act(), &Id::parse(&id)?, &form.value).await };
    done(&form.visit, &id, stopped.await)
}

async fn pause(State(app): Shared, Path(id): One, form: Form<WithReason>) -> Response {
    let command = Command::Pause { by: by(&form.visit), reason: form.value.reason };
    put(&app, &form.visit, &id, (Permission::Deploy, command)).await
}

async fn resume(State(app): Shared, Path(id): One, form: Form<Nothing>) -> Response {
    let command = Command::Resume { by: by(&form.visit) };
    put(&app, &form.visit, &id, (Permission::Deploy, command)).await
}

async fn fall_back(State(app): Shared, Path(id): One, form: Form<WithReason>) -> Response {
    let command = Command::FallBack { by: by(&form.visit), reason: form.value.reason };
    put(&app, &form.visit, &id, (Permission::Deploy, command)).await
}

async fn approve(State(app): Shared, Path((id, gate)): OfOne, form: Form<Nothing>) -> Response {
    let command = Command::ApproveGate { gate, by: form.visit.caller.person.name.clone() };
    put(&app, &form.visit, &id, (Permission::Authorise, command)).await
}

async fn decide_over(State(app): Shared, Path((id, gate)): OfOne, form: Form<WithReason>) -> Response {
    let command = Command::OverrideGate { gate, by: by(&form.visit), reason: form.value.reason };
    put(&app, &form.visit, &id, (Permission::Authorise, command)).await
}

/// A command about one target of a deployment.
async fn about(app: &App, visit: &Visit, (id, target): (&str, &str), command: impl FnOnce(Name) -> Command) -> Response {
    match Name::parse(target) {
        Ok(target) => put(app, visit, id, (Permission::Deploy, command(target))).await,
        Err(refusal) => no_page(&visit.chrome, &refusal.into()),
    }
}

async fn retry(State(app): Shared, Path((id, target)): OfOne, form: Form<WithReason>) -> Response {
    let (by, reason) = (by(&form.visit), form.value.reason);
    about(&app, &form.visit, (&id, &target), |target| Command::Retry { target, by, reason }).await
}

async fn exclude(State(app): Shared, Path((id, target)): OfOne, form: Form<WithReason>) -> Response {
    let (by, reason) = (by(&form.visit), form.value.reason);
    about(&app, &form.visit, (&id, &target), |target| Command::Exclude { target, by, reason }).await
}

async fn answer(State(app): Shared, Path((id, target)): OfOne, form: Form<AnswerTarget>) -> Response {
    let (by, answer) = (by(&form.visit), form.value.answer);
    about(&app, &form.visit, (&id, &target), |target| Command::Answer { target, answer, by }).await
}
