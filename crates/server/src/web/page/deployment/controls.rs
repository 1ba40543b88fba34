//! The controls: only those that the state allows, each with what it needs.

use maud::{Markup, html};
use tidegate_domain::deployment::rollout::State;

use super::{DeploymentPage, may_deploy, path};
use crate::web::form::{Act, Need, Weight, choice, reason};
use crate::web::layout::Chrome;
use crate::web::refusal::not_offered;

pub fn controls(chrome: &Chrome, view: &DeploymentPage) -> Markup {
    let it = &view.detail.deployment;
    if !may_deploy(chrome, view) {
        let way = format!("an operator of {} can", it.environment);
        return not_offered("You may look, not steer", &way);
    }
    html! {
        div.buttons {
            @match it.state {
                State::Planned => { (start(chrome, view)) (stop(chrome, view, "Cancel")) },
                State::AwaitingApproval | State::Scheduled | State::Queued => (stop(chrome, view, "Cancel")),
                State::Running | State::Baking => { (pause(chrome, view)) (end(chrome, view)) (fall_back(chrome, view)) },
                State::Paused => { (resume(chrome, view)) (end(chrome, view)) (fall_back(chrome, view)) },
                State::Failing => (end(chrome, view)),
                State::FallingBack => @if let Some(back) = &it.fallback { a.button href={ "/deployments/" (back) } { "Steer the way back" } },
                State::Succeeded | State::Failed | State::Cancelled => @if it.started_at_ms.is_some() && it.recorded.is_none() { (fall_back(chrome, view)) },
                State::FellBack | State::FallbackFailed | State::Expired => {},
            }
        }
    }
}

fn act<'a>(chrome: &'a Chrome, action: &'a str, label: &'a str, weight: Weight) -> Act<'a> {
    Act { csrf: &chrome.csrf, action, label, weight }
}

fn start(chrome: &Chrome, view: &DeploymentPage) -> Markup {
    let action = path(&view.detail.deployment.id, "start");
    let waits = !view.detail.reasons.is_empty();
    html! {
        @if waits {
            // Admission says no now; it can still be asked to wait for a yes.
            (act(chrome, &action, "Start when admitted", Weight::Main).with(&crate::web::form::value("otherwise", "wait")))
        } @else {
            (act(chrome, &action, "Start", Weight::Main).with(&crate::web::form::value("otherwise", "refuse")))
        }
    }
}

fn pause(chrome: &Chrome, view: &DeploymentPage) -> Markup {
    let action = path(&view.detail.deployment.id, "pause");
    act(chrome, &action, "Pause", Weight::Plain).folded(
        "pause",
        &html! {
            p.small { "No more orders go out; what is under way comes to its end." }
            (reason(Need::Optional))
        },
    )
}

fn resume(chrome: &Chrome, view: &DeploymentPage) -> Markup {
    let it = &view.detail.deployment;
    let action = path(&it.id, "resume");
    match it.pause.as_ref().map(|pause| &pause.freeze) {
        Some(Some(freeze)) => html! {
            a.button href={ "/freezes#" (freeze) } { "Ask for an exception" }
            // A person's hold replaces that of the freeze, so that its end does not resume it.
            (pause(chrome, view))
        },
        Some(None) => act(chrome, &action, "Resume", Weight::Main).button(),
        None => html! { a.button href="#questions" { "Answer first" } },
    }
}

fn stop(chrome: &Chrome, view: &DeploymentPage, label: &str) -> Markup {
    let action = path(&view.detail.deployment.id, "stop");
    act(chrome, &action, label, Weight::Grave).folded(
        "stop",
        &html! {
            p.small { "It has not begun, so nothing has to go back." }
            (reason(Need::Required))
        },
    )
}

fn end(chrome: &Chrome, view: &DeploymentPage) -> Markup {
    let it = &view.detail.deployment;
    let action = path(&it.id, "stop");
    let mut ways = vec![("stay", "leave everything where it is")];
    if it.fallback_plan.is_some() && it.fallback.is_none() {
        ways.push(("fall_back", "fall back"));
    }
    act(chrome, &action, "Stop", Weight::Grave).folded(
        "stop",
        &html! {
            p.small { "It ends for good; attempts under way are cancelled." }
            (choice("then", "Then", &ways))
            (reason(Need::Required))
        },
    )
}

fn fall_back(chrome: &Chrome, view: &DeploymentPage) -> Markup {
    let it = &view.detail.deployment;
    if it.fallback_plan.is_none() || it.fallback.is_some() {
        return html! {};
    }
    let action = path(&it.id, "fall-back");
    act(chrome, &action, "Fall back", Weight::Grave).folded(
        "fall-back",
        &html! {
            p.small { "Every target that has changed returns to what it had, by the plan that was made together with this one." }
            (reason(Need::Required))
        },
    )
}
