//! Targets: where components are installed, what each says it has, and how its agent is.

use std::collections::BTreeMap;

use maud::{Markup, html};
use tidegate_api::view::{EventView, TargetView};
use tidegate_domain::access::Permission;
use tidegate_domain::estate::{AgentState, Drift};
use tidegate_domain::{Id, Name};

use super::List;
use super::history::history;
use crate::web::form::{Act, Weight};
use crate::web::layout::{Chrome, Section, fact, live, page, section};
use crate::web::refusal::{not_offered, warning};
use crate::web::state::{self, Look, Tone};
use crate::web::table::{By, Filter, empty, none, table};
use crate::web::time::Clock;

/// A target with what is to be said about it.
#[derive(Debug, Clone)]
pub struct TargetShown {
    /// The target.
    pub view: TargetView,
    /// How its agent is.
    pub agent: AgentState,
    /// Where it differs from what was verified in its environment.
    pub drift: Vec<Drift>,
}

/// A target by itself.
#[derive(Debug, Clone)]
pub struct TargetPage {
    /// The target.
    pub shown: TargetShown,
    /// The fencing number of each application that has been at work in its environment, and who holds its place.
    pub generations: BTreeMap<Name, (u64, Option<Id>)>,
    /// Its history, newest first.
    pub history: Vec<EventView>,
}

const STATES: [(&str, &str); 2] = [("enrolled", "with an agent"), ("defined", "without an agent")];

const COMMANDS: [&str; 1] = ["tidegate apply -f estate.yaml   # target: {name: web-1, environment: production}"];

/// Draws the list.
pub fn targets(chrome: &Chrome, view: &List<TargetShown>) -> Markup {
    let clock = chrome.clock();
    let filter = Filter { path: "/targets", query: &view.query, states: &STATES, by: By::Environment };
    let main = html! {
        div.title { h1 { "Targets" } p.muted { "Where components are installed, and the agents that do it." } }
        (filter.form())
        (live("rows", &html! {
            @match (view.rows.is_empty(), filter.is_asked()) {
                (true, true) => (empty("No target is like that.", &[])),
                (true, false) => (empty("There is no target yet. Define one, then enrol its agent:", &COMMANDS)),
                (false, _) => (rows(&view.rows, &clock)),
            }
            (filter.next(view.next.as_deref()))
        }))
    };
    page(chrome, Section::Targets, "Targets", &main)
}

fn rows(targets: &[TargetShown], clock: &Clock) -> Markup {
    let heads = ["Target", "Environment", "Agent", "Installed", "Drift", "Labels"];
    table("Targets", &heads, &html! { @for target in targets { (row(target, clock)) } })
}

fn row(shown: &TargetShown, clock: &Clock) -> Markup {
    let target = &shown.view.target;
    html! {
        tr id={ "t-" (target.name) } {
            th scope="row" { a href={ "/targets/" (target.name) } { (target.name) } }
            td data-head="Environment" { (target.environment) }
            td data-head="Agent" { (agent(shown, clock)) }
            td data-head="Installed" {
                @if shown.view.state.attested.is_empty() { (none()) }
                @for (index, (component, attested)) in shown.view.state.attested.iter().enumerate() {
                    @if index > 0 { ", " }
                    (component) " " span.version { (attested.version) }
                    @if !attested.complete { " " (INCOMPLETE.badge()) }
                }
            }
            td data-head="Drift" { @if shown.view.state.attested.is_empty() { (none()) } @else { (drift(&shown.drift)) } }
            td data-head="Labels" { (labels(&target.labels)) }
        }
    }
}

fn labels(labels: &BTreeMap<String, String>) -> Markup {
    html! {
        @if labels.is_empty() { (none()) }
        @for (index, (key, value)) in labels.iter().enumerate() { @if index > 0 { " " } span.tag { (key) "=" (value) } }
    }
}

const INCOMPLETE: Look = Look { glyph: "alert", word: "incomplete", tone: Tone::Wait };
const DRIFTED: Look = Look { glyph: "alert", word: "drift", tone: Tone::Wait };
const UNSTEADY: Look = Look { glyph: "alert", word: "unsteady", tone: Tone::Bad };
const AS_VERIFIED: Look = Look { glyph: "equal", word: "none", tone: Tone::Good };

/// How an agent looks.
pub fn agent_look(agent: AgentState) -> Look {
    match agent {
        AgentState::Missing => Look { glyph: "ring", word: "no agent", tone: Tone::Idle },
        AgentState::InTouch => Look { glyph: "check", word: "in touch", tone: Tone::Good },
        AgentState::Silent => Look { glyph: "slash", word: "silent", tone: Tone::Bad },
    }
}

fn agent(shown: &TargetShown, clock: &Clock) -> Markup {
    html! {
        (agent_look(shown.agent).badge())
        @match (shown.agent, shown.view.contact_at_ms) {
            (AgentState::Silent, Some(at_ms)) => { " " span.muted.small { "heard " (clock.age(at_ms)) } }
            (AgentState::Silent, None) => { " " span.muted.small { "not heard since this server began" } }
            (AgentState::InTouch | AgentState::Missing, _) => {}
        }
        @if shown.agent == AgentState::InTouch {
            @for program in &shown.view.unsteady { br; (UNSTEADY.mark()) " " span.small title=(program.sentence()) { (program.component) " does not stay up" } }
        }
    }
}

/// What does not stay up, and what it said last.
fn unsteady(shown: &TargetShown, clock: &Clock) -> Markup {
    html! {
        @for program in shown.view.unsteady.iter().filter(|_| shown.agent == AgentState::InTouch) {
            (warning(&html! { (program.sentence()) ". It ended " (clock.age(program.ended_at_ms)) "; the agent starts it again and again." }))
        }
    }
}

