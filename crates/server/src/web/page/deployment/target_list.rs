//! The list of targets: what needs attention first, narrowed by links.

use maud::{Markup, html};
use tidegate_domain::deployment::rollout::{TargetProgress, TargetState};

use super::{Asked, DeploymentPage, home};
use crate::web::bar::number;
use crate::web::layout::section_with;
use crate::web::state;
use crate::web::table::{none, tight};
use crate::web::time::{Clock, took};

/// Rows of one page of the list.
const ROWS: usize = 50;

pub fn list(view: &DeploymentPage, clock: &Clock) -> Markup {
    let asked = &view.asked;
    let mut shown: Vec<&TargetProgress> = view.targets().filter(|target| is_asked(asked, target)).collect();
    shown.sort_by_key(|target| (urgency(target.state), target.wave));
    let page: Vec<&TargetProgress> = shown.iter().skip(asked.from).take(ROWS).copied().collect();
    let rows = html! { @for target in &page { (row(view, target, clock)) } };
    section_with(
        "Targets",
        &filters(view),
        &html! {
            @if page.is_empty() { p.muted { "No target is like that." } } @else {
                (tight("Targets", &["Target", "State", "Wave", "Try", "Took", "What it says"], &rows))
                (pages(view, shown.len()))
            }
        },
    )
}

fn is_asked(asked: &Asked, target: &TargetProgress) -> bool {
    asked.state.is_none_or(|state| target.state == state) && asked.wave.is_none_or(|wave| target.wave == wave)
}

/// What needs somebody comes first, then what moves, then the rest.
fn urgency(state: TargetState) -> u8 {
    match state {
        TargetState::Unknown => 0,
        TargetState::Failed | TargetState::TimedOut | TargetState::Unreachable => 1,
        TargetState::InProgress => 2,
        TargetState::Ordered => 3,
        TargetState::Cancelled => 4,
        TargetState::Healthy => 5,
        TargetState::AlreadyCurrent => 6,
        TargetState::Pending => 7,
        TargetState::Excluded => 8,
    }
}

fn link(view: &DeploymentPage, asked: &Asked) -> String {
    let mut said = Vec::new();
    said.extend(asked.state.map(|state| format!("state={}", state.as_str())));
    said.extend(asked.wave.map(|wave| format!("wave={wave}")));
    said.extend((asked.from > 0).then(|| format!("from={}", asked.from)));
    said.extend(asked.target.as_ref().map(|target| format!("target={target}")));
    let mark = if said.is_empty() { "" } else { "?" };
    format!("{}{mark}{}", home(&view.detail.deployment.id), said.join("&"))
}

fn filters(view: &DeploymentPage) -> Markup {
    let asked = &view.asked;
    let of = |state: Option<TargetState>| link(view, &Asked { state, wave: asked.wave, ..Asked::default() }) + "#targets";
    html! {
        nav.filters aria-label="Targets by state" {
            a href=(of(None)) aria-current=[asked.state.is_none().then_some("true")] { "all " (number(u64::from(view.detail.deployment.size))) }
            @for state in TargetState::ALL {
                @let count = view.detail.deployment.count(state);
                @if count > 0 || asked.state == Some(state) {
                    a href=(of(Some(state))) aria-current=[(asked.state == Some(state)).then_some("true")] {
                        (state::target(state).badge()) " " (number(u64::from(count)))
                    }
                }
            }
            @if let Some(wave) = asked.wave {
                @let every = link(view, &Asked { state: asked.state, ..Asked::default() });
                a href={ (every) "#targets" } aria-label="Show all waves" { "wave " (wave + 1) " ✕" }
            }
        }
    }
}

fn row(view: &DeploymentPage, target: &TargetProgress, clock: &Clock) -> Markup {
    let chosen = view.asked.target.as_ref() == Some(&target.target);
    let href = link(view, &Asked { target: Some(target.target.clone()), ..view.asked.clone() }) + "#one";
    html! {
        tr id={ "row-" (target.target) } .chosen[chosen] {
            th.key scope="row" { a href=(href) aria-current=[chosen.then_some("true")] { (target.target) } }
            td data-head="State" { (state::target(target.state).badge()) }
            td.number data-head="Wave" { (target.wave + 1) }
            td.number data-head="Try" { @if target.attempt > 0 { (target.attempt) } @else { (none()) } }
            td.number data-head="Took" { (duration(target, clock)) }
            td.small data-head="What it says" { (says(target)) }
        }
    }
}

fn duration(target: &TargetProgress, clock: &Clock) -> Markup {
    html! {
        @match (target.ordered_at_ms, target.state.is_in_flight()) {
            (Some(from), true) => (clock.since(from)),
            (Some(from), false) if target.changed_at_ms >= from => (took(target.changed_at_ms - from)),
            _ => (none()),
        }
    }
}

/// Its own sentence, or the step it is at.
fn says(target: &TargetProgress) -> Markup {
    html! {
        @match (&target.detail, target.steps.last()) {
            (Some(detail), _) => (detail),
            (None, Some(step)) if target.state.is_in_flight() => { span.muted { "step " } (step.name) },
            _ => {}
        }
    }
}

fn pages(view: &DeploymentPage, count: usize) -> Markup {
    let asked = &view.asked;
    let at = |from: usize| link(view, &Asked { from, ..asked.clone() }) + "#targets";
    html! {
        @if count > ROWS {
            nav.pages aria-label="Pages of targets" {
                @if asked.from > 0 { a.button href=(at(asked.from.saturating_sub(ROWS))) rel="prev" { "Previous" } }
                span.muted { (number(asked.from as u64 + 1)) " to " (number((asked.from + ROWS).min(count) as u64)) " of " (number(count as u64)) }
                @if asked.from + ROWS < count { a.button href=(at(asked.from + ROWS)) rel="next" { "Next" } }
            }
        }
    }
}
