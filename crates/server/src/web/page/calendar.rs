//! The calendar: a month or a quarter, and the panel of a day.

use std::collections::BTreeMap;

use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};
use maud::{Markup, html};
use tidegate_api::view::DeploymentView;
use tidegate_domain::Name;
use tidegate_domain::calendar::Freeze;
use tidegate_domain::change::Change;
use tidegate_domain::release::{Milestone, Release};

use super::{ReleaseLink, changes, deployments};
use crate::web::bar::{counted, number};
use crate::web::layout::{Chrome, Section, live, page, section};
use crate::web::state::{self, Look, Tone, glyph};
use crate::web::table::{empty, percent};

/// How much of time is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The weeks of one month.
    Month,
    /// Three months beside each other.
    Quarter,
}

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// How much.
    pub span: Span,
    /// A day of it.
    pub at: Date,
    /// The day whose panel is open.
    pub open: Option<Date>,
    /// Only of this application.
    pub application: Option<Name>,
    /// Only in this environment.
    pub environment: Option<Name>,
}

/// A day.
#[derive(Debug, Clone, Default)]
pub struct Day {
    /// How many deployments began or are to begin, by state.
    pub deployments: BTreeMap<String, u64>,
    /// How many changes were written.
    pub changes: u64,
    /// Releases that are to be ready, or were written without such a day.
    pub releases: Vec<Release>,
    /// Dated points of releases.
    pub milestones: Vec<Dated>,
    /// The freezes that touch it, by their place in the calendar's list.
    pub freezes: Vec<usize>,
}

/// A dated point of a release.
#[derive(Debug, Clone)]
pub struct Dated {
    /// The release.
    pub release: ReleaseLink,
    /// The point.
    pub milestone: Milestone,
}

/// A day in full.
#[derive(Debug, Clone)]
pub struct Panel {
    /// Which one.
    pub day: Date,
    /// Its deployments, earliest first.
    pub deployments: Vec<DeploymentView>,
    /// The changes that were written on it.
    pub changes: Vec<Change>,
    /// Whether there are more than are listed.
    pub more: bool,
}

/// What the page shows.
#[derive(Debug, Clone)]
pub struct Calendar {
    /// What was asked for.
    pub asked: Asked,
    /// Today, in the zone of the page.
    pub today: Date,
    /// The days on which anything is.
    pub days: BTreeMap<Date, Day>,
    /// Freezes that touch the span, earliest first.
    pub freezes: Vec<Freeze>,
    /// The open day.
    pub panel: Option<Panel>,
    /// The zone of all days.
    pub zone: String,
}

impl Asked {
    /// The first day of the first month, and the one after the last; grown to whole weeks for a month.
    pub fn ends(&self) -> (Date, Date) {
        let (first, after) = self.months();
        match self.span {
            Span::Month => (monday(first), monday(after.saturating_sub(1.day())).saturating_add(7.days())),
            Span::Quarter => (first, after),
        }
    }

    fn months(&self) -> (Date, Date) {
        let first = self.at.first_of_month();
        match self.span {
            Span::Month => (first, first.saturating_add(1.month())),
            Span::Quarter => {
                let first = first.saturating_sub((i64::from(first.month() - 1) % 3).months());
                (first, first.saturating_add(3.months()))
            }
        }
    }

    fn link(&self, at: Date, span: Span, open: Option<Date>) -> String {
        let word = match span {
            Span::Month => "month",
            Span::Quarter => "quarter",
        };
        let mut link = format!("/calendar?view={word}&at={at}");
        for (name, value) in [("application", &self.application), ("environment", &self.environment)] {
            if let Some(value) = value {
                link.push_str(&format!("&{name}={}", percent(value.as_str())));
            }
        }
        if let Some(day) = open {
            link.push_str(&format!("&day={day}#day"));
        }
        link
    }
}

fn monday(day: Date) -> Date {
    day.saturating_sub(i64::from(day.weekday().to_monday_zero_offset()).days())
}

