//! What would run: the plan for people who vote on it.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};
use tidegate_domain::deployment::plan::{Plan, Wave};
use tidegate_domain::deployment::strategy::OnFailure;
use tidegate_domain::gate::Gate;
use tidegate_domain::{Digest, Name};

use crate::web::bar::{counted, number};
use crate::web::state::glyph;
use crate::web::table::table;

/// Waves that are told one by one; of more, the first and the last ones are.
const WAVES_TOLD: usize = 8;

/// A digest, short, with the whole in its title.
pub fn digest(digest: &Digest) -> Markup {
    html! { code.digest title=(digest) { (digest.short()) } }
}

/// Versions from and to, waves, gates, and what happens when it fails.
pub fn plan(digest_of: &Digest, plan: &Plan) -> Markup {
    let targets = plan.targets().count();
    html! {
        p {
            "Plan " (digest(digest_of)) ": " strong { (plan.application) " → " (plan.environment) } ", "
            (counted(targets as u64, "target")) " in " (counted(plan.waves.len() as u64, "wave"))
            " (" (plan.strategy) "). Byte for byte this plan runs, or none."
        }
        (versions(plan))
        ol.plan-waves {
            @for (index, wave) in told(plan) { (self::wave(index, wave)) }
        }
        (failure(plan))
    }
}

fn versions(plan: &Plan) -> Markup {
    let from = installed(plan);
    let rows = html! {
        @for installation in &plan.installations {
            tr {
                th scope="row" { (installation.component) }
                td data-head="From" {
                    @match from.get(&installation.component) {
                        Some(versions) => (versions.iter().cloned().collect::<Vec<_>>().join(", ")),
                        None => span.muted { "not installed" },
                    }
                }
                td data-head="To" { strong { (installation.version) } }
                td data-head="Bytes" { (digest(&installation.artifact.digest)) }
                td data-head="Steps" { (installation.steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>().join(" → ")) }
            }
        }
    };
    table("Versions", &["Component", "From", "To", "Bytes", "Steps"], &rows)
}

/// The versions that the plan's targets had when it was made.
fn installed(plan: &Plan) -> BTreeMap<&Name, BTreeSet<String>> {
    let mut versions: BTreeMap<&Name, BTreeSet<String>> = BTreeMap::new();
    for (_, target) in plan.targets() {
        for (component, attested) in &target.from {
            versions.entry(component).or_default().insert(attested.version.to_string());
        }
    }
    versions
}

fn told(plan: &Plan) -> impl Iterator<Item = (usize, &Wave)> {
    let count = plan.waves.len();
    plan.waves
        .iter()
        .enumerate()
        .filter(move |(index, _)| count <= WAVES_TOLD || *index < WAVES_TOLD / 2 || *index >= count - WAVES_TOLD / 2)
}

fn wave(index: usize, wave: &Wave) -> Markup {
    let count = wave.targets.len();
    let names: Vec<&str> = wave.targets.iter().take(3).map(|target| target.name.as_str()).collect();
    html! {
        li value=(index + 1) {
            @if !wave.before.is_empty() { (gates("only if", &wave.before)) }
            strong { (counted(count as u64, "target")) } " "
            span.muted { (names.join(", ")) @if count > names.len() { " and " (number((count - names.len()) as u64)) " more" } }
            @if !wave.after.is_empty() { (gates("then", &wave.after)) }
        }
    }
}

fn gates(when: &str, gates: &[Gate]) -> Markup {
    html! {
        ul.plan-gates { @for gate in gates { li { (glyph("diamond")) span.muted { (when) " " } (gate.condition()) } } }
    }
}

fn failure(plan: &Plan) -> Markup {
    let tolerated = match plan.failures_max() {
        0 => "At the first failed target".to_owned(),
        1 => "At the second failed target".to_owned(),
        count => format!("At more than {count} failed targets"),
    };
    let then = match (plan.on_failure, &plan.fallback) {
        (OnFailure::FallBack, Some(back)) => {
            html! { "it falls back by itself, with plan " (digest(back)) ", which was made together with this one: " (plan.way_back()) "." }
        }
        (OnFailure::FallBack, None) => {
            html! { "it stops: " (plan.no_fallback_because.as_deref().unwrap_or("there is no plan back")) "." }
        }
        (OnFailure::Stop, _) => html! { "it stops and leaves everything where it is." },
    };
    html! {
        p { (tolerated) " or a failed gate " (then) }
        @if !plan.conditions().is_empty() { p { "It fails as well unless " (plan.conditions().join(", and ")) "." } }
    }
}
