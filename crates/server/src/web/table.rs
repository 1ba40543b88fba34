//! Lists: a filter that is a link-able GET form, a table that stays readable on a narrow screen, and the next page.

use maud::{Markup, html};
use tidegate_api::request::ListQuery;

/// A table with a caption for those who hear it.
///
/// Rows come as `<tr>` with as many cells as there are heads; each cell that is not the first carries `data-head`, which a narrow
/// screen shows before its value.
pub fn table(caption: &str, heads: &[&str], rows: &Markup) -> Markup {
    of_class("", caption, heads, rows)
}

/// A table of few and short cells, which stays a table on a narrow screen.
pub fn tight(caption: &str, heads: &[&str], rows: &Markup) -> Markup {
    of_class("tight", caption, heads, rows)
}

/// What a cell shows that has nothing to show.
pub fn none() -> Markup {
    html! { span.none { "–" } }
}

fn of_class(class: &str, caption: &str, heads: &[&str], rows: &Markup) -> Markup {
    html! {
        // What can be scrolled by a finger must be by the keyboard, too.
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table class=[(!class.is_empty()).then_some(class)] {
                caption.hidden { (caption) }
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody { (rows) }
            }
        }
    }
}

/// The filter above a list.
#[derive(Debug, Clone, Copy)]
pub struct Filter<'a> {
    /// The list's own address.
    pub path: &'a str,
    /// What is asked for now.
    pub query: &'a ListQuery,
    /// The states, as value and word; none if there is but one.
    pub states: &'a [(&'a str, &'a str)],
    /// What it can be narrowed by beside its state.
    pub by: By,
}

/// What a list can be narrowed by beside its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Text, application and environment.
    Place,
    /// Text and environment.
    Environment,
    /// Text alone.
    Text,
}

impl Filter<'_> {
    /// The form. It asks by GET, so that what it shows can be kept and sent as a link.
    pub fn form(&self) -> Markup {
        let name = |name: Option<&tidegate_domain::Name>| name.map(ToString::to_string).unwrap_or_default();
        html! {
            form.filter method="get" action=(self.path) role="search" {
                @if let Some(release) = &self.query.release { span.tag { "of " a href={ "/releases/" (release) } { (release) } } input type="hidden" name="release" value=(release); }
                (field("text", "id or title", self.query.text.as_deref().unwrap_or_default()))
                @if self.by == By::Place { (field("application", "application", &name(self.query.application.as_ref()))) }
                @if self.by != By::Text { (field("environment", "environment", &name(self.query.environment.as_ref()))) }
                @if !self.states.is_empty() {
                    label {
                        span.hidden { "State" }
                        select name="state" {
                            option value="" { "any state" }
                            @for (value, word) in self.states {
                                option value=(value) selected[self.query.state.as_deref() == Some(*value)] { (word) }
                            }
                        }
                    }
                }
                label {
                    span.hidden { "Order" }
                    select name="sort" {
                        @for (value, word) in [("newest", "newest first"), ("oldest", "oldest first"), ("name", "by id")] {
                            option value=(value) selected[self.query.sort.as_deref() == Some(value)] { (word) }
                        }
                    }
                }
                button.button type="submit" { "Show" }
                @if self.is_asked() { a.button href=(self.path) { "Clear" } }
            }
        }
    }

    /// Whether the list is narrowed, so that an empty one does not mean that there is nothing.
    pub fn is_asked(&self) -> bool {
        let said = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        said(&self.query.state)
            || said(&self.query.text)
            || self.query.application.is_some()
            || self.query.environment.is_some()
            || self.query.release.is_some()
    }

    /// The link to the next page, if there is one.
    pub fn next(&self, next: Option<&str>) -> Markup {
        html! {
            @if let Some(after) = next {
                nav.pages aria-label="Pages" { a.button href={ (self.path) "?" (self.encoded(after)) } rel="next" { "Next page" } }
            }
        }
    }

    fn encoded(&self, after: &str) -> String {
        let query = ListQuery { after: Some(after.to_owned()), ..self.query.clone() };
        let said = [
            ("state", query.state),
            ("application", query.application.map(|name| name.to_string())),
            ("environment", query.environment.map(|name| name.to_string())),
            ("release", query.release.map(|id| id.to_string())),
            ("text", query.text),
            ("sort", query.sort),
            ("limit", query.limit.map(|limit| limit.to_string())),
            ("after", query.after),
        ];
        let said =
            said.into_iter().filter_map(|(name, value)| value.filter(|value| !value.is_empty()).map(|value| (name, value)));
        said.map(|(name, value)| format!("{name}={}", percent(&value))).collect::<Vec<_>>().join("&")
    }
}

/// A field of a filter: its placeholder is its label for those who see it.
fn field(name: &str, label: &str, value: &str) -> Markup {
    html! { label { span.hidden { (label) } input type="search" name=(name) placeholder=(label) value=(value); } }
}

/// A value for a query: everything but unreserved characters is escaped.
pub fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// What an empty place says: what is not there, and the exact command that changes that.
pub fn empty(what: &str, commands: &[&str]) -> Markup {
    html! {
        div.empty {
            p { (what) }
            @for command in commands { pre.command tabindex="0" { code { (command) } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_keeps_what_was_asked() {
        let query = ListQuery { text: Some("a b".into()), state: Some(String::new()), ..ListQuery::default() };
        let filter = Filter { path: "/releases", query: &query, states: &[], by: By::Place };
        let link = filter.next(Some("17:REL/1")).into_string();
        assert!(link.contains("href=\"/releases?text=a%20b&amp;after=17%3AREL%2F1\""), "{link}");
        assert!(filter.is_asked());
    }
}
