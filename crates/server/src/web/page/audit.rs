//! The audit: the whole history, one sentence for each event, and whether its hashes hold.

use maud::{Markup, html};
use tidegate_api::view::{AuditVerified, EventView};
use tidegate_domain::event::Noun;

use super::history::who;
use crate::web::bar::counted;
use crate::web::form::{Act, Weight};
use crate::web::layout::{Chrome, Section, live, page};
use crate::web::state::glyph;
use crate::web::table::{empty, percent, table};
use crate::web::time::Clock;

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub struct AuditAsked {
    /// Of one kind of thing.
    pub noun: Option<Noun>,
    /// By one actor, as it is written in the history.
    pub actor: String,
    /// Of one thing: noun and id.
    pub stream: String,
    /// With this text in its kind, its cause or what it carries.
    pub text: String,
}

/// What the page shows.
#[derive(Debug, Clone)]
pub struct AuditPage {
    /// What was asked for.
    pub asked: AuditAsked,
    /// Events, newest first.
    pub events: Vec<EventView>,
    /// Where earlier ones begin; none if there are none.
    pub before: Option<u64>,
    /// What a walk over all of it found, if one was asked for.
    pub verified: Option<AuditVerified>,
}

/// Draws the page.
pub fn audit(chrome: &Chrome, view: &AuditPage) -> Markup {
    let clock = chrome.clock();
    let main = html! {
        div.title {
            div { h1 { "Audit" } p.muted { "Every change there was, who made it, and why." } }
            (Act { csrf: &chrome.csrf, action: "/audit/verify", label: "Verify every hash", weight: Weight::Main }.button())
        }
        @if let Some(verified) = &view.verified { (verdict(verified)) }
        (filter(&view.asked))
        (live("events", &html! {
            @match (view.events.is_empty(), view.before) {
                (true, None) => (empty("No event is like that.", &[])),
                (true, Some(_)) => p.note { (glyph("slash")) span { "None of the events looked through so far is like that; there are earlier ones." } },
                (false, _) => (rows(&view.events, &clock)),
            }
            @if let Some(before) = view.before {
                nav.pages aria-label="Pages" { a.button href={ "/audit?" (encoded(&view.asked, before)) } rel="next" { "Earlier" } }
            }
        }))
        p.small.muted { "The same offline: " code { "tidegate audit verify" } ", on the server or on a backup." }
    };
    page(chrome, Section::Audit, "Audit", &main)
}

fn verdict(verified: &AuditVerified) -> Markup {
    let events = counted(verified.events, "event");
    let streams = counted(verified.streams, "stream");
    html! {
        @match &verified.broken {
            None => div.decided role="status" {
                h2 { (glyph("check")) "The history is whole" }
                p { (events) " of " (streams) ": each hash is that of its event, each names the one before it." }
            },
            Some(broken) => div.decided.bad role="alert" {
                h2 { (glyph("cross")) "The history was changed" }
                p { "The first entry that does not hold is " strong { (broken.stream) " " (broken.version) } ", position " (broken.position) ": " (broken.what) "." }
                p { "Stop the server, keep its files, and compare them with a backup: " code { "tidegate restore" } " verifies what it restores." }
            },
        }
    }
}

fn filter(asked: &AuditAsked) -> Markup {
    let is_asked = asked.noun.is_some() || [&asked.actor, &asked.stream, &asked.text].iter().any(|text| !text.is_empty());
    html! {
        form.filter method="get" action="/audit" role="search" {
            label { span.hidden { "Of" } select name="noun" {
                option value="" { "everything" }
                @for noun in Noun::ALL { option value=(noun.as_str()) selected[asked.noun == Some(noun)] { (noun.as_str()) } }
            } }
            label { span.hidden { "By" } input type="search" name="actor" placeholder="person:alice, agent:web-1, system" value=(asked.actor); }
            label { span.hidden { "Of one thing" } input type="search" name="stream" placeholder="deployment/DEP-…" value=(asked.stream); }
            label { span.hidden { "With the text" } input type="search" name="text" placeholder="any text" value=(asked.text); }
            button.button type="submit" { "Show" }
            @if is_asked { a.button href="/audit" { "Clear" } }
        }
    }
}

fn rows(events: &[EventView], clock: &Clock) -> Markup {
    table(
        "Events",
        &["When", "Who", "What", "Of", "Cause", "Hash"],
        &html! {
            @for event in events {
                tr id={ "e-" (event.position) } {
                    th scope="row" { (clock.at_second(event.at_ms)) }
                    td data-head="Who" { a href={ "/audit?actor=" (percent(&event.actor.to_string())) } { (who(&event.actor)) } }
                    td data-head="What" { (event.sentence) }
                    td data-head="Of" { (of(event)) }
                    td data-head="Cause" { span.muted.small { (event.cause) } }
                    td.number data-head="Hash" { code.small title={ (event.hash) ", position " (event.position) } { (event.hash.get(..8).unwrap_or(&event.hash)) } }
                }
            }
        },
    )
}

/// The thing, with its page if it has one.
fn of(event: &EventView) -> Markup {
    let folder = match event.stream.noun {
        Noun::Release => Some("releases"),
        Noun::Deployment => Some("deployments"),
        Noun::Change => Some("changes"),
        Noun::Target => Some("targets"),
        _ => None,
    };
    let id = &event.stream.id;
    html! {
        @match (folder, event.stream.noun) {
            (Some(folder), _) => a href={ "/" (folder) "/" (id) } { (id) },
            (None, Noun::Freeze) => a href={ "/freezes#" (id) } { (id) },
            (None, noun) => { span.muted { (noun.as_str()) } " " (id) },
        }
        " " a.small.muted href={ "/audit?stream=" (percent(&event.stream.to_string())) } title="its history" { (event.version) }
    }
}

fn encoded(asked: &AuditAsked, before: u64) -> String {
    let noun = asked.noun.map(|noun| noun.as_str().to_owned()).unwrap_or_default();
    let said = [
        ("noun", noun),
        ("actor", asked.actor.clone()),
        ("stream", asked.stream.clone()),
        ("text", asked.text.clone()),
        ("before", before.to_string()),
    ];
    let said = said.into_iter().filter(|(_, value)| !value.is_empty());
    said.map(|(name, value)| format!("{name}={}", percent(&value))).collect::<Vec<_>>().join("&")
}
