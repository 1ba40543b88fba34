//! Environments side by side: components in rows, environments in columns on the way to production.

use maud::{Markup, html};
use tidegate_domain::deployment::rollout::State;
use tidegate_domain::estate::{Environment, Standing};
use tidegate_domain::{Digest, Id, Millis, Name, Version};

use crate::web::bar::counted;
use crate::web::form::{Act, Weight, value};
use crate::web::layout::{Chrome, Section, live, page};
use crate::web::state::{self, Look, Tone};
use crate::web::table::{empty, none, percent, table};
use crate::web::time::Clock;

/// What the page shows.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// The environments, on the way to production.
    pub columns: Vec<Column>,
    /// The components, by application.
    pub rows: Vec<Row>,
    /// Every application that could be chosen.
    pub applications: Vec<Name>,
    /// The chosen one.
    pub application: Option<Name>,
    /// Two environments that are held against each other.
    pub compared: Option<(Name, Name)>,
    /// The last component of this page, if there are more.
    pub next: Option<Name>,
    /// Strategies that are defined.
    pub strategies: Vec<Name>,
}

/// An environment.
#[derive(Debug, Clone)]
pub struct Column {
    /// The environment.
    pub environment: Environment,
    /// Whether the person who looks may plan a deployment there.
    pub may_plan: bool,
}

/// A component.
#[derive(Debug, Clone)]
pub struct Row {
    /// Of what.
    pub application: Name,
    /// Which one.
    pub component: Name,
    /// One for each column.
    pub cells: Vec<Cell>,
}

/// A component in an environment.
#[derive(Debug, Clone)]
pub struct Cell {
    /// What stands there, as far as is known.
    pub standing: Option<Known>,
    /// What is planned or at work there.
    pub pending: Option<Pending>,
    /// Targets that differ from it.
    pub drifted: Option<u64>,
}

/// A version that stands somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// By which deployment.
    pub deployment: Id,
    /// Which version.
    pub version: Version,
    /// Its bytes, if Tidegate verified them; none of what is only recorded.
    pub digest: Option<Digest>,
    /// Since when.
    pub at_ms: Millis,
}

impl Known {
    /// What stands in a slot.
    pub fn of(standing: Standing<'_>) -> Known {
        let digest = match standing {
            Standing::Verified(verified) => Some(verified.digest.clone()),
            Standing::Recorded(_) => None,
        };
        Known { deployment: standing.deployment().clone(), version: standing.version().clone(), digest, at_ms: standing.at_ms() }
    }
}

/// What is planned or at work.
#[derive(Debug, Clone)]
pub struct Pending {
    /// The deployment.
    pub deployment: Id,
    /// What it brings.
    pub version: Version,
    /// How far it is.
    pub state: State,
}

const COMMANDS: [&str; 1] = ["tidegate apply -f examples/first"];

/// Draws the page.
pub fn environments(chrome: &Chrome, view: &Matrix) -> Markup {
    let clock = chrome.clock();
    let main = html! {
        div.title { h1 { "Environments" } p.muted { "What is verified where, since when, and what is on its way." } }
        (choose(view))
        (live("matrix", &html! {
            @if view.rows.is_empty() || view.columns.is_empty() {
                (empty("There is nothing to put side by side yet. Define an application with components and environments:", &COMMANDS))
            } @else {
                @match &view.compared { Some((from, to)) => (compared(view, (from, to), &clock)), None => (matrix(chrome, view, &clock)) }
            }
            @if let Some(after) = &view.next {
                nav.pages aria-label="Pages" { a.button href=(next_page(view, after)) rel="next" { "Next page" } }
            }
        }))
    };
    page(chrome, Section::Environments, "Environments", &main)
}

fn next_page(view: &Matrix, after: &Name) -> String {
    let application =
        view.application.as_ref().map(|name| format!("application={}&", percent(name.as_str()))).unwrap_or_default();
    format!("/environments?{application}after={}", percent(after.as_str()))
}

fn choose(view: &Matrix) -> Markup {
    let option = |name: &Name, chosen: Option<&Name>| html! { option value=(name) selected[chosen == Some(name)] { (name) } };
    let (from, to) = view.compared.as_ref().map_or((None, None), |(from, to)| (Some(from), Some(to)));
    html! {
        form.filter method="get" action="/environments" role="search" {
            label { span.hidden { "Application" } select name="application" {
                option value="" { "every application" }
                @for name in &view.applications { (option(name, view.application.as_ref())) }
            } }
            label { span.hidden { "Compare" } select name="from" {
                option value="" { "compare…" }
                @for column in &view.columns { (option(&column.environment.name, from)) }
            } }
            label { span.hidden { "With" } select name="to" {
                option value="" { "with…" }
                @for column in &view.columns { (option(&column.environment.name, to)) }
            } }
            button.button type="submit" { "Show" }
            @if view.application.is_some() || view.compared.is_some() { a.button href="/environments" { "Clear" } }
        }
    }
}

fn matrix(chrome: &Chrome, view: &Matrix, clock: &Clock) -> Markup {
    let names: Vec<&str> = view.columns.iter().map(|column| column.environment.name.as_str()).collect();
    let heads: Vec<&str> = ["Component"].into_iter().chain(names).collect();
    table(
        "Components by environments",
        &heads,
        &html! {
            @for row in &view.rows {
                tr id={ "c-" (row.component) } {
                    th scope="row" { (row.component) @if row.application != row.component { " " span.small.muted { (row.application) } } }
                    @for (index, cell) in row.cells.iter().enumerate() {
                        td data-head=(view.columns[index].environment.name) { (shown(chrome, view, (row, index), cell, clock)) }
                    }
                }
            }
        },
    )
}

