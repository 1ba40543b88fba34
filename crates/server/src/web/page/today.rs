//! Today: now and next on each controlled environment, what waits and on whom, what needs me.

use std::collections::BTreeMap;

use maud::{Markup, html};
use tidegate_api::view::{DeploymentView, Unsteady};
use tidegate_domain::calendar::Freeze;
use tidegate_domain::estate::Environment;
use tidegate_domain::measure::dora::Dora;
use tidegate_domain::release::Release;
use tidegate_domain::{Id, Millis, Name};

use super::insights::named_figures;
use super::sentence;
use crate::web::bar::{self, counted, number};
use crate::web::layout::{Chrome, Section, live, page, section, section_with};
use crate::web::refusal::warning;
use crate::web::state;
use crate::web::table::{empty, table};
use crate::web::time::Clock;

/// What the page shows.
#[derive(Debug, Clone)]
pub struct Today {
    /// The environments in their order, controlled ones and others; the page puts the controlled ones first.
    pub environments: Vec<EnvironmentNow>,
    /// Whether there is any environment, seen or not.
    pub defined: bool,
    /// What does not move, and on whom it waits; longest first.
    pub waiting: Vec<Waiting>,
    /// What the person who looks can do now.
    pub asks: Vec<Ask>,
    /// Freezes in force or near.
    pub freezes: Vec<Freeze>,
    /// Releases in early life support.
    pub support: Vec<Release>,
    /// Agents.
    pub agents: Agents,
    /// The figures over the last `dora_days`.
    pub dora: Dora,
    /// The period of the figures.
    pub dora_days: u32,
}

/// An environment, and each application in it.
#[derive(Debug, Clone)]
pub struct EnvironmentNow {
    /// The environment.
    pub environment: Environment,
    /// Its applications, by name.
    pub places: Vec<Place>,
}

/// An application in an environment.
#[derive(Debug, Clone)]
pub struct Place {
    /// The application.
    pub application: Name,
    /// What is verified there, if anything is.
    pub runs: Option<Runs>,
    /// The deployment that is at work there.
    pub now: Option<DeploymentView>,
    /// The next one that is planned or waits to start.
    pub next: Option<DeploymentView>,
    /// Components of which something was recorded here.
    pub recorded: u64,
}

/// What runs.
#[derive(Debug, Clone)]
pub struct Runs {
    /// The versions in one line.
    pub version: String,
    /// Since when.
    pub since_ms: Millis,
    /// By which deployment.
    pub deployment: Id,
}

/// Something that does not move.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// What, in a few words: `ledger 1.2 → production`.
    pub what: String,
    /// Where it is shown.
    pub href: String,
    /// What it waits on, in a sentence.
    pub sentence: String,
    /// On whom, in words: `a change authority`, `time`, `the agent of web-03`.
    pub whom: String,
    /// Since when.
    pub since_ms: Option<Millis>,
    /// Until when, if time alone lifts it.
    pub until_ms: Option<Millis>,
}

/// Something the person who looks can do now.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What is asked: `Approve`, `Answer`, `Decide`.
    pub verb: String,
    /// About what.
    pub what: String,
    /// Where it is done.
    pub href: String,
    /// Since when it is asked.
    pub since_ms: Millis,
}

/// How the agents are.
#[derive(Debug, Clone, Default)]
pub struct Agents {
    /// Targets that are defined.
    pub targets: u64,
    /// Targets with an agent that was heard of lately.
    pub in_touch: u64,
    /// Targets with an agent that was not, longest first, at most ten.
    pub silent: Vec<(Name, Option<Millis>)>,
    /// How many are silent in all.
    pub silent_count: u64,
    /// Targets without an agent, at most ten.
    pub without: Vec<Name>,
    /// How many have none in all.
    pub without_count: u64,
    /// The agents' versions, and how many are of each.
    pub versions: BTreeMap<String, u64>,
    /// Programs that do not stay up, with the targets that they are on; the first few.
    pub unsteady: Vec<(Name, Unsteady)>,
    /// How many do not in all.
    pub unsteady_count: u64,
}

/// Draws the page.
pub fn today(chrome: &Chrome, view: &Today) -> Markup {
    let clock = chrome.clock();
    let main = html! {
        div.title { h1 { "Today" } p.muted { (clock.day(chrome.now_ms)) } }
        @if !view.defined { (first_steps()) } @else if view.environments.is_empty() {
            p.lead { "There is no environment that you may see." }
            p.muted { "An administrator can give you a role in one: " code { "tidegate apply" } " with a person's grants." }
        } @else {
            (live("asks", &asks(&view.asks, &clock)))
            (live("environments", &environments(&view.environments, &clock)))
            div.columns {
                (live("waiting", &section("Waiting", &waiting(&view.waiting, &clock))))
                div {
                    (live("freezes", &section("Freezes", &freezes(&view.freezes, &clock))))
                    (live("support", &section("Early life support", &support(&view.support, &clock))))
                    (live("agents", &section("Agents", &agents(&view.agents, &clock))))
                }
            }
            (live("dora", &dora(&view.dora, view.dora_days, &clock)))
        }
    };
    page(chrome, Section::Today, "Today", &main)
}

