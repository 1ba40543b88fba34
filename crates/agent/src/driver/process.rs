//! (Re)starts and stops the supervised program of a component.

use std::time::Duration;

use tidegate_domain::deployment::order::StepState;

use super::{End, Job};
use crate::services::Service;
use crate::template::render_all;

/// Stops the old one, starts the new one.
pub async fn start(job: &Job<'_>, run: &str, args: &[String], stop_grace_seconds: u32) -> End {
    let program = render_all(args, &job.order.variables).map_err(End::failed).and_then(|args| job.program(run, args));
    let program = match program {
        Ok(program) => program,
        Err(end) => return end,
    };
    let service = Service {
        program,
        version: job.installation.version.clone(),
        digest: job.installation.artifact.digest.clone(),
        stop_grace_seconds,
    };
    let started = bounded(job, job.agent.services.start(&job.installation.component, &job.place, service)).await;
    match started {
        Ok(pid) => End::succeeded(format!("runs as process {pid}")),
        Err(end) => end,
    }
}

/// Stops it.
pub async fn stop(job: &Job<'_>, stop_grace_seconds: u32) -> End {
    let grace = Duration::from_secs(stop_grace_seconds.into());
    let stopped = bounded(job, job.agent.services.stop(&job.installation.component, &job.place, Some(grace))).await;
    match stopped {
        Ok(true) => End::succeeded("stopped"),
        Ok(false) => End::succeeded("did not run"),
        Err(end) => end,
    }
}

async fn bounded<T>(job: &Job<'_>, work: impl Future<Output = Result<T, End>>) -> Result<T, End> {
    tokio::select! {
        done = work => done,
        () = job.cancel.cancelled() => Err(End::new(StepState::Cancelled, "was ended on request")),
        () = tokio::time::sleep(Duration::from_secs(job.timeout_seconds.into())) => {
            Err(End::new(StepState::TimedOut, format!("ran longer than {} s and was ended", job.timeout_seconds)))
        }
    }
}
