//! Doors of signing in and out.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tidegate_api::request::Nothing;
use tidegate_domain::access::TokenPurpose;

use super::{COOKIE, good_token, service};
use crate::app::App;
use crate::pages::form::Form;
use crate::pages::{back, fresh, no_page, nobody};
use crate::web::page::login::{Login, login};

/// The doors.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/login", get(show).post(sign_in)).route("/logout", post(sign_out))
}

/// What a sign-in link carries.
#[derive(Debug, Default, Deserialize)]
struct Link {
    #[serde(default)]
    token: Option<String>,
}

async fn show(State(app): State<Arc<App>>, Query(link): Query<Link>) -> Response {
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