/// Draws the page.
pub fn calendar(chrome: &Chrome, view: &Calendar) -> Markup {
    let asked = &view.asked;
    let (first, after) = asked.months();
    let title = match asked.span {
        Span::Month => first.strftime("%B %Y").to_string(),
        Span::Quarter => format!("{} to {}", first.strftime("%B"), after.saturating_sub(1.day()).strftime("%B %Y")),
    };
    let main = html! {
        div.title {
            h1 { (title) }
            nav.buttons aria-label="Calendar" {
                a.button rel="prev" href=(asked.link(first.saturating_sub(1.day()), asked.span, None)) { "← Earlier" }
                a.button href=(asked.link(view.today, asked.span, None)) { "Today" }
                a.button rel="next" href=(asked.link(after, asked.span, None)) { "Later →" }
                @for (span, word) in [(Span::Month, "Month"), (Span::Quarter, "Quarter")] {
                    a.button href=(asked.link(asked.at, span, None)) aria-current=[(span == asked.span).then_some("true")] { (word) }
                }
            }
        }
        (narrow(asked))
        (live("days", &html! {
            @match asked.span {
                Span::Month => (month(view, first)),
                Span::Quarter => div.quarter { @for ahead in 0..3 {
                    @let first = first.saturating_add(i64::from(ahead).months());
                    div { h2 { a href=(asked.link(first, Span::Month, None)) { (first.strftime("%B").to_string()) } } (month(view, first)) }
                } },
            }
        }))
        (legend(view))
        @if let Some(panel) = &view.panel { (day_panel(chrome, view, panel)) }
    };
    page(chrome, Section::Calendar, &format!("Calendar, {title}"), &main)
}

fn narrow(asked: &Asked) -> Markup {
    let named = |name: &Option<Name>| name.as_ref().map(ToString::to_string).unwrap_or_default();
    let word = if asked.span == Span::Quarter { "quarter" } else { "month" };
    html! {
        form.filter method="get" action="/calendar" role="search" {
            input type="hidden" name="view" value=(word);
            input type="hidden" name="at" value=(asked.at);
            label { span.hidden { "application" } input type="search" name="application" placeholder="application" value=(named(&asked.application)); }
            label { span.hidden { "environment" } input type="search" name="environment" placeholder="environment" value=(named(&asked.environment)); }
            button.button type="submit" { "Show" }
            @if asked.application.is_some() || asked.environment.is_some() { a.button href={ "/calendar?view=" (word) "&at=" (asked.at) } { "Clear" } }
        }
    }
}

fn month(view: &Calendar, first: Date) -> Markup {
    let last = first.last_of_month();
    let compact = view.asked.span == Span::Quarter;
    let weeks =
        std::iter::successors(Some(monday(first)), |week| Some(week.saturating_add(7.days()))).take_while(|week| *week <= last);
    let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    html! {
        table class={ "calendar" @if compact { " compact" } } {
            caption.hidden { (first.strftime("%B %Y").to_string()) }
            thead { tr { th scope="col" { span.hidden { "Week" } } @for name in names { th scope="col" { (name) } } } }
            tbody {
                @for week in weeks {
                    tr {
                        th.week scope="row" title="ISO week" { (week.iso_week_date().week()) }
                        @for ahead in 0..7 {
                            @let day = week.saturating_add(i64::from(ahead).days());
                            (cell(view, day, (day.first_of_month() == first, compact)))
                        }
                    }
                }
            }
        }
    }
}

