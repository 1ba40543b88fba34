//! The gates between waves: what each asks, how it stands, what it waits on, and the forms to say yes.

use maud::{Markup, html};
use tidegate_api::view::{GateState, GateView};
use tidegate_domain::deployment::rollout::State;

use super::super::sentence;
use super::{DeploymentPage, may_authorise, path};
use crate::web::form::{Act, Need, Weight, reason};
use crate::web::layout::Chrome;
use crate::web::refusal::not_offered;
use crate::web::state::{self, glyph};
use crate::web::time::Clock;

/// How much a gate may say that is not asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Its condition and its answer.
    Plenty,
    /// Its name and its state; the rest is in its title.
    Little,
}

/// The gates that stand before a wave: those after the wave before it, and its own entry gates.
pub fn gates(chrome: &Chrome, view: &DeploymentPage, (before, room): (u32, Room), clock: &Clock) -> Markup {
    let stands_here = |gate: &&GateView| {
        let entry = gate.key.contains(".before.");
        (entry && gate.wave == before) || (!entry && gate.wave + 1 == before)
    };
    let here: Vec<&GateView> = view.detail.gates.iter().filter(stands_here).collect();
    html! {
        @if !here.is_empty() {
            li.gates.little[here.iter().all(|it| is_brief(it, room))] {
                @for it in here {
                    @if is_brief(it, room) { (name_only(it)) } @else { (gate(chrome, view, it, clock)) }
                }
            }
        }
    }
}

fn is_brief(gate: &GateView, room: Room) -> bool {
    room == Room::Little && matches!(gate.state, GateState::Pending | GateState::Passed | GateState::CutShort)
}

fn name_only(gate: &GateView) -> Markup {
    let look = state::gate(gate.state);
    html! {
        div class={ "gate small " (look.tone.class()) } id={ "gate-" (gate.key.replace('.', "-")) } title={ (gate.condition) "; " (gate.sentence) } {
            p.gate-name { (glyph("diamond")) (gate.name) " " (look.mark()) }
        }
    }
}

fn gate(chrome: &Chrome, view: &DeploymentPage, gate: &GateView, clock: &Clock) -> Markup {
    let look = state::gate(gate.state);
    let asking = gate.state == GateState::Asking;
    html! {
        div class={ "gate " (look.tone.class()) } id={ "gate-" (gate.key.replace('.', "-")) } {
            p.gate-name { (glyph("diamond")) strong { (gate.name) } " " (look.badge()) }
            p.small.muted { (gate.condition) }
            @if !gate.sentence.is_empty() && gate.state != GateState::Pending { p.small { (sentence(&gate.sentence)) } }
            @if asking {
                p.small {
                    @if let Some(since_ms) = gate.since_ms { span.muted { "asked " (clock.since(since_ms)) } }
                    @if let Some(until_ms) = gate.until_ms { " · " (clock.countdown(until_ms)) }
                }
                @let yes: Vec<&str> = gate.approvals.iter().map(tidegate_domain::Name::as_str).collect();
                @if !yes.is_empty() { p.small { "Yes from " (yes.join(", ")) } }
                (forms(chrome, view, gate))
            }
        }
    }
}

fn forms(chrome: &Chrome, view: &DeploymentPage, gate: &GateView) -> Markup {
    let it = &view.detail.deployment;
    if !matches!(it.state, State::Running | State::Baking | State::Paused) {
        return html! {};
    }
    let authority = format!("a change authority of {} can", it.environment);
    if !may_authorise(chrome, view) {
        return html! { @if gate.kind == "approval" { (not_offered("Your roles do not let you say yes here", &authority)) } };
    }
    let (approve, override_it) =
        (path(&it.id, &format!("gates/{}/approve", gate.key)), path(&it.id, &format!("gates/{}/override", gate.key)));
    let voted = gate.approvals.iter().any(|name| chrome.is(name));
    html! {
        div.buttons {
            @if gate.kind == "approval" {
                @if voted { (not_offered("You have said yes", "somebody else has to add theirs")) }
                @else { (Act { csrf: &chrome.csrf, action: &approve, label: "Say yes", weight: Weight::Main }.button()) }
            }
            (Act { csrf: &chrome.csrf, action: &override_it, label: "Override", weight: Weight::Plain }
                .folded(&format!("override-{}", gate.key.replace('.', "-")), &html! {
                    p.small { "Lets the deployment go on whatever the gate says; your name and reason are kept." }
                    (reason(Need::Required))
                }))
        }
    }
}
