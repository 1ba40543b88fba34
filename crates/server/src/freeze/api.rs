//! Doors of freezes.

use std::sync::Arc;

use tidegate_api::request::{DeclareFreeze, ListQuery, Nothing, RequestException, RuleException, WithReason};
use tidegate_api::view::{FreezePassages, Page, Versioned};
use tidegate_domain::access::Permission;
use tidegate_domain::calendar::Freeze;

use super::service;
use crate::app::App;
use crate::door::{Act, Input, Route, get, post};
use crate::list::{self, versioned};
use crate::problem::No;

type Answer = Result<Versioned<Freeze>, No>;

/// The doors.
pub fn routes() -> Vec<Route> {
    use Permission::{Deploy, ManageFreeze, Read};
    vec![
        post("/freezes", ManageFreeze, "Declare a freeze", declare),
        get("/freezes", Read, "List freezes", freezes),
        get("/freezes/{id}", Read, "Show a freeze", freeze),
        get("/freezes/{id}/deployments", Read, "List what began while a freeze was in force, and how it could", passages),
        post("/freezes/{id}/lift", ManageFreeze, "End a freeze early", lift),
        post("/freezes/{id}/exceptions", Deploy, "Ask to let one deployment through", request),
        post("/freezes/{id}/exceptions/{exception}/rule", Permission::RuleException, "Decide on an exception", rule),
    ]
}

async fn declare(app: Arc<App>, act: Act, input: Input<DeclareFreeze>) -> Answer {
    Ok(versioned(service::declare(&app, &act, &input.body).await?))
}

async fn freezes(app: Arc<App>, act: Act, input: Input<ListQuery>) -> Result<Page<Versioned<Freeze>>, No> {
    list::page(&app, &act.caller, &input.body).await
}

async fn passages(app: Arc<App>, act: Act, input: Input<Nothing>) -> Result<FreezePassages, No> {
    let found = list::one::<Freeze>(&app, &act.caller, input.id("id")?.as_str()).await?;
    super::passages::of(&app, &act.caller, &found.value).await
}

async fn freeze(app: Arc<App>, act: Act, input: Input<Nothing>) -> Answer {
    Ok(versioned(list::one(&app, &act.caller, input.id("id")?.as_str()).await?))
}

async fn lift(app: Arc<App>, act: Act, input: Input<WithReason>) -> Answer {
    Ok(versioned(service::lift(&app, &act, &input.id("id")?, &input.body.reason).await?))
}

async fn request(app: Arc<App>, act: Act, input: Input<RequestException>) -> Answer {
    Ok(versioned(service::request_exception(&app, &act, &input.id("id")?, &input.body).await?))
}

async fn rule(app: Arc<App>, act: Act, input: Input<RuleException>) -> Answer {
    let (freeze, exception) = (input.id("id")?, input.id("exception")?);
    Ok(versioned(service::rule(&app, &act, (&freeze, &exception), &input.body).await?))
}
