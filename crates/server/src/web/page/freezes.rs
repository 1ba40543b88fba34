//! Freezes: the list, declaring one, and the ways in.

use std::collections::BTreeMap;

use maud::{Markup, html};
use tidegate_api::view::{DeploymentView, FreezePassages, PassageView};
use tidegate_domain::access::Permission;
use tidegate_domain::calendar::Freeze;
use tidegate_domain::calendar::freeze::{Exception, ExceptionState, Passage, Running, Strictness};
use tidegate_domain::{Id, Name};

use super::List;
use crate::web::bar::counted;
use crate::web::form::{Act, Need, Weight, choice, hidden, instant, reason, reason_for_a_no, text, value};
use crate::web::layout::{Chrome, Section, fact, live, page, section};
use crate::web::refusal::not_offered;
use crate::web::state::{self, Look, Tone};
use crate::web::table::{By, Filter, empty, table};
use crate::web::time::Clock;

/// What the page shows.
#[derive(Debug, Clone)]
pub struct FreezesPage {
    /// Freezes, the one that ends last first.
    pub freezes: List<Freeze>,
    /// Deployments beside them.
    pub deployments: Beside,
}

/// Deployments beside freezes.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// Those that are not over and do not run, for which an exception could be asked.
    pub waiting: Vec<DeploymentView>,
    /// What those are called for which one was.
    pub titles: BTreeMap<Id, String>,
}

/// What the page of one freeze shows.
#[derive(Debug, Clone)]
pub struct OneFreeze {
    /// The freeze.
    pub freeze: Freeze,
    /// What came through it.
    pub passages: FreezePassages,
    /// Deployments beside them.
    pub deployments: Beside,
}
const STATES: [(&str, &str); 2] = [("declared", "not lifted"), ("lifted", "lifted")];

const COMMAND: &str =
    "tidegate freeze declare \"year end\" --reason \"closing the books\" --from 2026-12-20T18:00 --until 2027-01-04T06:00";

/// Draws the page.
pub fn freezes(chrome: &Chrome, view: &FreezesPage) -> Markup {
    let clock = chrome.clock();
    let (open, over): (Vec<&Freeze>, Vec<&Freeze>) =
        view.freezes.rows.iter().partition(|freeze| matches!(freeze.state(chrome.now_ms), "planned" | "in_force"));
    let filter = Filter { path: "/freezes", query: &view.freezes.query, states: &STATES, by: By::Environment };
    let main = html! {
        div.title { h1 { "Freezes" } p.muted { "Periods in which change is restricted, and the ways in." } }
        (declare(chrome, &clock))
        (filter.form())
        (live("open", &html! {
            @match (open.is_empty(), filter.is_asked() || view.freezes.query.after.is_some()) {
                (true, false) if chrome.may(Permission::ManageFreeze, None, None) => {
                    (empty("No freeze is in force or planned. Declare one above, or:", &[COMMAND]))
                }
                (true, false) => (empty("No freeze is in force or planned.", &[])),
                (true, true) if over.is_empty() => (empty("No freeze is like that.", &[])),
                _ => {}
            }
            @if !open.is_empty() { (section("In force and planned", &html! { @for freeze in open { (panel(chrome, &view.deployments, freeze)) } })) }
        }))
        @if !over.is_empty() {
            (live("over", &section("Over", &html! { @for freeze in over { (panel(chrome, &view.deployments, freeze)) } })))
        }
        (filter.next(view.freezes.next.as_deref()))
    };
    page(chrome, Section::Freezes, "Freezes", &main)
}

/// Draws the page of one freeze.
pub fn one(chrome: &Chrome, view: &OneFreeze) -> Markup {
    let clock = chrome.clock();
    let main = html! {
        nav.crumbs aria-label="Breadcrumb" { a href="/freezes" { "Freezes" } span { (view.freeze.id) } }
        h1.hidden { "Freeze " (view.freeze.name) }
        (live("freeze", &panel(chrome, &view.deployments, &view.freeze)))
        (live("passages", &section("Deployed while it was in force", &passages(view, &clock))))
    };
    page(chrome, Section::Freezes, &view.freeze.name, &main)
}

