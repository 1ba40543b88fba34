//! What every page says of a thing that was carried out elsewhere.

use maud::{Markup, html};
use tidegate_domain::record::Recorded;

use crate::web::state::glyph;
use crate::web::time::Clock;

/// That it is only recorded, from where, by whom.
pub fn note(recorded: Option<&Recorded>, clock: &Clock) -> Markup {
    let Some(it) = recorded else { return html! {} };
    html! {
        p.note {
            (glyph("slash"))
            span {
                "Carried out elsewhere and recorded here from " strong { (it.source) } ": " (it.reference)
                span.muted { " · by " (it.by) " " (clock.age(it.at_ms)) }
                @if !it.time.is_exact() { span.muted { " · nobody knows exactly when; no figure is made of it" } }
            }
        }
    }
}
