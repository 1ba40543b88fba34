//! The door of the metrics.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get as on_get;
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
use tidegate_api::request::Nothing;
use tidegate_domain::access::Permission;

use super::{gather, text};
use crate::access::Caller;
use crate::app::App;
use crate::audit::api::everywhere;
use crate::door::{Route, Source, Told, query, raw};
use crate::problem::{Fault, No};

/// The door.
pub fn routes() -> Vec<Route> {
    let metrics = ("/metrics", Permission::Read, "Read what the server counts of itself, in the text form of Prometheus");
    let told = Told::Text("Metrics in the text form of Prometheus, version 0.0.4");
    vec![raw::<Nothing>(Method::GET, metrics, Source::Query, told, on_get(read))]
}

async fn read(State(app): State<Arc<App>>, request: Request) -> Response {
    match told(&app, request).await {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")], text).into_response(),
        Err(no) => no.into_response(),
    }
}

async fn told(app: &App, request: Request) -> Result<String, No> {
    let caller = Caller::of(app, request.headers(), request.method(), Permission::Read).await?;
    query::<Nothing>(request.uri().query().unwrap_or_default())?;
    // They tell about everything there is, so that reading them needs the permission everywhere.
    everywhere(&caller)?;
    let readings = gather::readings(app).await?;
    Ok(text(&app.metrics, &readings).map_err(|error| Fault::new(error.to_string()))?)
}
