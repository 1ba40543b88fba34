//! The reference data's real series, loaded into a running server as anybody would.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use crate::process::read;
use crate::{steps, tree};

/// What is loaded.
pub const SERIES: [&str; 3] = ["stein", "victoria", "caracal"];
const TOKEN_LIMIT: Duration = Duration::from_mins(1);
/// Longer than building the loader and loading every series.
const LOAD_LIMIT: Duration = Duration::from_mins(20);

/// How one series went in.
pub struct Loaded {
    /// Which.
    pub name: String,
    /// Records that were stored.
    pub records: u64,
    /// How long it took.
    pub seconds: f64,
}

/// Where the series are, if they are there; says so if not.
pub fn folder() -> Option<PathBuf> {
    let shared = std::env::var_os("TIDEGATE_SHARED").map_or_else(|| tree::root().join("../shared"), PathBuf::from);
    let series = shared.join("data/openstack-releases");
    if series.is_dir() {
        return Some(series);
    }
    println!("skipped: no reference data (set TIDEGATE_SHARED)");
    None
}

/// Loads each of them into the server at `base`, whose data is in `data`.
pub fn load(folder: &Path, program: &Path, (data, base): (&Path, &str)) -> anyhow::Result<Vec<Loaded>> {
    let mut make = Command::new(program);
    make.args(["token", "create", "--person", "admin", "--label", "series", "--quiet", "--data"]).arg(data);
    let token = read(&mut make, TOKEN_LIMIT)?.trim().to_owned();
    let mut loader = steps::cargo(&["run", "--release", "--quiet", "-p", "tidegate-example-openstack", "--"]);
    loader.arg(folder).args(SERIES).env("TIDEGATE_SERVER", base).env("TIDEGATE_TOKEN", token);
    let said = read(&mut loader, LOAD_LIMIT)?;
    print!("{said}");
    said.lines().map(|line| told(line).with_context(|| format!("the loader said: {line}"))).collect()
}

/// `stein: 1234 recorded, 0 known before, 2 freezes declared, 4.5 s`
fn told(line: &str) -> Option<Loaded> {
    let (name, rest) = line.split_once(": ")?;
    let records = rest.split_once(" recorded")?.0.parse().ok()?;
    let seconds = rest.rsplit_once(", ")?.1.strip_suffix(" s")?.parse().ok()?;
    Some(Loaded { name: name.to_owned(), records, seconds })
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_the_loader_says_is_understood() {
        let told = super::told("stein: 1234 recorded, 0 known before, 2 freezes declared, 4.5 s").expect("its words");
        assert_eq!((told.name.as_str(), told.records, told.seconds), ("stein", 1_234, 4.5));
        assert!(super::told("something else").is_none());
    }
}