fn cell(view: &Calendar, date: Date, (inside, compact): (bool, bool)) -> Markup {
    let nothing = Day::default();
    let day = view.days.get(&date).filter(|_| inside || !compact).unwrap_or(&nothing);
    let weekend = matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
    let classes = [
        (!inside, "outside"),
        (weekend, "weekend"),
        (date == view.today, "today"),
        (!day.freezes.is_empty(), "frozen"),
        (view.asked.open == Some(date), "open"),
    ];
    let classes: Vec<&str> = classes.into_iter().filter(|(on, _)| *on).map(|(_, class)| class).collect();
    html! {
        td class=(classes.join(" ")) {
            @if inside || !compact {
                a.date href=(view.asked.link(date, view.asked.span, Some(date))) aria-label=(spoken(view, date, day)) aria-current=[(date == view.today).then_some("date")] { (date.day()) }
                (frozen(view, date, day, compact))
                (releases(day, compact))
                (milestones(day, compact))
                (ticks(day))
            }
        }
    }
}

/// The day as it is said to those who hear the page.
fn spoken(view: &Calendar, date: Date, day: &Day) -> String {
    let mut said = vec![date.strftime("%A, %-d %B").to_string()];
    said.extend(day.freezes.iter().filter_map(|index| view.freezes.get(*index)).map(|it| format!("frozen by {}", it.name)));
    said.extend(day.releases.iter().map(|release| format!("{} {} is to be ready", release.application, release.version)));
    said.extend(
        day.milestones.iter().map(|it| format!("{} {}: {}", it.release.application, it.release.version, it.milestone.title)),
    );
    let deployments: u64 = day.deployments.values().sum();
    said.extend((deployments > 0).then(|| counted(deployments, "deployment")));
    said.extend((day.changes > 0).then(|| counted(day.changes, "change")));
    said.join(", ")
}

/// The name of a freeze stands where it begins and again each Monday; the hatching says the rest.
fn frozen(view: &Calendar, date: Date, day: &Day, compact: bool) -> Markup {
    let yesterday = date.yesterday().ok().and_then(|it| view.days.get(&it));
    let begins = |index: &usize| date.weekday() == Weekday::Monday || !yesterday.is_some_and(|it| it.freezes.contains(index));
    html! {
        @if !compact { @for index in day.freezes.iter().filter(|index| begins(index)) { @if let Some(freeze) = view.freezes.get(*index) {
            a.entry.freeze href={ "/freezes#" (freeze.id) } { (glyph("freeze")) (freeze.name) }
        } } }
    }
}

/// Releases of one day that stand in its cell.
const RELEASES_MAX: usize = 3;

fn releases(day: &Day, compact: bool) -> Markup {
    html! {
        @if compact {
            @if !day.releases.is_empty() { span.tick { (glyph("diamond")) span.hidden { (counted(day.releases.len() as u64, "release")) } } }
        } @else {
            @for release in day.releases.iter().take(RELEASES_MAX) {
                a.entry.release href={ "/releases/" (release.id) } title=(release.title) { (glyph("diamond")) (release.application) " " (release.version) }
            }
            @if day.releases.len() > RELEASES_MAX { span.small.muted { "+" (counted((day.releases.len() - RELEASES_MAX) as u64, "release")) } }
        }
    }
}

/// Milestones of one day that stand in its cell.
const MILESTONES_MAX: usize = 3;

fn milestones(day: &Day, compact: bool) -> Markup {
    html! {
        @if compact {
            @if !day.milestones.is_empty() { span.tick { (glyph("half")) span.hidden { (counted(day.milestones.len() as u64, "milestone")) } } }
        } @else {
            @for dated in day.milestones.iter().take(MILESTONES_MAX) {
                a.entry.milestone href={ "/releases/" (dated.release.id) } title={ (dated.release.application) " " (dated.release.version) ": " (dated.milestone.title) } { (glyph("half")) (dated.milestone.title) }
            }
            @if day.milestones.len() > MILESTONES_MAX { span.small.muted { "+" (counted((day.milestones.len() - MILESTONES_MAX) as u64, "milestone")) } }
        }
    }
}

