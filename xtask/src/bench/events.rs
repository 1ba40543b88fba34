//! Durable events per second, on SQLite and on PostgreSQL, beside the least that could do the same: bare inserts of the
//! same rows in the same groups, without fence, chain and records.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;

use super::Row;
use crate::postgres::{Postgres, Purpose};
use crate::{process, tree};

/// Longer than building the store for release on two cores.
const LIMIT: Duration = Duration::from_mins(20);

/// What the store's example prints, one object for each measurement.
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
    let mut rows = measure(&format!("sqlite:{}", folder.path().join("bench.db").display()))?;
    let postgres = Postgres::start(Purpose::Measurement)?;
    rows.extend(measure(&postgres.url)?);
    Ok(rows)
}

fn measure(database: &str) -> anyhow::Result<Vec<Row>> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["run", "--release", "--quiet", "-p", "tidegate-store", "--example", "commit_rate", "--", database]);
    let text = process::read(command.current_dir(tree::root()), LIMIT)?;
    rows(&text).with_context(|| format!("commit_rate printed something else than measurements:\n{text}"))
}

fn rows(text: &str) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for measured in serde_json::Deserializer::from_str(text).into_iter::<Measured>() {
        let measured = measured?;
        rows.push(Row {
            name: format!("events/s, {}, {} writers", measured.database, measured.writers),
            ours: measured.events_per_second,
            peer: measured.floor_per_second,
            note: "peer: bare inserts of the same rows".to_owned(),
        });
    }
    anyhow::ensure!(!rows.is_empty(), "no measurement");
    Ok(rows)
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_object_is_a_row() {
        let text = "{\"database\": \"SQLite\", \"writers\": 8, \"events_per_second\": 900.5, \"floor_per_second\": 1000}\n\
                    {\"database\": \"SQLite\", \"writers\": 64, \"events_per_second\": 9000, \"floor_per_second\": null}\n";
        let rows = super::rows(text).expect("they are measurements");
        assert_eq!(rows[0].name, "events/s, SQLite, 8 writers");
        assert_eq!(rows[0].ratio().map(|ratio| (ratio * 100.0).round()), Some(90.0));
        assert_eq!(rows[1].ratio(), None);
        assert!(super::rows("").is_err());
    }
}
