//! Insights: the five figures over a period, week by week, and how lead times spread.

use maud::{Markup, html};
use tidegate_domain::measure::dora::{Dora, Spread, Week};
use tidegate_domain::{Millis, Name};

use crate::web::bar::counted;
use crate::web::layout::{Chrome, Section, live, page, section};
use crate::web::table::{empty, none, percent, tight};
use crate::web::time::{Clock, took};

/// What the page shows.
#[derive(Debug, Clone)]
pub struct Insights {
    /// The figures.
    pub dora: Dora,
    /// What they were made over.
    pub asked: Asked,
    /// Applications that can be chosen.
    pub applications: Vec<Name>,
    /// Environments that can be chosen.
    pub environments: Vec<Name>,
}

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// From this instant on.
    pub from_ms: Millis,
    /// And before this one.
    pub until_ms: Millis,
    /// Only of this application.
    pub application: Option<Name>,
    /// Only in this environment; those of production if none.
    pub environment: Option<Name>,
}

/// Width and height of a chart, and its margins, in its own units.
const WIDTH: f64 = 1_180.0;
const HEIGHT: f64 = 204.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 24.0;
const TOP: f64 = 28.0;
/// Weeks that a chart has room for at least, so that few are not wide apart.
const WEEKS_MIN: f64 = 8.0;
const WEEK_MS: Millis = 7 * 86_400_000;
const COMMANDS: [&str; 2] = ["tidegate deploy --help", "tidegate record --help"];

/// Draws the page.
pub fn insights(chrome: &Chrome, view: &Insights) -> Markup {
    let clock = chrome.clock();
    let main = html! {
        div.title { h1 { "Insights" } p.muted { "The five DORA figures, from what was deployed here or recorded." } }
        (choose(view, &clock))
        (live("figures", &html! {
            @if view.dora.deployments == 0 {
                (empty("Nothing ended in this period in these places. Choose another one, deploy something, or record what another tool deploys:", &COMMANDS))
            } @else {
                (section("Over the period", &figures(&view.dora)))
                (section("Week by week", &weeks(view, &clock)))
                @if let Some(spread) = &view.dora.change_lead_time { (section("How lead times spread", &spread_table(spread))) }
            }
            (left_out(&view.dora, &clock))
        }))
    };
    page(chrome, Section::Insights, "Insights", &main)
}

fn choose(view: &Insights, clock: &Clock) -> Markup {
    let day = |at_ms| clock.input(at_ms).chars().take(10).collect::<String>();
    let options = |label: &str, field: &str, all: &str, names: &[Name], chosen: Option<&Name>| {
        html! {
            label { span.hidden { (label) } select name=(field) {
                option value="" { (all) }
                @for name in names { option value=(name) selected[chosen == Some(name)] { (name) } }
            } }
        }
    };
    html! {
        form.filter method="get" action="/insights" role="search" {
            label { span.hidden { "From" } input type="date" name="from" value=(day(view.asked.from_ms)) aria-label="From"; }
            // The last day that is counted, as people say it.
            label { span.hidden { "Until" } input type="date" name="until" value=(day(view.asked.until_ms - 1)) aria-label="Until"; }
            (options("Application", "application", "every application", &view.applications, view.asked.application.as_ref()))
            (options("Environment", "environment", "production", &view.environments, view.asked.environment.as_ref()))
            button.button type="submit" { "Show" }
            a.button href="/insights" { "Last 90 days" }
        }
    }
}

