//! One file per page: the view that a handler fills, and the function that draws it.

pub mod artifacts;
pub mod audit;
pub mod calendar;
pub mod change;
pub mod changes;
pub mod deployment;
pub mod deployments;
pub mod environments;
pub mod freezes;
pub mod history;
pub mod insights;
pub mod login;
pub mod message;
pub mod people;
pub mod plan;
mod recorded;
pub mod reference;
pub mod release;
pub mod releases;
pub mod settings;
pub mod targets;
pub mod today;

use maud::{Markup, html};
use tidegate_domain::{Id, Name, Version};

/// A list as a page shows it.
#[derive(Debug, Clone)]
pub struct List<T> {
    /// The rows of this page.
    pub rows: Vec<T>,
    /// Where the next page begins; none on the last one.
    pub next: Option<String>,
    /// What was asked for.
    pub query: tidegate_api::request::ListQuery,
}

/// A release by its number and its name for people.
#[derive(Debug, Clone)]
pub struct ReleaseLink {
    /// Which one.
    pub id: Id,
    /// Of what.
    pub application: Name,
    /// Its version.
    pub version: Version,
}

/// A change by its number and its title.
#[derive(Debug, Clone)]
pub struct ChangeLink {
    /// Which one.
    pub id: Id,
    /// In one line.
    pub title: String,
}

impl ReleaseLink {
    fn link(&self) -> Markup {
        html! { a href={ "/releases/" (self.id) } { (self.application) " " (self.version) } }
    }
}

impl ChangeLink {
    fn link(&self) -> Markup {
        html! { a href={ "/changes/" (self.id) } { (self.id) } " " span.muted { (self.title) } }
    }
}

/// A sentence of the domain, as it begins a line.
pub(crate) fn sentence(text: &str) -> String {
    // A name such as prod-03 stays as it is written.
    let word = text.split([' ', ':', ',']).next().unwrap_or_default();
    if !word.chars().all(|letter| letter.is_ascii_lowercase()) {
        return text.to_owned();
    }
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
