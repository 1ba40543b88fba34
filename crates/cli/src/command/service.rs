//! What the two programs that stay up, server and agent, have in common.

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::ending::Ending;

/// How to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How much to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What failed by a fault of this program or its host.
    Error,
    /// And what may need somebody.
    Warn,
    /// And a line for each request of people and scripts.
    Info,
    /// And what comes by itself every few seconds.
    Debug,
    /// And every step on the way.
    Trace,
}

/// How a program that stays up logs, to its standard error.
#[derive(Debug, Clone, Copy, Args)]
pub struct Log {
    /// How to log.
    #[arg(long = "log-format", alias = "log", value_enum, default_value_t, value_name = "FORMAT")]
    format: LogFormat,
    /// How much to log; else what `$TIDEGATE_LOG` says, else info.
    #[arg(long = "log-level", value_enum, value_name = "LEVEL")]
    level: Option<LogLevel>,
}

/// Begins to log to stderr.
pub fn log(Log { format, level }: Log) {
    let word = level.and_then(|level| level.to_possible_value());
    let filter = match &word {
        Some(word) => EnvFilter::new(word.get_name()),
        None => EnvFilter::try_from_env("TIDEGATE_LOG").unwrap_or_else(|_| EnvFilter::new("info")),
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    // Only a second call could fail, and there is none.
    let _ = match format {
        LogFormat::Text => log.with_target(false).try_init(),
        LogFormat::Json => log.json().try_init(),
    };
}

/// Completes at the first `SIGTERM` or `SIGINT`. The second ends the program at once, for whoever does not want to wait.
pub fn shutdown() -> Result<impl Future<Output = ()>, Ending> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::warn!("a second signal: ending at once");
            std::process::exit(1);
        });
    })
}