/// The five figures with their names.
pub fn named_figures(dora: &Dora) -> [(&'static str, Option<String>); 5] {
    let share = |rate: Option<f64>| rate.map(|rate| format!("{:.0} %", rate * 100.0));
    let span = |seconds: Option<f64>| seconds.map(lasting);
    [
        ("change lead time", span(dora.change_lead_time_seconds)),
        ("deployment frequency", dora.deployment_frequency_per_day.map(|rate| format!("{rate:.1} a day"))),
        ("failed deployment recovery time", span(dora.failed_deployment_recovery_time_seconds)),
        ("change fail rate", share(dora.change_fail_rate)),
        ("deployment rework rate", share(dora.deployment_rework_rate)),
    ]
}

fn lasting(seconds: f64) -> String {
    took((seconds * 1_000.0) as Millis)
}

fn figures(dora: &Dora) -> Markup {
    html! {
        dl.figures {
            @for (name, figure) in named_figures(dora) {
                div { dt { (name) } dd { @match figure { Some(figure) => (figure), None => span.muted title="nothing was counted" { "–" } } } }
            }
        }
        p.small.muted { "Counted from " (counted(dora.deployments, "deployment")) "; the frequency is that of the " (counted(dora.period_days.round() as u64, "day")) " since the first. Change lead time and recovery time are medians." }
    }
}

fn weeks(view: &Insights, clock: &Clock) -> Markup {
    let weeks = &view.dora.weeks;
    let (Some(first), Some(last)) = (weeks.first(), weeks.last()) else { return html! {} };
    let scale = Scale {
        from_ms: first.starts_at_ms,
        weeks: (((last.starts_at_ms - first.starts_at_ms) / WEEK_MS + 1) as f64).max(WEEKS_MIN),
    };
    html! {
        div.charts-wide {
            figure {
                figcaption { strong { "Deployments" } " " span.muted.small { "begun in each week; those that failed or were taken back are crossed" } }
                div.scroll tabindex="0" role="region" aria-label="Deployments" { (bars(view, &scale, clock)) }
            }
            figure {
                figcaption { strong { "Change lead time" } " " span.muted.small { "median of the changes that came into effect in each week" } }
                div.scroll tabindex="0" role="region" aria-label="Change lead time" { (leads(weeks, &scale, clock)) }
            }
        }
        details.numbers { summary { "The numbers" } (numbers(weeks, clock)) }
    }
}

/// How weeks become places.
struct Scale {
    from_ms: Millis,
    weeks: f64,
}

impl Scale {
    fn step(&self) -> f64 {
        (WIDTH - LEFT) / self.weeks
    }

    fn x(&self, at_ms: Millis) -> f64 {
        LEFT + (at_ms - self.from_ms) as f64 / WEEK_MS as f64 * self.step()
    }
}

fn y(value: f64, top: f64) -> f64 {
    HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)
}

fn bars(view: &Insights, scale: &Scale, clock: &Clock) -> Markup {
    let weeks = &view.dora.weeks;
    let most = weeks.iter().map(|week| week.deployments).max().unwrap_or(0).max(1) as f64;
    let width = (scale.step() * 0.8).clamp(1.0, 40.0);
    html! {
        svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="group" aria-label="Deployments in each week; the table has the numbers" {
            (frame(&format!("{most}"), scale, weeks, clock))
            @for week in weeks.iter().filter(|week| week.deployments > 0) {
                @let x = scale.x(week.starts_at_ms) + (scale.step() - width) / 2.0;
                @let (all, bad) = (y(week.deployments as f64, most), y(week.failed as f64, most));
                @let words = format!("week of {}: {}, {} failed or taken back", day(clock, week.starts_at_ms), counted(week.deployments, "deployment"), week.failed);
                a href=(calendar(view, week, clock)) aria-label=(words) {
                    rect.bar-all x=(format!("{x:.1}")) y=(format!("{all:.1}")) width=(format!("{width:.1}")) height=(format!("{:.1}", HEIGHT - BOTTOM - all)) {}
                    @if week.failed > 0 {
                        rect.bar-bad x=(format!("{x:.1}")) y=(format!("{bad:.1}")) width=(format!("{width:.1}")) height=(format!("{:.1}", HEIGHT - BOTTOM - bad)) {}
                        path.bar-cross d={ "M" (format!("{x:.1} {bad:.1}")) "L" (format!("{:.1} {:.1}", x + width, HEIGHT - BOTTOM)) "M" (format!("{:.1} {bad:.1}", x + width)) "L" (format!("{x:.1} {:.1}", HEIGHT - BOTTOM)) } {}
                    }
                    title { (words) }
                }
            }
        }
    }
}

fn leads(weeks: &[Week], scale: &Scale, clock: &Clock) -> Markup {
    let points: Vec<(Millis, f64)> =
        weeks.iter().filter_map(|week| Some((week.starts_at_ms, week.change_lead_time_seconds?))).collect();
    let most = points.iter().map(|(_, seconds)| *seconds).fold(1.0, f64::max);
    let place = |(at_ms, seconds): &(Millis, f64)| (scale.x(*at_ms) + scale.step() / 2.0, y(*seconds, most));
    let line: Vec<String> = points.iter().map(place).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    html! {
        svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label="Median change lead time of each week; the table has the numbers" {
            (frame(&lasting(most), scale, weeks, clock))
            polyline.line points=(line.join(" ")) {}
            @for point in &points {
                @let (x, y) = place(point);
                circle.point.good cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="3" { title { "week of " (day(clock, point.0)) ": " (lasting(point.1)) } }
            }
        }
    }
}

