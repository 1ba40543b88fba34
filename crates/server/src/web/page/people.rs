//! People and tokens: who may do what, where, and the credentials that are out.

use maud::{Markup, html};
use tidegate_api::view::{MadeToken, TokenView};
use tidegate_domain::access::{Grant, Person, Scope};
use tidegate_domain::{Millis, Name};

use super::List;
use crate::web::form::{Act, Need, Weight, choice, text};
use crate::web::layout::{Chrome, Section, live, page, section};
use crate::web::state::{Look, Tone};
use crate::web::table::{By, Filter, empty, table};
use crate::web::time::Clock;

/// What the page shows.
#[derive(Debug, Clone)]
pub struct PeoplePage {
    /// Who looks.
    pub me: Person,
    /// Everybody, for those who may see them.
    pub people: Option<List<Person>>,
    /// The newest tokens: everybody's for an administrator, else one's own.
    pub tokens: List<TokenView>,
}

const TOKEN_STATES: [(&str, &str); 2] = [("good", "not ended"), ("ended", "ended")];

const COMMAND: &str =
    "tidegate apply -f people.yaml   # person: {name: bob, grants: [{role: operator, scope: {environment: staging}}]}";

const GOOD: Look = Look { glyph: "check", word: "good", tone: Tone::Good };
const ENDED: Look = Look { glyph: "minus", word: "ended", tone: Tone::Idle };
const EXPIRED: Look = Look { glyph: "clock", word: "expired", tone: Tone::Idle };

/// Draws the page.
pub fn people(chrome: &Chrome, view: &PeoplePage) -> Markup {
    let clock = chrome.clock();
    let main = html! {
        div.title { h1 { "People and tokens" } p.muted { "Who may do what, where, and the credentials that are out." } }
        (section("You", &html! {
            p { strong { (view.me.name) } @if !view.me.title.is_empty() { " · " (view.me.title) } }
            (grants(&view.me.grants))
        }))
        @if let Some(people) = &view.people {
            @let filter = Filter { path: "/people", query: &people.query, states: &[], by: By::Text };
            (section("People", &html! {
                (filter.form())
                (live("people", &html! {
                    @match (people.rows.is_empty(), filter.is_asked()) {
                        (true, true) => (empty("Nobody is like that.", &[])),
                        (true, false) => (empty("There is nobody yet.", &[COMMAND])),
                        (false, _) => (rows(chrome, &people.rows)),
                    }
                    (filter.next(people.next.as_deref()))
                }))
                p.small.muted { "A person is a definition:" }
                pre.command tabindex="0" { code { (COMMAND) } }
            }))
        }
        (section("Tokens", &html! {
            (make(chrome))
            (live("tokens", &html! {
                (token_rows(chrome, &view.tokens.rows, &clock))
                @if view.tokens.next.is_some() { p { a.button href="/tokens" { "All tokens" } } }
            }))
        }))
    };
    page(chrome, Section::People, "People and tokens", &main)
}

/// Draws the list of tokens.
pub fn tokens(chrome: &Chrome, view: &List<TokenView>) -> Markup {
    let filter = Filter { path: "/tokens", query: &view.query, states: &TOKEN_STATES, by: By::Text };
    let main = html! {
        nav.crumbs aria-label="Breadcrumb" { a href="/people" { "People and tokens" } span { "Tokens" } }
        div.title { h1 { "Tokens" } p.muted { "The credentials that were given out: one's own, for an administrator everybody's." } }
        (filter.form())
        (live("tokens", &html! {
            @if view.rows.is_empty() && filter.is_asked() { (empty("No token is like that.", &[])) }
            @else { (token_rows(chrome, &view.rows, &chrome.clock())) }
            (filter.next(view.next.as_deref()))
        }))
    };
    page(chrome, Section::People, "Tokens", &main)
}

fn token_rows(chrome: &Chrome, rows: &[TokenView], clock: &Clock) -> Markup {
    if rows.is_empty() {
        return empty("No token is out. Make one:", &["tidegate token create --person NAME --label laptop"]);
    }
    let head = ["Token", "State", "Opens", "Made", "Expires", "End"];
    table("Tokens", &head, &html! { @for it in rows { (token(chrome, it, clock)) } })
}

