//! One target: its steps, the end of its log, and what a person can say about it; and the questions that only a person can answer.

use maud::{Markup, html};
use tidegate_domain::deployment::order::StepState;
use tidegate_domain::deployment::rollout::{State, TargetProgress, TargetState};

use super::{DeploymentPage, home, may_deploy, path};
use crate::web::form::{Act, Need, Weight, hidden, reason};
use crate::web::layout::{Chrome, section};
use crate::web::refusal::not_offered;
use crate::web::state::{self, glyph};
use crate::web::table::{none, tight};
use crate::web::time::{Clock, took};

/// Questions shown at once; the list below has the rest.
const QUESTIONS: usize = 5;

/// A target whose uncertain step a person must speak for.
pub fn questions(chrome: &Chrome, view: &DeploymentPage) -> Markup {
    let asking: Vec<&TargetProgress> = view.targets().filter(|target| target.state == TargetState::Unknown).collect();
    let open = matches!(view.detail.deployment.state, State::Running | State::Paused | State::Baking);
    if asking.is_empty() || !open {
        return html! {};
    }
    html! {
        section.question {
            h2 { (glyph("question")) "It asks you" @if asking.len() > 1 { " " span.count { (asking.len()) } } }
            @for target in asking.iter().take(QUESTIONS) { (question(chrome, view, target)) }
            @if asking.len() > QUESTIONS {
                p { a href="?state=unknown#targets" { (asking.len() - QUESTIONS) " more targets ask" } }
            }
        }
    }
}

fn question(chrome: &Chrome, view: &DeploymentPage, target: &TargetProgress) -> Markup {
    let step = target.steps.iter().find(|step| step.state == StepState::Unknown);
    let id = &view.detail.deployment.id;
    html! {
        div.ask {
            p {
                strong { (target.target) } ": did "
                @if let Some(step) = step { "step " strong { (step.name) } " of " (step.component) } @else { "the step it was at" }
                " run? The agent was away while it ran. It must not run twice, so nothing goes on by itself. "
                a href={ (home(id)) "?target=" (target.target) "#one" } { "Its log" }
            }
            @if let Some(detail) = &target.detail { p.small.muted { (detail) } }
            @if may_deploy(chrome, view) {
                form.act method="post" action=(path(id, &format!("targets/{}/answer", target.target))) {
                    (hidden(&chrome.csrf))
                    div.buttons {
                        button.button.main type="submit" name="answer" value="ran" { "It ran: go on after it" }
                        button.button type="submit" name="answer" value="run_again" { "It did not run: run it" }
                        button.button.grave type="submit" name="answer" value="failed" { "Count the target as failed" }
                    }
                }
            } @else { (not_offered("Your roles do not let you answer", &format!("an operator of {} can", view.detail.deployment.environment))) }
        }
    }
}

/// The target that was asked for.
pub fn panel(chrome: &Chrome, view: &DeploymentPage, clock: &Clock) -> Markup {
    let found = view.asked.target.as_ref().and_then(|name| view.detail.targets.iter().find(|target| target.target == *name));
    let Some(target) = found else {
        return section("Target", &html! { p.muted { "There is no such target in this deployment." } });
    };
    section(
        "Target",
        &html! {
            h3 { (target.target) " " (state::target(target.state).badge()) }
            @if let Some(detail) = &target.detail { p { (detail) } }
            p.small.muted {
                "wave " (target.wave + 1) ", try " (target.attempt)
                @if let Some(at_ms) = target.ordered_at_ms { ", ordered " (clock.at_second(at_ms)) }
                ", changed " (clock.age(target.changed_at_ms))
            }
            (versions(view, target))
            (steps(target))
            (acts(chrome, view, target))
            (log(view, clock))
        },
    )
}

fn versions(view: &DeploymentPage, target: &TargetProgress) -> Markup {
    let planned =
        view.detail.plan.waves.get(target.wave as usize).and_then(|wave| wave.targets.iter().find(|it| it.name == target.target));
    html! {
        @if let Some(planned) = planned {
            p.small {
                @for component in &planned.components {
                    @let from = planned.from.get(component).map_or_else(|| "not installed".to_owned(), |attested| attested.version.to_string());
                    span { (component) " " (from) " → " @if let Some(to) = view.detail.deployment.versions.get(component) { strong { (to) } } " " }
                }
            }
        }
    }
}

fn steps(target: &TargetProgress) -> Markup {
    let rows = html! {
        @for step in &target.steps {
            tr {
                th scope="row" { (step.name) " " span.small.muted { (step.component) } }
                td data-head="State" { (state::step(step.state).badge())
                    @if let Some(code) = step.exit_code { " " span.small.muted { "exit " (code) } }
                }
                td.number data-head="Took" { @if let Some(ms) = step.took_ms { (took(ms as i64)) } @else { (none()) } }
                td.small data-head="What it says" { (step.detail.as_deref().unwrap_or_default()) }
            }
        }
    };
    html! { @if !target.steps.is_empty() { (tight("Steps", &["Step", "State", "Took", "What it says"], &rows)) } }
}

/// Retry and exclude, where the target's state allows them.
fn acts(chrome: &Chrome, view: &DeploymentPage, target: &TargetProgress) -> Markup {
    let open = matches!(view.detail.deployment.state, State::Running | State::Paused | State::Baking);
    if !open || !may_deploy(chrome, view) {
        return html! {};
    }
    let of = |verb: &str| path(&view.detail.deployment.id, &format!("targets/{}/{verb}", target.target));
    let (retry, exclude) = (of("retry"), of("exclude"));
    let again = target.state.is_failure() || target.state == TargetState::Cancelled;
    let out = !target.state.is_in_flight() && !target.state.is_good();
    html! {
        div.buttons {
            @if again {
                (Act { csrf: &chrome.csrf, action: &retry, label: "Try again", weight: Weight::Plain }
                    .folded("retry", &reason(Need::Optional)))
            }
            @if out {
                (Act { csrf: &chrome.csrf, action: &exclude, label: "Exclude", weight: Weight::Grave }.folded("exclude", &html! {
                    p.small { "It leaves the fleet of this deployment: neither good nor failed." }
                    (reason(Need::Required))
                }))
            }
        }
    }
}

/// The end of the log, as the target told it.
fn log(view: &DeploymentPage, clock: &Clock) -> Markup {
    html! {
        div.head {
            h4 { "Log" }
            label.follow.script { input type="checkbox" id="follow" checked; " follow" }
        }
        @if view.log.is_empty() { p.muted { "It has written nothing yet." } } @else {
            pre.log id="log" data-follow="follow" tabindex="0" aria-label="Log, newest last" { @for chunk in &view.log { (chunk.text) } }
            @if let Some(last) = view.log.last() {
                p.small.muted { "to piece " (last.number) ", written " (clock.at_second(last.at_ms)) " by the target's clock" }
            }
        }
    }
}
