//! Pages of targets and environments.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::Markup;
use tidegate_api::request::{ListQuery, Nothing};
use tidegate_domain::Name;
use tidegate_domain::estate::{AgentState, Slot, TargetRecord};
use tidegate_domain::event::{Noun, Stream};

use super::counted::Slots;
use super::programs::Programs;
use super::{matrix, service};
use crate::app::App;
use crate::list;
use crate::pages::form::{Form, Query};
use crate::pages::{Visit, back, fresh, history, no_page};
use crate::problem::No;
use crate::web::page::targets::{self as page, TargetPage, TargetShown};
use crate::web::page::{List, environments};

type Shared = State<Arc<App>>;

/// The doors.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/targets", get(all))
        .route("/targets/{name}", get(one))
        .route("/targets/{name}/enrol", post(enrol))
        .route("/environments", get(side_by_side))
        .route("/environments/promote", post(promote))
}

async fn all(State(app): Shared, visit: Visit, Query(query): Query<ListQuery>) -> Response {
    visit.show(listed(&app, &visit, query).await)
}

async fn listed(app: &App, visit: &Visit, query: ListQuery) -> Result<Markup, No> {
    // A fleet is looked through by name.
    let query = ListQuery { sort: query.sort.or(Some("name".into())), ..query };
    let found = list::page::<TargetRecord>(app, &visit.caller, &query).await?;
    let slots = app.counted.slots(app).await?;
    let mut programs = Programs::of(app, &visit.caller.person);
    let mut rows = Vec::new();
    for row in &found.rows {
        rows.push(shown(app, &mut programs, (&row.value, &here(&slots, &row.value.target.environment))).await?);
    }
    Ok(page::targets(&visit.chrome, &List { rows, next: found.next, query }))
}

/// Every application's place in an environment.
fn here<'a>(slots: &'a Slots, environment: &Name) -> Vec<&'a Slot> {
    slots.values().map(AsRef::as_ref).filter(|slot| slot.environment == *environment).collect()
}

async fn shown(app: &App, programs: &mut Programs<'_>, (record, slots): (&TargetRecord, &[&Slot])) -> Result<TargetShown, No> {
    let view = service::view(app, programs, record).await?;
    let agent = AgentState::of(&record.state, view.contact_at_ms, app.now_ms());
    Ok(TargetShown { agent, drift: slots.iter().flat_map(|slot| slot.drift(&record.state.attested)).collect(), view })
}

async fn one(State(app): Shared, visit: Visit, Path(name): Path<String>) -> Response {
    visit.show(by_itself(&app, &visit, &name).await)
}

async fn by_itself(app: &App, visit: &Visit, name: &str) -> Result<Markup, No> {
    let record = list::one::<TargetRecord>(app, &visit.caller, name).await?.value;
    let slots = app.counted.slots(app).await?;
    let slots = here(&slots, &record.target.environment);
    let generations: BTreeMap<_, _> =
        slots.iter().map(|slot| (slot.application.clone(), (slot.generation, slot.holder.clone()))).collect();
    let history = history(app, &Stream::new(Noun::Target, name)).await?;
    let shown = shown(app, &mut Programs::of(app, &visit.caller.person), (&record, &slots)).await?;
    Ok(page::target(&visit.chrome, &TargetPage { shown, generations, history }))
}

async fn enrol(State(app): Shared, Path(name): Path<String>, form: Form<Nothing>) -> Response {
    let made = async { service::enrolment(&app, &form.visit.act(), &Name::parse(&name)?).await };
    match made.await {
        Ok(made) => fresh(page::enrolled(&form.visit.chrome, &made)),
        Err(no) => no_page(&form.visit.chrome, &no),
    }
}

async fn side_by_side(State(app): Shared, visit: Visit, Query(query): Query<matrix::MatrixQuery>) -> Response {
    visit.show(matrix::gather(&app, &visit.caller, query).await.map(|view| environments::environments(&visit.chrome, &view)))
}

async fn promote(State(app): Shared, form: Form<matrix::Promotion>) -> Response {
    let planned = async { crate::deployment::service::plan(&app, &form.visit.act(), &form.value.request()?).await };
    match planned.await {
        Ok(view) => back(&format!("/deployments/{}", view.deployment.id)),
        Err(no) => no_page(&form.visit.chrome, &no),
    }
}
