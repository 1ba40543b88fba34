//! What is seen of every request from outside: one line in the log and its counts. Never a token, a cookie, a body or a query, all
//! of which can hold secrets, and never a raw path, of which there are as many as anybody likes to make up.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;
use tidegate_domain::event::Actor;
use tidegate_domain::ids;

use crate::answer::Said;
use crate::app::App;

tokio::task_local! {
    /// Who asks, as soon as somebody on the way of the request has found it out.
    static ASKER: OnceLock<String>;
}

/// Notes who asks, for the log; of several the first stays.
pub fn asked_by(actor: &Actor) {
    // What runs outside a request has nobody who asks.
    let _ = ASKER.try_with(|asker| drop(asker.set(actor.to_string())));
}

/// Whether it is known by now who asks.
pub fn is_known() -> bool {
    ASKER.try_with(|asker| asker.get().is_some()).unwrap_or(false)
}

/// What is told of a request.
struct Seen {
    method: &'static str,
    route: String,
    request: String,
}

/// Watches a request to the head of its answer, counts it and says a line about it.
pub async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let seen = Seen {
        method: method(request.method()),
        route: request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned(),
        request: id(request.headers()),
    };
    let began = Instant::now();
    let (response, asker) = ASKER
        .scope(OnceLock::new(), async {
            let response = next.run(request).await;
            (response, ASKER.with(|asker| asker.get().cloned()))
        })
        .await;
    let (took, code) = (began.elapsed(), response.extensions().get::<Said>().map(|said| said.0.as_str()));
    app.metrics.answered((seen.method, &seen.route), response.status().as_u16(), took, code);
    tell(&seen, response.status().as_u16(), took, (asker.as_deref(), code));
    response
}

/// The methods that doors take; there may be any number of others.
fn method(method: &Method) -> &'static str {
    let known =
        [("GET", Method::GET), ("POST", Method::POST), ("PUT", Method::PUT), ("DELETE", Method::DELETE), ("HEAD", Method::HEAD)];
    known.into_iter().find(|(_, known)| known == method).map_or("other", |(name, _)| name)
}

fn id(headers: &HeaderMap) -> String {
    headers.get("x-request-id").and_then(|value| value.to_str().ok()).map(ids::clip).unwrap_or_default()
}

/// One line: a fault of ours loudly, what comes by itself every few seconds only to whoever asks for `debug`.
fn tell(seen: &Seen, status: u16, took: Duration, (asker, code): (Option<&str>, Option<&str>)) {
    let Seen { method, route, request } = seen;
    let (ms, actor, code) = (took.as_millis() as u64, asker.unwrap_or("nobody"), code.unwrap_or("none"));
    if status >= 500 {
        tracing::warn!(method, route, status, ms, actor, code, request, "request");
    } else if status < 400 && is_routine(route) {
        tracing::debug!(method, route, status, ms, actor, code, request, "request");
    } else {
        tracing::info!(method, route, status, ms, actor, code, request, "request");
    }
}

fn is_routine(route: &str) -> bool {
    use tidegate_api::agent::{LOG, POLL};
    [POLL, LOG, "/healthz", "/readyz", "/assets/{name}", "/api/v1/metrics"].contains(&route)
}