const GONE_WELL: Look = Look { glyph: "check", word: "succeeded", tone: Tone::Good };
const GONE_BADLY: Look = Look { glyph: "cross", word: "failed", tone: Tone::Bad };
const GONE_BACK: Look = Look { glyph: "back", word: "fell back", tone: Tone::Back };
const AHEAD: Look = Look { glyph: "clock", word: "ahead or at work", tone: Tone::Busy };
const CHANGES: Look = Look { glyph: "person", word: "changes written", tone: Tone::Idle };

/// How a state of a deployment counts in a day.
fn counts_as(state: &str) -> Option<Look> {
    match state {
        "succeeded" => Some(GONE_WELL),
        "failed" | "fallback_failed" | "failing" => Some(GONE_BADLY),
        "fell_back" | "falling_back" => Some(GONE_BACK),
        "cancelled" | "expired" => None,
        _ => Some(AHEAD),
    }
}

fn ticks(day: &Day) -> Markup {
    let sum =
        |look: Look| day.deployments.iter().filter(|(state, _)| counts_as(state) == Some(look)).map(|(_, count)| count).sum();
    let ticks: Vec<(Look, u64)> = [GONE_WELL, GONE_BADLY, GONE_BACK, AHEAD].into_iter().map(|look| (look, sum(look))).collect();
    html! {
        span.ticks {
            @for (look, count) in ticks.into_iter().chain([(CHANGES, day.changes)]).filter(|(_, count)| *count > 0) {
                span.tick { (look.mark()) (number(count)) }
            }
        }
    }
}

fn legend(view: &Calendar) -> Markup {
    html! {
        p.legend.small.muted {
            @for look in [GONE_WELL, GONE_BADLY, GONE_BACK, AHEAD, CHANGES] { span { (look.badge()) } }
            span { (glyph("diamond")) " release to be ready" }
            span { (glyph("half")) " milestone" }
            span { (glyph("freeze")) " frozen" }
            span { "days in " (view.zone) }
        }
    }
}

fn day_panel(chrome: &Chrome, view: &Calendar, panel: &Panel) -> Markup {
    let clock = chrome.clock();
    let day = view.days.get(&panel.day);
    let nothing = panel.deployments.is_empty()
        && panel.changes.is_empty()
        && day.is_none_or(|day| day.releases.is_empty() && day.freezes.is_empty() && day.milestones.is_empty());
    let inner = html! {
        @if nothing { (empty("Nothing is on this day. Plan a deployment for it:", &["tidegate deploy APPLICATION ENVIRONMENT --version COMPONENT=VERSION --at TIME"])) }
        @if let Some(day) = day {
            ul.lines {
                @for freeze in day.freezes.iter().filter_map(|index| view.freezes.get(*index)) {
                    li { (state::freeze(freeze.state(clock.now_ms)).badge()) a.grow href={ "/freezes#" (freeze.id) } { (freeze.name) } span.small { (clock.at(freeze.from_ms)) " to " (clock.at(freeze.until_ms)) } }
                }
                @for release in &day.releases {
                    li { (state::release(release.state).badge()) a.grow href={ "/releases/" (release.id) } { (release.application) " " (release.version) " " span.muted { (release.title) } }
                        @if let Some(at_ms) = release.ready_by_ms { span.small { "ready by " (clock.in_zone(&release.zone).at(at_ms)) } } }
                }
                @for dated in &day.milestones {
                    li { (glyph("half")) div.grow { (dated.milestone.title) " " span.muted { (dated.milestone.text) } } (dated.release.link()) span.small { (clock.at(dated.milestone.at_ms)) } }
                }
            }
        }
        @if !panel.deployments.is_empty() { h3 { "Deployments" } (deployments::rows("Deployments", &panel.deployments, &clock)) }
        @if !panel.changes.is_empty() { h3 { "Changes written" } (changes::rows(&panel.changes, &clock)) }
        @if panel.more { p.note { (glyph("dots")) span { "There are more than are listed here; their lists have them all." } } }
    };
    html! { div id="day" { (live("panel", &section(&panel.day.strftime("%A, %-d %B %Y").to_string(), &inner))) } }
}
