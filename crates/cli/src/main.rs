//! `tidegate`: the server, the agent and everything a person or a script says to the API.
#![cfg_attr(test, allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them so"))]

mod arguments;
mod client;
mod clock;
mod command;
mod definitions;
mod demo;
mod ending;
mod output;
mod text;
mod when;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::{Cli, Command};
use crate::ending::Ending;
use crate::output::Output;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Steps and samples are started many times by agents and must not pay for a runtime they do not use.
    match &cli.command {
        Command::AgentStep { folder } => return tidegate_agent::run_step(folder),
        Command::SampleLedger(sample) => return sample.run(tidegate_sample_ledger::SERVE),
        Command::SampleLedgerMigrate(sample) => return sample.run(tidegate_sample_ledger::MIGRATE),
        _ => {}
    }
    let output = Output::new(&cli.global);
    // Nothing else has chosen one in this process, so that the choice cannot fail.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ended = runtime().and_then(|runtime| {
        let ended = runtime.block_on(command::run(cli, &output));
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(ending) => {
            output.tell(&ending);
            ExitCode::from(ending.code())
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Ending> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Ending::Fault(anyhow::Error::new(error).context("the runtime cannot be made")))
}
