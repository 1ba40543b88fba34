//! What the agent took on, began and ended: one folder for each attempt, every record on disk before it is acted on.
//!
//! ```text
//! journal/<attempt>/order.json      the order as it came
//!                   <position>.json  one item: `starting` before it begins, its end afterwards
//!                   <position>-<try>/  launch folder and output of one try
//!                   cancel.json     it is to end, and why
//!                   final.json      how the attempt ended
//!                   logs.json       how much of the output the server has
//!                   heard.json      the server has the final report and the whole output
//!                   in_time.json    whether it had that before it ordered another try
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tidegate_domain::deployment::order::{AttemptId, Order, Outcome, StepState};
use tidegate_domain::{Digest, Millis};

use crate::durable;

/// Attempts whose journal stays after the server has heard their end, beside those that another try may still ask about.
pub const HEARD_KEPT: usize = 50;

/// The folder of all attempts.
#[derive(Debug, Clone)]
pub struct Journal(PathBuf);

/// The folder of one attempt.
#[derive(Debug, Clone)]
pub struct Entry(PathBuf);

/// How far one item has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its state; `starting` until its end is known.
    pub state: StepState,
    /// Which try, from 1.
    pub number: u32,
    /// When the try began, by the target's clock.
    pub began_at_ms: Millis,
    /// The exit code, if its program ended by itself.
    pub exit_code: Option<i32>,
    /// How long it took.
    pub took_ms: Option<u64>,
    /// One line for people.
    pub detail: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whose; the folder's name may be a digest of it.
    pub attempt: AttemptId,
    /// The order's generation; 0 if the order was never seen.
    pub generation: u64,
    /// The outcome; never `in_progress`.
    pub outcome: Outcome,
    /// One sentence for people.
    pub detail: Option<String>,
    /// When, by the target's clock.
    pub ended_at_ms: Millis,
}

impl Journal {
    pub fn new(folder: PathBuf) -> Journal {
        Journal(folder)
    }

    /// The folder of an attempt, whether it exists or not.
    pub fn entry(&self, attempt: &str) -> Entry {
        Entry(self.0.join(safe_name(attempt)))
    }

    /// All attempts on disk.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        fs::read_dir(&self.0)?.map(|folder| Ok(Entry(folder?.path()))).collect()
    }

    /// Removes folders that were made but not filled when the agent died: nothing came of them. Only at the start, for later on
    /// such a folder is one that is about to be filled.
    pub fn clear(&self) -> io::Result<()> {
        for entry in self.entries()? {
            if !entry.exists()? {
                durable::remove(&entry.0)?;
            }
        }
        Ok(())
    }

    /// Forgets all but the last heard attempts, and those whose order `may_matter`.
    pub fn prune(&self, may_matter: impl Fn(&Order) -> bool) -> io::Result<()> {
        let mut heard = Vec::new();
        for entry in self.entries()? {
            if entry.is_heard()
                && let Some(verdict) = entry.verdict()?
                && !entry.order()?.as_ref().is_some_and(&may_matter)
            {
                heard.push((verdict.ended_at_ms, entry.0));
            }
        }
        heard.sort();
        let surplus = heard.len().saturating_sub(HEARD_KEPT);
        heard.into_iter().take(surplus).try_for_each(|(_, folder)| durable::remove(&folder))
    }
}

impl Entry {
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Whether the attempt is known. A folder alone is nothing: the disk may have been full when it was to be filled.
    pub fn exists(&self) -> io::Result<bool> {
        Ok(self.attempt()?.is_some())
    }

    /// Takes an order on. Nothing of it may be done before this returns.
    pub fn begin(&self, order: &Order) -> io::Result<()> {
        durable::make_folder(&self.0)?;
        durable::write_json(&self.0.join("order.json"), order)
    }

    pub fn order(&self) -> io::Result<Option<Order>> {
        durable::read_json(&self.0.join("order.json"))
    }

    pub fn set_record(&self, position: usize, record: &Record) -> io::Result<()> {
        durable::write_json(&self.0.join(format!("{position:05}.json")), record)
    }

    /// Every item that was begun.
    pub fn records(&self) -> io::Result<BTreeMap<usize, Record>> {
        let mut records = BTreeMap::new();
        for file in fs::read_dir(&self.0)? {
            let path = file?.path();
            let position = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            if let (Some(position), Some("json")) = (position, path.extension().and_then(|end| end.to_str()))
                && let Some(record) = durable::read_json(&path)?
            {
                records.insert(position, record);
            }
        }
        Ok(records)
    }

