//! Runs a program of the artifact to its end, at most once unless its class allows more.

use std::path::{Path, PathBuf};

use tidegate_domain::deployment::order::StepState;
use tidegate_domain::estate::Class;

use super::command::{self, Run};
use super::{End, Job};
use crate::launch::Program;
use crate::runner::TRIES_MAX;
use crate::supervisor::Ended;
use tidegate_domain::template::render_all;

/// What a program's step is to do when it is not known how an earlier try ended.
#[derive(Debug, Clone, Copy)]
pub struct Doubt<'a> {
    /// What the step declared.
    pub class: Class,
    /// Its check, for [`Class::Verifiable`].
    pub verify: &'a [String],
}

/// What follows from an earlier try.
#[derive(Debug, PartialEq, Eq)]
pub enum Earlier {
    /// The step is over.
    Over(End),
    /// It is to run (again).
    Run,
}

/// Runs it.
pub async fn run(job: &Job<'_>, program: &str, args: &[String]) -> Result<Run, End> {
    let program = prepared(job, program, args)?;
    supervised(job, job.folder.clone(), program).await
}

/// Runs any program under the supervisor, in a folder of its own.
pub async fn supervised(job: &Job<'_>, folder: PathBuf, program: Program) -> Result<Run, End> {
    let run = command::run(job.agent, &folder, program, job.timeout_seconds, job.cancel).await;
    run.map_err(|error| End::errored("the step supervisor cannot be started", &error))
}

/// Finds out what became of an earlier try in the job's folder.
pub async fn take_up(job: &Job<'_>, doubt: Doubt<'_>) -> Result<Earlier, End> {
    let run = command::attach(&job.folder, job.cancel).await;
    let run = run.map_err(|error| End::errored("the earlier try cannot be examined", &error))?;
    match run {
        Run::Ended(ended) => Ok(Earlier::Over(ended.into())),
        Run::NeverRan => Ok(Earlier::Run),
        Run::Lost => lost(job, doubt).await,
    }
}

/// The program began and nobody saw its end: its class decides.
pub async fn lost(job: &Job<'_>, doubt: Doubt<'_>) -> Result<Earlier, End> {
    match doubt.class {
        Class::Idempotent => Ok(Earlier::Run),
        Class::Verifiable => verify(job, doubt.verify).await,
        Class::Once => Ok(Earlier::Over(End::new(
            StepState::Unknown,
            "it began, and nobody saw its end; it must not run twice, so a person must say",
        ))),
    }
}

async fn verify(job: &Job<'_>, verify: &[String]) -> Result<Earlier, End> {
    let Some((program, args)) = verify.split_first() else {
        return Ok(Earlier::Over(End::new(StepState::Unknown, "the step is verifiable but has no verify program")));
    };
    let unknown = |what: String| Ok(Earlier::Over(End::new(StepState::Unknown, what)));
    match verified(job, prepared(job, program, args)?).await? {
        Run::Ended(Ended { state: StepState::Succeeded, .. }) => {
            Ok(Earlier::Over(End::succeeded("its end was not seen; its verify program says that it ran")))
        }
        Run::Ended(Ended { state: StepState::Failed, exit_code: Some(1), .. }) => Ok(Earlier::Run),
        Run::Ended(Ended { state: StepState::Cancelled, .. }) => {
            Ok(Earlier::Over(End::new(StepState::Cancelled, "was ended on request")))
        }
        Run::Ended(ended) => unknown(format!("its verify program {}", ended.detail.unwrap_or_default())),
        Run::NeverRan | Run::Lost => unknown("its verify program came to no end".into()),
    }
}

/// Runs the check; takes up the one of an earlier agent first, so that no two checks run at once.
async fn verified(job: &Job<'_>, program: Program) -> Result<Run, End> {
    for number in 1..=TRIES_MAX {
        let folder = check_folder(&job.folder, number);
        let run = if folder.exists() {
            let attached = command::attach(&folder, job.cancel).await;
            attached.map_err(|error| End::errored("the verify program cannot be examined", &error))?
        } else {
            supervised(job, folder, program.clone()).await?
        };
        if let Run::Ended(_) = run {
            return Ok(run);
        }
    }
    Ok(Run::Lost)
}

/// The folder of one run of the check; it sorts behind the try it is about and before the next.
fn check_folder(tried: &Path, number: u32) -> PathBuf {
    let name = tried.file_name().unwrap_or_default().to_string_lossy();
    tried.with_file_name(format!("{name}-verify-{number:03}"))
}

/// Where the last word on a try belongs: behind everything that it and its checks have put out.
pub fn last_folder(tried: &Path) -> PathBuf {
    let checks = (1..=TRIES_MAX).map(|number| check_folder(tried, number));
    checks.take_while(|folder| folder.exists()).last().unwrap_or_else(|| tried.to_owned())
}

fn prepared(job: &Job<'_>, program: &str, args: &[String]) -> Result<Program, End> {
    let args = render_all(args, &job.order.variables).map_err(End::failed)?;
    job.program(program, args)
}

impl From<Ended> for End {
    fn from(ended: Ended) -> End {
        End { state: ended.state, exit_code: ended.exit_code, took_ms: Some(ended.took_ms), detail: ended.detail }
    }
}
