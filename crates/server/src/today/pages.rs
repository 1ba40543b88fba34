//! The home page.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use super::gather;
use crate::app::App;
use crate::pages::Visit;
use crate::web::page::today;

/// The door.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/", get(show))
}

async fn show(State(app): State<Arc<App>>, visit: Visit) -> Response {
    let page = gather::today(&app, &visit).await;
    visit.show(page.map(|view| today::today(&visit.chrome, &view)))
}
