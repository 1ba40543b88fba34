//! The history, its proof, and the figures counted from it.

use jiff::tz::TimeZone;
use tidegate_api::view::{AuditVerified, EventView, Page};
use tidegate_domain::measure::dora::Dora;

use super::plan::count;
use super::time;
use crate::output::table;

/// A page of the history.
pub fn events(page: &Page<EventView>, zone: &TimeZone) -> String {
    let rows = page.rows.iter().map(|event| {
        [
            event.position.to_string(),
            time::instant(event.at_ms, zone),
            event.actor.to_string(),
            event.stream.to_string(),
            event.sentence.clone(),
        ]
    });
    table(["position", "at", "by", "of", "what"], rows)
}

/// What the walk over the history found.
pub fn verified(audit: &AuditVerified) -> String {
    let walked = format!("{} events in {} streams walked", audit.events, audit.streams);
    match &audit.broken {
        None => format!("{walked}; every one holds"),
        Some(broken) => format!(
            "{walked}; the history is broken at position {} ({} version {}): {}",
            broken.position, broken.stream, broken.version, broken.what
        ),
    }
}

/// The five figures.
pub fn dora(dora: &Dora) -> String {
    let seconds = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| time::lasting((value * 1_000.0) as i64));
    let rate = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{:.1} %", value * 100.0));
    let days = dora.period_days;
    // A server of before does not say it.
    let since = if days > 0.0 { format!(", in {} since the first", count(days.round() as usize, "day")) } else { String::new() };
    let per_day = |value| format!("{value:.2} per day{since}");
    let per_day = dora.deployment_frequency_per_day.map_or_else(|| "-".into(), per_day);
    let rows = [
        ["change lead time".to_owned(), seconds(dora.change_lead_time_seconds)],
        ["deployment frequency".to_owned(), per_day],
        ["failed deployment recovery time".to_owned(), seconds(dora.failed_deployment_recovery_time_seconds)],
        ["change fail rate".to_owned(), rate(dora.change_fail_rate)],
        ["deployment rework rate".to_owned(), rate(dora.deployment_rework_rate)],
    ];
    let spread = dora.change_lead_time.as_ref().map_or_else(String::new, |spread| {
        let of = |value: f64| time::lasting((value * 1_000.0) as i64);
        let it = &spread.linear;
        let (p75, p90, p95) = (of(it.p75), of(it.p90), of(it.p95));
        format!(
            "\nlead times, {}: 75 % within {p75}, 90 % within {p90}, 95 % within {p95}",
            count(spread.count as usize, "change")
        )
    });
    let cut = dora.not_counted_before_ms.map_or_else(String::new, |at_ms| {
        format!("\nnothing before {} is counted: ask for a shorter period", time::instant(at_ms, &TimeZone::UTC))
    });
    let counted = count(dora.deployments as usize, "deployment");
    format!("{}\ncounted from {counted}{spread}{cut}", table(["figure", "value"], rows))
}
