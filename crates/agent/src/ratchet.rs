//! The highest generation seen for each application. It never goes back, whatever the server says.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tidegate_domain::ApplicationName;

use crate::durable;

/// The record below the root; on disk before it is believed.
#[derive(Debug)]
pub struct Ratchet {
    path: PathBuf,
    seen: Mutex<BTreeMap<ApplicationName, u64>>,
}

impl Ratchet {
    /// Reads the record. One that cannot be read is a fault: without it an old order would pass.
    pub fn open(path: PathBuf) -> io::Result<Ratchet> {
        let seen = durable::read_json(&path)?.unwrap_or_default();
        Ok(Ratchet { path, seen: Mutex::new(seen) })
    }

    /// The highest generation seen; 0 if none.
    pub fn seen(&self, application: &ApplicationName) -> u64 {
        self.lock().get(application).copied().unwrap_or(0)
    }

    /// Raises the record, durably. A lower generation changes nothing.
    pub fn raise(&self, application: &ApplicationName, generation: u64) -> io::Result<()> {
        let mut seen = self.lock();
        if seen.get(application).is_some_and(|seen| *seen >= generation) {
            return Ok(());
        }
        let mut raised = seen.clone();
        raised.insert(application.clone(), generation);
        durable::write_json(&self.path, &raised)?;
        *seen = raised;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ApplicationName, u64>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratchet_never_goes_back_and_survives_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ratchet.json");
        let shop = ApplicationName::parse("shop").expect("a name");
        let ratchet = Ratchet::open(path.clone()).expect("a new record");
        ratchet.raise(&shop, 7).expect("raised");
        ratchet.raise(&shop, 3).expect("no news");
        drop(ratchet);
        assert_eq!(Ratchet::open(path.clone()).expect("the record").seen(&shop), 7);
        std::fs::write(&path, "{").expect("damaged");
        assert!(Ratchet::open(path).is_err(), "a damaged record is not an empty one");
    }
}
