//! Every page with made-up data, as files to look at: `cargo run -p tidegate-server --example gallery -- DIRECTORY`.
//!
//! A development tool. It writes one HTML file for each page and situation, the assets beside them, and an index; a browser needs
//! no server to show them. Nothing of it is part of the product.

mod deployments;
mod estate;
mod governance;
mod world;

use std::path::Path;

use maud::Markup;
use tidegate_server::web::page::changes::ChangesPage;
use tidegate_server::web::{assets, page};

fn main() -> std::io::Result<()> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "gallery".into());
    let directory = Path::new(&directory);
    std::fs::create_dir_all(directory.join("assets"))?;
    for name in ASSETS {
        let asset = assets::asset(name).ok_or_else(|| std::io::Error::other(format!("there is no asset {name}")))?;
        std::fs::write(directory.join("assets").join(name), asset.bytes)?;
    }
    let pages = pages();
    let mut index = String::from("<!doctype html><meta charset=\"utf-8\"><title>Gallery</title><ul>\n");
    for (name, markup) in &pages {
        index.push_str(&format!("<li><a href=\"{name}.html\">{name}</a>\n"));
        std::fs::write(directory.join(format!("{name}.html")), beside_its_assets(markup.clone().into_string()))?;
    }
    std::fs::write(directory.join("index.html"), index)
}

const ASSETS: [&str; 6] = ["tidegate.css", "live.js", "fleet.js", "keys.js", "theme.js", "logo.svg"];

/// The page with addresses that work from a file.
fn beside_its_assets(html: String) -> String {
    ASSETS.iter().fold(html, |html, name| html.replace(&assets::url(name), &format!("assets/{name}")))
}

fn pages() -> Vec<(&'static str, Markup)> {
    let bob = world::chrome("bob");
    let mut pages = vec![
        ("today", page::today::today(&bob, &governance::today())),
        ("today-empty", page::today::today(&bob, &governance::today_empty())),
        ("releases", page::releases::releases(&bob, &governance::releases())),
        ("releases-empty", page::releases::releases(&bob, &world::list(Vec::new()))),
        ("release", page::release::release(&bob, &governance::release())),
        ("change-to-approve", page::change::change(&bob, &governance::change())),
        ("change-own", page::change::change(&world::chrome("alice"), &governance::change())),
        ("changes", page::changes::changes(&bob, &ChangesPage { inbox: governance::inbox(), list: governance::changes() })),
        ("changes-empty", page::changes::changes(&bob, &ChangesPage { inbox: Vec::new(), list: world::list(Vec::new()) })),
        ("freezes", page::freezes::freezes(&bob, &governance::freezes())),
        ("freezes-empty", page::freezes::freezes(&bob, &governance::freezes_empty())),
        ("calendar", page::calendar::calendar(&bob, &estate::calendar())),
        ("calendar-quarter", page::calendar::calendar(&bob, &estate::quarter())),
        ("environments", page::environments::environments(&bob, &estate::matrix())),
        ("environments-compared", page::environments::environments(&bob, &estate::compared())),
        ("targets", page::targets::targets(&bob, &estate::targets())),
        ("targets-empty", page::targets::targets(&bob, &world::list(Vec::new()))),
        ("target", page::targets::target(&world::chrome("alice"), &estate::target())),
        ("artifacts", page::artifacts::artifacts(&bob, &estate::artifacts())),
        ("artifacts-empty", page::artifacts::artifacts(&bob, &world::list(Vec::new()))),
        ("audit", page::audit::audit(&bob, &estate::audit())),
        ("audit-broken", page::audit::audit(&bob, &estate::audit_broken())),
        ("people", page::people::people(&bob, &estate::people())),
        ("tokens", page::people::tokens(&bob, &estate::people().tokens)),
        ("settings", page::settings::settings(&bob, &estate::settings())),
        ("settings-postgresql", page::settings::settings(&bob, &estate::settings_on_postgresql())),
        ("deployments", page::deployments::deployments(&bob, &deployments::list())),
        ("deployments-empty", page::deployments::deployments(&bob, &world::list(Vec::new()))),
    ];
    let situations = [
        ("deployment-canary", deployments::canary()),
        ("deployment-fell-back", deployments::fell_back()),
        ("deployment-paused", deployments::paused()),
        ("deployment-question", deployments::question()),
        ("deployment-refused", deployments::refused()),
        ("deployment-approval-gate", deployments::approval_gate()),
        ("deployment-target", deployments::one_target()),
        ("deployment-10000", deployments::ten_thousand()),
    ];
    pages.extend(situations.into_iter().map(|(name, view)| (name, page::deployment::deployment(&bob, &view))));
    pages.push(("deployment-viewer", page::deployment::deployment(&world::chrome("vera"), &deployments::canary())));
    pages.extend(messages());
    pages
}

