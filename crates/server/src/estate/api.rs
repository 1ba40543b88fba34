//! Doors of definitions and targets.

use std::sync::Arc;

use tidegate_api::definition::NamedStrategy;
use tidegate_api::request::{ApplyDefinitions, ListQuery, Nothing};
use tidegate_api::view::{AppliedDefinitions, Enrolment, Page, TargetView, Versioned};
use tidegate_domain::access::{About, Permission, Person};
use tidegate_domain::estate::{Application, Component, Environment, TargetRecord};

use super::programs::Programs;
use super::service::{self, Mode};
use crate::app::App;
use crate::door::{Act, Input, Route, get, post};
use crate::list;
use crate::problem::No;

/// The doors.
pub fn routes() -> Vec<Route> {
    use Permission::{Administer, DefineEstate, Enrol, Read};
    vec![
        post("/definitions", DefineEstate, "Define things, all or none", apply),
        post("/definitions/validate", DefineEstate, "Look at definitions without storing them", validate),
        get("/applications", Read, "List applications", all::<Application>),
        get("/components", Read, "List components", all::<Component>),
        get("/environments", Read, "List environments, on the way to production", all::<Environment>),
        get("/strategies", Read, "List named strategies", all::<NamedStrategy>),
        get("/people", Administer, "List people", people),
        get("/targets", Read, "List targets", targets),
        get("/targets/{name}", Read, "Show a target", target),
        post("/targets/{name}/enrolment", Enrol, "Make a one-time token for the agent of a target", enrol),
    ]
}

async fn apply(app: Arc<App>, act: Act, input: Input<ApplyDefinitions>) -> Result<AppliedDefinitions, No> {
    service::apply(&app, &act, &input.body.definitions, Mode::Store).await
}

async fn validate(app: Arc<App>, act: Act, input: Input<ApplyDefinitions>) -> Result<AppliedDefinitions, No> {
    service::apply(&app, &act, &input.body.definitions, Mode::Look).await
}

/// Who may do what is told to those who decide on it everywhere.
async fn people(app: Arc<App>, act: Act, input: Input<ListQuery>) -> Result<Page<Versioned<Person>>, No> {
    act.caller.require(Permission::Administer, About::default())?;
    list::page(&app, &act.caller, &input.body).await
}

async fn all<T: list::Seen>(app: Arc<App>, act: Act, input: Input<ListQuery>) -> Result<Page<Versioned<T>>, No> {
    list::page::<T>(&app, &act.caller, &input.body).await
}

async fn targets(app: Arc<App>, act: Act, input: Input<ListQuery>) -> Result<Page<TargetView>, No> {
    let page = list::page::<TargetRecord>(&app, &act.caller, &input.body).await?;
    let mut programs = Programs::of(&app, &act.caller.person);
    let mut rows = Vec::new();
    for row in &page.rows {
        rows.push(service::view(&app, &mut programs, &row.value).await?);
    }
    Ok(Page { rows, next: page.next })
}

async fn target(app: Arc<App>, act: Act, input: Input<Nothing>) -> Result<TargetView, No> {
    let found = list::one::<TargetRecord>(&app, &act.caller, input.name("name")?.as_str()).await?;
    service::view(&app, &mut Programs::of(&app, &act.caller.person), &found.value).await
}

async fn enrol(app: Arc<App>, act: Act, input: Input<Nothing>) -> Result<Enrolment, No> {
    service::enrolment(&app, &act, &input.name("name")?).await
}