    /// The launch folder of one try of one item; names sort in the order of life.
    pub fn try_folder(&self, position: usize, number: u32) -> PathBuf {
        self.0.join(format!("{position:05}-{number:03}"))
    }

    pub fn set_cancelled(&self, why: &str) -> io::Result<()> {
        durable::write_json(&self.0.join("cancel.json"), &why)
    }

    pub fn cancelled(&self) -> io::Result<Option<String>> {
        durable::read_json(&self.0.join("cancel.json"))
    }

    pub fn finish(&self, verdict: &Verdict) -> io::Result<()> {
        durable::make_folder(&self.0)?;
        durable::write_json(&self.0.join("final.json"), verdict)
    }

    pub fn verdict(&self) -> io::Result<Option<Verdict>> {
        durable::read_json(&self.0.join("final.json"))
    }

    /// Remembers that the server has the final report and the whole output.
    pub fn set_heard(&self) -> io::Result<()> {
        if self.is_heard() {
            return Ok(());
        }
        durable::write_json(&self.0.join("heard.json"), &true)
    }

    pub fn is_heard(&self) -> bool {
        self.0.join("heard.json").exists()
    }

    /// Remembers whether the server had the end before it ordered another try.
    pub fn set_in_time(&self, in_time: bool) -> io::Result<()> {
        durable::write_json(&self.0.join("in_time.json"), &in_time)
    }

    pub fn in_time(&self) -> io::Result<Option<bool>> {
        durable::read_json(&self.0.join("in_time.json"))
    }

    /// Whose it is, whether its order is known or not.
    pub fn attempt(&self) -> io::Result<Option<AttemptId>> {
        Ok(match self.order()? {
            Some(order) => Some(order.attempt),
            None => self.verdict()?.map(|verdict| verdict.attempt),
        })
    }
}

/// A folder name that no two attempts share and that no attempt can point elsewhere with.
fn safe_name(attempt: &str) -> String {
    let plain = attempt.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == ':');
    if plain && !attempt.starts_with('.') && (1..=180).contains(&attempt.len()) {
        return attempt.replace(':', "_");
    }
    format!("_{}", Digest::of(attempt.as_bytes()).hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_attempt_names_a_folder_outside_the_journal() {
        assert_eq!(safe_name("DEP-1:web-1.eu:2"), "DEP-1_web-1.eu_2");
        for evil in ["", ".", "..", "../x", "a/b", "/etc", "a\0b", "a_b", "ä", &"a".repeat(400)] {
            let name = safe_name(evil);
            assert!(name.starts_with('_') && name.len() == 65, "{evil:?} becomes {name}");
        }
    }

    #[test]
    fn heard_attempts_are_forgotten_but_for_the_last_and_those_that_may_matter() {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = Journal::new(folder.path().to_owned());
        let order: Order = serde_json::from_value(serde_json::json!({
            "attempt": "DEP-1:a:1", "deployment": "DEP-1", "plan": Digest::of(b"plan"), "application": "shop",
            "environment": "test", "target": "a", "generation": 1, "expires_at_ms": 0, "installations": [], "variables": {},
            "start_at": 0,
        }))
        .expect("an order");
        for number in 1..=HEARD_KEPT as i64 + 3 {
            let order = Order { attempt: format!("DEP-1:a:{number}"), generation: number as u64, ..order.clone() };
            let entry = journal.entry(&order.attempt);
            entry.begin(&order).expect("begun");
            let verdict = Verdict {
                attempt: order.attempt,
                generation: order.generation,
                outcome: Outcome::Healthy,
                detail: None,
                ended_at_ms: number,
            };
            entry.finish(&verdict).expect("ended");
            if number != 1 {
                entry.set_heard().expect("heard");
            }
        }
        journal.prune(|order| order.generation == 2).expect("pruned");
        let is_kept = |number: u32| journal.entry(&format!("DEP-1:a:{number}")).folder().exists();
        assert!(is_kept(1), "the server has not heard of it");
        assert!(is_kept(2), "it may matter");
        assert!(!is_kept(3));
        assert_eq!(journal.entries().expect("entries").len(), HEARD_KEPT + 2);
    }

    #[test]
    fn a_folder_that_was_made_but_not_filled_is_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = Journal::new(folder.path().to_owned());
        let entry = journal.entry("DEP-1:a:1");
        fs::create_dir(entry.folder()).expect("an empty folder");
        assert!(!entry.exists().expect("read"), "the order is taken on when it comes again");
        journal.clear().expect("cleared");
        assert_eq!(journal.entries().expect("entries").len(), 0);
        assert!(!journal.entry("DEP-1:a:1").folder().exists());
    }
}
