//! Every page with made-up data, as files to look at: `cargo run -p tidegate-server --example gallery -- DIRECTORY`.
//!
//! A development tool. It writes one HTML file for each page and situation, the assets beside them, and an index; a browser needs
//! no server to show them. Nothing of it is part of the product.

mod deployments;
mod governance;
mod world;

use std::path::Path;

use maud::Markup;
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

const ASSETS: [&str; 5] = ["tidegate.css", "live.js", "fleet.js", "theme.js", "logo.svg"];

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
        ("changes", page::changes::changes(&bob, &governance::changes())),
        ("changes-empty", page::changes::changes(&bob, &world::list(Vec::new()))),
        ("freezes", page::freezes::freezes(&bob, &governance::freezes())),
        ("freezes-empty", page::freezes::freezes(&bob, &governance::freezes_empty())),
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