fn messages() -> Vec<(&'static str, Markup)> {
    use page::login::Login;
    let nobody = world::nobody();
    let confirm = Login::Confirm { person: world::name("bob"), token: "token".into() };
    vec![
        ("login", page::login::login(&nobody, &Login::Needed)),
        ("login-confirm", page::login::login(&nobody, &confirm)),
        ("login-used", page::login::login(&nobody, &Login::Used)),
        ("problem", page::message::problem(&world::chrome("bob"), &governance::problem())),
        ("not-admitted", page::message::problem(&world::chrome("bob"), &governance::not_admitted())),
    ]
}

#[cfg(test)]
mod tests {
    use super::pages;

    /// Every value of an attribute in a page.
    fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
        let start = format!(" {attribute}=\"");
        html.match_indices(&start).filter_map(|(at, _)| html[at + start.len()..].split('"').next()).collect()
    }

    #[test]
    fn no_page_has_inline_style_or_script() {
        for (name, page) in pages() {
            let html = page.into_string();
            assert!(!html.contains(" style=") && !html.contains("<style") && !html.contains(" onclick="), "{name}");
            let inline =
                html.match_indices("<script").filter(|(at, _)| !html[*at..].split('>').next().unwrap_or("").contains(" src="));
            assert_eq!(inline.count(), 0, "{name}");
        }
    }

    #[test]
    fn every_form_that_changes_something_carries_the_proof() {
        for (name, page) in pages() {
            let html = page.into_string();
            for form in html.split("<form").skip(1).filter(|form| form.contains("method=\"post\"")) {
                let form = form.split("</form>").next().unwrap_or_default();
                assert!(form.contains("name=\"csrf\" value=\""), "{name}: {form}");
                assert!(form.contains("<button"), "{name}: {form}");
            }
        }
    }

    #[test]
    fn ids_are_unique_and_a_live_region_is_named_like_its_id() {
        for (name, page) in pages() {
            let html = page.into_string();
            let mut ids = values(&html, "id");
            let count = ids.len();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), count, "{name} uses an id twice");
            for live in values(&html, "data-live") {
                assert!(html.contains(&format!("id=\"{live}\" data-live=\"{live}\"")), "{name}: {live}");
            }
        }
    }

    #[test]
    fn every_instant_is_for_machines_too_and_every_glyph_is_in_the_sheet() {
        for (name, page) in pages() {
            let html = page.into_string();
            assert_eq!(html.matches("<time").count(), values(&html, "datetime").len(), "{name}");
            for glyph in values(&html, "href").into_iter().filter(|href| href.starts_with("#g-") || *href == "#logo") {
                assert!(html.contains(&format!("<symbol id=\"{}\"", &glyph[1..])), "{name}: {glyph}");
            }
        }
    }

    #[test]
    fn ten_thousand_targets_make_a_light_page() {
        let pages = pages();
        let (_, page) = pages.iter().find(|(name, _)| *name == "deployment-10000").expect("it is in the gallery");
        let bytes = page.0.len();
        assert!(bytes < 600_000, "{bytes} bytes");
        assert!(page.0.matches('<').count() < 5_000, "few elements, so that bringing it up to date stays smooth");
    }
}
