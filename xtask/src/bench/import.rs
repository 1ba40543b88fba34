//! How long a real organisation's history takes to come in through the public API.

use anyhow::Context as _;

use super::Row;
use crate::{browser, series, steps};

/// Seconds in which a series has to be loaded.
const LIMIT_SECONDS: f64 = 20.0;

/// Measures each series on the embedded database; nothing without the reference data.
pub fn run() -> anyhow::Result<Vec<Row>> {
    let Some(folder) = series::folder() else { return Ok(Vec::new()) };
    let program = steps::program()?;
    let data = tempfile::Builder::new().prefix("tidegate-import-").tempdir()?;
    let (_server, link) = browser::server(&program, data.path())?;
    let base = browser::base_of(&link).with_context(|| format!("{link} is no address"))?;
    let loaded = series::load(&folder, &program, (data.path(), base))?;
    let row = |it: &series::Loaded| {
        let name = format!("s to load series {} ({} records)", it.name, it.records);
        Row::new(name, it.seconds, Some(LIMIT_SECONDS), "peer: the time a series may take")
    };
    Ok(loaded.iter().map(row).collect())
}