fn shown(chrome: &Chrome, view: &Matrix, (row, index): (&Row, usize), cell: &Cell, clock: &Clock) -> Markup {
    html! {
        @match &cell.standing {
            Some(known) => {
                a.version href={ "/deployments/" (known.deployment) } { (known.version) } " "
                span.muted.small { (clock.age(known.at_ms)) @if known.digest.is_none() { ", recorded" } }
            }
            None => (none()),
        }
        @if let Some(pending) = &cell.pending {
            span.block.small { (state::deployment(pending.state).mark()) " " a href={ "/deployments/" (pending.deployment) } { (pending.version) } " " span.muted { (state::deployment(pending.state).word) } }
        }
        @if let Some(count) = cell.drifted.filter(|count| *count > 0) {
            a.block.small.warn href={ "/targets?environment=" (percent(view.columns[index].environment.name.as_str())) } { (DRIFT.mark()) " " (counted(count, "target")) " drifted" }
        }
        @if let Some(known) = cell.standing.as_ref().filter(|known| known.digest.is_some()) { (promote(chrome, view, (row, index), &known.version)) }
    }
}

const DRIFT: Look = Look { glyph: "alert", word: "drift", tone: Tone::Wait };
const SAME: Look = Look { glyph: "equal", word: "same", tone: Tone::Good };
const DIFFERS: Look = Look { glyph: "half", word: "differs", tone: Tone::Busy };

/// The form that plans the cell's version for an environment further on, where it is not verified yet.
fn promote(chrome: &Chrome, view: &Matrix, (row, index): (&Row, usize), version: &Version) -> Markup {
    let has_it = |at: usize| row.cells[at].standing.as_ref().is_some_and(|known| known.version == *version);
    let further: Vec<&Name> = (index + 1..view.columns.len())
        .filter(|at| view.columns[*at].may_plan && !has_it(*at))
        .map(|at| &view.columns[at].environment.name)
        .collect();
    if further.is_empty() {
        return html! {};
    }
    let fields = html! {
        (value("application", row.application.as_str()))
        (value("component", row.component.as_str()))
        (value("version", version.as_str()))
        label.field { span { "To" } select name="environment" { @for name in &further { option value=(name) { (name) } } } }
        label.field { span { "Strategy" } select name="strategy" {
            option value="" { "all at once" }
            @for name in &view.strategies { option value=(name) { (name) } }
        } }
        p.small.muted { "Plans it; the next page shows what would happen and starts it." }
    };
    let key = format!("promote-{}-{}", row.component, view.columns[index].environment.name);
    html! {
        div.promote {
            (Act { csrf: &chrome.csrf, action: "/environments/promote", label: "Promote", weight: Weight::Plain }.folded(&key, &fields))
        }
    }
}

fn compared(view: &Matrix, (from, to): (&Name, &Name), clock: &Clock) -> Markup {
    let at = |name: &Name| view.columns.iter().position(|column| column.environment.name == *name);
    let (Some(a), Some(b)) = (at(from), at(to)) else {
        return empty("One of the two environments is not there, or not yours to see.", &[]);
    };
    let version = |cell: &Cell| cell.standing.as_ref().map(|known| (known.version.clone(), known.digest.clone()));
    let same = |row: &Row| version(&row.cells[a]) == version(&row.cells[b]);
    let mut rows: Vec<&Row> = view.rows.iter().collect();
    rows.sort_by_key(|row| same(row));
    let differ = rows.iter().filter(|row| !same(row)).count();
    html! {
        p.lead { (counted(differ as u64, "component")) @if differ == 1 { " differs" } @else { " differ" } " between " strong { (from) } " and " strong { (to) } "." }
        (table("Compared", &["Component", from.as_str(), to.as_str(), "Difference"], &html! {
            @for row in rows {
                tr {
                    th scope="row" { (row.component) }
                    @for index in [a, b] { td data-head=(view.columns[index].environment.name) {
                        @match &row.cells[index].standing {
                            Some(it) => { span.version { (it.version) } " " span.muted.small { (clock.age(it.at_ms)) } }
                            None => (none()),
                        }
                    } }
                    td data-head="Difference" { @if same(row) { (SAME.badge()) } @else { (DIFFERS.badge()) " " (difference(row, (a, b), (from, to))) } }
                }
            }
        }))
    }
}

fn difference(row: &Row, (a, b): (usize, usize), (from, to): (&Name, &Name)) -> String {
    match (&row.cells[a].standing, &row.cells[b].standing) {
        (Some(left), Some(right)) if left.version == right.version && left.digest.is_some() && right.digest.is_some() => {
            "other bytes under the same version".into()
        }
        (Some(left), Some(right)) if left.version == right.version => "the bytes of a record are not known".into(),
        (Some(left), Some(right)) => format!("{} → {}", right.version, left.version),
        (Some(_), None) => format!("only in {from}"),
        (None, Some(_)) => format!("only in {to}"),
        (None, None) => String::new(),
    }
}
