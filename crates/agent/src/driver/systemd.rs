//! Acts on a systemd unit that the host's owner has installed.

use std::path::PathBuf;

use tidegate_domain::deployment::order::StepState;
use tidegate_domain::estate::SystemdVerb;

use super::command::Run;
use super::{End, Job, script};
use crate::environment;
use crate::launch::Program;

/// Runs `systemctl <verb> <unit>` under the step supervisor.
pub async fn run(job: &Job<'_>, unit: &str, verb: SystemdVerb) -> Result<Run, End> {
    let environment = environment::of(job.order, job.installation, &job.place, job.name);
    let path = environment.get("PATH").map(String::as_str).unwrap_or_default();
    let found = std::env::split_paths(path).map(|folder| folder.join("systemctl")).find(|path| path.is_file());
    let Some(path) = found else {
        return Err(End::new(StepState::Errored, "this host has no systemctl; use a process step instead"));
    };
    let args = vec!["--no-ask-password".into(), word(verb).into(), "--".into(), unit.to_owned()];
    let program = Program { path, args, environment, folder: PathBuf::from("/") };
    script::supervised(job, job.folder.clone(), program).await
}

fn word(verb: SystemdVerb) -> &'static str {
    match verb {
        SystemdVerb::Start => "start",
        SystemdVerb::Stop => "stop",
        SystemdVerb::Restart => "restart",
        SystemdVerb::Reload => "reload",
    }
}
