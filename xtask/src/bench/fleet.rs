//! Ten thousand targets: planned in twenty waves, all ordered at once, and found again after a restart.

use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;

use super::Row;
use crate::{process, tree};

/// Longer than building the server for release on two cores.
const LIMIT: Duration = Duration::from_mins(25);

/// What the testkit's example prints.
#[derive(Deserialize)]
struct Measured {
    targets: u32,
    plan: Plan,
    restart: Restart,
}

#[derive(Deserialize)]
struct Plan {
    seconds: f64,
    waves: u32,
    hash_alone_seconds: f64,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names of the JSON, whose unit is part of each")]
struct Restart {
    ordered_seconds: f64,
    first_order_seconds: f64,
    looked_seconds: f64,
    rows_alone_seconds: f64,
}

/// Measures them on the embedded database.
pub fn run() -> anyhow::Result<Vec<Row>> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["run", "--release", "--quiet", "-p", "tidegate-testkit", "--example", "ten_thousand"]);
    let text = process::read(command.current_dir(tree::root()), LIMIT)?;
    let measured: Measured = serde_json::from_str(&text)
        .with_context(|| format!("ten_thousand printed something else than a measurement:\n{text}"))?;
    Ok(rows(&measured))
}

fn rows(measured: &Measured) -> Vec<Row> {
    let (targets, ms) = (measured.targets, |seconds: f64| seconds * 1_000.0);
    let (plan, restart) = (&measured.plan, &measured.restart);
    let planned = format!("ms to plan {targets} targets x {} waves", plan.waves);
    let read = Some(ms(restart.rows_alone_seconds));
    vec![
        Row::new(
            planned,
            ms(plan.seconds),
            Some(ms(plan.hash_alone_seconds)),
            "over the API, stored; peer: hashing the plan alone",
        ),
        Row::new(
            format!("ms to order {targets} targets at once"),
            ms(restart.ordered_seconds),
            None,
            "stored, each with its order",
        ),
        Row::new(
            "ms from restart to the first order".into(),
            ms(restart.first_order_seconds),
            read,
            "peer: reading the rows alone",
        ),
        Row::new("ms from restart to the whole in hand".into(), ms(restart.looked_seconds), read, "peer: reading the rows alone"),
    ]
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_measurement_is_four_rows() {
        let text = r#"{"targets": 10, "plan": {"seconds": 0.5, "waves": 2, "bytes": 3, "hash_alone_seconds": 0.1},
            "restart": {"ordered_seconds": 1, "started_seconds": 1, "first_order_seconds": 2, "looked_seconds": 3, "rows_alone_seconds": 1}}"#;
        let rows = super::rows(&serde_json::from_str(text).expect("a measurement"));
        assert_eq!(rows.iter().map(|row| row.ours.round() as i64).collect::<Vec<_>>(), [500, 1_000, 2_000, 3_000]);
    }
}
