//! An agent's folder: who it is, whether it works, and whether what it must remember can be read.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tidegate_agent::inspect::{Inspection, Who, inspect};

use super::disk;
use super::finding::{Code, Findings};
use crate::text::plan::count;

/// Looks at an agent's folder, beside an agent that may be running.
pub fn look(findings: &mut Findings, root: &Path) {
    let place = root.display();
    let inspection = match inspect(root) {
        Ok(inspection) => inspection,
        Err(error) => {
            let remedy = if error.kind() == ErrorKind::PermissionDenied {
                "run as the user that the agent runs as"
            } else {
                "name the folder that the agent was started with: --root"
            };
            return findings.problem(Code::AgentFolder, place, (format!("it cannot be read: {error}"), remedy));
        }
    };
    findings.good(Code::AgentFolder, place, "it can be read");
    who(findings, root, &inspection.who);
    process(findings, root, inspection.works);
    memory(findings, root, &inspection);
    disk::look(findings, root);
}

fn who(findings: &mut Findings, root: &Path, who: &Who) {
    let path = root.join("identity.json");
    let place = path.display();
    let again = "enrol it again: tidegate target enrol NAME";
    match who {
        Who::Enrolled(target) => {
            let mode = path.metadata().map_or(0, |metadata| metadata.permissions().mode() & 0o777);
            let others = mode & 0o077;
            if others == 0 {
                return findings.good(Code::AgentIdentity, place, format!("it is the agent of {target}"));
            }
            let what = format!("the key of {target} can be read by others (mode {mode:o})");
            findings.problem(
                Code::AgentIdentity,
                &place,
                (what, format!("chmod 600 {place}, and enrol it again if somebody may have")),
            );
        }
        Who::Nobody => findings.problem(Code::AgentIdentity, place, ("it was never enrolled", again)),
        Who::NotEnrolled => {
            findings.problem(Code::AgentIdentity, place, ("it has a key that no server has accepted", again));
        }
        Who::Unreadable(what) => findings.problem(Code::AgentIdentity, place, (what, again)),
    }
}

fn process(findings: &mut Findings, root: &Path, works: Option<bool>) {
    let place = root.display();
    match works {
        Some(true) => findings.good(Code::AgentProcess, place, "an agent works in it"),
        Some(false) => {
            findings.problem(Code::AgentProcess, place, ("no agent works in it", "start it: tidegate agent --root DIR"));
        }
        None => {
            findings.warning(Code::AgentProcess, place, ("it cannot be told whether an agent works in it", "run as its user"));
        }
    }
}

fn memory(findings: &mut Findings, root: &Path, inspection: &Inspection) {
    let journal = root.join("journal");
    match &inspection.journal_fault {
        None => {
            let (known, unheard) = (count(inspection.attempts, "attempt"), inspection.unheard);
            let what = format!("{known} can be read, {unheard} of which the server has not heard the end");
            findings.good(Code::AgentJournal, journal.display(), what);
        }
        Some(fault) => {
            let remedy = "keep a copy, and look at what ran before removing it: the agent does not start without its memory";
            findings.problem(Code::AgentJournal, journal.display(), (fault, remedy));
        }
    }
    let ratchet = root.join("ratchet.json");
    match &inspection.ratchet_fault {
        None => findings.good(Code::AgentGenerations, ratchet.display(), "the record of generations can be read"),
        Some(fault) => {
            let remedy = "put it back from a copy: without it an old order would pass, so the agent does not start";
            findings.problem(Code::AgentGenerations, ratchet.display(), (fault, remedy));
        }
    }
}
