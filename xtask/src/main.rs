//! The project's own tools: `cargo xtask tidy | check | test | bench | pictures | dist`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a developer's tool talks on the terminal")]

mod api;
mod bench;
mod browser;
mod demo_check;
mod dist;
mod install;
mod pictures;
mod postgres;
mod process;
mod series;
mod source;
mod steps;
mod tidy;
mod tree;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use steps::Step;

/// Checks, tests and measures the project.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// The house rules that no compiler knows; a second.
    Tidy,
    /// Form, house rules, lints and the quick tests.
    Check,
    /// Everything; installs what is missing, as root.
    Test {
        /// Only this step.
        #[arg(long, value_name = "STEP")]
        only: Option<Step>,
    },
    /// One static program and a Debian package around it, tried as root.
    Dist {
        /// Pack this program instead of building one.
        #[arg(long, value_name = "FILE")]
        program: Option<PathBuf>,
    },
    /// Every page of an empty and of a full house, wide and narrow, light and dark.
    Pictures,
    /// Measurements, each beside a peer.
    Bench {
        /// Which; all if none is named.
        names: Vec<String>,
        /// Also writes the rows to this file.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
}

/// Ends with 0, with 1 after a failure, and with 2 if packages are missing that only root may install.
fn main() -> ExitCode {
    let Err(error) = run(Arguments::parse().task) else { return ExitCode::SUCCESS };
    eprintln!("{error:#}");
    if error.is::<install::Missing>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

fn run(task: Task) -> anyhow::Result<()> {
    process::stop_in_order()?;
    match task {
        Task::Tidy => tidy::run(),
        Task::Check => steps::take(&steps::CHECK),
        Task::Test { only: None } => steps::take(&steps::TEST),
        Task::Test { only: Some(step) } => steps::take(&[step]),
        Task::Dist { program } => dist::run_all(program),
        Task::Pictures => pictures::run(),
        Task::Bench { names, json } => bench::run(&names, json.as_deref()),
    }
}
