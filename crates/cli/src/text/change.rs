//! Changes and the votes on them.

use jiff::tz::TimeZone;
use tidegate_api::view::{Page, Versioned};
use tidegate_domain::Name;
use tidegate_domain::change::{Change, Choice, Class, Content, Level, Outcome, Vote};

use super::time;
use crate::output::table;

/// A page of changes.
pub fn list(page: &Page<Versioned<Change>>, zone: &TimeZone) -> String {
    let rows = page.rows.iter().map(|row| {
        let change = &row.value;
        let environments: Vec<&str> = change.content.environments.iter().map(Name::as_str).collect();
        [
            change.id.to_string(),
            state(change),
            class(change.content.class).into(),
            change.content.application.to_string(),
            environments.join(", "),
            change.content.title.clone(),
            time::instant(row.updated_at_ms, zone),
        ]
    });
    table(["change", "state", "class", "application", "environments", "title", "changed"], rows)
}

/// One change in a line.
pub fn line(change: &Versioned<Change>, _zone: &TimeZone) -> String {
    let change = &change.value;
    let missing =
        (change.quorum as usize).saturating_sub(change.votes.iter().filter(|vote| vote.choice == Choice::Approve).count());
    let votes = match change.state.as_str() {
        "awaiting_authorisation" if missing == 1 => ", 1 approval missing".to_owned(),
        "awaiting_authorisation" => format!(", {missing} approvals missing"),
        _ => String::new(),
    };
    format!("{}: {} is {}{votes}", change.id, change.content.title, state(change))
}

/// Everything about one change.
pub fn detail(row: &Versioned<Change>, zone: &TimeZone) -> String {
    let change = &row.value;
    let mut lines = vec![line(row, zone), content(&change.content)];
    let mut fact = |name: &str, value: String| lines.push(format!("  {name:<14}{value}"));
    fact("author", change.author.to_string());
    fact("content", change.content.digest().to_string());
    fact("written", time::instant(change.created_at_ms, zone));
    if let Some(release) = &change.release {
        fact("release", release.to_string());
    }
    if let Some(at_ms) = change.authorised_at_ms {
        fact("authorised", time::instant(at_ms, zone));
    }
    if let (Some(outcome), Some(at_ms)) = (change.outcome, change.closed_at_ms) {
        fact("closed", format!("{}, {}: {}", time::instant(at_ms, zone), self::outcome(outcome), change.review));
    }
    lines.extend(change.votes.iter().map(|vote| vote_line(vote, "", zone)));
    lines.extend(change.fallen_votes.iter().map(|vote| vote_line(vote, " (fell, as the content changed)", zone)));
    lines.join("\n")
}

/// What people vote on.
pub fn content(content: &Content) -> String {
    let environments: Vec<&str> = content.environments.iter().map(Name::as_str).collect();
    let versions: Vec<String> = content.versions.iter().map(|(component, version)| format!("{component} {version}")).collect();
    let mut facts = vec![
        ("class", class(content.class).to_owned()),
        ("application", content.application.to_string()),
        ("environments", environments.join(", ")),
        ("versions", versions.join(", ")),
        ("plan", plans(content)),
        ("risk", format!("{}, impact {}", level(content.risk), level(content.impact))),
        ("description", content.description.clone()),
        ("back out", content.back_out.clone()),
    ];
    facts.retain(|(_, value)| !value.is_empty());
    facts
        .iter()
        .map(|(name, value)| format!("  {name:<14}{}", value.replace('\n', &format!("\n{:16}", ""))))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The plan of the only environment, or one line for each.
fn plans(content: &Content) -> String {
    match content.environments.as_slice() {
        [only] => content.plans.get(only).map_or_else(|| "none yet".into(), ToString::to_string),
        _ if content.plans.is_empty() => "none yet".into(),
        _ => content.plans.iter().map(|(environment, digest)| format!("{environment} {digest}")).collect::<Vec<_>>().join("\n"),
    }
}

fn vote_line(vote: &Vote, more: &str, zone: &TimeZone) -> String {
    let choice = match vote.choice {
        Choice::Approve => "approved by",
        Choice::Reject => "rejected by",
    };
    let reason = if vote.reason.is_empty() { String::new() } else { format!(": {}", vote.reason) };
    format!("  {choice:<14}{}, {}{reason}{more}", vote.by, time::instant(vote.at_ms, zone))
}

fn state(change: &Change) -> String {
    let state = change.state.as_str().replace('_', " ");
    if change.on_hold { format!("{state}, on hold") } else { state }
}

fn class(class: Class) -> &'static str {
    match class {
        Class::Standard => "standard",
        Class::Normal => "normal",
        Class::Emergency => "emergency",
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Low => "low",
        Level::Medium => "medium",
        Level::High => "high",
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Successful => "successful",
        Outcome::WithIssues => "with issues",
        Outcome::Unsuccessful => "unsuccessful",
        Outcome::FellBack => "fell back",
    }
}
