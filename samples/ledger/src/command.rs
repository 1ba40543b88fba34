//! The two words by which an artifact's first line finds this library.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::migrate::{Mode, migrate};
use crate::service::serve;

/// `tidegate sample-ledger <program>`: serves.
pub const SERVE: &str = "sample-ledger";
/// `tidegate sample-ledger-migrate <program> [--check]`: migrates.
pub const MIGRATE: &str = "sample-ledger-migrate";

/// What the command ends with when it could not be done at all; 1 is the answer "not migrated" of `--check`.
const FAULT: u8 = 2;

/// Does what the words after `tidegate` say, [`SERVE`] or [`MIGRATE`] first, on a runtime of its own with one thread.
pub fn main_blocking(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    // The caller may have set up its own already.
    let _ = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).compact().try_init();
    run(&args).unwrap_or_else(|error| {
        // There is nobody left to tell if this fails.
        let _ = writeln!(std::io::stderr(), "ledger: {error:#}");
        ExitCode::from(FAULT)
    })
}

fn run(args: &[OsString]) -> anyhow::Result<ExitCode> {
    let words: Vec<Option<&str>> = args.iter().map(|word| word.to_str()).collect();
    let program = args.get(1).map(PathBuf::from);
    match (words.as_slice(), program) {
        ([Some(SERVE), _], Some(program)) => serving(&program),
        ([Some(MIGRATE), _], Some(program)) => migrating(&program, Mode::Apply),
        ([Some(MIGRATE), _, Some("--check")], Some(program)) => migrating(&program, Mode::Check),
        _ => bail!("use: tidegate {SERVE} PROGRAM, or: tidegate {MIGRATE} PROGRAM [--check]"),
    }
}

fn serving(program: &Path) -> anyhow::Result<ExitCode> {
    let runtime = runtime()?;
    let served = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("the signal cannot be waited for")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("the signal cannot be waited for")?;
        let shutdown = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        serve(program, shutdown).await
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
    served.map(|()| ExitCode::SUCCESS)
}

fn migrating(program: &Path, mode: Mode) -> anyhow::Result<ExitCode> {
    let outcome = runtime()?.block_on(migrate(program, mode))?;
    let _ = writeln!(std::io::stdout(), "{outcome}");
    Ok(outcome.exit_code())
}

fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("the runtime cannot be made")
}
