//! Runs one program under the step supervisor, or takes up one that an earlier agent started.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tidegate_domain::deployment::order::StepState;
use tokio::process::Child;
use tokio_util::sync::CancellationToken;

use crate::agent::Agent;
use crate::crash;
use crate::launch::{self, Fate, Launch, Program};
use crate::supervisor::{self, Ended, GRACE};

/// How long a supervisor may take to end its program and keep the result after it was asked.
const CONFIRM: Duration = Duration::from_secs(GRACE.as_secs() + 5);

/// What came of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    /// It ended and its result was kept.
    Ended(Ended),
    /// It is certain that it never began.
    NeverRan,
    /// It began, and nobody saw the end, or the host ended it unasked. Nothing of it runs any more.
    Lost,
}

/// Starts the program under a supervisor in `folder` and waits for the end.
pub async fn run(
    agent: &Agent,
    folder: &Path,
    program: Program,
    timeout_seconds: u32,
    cancel: &CancellationToken,
) -> io::Result<Run> {
    let step_program = agent.step_program.clone();
    launch::prepare(folder, &Launch::Supervise { program, timeout_seconds, step_program: step_program.clone() })?;
    if cancel.is_cancelled() {
        return collect(folder, cancel).await;
    }
    let mut child = tokio::process::Command::from(launch::command(&step_program, folder)).spawn()?;
    crash::point();
    // From here on the program may have begun: a fault of this host must not be told as if it had not.
    seen_to_end(&mut child, folder, cancel).await.or_else(|error| {
        tracing::warn!("the step in {} was lost sight of: {error}", folder.display());
        Ok(Run::Lost)
    })
}

async fn seen_to_end(child: &mut Child, folder: &Path, cancel: &CancellationToken) -> io::Result<Run> {
    tokio::select! {
        ended = child.wait() => ended.map(drop)?,
        () = cancel.cancelled() => {
            end(folder).await?;
            let _ = tokio::time::timeout(CONFIRM, child.wait()).await;
        }
    }
    collect(folder, cancel).await
}

/// Waits for the end of what an earlier agent started in `folder`, if anything.
pub async fn attach(folder: &Path, cancel: &CancellationToken) -> io::Result<Run> {
    if supervisor::result(folder)?.is_none()
        && let Fate::StartedAs(supervisor) = launch::void(folder)?
    {
        tokio::select! {
            () = supervisor.ended() => {}
            () = cancel.cancelled() => end(folder).await?,
        }
    }
    collect(folder, cancel).await
}

/// Asks the supervisor to end its program; ends it itself if the supervisor does not.
async fn end(folder: &Path) -> io::Result<()> {
    if let Fate::StartedAs(supervisor) = launch::void(folder)? {
        supervisor.signal(Signal::TERM);
        if tokio::time::timeout(CONFIRM, supervisor.ended()).await.is_err() {
            supervisor.signal(Signal::KILL);
            supervisor.ended().await;
        }
    }
    Ok(())
}

/// Says what came of a launch whose supervisor is gone.
async fn collect(folder: &Path, cancel: &CancellationToken) -> io::Result<Run> {
    if let Some(ended) = supervisor::result(folder)? {
        let unasked = ended.state == StepState::Cancelled && !cancel.is_cancelled();
        return Ok(if unasked { Run::Lost } else { Run::Ended(ended) });
    }
    if launch::void(folder)? == Fate::NeverStarted {
        return Ok(Run::NeverRan);
    }
    let child: PathBuf = supervisor::child_folder(folder);
    match launch::void(&child)? {
        Fate::NeverStarted => Ok(Run::NeverRan),
        Fate::StartedAs(leader) => {
            // The program itself ended with its supervisor; what it started may not have.
            let clean = tokio::task::spawn_blocking(move || leader.kill_session()).await.map_err(io::Error::other)?;
            if !clean {
                return Err(io::Error::other("processes of an earlier try cannot be ended"));
            }
            Ok(Run::Lost)
        }
    }
}
