//! What does a step: one file each. A driver answers with how it ended and never panics on what an artifact holds.

pub mod archive;
pub mod command;
pub mod files;
pub mod health;
pub mod process;
pub mod script;
pub mod systemd;

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tidegate_domain::deployment::order::{Installation, Order, StepState};
use tidegate_domain::limits;
use tokio_util::sync::CancellationToken;

use crate::agent::Agent;
use crate::launch::Program;
use crate::place::Place;
use crate::{environment, supervisor};

/// What a driver works on: one try of one item.
pub struct Job<'a> {
    /// What all drivers share.
    pub agent: &'a Agent,
    /// The order.
    pub order: &'a Order,
    /// The part of the order.
    pub installation: &'a Installation,
    /// Where the component is.
    pub place: Place,
    /// The name of the step.
    pub name: &'a str,
    /// The folder of this try; its `output` is shown to people.
    pub folder: PathBuf,
    /// Longest time for the step.
    pub timeout_seconds: u32,
    /// Set when the attempt is to end.
    pub cancel: &'a CancellationToken,
}

/// How one try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The state.
    pub state: StepState,
    /// The exit code, if a program ended by itself.
    pub exit_code: Option<i32>,
    /// How long it ran, if somebody else measured it.
    pub took_ms: Option<u64>,
    /// One line for people.
    pub detail: Option<String>,
}

impl End {
    pub fn new(state: StepState, detail: impl Into<String>) -> End {
        End { state, exit_code: None, took_ms: None, detail: Some(detail.into()) }
    }

    pub fn succeeded(detail: impl Into<String>) -> End {
        End::new(StepState::Succeeded, detail)
    }

    /// It could not be done, and doing it again will not do better.
    pub fn failed(detail: impl Into<String>) -> End {
        End::new(StepState::Failed, detail)
    }

    /// The host did not let it be done.
    pub fn errored(what: &str, error: &io::Error) -> End {
        End::new(StepState::Errored, format!("{what}: {error}"))
    }
}

/// When blocking work must stop.
#[derive(Debug, Clone)]
pub struct Until {
    deadline: Instant,
    timeout_seconds: u32,
    cancel: CancellationToken,
}

impl Until {
    #[cfg(test)]
    pub fn never() -> Until {
        let deadline = Instant::now() + Duration::from_hours(1);
        Until { deadline, timeout_seconds: 3_600, cancel: CancellationToken::new() }
    }

    /// # Errors
    ///
    /// The end of the step, if its time is over or it is to end.
    pub fn check(&self) -> Result<(), End> {
        if self.cancel.is_cancelled() {
            return Err(End::new(StepState::Cancelled, "was ended on request"));
        }
        if Instant::now() > self.deadline {
            return Err(End::new(StepState::TimedOut, format!("ran longer than {} s and was ended", self.timeout_seconds)));
        }
        Ok(())
    }
}

impl Job<'_> {
    /// Its bound in time, from now.
    pub fn until(&self) -> Until {
        let deadline = Instant::now() + Duration::from_secs(self.timeout_seconds.into());
        Until { deadline, timeout_seconds: self.timeout_seconds, cancel: self.cancel.clone() }
    }

    /// A program of the unpacked artifact, with all that it sees.
    pub fn program(&self, run: &str, args: Vec<String>) -> Result<Program, End> {
        let folder = self.place.release(&self.installation.version);
        let path = inside(&folder, run).map_err(|error| End::new(StepState::Errored, error))?;
        let environment = environment::of(self.order, self.installation, &self.place, self.name);
        Ok(Program { path, args, environment, folder })
    }

    /// Adds a line to what people see of this try.
    pub fn say(&self, text: &str) -> io::Result<()> {
        say(&self.folder, text)
    }
}

/// What the agent may add to the output of a program: a health that flaps for hours must not fill the disk.
const SAID_BYTES_MAX: u64 = 64 << 10;

/// Adds a line to the output in a try's folder, if there is room.
pub fn say(folder: &Path, text: &str) -> io::Result<()> {
    crate::durable::make_folder(folder)?;
    let path = folder.join(supervisor::OUTPUT);
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    if file.metadata()?.len() > limits::STEP_OUTPUT_BYTES_MAX + SAID_BYTES_MAX {
        return Ok(());
    }
    file.write_all(format!("{text}\n").as_bytes())
}

/// The program's path, if it is below `folder` also after all links were followed.
fn inside(folder: &Path, run: &str) -> Result<PathBuf, String> {
    let real = |path: &Path| fs::canonicalize(path).map_err(|error| format!("{run} of the artifact cannot be found: {error}"));
    let (folder, path) = (real(folder)?, real(&folder.join(run))?);
    if path.starts_with(&folder) && path.is_file() {
        return Ok(path);
    }
    Err(format!("{run} is not a program inside the artifact"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_try_is_bounded() {
        let folder = tempfile::tempdir().expect("a folder");
        let line = "x".repeat(100 << 10);
        for _ in 0..20 {
            say(folder.path(), &line).expect("said, or left out");
        }
        let length = fs::metadata(folder.path().join(supervisor::OUTPUT)).expect("the output").len();
        assert!(length <= limits::STEP_OUTPUT_BYTES_MAX + SAID_BYTES_MAX + line.len() as u64 + 1, "{length}");
    }
}
