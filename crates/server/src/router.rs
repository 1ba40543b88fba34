//! The table of contents: every door there is.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tidegate_domain::{Code, Refusal};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

use crate::app::App;
use crate::door::Route;
use crate::problem::No;
use crate::{
    access, agent, answer, artifact, audit, change, deployment, estate, freeze, measure, metrics, observe, overload, pages,
    rates, record, release,
};

/// Longest time a request may take; long polls and streams end before it by themselves or send as they go.
const REQUEST_SECONDS: u64 = 600;

/// Every door of `/api/v1`.
pub fn routes() -> Vec<Route> {
    [
        estate::api::routes(),
        artifact::api::routes(),
        change::api::routes(),
        release::api::routes(),
        freeze::api::routes(),
        deployment::api::routes(),
        audit::api::routes(),
        measure::api::routes(),
        record::api::routes(),
        metrics::api::routes(),
        access::api::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The `OpenAPI` document.
pub fn openapi() -> serde_json::Value {
    crate::openapi::document(&routes())
}

/// Everything the server answers.
pub fn router(app: Arc<App>) -> Router {
    let mut api = Router::new();
    for route in routes() {
        api = api.route(route.path, route.handler);
    }
    let api = api.fallback(no_such_address).method_not_allowed_fallback(no_such_method);
    let compress = SizeAbove::new(1_024).and(NotForContentType::new("text/event-stream"));
    Router::new()
        .nest("/api/v1", api)
        .route("/api/openapi.json", get(document))
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .merge(agent::api::router())
        .merge(pages::router())
        .fallback(pages::no_such_page)
        .layer(from_fn_with_state(app.clone(), overload::bound))
        .layer(from_fn_with_state(app.clone(), rates::bound))
        .with_state(app.clone())
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(REQUEST_SECONDS)))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(answer::complete))
        .layer(CompressionLayer::new().compress_when(compress))
        .layer(set(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(set(header::X_FRAME_OPTIONS, "DENY"))
        .layer(set(header::REFERRER_POLICY, "same-origin"))
        .layer(set(header::CONTENT_SECURITY_POLICY, POLICY))
        .layer(from_fn_with_state(app, observe::observe))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
}

/// What pages may load and do: only what this server gives them, and no script or style written into a page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

fn set(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

async fn document() -> Response {
    axum::Json(openapi()).into_response()
}

async fn healthy() -> &'static str {
    "healthy\n"
}

/// Ready means that the database answers and that the server is not about to end.
async fn ready(State(app): State<Arc<App>>) -> Result<&'static str, No> {
    if app.ending.is_cancelled() {
        return Err(
            Refusal::new(Code::Overloaded, "the server is about to end", "ask another one, or this one after its start").into()
        );
    }
    match app.store.head().await {
        Ok(_) => Ok("ready\n"),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            Err(Refusal::new(Code::Overloaded, "the database does not answer", "wait, or look at the server's log").into())
        }
    }
}

async fn no_such_address() -> No {
    Refusal::new(Code::NotFound, "there is no such address", "see /api/openapi.json").into()
}

async fn no_such_method() -> Response {
    let refusal = Refusal::new(Code::NotFound, "this address does not take that method", "see /api/openapi.json");
    let problem = tidegate_api::Problem { status: 405, ..tidegate_api::Problem::of(&refusal) };
    crate::problem::response(&problem)
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    crate::problem::Fault::new("a handler panicked").into_no().into_response()
}
