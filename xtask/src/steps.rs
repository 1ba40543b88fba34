//! `cargo xtask check` and `cargo xtask test`: what is run, in which order, and how long it took.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::postgres::{Postgres, Purpose};
use crate::process::{is_there, run};
use crate::{api, browser, demo_check, install, tidy, tree};

/// The names of slow tests begin so; `check` leaves them out.
const SLOW: &str = "slow_";

/// Where the store's tests find `PostgreSQL`; whoever has one running sets it and none is started.
pub const POSTGRES: &str = "TIDEGATE_TEST_POSTGRES";
const PROMETHEUS: &str = "TIDEGATE_TEST_PROMETHEUS";

/// One step of `check` or `test`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// Installs Debian's packages that are missing.
    Install,
    /// The form of the Rust files.
    Fmt,
    /// The house rules.
    Tidy,
    /// The lints.
    Clippy,
    /// Licences and bans of dependencies, where cargo-deny is there.
    Deny,
    /// All tests but the slow ones.
    Quick,
    /// All tests.
    Tests,
    /// The examples in the documentation.
    Doc,
    /// The API under a fuzzer, as each role.
    Api,
    /// The program as users build it.
    Build,
    /// The demo and its promises.
    Demo,
    /// The pages in a browser.
    Browser,
}

/// A minute's worth, for the inner loop.
pub const CHECK: [Step; 4] = [Step::Fmt, Step::Tidy, Step::Clippy, Step::Quick];

/// Everything; the quick verdicts first.
pub const TEST: [Step; 11] = [
    Step::Install,
    Step::Fmt,
    Step::Tidy,
    Step::Clippy,
    Step::Deny,
    Step::Tests,
    Step::Doc,
    Step::Api,
    Step::Build,
    Step::Demo,
    Step::Browser,
];

/// Takes the steps in order, up to the first that fails, and prints what each took.
pub fn take(steps: &[Step]) -> anyhow::Result<()> {
    let mut taken: Vec<(Step, Duration, bool)> = Vec::new();
    let mut result = Ok(());
    for step in steps {
        println!("\n── {} ──", name(*step));
        let started = Instant::now();
        result = one(*step);
        taken.push((*step, started.elapsed(), result.is_ok()));
        if result.is_err() {
            break;
        }
    }
    println!();
    for (step, took, good) in &taken {
        println!("{:<8} {:>6.1} s  {}", name(*step), took.as_secs_f64(), if *good { "good" } else { "FAILED" });
    }
    for step in &steps[taken.len()..] {
        println!("{:<8} {:>6}    not run", name(*step), "");
    }
    result
}

fn name(step: Step) -> String {
    step.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

fn one(step: Step) -> anyhow::Result<()> {
    match step {
        Step::Install => install::run(),
        Step::Fmt => run(&mut cargo(&["fmt", "--all", "--check"])),
        Step::Tidy => tidy::run(),
        Step::Clippy => run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
        Step::Deny => deny(),
        Step::Quick => run(&mut tests(true)),
        Step::Tests => all_tests(),
        Step::Doc => run(&mut cargo(&["test", "--workspace", "--doc"])),
        Step::Api => fuzzed(),
        Step::Build => program().map(|_| ()),
        Step::Demo => demo_check::run(&program()?),
        Step::Browser => browser::run(&program()?),
    }
}

/// Cargo with `arguments`, at the root.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(tree::root());
    command
}

fn deny() -> anyhow::Result<()> {
    if !is_there("cargo-deny", "--version") {
        println!("skipped: cargo-deny is not installed");
        return Ok(());
    }
    // Advisories need their database from the network, which the tests do without.
    run(&mut cargo(&["deny", "--offline", "check", "bans", "licenses", "sources"]))
}

/// The tests by cargo-nextest where it is there, which runs them side by side over all packages; else by cargo.
fn tests(quick: bool) -> Command {
    if is_there("cargo-nextest", "--version") {
        let mut command = cargo(&["nextest", "run", "--workspace", "--no-fail-fast"]);
        if quick {
            command.args(["-E", &format!("not test(/(^|::){SLOW}/)")]);
        }
        return command;
    }
    let mut command = cargo(&["test", "--workspace", "--all-targets", "--no-fail-fast"]);
    if quick {
        command.args(["--", "--skip", SLOW]);
    }
    command
}

fn all_tests() -> anyhow::Result<()> {
    let mut command = tests(false);
    if let Some(prometheus) = install::prometheus() {
        command.env(PROMETHEUS, prometheus);
    }
    if std::env::var_os(POSTGRES).is_some() {
        return run(&mut command);
    }
    let postgres = Postgres::start(Purpose::Tests)?;
    run(command.env(POSTGRES, &postgres.url))
}

fn fuzzed() -> anyhow::Result<()> {
    run(&mut cargo(&["build", "-p", "tidegate"]))?;
    run(&mut cargo(&["build", "-p", "tidegate-testkit", "--example", "api_under_test"]))?;
    let built = tree::target().join("debug");
    api::run(&built.join("tidegate"), &built.join("examples/api_under_test"))
}

/// Builds the program as users do; answers where it is.
pub fn program() -> anyhow::Result<PathBuf> {
    run(&mut cargo(&["build", "--release", "-p", "tidegate"]))?;
    Ok(tree::target().join("release/tidegate"))
}
