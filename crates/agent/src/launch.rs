//! How a program is started so that it is never started twice and never unknown.
//!
//! Each start has a folder of its own with `launch.json`. Whoever is to run it first claims the folder, by a hard link that only
//! one can make, with its process identity inside. An agent that comes back and finds no claim claims the folder for nobody:
//! then a starter that was on its way finds the claim taken and ends without having done anything, and it is *known* that
//! nothing ran.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::durable;
use crate::pid::Process;

/// A program with all that it sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Absolute path.
    pub path: PathBuf,
    /// Arguments.
    pub args: Vec<String>,
    /// The whole environment.
    pub environment: BTreeMap<String, String>,
    /// The folder it starts in.
    pub folder: PathBuf,
}

/// What is in `launch.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Launch {
    /// Run the program to its end within bounds and keep the result.
    Supervise {
        /// What to run.
        program: Program,
        /// Longest time.
        timeout_seconds: u32,
        /// How to start the next hop.
        step_program: Vec<OsString>,
    },
    /// Become the program.
    Become {
        /// What to become.
        program: Program,
        /// End when this parent ends.
        dies_with: Option<Process>,
    },
}

/// Who took a launch folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    /// `None` when it was voided: nobody may start it any more.
    by: Option<Process>,
}

/// What is known about a launch folder, after asking for it to be voided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Nothing ran and nothing will.
    NeverStarted,
    /// This process took it.
    StartedAs(Process),
}

const LAUNCH: &str = "launch.json";
const CLAIM: &str = "claim.json";
const EXEC_ERROR: &str = "exec-error";

/// Makes the folder of a launch.
pub fn prepare(folder: &Path, launch: &Launch) -> io::Result<()> {
    durable::make_folder(folder)?;
    durable::write_json(&folder.join(LAUNCH), launch)
}

/// Reads what a launch folder is for.
pub fn read(folder: &Path) -> io::Result<Launch> {
    durable::read_json(&folder.join(LAUNCH))?.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no launch.json"))
}

/// The command that takes a launch folder.
pub fn command(step_program: &[OsString], folder: &Path) -> Command {
    let own = OsString::from("/proc/self/exe");
    let mut words = step_program.iter().cloned();
    // Through /proc, a binary that was replaced on disk meanwhile still starts itself and not its successor.
    let mut command = Command::new(words.next().unwrap_or(own));
    if step_program.is_empty() {
        command.arg0("tidegate").arg("agent-step");
    }
    command.args(words).arg(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Claims the folder for the calling process. The returned file is locked until this process ends or becomes another program.
pub fn claim(folder: &Path) -> io::Result<Option<File>> {
    take(folder, &Claim { by: Some(Process::this()?) })
}

fn take(folder: &Path, claim: &Claim) -> io::Result<Option<File>> {
    let mine = folder.join(format!(".claim.{}", std::process::id()));
    durable::remove(&mine)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&mine)?;
    file.lock()?;
    file.write_all(&serde_json::to_vec(claim).map_err(io::Error::other)?)?;
    file.sync_all()?;
    let linked = fs::hard_link(&mine, folder.join(CLAIM));
    durable::remove(&mine)?;
    match linked {
        Ok(()) => durable::sync_folder(folder).map(|()| Some(file)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    }
}

/// Who claimed the folder, if somebody did.
pub fn claimed_by(folder: &Path) -> io::Result<Option<Process>> {
    Ok(durable::read_json::<Claim>(&folder.join(CLAIM))?.and_then(|claim| claim.by))
}

/// Makes sure that nothing starts from this folder any more, and says whether something has.
pub fn void(folder: &Path) -> io::Result<Fate> {
    if !folder.join(LAUNCH).exists() {
        return Ok(Fate::NeverStarted);
    }
    take(folder, &Claim { by: None })?;
    Ok(claimed_by(folder)?.map_or(Fate::NeverStarted, Fate::StartedAs))
}

/// Why the program could not be started, if that is so.
pub fn exec_error(folder: &Path) -> Option<String> {
    fs::read_to_string(folder.join(EXEC_ERROR)).ok()
}

/// Whether the claimant is still on its way to becoming the program.
pub fn is_becoming(folder: &Path) -> bool {
    let Ok(file) = File::open(folder.join(CLAIM)) else { return false };
    matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock))
}

/// The entry of the hidden subcommand: supervises or becomes what the folder says.
pub fn run_step(folder: &Path) -> ExitCode {
    let done = read(folder).and_then(|launch| match launch {
        Launch::Supervise { program, timeout_seconds, step_program } => {
            crate::supervisor::Supervisor { folder, program, timeout_seconds, step_program }.run()
        }
        Launch::Become { program, dies_with } => become_program(folder, &program, dies_with.as_ref()),
    });
    match done {
        Ok(code) => code,
        Err(error) => {
            let _ = durable::write(&folder.join(EXEC_ERROR), error.to_string().as_bytes());
            ExitCode::from(127)
        }
    }
}

/// What a process ends with that found its folder taken.
const TAKEN: u8 = 75;

fn become_program(folder: &Path, program: &Program, dies_with: Option<&Process>) -> io::Result<ExitCode> {
    let _ = rustix::process::setsid();
    if let Some(parent) = dies_with {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // Asked after the signal is set, so that a parent that ended before is noticed too.
        let now = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
        if now != Some(parent.pid) || !parent.is_alive() {
            return Ok(ExitCode::from(TAKEN));
        }
    }
    let Some(_locked) = claim(folder)? else { return Ok(ExitCode::from(TAKEN)) };
    let error = Command::new(&program.path)
        .args(&program.args)
        .env_clear()
        .envs(&program.environment)
        .current_dir(&program.folder)
        .exec();
    // Written while the claim is still locked, so that whoever sees the lock free sees this too.
    let text = format!("{} cannot be started: {error}", program.path.display());
    durable::write(&folder.join(EXEC_ERROR), text.as_bytes())?;
    Ok(ExitCode::from(127))
}
