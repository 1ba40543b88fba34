//! A refusal as a page, and short messages.

use maud::{Markup, html};
use tidegate_api::Problem;

use crate::web::layout::{Chrome, Section, page};
use crate::web::refusal;

/// A short message with a way on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// In a few words.
    pub title: String,
    /// In a sentence or two.
    pub text: String,
    /// The way on: what it says, and its address.
    pub link: Option<(String, String)>,
}

/// Draws a refused request.
pub fn problem(chrome: &Chrome, view: &Problem) -> Markup {
    let main = html! {
        div.narrow {
            h1 { (heading(view.status)) }
            (refusal::problem(view, &chrome.clock()))
            p { a.button href=(origin(&chrome.path)) data-back { "Back to where you were" } " " a.button href="/" { "Today" } }
        }
    };
    page(chrome, Section::Other, heading(view.status), &main)
}

/// The page that a form stood on: that of the thing its path names, or the list where things have no page of their own.
fn origin(path: &str) -> String {
    let plain = path.split('?').next().unwrap_or_default();
    match plain.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().as_slice() {
        [] | ["login" | "logout", ..] => "/".into(),
        ["freezes", ..] => "/freezes".into(),
        [noun, id, _, ..] => format!("/{noun}/{id}"),
        // It was no form: the list is nearer than the same refusal again.
        [noun, ..] => format!("/{noun}"),
    }
}

fn heading(status: u16) -> &'static str {
    match status {
        401 => "Not signed in",
        403 => "Not allowed",
        404 => "Not there",
        409 | 412 => "Not now",
        429 | 503 => "Too much at once",
        500.. => "A fault of ours",
        _ => "Not like this",
    }
}

/// Draws a message.
pub fn message(chrome: &Chrome, view: &Message) -> Markup {
    let main = html! {
        div.narrow {
            h1 { (view.title) }
            p.prose { (view.text) }
            @if let Some((label, href)) = &view.link { p { a.button.main href=(href) { (label) } } }
        }
    };
    page(chrome, Section::Other, &view.title, &main)
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn back_leads_to_the_page_of_the_form() {
        assert_eq!(origin("/changes/CHG-1/vote"), "/changes/CHG-1");
        assert_eq!(origin("/deployments/DEP-1/targets/web-1/retry?x=1"), "/deployments/DEP-1");
        assert_eq!(origin("/freezes/FRZ-1/lift"), "/freezes");
        assert_eq!(origin("/releases/REL-404"), "/releases");
        assert_eq!(origin("/"), "/");
    }
}
