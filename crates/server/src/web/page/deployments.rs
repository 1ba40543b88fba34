//! The list of deployments.

use maud::{Markup, html};
use tidegate_api::view::DeploymentView;
use tidegate_domain::deployment::plan::Purpose;

use super::history::who;
use super::{List, sentence};
use crate::web::bar::{bar, words};
use crate::web::layout::{Chrome, Section, live, page};
use crate::web::state;
use crate::web::table::{By, Filter, empty, none, table};
use crate::web::time::{Clock, took};

const STATES: [(&str, &str); 15] = [
    ("planned", "planned"),
    ("awaiting_approval", "awaiting approval"),
    ("scheduled", "scheduled"),
    ("queued", "queued"),
    ("running", "running"),
    ("paused", "paused"),
    ("baking", "baking"),
    ("failing", "failing"),
    ("falling_back", "falling back"),
    ("succeeded", "succeeded"),
    ("failed", "failed"),
    ("fell_back", "fell back"),
    ("fallback_failed", "fallback failed"),
    ("cancelled", "cancelled"),
    ("expired", "expired"),
];

const COMMAND: &str = "tidegate deploy shop development --version api=1.0 --watch";

/// Draws the list.
pub fn deployments(chrome: &Chrome, view: &List<DeploymentView>) -> Markup {
    let clock = chrome.clock();
    let filter = Filter { path: "/deployments", query: &view.query, states: &STATES, by: By::Place };
    let main = html! {
        div.title { h1 { "Deployments" } p.muted { "Each is one execution of one plan." } }
        (filter.form())
        (live("rows", &html! {
            @match (view.rows.is_empty(), filter.is_asked()) {
                (true, true) => (empty("No deployment is like that.", &[])),
                (true, false) => (empty("Nothing was deployed yet. Plan one and start it:", &[COMMAND])),
                (false, _) => (rows("Deployments", &view.rows, &clock)),
            }
            (filter.next(view.next.as_deref()))
        }))
    };
    page(chrome, Section::Deployments, "Deployments", &main)
}

/// Deployments as a table; also below a change and a release.
pub fn rows(caption: &str, views: &[DeploymentView], clock: &Clock) -> Markup {
    let rows = html! { @for view in views { (row(view, clock)) } };
    table(caption, &["Deployment", "State", "Targets", "Asked by", "Began", "Took"], &rows)
}

fn row(view: &DeploymentView, clock: &Clock) -> Markup {
    let it = &view.deployment;
    let until_ms = it.waiting.as_ref().and_then(|held| held.until_ms);
    html! {
        tr {
            th scope="row" {
                a href={ "/deployments/" (it.id) } { (it.application) " " (it.version_line()) " → " (it.environment) }
                " " @if it.purpose == Purpose::Fallback { span.tag { "takes back" } }
                span.small.muted.block { (it.id) }
            }
            td data-head="State" {
                (state::deployment(it.state).badge())
                @if !it.state.is_terminal() {
                    span.small.block {
                        (sentence(&view.sentence))
                        @if let Some(until_ms) = until_ms { " · " (clock.countdown(until_ms)) }
                    }
                }
            }
            td data-head="Targets" {
                @if let Some(recorded) = &it.recorded { span.muted { "recorded from " (recorded.source) } }
                @else { (bar(&it.counts)) span.small.muted.block { (words(&it.counts)) } }
            }
            td data-head="Asked by" { (who(&it.requested_by)) }
            td data-head="Began" { @match it.started_at_ms { Some(at_ms) => (clock.at(at_ms)), None => span.muted { "not begun" } } }
            td.number data-head="Took" { @if let Some((from, to)) = it.started_at_ms.zip(it.ended_at_ms) { (took(to - from)) } @else { (none()) } }
        }
    }
}