fn passages(view: &OneFreeze, clock: &Clock) -> Markup {
    let rows = &view.passages.rows;
    let against = rows.iter().filter(|row| row.exact && row.passage == Passage::Elsewhere).count();
    html! {
        @if rows.is_empty() { p.muted { "Nothing that it concerns began while it was in force." } } @else {
            p.lead { (counted(rows.len() as u64, "deployment")) @if against > 0 { ", " strong.late { (against) " against it" } } }
            (table("Deployed while it was in force", &["Began", "What", "How it could", "Deployment"], &html! { @for row in rows { (passage(row, clock)) } }))
        }
        @if !view.passages.complete { p.small.muted { "Only the newest deployments of that time were looked at." } }
    }
}

fn passage(row: &PassageView, clock: &Clock) -> Markup {
    let versions = row.versions.iter().map(|(name, version)| format!("{name} {version}")).collect::<Vec<_>>().join(", ");
    let look = match (row.passage, row.exact) {
        (Passage::Elsewhere, true) => AGAINST,
        (Passage::Exception | Passage::Fallback | Passage::StandardChange, _) => ALLOWED,
        (Passage::Elsewhere | Passage::Declared, _) => PERHAPS,
    };
    html! {
        tr {
            th scope="row" { (clock.at(row.started_at_ms)) }
            td data-head="What" { (versions) " → " (row.environment) }
            td data-head="How it could" { (look.mark()) " " (row.sentence) @if !row.exact { span.muted { "; when exactly is not known" } } }
            td data-head="Deployment" { a href={ "/deployments/" (row.deployment) } { (row.deployment) } }
        }
    }
}

const AGAINST: Look = Look { glyph: "alert", word: "against it", tone: Tone::Bad };
const PERHAPS: Look = Look { glyph: "question", word: "perhaps", tone: Tone::Wait };
const ALLOWED: Look = Look { glyph: "check", word: "allowed", tone: Tone::Good };

fn declare(chrome: &Chrome, clock: &Clock) -> Markup {
    if !chrome.may(Permission::ManageFreeze, None, None) {
        return not_offered("Your roles do not let you declare a freeze", "a release manager can");
    }
    let fields = html! {
        div.fields {
            (text("name", "Name", "what people call it", Need::Required))
            (text("reason", "Reason", "kept in the history", Need::Required))
            (text("environments", "Environments", "separated by commas; none means every controlled one", Need::Optional))
            (text("applications", "Applications", "separated by commas; none means every one", Need::Optional))
            (text("components", "Components", "separated by commas; none means every one", Need::Optional))
            (instant("from", "From", &clock.input(clock.now_ms), Need::Required))
            (instant("until", "Until", "", Need::Required))
            label.field { span { "Zone of these times" } input type="text" name="zone" value=(clock.zone_name()) required; }
            (choice("strictness", "Lets through", &[("hard", "nothing without an exception"), ("soft", "standard changes, too")]))
            (choice("running", "Work that is running", &[("finish_wave", "finishes its wave, then holds"), ("go_on", "goes on to its end")]))
        }
        p.small.muted { "Going back and stopping are never frozen." }
    };
    Act { csrf: &chrome.csrf, action: "/freezes", label: "Declare a freeze", weight: Weight::Main }.folded("declare", &fields)
}

