//! `cargo xtask bench`: measurements with something to compare them to. Each bench is one file and one arm.

mod events;
mod fleet;
mod idle;
mod import;
mod pages;

use std::path::Path;

use serde::Serialize;

/// One row: what was measured, for us and for a peer that does the least that could do the same.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What, with its unit.
    pub name: String,
    /// Our figure.
    pub ours: f64,
    /// The peer's figure, where there is one.
    pub peer: Option<f64>,
    /// Ours over the peer's.
    pub ratio: Option<f64>,
    /// What the peer is.
    pub note: String,
}

impl Row {
    /// A figure of ours beside a peer's.
    pub fn new(name: String, ours: f64, peer: Option<f64>, note: &str) -> Row {
        let ratio = peer.filter(|peer| *peer > 0.0).map(|peer| (ours / peer * 100.0).round() / 100.0);
        Row { name, ours, peer, ratio, note: note.to_owned() }
    }
}

/// A bench and its name on the command line.
type Bench = (&'static str, fn() -> anyhow::Result<Vec<Row>>);

const BENCHES: [Bench; 5] =
    [("events", events::run), ("fleet", fleet::run), ("idle", idle::run), ("import", import::run), ("pages", pages::run)];

/// Runs the named benches, all if none is named; prints their rows and writes them to `json`.
pub fn run(names: &[String], json: Option<&Path>) -> anyhow::Result<()> {
    let known = BENCHES.map(|(name, _)| name).join(", ");
    for name in names {
        anyhow::ensure!(BENCHES.iter().any(|(bench, _)| bench == name), "there is no bench {name}; there are: {known}");
    }
    let mut rows = Vec::new();
    for (name, bench) in BENCHES {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            rows.extend(bench()?);
        }
    }
    print_table(&rows);
    if let Some(path) = json {
        std::fs::write(path, format!("{}\n", serde_json::to_string_pretty(&rows)?))?;
    }
    Ok(())
}

fn print_table(rows: &[Row]) {
    println!("{:<40} | {:>12} | {:>12} | {:>6} | note", "name", "ours", "peer", "ratio");
    for row in rows {
        let number =
            |value: Option<f64>, digits: usize| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"));
        let (ours, peer, ratio) = (number(Some(row.ours), 0), number(row.peer, 0), number(row.ratio, 2));
        println!("{:<40} | {ours:>12} | {peer:>12} | {ratio:>6} | {}", row.name, row.note);
    }
}
