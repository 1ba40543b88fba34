//! Durable events per second, on `SQLite` and on `PostgreSQL`, beside the least that is as durable: bare inserts, each in a
//! transaction of its own, without fence, chain and records.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;

use super::Row;
use crate::postgres::{Postgres, Purpose};
use crate::{process, tree};

/// Longer than building the store for release on two cores.
const LIMIT: Duration = Duration::from_mins(20);

/// Writers at once, and commits in all: few enough that one writer on a slow disk ends within a minute.
const ROUNDS: [(u32, u32); 3] = [(1, 2_000), (8, 8_000), (64, 20_000)];

/// What the store's example prints.
#[derive(Deserialize)]
struct Measured {
    database: String,
    writers: u32,
    events_per_second: f64,
    floor_per_second: Option<f64>,
}

/// Measures both databases.
pub fn run() -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::Builder::new().prefix("tidegate-bench-").tempdir()?;
    let postgres = Postgres::start(Purpose::Measurement)?;
    let sqlite = format!("sqlite:{}", folder.path().join("bench.db").display());
    let rounds = [sqlite.as_str(), postgres.url.as_str()].into_iter().flat_map(|url| ROUNDS.map(|round| (url, round)));
    rounds.map(|(url, round)| measure(url, round)).collect()
}

fn measure(database: &str, (writers, commits): (u32, u32)) -> anyhow::Result<Row> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["run", "--release", "--quiet", "-p", "tidegate-store", "--example", "commit_rate", "--", database]);
    command.args([writers.to_string(), commits.to_string()]);
    let text = process::read(command.current_dir(tree::root()), LIMIT)?;
    row(&text).with_context(|| format!("commit_rate printed something else than a measurement:\n{text}"))
}

fn row(text: &str) -> anyhow::Result<Row> {
    let measured: Measured = serde_json::from_str(text)?;
    // `SQLite 3.53.0 at …`: where it is says nothing about how fast it is.
    let database = measured.database.split(" at ").next().unwrap_or_default();
    let name = format!("events/s, {database}, {} writers", measured.writers);
    let note = "peer: a bare insert for each, durable as well";
    Ok(Row::new(name, measured.events_per_second, measured.floor_per_second, note))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_measurement_is_a_row_without_its_place() {
        let text =
            "{\"database\": \"SQLite 3.53.0 at x.db\", \"writers\": 8, \"events_per_second\": 900, \"floor_per_second\": 1000}";
        let row = super::row(text).expect("it is a measurement");
        assert_eq!(row.name, "events/s, SQLite 3.53.0, 8 writers");
        assert_eq!(row.ratio, Some(0.9));
        assert!(super::row("no").is_err());
    }
}
