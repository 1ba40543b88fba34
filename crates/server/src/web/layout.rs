//! The frame of every page: bar, navigation, person, theme, live mark, landmarks.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use tidegate_domain::access::{About, Permission, Person};
use tidegate_domain::{Millis, Name};

use super::assets;
use super::form::hidden;
use super::time::Clock;

/// What the frame needs to know of the request.
#[derive(Debug, Clone)]
pub struct Chrome {
    /// Who is signed in.
    pub person: Option<Person>,
    /// The token that every form carries.
    pub csrf: String,
    /// The path of the page.
    pub path: String,
    /// Now.
    pub now_ms: Millis,
    /// The zone in which instants are shown.
    pub zone: String,
    /// The address of the events that bring the page up to date, if it is live.
    pub stream: Option<String>,
}

impl Chrome {
    /// The page's clock.
    pub fn clock(&self) -> Clock {
        Clock::new(self.now_ms, &self.zone)
    }

    /// Whether the person may do it. The service decides again; this only spares people a button that answers no.
    pub fn may(&self, permission: Permission, application: Option<&Name>, environment: Option<&Name>) -> bool {
        self.person.as_ref().is_some_and(|person| person.may(permission, About { application, environment }))
    }

    /// Whether this is the person who looks.
    pub fn is(&self, name: &Name) -> bool {
        self.person.as_ref().is_some_and(|person| person.name == *name)
    }
}

/// The pages of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// `/`
    Today,
    /// `/calendar`
    Calendar,
    /// `/releases`
    Releases,
    /// `/deployments`
    Deployments,
    /// `/changes`
    Changes,
    /// `/environments`
    Environments,
    /// `/targets`
    Targets,
    /// `/artifacts`
    Artifacts,
    /// `/freezes`
    Freezes,
    /// `/audit`
    Audit,
    /// `/insights`
    Insights,
    /// `/people`
    People,
    /// `/settings`
    Settings,
    /// None of them.
    Other,
}

const NAVIGATION: [(Section, &str, &str); 11] = [
    (Section::Today, "/", "Today"),
    (Section::Calendar, "/calendar", "Calendar"),
    (Section::Releases, "/releases", "Releases"),
    (Section::Deployments, "/deployments", "Deployments"),
    (Section::Changes, "/changes", "Changes"),
    (Section::Freezes, "/freezes", "Freezes"),
    (Section::Environments, "/environments", "Environments"),
    (Section::Insights, "/insights", "Insights"),
    (Section::Targets, "/targets", "Targets"),
    (Section::Artifacts, "/artifacts", "Artifacts"),
    (Section::Audit, "/audit", "Audit"),
];

/// The symbols that pages use; in the page itself, because a symbol of another file cannot take the page's colours everywhere.
const ICONS: &str = include_str!("../../assets/icons.svg");

/// A whole page.
pub fn page(chrome: &Chrome, section: Section, title: &str, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { (title) " · Tidegate" }
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="icon" href=(assets::url("logo.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(assets::url("tidegate.css"));
                // Before the first paint, so that a chosen theme does not flash in the other one.
                script src=(assets::url("theme.js")) {}
                script type="module" src=(assets::url("live.js")) {}
                script type="module" src=(assets::url("fleet.js")) {}
                script type="module" src=(assets::url("keys.js")) {}
            }
            body data-stream=[chrome.stream.as_deref()] data-now=(chrome.now_ms) {
                a.skip href="#main" { "Skip to content" }
                (PreEscaped(ICONS))
                (bar(chrome, section))
                main id="main" tabindex="-1" { (main) }
                (foot(chrome, section))
            }
        }
    }
}

fn bar(chrome: &Chrome, section: Section) -> Markup {
    html! {
        header.bar {
            a.wordmark href="/" {
                svg.logo viewBox="0 0 32 32" aria-hidden="true" { use href="#logo" {} }
                span { "Tidegate" }
            }
            nav.main aria-label="Main" {
                @for (entry, path, label) in NAVIGATION {
                    a href=(path) aria-current=[(entry == section).then_some("page")] { (label) }
                }
            }
            div.right {
                @if chrome.stream.is_some() {
                    span.live id="live-mark" role="status" hidden { span.dot {} span.word { "live" } }
                }
                (person(chrome, section))
            }
        }
    }
}

fn person(chrome: &Chrome, section: Section) -> Markup {
    html! {
        @match &chrome.person {
            Some(person) => {
                // Who is signed in leads to people and tokens, one's own first.
                a.person href="/people" title={ "People and tokens" @if !person.title.is_empty() { ", signed in as " (person.title) } } data-place="People" aria-current=[(section == Section::People).then_some("page")] { (person.name) }
                form method="post" action="/logout" { (hidden(&chrome.csrf)) button.quiet type="submit" { "Sign out" } }
            }
            None => a href="/login" { "Sign in" }
        }
    }
}

fn foot(chrome: &Chrome, section: Section) -> Markup {
    let clock = chrome.clock();
    html! {
        footer.foot {
            span id="as-of" data-live="as-of" { "As of " (clock.at_second(chrome.now_ms)) }
            span { "times in " (clock.zone_name()) }
            a href="/docs/api" { "API" }
            // At the foot, as it is looked at once in a while, and by few.
            @if chrome.may(Permission::Administer, None, None) {
                a href="/settings" aria-current=[(section == Section::Settings).then_some("page")] { "Settings" }
            }
            span.keys-hint id="keys-hint" hidden { "keys: " kbd { "?" } }
            div.theme id="theme" role="group" aria-label="Theme" hidden {
                @for theme in ["auto", "light", "dark"] { button type="button" value=(theme) aria-pressed="false" { (theme) } }
            }
        }
    }
}

/// A region that the script brings up to date in place. The key is also its id.
pub fn live(key: &str, inner: &Markup) -> Markup {
    html! { div.region id=(key) data-live=(key) { (inner) } }
}

/// A part of a page under a heading.
pub fn section(title: &str, inner: &Markup) -> Markup {
    html! { section { h2 { (title) } (inner) } }
}

/// A part with something on the right of its heading.
pub fn section_with(title: &str, beside: &Markup, inner: &Markup) -> Markup {
    html! { section { div.head { h2 { (title) } div.beside { (beside) } } (inner) } }
}

/// A name and its value, in a row of facts.
pub fn fact(name: &str, value: &Markup) -> Markup {
    html! { div.fact { dt { (name) } dd { (value) } } }
}
