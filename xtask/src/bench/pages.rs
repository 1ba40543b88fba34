//! Pages and lists with a year of a large house stored: how long until the first byte, the slowest first.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;

use super::Row;
use crate::{process, tree};

/// Longer than building the server for release, filling a database and asking some hundred addresses a few hundred times.
const LIMIT: Duration = Duration::from_hours(1);
/// What a page's first byte may take, of a hundred requests for ninety-nine.
const FIRST_BYTE_MS: f64 = 50.0;

/// What the testkit's example prints.
#[derive(Deserialize)]
struct Measured {
    fill_seconds: Option<f64>,
    counts: std::collections::BTreeMap<String, u64>,
    rows: Vec<Asked>,
    /// A file that the same server gives out.
    file: Asked,
    /// The query of a first page, with nothing around it.
    bare: Times,
    server_bytes: f64,
}

/// One address, asked by one person.
#[derive(Deserialize)]
struct Asked {
    address: String,
    who: String,
    status: u16,
    bytes: u64,
    alone: Times,
    together: Times,
}

/// One figure of an address.
type Figure = fn(&Asked) -> f64;

#[derive(Deserialize)]
struct Times {
    p50_ms: f64,
    p99_ms: f64,
}

/// Measures them on the embedded database.
pub fn run() -> anyhow::Result<Vec<Row>> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["run", "--release", "--quiet", "-p", "tidegate-testkit", "--example", "at_size"]);
    let text = process::read(command.current_dir(tree::root()), LIMIT)?;
    let mut measured: Measured =
        serde_json::from_str(&text).with_context(|| format!("at_size printed something else than a measurement:\n{text}"))?;
    measured.rows.sort_by(|a, b| b.alone.p99_ms.total_cmp(&a.alone.p99_ms));
    print(&measured);
    Ok(rows(&measured))
}

fn print(measured: &Measured) {
    let counts: Vec<String> = measured.counts.iter().map(|(noun, count)| format!("{count} {noun}")).collect();
    println!("stored: {}", counts.join(", "));
    println!("milliseconds to the first byte, from 1 connection and from 8; ! marks what is above {FIRST_BYTE_MS}");
    println!("{:>7} {:>7}   {:>7} {:>7}   {:>8}  who     address", "1: p50", "p99", "8: p50", "p99", "bytes");
    for row in measured.rows.iter().chain([&measured.file]) {
        let Asked { address, who, status, bytes, alone, together } = row;
        let mark = |times: &Times| if times.p99_ms > FIRST_BYTE_MS { '!' } else { ' ' };
        let (one, eight) = (mark(alone), mark(together));
        let status = if *status == 200 { String::new() } else { format!(" ({status})") };
        println!(
            "{:>7.1} {:>7.1}{one}  {:>7.1} {:>7.1}{eight}  {bytes:>8}  {who:<7} {address}{status}",
            alone.p50_ms, alone.p99_ms, together.p50_ms, together.p99_ms
        );
    }
}

fn rows(measured: &Measured) -> Vec<Row> {
    let Measured { rows, file, bare, .. } = measured;
    let worst = |of: Figure| rows.iter().map(of).fold(0.0, f64::max);
    let above = |of: Figure| rows.iter().filter(|row| of(row) > FIRST_BYTE_MS).count() as f64;
    let (alone, together): (Figure, Figure) = (|row| row.alone.p99_ms, |row| row.together.p99_ms);
    let list = rows.iter().find(|row| row.address == "/api/v1/deployments").map_or(0.0, |row| row.alone.p50_ms);
    let mut all = vec![
        Row::new("ms to the first byte, slowest p99, 1 asks".into(), worst(alone), Some(file.alone.p99_ms), "peer: a file of it"),
        Row::new("ms to it, slowest p99, 8 ask".into(), worst(together), Some(file.together.p99_ms), "peer: a file of it"),
        Row::new("addresses above 50 ms, 1 asks".into(), above(alone), None, "each as administrator and as viewer"),
        Row::new("addresses above 50 ms, 8 ask".into(), above(together), None, "eight at once on this machine's cores"),
        Row::new("ms for 50 of 100,000 deployments, median".into(), list, Some(bare.p50_ms), "peer: the bare query for 51 rows"),
        Row::new("MiB of the server afterwards".into(), measured.server_bytes / f64::from(1 << 20), None, "resident"),
    ];
    all.extend(measured.fill_seconds.map(|seconds| Row::new("s to fill it, through commits".into(), seconds, None, "")));
    all
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_too_slow_is_counted() {
        let row = |alone: u32, together: u32| {
            format!(
                r#"{{"address": "/", "who": "admin", "status": 200, "bytes": 1, "alone": {{"p50_ms": 1, "p99_ms": {alone}}},
                "together": {{"p50_ms": 1, "p99_ms": {together}}}}}"#
            )
        };
        let text = format!(
            r#"{{"fill_seconds": 9, "counts": {{}}, "rows": [{}, {}], "file": {}, "bare": {{"p50_ms": 1, "p99_ms": 1}}, "server_bytes": 0}}"#,
            row(60, 70),
            row(40, 55),
            row(1, 1)
        );
        let rows = super::rows(&serde_json::from_str(&text).expect("a measurement"));
        assert_eq!(rows.iter().map(|row| row.ours.round() as i64).collect::<Vec<_>>(), [60, 70, 1, 2, 0, 0, 9]);
    }
}
