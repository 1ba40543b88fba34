//! Ten thousand agents that have nothing to do: what they cost a server, and how long an order takes beside them.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;

use super::Row;
use crate::{process, tree};

/// Longer than building the server for release on two cores, and three minutes of measuring.
const LIMIT: Duration = Duration::from_mins(30);

/// What the testkit's example prints.
#[derive(Deserialize)]
struct Measured {
    agents: u32,
    bytes_before: f64,
    first: u32,
    bytes_first: f64,
    bytes_after: f64,
    cpu_percent: f64,
    order: Orders,
    order_alone: Orders,
}

/// Times from a start to the order at its agent.
#[derive(Deserialize)]
struct Orders {
    median_ms: f64,
    longest_ms: f64,
}

/// Measures them on the embedded database.
pub fn run() -> anyhow::Result<Vec<Row>> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["run", "--release", "--quiet", "-p", "tidegate-testkit", "--example", "idle_agents"]);
    let text = process::read(command.current_dir(tree::root()), LIMIT)?;
    let measured: Measured =
        serde_json::from_str(&text).with_context(|| format!("idle_agents printed something else than a measurement:\n{text}"))?;
    Ok(rows(&measured))
}

fn rows(measured: &Measured) -> Vec<Row> {
    let Measured { agents, order, order_alone, .. } = measured;
    let kib = (measured.bytes_after - measured.bytes_before) / f64::from(*agents) / 1_024.0;
    let alone = "peer: with nobody else polling";
    vec![
        Row::new(
            format!("MiB of a server with {} idle agents", measured.first),
            mib(measured.bytes_first),
            Some(mib(measured.bytes_before)),
            "resident; peer: before they poll",
        ),
        Row::new(
            format!("MiB of a server with {agents} idle agents"),
            mib(measured.bytes_after),
            Some(mib(measured.bytes_before)),
            "resident; peer: before they poll",
        ),
        Row::new("KiB for each idle agent".into(), kib, None, "resident"),
        Row::new(format!("% of a core for {agents} idle agents"), measured.cpu_percent, None, "every poll asked again once"),
        Row::new(format!("ms to an order, {agents} idle, median"), order.median_ms, Some(order_alone.median_ms), alone),
        Row::new(format!("ms to an order, {agents} idle, longest"), order.longest_ms, Some(order_alone.longest_ms), alone),
    ]
}

fn mib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_measurement_is_six_rows() {
        let text = r#"{"agents": 1024, "bytes_before": 1048576, "first": 64, "bytes_first": 3145728, "bytes_after": 11534336, "cpu_percent": 7,
            "order": {"median_ms": 20, "longest_ms": 40}, "order_alone": {"median_ms": 10, "longest_ms": 10}}"#;
        let rows = super::rows(&serde_json::from_str(text).expect("a measurement"));
        assert_eq!(rows.iter().map(|row| row.ours.round() as i64).collect::<Vec<_>>(), [3, 11, 10, 7, 20, 40]);
    }
}
