//! What is defined, brought and enrolled.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use tidegate_api::definition::NamedStrategy;
use tidegate_api::view::{AppliedDefinitions, AppliedOutcome, Enrolment, Page, TargetView, TokenView, Versioned};
use tidegate_domain::access::{Grant, Person, Scope};
use tidegate_domain::deployment::artifact::{Artifact, Format};
use tidegate_domain::estate::{Application, Component, Environment, Tier};
use tidegate_domain::gate::Gate;

use super::{plan, time};
use crate::output::table;

/// What became of definitions.
pub fn applied(applied: &AppliedDefinitions) -> String {
    let word = |outcome: AppliedOutcome| match outcome {
        AppliedOutcome::Created => "created",
        AppliedOutcome::Changed => "changed",
        AppliedOutcome::Unchanged => "unchanged",
    };
    let lines = applied.applied.iter().map(|applied| format!("{:<10}{}", word(applied.outcome), applied.thing));
    let count = |wanted: AppliedOutcome| applied.applied.iter().filter(|applied| applied.outcome == wanted).count();
    let sum = format!(
        "{} created, {} changed, {} unchanged",
        count(AppliedOutcome::Created),
        count(AppliedOutcome::Changed),
        count(AppliedOutcome::Unchanged)
    );
    lines.chain([sum]).collect::<Vec<_>>().join("\n")
}

/// A page of applications.
pub fn applications(page: &Page<Versioned<Application>>) -> String {
    let rows = page.rows.iter().map(|row| [row.value.name.to_string(), row.value.title.clone(), row.value.team.clone()]);
    table(["application", "title", "team"], rows)
}

/// A page of components.
pub fn components(page: &Page<Versioned<Component>>) -> String {
    let rows = page.rows.iter().map(|row| {
        let component = &row.value;
        let steps: Vec<&str> = component.steps.iter().map(|step| step.name.as_str()).collect();
        [component.name.to_string(), component.application.to_string(), pairs(&component.runs_on), steps.join(", ")]
    });
    table(["component", "application", "runs on", "steps"], rows)
}

/// A page of environments, on the way to production as pages list them.
pub fn environments(page: &Page<Versioned<Environment>>) -> String {
    let mut environments: Vec<&Environment> = page.rows.iter().map(|row| &row.value).collect();
    environments.sort_by_key(|it| (it.position, &it.name));
    let rows = environments.into_iter().map(|environment| {
        let tier = match environment.tier {
            Tier::Development => "development",
            Tier::Test => "test",
            Tier::Staging => "staging",
            Tier::Production => "production",
        };
        let controlled = if environment.controlled { "controlled" } else { "open" };
        [environment.name.to_string(), tier.into(), controlled.into(), environment.zone.clone()]
    });
    table(["environment", "tier", "changes", "zone"], rows)
}

/// A page of strategies.
pub fn strategies(page: &Page<Versioned<NamedStrategy>>) -> String {
    let rows = page.rows.iter().map(|row| {
        let strategy = &row.value.strategy;
        let gates = strategy.before.iter().chain(&strategy.after_first).chain(&strategy.after_each).map(Gate::name);
        [row.value.name.to_string(), strategy.cut.name().into(), gates.collect::<Vec<_>>().join(", ")]
    });
    table(["strategy", "cut", "gates"], rows)
}

/// A page of people.
pub fn people(page: &Page<Versioned<Person>>) -> String {
    let rows = page.rows.iter().map(|row| {
        let person = &row.value;
        [person.name.to_string(), person.title.clone(), person.grants.iter().map(grant).collect::<Vec<_>>().join(", ")]
    });
    table(["person", "title", "trusted with"], rows)
}

/// A role and where it holds.
pub fn grant(grant: &Grant) -> String {
    let role = grant.role.as_str().replace('_', " ");
    match &grant.scope {
        Scope::All => role,
        Scope::Application(name) => format!("{role} of {name}"),
        Scope::Environment(name) => format!("{role} in {name}"),
    }
}