fn first_steps() -> Markup {
    let steps: [(&str, &[&str]); 4] = [
        ("Describe what you have: applications, components, environments, targets.", &["tidegate apply -f definitions/"]),
        (
            "Enrol an agent on each target; the command prints a one-time token and what to run there.",
            &["tidegate target enrol web-01"],
        ),
        (
            "Bring the first version into the media library.",
            &["tidegate artifact upload --component api --version 1.0 api-1.0.tar.gz"],
        ),
        ("Plan it and let it go.", &["tidegate deploy shop development --version api=1.0 --watch"]),
    ];
    html! {
        p.lead { "Nothing is defined yet. Four steps from here to the first deployment:" }
        ol.steps { @for (what, commands) in steps { li { (empty(what, commands)) } } }
        p.muted {
            "To look around first: " code { "tidegate demo" }
            " plays a whole release on this machine, with real processes and without touching this data."
        }
    }
}

fn asks(asks: &[Ask], clock: &Clock) -> Markup {
    html! {
        section.asks {
            h2 { "Needs you" @if !asks.is_empty() { " " span.count { (asks.len()) } } }
            @if asks.is_empty() { p.muted { "Nothing waits for you." } } @else {
                ul.lines {
                    @for ask in asks {
                        li {
                            a.button.main href=(ask.href) { (ask.verb) }
                            span.grow { (ask.what) }
                            span.muted { "asked " (clock.age(ask.since_ms)) }
                        }
                    }
                }
            }
        }
    }
}

fn environments(environments: &[EnvironmentNow], clock: &Clock) -> Markup {
    let (controlled, others): (Vec<_>, Vec<_>) = environments.iter().partition(|it| it.environment.controlled);
    let rows = html! { @for it in controlled.into_iter().chain(others) { (environment(it, clock)) } };
    section("Now and next", &table("Environments", &["Environment", "Application", "Runs", "Now", "Next"], &rows))
}

fn environment(it: &EnvironmentNow, clock: &Clock) -> Markup {
    let name = html! {
        a href={ "/deployments?environment=" (it.environment.name) } { (it.environment.name) }
        @if it.environment.controlled { " " span.tag title="a change must be authorised" { "controlled" } }
    };
    html! {
        @if it.places.is_empty() {
            tr { th scope="row" { (name) } td.muted colspan="4" { "nothing was deployed here yet" } }
        }
        @for (index, place) in it.places.iter().enumerate() {
            tr {
                @if index == 0 { th scope="rowgroup" rowspan=(it.places.len()) { (name) } }
                td data-head="Application" { (place.application) }
                td data-head="Runs" { (runs(place, clock)) }
                td data-head="Now" { (now(place, clock)) }
                td data-head="Next" { (next(place, clock)) }
            }
        }
    }
}

fn runs(place: &Place, clock: &Clock) -> Markup {
    html! {
        @match &place.runs {
            Some(runs) => { a.version href={ "/deployments/" (runs.deployment) } { (runs.version) } " " span.muted { (clock.since(runs.since_ms)) } }
            None if place.recorded > 0 => {
                a href={ "/environments?application=" (place.application) } { (counted(place.recorded, "component")) } span.muted { " recorded" }
            }
            None => span.muted { "nothing verified" }
        }
    }
}

fn now(place: &Place, clock: &Clock) -> Markup {
    let Some(view) = &place.now else { return html! { span.muted { "at rest" } } };
    let it = &view.deployment;
    html! {
        div.moving {
            a href={ "/deployments/" (it.id) } { span.version { (it.version_line()) } " " (state::deployment(it.state).badge()) }
            (bar::bar(&it.counts))
            span.small.muted { "wave " (it.wave + 1) " of " (it.waves) " · " (bar::words(&it.counts)) }
            span.small { (sentence(&view.sentence)) (until(view, clock)) }
        }
    }
}