fn panel(chrome: &Chrome, deployments: &Beside, freeze: &Freeze) -> Markup {
    let clock = chrome.clock();
    let zone = clock.in_zone(&freeze.zone);
    let word = freeze.state(chrome.now_ms);
    html! {
        article.panel id=(freeze.id) {
            div.head {
                h3 { a href={ "/freezes/" (freeze.id) } { (freeze.name) } " " (state::freeze(word).badge()) }
                div.beside { (lift(chrome, freeze, word)) }
            }
            p.prose { (freeze.reason) }
            dl.facts {
                (fact("From", &zone.day(freeze.from_ms)))
                (fact("Until", &html! {
                    (zone.day(freeze.until_ms))
                    @if word == "in_force" { " · ends " (clock.countdown(freeze.until_ms)) }
                    @if word == "planned" { " · begins " (clock.countdown(freeze.from_ms)) }
                }))
                (fact("Where", &names(&freeze.environments, "every controlled environment")))
                (fact("Of", &names(&freeze.applications, "every application")))
                @if !freeze.components.is_empty() { (fact("Only", &components(&freeze.components))) }
                (fact("Lets through", &html! { (lets_through(freeze.strictness)) }))
                (fact("Running work", &html! { (running_work(freeze.running)) }))
            }
            @if let Some(lifted) = &freeze.lifted { p { "Lifted by " (lifted.by) ": " (lifted.reason) " " span.muted { (clock.at(lifted.at_ms)) } } }
            (exceptions(chrome, deployments, freeze))
        }
    }
}

/// The components that a freeze concerns: all of a few, a number of many.
fn components(names: &[Name]) -> Markup {
    let list = names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
    html! { @if names.len() <= 5 { (list) } @else { span title=(list) { (counted(names.len() as u64, "component")) } } }
}

fn lets_through(strictness: Strictness) -> &'static str {
    match strictness {
        Strictness::Hard => "nothing without an exception",
        Strictness::Soft => "standard changes",
    }
}

fn running_work(running: Running) -> &'static str {
    match running {
        Running::FinishWave => "finishes its wave, then holds",
        Running::GoOn => "goes on",
    }
}

