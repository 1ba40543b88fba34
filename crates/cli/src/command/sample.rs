//! The sample service that `tidegate demo` deploys; its artifacts name this program as their interpreter.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Args;

/// The words after the command, as the kernel or an agent gives them.
#[derive(Debug, Args)]
pub struct Sample {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

impl Sample {
    /// Does what the words say.
    pub fn run(&self, command: &str) -> ExitCode {
        tidegate_sample_ledger::main_blocking(std::iter::once(OsString::from(command)).chain(self.words.iter().cloned()))
    }
}
