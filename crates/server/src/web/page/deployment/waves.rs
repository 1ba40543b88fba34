//! Waves left to right, a square for each target, and the gates between.

use maud::{Markup, PreEscaped, html};
use tidegate_domain::deployment::rollout::{Phase, TargetProgress, TargetState};

use super::gates::{Room, gates};
use super::{DeploymentPage, home};
use crate::web::bar::{Counts, counted, words};
use crate::web::layout::Chrome;
use crate::web::state::{self, Tone, glyph};
use crate::web::time::Clock;

/// Targets of a wave that each get an element of their own; more are drawn as one field, a path for each state.
const SQUARES_MAX: usize = 400;
/// The same in a large fleet.
const SQUARES_LARGE_MAX: usize = 100;
/// A fleet that is large.
const LARGE: usize = 1_200;
/// The side of a square in a field.
const CELL: usize = 8;

pub fn waves(chrome: &Chrome, view: &DeploymentPage, clock: &Clock) -> Markup {
    let waves = by_wave(view);
    html! {
        section {
            div.head {
                h2 { "Waves" }
                div.beside { (legend(view)) }
            }
            @let room = if waves.len() > 4 { Room::Little } else { Room::Plenty };
            @if waves.is_empty() { p.muted { "The plan has no target, so there is nothing to do." } }
            ol.waves {
                @for (index, targets) in waves.iter().enumerate() {
                    (gates(chrome, view, (index as u32, room), clock))
                    (wave(view, index as u32, targets))
                }
                // The gates behind the last wave.
                (gates(chrome, view, (waves.len() as u32, room), clock))
            }
        }
    }
}

fn by_wave(view: &DeploymentPage) -> Vec<Vec<&TargetProgress>> {
    let mut waves = vec![Vec::new(); view.detail.plan.waves.len()];
    for target in view.targets() {
        if let Some(wave) = waves.get_mut(target.wave as usize) {
            wave.push(target);
        }
    }
    waves
}

/// The states that there are, so that a square can be read.
fn legend(view: &DeploymentPage) -> Markup {
    let there = TargetState::ALL.into_iter().filter(|state| view.detail.deployment.count(*state) > 0);
    html! { span.legend { @for state in there { span { (square(state, "")) (state::target(state).word) } } } }
}

fn wave(view: &DeploymentPage, index: u32, targets: &[&TargetProgress]) -> Markup {
    let it = &view.detail.deployment;
    let mut counts = Counts::new();
    for target in targets {
        *counts.entry(target.state).or_default() += 1;
    }
    let moving = it.state.holds_slot() && it.wave == index;
    let dense = targets.len() > if view.detail.targets.len() > LARGE { SQUARES_LARGE_MAX } else { SQUARES_MAX };
    html! {
        li.wave.current[moving].dense[dense].many[!dense && targets.len() > 24] id={ "wave-" (index) } aria-current=[moving.then_some("step")] {
            h3 {
                a href={ (home(&it.id)) "?wave=" (index) "#targets" } { "Wave " (index + 1) }
                span.small.muted { " " (counted(targets.len() as u64, "target")) }
            }
            @if dense { (field(targets)) } @else { (squares(view, targets)) }
            p.small { (words(&counts)) }
            @if moving { p.small.muted { (phase(it.phase)) } }
        }
    }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Entry => "its entry gates are asked",
        Phase::Targets => "its targets are at work",
        Phase::Verification => "it is being verified",
    }
}

fn square(state: TargetState, size: &str) -> Markup {
    let look = state::target(state);
    html! { span class={ "sq " (look.tone.class()) (if state == TargetState::Pending { " hollow" } else { "" }) " " (size) } { (glyph(look.glyph)) } }
}

/// A link for each target: its state by glyph and colour, its name by title.
fn squares(view: &DeploymentPage, targets: &[&TargetProgress]) -> Markup {
    let it = &view.detail.deployment;
    let size = if targets.len() > 60 { "small" } else { "" };
    html! {
        div.squares {
            @for target in targets {
                @let word = state::target(target.state).word;
                a id={ "t-" (target.target) } href={ (home(&it.id)) "?target=" (target.target) "#one" }
                    title={ (target.target) ": " (word) } aria-label={ (target.target) ": " (word) } { (square(target.state, size)) }
            }
        }
    }
}

/// Thousands of targets as a few paths: each state has its colour and its shape, the script names what is under the pointer.
fn field(targets: &[&TargetProgress]) -> Markup {
    let columns = columns(targets.len());
    let rows = targets.len().div_ceil(columns);
    let names: Vec<&str> = targets.iter().map(|target| target.target.as_str()).collect();
    html! {
        svg.field viewBox={ "0 0 " (columns * CELL) " " (rows * CELL) } width=(columns * CELL) height=(rows * CELL)
            role="img" aria-label={ (targets.len()) " targets; the list below has them by name" }
            data-columns=(columns) data-names=(names.join(" ")) {
            title {}
            @for state in TargetState::ALL {
                @let shapes = shapes(targets, state, columns);
                @if !shapes.is_empty() { path class={ (field_class(state)) } d=(PreEscaped(shapes)) {} }
            }
        }
    }
}

/// Wide rather than high, in steps of ten so that a row can be counted.
fn columns(count: usize) -> usize {
    (((count as f64 * 2.5).sqrt() / 10.0).ceil() as usize * 10).min(count.max(1))
}

fn field_class(state: TargetState) -> String {
    let look = state::target(state);
    match (state, look.tone) {
        (TargetState::Pending, _) => "fill hollow idle".into(),
        (_, tone) => format!("fill {}", tone.class()),
    }
}

/// One sub-path for each target in the state, in squares of 8 by 8.
fn shapes(targets: &[&TargetProgress], state: TargetState, columns: usize) -> String {
    let outline = outline(state);
    let placed = targets.iter().enumerate().filter(|(_, target)| target.state == state);
    placed.fold(String::new(), |mut path, (index, _)| {
        path.push_str(&format!("M{} {}{outline}", index % columns * CELL, index / columns * CELL));
        path
    })
}

/// The shape of a state in a field, from the corner of its square: full, small, a wedge, a diamond or a cross.
fn outline(state: TargetState) -> &'static str {
    match (state, state::target(state).tone) {
        (TargetState::Pending, _) => "m2 2h3v3h-3z",
        (TargetState::Excluded | TargetState::Cancelled, _) => "m0 3h7v1h-7z",
        (_, Tone::Good) => "h7v7h-7z",
        (_, Tone::Busy) => "m0 7l7-7v7z",
        (_, Tone::Bad) => "h2l1.5 2 1.5-2h2l-2.5 3.5 2.5 3.5h-2l-1.5-2-1.5 2h-2l2.5-3.5z",
        (_, Tone::Wait | Tone::Back | Tone::Idle) => "m3.5 0l3.5 3.5-3.5 3.5-3.5-3.5z",
    }
}
