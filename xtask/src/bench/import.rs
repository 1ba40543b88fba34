//! How long a real organisation's history takes to come in through the public API.

use std::process::{Command, Stdio};

use anyhow::Context as _;
use rustix::process::Signal;

use super::Row;
use crate::browser::{self, Words};
use crate::process::Server;
use crate::{series, steps};

/// Seconds in which a series has to be loaded.
const LIMIT_SECONDS: f64 = 20.0;

/// Measures each series on the embedded database; nothing without the reference data.
pub fn run() -> anyhow::Result<Vec<Row>> {
    let Some(folder) = series::folder() else { return Ok(Vec::new()) };
    let program = steps::program()?;
    let data = tempfile::Builder::new().prefix("tidegate-import-").tempdir()?;
    let mut command = Command::new(&program);
    command.args(["server", "--listen", "127.0.0.1:0", "--data"]).arg(data.path()).stderr(Stdio::piped());
    let mut server = Server::start(&mut command, Signal::TERM)?;
    let words = Words::of(Box::new(server.child().stderr.take().context("its words are piped")?));
    let link = words.link()?;
    let base = browser::base_of(&link).with_context(|| format!("{link} is no address"))?;
    let loaded = series::load(&folder, &program, (data.path(), base))?;
    let row = |it: &series::Loaded| {
        let name = format!("s to load series {} ({} records)", it.name, it.records);
        Row::new(name, it.seconds, Some(LIMIT_SECONDS), "peer: the time a series may take")
    };
    Ok(loaded.iter().map(row).collect())
}