/// Axis, the highest value, and where months begin.
fn frame(most: &str, scale: &Scale, weeks: &[Week], clock: &Clock) -> Markup {
    let base = HEIGHT - BOTTOM;
    html! {
        line.axis x1=(LEFT) y1=(base) x2=(WIDTH) y2=(base) {}
        text.label x=(LEFT - 8.0) y=(base) text-anchor="end" { "0" }
        text.label x=(LEFT) y=(TOP - 8.0) { (most) }
        @for (at_ms, words) in labels(scale, weeks, clock) {
            text.label x=(format!("{:.1}", scale.x(at_ms))) y=(HEIGHT - 6.0) { (words) }
        }
    }
}

/// The weeks under which a date stands: six of them or fewer, in even steps.
fn labels(scale: &Scale, weeks: &[Week], clock: &Clock) -> Vec<(Millis, String)> {
    let step = (scale.weeks / 6.0).ceil().max(1.0) as Millis * WEEK_MS;
    let last = weeks.last().map_or(scale.from_ms, |week| week.starts_at_ms);
    let at = std::iter::successors(Some(scale.from_ms), |at_ms| Some(at_ms + step)).take_while(|at_ms| *at_ms <= last);
    at.map(|at_ms| (at_ms, day(clock, at_ms))).collect()
}

/// Weeks begin in UTC, and so are named.
fn day(clock: &Clock, at_ms: Millis) -> String {
    clock.in_zone("UTC").input(at_ms).chars().take(10).collect()
}

fn calendar(view: &Insights, week: &Week, clock: &Clock) -> String {
    let name = |field: &str, name: Option<&Name>| name.map(|it| format!("&{field}={}", percent(it.as_str()))).unwrap_or_default();
    let (application, environment) = (view.asked.application.as_ref(), view.asked.environment.as_ref());
    format!(
        "/calendar?at={}{}{}",
        day(clock, week.starts_at_ms),
        name("application", application),
        name("environment", environment)
    )
}

fn numbers(weeks: &[Week], clock: &Clock) -> Markup {
    tight(
        "Week by week",
        &["Week of", "Deployments", "Failed", "Changes", "Median lead time"],
        &html! {
            @for week in weeks.iter().rev() {
                tr {
                    th scope="row" { (day(clock, week.starts_at_ms)) }
                    td.number data-head="Deployments" { (week.deployments) }
                    td.number data-head="Failed" { (week.failed) }
                    td.number data-head="Changes" { (week.changes) }
                    td.number data-head="Median lead time" { @match week.change_lead_time_seconds { Some(seconds) => (lasting(seconds)), None => (none()) } }
                }
            }
        },
    )
}

fn spread_table(spread: &Spread) -> Markup {
    let of = |it: &tidegate_domain::measure::dora::Quantiles| [it.p50, it.p75, it.p90, it.p95].map(lasting);
    tight(
        "How lead times spread",
        &["Of the changes", "half", "75 %", "90 %", "95 %"],
        &html! {
            tr { th scope="row" { "took at most" } @for value in of(&spread.linear) { td.number { (value) } } }
            tr { th scope="row" { span.muted { "by the nearest rank" } } @for value in of(&spread.nearest_rank) { td.number.muted { (value) } } }
        },
    )
}

/// What no figure could be made of.
fn left_out(dora: &Dora, clock: &Clock) -> Markup {
    html! {
        @if let Some(from_ms) = dora.not_counted_before_ms {
            p.small.muted { "Nothing before " (clock.at(from_ms)) " is counted: it is too much at once. Choose a shorter period." }
        }
        @if dora.left_out_approximate > 0 {
            p.small.muted { (counted(dora.left_out_approximate, "recorded deployment")) " left out: nobody knows exactly when." }
        }
        @if dora.left_out_negative > 0 {
            p.small.muted { (counted(dora.left_out_negative, "change")) " without a lead time: written down after it was in effect." }
        }
    }
}
