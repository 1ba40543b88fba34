//! Pages of artifacts.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use tidegate_api::request::ListQuery;

use super::service;
use crate::app::App;
use crate::pages::Visit;
use crate::pages::form::Query;
use crate::web::page::List;
use crate::web::page::artifacts::artifacts;

/// The doors.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/artifacts", get(all))
}

async fn all(State(app): State<Arc<App>>, visit: Visit, Query(query): Query<ListQuery>) -> Response {
    let found = service::seen(&app, &visit.caller, &query).await;
    visit.show(found.map(|page| {
        let rows = page.rows.into_iter().map(|row| row.value).collect();
        artifacts(&visit.chrome, &List { rows, next: page.next, query })
    }))
}
