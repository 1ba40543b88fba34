//! The versions of the ledger as bytes that can be deployed.

use std::io::Write as _;

use anyhow::Context as _;
use flate2::{Compression, GzBuilder};

/// A version of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Edition {
    /// Entries and balances.
    V1_0,
    /// Adds notes and statements; its migration adds a column.
    V1_1,
    /// Adds written totals, into a column that does not exist: every third entry fails.
    V1_2Bad,
    /// The same with the column's right name.
    V1_2,
}

impl Edition {
    /// All of them, oldest first.
    pub const ALL: [Edition; 4] = [Edition::V1_0, Edition::V1_1, Edition::V1_2Bad, Edition::V1_2];

    /// The version, as Tidegate is told it.
    pub fn name(self) -> &'static str {
        match self {
            Edition::V1_0 => "1.0",
            Edition::V1_1 => "1.1",
            Edition::V1_2Bad => "1.2-bad",
            Edition::V1_2 => "1.2",
        }
    }

    fn ledger(self) -> &'static str {
        match self {
            Edition::V1_0 => include_str!("../editions/1.0/bin/ledger"),
            Edition::V1_1 => include_str!("../editions/1.1/bin/ledger"),
            Edition::V1_2Bad => include_str!("../editions/1.2-bad/bin/ledger"),
            Edition::V1_2 => include_str!("../editions/1.2/bin/ledger"),
        }
    }

    fn migrate(self) -> &'static str {
        match self {
            Edition::V1_0 => include_str!("../editions/1.0/bin/migrate"),
            Edition::V1_1 => include_str!("../editions/1.1/bin/migrate"),
            Edition::V1_2Bad => include_str!("../editions/1.2-bad/bin/migrate"),
            Edition::V1_2 => include_str!("../editions/1.2/bin/migrate"),
        }
    }

    fn migrations(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Edition::V1_0 => &MIGRATIONS[..1],
            Edition::V1_1 => &MIGRATIONS[..2],
            Edition::V1_2Bad | Edition::V1_2 => &MIGRATIONS[..3],
        }
    }
}

/// Each only adds, so that the version before keeps working on the newer schema: that is what makes falling back possible.
const MIGRATIONS: [(&str, &str); 3] = [
    ("migrations/001.sql", include_str!("../migrations/001.sql")),
    ("migrations/002.sql", include_str!("../migrations/002.sql")),
    ("migrations/003.sql", include_str!("../migrations/003.sql")),
];

/// Packs a version as a tar.gz; the same bytes each time.
pub fn artifact(edition: Edition) -> anyhow::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    folder(&mut archive, "bin/")?;
    file(&mut archive, "bin/ledger", edition.ledger(), PROGRAM)?;
    file(&mut archive, "bin/migrate", edition.migrate(), PROGRAM)?;
    folder(&mut archive, "migrations/")?;
    for (path, text) in edition.migrations() {
        file(&mut archive, path, text, TEXT)?;
    }
    let bytes = archive.into_inner().context("the archive cannot be ended")?;
    // Without a file name and with the time 0, which is what makes the bytes the same each time.
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
    gzip.write_all(&bytes).context("the archive cannot be compressed")?;
    gzip.finish().context("the archive cannot be compressed")
}

const PROGRAM: u32 = 0o755;
const TEXT: u32 = 0o644;

fn folder(archive: &mut tar::Builder<Vec<u8>>, path: &str) -> anyhow::Result<()> {
    append(archive, path, &[], header(tar::EntryType::Directory, PROGRAM))
}

fn file(archive: &mut tar::Builder<Vec<u8>>, path: &str, text: &str, mode: u32) -> anyhow::Result<()> {
    append(archive, path, text.as_bytes(), header(tar::EntryType::Regular, mode))
}

fn header(kind: tar::EntryType, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn append(archive: &mut tar::Builder<Vec<u8>>, path: &str, bytes: &[u8], mut header: tar::Header) -> anyhow::Result<()> {
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, path, bytes).with_context(|| format!("{path} cannot be packed"))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use expect_test::expect;

    use super::*;

    fn listing(edition: Edition) -> String {
        let bytes = artifact(edition).expect("an artifact");
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
        let mut lines = String::new();
        for entry in archive.entries().expect("entries") {
            let mut entry = entry.expect("an entry");
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("a text");
            let (mode, path) = (entry.header().mode().expect("a mode"), entry.path().expect("a path").display().to_string());
            assert_eq!(entry.header().mtime().expect("a time"), 0);
            let first = text.lines().next().filter(|line| line.starts_with("#!")).unwrap_or_default();
            lines.push_str(format!("{mode:o} {path} {first}").trim_end());
            lines.push('\n');
        }
        lines
    }

    #[test]
    fn an_artifact_has_the_same_bytes_each_time_and_others_than_any_other() {
        let all = Edition::ALL.map(|edition| artifact(edition).expect("an artifact"));
        assert_eq!(all, Edition::ALL.map(|edition| artifact(edition).expect("an artifact")));
        assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
        assert_eq!(all[0][4..8], [0; 4], "the time in the gzip header");
    }

    #[test]
    fn an_artifact_brings_its_programs_and_the_migrations_up_to_its_own() {
        expect![[r"
            755 bin/
            755 bin/ledger #!/usr/bin/env -S tidegate sample-ledger
            755 bin/migrate #!/usr/bin/env -S tidegate sample-ledger-migrate
            755 migrations/
            644 migrations/001.sql
            644 migrations/002.sql
        "]]
        .assert_eq(&listing(Edition::V1_1));
        assert!(!listing(Edition::V1_0).contains("002.sql"));
        assert!(listing(Edition::V1_2Bad).contains("003.sql"));
    }

    #[test]
    fn migrations_only_add() {
        for (path, text) in MIGRATIONS {
            let code: String = text.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join(" ");
            for statement in code.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
                let adds = ["CREATE TABLE ", "CREATE INDEX "].iter().any(|verb| statement.starts_with(verb));
                let optional = statement.contains(" ADD COLUMN ") && !statement.contains("NOT NULL");
                assert!(adds || optional, "{path}: {statement}");
            }
        }
    }
}
