//! Releases and their phases.

use jiff::tz::TimeZone;
use tidegate_api::view::{Page, Versioned};
use tidegate_domain::Id;
use tidegate_domain::release::{Phase, PhaseState, Release};

use super::time;
use crate::output::table;

/// A page of releases.
pub fn list(page: &Page<Versioned<Release>>, zone: &TimeZone) -> String {
    let rows = page.rows.iter().map(|row| {
        let release = &row.value;
        [
            release.id.to_string(),
            state(release),
            release.application.to_string(),
            release.version.to_string(),
            release.title.clone(),
            time::maybe(release.ready_by_ms, zone),
        ]
    });
    table(["release", "state", "application", "version", "title", "ready by"], rows)
}

/// One release in a line.
pub fn line(row: &Versioned<Release>, _zone: &TimeZone) -> String {
    let release = &row.value;
    let active = release.phases.iter().find(|phase| phase.state == PhaseState::Active);
    let phase = active.map_or_else(String::new, |phase| format!(", in phase {}", phase.name));
    format!("{}: {} {} is {}{phase}", release.id, release.application, release.version, state(release))
}

/// Everything about one release.
pub fn detail(row: &Versioned<Release>, zone: &TimeZone) -> String {
    let release = &row.value;
    let mut lines = vec![line(row, zone)];
    let versions: Vec<String> = release.versions.iter().map(|(component, version)| format!("{component} {version}")).collect();
    let mut fact = |name: &str, value: String| lines.push(format!("  {name:<12}{value}"));
    fact("title", release.title.clone());
    fact("model", release.model.clone());
    fact("package", versions.join(", "));
    if !release.changes.is_empty() {
        fact("changes", release.changes.iter().map(Id::as_str).collect::<Vec<_>>().join(", "));
    }
    if release.ready_by_ms.is_some() {
        fact("ready by", format!("{} (meant in {})", time::maybe(release.ready_by_ms, zone), release.zone));
    }
    fact("author", release.author.to_string());
    if let Some(rejected) = &release.rejected {
        fact("rejected", format!("by {}, {}: {}", rejected.by, time::instant(rejected.at_ms, zone), rejected.reason));
    }
    if !release.evaluation.is_empty() {
        fact("evaluation", release.evaluation.clone());
    }
    lines.extend(release.objectives.iter().map(|objective| format!("  objective   {objective}")));
    for (index, phase) in release.phases.iter().enumerate() {
        lines.push(phase_line(index, phase, zone));
        lines.extend(phase.exit_criteria.iter().enumerate().map(|(number, criterion)| {
            let met = criterion.met.as_ref().map(|(by, at_ms)| format!("met, said {by}, {}", time::instant(*at_ms, zone)));
            format!("      {number}: {} — {}", criterion.text, met.unwrap_or_else(|| "not yet".into()))
        }));
    }
    lines.join("\n")
}

fn phase_line(index: usize, phase: &Phase, zone: &TimeZone) -> String {
    let state = match phase.state {
        PhaseState::Pending => "pending".to_owned(),
        PhaseState::Active => format!("active since {}", time::maybe(phase.started_at_ms, zone)),
        PhaseState::Complete => format!("complete since {}", time::maybe(phase.ended_at_ms, zone)),
    };
    format!("  phase {index}: {}, {state}", phase.name)
}

fn state(release: &Release) -> String {
    let state = release.state.as_str().replace('_', " ");
    if release.rejected.is_some() { format!("{state}, rejected") } else { state }
}
