//! Doors of artifacts.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use axum::routing::post as on_post;
use tidegate_api::request::{ListQuery, UploadArtifact};
use tidegate_api::view::{Page, Versioned};
use tidegate_domain::access::Permission;
use tidegate_domain::deployment::artifact::Artifact;

use super::service;
use crate::app::App;
use crate::door::{Act, Input, Route, Source, form_of, get, raw};
use crate::list::versioned;
use crate::problem::No;

/// The doors.
pub fn routes() -> Vec<Route> {
    let upload_of = ("/artifacts", Permission::UploadArtifact, "Take bytes into the media library");
    vec![
        raw::<UploadArtifact>(Method::POST, upload_of, Source::Bytes, form_of::<Versioned<Artifact>>(), on_post(upload)),
        get("/artifacts", Permission::Read, "List artifacts", artifacts),
    ]
}

async fn artifacts(app: Arc<App>, act: Act, input: Input<ListQuery>) -> Result<Page<Versioned<Artifact>>, No> {
    service::seen(&app, &act.caller, &input.body).await
}

async fn upload(State(app): State<Arc<App>>, request: Request) -> Response {
    match service::take(&app, request).await {
        Ok(stored) => axum::Json(versioned(stored)).into_response(),
        Err(no) => no.into_response(),
    }
}
