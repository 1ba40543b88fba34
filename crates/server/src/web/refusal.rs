//! A "no" for people: why, where, and what would make it a yes.

use maud::{Markup, html};
use tidegate_api::Problem;
use tidegate_domain::admission::{Kind, Reason};

use super::state::glyph;
use super::time::Clock;

/// Every reason of admission, each with its way to yes.
pub fn reasons(reasons: &[Reason], clock: &Clock) -> Markup {
    html! {
        ul.reasons {
            @for reason in reasons {
                li {
                    (glyph(kind_glyph(reason.kind)))
                    div {
                        p.what { (reason.text) }
                        p.remedy {
                            span.way { (way(reason.kind)) } " "
                            (reason.remedy)
                            @if let Some(until_ms) = reason.until_ms { " · lifts by itself " (clock.countdown(until_ms)) ", " (clock.at(until_ms)) }
                        }
                    }
                    code.code { (reason.code.as_str()) }
                }
            }
        }
    }
}

fn kind_glyph(kind: Kind) -> &'static str {
    match kind {
        Kind::Authorisation => "person",
        Kind::Obstacle => "dots",
        Kind::Never => "cross",
    }
}

fn way(kind: Kind) -> &'static str {
    match kind {
        Kind::Authorisation | Kind::Obstacle => "Way to yes:",
        Kind::Never => "Not this plan:",
    }
}

/// A refused request: what, where, what would be right, and the page about its code.
pub fn problem(problem: &Problem, clock: &Clock) -> Markup {
    html! {
        div.refusal role="alert" {
            p.what { (glyph("cross")) strong { (title(problem)) } }
            @if let Some(place) = &problem.place { p { span.key { "Where" } " " code { (place) } } }
            @if problem.reasons.is_empty() {
                p { span.key { "What would be right" } " " (problem.remedy) }
            } @else {
                (reasons(&problem.reasons, clock))
            }
            p.small {
                a href=(problem.r#type) { "About " code { (problem.code.as_str()) } }
                @if let Some(request) = &problem.request { span.muted { " · request " code { (request) } } }
            }
        }
    }
}

/// The title; of several reasons only how many there are, since each stands below.
fn title(problem: &Problem) -> String {
    match problem.reasons.len() {
        0 => problem.title.clone(),
        1 => "Not admitted, for one reason".into(),
        count => format!("Not admitted, for {count} reasons"),
    }
}

/// Something that somebody should see to.
pub fn warning(inner: &Markup) -> Markup {
    html! { p.warn { (glyph("alert")) span { (inner) } } }
}

/// A short note why something is not offered.
pub fn not_offered(why: &str, way: &str) -> Markup {
    html! { p.note { (glyph("slash")) span { (why) "; " (way) } } }
}
