//! Pages of changes.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::Markup;
use tidegate_api::request::{ListQuery, Nothing, VoteOnChange, WithReason};
use tidegate_domain::access::{About, Permission};
use tidegate_domain::change::{Change, Command, State as ChangeState, difference};
use tidegate_domain::deployment::rollout::Deployment;
use tidegate_domain::event::{Noun, Stream};
use tidegate_domain::release::Release;
use tidegate_domain::{Id, limits};
use tidegate_store::{Filter, Order, PageRequest};

use super::service;
use crate::app::App;
use crate::deployment::{desk, view};
use crate::list;
use crate::pages::form::{Form, Query};
use crate::pages::{Visit, back, history};
use crate::problem::No;
use crate::web::page::change::{ChangePage, ChangeShown, Planned};
use crate::web::page::changes::ChangesPage;
use crate::web::page::{List, ReleaseLink, change as page, changes};

type Shared = State<Arc<App>>;

/// The doors.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/changes", get(all))
        .route("/changes/{id}", get(one))
        .route("/changes/{id}/submit", post(submit))
        .route("/changes/{id}/vote", post(vote))
        .route("/changes/{id}/cancel", post(cancel))
}

async fn all(State(app): Shared, visit: Visit, Query(query): Query<ListQuery>) -> Response {
    visit.show(listed(&app, &visit, query).await)
}

async fn listed(app: &App, visit: &Visit, query: ListQuery) -> Result<Markup, No> {
    let inbox = inbox(app, visit).await?;
    let found = list::page::<Change>(app, &visit.caller, &query).await?;
    let rows = found.rows.into_iter().map(|row| row.value).collect();
    Ok(changes::changes(&visit.chrome, &ChangesPage { inbox, list: List { rows, next: found.next, query } }))
}

/// What waits for the visitor's vote, the longest waiting first.
async fn inbox(app: &App, visit: &Visit) -> Result<Vec<Change>, No> {
    let filter = Filter { states: vec![ChangeState::AwaitingAuthorisation.as_str().into()], ..Filter::default() };
    let request = PageRequest { order: Order::OldestFirst, after: None, limit: limits::PAGE_ROWS_MAX };
    let found = app.store.list::<Change>(&filter, &request).await?.rows;
    Ok(found.into_iter().map(|row| row.value).filter(|it| service::awaits(&visit.caller.person, it)).collect())
}

async fn one(State(app): Shared, visit: Visit, Path(id): Path<String>) -> Response {
    visit.show(shown(&app, &visit, &id).await)
}

async fn shown(app: &App, visit: &Visit, id: &str) -> Result<Markup, No> {
    let change = list::one::<Change>(app, &visit.caller, id).await?.value;
    let under = under(app, visit, &change).await?;
    let deployments = under.iter().map(view::without_reasons).collect();
    let shown = in_full(app, visit, change, &under).await?;
    let history = history(app, &Stream::new(Noun::Change, id)).await?;
    Ok(page::change(&visit.chrome, &ChangePage { shown, deployments, history }))
}

/// The newest deployments that name a change, as far as the visitor may see them.
async fn under(app: &App, visit: &Visit, change: &Change) -> Result<Vec<Deployment>, No> {
    // None begins after the change is closed.
    let filter = Filter {
        applications: vec![change.content.application.clone()],
        until_ms: change.closed_at_ms.map(|at_ms| at_ms + 1),
        ..Filter::default()
    };
    let request = PageRequest { order: Order::NewestFirst, after: None, limit: limits::PAGE_ROWS_MAX };
    let found = app.store.list::<Deployment>(&filter, &request).await?.rows;
    let seen = |it: &Deployment| it.change.as_ref() == Some(&change.id) && list::may_see(&visit.caller.person, it);
    Ok(found.into_iter().map(|row| row.value).filter(seen).collect())
}

/// A change with what would run under it.
pub async fn with_plan(app: &App, visit: &Visit, change: Change) -> Result<ChangeShown, No> {
    let under = under(app, visit, &change).await?;
    in_full(app, visit, change, &under).await
}

async fn in_full(app: &App, visit: &Visit, change: Change, under: &[Deployment]) -> Result<ChangeShown, No> {
    let mut planned = Vec::new();
    for (environment, digest) in &change.content.plans {
        let deployment = under.iter().find(|it| it.plan == *digest).map(|it| it.id.clone());
        let plan = desk::plan(app, digest).await?;
        let about = About { application: Some(&plan.application), environment: Some(&plan.environment) };
        if visit.caller.person.may(Permission::Read, about) {
            planned.push(Planned { environment: environment.clone(), digest: digest.clone(), plan, deployment });
        }
    }
    let release = match &change.release {
        Some(id) => app.store.load::<Release>(id.as_str()).await?.map(|found| link(&found.value)),
        None => None,
    };
    let before = service::last_voted(app, &change).await?;
    let since_vote = before.map(|before| difference::between(&before, &change.content)).unwrap_or_default();
    Ok(ChangeShown { change, planned, release, since_vote })
}

/// A release by number and name.
pub fn link(release: &Release) -> ReleaseLink {
    ReleaseLink { id: release.id.clone(), application: release.application.clone(), version: release.version.clone() }
}

async fn put(app: &App, visit: &Visit, id: &str, command: Command) -> Response {
    let done = async {
        let id = Id::parse(id)?;
        service::command(app, &visit.act(), &id, Permission::WriteChange, command).await
    };
    match done.await {
        Ok(_) => back(&format!("/changes/{id}")),
        Err(no) => crate::pages::no_page(&visit.chrome, &no),
    }
}

async fn submit(State(app): Shared, Path(id): Path<String>, form: Form<Nothing>) -> Response {
    let by = form.visit.caller.person.name.clone();
    put(&app, &form.visit, &id, Command::Submit { by }).await
}

async fn cancel(State(app): Shared, Path(id): Path<String>, form: Form<WithReason>) -> Response {
    let by = form.visit.caller.person.name.clone();
    put(&app, &form.visit, &id, Command::Cancel { by, reason: form.value.reason }).await
}

async fn vote(State(app): Shared, Path(id): Path<String>, form: Form<VoteOnChange>) -> Response {
    let voted = async { service::vote(&app, &form.visit.act(), &Id::parse(&id)?, &form.value).await };
    match voted.await {
        Ok(_) => back(&format!("/changes/{id}")),
        Err(no) => crate::pages::no_page(&form.visit.chrome, &no),
    }
}
