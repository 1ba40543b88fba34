//! Forms: each is a POST that works without script and carries the session's token against forgery.

use maud::{Markup, html};

/// The name of the field of [`hidden`].
pub const CSRF_FIELD: &str = "csrf";

/// The field that shows that the form came from a page of ours.
pub fn hidden(csrf: &str) -> Markup {
    html! { input type="hidden" name=(CSRF_FIELD) value=(csrf); }
}

/// How much weight a button has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The one thing to do here.
    Main,
    /// One of several.
    Plain,
    /// What is hard to take back.
    Grave,
}

impl Weight {
    fn class(self) -> &'static str {
        match self {
            Weight::Main => "button main",
            Weight::Plain => "button",
            Weight::Grave => "button grave",
        }
    }
}

/// Where a form goes and what its button says.
#[derive(Debug, Clone, Copy)]
pub struct Act<'a> {
    /// The token of the session.
    pub csrf: &'a str,
    /// Where it is sent.
    pub action: &'a str,
    /// What the button says.
    pub label: &'a str,
    /// Its weight.
    pub weight: Weight,
}

impl Act<'_> {
    /// A button that does it at once.
    pub fn button(&self) -> Markup {
        self.with(&html! {})
    }

    /// A form with fields and its button.
    pub fn with(&self, fields: &Markup) -> Markup {
        html! {
            form.act method="post" action=(self.action) {
                (hidden(self.csrf))
                (fields)
                button class=(self.weight.class()) type="submit" { (self.label) }
            }
        }
    }

    /// A button that opens the fields first: for what needs a reason, or a second thought.
    ///
    /// `key` is the element's id, which keeps it open while the page is brought up to date.
    pub fn folded(&self, key: &str, fields: &Markup) -> Markup {
        html! {
            // The shared name lets one be open at a time, so that no sheet hides another.
            details.act id=(key) name="act" {
                summary class=(self.weight.class()) { (self.label) "…" }
                div.sheet { (self.with(fields)) }
            }
        }
    }
}

/// A reason in words, kept in the history.
pub fn reason(need: Need) -> Markup {
    html! {
        label.field {
            span { "Reason" @if need == Need::Optional { span.muted { " (optional)" } } }
            textarea name="reason" rows="2" maxlength="4000" required[need == Need::Required] placeholder="kept in the history" {}
        }
    }
}

/// A reason that only a no needs.
pub fn reason_for_a_no() -> Markup {
    html! {
        label.field {
            span { "Reason " span.muted { "(needed for a no)" } }
            textarea name="reason" rows="2" maxlength="4000" placeholder="kept in the history" {}
        }
    }
}

/// Whether a field must be filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The form is refused without it.
    Required,
    /// It may stay empty.
    Optional,
}

/// A hidden value.
pub fn value(name: &str, value: &str) -> Markup {
    html! { input type="hidden" name=(name) value=(value); }
}

/// One line of text.
pub fn text(name: &str, label: &str, hint: &str, need: Need) -> Markup {
    html! {
        label.field {
            span { (label) @if need == Need::Optional { span.muted { " (optional)" } } }
            input type="text" name=(name) maxlength="4000" required[need == Need::Required] placeholder=(hint);
        }
    }
}

/// A choice of a few, the first one chosen.
pub fn choice(name: &str, label: &str, options: &[(&str, &str)]) -> Markup {
    html! {
        label.field {
            span { (label) }
            select name=(name) {
                @for (value, text) in options { option value=(value) { (text) } }
            }
        }
    }
}

/// An instant in the zone that the form says.
pub fn instant(name: &str, label: &str, value: &str, need: Need) -> Markup {
    html! {
        label.field {
            span { (label) @if need == Need::Optional { span.muted { " (optional)" } } }
            input type="datetime-local" name=(name) value=(value) required[need == Need::Required];
        }
    }
}
