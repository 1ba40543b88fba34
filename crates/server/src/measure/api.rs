//! Doors of figures.

use std::sync::Arc;

use tidegate_api::request::MeasureQuery;
use tidegate_domain::access::{About, Permission};
use tidegate_domain::measure::dora::Dora;
use tidegate_domain::{Code, Name, Refusal};

use super::service::{self, DAY_MS, DAYS, Period};
use crate::app::App;
use crate::bounds;
use crate::door::{Act, Input, Route, get};
use crate::problem::No;

/// The doors.
pub fn routes() -> Vec<Route> {
    vec![get(
        "/measure/dora",
        Permission::Read,
        "The five DORA figures, of production over the last 90 days unless said",
        figures,
    )]
}

async fn figures(app: Arc<App>, act: Act, input: Input<MeasureQuery>) -> Result<Dora, No> {
    let mut period = period(&input.body, app.now_ms())?;
    // Whoever is trusted with one application or one environment may have the figures of that one.
    if period.environments.is_empty() {
        act.caller.require(Permission::Read, About { application: period.application.as_ref(), environment: None })?;
    }
    for environment in &period.environments {
        let about = About { application: period.application.as_ref(), environment: Some(environment) };
        act.caller.require(Permission::Read, about)?;
    }
    period.environments = service::places(&app, period.application.as_ref(), period.environments).await?;
    service::over(&app, period).await
}

/// The period that a query asks for.
pub fn period(query: &MeasureQuery, now_ms: tidegate_domain::Millis) -> Result<Period, Refusal> {
    let until_ms = query.until_ms.unwrap_or_else(|| service::open_end_ms(now_ms));
    bounds::instant("until_ms", until_ms)?;
    let from_ms = query.from_ms.unwrap_or(until_ms - DAYS * DAY_MS);
    bounds::instant("from_ms", from_ms)?;
    if from_ms >= until_ms {
        let what = "the period ends before it begins";
        return Err(Refusal::new(Code::OutOfRange, what, "give an end after the beginning").at("until_ms"));
    }
    let environments = query.environment.as_deref().unwrap_or_default().split(',').filter(|name| !name.is_empty());
    let environments =
        environments.map(Name::parse).collect::<Result<Vec<_>, _>>().map_err(|refusal| refusal.at("environment"))?;
    bounds::at_most("environment", environments.len(), bounds::PLACES_MAX)?;
    Ok(Period { from_ms, until_ms, application: query.application.clone(), environments })
}