/// A page of targets.
pub fn targets(page: &Page<TargetView>, zone: &TimeZone) -> String {
    let rows = page.rows.iter().map(|view| {
        let agent = if view.state.agent_key.is_some() { time::maybe(view.contact_at_ms, zone) } else { "not enrolled".into() };
        [view.target.name.to_string(), view.target.environment.to_string(), pairs(&view.target.labels), installed(view), agent]
    });
    table(["target", "environment", "labels", "installed", "agent heard"], rows)
}

/// Everything about one target.
pub fn target(view: &TargetView, zone: &TimeZone) -> String {
    let mut lines = vec![format!("{} in {}", view.target.name, view.target.environment)];
    let mut fact = |name: &str, value: String| lines.push(format!("  {name:<12}{value}"));
    fact("labels", pairs(&view.target.labels));
    fact("variables", pairs(&view.target.variables));
    fact("installed", installed(view));
    fact("attested", time::maybe(view.state.attested_at_ms, zone));
    fact("enrolled", time::maybe(view.state.enrolled_at_ms, zone));
    fact("last heard", time::maybe(view.contact_at_ms, zone));
    fact("agent", view.agent_version.clone().unwrap_or_else(|| "-".into()));
    for program in &view.unsteady {
        fact("unsteady", format!("{}; it ended {}", program.sentence(), time::maybe(Some(program.ended_at_ms), zone)));
    }
    lines.join("\n")
}

fn installed(view: &TargetView) -> String {
    let one = |(component, attested): (_, &tidegate_domain::estate::Attested)| {
        let complete = if attested.complete { "" } else { " (not complete)" };
        format!("{component} {}{complete}", attested.version)
    };
    let all: Vec<String> = view.state.attested.iter().map(one).collect();
    if all.is_empty() { "-".into() } else { all.join(", ") }
}

/// How to enrol a target.
pub fn enrolment(enrolment: &Enrolment, zone: &TimeZone) -> String {
    let Enrolment { target, command, expires_at_ms, .. } = enrolment;
    format!("run this on {target}, before {}; the token works once:\n\n{command}", time::instant(*expires_at_ms, zone))
}

/// A page of artifacts.
pub fn artifacts(page: &Page<Versioned<Artifact>>, zone: &TimeZone) -> String {
    let rows = page.rows.iter().map(|row| {
        let artifact = &row.value;
        let signed = if artifact.signature.is_some() { "signed" } else { "not signed" };
        [
            artifact.component.to_string(),
            artifact.version.to_string(),
            format_name(artifact.format).into(),
            plan::size(artifact.size_bytes),
            signed.into(),
            time::instant(artifact.uploaded_at_ms, zone),
            artifact.digest.to_string(),
        ]
    });
    table(["component", "version", "format", "size", "signature", "brought", "digest"], rows)
}

/// One artifact in a line.
pub fn artifact(row: &Versioned<Artifact>) -> String {
    let artifact = &row.value;
    let signed = if artifact.signature.is_some() { "signed" } else { "not signed" };
    let Artifact { component, version, digest, .. } = artifact;
    let kind = if artifact.format == Format::File { "one file of " } else { "" };
    format!("{component} {version} is in the media library: {kind}{}, {signed}\n  {digest}", plan::size(artifact.size_bytes))
}

/// A format's name in JSON.
pub fn format_name(format: Format) -> &'static str {
    match format {
        Format::TarGz => "tar_gz",
        Format::Tar => "tar",
        Format::File => "file",
    }
}

/// A page of tokens.
pub fn tokens(page: &Page<TokenView>, zone: &TimeZone) -> String {
    let rows = page.rows.iter().map(|token| {
        let ended = token.ended_at_ms.map_or_else(|| "good".to_owned(), |at_ms| format!("ended {}", time::instant(at_ms, zone)));
        [token.id.to_string(), token.label.clone(), token.opens.clone(), time::instant(token.expires_at_ms, zone), ended]
    });
    table(["token", "label", "opens", "expires", "state"], rows)
}

fn pairs(pairs: &BTreeMap<String, String>) -> String {
    if pairs.is_empty() {
        return "-".into();
    }
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}
