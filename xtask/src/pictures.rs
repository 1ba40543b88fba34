//! Pictures of every page, for people to look at: 1280 and 400 px, light and dark, of an empty house and of a full one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use rustix::process::Signal;

use crate::process::{Server, run as run_to_end};
use crate::{browser, series, steps, tree};

/// What the navigation does not name.
const OTHER_PAGES: [&str; 4] = ["/people", "/tokens", "/settings", "/docs/api"];
/// What is worth a picture and no page leads to by a first link.
const FULL_PAGES: [&str; 7] = [
    "/calendar?view=quarter&at=2019-02-01",
    "/calendar?view=month&at=2019-03-20",
    "/environments?application=openstack",
    "/environments?application=ledger",
    "/insights?from=2018-08-27&until=2019-04-12&environment=stein",
    "/releases?application=ledger",
    "/deployments?application=ledger",
];
/// What the demo says when its story is over, and how long it may take until then.
const STORY_OVER: (&str, u32) = ("Everything keeps running", 300);

/// Takes them all into the build's `pictures`, with one page that shows them side by side.
pub fn run() -> anyhow::Result<()> {
    browser::prepare()?;
    let program = steps::program()?;
    let folder = tree::target().join("pictures");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    // Complaints about one house are no reason not to see the other.
    let looked = [empty(&program, &folder.join("empty")), full(&program, &folder.join("full"))];
    let index = index(&folder)?;
    println!("\nall of them on one page: {}", index.display());
    looked.into_iter().collect()
}

fn empty(program: &Path, pictures: &Path) -> anyhow::Result<()> {
    let data = tempfile::Builder::new().prefix("tidegate-empty-").tempdir()?;
    let (_server, login) = browser::server(program, data.path())?;
    look(&login, pictures, &[])
}

fn full(program: &Path, pictures: &Path) -> anyhow::Result<()> {
    let data = tempfile::Builder::new().prefix("tidegate-full-").tempdir()?;
    let mut command = Command::new(program);
    command.args(["demo", "--once", "--keep", "--data"]).arg(data.path()).stdout(Stdio::piped());
    let mut server = Server::start(&mut command, Signal::INT)?;
    let words = browser::Words::of(Box::new(server.child().stdout.take().context("its words are piped")?));
    let login = words.link()?;
    words.line(STORY_OVER)?;
    let base = browser::base_of(&login).with_context(|| format!("{login} is no address"))?;
    if let Some(folder) = series::folder() {
        series::load(&folder, program, (&data.path().join("server"), base))?;
    }
    look(&login, pictures, &FULL_PAGES)
}

fn look(login: &str, pictures: &Path, pages: &[&str]) -> anyhow::Result<()> {
    let base = browser::base_of(login).with_context(|| format!("{login} is no address"))?;
    let mut node = Command::new("node");
    node.arg("run.mjs").current_dir(browser::folder()).env("BASE_URL", base).env("LOGIN_URL", login);
    run_to_end(node.env("SCREENSHOTS", pictures).env("PAGES", [&OTHER_PAGES, pages].concat().join(" ")))
}

/// A page with all pictures, the looks of a page beside each other.
fn index(folder: &Path) -> anyhow::Result<PathBuf> {
    let mut html = "<!doctype html><meta charset=utf-8><title>Pictures</title><style>body{font:14px sans-serif;background:#888}\
        section{display:flex;gap:8px;align-items:start;overflow:auto}img{height:420px;object-fit:cover;object-position:top}</style>"
        .to_owned();
    for house in ["empty", "full"] {
        // A house that could not be started has none.
        let Ok(found) = std::fs::read_dir(folder.join(house)) else { continue };
        let mut names: Vec<String> =
            found.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<anyhow::Result<_>>()?;
        names.sort();
        // Four looks of a page share their beginning.
        let page_of = |name: &String| name.rsplitn(3, '-').last().unwrap_or_default().to_owned();
        for looks in names.chunk_by(|a, b| page_of(a) == page_of(b)) {
            let _ = write!(html, "<h2>{house}: {}</h2><section>", page_of(&looks[0]));
            for name in looks {
                let _ = write!(html, "<a href=\"{house}/{name}\"><img loading=lazy src=\"{house}/{name}\" alt=\"{name}\"></a>");
            }
            html.push_str("</section>");
        }
    }
    let path = folder.join("index.html");
    std::fs::write(&path, html)?;
    Ok(path)
}
