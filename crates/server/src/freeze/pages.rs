//! Pages of freezes.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::Markup;
use serde::Deserialize;
use tidegate_api::request::{DeclareFreeze, ListQuery, RequestException, RuleException, WithReason};
use tidegate_api::view::DeploymentView;
use tidegate_domain::calendar::Freeze;
use tidegate_domain::calendar::freeze::{Running, Strictness};
use tidegate_domain::change::Choice;
use tidegate_domain::deployment::rollout::Deployment;
use tidegate_domain::{Code, Id, Millis, Name, Refusal, limits};
use tidegate_store::{Filter, Order, PageRequest, Stored};

use super::{passages, service};
use crate::app::App;
use crate::deployment::view;
use crate::list;
use crate::pages::form::{Form, Query};
use crate::pages::{Visit, back, no_page};
use crate::problem::No;
use crate::web::page::List;
use crate::web::page::freezes::{self, Beside, FreezesPage, OneFreeze};

type Shared = State<Arc<App>>;

/// The doors.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/freezes", get(all).post(declare))
        .route("/freezes/{id}", get(one))
        .route("/freezes/{id}/lift", post(lift))
        .route("/freezes/{id}/exceptions", post(ask))
        .route("/freezes/{id}/exceptions/{exception}/rule", post(rule))
}

async fn all(State(app): Shared, visit: Visit, Query(query): Query<ListQuery>) -> Response {
    visit.show(shown(&app, &visit, query).await)
}

async fn shown(app: &App, visit: &Visit, query: ListQuery) -> Result<Markup, No> {
    let found = list::page::<Freeze>(app, &visit.caller, &query).await?;
    let freezes: Vec<Freeze> = found.rows.into_iter().map(|row| row.value).collect();
    let deployments = beside(app, visit, &freezes).await?;
    let view = FreezesPage { freezes: List { rows: freezes, next: found.next, query }, deployments };
    Ok(freezes::freezes(&visit.chrome, &view))
}

async fn beside(app: &App, visit: &Visit, freezes: &[Freeze]) -> Result<Beside, No> {
    let named = freezes.iter().flat_map(|freeze| &freeze.exceptions).map(|it| it.deployment.to_string());
    let named: Vec<String> = named.collect::<BTreeSet<_>>().into_iter().collect();
    let found = app.store.load_many::<Deployment>(&named).await?;
    let seen = found.into_iter().map(|found| found.value).filter(|it| list::may_see(&visit.caller.person, it));
    Ok(Beside { waiting: waiting(app, visit).await?, titles: seen.map(|it| (it.id.clone(), it.title())).collect() })
}

/// Deployments that are not over and do not run, for which an exception could be asked.
async fn waiting(app: &App, visit: &Visit) -> Result<Vec<DeploymentView>, No> {
    let request = PageRequest { order: Order::NewestFirst, after: None, limit: limits::PAGE_ROWS_MAX };
    let waiting = ["planned", "awaiting_approval", "scheduled", "queued", "paused"].map(str::to_owned).to_vec();
    let filter = Filter { states: waiting, ..Filter::default() };
    let deployments = app.store.list::<Deployment>(&filter, &request).await?.rows;
    let person = &visit.caller.person;
    let deployments = deployments.iter().map(|row| &row.value).filter(|it| list::may_see(person, *it));
    Ok(deployments.map(view::without_reasons).collect())
}

async fn one(State(app): Shared, visit: Visit, Path(id): Path<String>) -> Response {
    let shown = async {
        let freeze = list::one::<Freeze>(&app, &visit.caller, &id).await?.value;
        let passages = passages::of(&app, &visit.caller, &freeze).await?;
        Ok(freezes::one(
            &visit.chrome,
            &OneFreeze { deployments: beside(&app, &visit, std::slice::from_ref(&freeze)).await?, freeze, passages },
        ))
    };
    visit.show(shown.await)
}

/// The form of a new freeze: instants as the browser writes them, in a zone of their own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declaration {
    #[serde(default)]
    name: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    environments: String,
    #[serde(default)]
    applications: String,
    #[serde(default)]
    components: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    until: String,
    #[serde(default)]
    zone: String,
    strictness: Strictness,
    running: Running,
}

impl Declaration {
    fn request(self) -> Result<DeclareFreeze, Refusal> {
        Ok(DeclareFreeze {
            environments: names(&self.environments)?,
            applications: names(&self.applications)?,
            components: names(&self.components)?,
            from_ms: instant("from", &self.from, &self.zone)?,
            until_ms: instant("until", &self.until, &self.zone)?,
            name: self.name,
            reason: self.reason,
            zone: self.zone,
            strictness: self.strictness,
            running: self.running,
        })
    }
}

fn names(text: &str) -> Result<Vec<Name>, Refusal> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(Name::parse).collect()
}

fn instant(field: &str, text: &str, zone: &str) -> Result<Millis, Refusal> {
    let read = text.parse::<jiff::civil::DateTime>().and_then(|civil| civil.in_tz(zone));
    read.map(|zoned| zoned.timestamp().as_millisecond()).map_err(|_| {
        let what =
            format!("\"{}\" in \"{}\" is not an instant", tidegate_domain::ids::clip(text), tidegate_domain::ids::clip(zone));
        Refusal::new(Code::Malformed, what, "use a date and a time such as 2026-12-20T18:00, in an IANA zone").at(field)
    })
}

fn done(visit: &Visit, outcome: Result<Stored<Freeze>, No>) -> Response {
    match outcome {
        Ok(_) => back("/freezes"),
        Err(no) => no_page(&visit.chrome, &no),
    }
}

async fn declare(State(app): Shared, form: Form<Declaration>) -> Response {
    let declared = async { service::declare(&app, &form.visit.act(), &form.value.request()?).await };
    done(&form.visit, declared.await)
}

async fn lift(State(app): Shared, Path(id): Path<String>, form: Form<WithReason>) -> Response {
    let lifted = async { service::lift(&app, &form.visit.act(), &Id::parse(&id)?, &form.value.reason).await };
    done(&form.visit, lifted.await)
}

async fn ask(State(app): Shared, Path(id): Path<String>, form: Form<RequestException>) -> Response {
    let asked = async { service::request_exception(&app, &form.visit.act(), &Id::parse(&id)?, &form.value).await };
    done(&form.visit, asked.await)
}

/// The form of a decision; the time is in the zone that the page shows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ruling {
    choice: Choice,
    #[serde(default)]
    until: Option<String>,
    #[serde(default)]
    reason: String,
}

async fn rule(State(app): Shared, Path((id, exception)): Path<(String, String)>, form: Form<Ruling>) -> Response {
    let ruled = async {
        let until_ms = form.value.until.as_deref().map(|text| instant("until", text, &app.settings.zone)).transpose()?;
        let request = RuleException { choice: form.value.choice, until_ms, reason: form.value.reason };
        service::rule(&app, &form.visit.act(), (&Id::parse(&id)?, &Id::parse(&exception)?), &request).await
    };
    done(&form.visit, ruled.await)
}
