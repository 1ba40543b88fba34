//! (Re)starts and stops the supervised program of a component.
//!
//! Neither is broken off in the middle: each is bounded by the grace and the few seconds that a start may take.

use std::time::Duration;

use super::{End, Job};
use crate::services::Service;
use tidegate_domain::template::render_all;

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
        stop_grace_seconds: stop_grace_seconds.min(job.timeout_seconds),
    };
    match job.agent.services.start(&job.installation.component, &job.place, service).await {
        Ok(pid) => End::succeeded(format!("runs as process {pid}")),
        Err(end) => end,
    }
}

/// Stops it.
pub async fn stop(job: &Job<'_>, stop_grace_seconds: u32) -> End {
    let grace = Duration::from_secs(stop_grace_seconds.min(job.timeout_seconds).into());
    match job.agent.services.stop(&job.installation.component, &job.place, grace).await {
        Ok(true) => End::succeeded("stopped"),
        Ok(false) => End::succeeded("did not run"),
        Err(error) => End::errored("the program cannot be stopped", &error),
    }
}