/// What somebody is trusted with, in words.
pub fn grants(grants: &[Grant]) -> Markup {
    html! {
        @if grants.is_empty() { span.muted { "may sign in, and nothing else" } }
        ul.plain { @for grant in grants { li { (grant.role.as_str().replace('_', " ")) " " span.muted { (whereabouts(&grant.scope)) } } } }
    }
}

fn whereabouts(scope: &Scope) -> String {
    match scope {
        Scope::All => "everywhere".into(),
        Scope::Application(name) => format!("for {name}"),
        Scope::Environment(name) => format!("in {name}"),
    }
}

fn rows(chrome: &Chrome, people: &[Person]) -> Markup {
    table(
        "People",
        &["Person", "Trusted with", "Sign in"],
        &html! {
            @for person in people {
                tr id={ "p-" (person.name) } {
                    th scope="row" { (person.name) @if !person.title.is_empty() { " " span.small.muted { (person.title) } } }
                    td data-head="Trusted with" { (grants(&person.grants)) }
                    td data-head="Sign in" {
                        (Act { csrf: &chrome.csrf, action: &format!("/people/{}/link", person.name), label: "Make a link", weight: Weight::Plain }.button())
                    }
                }
            }
        },
    )
}

fn make(chrome: &Chrome) -> Markup {
    let fields = html! {
        div.fields {
            (text("label", "Label", "what it is for, such as laptop or ci", Need::Required))
            (choice("days", "Good for", &[("1", "a day"), ("7", "a week"), ("30", "30 days"), ("90", "90 days"), ("365", "a year")]))
        }
        p.small.muted { "It opens what you may open, over the API and the command line. It is shown once." }
    };
    Act { csrf: &chrome.csrf, action: "/tokens", label: "Make a token", weight: Weight::Main }.folded("declare", &fields)
}

fn token(chrome: &Chrome, it: &TokenView, clock: &Clock) -> Markup {
    let look = look(it, clock.now_ms);
    html! {
        tr id={ "k-" (it.id) } {
            th scope="row" { (it.label) " " span.small.muted { (it.id) } }
            td data-head="State" { (look.badge()) }
            td data-head="Opens" { (it.opens) }
            td data-head="Made" { (clock.age(it.created_at_ms)) }
            td data-head="Expires" { (clock.at(it.expires_at_ms)) }
            td data-head="End" {
                @if look == GOOD {
                    (Act { csrf: &chrome.csrf, action: &format!("/tokens/{}/end", it.id), label: "End", weight: Weight::Grave }.button())
                }
            }
        }
    }
}

fn look(token: &TokenView, now_ms: Millis) -> Look {
    match token.ended_at_ms {
        Some(_) => ENDED,
        None if token.expires_at_ms <= now_ms => EXPIRED,
        None => GOOD,
    }
}

/// A token that was just made; the only time that it is shown.
pub fn made(chrome: &Chrome, label: &str, token: &MadeToken) -> Markup {
    let clock = chrome.clock();
    let main = html! {
        div.narrow {
            h1 { "Token \"" (label) "\"" }
            p { "Copy it now: it is not shown again. It is good until " (clock.at(token.expires_at_ms)) "." }
            pre.command tabindex="0" { code { (token.secret) } }
            p { "The command line keeps it:" }
            pre.command tabindex="0" { code { "tidegate login   # and paste it" } }
            p { a href="/people" { "Back to people and tokens" } }
        }
    };
    page(chrome, Section::People, "Token", &main)
}

/// A sign-in link that was just made; the only time that it is shown.
pub fn linked(chrome: &Chrome, person: &Name, link: &str) -> Markup {
    let main = html! {
        div.narrow {
            h1 { "Sign-in link for " (person) }
            p { "Give it to " strong { (person) } " by a way that only they read. It signs in once, within 15 minutes." }
            pre.command tabindex="0" { code { (link) } }
            p { a href="/people" { "Back to people and tokens" } }
        }
    };
    page(chrome, Section::People, "Sign-in link", &main)
}
