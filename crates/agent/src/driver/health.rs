//! Waits until a component is well, and has been for long enough without a gap.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tidegate_domain::deployment::order::StepState;
use tidegate_domain::estate::{Health, HealthProbe};
use tokio::net::TcpStream;

use super::{End, Job};
use crate::launch::Program;
use crate::pid::Process;
use tidegate_domain::template::{render, render_all};

/// Longest time for one ask.
const ASK: Duration = Duration::from_secs(5);

/// A probe with its variables put in.
enum Probe {
    Http(String),
    Tcp(String),
    Command(Program),
}

/// Asks until it held long enough, or the deadline has passed.
pub async fn wait(job: &Job<'_>, health: &Health) -> End {
    let probe = match prepared(job, &health.probe) {
        Ok(probe) => probe,
        Err(end) => return end,
    };
    tokio::select! {
        end = held(job, health, &probe) => end,
        () = job.cancel.cancelled() => End::new(StepState::Cancelled, "was ended on request"),
    }
}

async fn held(job: &Job<'_>, health: &Health, probe: &Probe) -> End {
    let deadline = Instant::now() + Duration::from_secs(health.healthy_deadline_seconds.into());
    let long_enough = Duration::from_secs(health.min_healthy_seconds.into());
    let interval = Duration::from_secs(health.interval_seconds.max(1).into());
    // When it was well first, and how often its program had been started again by then.
    let mut since: Option<(Instant, u64)> = None;
    let mut last = String::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let restarts = job.agent.services.restarts(&job.installation.component);
        let answer =
            tokio::time::timeout(ASK.min(left), ask(job, probe)).await.unwrap_or_else(|_| Err("no answer in time".into()));
        // A port that another program answers on says nothing of this one.
        let is_down = job.agent.services.is_down(&job.installation.component);
        let words = || job.agent.services.last_words(&job.installation.component);
        let answer =
            if is_down { Err(format!("its program has ended and waits to be started again{}", words())) } else { answer };
        let now = Instant::now();
        let news = match &answer {
            Ok(()) => "well".to_owned(),
            // Cut short by the deadline, this ask says less than the one before.
            Err(_) if now >= deadline && !last.is_empty() => last.clone(),
            Err(error) => error.clone(),
        };
        since = match (answer, since) {
            (Ok(()), Some((since, then))) if then == restarts => Some((since, then)),
            (Ok(()), _) => Some((now, restarts)),
            (Err(_), _) => None,
        };
        if news != last {
            let _ = job.say(&format!("health: {news}"));
            last = news;
        }
        if let Some((since, _)) = since
            && now.duration_since(since) >= long_enough
            && now <= deadline
        {
            return End::succeeded(format!("was well for {} s", health.min_healthy_seconds));
        }
        if now >= deadline {
            return too_late(health, &last);
        }
        let rest = since.map_or(interval, |(since, _)| (since + long_enough).saturating_duration_since(now));
        tokio::time::sleep(interval.min(rest.max(Duration::from_millis(10))).min(deadline - now)).await;
    }
}

fn too_late(health: &Health, last: &str) -> End {
    let Health { min_healthy_seconds, healthy_deadline_seconds, .. } = health;
    let what = if *min_healthy_seconds == 0 {
        format!("was not well within {healthy_deadline_seconds} s; last: {last}")
    } else {
        format!("was not well for {min_healthy_seconds} s without a gap within {healthy_deadline_seconds} s; last: {last}")
    };
    End::new(StepState::TimedOut, what)
}

fn prepared(job: &Job<'_>, probe: &HealthProbe) -> Result<Probe, End> {
    let variables = &job.order.variables;
    match probe {
        HealthProbe::Http { url } => {
            let url = render(url, variables).map_err(End::failed)?;
            let parsed =
                reqwest::Url::parse(&url).map_err(|error| End::failed(format!("\"{url}\" is not an address: {error}")))?;
            match parsed.scheme() {
                "http" | "https" => Ok(Probe::Http(url)),
                other => Err(End::failed(format!("health is asked over http or https, not {other}"))),
            }
        }
        HealthProbe::Tcp { address } => render(address, variables).map(Probe::Tcp).map_err(End::failed),
        HealthProbe::Command { run, args } => {
            let args = render_all(args, variables).map_err(End::failed)?;
            job.program(run, args).map(Probe::Command)
        }
    }
}

/// One ask. The body of an HTTP answer is never read.
async fn ask(job: &Job<'_>, probe: &Probe) -> Result<(), String> {
    match probe {
        Probe::Http(url) => {
            let answer =
                job.agent.health.get(url).send().await.map_err(|error| crate::client::CallError::from(error).to_string());
            let status = answer.map_err(|text| text.replace("no answer from the server: ", ""))?.status();
            if status.is_success() { Ok(()) } else { Err(format!("answered {status}")) }
        }
        Probe::Tcp(address) => TcpStream::connect(address).await.map(drop).map_err(|error| format!("{address}: {error}")),
        Probe::Command(program) => command(program).await,
    }
}

/// Runs the probe's program; one that is not waited for to its end is ended with all that it started.
async fn command(program: &Program) -> Result<(), String> {
    let mut command = tokio::process::Command::new(&program.path);
    command.args(&program.args).env_clear().envs(&program.environment).current_dir(&program.folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("{} cannot be started: {error}", program.path.display()))?;
    let group = Group(child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Process::of));
    let status = child.wait().await.map_err(|error| error.to_string())?;
    drop(group);
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(format!("the probe ended with exit code {code}")),
        None => Err("the probe was ended by a signal".into()),
    }
}

/// The process group of a running probe; dropping it ends the group if its leader still runs.
struct Group(Option<Process>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = &self.0 {
            leader.kill_group();
        }
    }
}
