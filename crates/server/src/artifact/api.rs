//! Doors of artifacts.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use axum::routing::post as on_post;
use tidegate_api::request::{ListQuery, UploadArtifact};
use tidegate_api::view::{Page, Versioned};
use tidegate_domain::Name;
use tidegate_domain::access::Permission;
use tidegate_domain::deployment::artifact::Artifact;
use tidegate_domain::estate::Component;

use super::service;
use crate::app::App;
use crate::door::{Act, Input, Route, Source, form_of, get, raw};
use crate::list::{self, versioned};
use crate::problem::No;

/// The doors.
pub fn routes() -> Vec<Route> {
    let upload_of = ("/artifacts", Permission::UploadArtifact, "Take bytes into the media library");
    vec![
        raw::<UploadArtifact>(Method::POST, upload_of, Source::Bytes, form_of::<Versioned<Artifact>>(), on_post(upload)),
        get("/artifacts", Permission::Read, "List artifacts", artifacts),
    ]
}

/// An artifact is seen by whoever may see its component.
async fn artifacts(app: Arc<App>, act: Act, input: Input<ListQuery>) -> Result<Page<Versioned<Artifact>>, No> {
    let mut page = list::unseen::<Artifact>(&app, &input.body).await?;
    let names: BTreeSet<String> = page.rows.iter().map(|row| row.value.component.to_string()).collect();
    let found = app.store.load_many::<Component>(&names.into_iter().collect::<Vec<_>>()).await?;
    let seen = found.into_iter().map(|row| row.value).filter(|component| list::may_see(&act.caller.person, component));
    let seen: BTreeSet<Name> = seen.map(|component| component.name).collect();
    page.rows.retain(|row| seen.contains(&row.value.component));
    Ok(page)
}

async fn upload(State(app): State<Arc<App>>, request: Request) -> Response {
    match service::take(&app, request).await {
        Ok(stored) => axum::Json(versioned(stored)).into_response(),
        Err(no) => no.into_response(),
    }
}
