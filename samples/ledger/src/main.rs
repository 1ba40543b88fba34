//! `tidegate-sample-ledger sample-ledger <program>`: what `tidegate` does for the same words, in a small program.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidegate_sample_ledger::main_blocking(std::env::args_os().skip(1))
}
