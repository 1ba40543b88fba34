//! Doors of signing in and out, of people and of tokens.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query as Plain, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tidegate_api::request::{ListQuery, MakeToken, Nothing};
use tidegate_api::view::TokenView;
use tidegate_domain::access::{About, Permission, Person, TokenPurpose};
use tidegate_domain::{Id, Name};

use super::{COOKIE, good_token, service};
use crate::app::App;
use crate::list;
use crate::pages::form::{Form, Query};
use crate::pages::{Visit, back, fresh, no_page, nobody};
use crate::problem::No;
use crate::web::page::List;
use crate::web::page::login::{Login, login};
use crate::web::page::people::{self, PeoplePage};

/// The doors.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/login", get(show).post(sign_in))
        .route("/logout", post(sign_out))
        .route("/people", get(all))
        .route("/people/{name}/link", post(link))
        .route("/tokens", get(tokens).post(make))
        .route("/tokens/{id}/end", post(end))
}

/// Tokens beside the people; all of them have a page of their own.
const TOKENS_NEWEST: u32 = 20;

async fn all(State(app): State<Arc<App>>, visit: Visit, Query(query): Query<ListQuery>) -> Response {
    visit.show(gathered(&app, &visit, query).await.map(|view| people::people(&visit.chrome, &view)))
}

async fn gathered(app: &App, visit: &Visit, query: ListQuery) -> Result<PeoplePage, No> {
    let people = if visit.caller.person.may(Permission::Administer, About::default()) {
        let query = ListQuery { sort: query.sort.or_else(|| Some("name".into())), ..query };
        let found = list::page::<Person>(app, &visit.caller, &query).await?;
        Some(List { rows: found.rows.into_iter().map(|row| row.value).collect(), next: found.next, query })
    } else {
        None
    };
    let newest = ListQuery { limit: Some(TOKENS_NEWEST), ..ListQuery::default() };
    Ok(PeoplePage { me: visit.caller.person.clone(), people, tokens: listed(app, visit, newest).await? })
}

async fn tokens(State(app): State<Arc<App>>, visit: Visit, Query(query): Query<ListQuery>) -> Response {
    visit.show(listed(&app, &visit, query).await.map(|view| people::tokens(&visit.chrome, &view)))
}

async fn listed(app: &App, visit: &Visit, query: ListQuery) -> Result<List<TokenView>, No> {
    let found = service::tokens(app, &visit.caller, &query).await?;
    Ok(List { rows: found.rows, next: found.next, query })
}

/// The form of a new token, for oneself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    #[serde(default)]
    label: String,
    days: u32,
}

async fn make(State(app): State<Arc<App>>, form: Form<NewToken>) -> Response {
    let NewToken { label, days } = form.value;
    let person = form.visit.caller.person.name.clone();
    let request = MakeToken { person, label: label.clone(), valid_seconds: days.saturating_mul(86_400) };
    match service::make_api(&app, &form.visit.act(), &request).await {
        Ok(token) => fresh(people::made(&form.visit.chrome, &label, &token)),
        Err(no) => no_page(&form.visit.chrome, &no),
    }
}

async fn end(State(app): State<Arc<App>>, Path(id): Path<String>, form: Form<Nothing>) -> Response {
    let ended = async { service::end(&app, &form.visit.act(), &Id::parse(&id)?).await };
    match ended.await {
        Ok(()) => back("/people"),
        Err(no) => no_page(&form.visit.chrome, &no),
    }
}

async fn link(State(app): State<Arc<App>>, Path(name): Path<String>, form: Form<Nothing>) -> Response {
    let made = async {
        let name = Name::parse(&name)?;
        let link = service::link_for(&app, &form.visit.act(), &name).await?;
        Ok((name, link))
    };
    match made.await {
        Ok((name, link)) => fresh(people::linked(&form.visit.chrome, &name, &link)),
        Err(no) => no_page(&form.visit.chrome, &no),
    }
}

/// What a sign-in link carries.
#[derive(Debug, Default, Deserialize)]
struct Link {
    #[serde(default)]
    token: Option<String>,
}

async fn show(State(app): State<Arc<App>>, Plain(link): Plain<Link>) -> Response {
    let chrome = nobody(&app, "/login");
    let Some(token) = link.token else { return fresh(login(&chrome, &Login::Needed)) };
    // Only looked at: a program that follows links must not use it up.
    match good_token(&app, &token).await {
        Ok(Some(found)) => match found.purpose {
            TokenPurpose::Login { person } => fresh(login(&chrome, &Login::Confirm { person, token })),
            _ => fresh(login(&chrome, &Login::Unknown)),
        },
        Ok(None) => fresh(login(&chrome, &Login::Used)),
        Err(no) => no_page(&chrome, &no),
    }
}

/// The link's token is its own proof, so that this form alone needs no other.
async fn sign_in(State(app): State<Arc<App>>, axum::Form(link): axum::Form<Link>) -> Response {
    match service::sign_in(&app, &link.token.unwrap_or_default()).await {
        Ok(made) => ([(header::SET_COOKIE, cookie(&app, &made.secret, SESSION_SECONDS))], back("/")).into_response(),
        Err(no) => no_page(&nobody(&app, "/login"), &no),
    }
}

/// The cookie lives as long as the session at most.
const SESSION_SECONDS: u32 = 14 * 3_600;

async fn sign_out(State(app): State<Arc<App>>, form: Form<Nothing>) -> Response {
    if let Some(id) = form.visit.caller.token.clone()
        && let Err(no) = service::end(&app, &form.visit.act(), &id).await
    {
        return no_page(&form.visit.chrome, &no);
    }
    let page = fresh(login(&nobody(&app, "/login"), &Login::SignedOut));
    ([(header::SET_COOKIE, cookie(&app, "", 0))], page).into_response()
}

fn cookie(app: &App, value: &str, seconds: u32) -> String {
    let secure = if app.settings.public_url.starts_with("https:") { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}")
}
