//! The pages in Debian's Chromium, driven by `tests/browser`. Node is a tool of these tests only.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::Signal;

use crate::process::{Server, check_stopped, read, run as run_to_end};
use crate::tree;

/// The server under test: the demo, whose changes the browser approves by hand, left running for a look around.
const DEMO: [&str; 4] = ["demo", "--once", "--keep", "--by-hand"];
/// The oldest Node that playwright-core runs on.
const NODE_MIN: u32 = 20;
/// What the one-time link contains, and how many seconds a server may take until it prints where to sign in.
pub const LINK: (&str, u32) = ("/login?token=", 60);

/// The demo's people, each of whom takes a walk.
const PEOPLE: [&str; 5] = ["dana", "rosa", "grace", "olaf", "vera"];
const LINK_LIMIT: Duration = Duration::from_secs(30);

/// Starts `program` and lets the browser visit it.
pub fn run(program: &Path) -> anyhow::Result<()> {
    prepare()?;
    run_to_end(Command::new("node").arg("self-test.mjs").current_dir(folder()))?;
    let data = tempfile::Builder::new().prefix("tidegate-browser-").tempdir()?;
    let mut command = Command::new(program);
    command.args(DEMO).arg("--data").arg(data.path()).stdout(Stdio::piped());
    let mut server = Server::start(&mut command, Signal::INT)?;
    let words = Words::of(Box::new(server.child().stdout.take().context("its words are piped")?));
    let login = words.link()?;
    let base = base_of(&login).with_context(|| format!("{login} is no address"))?;
    run_to_end(
        Command::new("node")
            .arg("story.mjs")
            .current_dir(folder())
            .env("BASE_URL", base)
            .env("LOGIN_URL", &login)
            .env("SCREENSHOTS", screenshots()),
    )?;
    let links = links(program, &data.path().join("server"), base)?;
    run_to_end(
        Command::new("node")
            .arg("walks.mjs")
            .current_dir(folder())
            .env("BASE_URL", base)
            .env("LINKS", links)
            .env("SCREENSHOTS", screenshots()),
    )
}

/// A sign-in link for each of the demo's people, made beside the server as its administrator would: `name=address`, separated by spaces.
fn links(program: &Path, data: &Path, base: &str) -> anyhow::Result<String> {
    let link = |person: &str| {
        let mut make = Command::new(program);
        make.args(["login-link", person, "--public-url", base, "--data"]).arg(data);
        Ok(format!("{person}={}", read(&mut make, LINK_LIMIT)?.trim()))
    };
    Ok(PEOPLE.iter().map(|person| link(person)).collect::<anyhow::Result<Vec<_>>>()?.join(" "))
}

/// Where the tests for the browser are.
pub fn folder() -> PathBuf {
    tree::root().join("tests/browser")
}

/// Sees to it that there is what the browser is driven with.
pub fn prepare() -> anyhow::Result<()> {
    new_enough()?;
    packages(&folder())
}

/// Debian 12's own Node is too old for the driver of the browser; Debian 13's is not.
fn new_enough() -> anyhow::Result<()> {
    let output = Command::new("node").arg("--version").output().context("there is no node: run the step install")?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    anyhow::ensure!(major >= Some(NODE_MIN), "node {version} is too old for the browser tests: they need {NODE_MIN} or newer");
    Ok(())
}

/// Where the pictures go: beside the build's other output.
fn screenshots() -> PathBuf {
    tree::target().join("screenshots")
}

/// Installs exactly what the lock names, once.
fn packages(folder: &Path) -> anyhow::Result<()> {
    let lock = std::fs::read(folder.join("package-lock.json")).context("tests/browser has no lock")?;
    let stamp = folder.join("node_modules/.tidegate-lock");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    run_to_end(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(folder))?;
    std::fs::write(stamp, lock)?;
    Ok(())
}

/// What a server says, line by line; each is shown too.
pub struct Words {
    lines: Receiver<String>,
}

impl Words {
    /// Listens to `pipe`.
    pub fn of(pipe: Box<dyn Read + Send>) -> Words {
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                println!("  {line}");
                // Nobody listens once what was waited for has come.
                let _ = send.send(line);
            }
        });
        Words { lines }
    }

    /// The first line that contains `text`, within as many seconds.
    pub fn line(&self, (text, seconds): (&str, u32)) -> anyhow::Result<String> {
        for _ in 0..seconds {
            check_stopped()?;
            let second = Instant::now() + Duration::from_secs(1);
            loop {
                match self.lines.recv_timeout(second.saturating_duration_since(Instant::now())) {
                    Ok(line) if line.contains(text) => return Ok(line),
                    Ok(_) => {}
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => bail!("the server ended before it said “{text}”"),
                }
            }
        }
        bail!("the server did not say “{text}” within {seconds} s")
    }

    /// The first one-time link.
    pub fn link(&self) -> anyhow::Result<String> {
        let line = self.line(LINK)?;
        Ok(link_in(&line).context("the line has the link")?.to_owned())
    }
}

fn link_in(line: &str) -> Option<&str> {
    line.split_whitespace().find(|word| word.starts_with("http") && word.contains(LINK.0))
}

/// Starts a server on a fresh data folder and any free port; answers it and its first administrator's link.
pub fn server(program: &Path, data: &Path) -> anyhow::Result<(Server, String)> {
    let mut command = Command::new(program);
    command.args(["server", "--listen", "127.0.0.1:0", "--data"]).arg(data).stderr(Stdio::piped());
    let mut server = Server::start(&mut command, Signal::TERM)?;
    let words = Words::of(Box::new(server.child().stderr.take().context("its words are piped")?));
    let link = words.link()?;
    Ok((server, link))
}

/// The scheme and host of an address.
pub fn base_of(address: &str) -> Option<&str> {
    let host = address.find("://")? + 3;
    Some(address[host..].find('/').map_or(address, |end| &address[..host + end]))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_link_is_read_off_a_line_for_people() {
        let said = "Open http://127.0.0.1:8080/login?token=abc once";
        let link = super::link_in(said).expect("there is one");
        assert_eq!(link, "http://127.0.0.1:8080/login?token=abc");
        assert_eq!(super::base_of(link), Some("http://127.0.0.1:8080"));
        assert_eq!(super::base_of("http://127.0.0.1:8080"), Some("http://127.0.0.1:8080"));
        assert_eq!(super::link_in("listening on http://127.0.0.1:8080"), None);
    }
}
