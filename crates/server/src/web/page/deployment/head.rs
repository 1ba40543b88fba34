//! The head: what goes where, how far it is, what it waits on, and what decided it.

use maud::{Markup, html};
use tidegate_domain::deployment::plan::Purpose;
use tidegate_domain::deployment::rollout::State;

use super::super::history::who;
use super::super::plan::digest;
use super::super::{recorded, sentence};
use super::DeploymentPage;
use super::controls::controls;
use crate::web::bar::{bar, counted, words};
use crate::web::layout::{Chrome, fact};
use crate::web::refusal::reasons;
use crate::web::state::{self, glyph};
use crate::web::time::{Clock, took};

pub fn head(chrome: &Chrome, view: &DeploymentPage, clock: &Clock) -> Markup {
    let it = &view.detail.deployment;
    html! {
        div.title {
            h1 {
                (it.application) " " (it.version_line()) " → " (it.environment) " "
                (state::deployment(it.state).badge())
            }
            (controls(chrome, view))
        }
        (recorded::note(it.recorded.as_ref(), clock))
        (now(view, clock))
        @if it.recorded.is_none() { div.progress {
            (bar(&it.counts))
            p.small {
                strong { (counted(u64::from(it.size), "target")) } ": " (words(&it.counts))
                @if it.state.holds_slot() { span.muted { " · wave " (it.wave + 1) " of " (it.waves) } }
            }
        } }
    }
}

/// Why it may not start, and what decided its way.
pub fn why(view: &DeploymentPage, clock: &Clock) -> Markup {
    html! { (against(view, clock)) (decided(view, clock)) }
}

/// What it does or waits on, since when, and until when.
fn now(view: &DeploymentPage, clock: &Clock) -> Markup {
    let it = &view.detail.deployment;
    html! {
        p class={ "now " (state::deployment(it.state).tone.class()) } {
            strong { (sentence(&view.detail.sentence)) }
            @match (&it.waiting, it.ended_at_ms) {
                (_, Some(at_ms)) => span.muted {
                    " · ended " (clock.age(at_ms)) ", " (clock.at(at_ms))
                    @if let Some(from) = it.started_at_ms { ", after " (took(at_ms - from)) }
                },
                (Some(held), None) => {
                    span.muted { " · " (clock.since(held.since_ms)) }
                    @if let Some(until_ms) = held.until_ms { " · goes on by itself " (clock.countdown(until_ms)) }
                },
                (None, None) => @if let Some(at_ms) = it.started_at_ms { span.muted { " · running " (clock.since(at_ms)) } },
            }
        }
    }
}

/// What stands against starting it.
fn against(view: &DeploymentPage, clock: &Clock) -> Markup {
    let all = &view.detail.reasons;
    html! {
        @if !all.is_empty() {
            section.refusal {
                h2 { "Why it may not start" @if all.len() > 1 { " " span.count { (all.len()) } } }
                (reasons(all, clock))
            }
        }
    }
}

/// The sentences that decided its way; a failure's first, with its numbers.
fn decided(view: &DeploymentPage, clock: &Clock) -> Markup {
    let it = &view.detail.deployment;
    let bad = it.failure.is_some() || matches!(it.state, State::Failed | State::FallbackFailed);
    if it.failure.is_none() && it.decided_by.is_empty() {
        return html! {};
    }
    html! {
        section.decided.bad[bad] {
            h2 { "What decided it" }
            @if let Some(failure) = &it.failure {
                p.verdict {
                    (glyph("cross")) strong { (sentence(&failure.reason)) }
                    @if let Some(by) = &failure.by { " · by " (by) }
                    span.muted { " · " (clock.at_second(failure.at_ms)) }
                }
            }
            @let is_news = |line: &&String| it.failure.as_ref().is_none_or(|failure| failure.reason != **line);
            @let rest: Vec<&String> = it.decided_by.iter().filter(is_news).collect();
            @if !rest.is_empty() { ul.plain { @for line in rest { li { (sentence(line)) } } } }
            @if let Some(back) = &it.fallback {
                p { (glyph("back")) " Taken back by " a href={ "/deployments/" (back) } { (back) } }
            }
        }
    }
}

/// What it is made of.
pub fn facts(view: &DeploymentPage, clock: &Clock) -> Markup {
    let it = &view.detail.deployment;
    let plan = &view.detail.plan;
    html! {
        dl.facts {
            (fact("Plan", &html! { (digest(&it.plan)) " " span.muted { (it.strategy) ", " (counted(u64::from(it.waves), "wave")) } }))
            (fact("Way back", &html! {
                @match (&it.fallback_plan, &plan.no_fallback_because) {
                    (Some(back), _) => { (plan.way_back()) " " span.muted { "plan " (digest(back)) } },
                    (None, Some(why)) => span.muted { "none: " (why) },
                    (None, None) => span.muted { "none" },
                }
            }))
            @if it.purpose == Purpose::Fallback { @if let Some(of) = &it.takes_back {
                (fact("Takes back", &html! { a href={ "/deployments/" (of) } { (of) } }))
            } }
            @if let Some(release) = &view.release { (fact("Release", &release.link())) }
            @if let Some(change) = &view.change { (fact("Change", &change.link())) }
            (fact("Tolerates", &html! { (counted(it.failures_max(plan) as u64, "failed target")) @for condition in plan.conditions() { ", " (condition) } }))
            (fact("Asked by", &html! { (who(&it.requested_by)) " " span.muted { (clock.age(it.created_at_ms)) } }))
            @if let Some(at_ms) = it.not_before_ms { (fact("Not before", &clock.at(at_ms))) }
            @if let Some(at_ms) = it.started_at_ms {
                (fact("Began", &html! { (clock.at_second(at_ms)) " " span.muted { "generation " (it.generation) } }))
            }
        }
    }
}
