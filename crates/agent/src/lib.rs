//! Asks for orders, carries them out, reports.
//!
//! The way of an order: [`agent`] polls and hears it, [`check`] says no or yes, [`attempts`] journals it and gives it to a
//! [`runner`], which walks its items, each through a driver of [`driver`]; [`courier`] tells the server how far it is. Whatever
//! is not in memory any more after a kill is found again in [`journal`], [`launch`] and [`place`]; what an earlier try of the
//! same deployment did, in [`past`].

mod agent;
mod attempt;
mod attempts;
mod check;
mod client;
mod clock;
mod courier;
#[cfg(not(feature = "crash"))]
mod crash;
#[cfg(feature = "crash")]
pub mod crash;
mod driver;
mod durable;
mod environment;
mod fetch;
mod identity;
pub mod inspect;
mod item;
mod journal;
mod launch;
mod logs;
mod past;
mod pid;
mod place;
mod ratchet;
mod runner;
mod services;
mod supervisor;
mod words;

use std::ffi::OsString;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tidegate_domain::Refusal;

/// How an agent is set up.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Where the server is: `http://host:port` or `https://…`.
    pub server: String,
    /// The agent's own folder; one agent at a time.
    pub root: PathBuf,
    /// The one-time enrolment token; needed once.
    pub token: Option<String>,
    /// Release keys, 32 bytes in standard base64 each. Empty: the operator trusts the server alone.
    pub trust: Vec<String>,
    /// End, as by `SIGTERM`, when the process (strictly: the thread) ends that started the agent.
    pub die_with_parent: bool,
    /// Stop the supervised programs when the agent ends in peace. Without it they go on and are found again.
    pub stop_services_on_exit: bool,
    /// Longest time to ask the server to hold a poll; 0 takes the server's bound.
    pub poll_seconds: u32,
    /// How to start this program's hidden step entry; empty is this executable with `agent-step`.
    pub step_program: Vec<OsString>,
}

/// Why an agent ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something a person can put right.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A fault of this host or of the program.
    #[error("{0:#}")]
    Fault(#[from] anyhow::Error),
}

/// Enrols if needed, then asks for orders and carries them out until `shutdown` completes.
///
/// Steps that run when it ends go on under their own supervisor and are found again by the next agent.
///
/// # Errors
///
/// [`Error::Refused`] if the agent is not enrolled and has no token, the token is not accepted, a trusted key is not a key, or
/// another agent holds the folder; [`Error::Fault`] if the folder cannot be used.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    agent::run(config, shutdown).await
}

/// The entry of the hidden subcommand `agent-step <folder>`: supervises one step, or becomes one program.
pub fn run_step(folder: &Path) -> ExitCode {
    launch::run_step(folder)
}