fn names(names: &[Name], none: &str) -> Markup {
    html! { @if names.is_empty() { (none) } @else { (names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")) } }
}

fn lift(chrome: &Chrome, freeze: &Freeze, word: &str) -> Markup {
    if !matches!(word, "planned" | "in_force") || !chrome.may(Permission::ManageFreeze, None, None) {
        return html! {};
    }
    let action = format!("/freezes/{}/lift", freeze.id);
    let act = Act { csrf: &chrome.csrf, action: &action, label: "Lift", weight: Weight::Grave };
    act.folded(&format!("lift-{}", freeze.id), &reason(Need::Required))
}

fn exceptions(chrome: &Chrome, deployments: &Beside, freeze: &Freeze) -> Markup {
    let open = matches!(freeze.state(chrome.now_ms), "planned" | "in_force");
    html! {
        @if !freeze.exceptions.is_empty() {
            h4 { "Exceptions" }
            ul.lines.stacked {
                @for it in &freeze.exceptions {
                    li {
                        @if open { (standing(it, &chrome.clock()).badge()) } @else { (at_the_end(it).badge()) }
                        div.grow {
                            a href={ "/deployments/" (it.deployment) } {
                                (deployments.titles.get(&it.deployment).map_or(it.deployment.as_str(), String::as_str))
                            }
                            ": " (it.reason)
                            p.small.muted { "asked by " (it.requested_by) " " (chrome.clock().age(it.requested_at_ms)) " · " (told(it, open, &chrome.clock())) }
                            @if open && it.state == ExceptionState::Requested { (ruling(chrome, freeze, it)) }
                        }
                    }
                }
            }
        }
        @if open { (request(chrome, &deployments.waiting, freeze)) }
    }
}

/// How an exception of a freeze stands that is not over.
fn standing(exception: &Exception, clock: &Clock) -> Look {
    match &exception.state {
        ExceptionState::Requested => Look { glyph: "person", word: "asked", tone: Tone::Wait },
        ExceptionState::Approved { until_ms, .. } if *until_ms > clock.now_ms => {
            Look { glyph: "check", word: "approved", tone: Tone::Good }
        }
        ExceptionState::Approved { .. } => Look { glyph: "clock", word: "expired", tone: Tone::Idle },
        ExceptionState::Rejected { .. } => Look { glyph: "cross", word: "rejected", tone: Tone::Bad },
        ExceptionState::Withdrawn => Look { glyph: "minus", word: "withdrawn", tone: Tone::Idle },
    }
}

/// How it stood when the freeze ended: nothing waits or expires any more.
fn at_the_end(exception: &Exception) -> Look {
    match &exception.state {
        ExceptionState::Requested => Look { glyph: "minus", word: "not decided", tone: Tone::Idle },
        ExceptionState::Approved { .. } => Look { glyph: "check", word: "approved", tone: Tone::Idle },
        ExceptionState::Rejected { .. } => Look { glyph: "cross", word: "rejected", tone: Tone::Idle },
        ExceptionState::Withdrawn => Look { glyph: "minus", word: "withdrawn", tone: Tone::Idle },
    }
}

fn told(exception: &Exception, open: bool, clock: &Clock) -> Markup {
    html! {
        @match &exception.state {
            ExceptionState::Requested if open => "somebody else has to decide",
            ExceptionState::Requested => "the freeze is over",
            ExceptionState::Approved { by, until_ms } if open && *until_ms > clock.now_ms => {
                "by " (by) ", expires " (clock.countdown(*until_ms)) ", " (clock.at(*until_ms))
            },
            ExceptionState::Approved { by, until_ms } => { "by " (by) ", until " (clock.at(*until_ms)) },
            ExceptionState::Rejected { by, reason } => { "by " (by) ": " (reason) },
            ExceptionState::Withdrawn => {},
        }
    }
}

fn ruling(chrome: &Chrome, freeze: &Freeze, exception: &Exception) -> Markup {
    if chrome.is(&exception.requested_by) {
        return not_offered("You asked for it, so somebody else decides", "a release manager or a change authority can");
    }
    if !chrome.may(Permission::RuleException, None, None) {
        return not_offered("Your roles do not let you decide", "a release manager or a change authority can");
    }
    let clock = chrome.clock();
    html! {
        form.act.ballot method="post" action={ "/freezes/" (freeze.id) "/exceptions/" (exception.id) "/rule" } id={ "rule-" (exception.id) } {
            (hidden(&chrome.csrf))
            div.fields {
                (instant("until", &format!("Expires ({})", clock.zone_name()), &clock.input(freeze.until_ms), Need::Optional))
                (reason_for_a_no())
            }
            div.buttons {
                button.button.main type="submit" name="choice" value="approve" { "Let it through" }
                button.button.grave type="submit" name="choice" value="reject" { "Reject" }
            }
        }
    }
}

fn request(chrome: &Chrome, deployments: &[DeploymentView], freeze: &Freeze) -> Markup {
    if !chrome.may(Permission::Plan, None, None) && !chrome.may(Permission::Deploy, None, None) {
        return html! {};
    }
    let action = format!("/freezes/{}/exceptions", freeze.id);
    let act = Act { csrf: &chrome.csrf, action: &action, label: "Ask for an exception", weight: Weight::Plain };
    let fields = html! {
        @match deployments {
            [] => (text("deployment", "Deployment", "DEP-…", Need::Required)),
            [only] => {
                (value("deployment", only.deployment.id.as_str()))
                p { "For " (line(only)) }
            }
            several => label.field {
                span { "Deployment that may pass" }
                select name="deployment" { @for it in several { option value=(it.deployment.id) { (line(it)) } } }
            },
        }
        (reason(Need::Required))
    };
    act.folded(&format!("ask-{}", freeze.id), &fields)
}

fn line(view: &DeploymentView) -> String {
    let it = &view.deployment;
    format!("{} {} → {} ({})", it.application, it.version_line(), it.environment, it.id)
}
