//! Freezes and the ways into them.

use jiff::tz::TimeZone;
use tidegate_api::view::{Page, Versioned};
use tidegate_domain::Name;
use tidegate_domain::calendar::freeze::{Exception, ExceptionState, Freeze, Running, Strictness};

use super::time;
use crate::output::table;

/// A page of freezes.
pub fn list(page: &Page<Versioned<Freeze>>, zone: &TimeZone) -> String {
    let rows = page.rows.iter().map(|row| {
        let freeze = &row.value;
        [
            freeze.id.to_string(),
            freeze.name.clone(),
            place(freeze),
            time::instant(freeze.from_ms, zone),
            time::instant(freeze.until_ms, zone),
            if freeze.lifted.is_some() { "lifted".into() } else { strictness(freeze.strictness).into() },
        ]
    });
    table(["freeze", "name", "where", "from", "until", "kind"], rows)
}

/// Everything about one freeze.
pub fn detail(row: &Versioned<Freeze>, zone: &TimeZone) -> String {
    let freeze = &row.value;
    let mut lines = vec![format!("{}: \"{}\", {}", freeze.id, freeze.name, freeze.reason)];
    let mut fact = |name: &str, value: String| lines.push(format!("  {name:<12}{value}"));
    fact("where", place(freeze));
    fact("from", time::instant(freeze.from_ms, zone));
    fact("until", time::instant(freeze.until_ms, zone));
    fact("meant in", freeze.zone.clone());
    fact("lets in", strictness(freeze.strictness).into());
    fact("running", running(freeze.running).into());
    if let Some(lifted) = &freeze.lifted {
        fact("lifted", format!("by {}, {}: {}", lifted.by, time::instant(lifted.at_ms, zone), lifted.reason));
    }
    lines.extend(freeze.exceptions.iter().map(|exception| exception_line(exception, zone)));
    lines.join("\n")
}

fn exception_line(exception: &Exception, zone: &TimeZone) -> String {
    let state = match &exception.state {
        ExceptionState::Requested => "waits for somebody to decide".to_owned(),
        ExceptionState::Approved { by, until_ms } => format!("approved by {by} until {}", time::instant(*until_ms, zone)),
        ExceptionState::Rejected { by, reason } => format!("rejected by {by}: {reason}"),
        ExceptionState::Withdrawn => "withdrawn".to_owned(),
    };
    let Exception { id, deployment, requested_by, reason, .. } = exception;
    format!("  exception {id} for {deployment}, asked for by {requested_by} ({reason}): {state}")
}

fn place(freeze: &Freeze) -> String {
    let names = |names: &[Name]| names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
    let environments =
        if freeze.environments.is_empty() { "every controlled environment".into() } else { names(&freeze.environments) };
    if freeze.applications.is_empty() { environments } else { format!("{} in {environments}", names(&freeze.applications)) }
}

fn strictness(strictness: Strictness) -> &'static str {
    match strictness {
        Strictness::Hard => "nothing",
        Strictness::Soft => "standard changes",
    }
}

fn running(running: Running) -> &'static str {
    match running {
        Running::FinishWave => "finishes its wave, then holds",
        Running::GoOn => "goes on to its end",
    }
}
