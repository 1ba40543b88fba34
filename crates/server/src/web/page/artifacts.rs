//! The media library: what may be installed.

use maud::{Markup, html};
use tidegate_domain::deployment::artifact::{Artifact, Format};

use super::List;
use crate::web::bar::number;
use crate::web::layout::{Chrome, Section, live, page};
use crate::web::state::{Look, Tone};
use crate::web::table::{By, Filter, empty, table};
use crate::web::time::Clock;

const STATES: [(&str, &str); 2] = [("signed", "signed"), ("unsigned", "not signed")];

const COMMANDS: [&str; 2] = [
    "tidegate artifact keygen release.key",
    "tidegate artifact upload storefront-1.0.tar.gz --component storefront --version 1.0 --key release.key",
];

const SIGNED: Look = Look { glyph: "check", word: "signed", tone: Tone::Good };
const UNSIGNED: Look = Look { glyph: "alert", word: "not signed", tone: Tone::Wait };

/// Draws the list.
pub fn artifacts(chrome: &Chrome, view: &List<Artifact>) -> Markup {
    let clock = chrome.clock();
    let filter = Filter { path: "/artifacts", query: &view.query, states: &STATES, by: By::Text };
    let main = html! {
        div.title { h1 { "Artifacts" } p.muted { "The media library: the exact bytes that may be installed, by version." } }
        (filter.form())
        (live("rows", &html! {
            @match (view.rows.is_empty(), filter.is_asked()) {
                (true, true) => (empty("No artifact is like that.", &[])),
                (true, false) => (empty("The library is empty. Make a release key once, kept away from this server, and bring a version:", &COMMANDS)),
                (false, _) => (rows(&view.rows, &clock)),
            }
            (filter.next(view.next.as_deref()))
        }))
    };
    page(chrome, Section::Artifacts, "Artifacts", &main)
}

fn rows(artifacts: &[Artifact], clock: &Clock) -> Markup {
    let heads = ["Artifact", "Signature", "Digest", "Size", "Brought by"];
    table("Artifacts", &heads, &html! { @for artifact in artifacts { (row(artifact, clock)) } })
}

fn row(it: &Artifact, clock: &Clock) -> Markup {
    let format = match it.format {
        Format::TarGz => "tar.gz",
        Format::Tar => "tar",
        Format::File => "file",
    };
    html! {
        tr {
            th scope="row" { (it.component) " " span.version { (it.version) } }
            td data-head="Signature" {
                @match &it.signature {
                    Some(signature) => { (SIGNED.badge()) " " code.small title=(signature.key) { (signature.key.get(..12).unwrap_or(&signature.key)) "…" } }
                    None => (UNSIGNED.badge()),
                }
            }
            td data-head="Digest" { code title=(it.digest) { (it.digest.short()) } }
            td.number data-head="Size" { (size(it.size_bytes)) " " span.muted.small { (format) } }
            td data-head="Brought by" { (it.uploaded_by) " " span.muted.small { (clock.age(it.uploaded_at_ms)) } }
        }
    }
}

/// `812 bytes`, `1.4 MiB`
fn size(bytes: u64) -> String {
    const UNITS: [&str; 3] = ["KiB", "MiB", "GiB"];
    if bytes < 1_024 {
        return format!("{} bytes", number(bytes));
    }
    let mut value = bytes as f64 / 1_024.0;
    let mut unit = 0;
    while value >= 1_024.0 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_said_in_their_largest_unit() {
        let said: Vec<String> = [0, 1_023, 1_024, 10 << 20, 3 << 30, 5 << 40].into_iter().map(size).collect();
        assert_eq!(said, ["0 bytes", "1\u{202f}023 bytes", "1.0 KiB", "10.0 MiB", "3.0 GiB", "5120.0 GiB"]);
    }
}
