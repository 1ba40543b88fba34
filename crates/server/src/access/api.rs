//! Doors of people and tokens.

use std::sync::Arc;

use axum::http::Method;
use tidegate_api::request::{ListQuery, MakeToken, Nothing};
use tidegate_api::view::{MadeToken, Page, TokenView, WhoAmI};
use tidegate_domain::access::Permission;

use super::service;
use crate::app::App;
use crate::door::{Act, Input, Route, get, post, typed};
use crate::problem::No;

/// The doors.
pub fn routes() -> Vec<Route> {
    vec![
        get("/whoami", Permission::SignedIn, "Say who asks", whoami),
        post("/tokens", Permission::SignedIn, "Make an API token", make),
        get("/tokens", Permission::SignedIn, "List tokens, without their secrets", tokens),
        typed(Method::DELETE, ("/tokens/{id}", Permission::SignedIn, "End a token"), end),
    ]
}

async fn whoami(_: Arc<App>, act: Act, _: Input<Nothing>) -> Result<WhoAmI, No> {
    let person = act.caller.person;
    let roles = person.grants.iter().map(|grant| grant.role).collect();
    Ok(WhoAmI { name: person.name, title: person.title, grants: person.grants, roles })
}

async fn make(app: Arc<App>, act: Act, input: Input<MakeToken>) -> Result<MadeToken, No> {
    service::make_api(&app, &act, &input.body).await
}

async fn tokens(app: Arc<App>, act: Act, input: Input<ListQuery>) -> Result<Page<TokenView>, No> {
    service::tokens(&app, &act.caller, &input.body).await
}

async fn end(app: Arc<App>, act: Act, input: Input<Nothing>) -> Result<Nothing, No> {
    service::end(&app, &act, &input.id("id")?).await?;
    Ok(Nothing {})
}
