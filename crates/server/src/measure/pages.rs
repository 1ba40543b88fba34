//! The page of figures.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use tidegate_domain::estate::{Application, Environment};
use tidegate_domain::{Code, Millis, Name, Refusal};
use tidegate_store::{Filter, Order, PageRequest, Record};

use super::service::{self, DAY_MS, DAYS, Period};
use crate::app::App;
use crate::list;
use crate::pages::Visit;
use crate::pages::form::Query;
use crate::problem::No;
use crate::web::page::insights::{self, Asked, Insights};

/// Names that one choice offers.
const CHOICES_MAX: u32 = 1_000;

/// The door.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/insights", get(show))
}

/// The query of the page: days, the last one included.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct InsightsQuery {
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    until: Option<String>,
    #[serde(default)]
    application: Option<Name>,
    #[serde(default)]
    environment: Option<Name>,
}

async fn show(State(app): State<Arc<App>>, visit: Visit, Query(query): Query<InsightsQuery>) -> Response {
    let view = gathered(&app, &visit, query).await;
    visit.show(view.map(|view| insights::insights(&visit.chrome, &view)))
}

async fn gathered(app: &App, visit: &Visit, query: InsightsQuery) -> Result<Insights, No> {
    let asked = asked(query, app.now_ms(), &app.settings.zone)?;
    let environments = service::places(app, asked.application.as_ref(), asked.environment.iter().cloned().collect()).await?;
    let period =
        Period { from_ms: asked.from_ms, until_ms: asked.until_ms, application: asked.application.clone(), environments };
    // Figures of places that the visitor may not see would tell of them.
    let dora = service::over(app, service::seen_by(period, &visit.caller.person)).await?;
    let names = |found: Vec<(Name, bool)>| found.into_iter().filter(|(_, seen)| *seen).map(|(name, _)| name).collect();
    let applications = all::<Application>(app).await?.into_iter();
    let person = &visit.caller.person;
    let applications = names(applications.map(|it| (it.name.clone(), list::may_see(person, &it))).collect());
    let environments = all::<Environment>(app).await?.into_iter();
    let environments = names(environments.map(|it| (it.name.clone(), list::may_see(person, &it))).collect());
    Ok(Insights { dora, asked, applications, environments })
}

async fn all<T: Record>(app: &App) -> Result<Vec<T>, No> {
    let request = PageRequest { order: Order::ByName, after: None, limit: CHOICES_MAX };
    Ok(app.store.list::<T>(&Filter::default(), &request).await?.rows.into_iter().map(|row| row.value).collect())
}

fn asked(query: InsightsQuery, now_ms: Millis, zone: &str) -> Result<Asked, Refusal> {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let until_ms =
        query.until.map(|text| start_ms("until", &text, 1, &zone)).transpose()?.unwrap_or_else(|| service::open_end_ms(now_ms));
    let from_ms = query.from.map(|text| start_ms("from", &text, 0, &zone)).transpose()?.unwrap_or(until_ms - DAYS * DAY_MS);
    if from_ms >= until_ms {
        let what = "the period ends before it begins";
        return Err(Refusal::new(Code::OutOfRange, what, "choose a last day that is not before the first").at("until"));
    }
    Ok(Asked { from_ms, until_ms, application: query.application, environment: query.environment })
}

/// The midnight at which a day begins, some days later.
fn start_ms(field: &str, text: &str, later: i64, zone: &TimeZone) -> Result<Millis, Refusal> {
    let good = text.parse::<Date>().ok().filter(|date| (1970..=9_000).contains(&date.year()));
    let start = good.and_then(|date| date.saturating_add(later.days()).to_zoned(zone.clone()).ok());
    start.map(|zoned| zoned.timestamp().as_millisecond()).ok_or_else(|| {
        let what = format!("\"{}\" is not a day", tidegate_domain::ids::clip(text));
        Refusal::new(Code::Malformed, what, "use a date such as 2026-11-26").at(field)
    })
}
