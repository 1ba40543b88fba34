//! Pages.

use std::sync::Arc;

use axum::Router;

use crate::app::App;

/// The pages.
pub fn router() -> Router<Arc<App>> {
    Router::new()
}
