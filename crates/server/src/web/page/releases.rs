//! The list of releases.

use maud::{Markup, html};
use tidegate_domain::release::{PhaseState, Release};

use super::List;
use super::release::{due, look};
use crate::web::bar::counted;
use crate::web::layout::{Chrome, Section, live, page};
use crate::web::state;
use crate::web::table::{By, Filter, empty, table};
use crate::web::time::Clock;

const STATES: [(&str, &str); 8] = [
    ("draft", "draft"),
    ("planned", "planned"),
    ("in_progress", "in progress"),
    ("deploying", "deploying"),
    ("early_life_support", "early life support"),
    ("evaluated", "evaluated"),
    ("closed", "closed"),
    ("cancelled", "cancelled"),
];

const COMMANDS: [&str; 2] =
    ["tidegate release create shop 1.0 --title \"First\" --version api=1.0", "tidegate release plan REL-…"];

const HEADS: [&str; 6] = ["Release", "State", "Phases", "Ready by", "Scope", "Author"];

/// Draws the list.
pub fn releases(chrome: &Chrome, view: &List<Release>) -> Markup {
    let clock = chrome.clock();
    let filter = Filter { path: "/releases", query: &view.query, states: &STATES, by: By::Place };
    let main = html! {
        div.title { h1 { "Releases" } p.muted { "Changes and component versions that go together." } }
        (filter.form())
        (live("rows", &html! {
            @match (view.rows.is_empty(), filter.is_asked()) {
                (true, true) => (empty("No release is like that.", &[])),
                (true, false) => (empty("There is no release yet. Write one as a draft, then plan and start it:", &COMMANDS)),
                (false, _) => (table("Releases", &HEADS, &html! { @for release in &view.rows { (row(release, &clock)) } })),
            }
            (filter.next(view.next.as_deref()))
        }))
    };
    page(chrome, Section::Releases, "Releases", &main)
}

fn row(release: &Release, clock: &Clock) -> Markup {
    let active = release.phases.iter().find(|phase| phase.state == PhaseState::Active);
    html! {
        tr {
            th scope="row" {
                a href={ "/releases/" (release.id) } { (release.application) " " (release.version) }
                span.small.muted.block { (release.title) }
            }
            td data-head="State" { (look(release)) }
            td data-head="Phases" {
                span.dots { @for phase in &release.phases { (state::phase(phase.state).mark()) } }
                @if let Some(phase) = active { " " span.small { (phase.name) } }
            }
            td data-head="Ready by" { (due(release, clock)) }
            td data-head="Scope" {
                (counted(release.versions.len() as u64, "component"))
                span.muted { " · " (counted(release.changes.len() as u64, "change")) }
            }
            td data-head="Author" { (release.author) " " span.muted.small { (clock.age(release.created_at_ms)) } }
        }
    }
}
