//! The pages in Debian's Chromium, driven by `tests/browser`. Node is a tool of these tests only.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::Signal;

use crate::process::{Server, check_stopped, run as run_to_end};
use crate::tree;

/// The server under test: the demo, whose changes the browser approves by hand, left running for a look around.
const DEMO: [&str; 4] = ["demo", "--once", "--keep", "--by-hand"];
/// The oldest Node that playwright-core runs on.
const NODE_MIN: u32 = 20;
/// How long the demo may take until it prints where to sign in.
const START_SECONDS: u32 = 60;

/// Starts `program` and lets the browser visit it.
pub fn run(program: &Path) -> anyhow::Result<()> {
    let folder = tree::root().join("tests/browser");
    new_enough()?;
    packages(&folder)?;
    run_to_end(Command::new("node").arg("self-test.mjs").current_dir(&folder))?;
    let data = tempfile::Builder::new().prefix("tidegate-browser-").tempdir()?;
    let mut server =
        Server::start(Command::new(program).args(DEMO).current_dir(data.path()).stdout(Stdio::piped()), Signal::INT)?;
    let login = sign_in_address(&mut server)?;
    let base = base_of(&login).with_context(|| format!("{login} is no address"))?;
    run_to_end(
        Command::new("node")
            .arg("story.mjs")
            .current_dir(&folder)
            .env("BASE_URL", base)
            .env("LOGIN_URL", &login)
            .env("SCREENSHOTS", screenshots()),
    )
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

/// The first address on loopback that the server prints: the one-time link.
fn sign_in_address(server: &mut Server) -> anyhow::Result<String> {
    let pipe = server.child().stdout.take().context("its words are piped")?;
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            println!("  {line}");
            // Nobody listens once the address is known.
            let _ = send.send(line);
        }
    });
    for _ in 0..START_SECONDS {
        check_stopped()?;
        match receive.recv_timeout(Duration::from_secs(1)) {
            Ok(line) => {
                if let Some(address) = address_in(&line) {
                    return Ok(address.to_owned());
                }
            }
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => bail!("the server ended before it printed where to sign in"),
        }
    }
    bail!("the server printed no address within {START_SECONDS} s")
}

fn address_in(line: &str) -> Option<&str> {
    let start = ["http://127.0.0.1:", "http://localhost:"].iter().find_map(|scheme| line.find(scheme))?;
    line[start..].split_whitespace().next()
}

fn base_of(address: &str) -> Option<&str> {
    let host = address.find("://")? + 3;
    Some(address[host..].find('/').map_or(address, |end| &address[..host + end]))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_address_is_read_off_a_line_for_people() {
        let line = "Open http://127.0.0.1:8080/link/abc once";
        let address = super::address_in(line).expect("there is one");
        assert_eq!(address, "http://127.0.0.1:8080/link/abc");
        assert_eq!(super::base_of(address), Some("http://127.0.0.1:8080"));
        assert_eq!(super::base_of("http://127.0.0.1:8080"), Some("http://127.0.0.1:8080"));
        assert_eq!(super::address_in("listening"), None);
    }
}
