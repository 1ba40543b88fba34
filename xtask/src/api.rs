//! The API under a fuzzer: schemathesis asks a server of the program, as each role, what its document allows and what it forbids.
//! Python is a tool of this test only.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;
use serde::Deserialize;

use crate::process::{Server, run as run_to_end};
use crate::tree;

/// Seconds that the estate may take until it stands.
const START_SECONDS: u64 = 60;
/// The role that may do everything: its way through the document is the longest one.
const EVERYTHING: &str = "administrator";
/// What is asked as the administrator: every border of every form, what chance makes of the forms, and what one answer leads to. As
/// the others the borders are left out: they are the same, behind a 403 or not. The seconds end a run, as two of the phases go on
/// for as long as they may. One worker: several of them crash Python 3.11 (its parser counts its depth for all threads together).
const LONG: [&str; 4] = ["--phases=coverage,fuzzing,stateful", "--max-examples=15", "--max-time=120", "--workers=1"];
const SHORT: [&str; 4] = ["--phases=fuzzing,stateful", "--max-examples=5", "--max-time=22", "--workers=1"];

/// What the example `api_under_test` says.
#[derive(Deserialize)]
struct UnderTest {
    /// Where the server is.
    base: String,
    /// A token for each role.
    people: serde_json::Map<String, serde_json::Value>,
    /// Names and ids of things, by what they are.
    things: serde_json::Map<String, serde_json::Value>,
}

/// Lets the fuzzer ask a server of the debug build of `program`, which checks its arithmetic; `example` sets the server up.
pub fn run(program: &Path, example: &Path) -> anyhow::Result<()> {
    let (fuzzer, folder) = (fuzzer()?, tree::target().join("api"));
    std::fs::create_dir_all(&folder)?;
    let log = folder.join("server.log");
    let mut command = Command::new(example);
    command.arg(program).stdout(Stdio::piped()).stderr(std::fs::File::create(&log)?);
    let mut server = Server::start_with(&mut command, Stdio::piped(), Signal::TERM)?;
    let under_test = told(&mut server).with_context(|| format!("no server to fuzz; see {}", log.display()))?;
    configure(&folder, &under_test)?;
    for (role, token) in &under_test.people {
        let token = token.as_str().context("a token is text")?;
        println!("as {role}");
        let amount = if role == EVERYTHING { LONG } else { SHORT };
        let mut command = Command::new(&fuzzer);
        command.args(["--no-color", "--config-file=schemathesis.toml", "run"]).args(amount);
        command.arg(format!("{}/api/openapi.json", under_test.base));
        let asked = run_to_end(command.current_dir(&folder).env("TIDEGATE_FUZZ_TOKEN", token));
        asked.with_context(|| format!("the fuzzer found something as {role}; the server's log is {}", log.display()))?;
        // Whatever it did, it did not lose its way in, which would have made every answer after that the same.
        run_to_end(ours(program, &under_test.base, token).arg("whoami"))?;
    }
    let token = under_test.people.get(EVERYTHING).and_then(serde_json::Value::as_str).context("there is no administrator")?;
    run_to_end(ours(program, &under_test.base, token).args(["audit", "verify"]))
}

/// The program as a client of the server.
fn ours(program: &Path, base: &str, token: &str) -> Command {
    let mut command = Command::new(program);
    command.env("TIDEGATE_SERVER", base).env("TIDEGATE_TOKEN", token);
    command
}

/// Installs exactly what `tests/api/requirements.txt` names, once; answers where the fuzzer is.
fn fuzzer() -> anyhow::Result<PathBuf> {
    let requirements = tree::root().join("tests/api/requirements.txt");
    let wanted = std::fs::read(&requirements).context("the fuzzer's packages are not named")?;
    let (folder, stamp) = (tree::target().join("schemathesis"), tree::target().join("schemathesis/tidegate-requirements"));
    let program = folder.join("bin/schemathesis");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(program);
    }
    run_to_end(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder)).context("run the step install")?;
    let mut install = Command::new(folder.join("bin/pip"));
    install.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"]).arg(&requirements);
    run_to_end(&mut install).context(
        "the fuzzer of the API cannot be installed: pip reaches no registry with the packages of tests/api/requirements.txt",
    )?;
    std::fs::write(&stamp, wanted)?;
    Ok(program)
}

/// Waits for the one line that says what there is.
fn told(server: &mut Server) -> anyhow::Result<UnderTest> {
    let pipe = server.child().stdout.take().context("its words are piped")?;
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        // Nobody listens once the time is up.
        let _ = send.send(BufReader::new(pipe).read_line(&mut line).map(|_| line));
    });
    let line = receive.recv_timeout(Duration::from_secs(START_SECONDS)).context("it did not stand in time")??;
    serde_json::from_str(&line).context("it did not say what there is")
}

/// The configuration of the tree, with what the estate has as dictionaries; a list of strings is the same in JSON and TOML.
fn configure(folder: &Path, under_test: &UnderTest) -> anyhow::Result<()> {
    let tests = tree::root().join("tests/api");
    let mut text = std::fs::read_to_string(tests.join("schemathesis.toml"))?;
    for (kind, words) in &under_test.things {
        text.push_str(&format!("\n[dictionaries.{kind}]\nvalues = {words}\n"));
    }
    std::fs::write(folder.join("schemathesis.toml"), text)?;
    std::fs::copy(tests.join("hooks.py"), folder.join("hooks.py"))?;
    Ok(())
}
