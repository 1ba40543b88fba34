//! A look at an agent's folder that changes nothing in it, beside an agent that may be running.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tidegate_domain::Name;

use crate::durable;
use crate::identity::{self, Kept};
use crate::journal::Journal;
use crate::ratchet::Ratchet;

/// Who the agent of a folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Nobody yet: there is no key.
    Nobody,
    /// It has a key that no server has accepted.
    NotEnrolled,
    /// It is a target.
    Enrolled(Name),
    /// What it kept cannot be understood.
    Unreadable(String),
}

/// What a folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Who it is.
    pub who: Who,
    /// Whether an agent works in it now; nothing if that cannot be told.
    pub works: Option<bool>,
    /// Attempts in the journal.
    pub attempts: usize,
    /// Attempts whose end the server has not confirmed.
    pub unheard: usize,
    /// What is wrong with the journal, first fault first.
    pub journal_fault: Option<String>,
    /// What is wrong with the record of generations.
    pub ratchet_fault: Option<String>,
}

/// Looks at an agent's folder.
///
/// # Errors
///
/// What the system says if the folder cannot be read.
pub fn inspect(root: &Path) -> io::Result<Inspection> {
    std::fs::read_dir(root)?;
    let (mut attempts, mut unheard) = (0, 0);
    let walked = walk(&root.join("journal"), |heard| {
        attempts += 1;
        unheard += usize::from(!heard);
    });
    Ok(Inspection {
        who: who(&root.join("identity.json")),
        works: works(&root.join("lock")),
        attempts,
        unheard,
        journal_fault: walked.err().map(|error| error.to_string()),
        ratchet_fault: Ratchet::open(root.join("ratchet.json")).err().map(|error| error.to_string()),
    })
}

fn who(path: &Path) -> Who {
    let kept = match durable::read_json::<Kept>(path) {
        Ok(None) => return Who::Nobody,
        Ok(Some(kept)) => kept,
        Err(error) => return Who::Unreadable(error.to_string()),
    };
    let key_is_good = STANDARD.decode(&kept.key).is_ok_and(|key| key.len() == 32);
    match (kept.target, kept.server_key) {
        _ if !key_is_good => Who::Unreadable(format!("{}: the key is not 32 bytes in base64", path.display())),
        (Some(target), Some(server_key)) => match identity::public_key(&server_key) {
            Ok(_) => Who::Enrolled(target),
            Err(refusal) => Who::Unreadable(format!("{}: {refusal}", path.display())),
        },
        _ => Who::NotEnrolled,
    }
}

/// Whether somebody holds the lock; it is given back at once if nobody did.
fn works(path: &Path) -> Option<bool> {
    match File::open(path).ok()?.try_lock() {
        Ok(()) => Some(false),
        Err(TryLockError::WouldBlock) => Some(true),
        Err(TryLockError::Error(_)) => None,
    }
}

/// Reads every attempt as an agent does that takes them up, and tells whether the server heard its end.
fn walk(folder: &Path, mut seen: impl FnMut(bool)) -> io::Result<()> {
    let entries = match Journal::new(folder.to_owned()).entries() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let read = || -> io::Result<()> {
            entry.order()?;
            entry.records()?;
            entry.verdict()?;
            entry.cancelled()?;
            Ok(())
        };
        read().map_err(|error| durable::in_file(entry.folder(), &error))?;
        if entry.exists()? {
            seen(entry.is_heard());
        }
    }
    Ok(())
}
