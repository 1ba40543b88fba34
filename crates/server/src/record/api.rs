//! The door of records.

use std::sync::Arc;

use tidegate_api::request::RecordDone;
use tidegate_api::view::RecordedView;
use tidegate_domain::access::Permission;

use super::service;
use crate::app::App;
use crate::door::{Act, Input, Route, post};
use crate::problem::No;

/// The door.
pub fn routes() -> Vec<Route> {
    vec![post("/records", Permission::Record, "Record what was carried out elsewhere and is over, all or none", record)]
}

async fn record(app: Arc<App>, act: Act, input: Input<RecordDone>) -> Result<RecordedView, No> {
    service::record(&app, &act, &input.body).await
}
