//! One file for each family of commands: its words, and what it asks of the API.

pub mod agent;
pub mod apply;
pub mod artifact;
pub mod audit;
pub mod change;
pub mod demo;
pub mod deployment;
pub mod doctor;
pub mod freeze;
pub mod init;
pub mod list;
pub mod login;
pub mod plan;
pub mod record;
pub mod release;
pub mod sample;
pub mod schema;
pub mod server;
pub mod service;
pub mod target;
pub mod token;
pub mod watch;

use crate::arguments::{Cli, Command};
use crate::client::Client;
use crate::ending::Ending;
use crate::output::Output;

/// A way to the server and a way to answer.
#[derive(Debug, Clone)]
pub struct Session {
    pub client: Client,
    pub output: Output,
}

/// Carries out one command.
pub async fn run(cli: Cli, output: &Output) -> Result<(), Ending> {
    let session = || Client::new(&cli.global).map(|client| Session { client, output: output.clone() });
    match cli.command {
        Command::Demo(it) => it.run(output).await,
        Command::Server(it) => it.run(output).await,
        Command::LoginLink(it) => it.run(output).await,
        Command::Backup(it) => it.run(output).await,
        Command::Restore(it) => it.run(output).await,
        Command::Agent(it) => it.run(cli.global).await,
        Command::Doctor(it) => it.run(cli.global, output).await,
        Command::Init(it) => it.run(output),
        Command::Validate(it) => it.run(output),
        Command::Schema(_) => schema::Schema::run(),
        Command::Alerts(_) => schema::Alerts::run(),
        Command::Completions(it) => it.run(),
        Command::Man(it) => it.run(),
        Command::Login(it) => it.run(cli.global, output).await,
        Command::Artifact(it) => it.run(session, output).await,
        Command::Apply(it) => it.run(&session()?).await,
        Command::Plan(it) => it.run(&session()?).await,
        Command::Deploy(it) => it.run(&session()?).await,
        Command::Deployment(it) => it.run(&session()?).await,
        Command::Watch(it) => it.run(&session()?).await,
        Command::Record(it) => it.run(&session()?).await,
        Command::Release(it) => it.run(&session()?).await,
        Command::Change(it) => it.run(&session()?).await,
        Command::Freeze(it) => it.run(&session()?).await,
        Command::Target(it) => it.run(&session()?).await,
        Command::List(it) => it.run(&session()?).await,
        Command::Token(it) => it.run(&session()?).await,
        Command::Audit(it) => it.run(&session()?).await,
        Command::Measure(it) => it.run(&session()?).await,
        Command::Whoami(it) => it.run(&session()?).await,
        // These end before there is a runtime.
        Command::AgentStep { .. } | Command::SampleLedger(_) | Command::SampleLedgerMigrate(_) => Ok(()),
    }
}
