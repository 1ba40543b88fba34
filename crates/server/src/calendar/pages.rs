//! Pages of the calendar.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use super::gather::{CalendarQuery, calendar};
use crate::app::App;
use crate::pages::Visit;
use crate::pages::form::Query;
use crate::web::page::calendar as page;

/// The doors.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/calendar", get(all))
}

async fn all(State(app): State<Arc<App>>, visit: Visit, Query(query): Query<CalendarQuery>) -> Response {
    visit.show(calendar(&app, &visit, query).await.map(|view| page::calendar(&visit.chrome, &view)))
}
