//! A no for people: what, what would be right, the code, the place, and every reason of admission.

use jiff::tz::TimeZone;
use tidegate_api::Problem;
use tidegate_domain::Refusal;
use tidegate_domain::admission::Reason;

use super::time;

/// `what; remedy [code] at place`, and the reasons below.
pub fn text(problem: &Problem, zone: &TimeZone) -> String {
    let place = problem.place.as_ref().map_or_else(String::new, |place| format!(" at {place}"));
    // The server's log helps with its faults only; a refusal has said everything.
    let request = problem.request.as_ref().filter(|_| problem.status >= 500);
    let request = request.map_or_else(String::new, |request| format!("\n  request {request}"));
    if problem.reasons.is_empty() {
        return format!("{}; {} [{}]{place}{request}", problem.title, problem.remedy, problem.code);
    }
    let count = if problem.reasons.len() == 1 { "one reason".into() } else { format!("{} reasons", problem.reasons.len()) };
    format!("not admitted, for {count} [{}]{place}\n{}{request}", problem.code, reasons(&problem.reasons, zone))
}

/// One line for each reason, with the way to yes.
pub fn reasons(reasons: &[Reason], zone: &TimeZone) -> String {
    let line = |reason: &Reason| {
        let until = reason.until_ms.map_or_else(String::new, |at_ms| format!(", until {}", time::instant(at_ms, zone)));
        format!("  - {}; {} [{}{until}]", reason.text, reason.remedy, reason.code.as_str())
    };
    reasons.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The same for a refusal that never left this host.
pub fn refusal(refusal: &Refusal) -> String {
    let place = refusal.place.as_ref().map_or_else(String::new, |place| format!(" at {place}"));
    format!("{}; {} [{}]{place}", refusal.what, refusal.remedy, refusal.code)
}
