//! A program file: the version as it stands in `bin/ledger` and `bin/migrate`.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

/// Bytes of a program file.
const PROGRAM_BYTES_MAX: u64 = 64 << 10;
/// The last level of schema: migrations are numbered with three digits.
const SCHEMA_MAX: u32 = 999;

/// What a version of the ledger is. Its first line, which names the interpreter, is a comment to TOML.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// What it calls itself; text, because 1.10 is not 1.1.
    pub version: String,
    /// The level of schema it needs; 1 to 999.
    pub schema: u32,
    /// What it can beside entries and balances.
    #[serde(default)]
    pub features: Vec<Feature>,
    /// How totals are written down, if they are.
    pub totals: Option<Totals>,
}

/// What a version may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// Notes on entries, and statements that show them.
    Statement,
}

/// With every so many entries, one more statement is part of the entry.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// At least 1.
    pub every_entries: u64,
    /// SQL with the account as `$1`.
    pub sql: String,
}

impl Program {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> anyhow::Result<Program> {
        let mut text = String::new();
        let file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
        let read = file.take(PROGRAM_BYTES_MAX + 1).read_to_string(&mut text);
        let bytes = read.with_context(|| format!("{} cannot be read", path.display()))?;
        ensure!(bytes as u64 <= PROGRAM_BYTES_MAX, "{} has more than {PROGRAM_BYTES_MAX} bytes", path.display());
        Program::parse(&text).with_context(|| format!("{} is not a program of the ledger", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Program> {
        let program: Program = toml::from_str(text)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
        let good = (1..=64).contains(&program.version.len()) && program.version.chars().all(plain);
        ensure!(good, "version: use 1 to 64 letters, digits, '.', '_', '+' or '-'");
        ensure!((1..=SCHEMA_MAX).contains(&program.schema), "schema: use 1 to {SCHEMA_MAX}");
        ensure!(program.totals.as_ref().is_none_or(|totals| totals.every_entries > 0), "totals.every_entries: use at least 1");
        Ok(program)
    }

    /// Whether the version has it.
    pub fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }
}

/// The folder of migrations that belongs to the program at `path`.
pub fn migrations(path: &Path) -> anyhow::Result<PathBuf> {
    let release = path.parent().and_then(Path::parent);
    let release = release.with_context(|| format!("{} is not in a folder bin of an artifact", path.display()))?;
    Ok(release.join("migrations"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> String {
        match Program::parse(text) {
            Ok(program) => format!("{} on {}", program.version, program.schema),
            Err(error) => format!("no: {error}"),
        }
    }

    #[test]
    fn a_program_is_read_strictly() {
        assert_eq!(check("#!/usr/bin/env -S tidegate sample-ledger\nversion = \"1.10\"\nschema = 2\n"), "1.10 on 2");
        assert!(check("version = 1.10\nschema = 2\n").contains("expected a string"));
        assert!(check("version = \"1\"\nschema = 0\n").contains("schema: use 1 to 999"));
        assert!(check("version = \"1\"\nschema = 1\nversion = \"2\"\n").contains("duplicate key"));
        assert!(check("version = \"1\"\nschema = 1\nfeatures = [\"flying\"]\n").contains("unknown variant"));
        assert!(check("version = \"1\\n\"\nschema = 1\n").contains("version: use"));
        assert!(check("version = \"1\"\nschema = 1\n[totals]\nevery_entries = 0\nsql = \"\"\n").contains("at least 1"));
        assert!(check("version = \"1\"\nschema = 1\nport = 1\n").contains("unknown field"));
    }
}
