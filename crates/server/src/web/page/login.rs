//! Signing in by a one-time link.

use maud::{Markup, html};
use tidegate_domain::Name;

use crate::web::form::{hidden, value};
use crate::web::layout::{Chrome, Section, page};
use crate::web::state::glyph;

/// Why the page is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// Nobody is signed in; the page they wanted is kept.
    Needed,
    /// A link was opened; a button uses it up, so that a program that only looks does not.
    Confirm {
        /// Whom it signs in.
        person: Name,
        /// The link's token.
        token: String,
    },
    /// The link was used before.
    Used,
    /// The link is too old.
    Expired,
    /// There is no such link.
    Unknown,
    /// The person has signed out.
    SignedOut,
}

/// Draws the page.
pub fn login(chrome: &Chrome, view: &Login) -> Markup {
    let (title, said) = words(view);
    let main = html! {
        div.card {
            svg.logo.big viewBox="0 0 32 32" aria-hidden="true" { use href="#logo" {} }
            h1 { (title) }
            @if let Login::Confirm { person, token } = view {
                p { "This link signs you in as " strong { (person) } ", once." }
                form.act method="post" action="/login" {
                    (hidden(&chrome.csrf))
                    (value("token", token))
                    button.button.main type="submit" { "Sign in as " (person) }
                }
            } @else {
                p { (said) }
                p { "Somebody who can run commands on the server's machine gets a new link:" }
                pre.command tabindex="0" { code { "tidegate login-link" } }
                p.small.muted { (glyph("clock")) " A link signs in once and is good for a short time. There is no password, and none by default." }
            }
        }
    };
    page(chrome, Section::Other, title, &main)
}

fn words(view: &Login) -> (&'static str, &'static str) {
    match view {
        Login::Needed => ("Sign in", "You need to be signed in to see this. You sign in by a one-time link."),
        Login::Confirm { .. } => ("Sign in", ""),
        Login::Used => {
            ("This link was used", "A link signs in once, and this one has. If that was not you, tell your administrator.")
        }
        Login::Expired => ("This link is too old", "Links are good for a short time only."),
        Login::Unknown => ("There is no such link", "It may have been cut off when it was copied."),
        Login::SignedOut => ("Signed out", "You have signed out of this browser."),
    }
}