/// Where it differs, in words.
pub fn drift(drift: &[Drift]) -> Markup {
    html! {
        @if drift.is_empty() { (AS_VERIFIED.mark()) }
        @for (index, it) in drift.iter().enumerate() {
            @if index > 0 { br; }
            (DRIFTED.mark()) " " (it.sentence())
        }
    }
}

/// Draws one target.
pub fn target(chrome: &Chrome, view: &TargetPage) -> Markup {
    let clock = chrome.clock();
    let it = &view.shown.view;
    let name = &it.target.name;
    let main = html! {
        nav.crumbs aria-label="Breadcrumb" {
            a href="/targets" { "Targets" }
            a href={ "/targets?environment=" (it.target.environment) } { (it.target.environment) }
            span { (name) }
        }
        (live("head", &html! {
            div.title { h1 { (name) " " (agent_look(view.shown.agent).badge()) } }
            (unsteady(&view.shown, &clock))
            dl.facts {
                (fact("Environment", &html! { (it.target.environment) }))
                (fact("Last contact", &html! { @match it.contact_at_ms { Some(at_ms) => (clock.age(at_ms)), None => (none()) } }))
                (fact("Agent", &html! { @match &it.agent_version { Some(version) => (version), None => (none()) } }))
                (fact("Enrolled", &html! { @match it.state.enrolled_at_ms { Some(at_ms) => (clock.at(at_ms)), None => (none()) } }))
                (fact("Key", &html! { @match &it.state.agent_key { Some(key) => code title="the agent's public key" { (key) }, None => (none()) } }))
                (fact("Labels", &labels(&it.target.labels)))
            }
        }))
        div.columns {
            div {
                (live("installed", &section("Installed", &installed(view, &clock))))
                (section("Variables", &variables(&it.target.variables)))
            }
            (section("Agent", &enrolment(chrome, view)))
        }
        (live("history", &section("History", &history(&view.history, &clock))))
    };
    page(chrome, Section::Targets, name.as_str(), &main)
}

fn installed(view: &TargetPage, clock: &Clock) -> Markup {
    let state = &view.shown.view.state;
    html! {
        @if state.attested.is_empty() { (empty("It has not said that anything is installed.", &[])) } @else {
            (table("Installed", &["Component", "Version", "Bytes"], &html! {
                @for (component, attested) in &state.attested {
                    tr {
                        th scope="row" { (component) }
                        td data-head="Version" {
                            span.version { (attested.version) }
                            @if !attested.complete { " " (INCOMPLETE.badge()) }
                        }
                        td data-head="Bytes" { code title=(attested.digest) { (attested.digest.short()) } }
                    }
                }
            }))
            @if let Some(at_ms) = state.attested_at_ms { p.small.muted { "As it said " (clock.age(at_ms)) "." } }
        }
        h3 { "Drift" }
        p { @if view.shown.drift.is_empty() { "None: it has what was last verified in " (view.shown.view.target.environment) "." } @else { (drift(&view.shown.drift)) } }
        @if !view.generations.is_empty() {
            h3 { "Generations" }
            ul.lines {
                @for (application, (generation, holder)) in &view.generations {
                    li {
                        span.grow { (application) }
                        span.muted { "generation " (generation) }
                        @if let Some(holder) = holder { a href={ "/deployments/" (holder) } { (holder) " is at work" } }
                    }
                }
            }
        }
    }
}

fn variables(variables: &BTreeMap<String, String>) -> Markup {
    html! {
        @if variables.is_empty() { p.muted { "None of its own." } } @else {
            (table("Variables", &["Name", "Value"], &html! {
                @for (key, value) in variables { tr { th scope="row" { (key) } td data-head="Value" { code { (value) } } } }
            }))
        }
    }
}

fn enrolment(chrome: &Chrome, view: &TargetPage) -> Markup {
    let target = &view.shown.view.target;
    if !chrome.may(Permission::Enrol, None, Some(&target.environment)) {
        return not_offered("Your roles do not let you enrol an agent here", "an operator can");
    }
    let enrolled = view.shown.agent != AgentState::Missing;
    let (label, what) = if enrolled {
        ("Enrol again", "A new agent takes the place of the one before, whose key then opens nothing.")
    } else {
        ("Enrol", "Makes a one-time token, good for a day, and shows the command to run on the host.")
    };
    let action = format!("/targets/{}/enrol", target.name);
    let weight = if enrolled { Weight::Plain } else { Weight::Main };
    html! {
        p { (what) }
        (Act { csrf: &chrome.csrf, action: &action, label, weight }.button())
        p.small.muted { "The same by hand:" }
        pre.command tabindex="0" { code { "tidegate target enrol " (target.name) } }
    }
}

/// What is shown once after an enrolment was asked for.
pub fn enrolled(chrome: &Chrome, made: &tidegate_api::view::Enrolment) -> Markup {
    let clock = chrome.clock();
    let main = html! {
        div.narrow {
            h1 { "Enrol " (made.target) }
            p { "Run this on the host, as the user that is to own the files. It is shown once, and good until " (clock.at(made.expires_at_ms)) "." }
            pre.command tabindex="0" { code { (made.command) " --trust \"$(cat release.key.pub)\"" } }
            p.muted { "The agent makes a key of its own and keeps it; the token is used up. With " code { "--trust" } " it runs only what your release key has signed." }
            p { a href={ "/targets/" (made.target) } { "Back to " (made.target) } ", which turns to " (state::glyph("check")) " in touch when the agent has called." }
        }
    };
    page(chrome, Section::Targets, "Enrol", &main)
}
