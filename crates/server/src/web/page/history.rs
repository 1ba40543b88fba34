//! The history of a thing: one sentence for each event.

use maud::{Markup, html};
use tidegate_api::view::EventView;
use tidegate_domain::event::Actor;

use crate::web::bar::number;
use crate::web::table::empty;
use crate::web::time::Clock;

/// Events that are shown at once; earlier ones unfold.
const SHOWN: usize = 30;

/// One line for each event, in the order given.
pub fn history(events: &[EventView], clock: &Clock) -> Markup {
    if events.is_empty() {
        return empty("Nothing has happened yet.", &[]);
    }
    let (shown, earlier) = events.split_at(events.len().min(SHOWN));
    html! {
        ol.history { @for event in shown { (line(event, clock)) } }
        @if !earlier.is_empty() {
            details.earlier id="earlier" {
                summary { (number(earlier.len() as u64)) " earlier" }
                ol.history { @for event in earlier { (line(event, clock)) } }
            }
        }
    }
}

fn line(event: &EventView, clock: &Clock) -> Markup {
    html! {
        li id={ "event-" (event.position) } {
            (clock.at_second(event.at_ms))
            span.who { (who(&event.actor)) }
            span.sentence { (event.sentence) }
            span.position title={ "hash " (event.hash) ", position " (event.position) } { (event.version) }
        }
    }
}

/// An actor in words.
pub fn who(actor: &Actor) -> String {
    match actor {
        Actor::Person(name) => name.to_string(),
        Actor::Agent(name) => format!("agent of {name}"),
        Actor::System => "Tidegate".into(),
    }
}
