//! Whether there is a backup, and how old it is.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tidegate_server::data::{DATABASE, KEY};

use super::finding::{Code, Findings};
use crate::clock;

/// Looks at the folder that holds the backups, one folder each, as `tidegate backup` makes them.
pub fn look(findings: &mut Findings, folder: &Path, hours_max: u64) {
    let place = folder.display();
    let newest = match newest(folder) {
        Ok(newest) => newest,
        Err(error) => {
            let what = format!("it cannot be read: {error}");
            return findings.problem(
                Code::Backup,
                place,
                (what, "name the folder that holds the backups, and run as who may read it"),
            );
        }
    };
    let Some((path, made)) = newest else {
        return findings.problem(Code::Backup, place, ("there is no backup in it", "tidegate backup DIR/NAME --data DIR"));
    };
    let now = SystemTime::from(clock::now());
    let hours = now.duration_since(made).map_or(0, |age| age.as_secs() / 3_600);
    let what = format!("the newest is {hours} h old");
    if hours >= hours_max {
        return findings.warning(Code::Backup, path.display(), (what, format!("make one at least every {hours_max} h")));
    }
    findings.good(Code::Backup, path.display(), what);
}

/// The backup whose database was written last.
fn newest(folder: &Path) -> std::io::Result<Option<(PathBuf, SystemTime)>> {
    let mut found: Option<(PathBuf, SystemTime)> = None;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        // Without the key it is no backup: every agent would have to enrol anew.
        let Ok(database) = path.join(DATABASE).metadata() else { continue };
        let made = database.modified()?;
        if path.join(KEY).exists() && found.as_ref().is_none_or(|(_, newest)| made > *newest) {
            found = Some((path, made));
        }
    }
    Ok(found)
}
