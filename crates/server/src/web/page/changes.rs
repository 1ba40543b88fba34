//! The list of changes.

use maud::{Markup, html};
use tidegate_domain::change::{Change, Class};

use super::List;
use super::change::{at_stake, class, level, look};
use crate::web::layout::{Chrome, Section, live, page, section_with};
use crate::web::table::{By, Filter, empty, table};
use crate::web::time::Clock;

const STATES: [(&str, &str); 9] = [
    ("draft", "draft"),
    ("awaiting_authorisation", "awaiting authorisation"),
    ("authorised", "authorised"),
    ("implementing", "implementing"),
    ("verifying", "verifying"),
    ("review", "in review"),
    ("closed", "closed"),
    ("rejected", "rejected"),
    ("cancelled", "cancelled"),
];

const COMMANDS: [&str; 2] = [
    "tidegate change write shop --title \"Faster search\" --environment production --version api=1.1",
    "tidegate change submit CHG-…",
];

/// What the page shows.
#[derive(Debug, Clone)]
pub struct ChangesPage {
    /// What waits for the vote of whoever looks, the longest waiting first.
    pub inbox: Vec<Change>,
    /// All of them.
    pub list: List<Change>,
}

/// Draws the inbox and the list.
pub fn changes(chrome: &Chrome, page_view: &ChangesPage) -> Markup {
    let view = &page_view.list;
    let clock = chrome.clock();
    let filter = Filter { path: "/changes", query: &view.query, states: &STATES, by: By::Place };
    let main = html! {
        div.title { h1 { "Changes" } p.muted { "What could affect services, and who authorised it." } }
        @if !page_view.inbox.is_empty() { (live("inbox", &section_with("Waiting for your vote", &html! { span.count { (page_view.inbox.len()) } }, &inbox(&page_view.inbox, &clock)))) }
        (filter.form())
        (live("rows", &html! {
            @match (view.rows.is_empty(), filter.is_asked()) {
                (true, true) => (empty("No change is like that.", &[])),
                (true, false) => (empty("There is no change yet. Write one as a draft, then submit it:", &COMMANDS)),
                (false, _) => (rows(&view.rows, &clock)),
            }
            (filter.next(view.next.as_deref()))
        }))
    };
    page(chrome, Section::Changes, "Changes", &main)
}

/// One line each: how much is at stake, and the page that shows what would run and takes the vote.
fn inbox(changes: &[Change], clock: &Clock) -> Markup {
    html! {
        div.asks { ul.lines {
            @for change in changes {
                li {
                    div.grow {
                        a href={ "/changes/" (change.id) } { (change.content.title) }
                        span.small.block { (class(change.content.class)) " · " (change.content.application) " → " (change.content.environments.iter().map(tidegate_domain::Name::as_str).collect::<Vec<_>>().join(", ")) " · by " (change.author) }
                    }
                    span.small { "risk " (level(change.content.risk)) " impact " (level(change.content.impact)) }
                    span.small.muted { (clock.since(change.created_at_ms)) }
                    a.button href={ "/changes/" (change.id) "#change" } { "Decide" }
                }
            }
        } }
    }
}

/// Changes as a table; also in the scope of a release.
pub fn rows(changes: &[Change], clock: &Clock) -> Markup {
    let heads = ["Change", "State", "Class", "Risk × impact", "Where", "Author", "Approvals"];
    table("Changes", &heads, &html! { @for change in changes { (row(change, clock)) } })
}

fn row(change: &Change, clock: &Clock) -> Markup {
    let content = &change.content;
    let where_to: Vec<&str> = content.environments.iter().map(tidegate_domain::Name::as_str).collect();
    html! {
        tr {
            th scope="row" { a href={ "/changes/" (change.id) } { (content.title) } " " span.small.muted.whole { (change.id) } }
            td data-head="State" { (look(change)) }
            td data-head="Class" { (class(content.class)) }
            td data-head="Risk × impact" { span.whole { (at_stake(change)) } }
            td data-head="Where" { (content.application) " → " (where_to.join(", ")) }
            td data-head="Author" { (change.author) " " span.muted.small { (clock.age(change.created_at_ms)) } }
            td data-head="Approvals" {
                @if change.recorded.is_some() { span.muted { "recorded" } } @else { @match content.class {
                    Class::Standard => span.muted.whole { "none needed" },
                    Class::Normal | Class::Emergency => { (change.votes.len()) " of " (change.quorum) },
                } }
            }
        }
    }
}
