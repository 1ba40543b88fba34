//! A server's data folder: who may read it, its key, its disk, its database, its history.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tidegate_server::data::{DATABASE, KEY, LOCK, OBJECTS};
use tidegate_store::Inspection;

use super::disk;
use super::finding::{Code, Findings};
use crate::text::plan::count;

/// Bytes of a write-ahead log above which a reader must have held it back for long: the server truncates it to 64 MiB.
const LOG_BYTES_MAX: u64 = 256 << 20;
/// Bytes of the server's key.
const KEY_BYTES: u64 = 32;

/// Looks at a data folder, beside a server that may be running.
pub async fn look(findings: &mut Findings, data: &Path, database: Option<&str>) {
    let place = data.display();
    if let Err(error) = std::fs::read_dir(data) {
        let remedy = if error.kind() == ErrorKind::PermissionDenied {
            "run as the user that the server runs as"
        } else {
            "name the folder that the server was started with"
        };
        return findings.problem(Code::DataFolder, place, (format!("it cannot be read: {error}"), remedy));
    }
    findings.good(Code::DataFolder, place, "it can be read");
    private(findings, data, "the folder");
    private(findings, &data.join(KEY), "the server's key");
    key(findings, &data.join(KEY));
    library(findings, &data.join(OBJECTS));
    disk::look(findings, data);
    process(findings, &data.join(LOCK));
    match database {
        Some(url) => inspect(findings, "the database", url).await,
        None => embedded(findings, &data.join(DATABASE)).await,
    }
}

/// Whoever reads the key commands every host.
fn private(findings: &mut Findings, path: &Path, thing: &str) {
    let Ok(metadata) = path.metadata() else { return };
    let mode = metadata.permissions().mode() & 0o777;
    let others = mode & 0o077;
    if others == 0 {
        return findings.good(Code::DataPrivate, path.display(), format!("{thing} is its owner's alone"));
    }
    let what = format!("{thing} can be read by others (mode {mode:o})");
    let remedy = format!("chmod go-rwx {}", path.display());
    findings.problem(Code::DataPrivate, path.display(), (what, remedy));
}

fn key(findings: &mut Findings, path: &Path) {
    let place = path.display();
    match path.metadata().and_then(|metadata| File::open(path).map(|_| metadata.len())) {
        Ok(KEY_BYTES) => findings.good(Code::Key, place, "the server's key is there"),
        Ok(bytes) => {
            let what = format!("the server's key has {bytes} bytes and not {KEY_BYTES}");
            findings.problem(Code::Key, place, (what, "put it back from a backup: agents believe no other"));
        }
        Err(error) => {
            let what = format!("the server's key cannot be read: {error}");
            let remedy = "put it back from a backup: a new one is made at the next start, and agents do not believe it";
            findings.problem(Code::Key, place, (what, remedy));
        }
    }
}

fn library(findings: &mut Findings, objects: &Path) {
    match std::fs::read_dir(objects) {
        Ok(_) => findings.good(Code::Library, objects.display(), "the media library is there"),
        Err(error) => {
            let what = format!("the media library cannot be read: {error}");
            findings.problem(Code::Library, objects.display(), (what, "put it back from a backup"));
        }
    }
}

/// Whether a server works on the folder. The lock is taken for a moment at most, and only if nobody has it.
fn process(findings: &mut Findings, lock: &Path) {
    let place = lock.display();
    match File::open(lock).map(|file| file.try_lock()) {
        Ok(Err(TryLockError::WouldBlock)) => findings.good(Code::ServerProcess, place, "a server works on the folder"),
        Ok(Ok(())) => {
            findings.warning(
                Code::ServerProcess,
                place,
                ("no server works on the folder", "start it: tidegate server --data DIR"),
            );
        }
        Ok(Err(TryLockError::Error(error))) | Err(error) => {
            let what = format!("it cannot be told whether a server works on the folder: {error}");
            findings.warning(Code::ServerProcess, place, (what, "start it: tidegate server --data DIR"));
        }
    }
}

async fn embedded(findings: &mut Findings, path: &Path) {
    let place = path.display();
    if let Err(error) = File::open(path) {
        let what = format!("the database cannot be read: {error}");
        return findings.problem(Code::Database, place, (what, "put the folder back from a backup, or name --database"));
    }
    private(findings, path, "the database");
    let log = path.with_extension("db-wal").metadata().map_or(0, |metadata| metadata.len());
    let what = format!("the write-ahead log has {} MiB", log >> 20);
    if log > LOG_BYTES_MAX {
        let remedy = "look for a program that keeps the database open, and restart the server";
        findings.warning(Code::WriteAheadLog, &place, (what, remedy));
    } else {
        findings.good(Code::WriteAheadLog, &place, what);
    }
    inspect(findings, place, &format!("sqlite:{}", path.display())).await;
}

async fn inspect(findings: &mut Findings, place: impl std::fmt::Display, url: &str) {
    let inspection = match Inspection::open(url).await {
        Ok(inspection) => inspection,
        Err(fault) => return findings.problem(Code::Database, place, (fault, "check its address, its disk and who may read it")),
    };
    findings.good(Code::Database, &place, format!("{} answers", inspection.describe()));
    let is_ours = schema(findings, &place, &inspection).await;
    integrity(findings, &place, &inspection).await;
    if is_ours {
        history(findings, &place, &inspection).await;
    }
    inspection.close().await;
}

/// Answers whether there is a history to look at.
async fn schema(findings: &mut Findings, place: &impl std::fmt::Display, inspection: &Inspection) -> bool {
    match inspection.schema().await {
        Ok((found, known)) if found > known => {
            let what = format!("its schema is {found} and this program knows {known}");
            findings.problem(Code::DatabaseSchema, place, (what, "use the newer program that wrote it"));
        }
        Ok((found, known)) if found < known => {
            let what = format!("its schema is {found}, and a server of this version makes it {known}");
            findings.warning(Code::DatabaseSchema, place, (what, "back it up, then start the server"));
        }
        Ok((found, _)) => findings.good(Code::DatabaseSchema, place, format!("its schema is {found}, as this program's")),
        Err(fault) => {
            findings.problem(Code::DatabaseSchema, place, (fault, "put it back from a backup: it is damaged, or not Tidegate's"));
            return false;
        }
    }
    true
}

async fn integrity(findings: &mut Findings, place: &impl std::fmt::Display, inspection: &Inspection) {
    let remedy = "stop the server, keep a copy of the folder, and restore a backup";
    match inspection.damage().await {
        Ok(None) => findings.good(Code::DatabaseIntegrity, place, "its structure is whole"),
        Ok(Some(damage)) => findings.problem(Code::DatabaseIntegrity, place, (format!("it is damaged: {damage}"), remedy)),
        Err(fault) => findings.problem(Code::DatabaseIntegrity, place, (fault, remedy)),
    }
}

async fn history(findings: &mut Findings, place: &impl std::fmt::Display, inspection: &Inspection) {
    let remedy = "keep the data as it is, and compare it with a backup from before";
    match inspection.verify().await {
        Ok(verified) => match verified.broken {
            None => {
                let events = count(verified.events as usize, "event");
                findings.good(Code::History, place, format!("{events} walked, every one holds"));
            }
            Some(broken) => findings.problem(Code::History, place, (format!("the history is broken: {broken}"), remedy)),
        },
        Err(fault) => findings.problem(Code::History, place, (fault, remedy)),
    }
}
