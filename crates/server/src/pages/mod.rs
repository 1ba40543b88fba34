//! What every page's door shares: who visits, forms with their proof, and answers.

pub mod form;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use maud::Markup;
use tidegate_api::view::EventView;
use tidegate_domain::access::{About, Permission};
use tidegate_domain::event::Stream;
use tidegate_domain::{Code, Refusal};

use crate::access::Caller;
use crate::answer::{Said, is_for_programs};
use crate::app::App;
use crate::door::Act;
use crate::problem::No;
use crate::web::assets;
use crate::web::layout::Chrome;
use crate::web::page::{login, message, reference};
use crate::{access, artifact, audit, calendar, change, deployment, estate, freeze, measure, release, settings, today};

/// Entries of a history on one page.
const HISTORY: u32 = 200;

/// The pages.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .merge(today::pages::router())
        .merge(calendar::pages::router())
        .merge(release::pages::router())
        .merge(change::pages::router())
        .merge(deployment::pages::router())
        .merge(freeze::pages::router())
        .merge(estate::pages::router())
        .merge(artifact::pages::router())
        .merge(audit::pages::router())
        .merge(measure::pages::router())
        .merge(access::pages::router())
        .merge(settings::pages::router())
        .route("/assets/{name}", get(asset))
        .route("/docs/api", get(api_reference))
        .route("/docs/errors/{code}", get(error_page))
        .layer(from_fn(from_here))
}

/// Refuses a form that the browser itself says was sent from elsewhere. The sign-in form has no session to prove, so that this
/// keeps others from signing somebody in as themselves.
async fn from_here(request: Request, next: Next) -> Response {
    let site = request.headers().get("sec-fetch-site").and_then(|site| site.to_str().ok());
    let elsewhere = site.is_some_and(|site| !matches!(site, "same-origin" | "none"));
    if request.method().is_safe() || !elsewhere {
        return next.run(request).await;
    }
    let remedy = "open the page here and send the form from there";
    No::Refused(Refusal::new(Code::CrossSite, "the form was sent from another site", remedy)).into_response()
}

/// Somebody who is signed in and looks at a page.
pub struct Visit {
    /// Who.
    pub caller: Caller,
    /// The frame of their page.
    pub chrome: Chrome,
}

impl FromRequestParts<Arc<App>> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Visit, Response> {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let caller = Caller::of_browser(app, &parts.headers).await.map_err(|no| no_page(&nobody(app, path), &no))?;
        if let Some(caller) = caller {
            Ok(Visit { chrome: chrome(app, &caller, path), caller })
        } else {
            let markup = login::login(&nobody(app, path), &login::Login::Needed);
            Err((StatusCode::UNAUTHORIZED, fresh(markup)).into_response())
        }
    }
}

impl Visit {
    /// What a form of theirs does, for the history.
    pub fn act(&self) -> Act {
        Act {
            caller: self.caller.clone(),
            cause: format!("form on {}", self.chrome.path),
            if_match: None,
            idempotency: None,
            shown: Arc::default(),
        }
    }

    /// The page, or the page of the refusal.
    pub fn show(&self, page: Result<Markup, No>) -> Response {
        match page {
            Ok(markup) => fresh(markup),
            Err(no) => no_page(&self.chrome, &no),
        }
    }
}

fn chrome(app: &App, caller: &Caller, path: &str) -> Chrome {
    let everywhere = caller.person.may(Permission::Read, About::default());
    Chrome {
        person: Some(caller.person.clone()),
        csrf: caller.csrf.clone().unwrap_or_default(),
        path: path.to_owned(),
        now_ms: app.now_ms(),
        zone: app.settings.zone.clone(),
        stream: everywhere.then(|| "/api/v1/stream".to_owned()),
    }
}

/// The frame for somebody who is not signed in.
pub fn nobody(app: &App, path: &str) -> Chrome {
    Chrome {
        person: None,
        csrf: String::new(),
        path: path.to_owned(),
        now_ms: app.now_ms(),
        zone: app.settings.zone.clone(),
        stream: None,
    }
}

/// A page that is never kept by anybody on the way.
pub fn fresh(markup: Markup) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], markup).into_response()
}

/// A refusal as a page.
pub fn no_page(chrome: &Chrome, no: &No) -> Response {
    let problem = no.problem();
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, fresh(message::problem(chrome, &problem))).into_response();
    crate::problem::come_back(&mut response);
    response.extensions_mut().insert(Said(problem.code));
    response
}

/// Whatever has no door: a page for people, a problem for programs.
pub async fn no_such_page(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let no = No::Refused(Refusal::new(Code::NotFound, "there is no such page", "begin at the first page"));
    if is_for_programs(uri.path()) { no.into_response() } else { no_page(&nobody(&app, uri.path()), &no) }
}

/// Back to a page, after a form was carried out.
pub fn back(to: &str) -> Response {
    Redirect::to(to).into_response()
}

/// The history of one thing, newest first.
pub async fn history(app: &App, stream: &Stream) -> Result<Vec<EventView>, No> {
    let head = app.store.stream_version(stream).await?;
    let rows = app.store.events_of(stream, head.saturating_sub(u64::from(HISTORY)), HISTORY).await?;
    Ok(rows.into_iter().rev().map(audit_view).collect())
}

fn audit_view(row: tidegate_store::EventRow) -> EventView {
    audit::api::view(row)
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(asset) = assets::asset(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let caching = if asset.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|etag| etag.as_bytes() == asset.etag.as_bytes());
    let etag = HeaderValue::from_str(&asset.etag).unwrap_or(HeaderValue::from_static("\"\""));
    let kept = [(header::ETAG, etag), (header::CACHE_CONTROL, HeaderValue::from_static(caching))];
    if known {
        return (StatusCode::NOT_MODIFIED, kept).into_response();
    }
    (kept, [(header::CONTENT_TYPE, asset.content_type)], asset.bytes).into_response()
}

/// The page about a code; what `type` of a problem names.
/// The document does not change while the program runs.
static DOCUMENT: LazyLock<serde_json::Value> = LazyLock::new(crate::router::openapi);

async fn api_reference(visit: Visit) -> Response {
    visit.show(Ok(reference::reference(&visit.chrome, &DOCUMENT)))
}

async fn error_page(Path(code): Path<String>) -> Response {
    match crate::web::docs::error(&code) {
        Some(text) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