fn next(place: &Place, clock: &Clock) -> Markup {
    let Some(view) = &place.next else { return html! { span.muted { "nothing planned" } } };
    let it = &view.deployment;
    html! {
        a href={ "/deployments/" (it.id) } { span.version { (it.version_line()) } " " (state::deployment(it.state).badge()) }
        @if let Some(at_ms) = it.not_before_ms { " " (clock.at(at_ms)) }
        br;
        span.small { (sentence(&view.sentence)) (until(view, clock)) }
    }
}

fn until(view: &DeploymentView, clock: &Clock) -> Markup {
    html! { @if let Some(until_ms) = view.deployment.waiting.as_ref().and_then(|held| held.until_ms) { " · " (clock.countdown(until_ms)) } }
}

fn waiting(waiting: &[Waiting], clock: &Clock) -> Markup {
    html! {
        @if waiting.is_empty() { p.muted { "Nothing stands still." } } @else {
            ul.lines.stacked {
                @for it in waiting {
                    li {
                        div.grow {
                            a href=(it.href) { (it.what) }
                            p.small { (sentence(&it.sentence)) }
                        }
                        div.aside {
                            span.whom { "on " (it.whom) }
                            @if let Some(since_ms) = it.since_ms { span.muted.small { (clock.since(since_ms)) } }
                            @if let Some(until_ms) = it.until_ms { span.small { (clock.countdown(until_ms)) } }
                        }
                    }
                }
            }
        }
    }
}

fn freezes(freezes: &[Freeze], clock: &Clock) -> Markup {
    html! {
        @if freezes.is_empty() {
            p.muted { "None in force, none near. " a href="/freezes" { "Declare one" } }
        } @else {
            ul.lines {
                @for freeze in freezes {
                    li {
                        (state::freeze(freeze.state(clock.now_ms)).badge())
                        a.grow href={ "/freezes#" (freeze.id) } { (freeze.name) }
                        span.small {
                            @if freeze.from_ms > clock.now_ms { "begins " (clock.countdown(freeze.from_ms)) }
                            @else { "ends " (clock.countdown(freeze.until_ms)) }
                        }
                    }
                }
            }
        }
    }
}

fn support(releases: &[Release], clock: &Clock) -> Markup {
    html! {
        @if releases.is_empty() { p.muted { "No release is in early life support." } } @else {
            ul.lines {
                @for release in releases {
                    li {
                        (state::release(release.state).mark())
                        a.grow href={ "/releases/" (release.id) } { (release.application) " " (release.version) " " span.muted { (release.title) } }
                        @let last = release.phases.iter().rev().find_map(|phase| phase.ended_at_ms);
                        @if let Some(since_ms) = last { span.small.muted { (clock.since(since_ms)) } }
                    }
                }
            }
        }
    }
}

fn agents(agents: &Agents, clock: &Clock) -> Markup {
    html! {
        p {
            strong { (number(agents.in_touch)) } " of " (number(agents.targets)) " targets in touch"
            @for (version, count) in &agents.versions { span.muted.small { " · " (number(*count)) " run " (version) } }
        }
        @for (target, program) in &agents.unsteady {
            (warning(&html! { a href={ "/targets/" (target) } { (target) } ": " (program.sentence()) ", " (clock.age(program.ended_at_ms)) }))
        }
        @if agents.unsteady_count > agents.unsteady.len() as u64 {
            p.small.muted { (number(agents.unsteady_count - agents.unsteady.len() as u64)) " more programs do not stay up." }
        }
        @if agents.silent_count > 0 {
            (warning(&html! {
                (number(agents.silent_count)) " silent: "
                @for (index, (name, at_ms)) in agents.silent.iter().enumerate() {
                    @if index > 0 { ", " } (name) @if let Some(at_ms) = at_ms { " (" (clock.age(*at_ms)) ")" }
                }
            }))
        }
        @if let Some(first) = agents.without.first() {
            p.warn { (state::glyph("ring")) span { (number(agents.without_count)) " without an agent: " (names(&agents.without)) } }
            pre.command tabindex="0" { code { "tidegate target enrol " (first) } }
        }
    }
}

fn names(names: &[Name]) -> String {
    names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")
}

fn dora(dora: &Dora, days: u32, clock: &Clock) -> Markup {
    let figures = named_figures(dora);
    let list = html! {
        dl.figures {
            @for (name, figure) in figures {
                div { dt { (name) } dd { @match figure { Some(figure) => (figure), None => span.muted title="nothing was counted" { "–" } } } }
            }
        }
    };
    let counted = counted(dora.deployments, "production deployment");
    let beside = html! {
        span.muted.small {
            @match dora.not_counted_before_ms { Some(from_ms) => { "since " (clock.at(from_ms)) }, None => { "last " (days) " days" } }
            " · " a href="/insights" { (counted) }
        }
    };
    section_with("Delivery", &beside, &list)
}
