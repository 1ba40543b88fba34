//! The page of the settings.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use super::gather;
use crate::app::App;
use crate::pages::Visit;
use crate::web::page::settings::settings;

/// The door.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/settings", get(show))
}

async fn show(State(app): State<Arc<App>>, visit: Visit) -> Response {
    visit.show(gather::page(&app, &visit.caller).await.map(|view| settings(&visit.chrome, &view)))
}
