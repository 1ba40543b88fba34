//! Gathers what a span of the calendar shows, as far as the visitor may see it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::Deserialize;
use tidegate_domain::access::{About, Permission};
use tidegate_domain::calendar::Freeze;
use tidegate_domain::change::Change;
use tidegate_domain::deployment::rollout::Deployment;
use tidegate_domain::release::Release;
use tidegate_domain::{Code, Millis, Name, Refusal, limits};
use tidegate_store::{Filter, Order, PageRequest, Tick};

use crate::app::App;
use crate::deployment::view;
use crate::list;
use crate::pages::Visit;
use crate::problem::No;
use crate::web::page::ReleaseLink;
use crate::web::page::calendar::{Asked, Calendar, Dated, Day, Panel, Span};

/// Releases and freezes that one span shows; more are found by their lists.
const SHOWN_MAX: u32 = 500;
/// Deployments and changes of one day that its panel lists.
const LISTED_MAX: u32 = 100;
/// How long after it is to be ready a release may still have milestones that a calendar finds.
const AFTER_READY_MS: Millis = 92 * 86_400_000;
/// The step in which days are counted, from the midnight at which the span begins: no step reaches over another midnight where
/// clocks are set by whole hours. Where they are set by half an hour, twice a year, half an hour is counted with the day before.
const STEP_MS: Millis = 3_600_000;

/// The query of the calendar.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarQuery {
    /// `month` unless said, or `quarter`.
    #[serde(default)]
    view: String,
    /// A day of the span that is shown; today unless said.
    #[serde(default)]
    at: String,
    /// The day whose panel is open.
    #[serde(default)]
    day: String,
    /// Only of this application.
    #[serde(default)]
    application: String,
    /// Only in this environment.
    #[serde(default)]
    environment: String,
}

/// What a span of the calendar shows.
pub async fn calendar(app: &App, visit: &Visit, query: CalendarQuery) -> Result<Calendar, No> {
    let zone = TimeZone::get(&app.settings.zone).unwrap_or(TimeZone::UTC);
    let today = date_of(app.now_ms(), &zone);
    let at = if query.at.is_empty() { today } else { date("at", &query.at)? };
    let open = if query.day.is_empty() { None } else { Some(date("day", &query.day)?) };
    let span = if query.view == "quarter" { Span::Quarter } else { Span::Month };
    let asked = Asked { span, at, open, application: named(&query.application)?, environment: named(&query.environment)? };
    let (first, after) = asked.ends();
    let filter = filter(&asked, (start_ms(first, &zone), start_ms(after, &zone)));
    let mut days: BTreeMap<Date, Day> = BTreeMap::new();
    if let Some(ticks) = counted::<Deployment>(app, countable::<Deployment>(visit, &asked, &filter)).await? {
        for tick in ticks.iter() {
            *days.entry(date_of(tick.at_ms, &zone)).or_default().deployments.entry(tick.state.clone()).or_insert(0) += tick.count;
        }
    } else {
        for deployment in listed::<Deployment>(app, visit, &filter).await? {
            let at_ms = deployment.started_at_ms.or(deployment.not_before_ms).unwrap_or(deployment.created_at_ms);
            *days.entry(date_of(at_ms, &zone)).or_default().deployments.entry(deployment.state.as_str().into()).or_insert(0) += 1;
        }
    }
    if let Some(ticks) = counted::<Change>(app, countable::<Change>(visit, &asked, &filter)).await? {
        for tick in ticks.iter() {
            days.entry(date_of(tick.at_ms, &zone)).or_default().changes += tick.count;
        }
    } else {
        for change in listed::<Change>(app, visit, &filter).await? {
            days.entry(date_of(change.created_at_ms, &zone)).or_default().changes += 1;
        }
    }
    for release in listed::<Release>(app, visit, &Filter { environments: vec![], ..filter.clone() }).await? {
        let at_ms = release.ready_by_ms.unwrap_or(release.created_at_ms);
        days.entry(date_of(at_ms, &zone)).or_default().releases.push(release);
    }
    milestones(app, visit, &asked, (start_ms(first, &zone), start_ms(after, &zone)), |at_ms, dated| {
        days.entry(date_of(at_ms, &zone)).or_default().milestones.push(dated);
    })
    .await?;
    let panel = match open {
        Some(day) => Some(panel(app, visit, (&asked, day), &zone).await?),
        None => None,
    };
    let freezes = freezes(app, visit, &asked, (start_ms(first, &zone), start_ms(after, &zone))).await?;
    mark_frozen(&mut days, &freezes, (first, after), &zone);
    Ok(Calendar { asked, today, days, freezes, panel, zone: app.settings.zone.clone() })
}

/// The milestones in a span. A release's milestones are taken to lie before the day by which it is to be ready, or the last of
/// them to lie no more than a quarter after it.
async fn milestones(
    app: &App,
    visit: &Visit,
    asked: &Asked,
    (from_ms, until_ms): (Millis, Millis),
    mut found: impl FnMut(Millis, Dated),
) -> Result<(), No> {
    let filter = Filter {
        applications: asked.application.iter().cloned().collect(),
        from_ms: Some(from_ms - AFTER_READY_MS),
        ..Filter::default()
    };
    for release in listed::<Release>(app, visit, &filter).await? {
        let link = ReleaseLink { id: release.id, application: release.application, version: release.version };
        for milestone in release.milestones.into_iter().filter(|it| (from_ms..until_ms).contains(&it.at_ms)) {
            found(milestone.at_ms, Dated { release: link.clone(), milestone });
        }
    }
    Ok(())
}

