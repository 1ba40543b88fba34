//! Doors of figures.

use std::sync::Arc;

use tidegate_api::request::Nothing;
use tidegate_domain::access::{About, Permission};
use tidegate_domain::measure::dora::Dora;

use crate::app::App;
use crate::door::{Act, Input, Route, get};
use crate::problem::No;

/// The doors.
pub fn routes() -> Vec<Route> {
    vec![get("/measure/dora", Permission::Read, "The five DORA figures of production over the last 90 days", figures)]
}

async fn figures(app: Arc<App>, act: Act, _: Input<Nothing>) -> Result<Dora, No> {
    act.caller.require(Permission::Read, About::default())?;
    super::service::of(&app).await
}
