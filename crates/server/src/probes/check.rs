//! Check probes: HTTP, TCP, a command of this host.

use std::process::Stdio;
use std::time::Duration;

use futures_util::StreamExt as _;
use tidegate_domain::deployment::plan::PlannedTarget;
use tidegate_domain::gate::Reading;
use tidegate_domain::gate::check::{Check, Probe};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{TOGETHER_MAX, addresses, body};
use crate::app::{App, Commands};

/// Asks once, or once for each target.
pub async fn read(app: &App, gate: &Check, targets: &[PlannedTarget]) -> Reading {
    let within = Duration::from_secs(u64::from(gate.timeout_seconds));
    match &gate.probe {
        Probe::Http { url, contains } => {
            many(addresses(url, targets), |url| async move { http(app, &url, contains.as_deref(), within).await }).await
        }
        Probe::Tcp { address } => many(addresses(address, targets), |address| async move { tcp(&address, within).await }).await,
        Probe::Command { run } => match app.settings.commands {
            Commands::Allowed => command(run, within).await,
            Commands::Refused => Reading::Error("the server was started without --allow-commands".into()),
        },
    }
}

async fn many<F, Fut>(addresses: Result<Vec<(String, String)>, String>, ask: F) -> Reading
where
    F: Fn(String) -> Fut,
    Fut: Future<Output = Result<(), String>>,
{
    let addresses = match addresses {
        Ok(addresses) => addresses,
        Err(error) => return Reading::Error(error),
    };
    if addresses.is_empty() {
        return Reading::NoData;
    }
    let addresses = addresses.into_iter().map(|(_, address)| address);
    let answers: Vec<Result<(), String>> = futures_util::stream::iter(addresses).map(ask).buffered(TOGETHER_MAX).collect().await;
    let failed = answers.iter().filter(|answer| answer.is_err()).count() as u32;
    let detail = answers.iter().find_map(|answer| answer.clone().err()).unwrap_or_default();
    Reading::Checked { passed: answers.len() as u32 - failed, failed, detail }
}

async fn http(app: &App, url: &str, contains: Option<&str>, within: Duration) -> Result<(), String> {
    let asked = async {
        let response = app.http.get(url).send().await.map_err(|_| format!("{url} does not answer"))?;
        let status = response.status();
        if !status.is_success() {
            return Err(format!("{url} answers {}", status.as_u16()));
        }
        match contains {
            Some(text) if !body(response).await?.contains(text) => Err(format!("{url} answers without \"{text}\"")),
            _ => Ok(()),
        }
    };
    timeout(within, asked).await.unwrap_or_else(|_| Err(format!("{url} took more than {} s", within.as_secs())))
}

async fn tcp(address: &str, within: Duration) -> Result<(), String> {
    match timeout(within, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("{address}: {error}")),
        Err(_) => Err(format!("{address} took more than {} s", within.as_secs())),
    }
}

async fn command(run: &[String], within: Duration) -> Reading {
    let Some((program, args)) = run.split_first() else { return Reading::Error("there is no command".into()) };
    let child = tokio::process::Command::new(program)
        .args(args)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .process_group(0)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Reading::Error(format!("{program}: {error}")),
    };
    match timeout(within, child.wait()).await {
        Ok(Ok(status)) if status.success() => Reading::Checked { passed: 1, failed: 0, detail: String::new() },
        Ok(Ok(status)) => Reading::Checked { passed: 0, failed: 1, detail: format!("{program} ended with {status}") },
        Ok(Err(error)) => Reading::Error(format!("{program}: {error}")),
        Err(_) => {
            end_group(&child);
            Reading::Checked { passed: 0, failed: 1, detail: format!("{program} took more than {} s", within.as_secs()) }
        }
    }
}

/// Ends the command and whatever it started.
fn end_group(child: &tokio::process::Child) {
    let group = child.id().and_then(|id| rustix::process::Pid::from_raw(id as i32));
    if let Some(group) = group {
        // It may have ended by itself in the meantime.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}
