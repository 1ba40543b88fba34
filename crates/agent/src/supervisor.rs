//! The step supervisor: a process of its own that outlives the agent, bounds one program in time and output, and keeps its result.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, PipeReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tidegate_domain::deployment::order::StepState;
use tidegate_domain::limits;
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

use crate::durable;
use crate::launch::{self, Launch, Program};
use crate::pid::Process;
use crate::words::{self, NOTE};

/// Between the soft signal and the hard one.
pub const GRACE: Duration = Duration::from_secs(5);
/// How long output is awaited from processes that left the session and still hold the pipe.
const DRAIN: Duration = Duration::from_secs(1);

/// Between the signals that a host sends to all processes when it goes down.
const TOGETHER: Duration = Duration::from_millis(200);

const RESULT: &str = "result.json";
/// What the program wrote, below the launch folder.
pub const OUTPUT: &str = "output";
const CHILD: &str = "child";

/// How a supervised program ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// `succeeded`, `failed`, `errored`, `timed_out` or `cancelled`.
    pub state: StepState,
    /// Its exit code, if it ended by itself.
    pub exit_code: Option<i32>,
    /// How long it ran.
    pub took_ms: u64,
    /// One line for people.
    pub detail: Option<String>,
}

/// One supervision.
pub struct Supervisor<'a> {
    pub folder: &'a Path,
    pub program: Program,
    pub timeout_seconds: u32,
    pub step_program: Vec<OsString>,
}

/// The result kept in a launch folder, if the supervisor came so far.
pub fn result(folder: &Path) -> io::Result<Option<Ended>> {
    durable::read_json(&folder.join(RESULT))
}

/// The launch folder of the program itself, below its supervisor's.
pub fn child_folder(folder: &Path) -> PathBuf {
    folder.join(CHILD)
}

impl Supervisor<'_> {
    /// Runs the program to its end and keeps the result.
    pub fn run(self) -> io::Result<ExitCode> {
        let _ = rustix::process::setsid();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.supervise())
    }

    async fn supervise(self) -> io::Result<ExitCode> {
        // Heard from before the claim on: whoever reads the claim may send it.
        let mut cancel = signal(SignalKind::terminate())?;
        let Some(_locked) = launch::claim(self.folder)? else { return Ok(ExitCode::from(75)) };
        let began = Instant::now();
        let ended = match self.spawn() {
            Err(error) => Ended { state: StepState::Errored, exit_code: None, took_ms: 0, detail: Some(error.to_string()) },
            Ok((mut child, drained)) => {
                let mut why = None;
                let status = tokio::select! {
                    status = child.wait() => status,
                    () = tokio::time::sleep(Duration::from_secs(self.timeout_seconds.into())) => {
                        why = Some(StepState::TimedOut);
                        self.end(&mut child).await
                    }
                    _ = cancel.recv() => {
                        why = Some(StepState::Cancelled);
                        self.end(&mut child).await
                    }
                };
                if why.is_none() && killed(&status) && tokio::time::timeout(TOGETHER, cancel.recv()).await.is_ok() {
                    // The host ends everything at once; the program was only the first to go.
                    why = Some(StepState::Cancelled);
                }
                self.end_leftovers();
                let _ = drained.recv_timeout(DRAIN);
                self.ended(status?, why, began.elapsed())
            }
        };
        durable::write_json(&self.folder.join(RESULT), &ended)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Starts the program with both its streams going to the output.
    fn spawn(&self) -> io::Result<(Child, mpsc::Receiver<()>)> {
        let child_folder = child_folder(self.folder);
        let program = self.program.clone();
        launch::prepare(&child_folder, &Launch::Become { program, dies_with: Some(Process::this()?) })?;
        let (reader, writer) = io::pipe()?;
        let mut command = launch::command(&self.step_program, &child_folder);
        command.stdout(writer.try_clone()?).stderr(writer);
        let child = tokio::process::Command::from(command).spawn()?;
        let (done, drained) = mpsc::channel();
        let output = self.folder.join(OUTPUT);
        thread::spawn(move || {
            keep_output(reader, &output);
            let _ = done.send(());
        });
        Ok((child, drained))
    }

    /// Soft signal, wait, hard signal.
    async fn end(&self, child: &mut Child) -> io::Result<ExitStatus> {
        match launch::claimed_by(&child_folder(self.folder))? {
            Some(leader) => {
                leader.signal_session(Signal::TERM);
                if let Ok(status) = tokio::time::timeout(GRACE, child.wait()).await {
                    return status;
                }
                leader.kill_session();
            }
            // It has not become the program yet.
            None => child.start_kill()?,
        }
        child.wait().await
    }

    /// A step is over when its program is: what it left behind must not act on while the next step runs.
    fn end_leftovers(&self) {
        if let Ok(Some(leader)) = launch::claimed_by(&child_folder(self.folder)) {
            leader.kill_session();
        }
    }

    fn ended(&self, status: ExitStatus, why: Option<StepState>, took: Duration) -> Ended {
        let took_ms = took.as_millis() as u64;
        let words = || words::quoted(words::last(&self.folder.join(OUTPUT), 0).as_deref());
        let exec_error = launch::exec_error(&child_folder(self.folder));
        let (state, exit_code, detail) = match (why, exec_error, status.code()) {
            (Some(StepState::TimedOut), _, _) => {
                (StepState::TimedOut, None, Some(format!("ran longer than {} s and was ended", self.timeout_seconds)))
            }
            (Some(state), _, _) => (state, None, Some("was ended on request".into())),
            (None, Some(error), _) => (StepState::Errored, None, Some(error)),
            (None, None, Some(0)) => (StepState::Succeeded, Some(0), None),
            (None, None, Some(code)) => (StepState::Failed, Some(code), Some(format!("ended with exit code {code}{}", words()))),
            (None, None, None) => {
                let signal = status.signal().unwrap_or_default();
                (StepState::Failed, None, Some(format!("was ended by signal {signal}{}", words())))
            }
        };
        Ended { state, exit_code, took_ms, detail }
    }
}

fn killed(status: &io::Result<ExitStatus>) -> bool {
    status.as_ref().is_ok_and(|status| status.signal().is_some())
}

/// Keeps the first part of what comes, says that it was cut, and reads the rest into nothing so that the program is not blocked.
fn keep_output(mut reader: PipeReader, path: &Path) {
    let mut output = OpenOptions::new().append(true).create(true).mode(0o600).open(path).ok();
    let mut left = limits::STEP_OUTPUT_BYTES_MAX;
    let mut buffer = [0; 16 << 10];
    while let Ok(count) = reader.read(&mut buffer) {
        if count == 0 {
            return;
        }
        let kept = left.min(count as u64) as usize;
        let Some(file) = output.as_mut() else { continue };
        let mut written = file.write_all(&buffer[..kept]);
        left -= kept as u64;
        if kept < count {
            let note = format!("\n{NOTE}output cut after {} bytes ──\n", limits::STEP_OUTPUT_BYTES_MAX);
            written = written.and_then(|()| file.write_all(note.as_bytes()));
            output = None;
        }
        if written.is_err() {
            // A full disk must not stop the program.
            output = None;
        }
    }
}