fn filter(asked: &Asked, (from_ms, until_ms): (Millis, Millis)) -> Filter {
    Filter {
        applications: asked.application.iter().cloned().collect(),
        environments: asked.environment.iter().cloned().collect(),
        from_ms: Some(from_ms),
        until_ms: Some(until_ms),
        ..Filter::default()
    }
}

/// Whether counting in the database tells the visitor nothing that they may not see.
fn sees_all(visit: &Visit, asked: &Asked) -> bool {
    let about = About { application: asked.application.as_ref(), environment: asked.environment.as_ref() };
    visit.caller.person.may(Permission::Read, about)
}

/// What the database may count for a visitor.
enum Countable {
    /// What this lets through.
    Of(Box<Filter>),
    /// They see none of it.
    Nothing,
    /// It cannot tell what they see.
    Not,
}

/// What the database may count for the visitor: what they see all of, or what it can leave the rest out of. Else they are told
/// only what they are shown.
fn countable<T: list::Seen>(visit: &Visit, asked: &Asked, filter: &Filter) -> Countable {
    if sees_all(visit, asked) {
        return Countable::Of(Box::new(filter.clone()));
    }
    match list::narrowed::<T>(&visit.caller.person, filter.clone()) {
        Some(narrowed) if narrowed == *filter => Countable::Not,
        Some(narrowed) => Countable::Of(Box::new(narrowed)),
        None => Countable::Nothing,
    }
}

/// The counts, if the database may count.
async fn counted<T: list::Seen>(app: &App, countable: Countable) -> Result<Option<Arc<Vec<Tick>>>, No> {
    match countable {
        Countable::Of(filter) => app.ticks.of::<T>(app, &filter, STEP_MS).await.map(Some),
        Countable::Nothing => Ok(Some(Arc::default())),
        Countable::Not => Ok(None),
    }
}

async fn listed<T: list::Seen>(app: &App, visit: &Visit, filter: &Filter) -> Result<Vec<T>, No> {
    let Some(filter) = &list::narrowed::<T>(&visit.caller.person, filter.clone()) else { return Ok(Vec::new()) };
    let request = PageRequest { order: Order::OldestFirst, after: None, limit: SHOWN_MAX };
    let found = app.store.list::<T>(filter, &request).await?.rows;
    Ok(found.into_iter().map(|row| row.value).filter(|it| list::may_see(&visit.caller.person, it)).collect())
}

async fn freezes(app: &App, visit: &Visit, asked: &Asked, (from_ms, until_ms): (Millis, Millis)) -> Result<Vec<Freeze>, No> {
    // Freezes stand in their list by their end: what ends after the span begins may reach into it.
    let filter = Filter { states: vec!["declared".into()], from_ms: Some(from_ms), ..Filter::default() };
    let names = |of: &[Name], wanted: Option<&Name>| of.is_empty() || wanted.is_none_or(|name| of.contains(name));
    let mut found = listed::<Freeze>(app, visit, &filter).await?;
    found.retain(|it| it.from_ms < until_ms && names(&it.applications, asked.application.as_ref()));
    found.retain(|it| names(&it.environments, asked.environment.as_ref()));
    found.sort_by_key(|freeze| freeze.from_ms);
    Ok(found)
}

fn mark_frozen(days: &mut BTreeMap<Date, Day>, freezes: &[Freeze], (first, after): (Date, Date), zone: &TimeZone) {
    for (index, freeze) in freezes.iter().enumerate() {
        let mut day = date_of(freeze.from_ms, zone).max(first);
        let last = date_of(freeze.until_ms - 1, zone);
        while day <= last && day < after {
            days.entry(day).or_default().freezes.push(index);
            let Ok(next) = day.tomorrow() else { break };
            day = next;
        }
    }
}

async fn panel(app: &App, visit: &Visit, (asked, day): (&Asked, Date), zone: &TimeZone) -> Result<Panel, No> {
    let ends = (start_ms(day, zone), start_ms(day.saturating_add(1.day()), zone));
    let filter = filter(asked, ends);
    let request = PageRequest { order: Order::OldestFirst, after: None, limit: LISTED_MAX };
    let person = &visit.caller.person;
    let deployments = app.store.list::<Deployment>(&filter, &request).await?;
    let changes = app.store.list::<Change>(&filter, &request).await?;
    let more = deployments.next.is_some() || changes.next.is_some();
    let seen = deployments.rows.into_iter().map(|row| row.value).filter(|it| list::may_see(person, it));
    Ok(Panel {
        day,
        deployments: seen.map(|it| view::without_reasons(&it)).collect(),
        changes: changes.rows.into_iter().map(|row| row.value).filter(|it| list::may_see(person, it)).collect(),
        more,
    })
}

fn named(text: &str) -> Result<Option<Name>, Refusal> {
    if text.is_empty() { Ok(None) } else { Name::parse(text).map(Some) }
}

fn date(field: &str, text: &str) -> Result<Date, Refusal> {
    let good = text.parse::<Date>().ok().filter(|date| (1970..=9_000).contains(&date.year()));
    good.ok_or_else(|| {
        let what = format!("\"{}\" is not a day", tidegate_domain::ids::clip(text));
        Refusal::new(Code::Malformed, what, "use a date such as 2026-11-26").at(field)
    })
}

fn date_of(at_ms: Millis, zone: &TimeZone) -> Date {
    Timestamp::from_millisecond(at_ms).map_or(Date::ZERO, |at| zone.to_datetime(at).date())
}

fn start_ms(date: Date, zone: &TimeZone) -> Millis {
    zone.to_ambiguous_zoned(date.to_datetime(jiff::civil::Time::midnight()))
        .compatible()
        .map_or(0, |zoned| zoned.timestamp().as_millisecond())
}

const _: () = assert!(LISTED_MAX <= limits::PAGE_ROWS_MAX);
