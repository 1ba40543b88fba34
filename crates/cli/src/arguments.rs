//! What may be said on the command line. Each family of commands has its words in its own file below [`crate::command`].

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tidegate_domain::{Id, Name, Refusal, Version};

use crate::command::{
    agent, apply, artifact, audit, change, demo, deployment, doctor, freeze, init, list, login, plan, record, release, sample,
    schema, server, target, token, watch,
};
use crate::ending::EXIT_CODES;

/// The width to which help is wrapped: what is readable, and the same everywhere.
const HELP_COLUMNS: usize = 100;

/// Release management and deployment that cannot lie.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, about, after_help = EXIT_CODES, term_width = HELP_COLUMNS, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Where the server is.
    #[arg(
        long,
        global = true,
        env = "TIDEGATE_SERVER",
        default_value = "http://127.0.0.1:7400",
        value_name = "URL",
        hide_env_values = true
    )]
    pub server: String,
    /// The token to show; else `$TIDEGATE_TOKEN`, else what `tidegate login` keeps. For `agent`: its enrolment token.
    // Not read from the environment here: an agent must not take a person's token for its own.
    #[arg(long, global = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// How to answer: for people, or exactly what the API said (and problems as JSON on stderr).
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub output: Format,
    /// Say nothing but the answer itself.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// No colour; so does `NO_COLOR`.
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// How to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// What the API said.
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch a release go from plan to production on this host, with nothing installed.
    Demo(demo::Demo),
    /// Run the server.
    Server(server::Server),
    /// Run the agent of one target.
    Agent(agent::Agent),
    /// Say what is wrong with an installation.
    Doctor(doctor::Doctor),
    /// Write a commented set of definitions to begin with.
    Init(init::Init),
    /// Define applications, components, environments, targets, strategies and people from files.
    Apply(apply::Apply),
    /// Check definition files without a server.
    Validate(apply::Validate),
    /// Print the JSON Schema of definition files, for editors.
    Schema(schema::Schema),
    /// Make a plan and show what it would do; nothing starts.
    Plan(plan::Plan),
    /// Make a plan and start it.
    Deploy(plan::Deploy),
    /// Look at deployments and steer them.
    #[command(subcommand)]
    Deployment(deployment::Deployment),
    /// Follow a deployment to its end.
    Watch(watch::Watch),
    /// Write and steer releases.
    #[command(subcommand)]
    Release(release::Release),
    /// Write, vote on and close changes.
    #[command(subcommand)]
    Change(change::Change),
    /// Declare freezes and decide on exceptions.
    #[command(subcommand)]
    Freeze(freeze::Freeze),
    /// Record what was carried out elsewhere and is over: releases, changes and deployments of another tool.
    Record(record::Record),
    /// Bring artifacts and sign them.
    #[command(subcommand)]
    Artifact(artifact::Artifact),
    /// Look at targets and enrol their agents.
    #[command(subcommand)]
    Target(target::Target),
    /// List what is defined.
    #[command(subcommand)]
    List(list::List),
    /// Make and revoke API tokens.
    #[command(subcommand)]
    Token(token::Token),
    /// Read and verify the history.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Show the five DORA figures of production.
    Measure(audit::Measure),
    /// Keep a token for this user, so that commands need not name it.
    Login(login::Login),
    /// Show who the token belongs to.
    Whoami(login::WhoAmI),
    /// Make a one-time sign-in link for a person.
    LoginLink(server::LoginLink),
    /// Copy everything a server keeps into a new folder.
    Backup(server::Backup),
    /// Put a backup into a new data folder, and walk its history.
    Restore(server::Restore),
    /// Print alert rules for Prometheus, as they fit this version's metrics.
    Alerts(schema::Alerts),
    /// Print shell completions.
    Completions(schema::Completions),
    /// Write manual pages.
    Man(schema::Man),
    /// Supervise one step of an agent.
    #[command(hide = true)]
    AgentStep {
        /// The step's folder.
        folder: PathBuf,
    },
    /// Serve the sample ledger.
    #[command(hide = true)]
    SampleLedger(sample::Sample),
    /// Migrate the sample ledger's database.
    #[command(hide = true)]
    SampleLedgerMigrate(sample::Sample),
}

/// Reads a name.
pub fn name(text: &str) -> Result<Name, Refusal> {
    Name::parse(text)
}

/// Reads an id.
pub fn id(text: &str) -> Result<Id, Refusal> {
    Id::parse(text)
}

/// Reads a version.
pub fn version(text: &str) -> Result<Version, Refusal> {
    Version::parse(text)
}

/// Reads `component=version`.
pub fn component_version(text: &str) -> Result<(Name, Version), String> {
    let (component, version) = text.split_once('=').ok_or("use COMPONENT=VERSION, such as ledger=1.1")?;
    let component = Name::parse(component).map_err(|refusal| refusal.to_string())?;
    Ok((component, Version::parse(version).map_err(|refusal| refusal.to_string())?))
}

/// The query of every list.
#[derive(Debug, Clone, Default, Args)]
pub struct ListArguments {
    /// Only these states, separated by commas.
    #[arg(long)]
    pub state: Option<String>,
    /// Only of this application.
    #[arg(long, value_parser = name)]
    pub application: Option<Name>,
    /// Only in this environment.
    #[arg(long, value_parser = name)]
    pub environment: Option<Name>,
    /// Only of this release; of changes and deployments.
    #[arg(long, value_parser = id)]
    pub release: Option<Id>,
    /// Only what contains this text in its id or title.
    #[arg(long)]
    pub text: Option<String>,
    /// `newest`, `oldest` or `name`.
    #[arg(long)]
    pub sort: Option<String>,
    /// Rows, 1 to 200; 50 unless said.
    #[arg(long)]
    pub limit: Option<u32>,
    /// Go on where the page before ended.
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<String>,
}

impl ListArguments {
    /// The same as the API reads it.
    pub fn query(&self) -> tidegate_api::request::ListQuery {
        tidegate_api::request::ListQuery {
            state: self.state.clone(),
            application: self.application.clone(),
            environment: self.environment.clone(),
            release: self.release.clone(),
            text: self.text.clone(),
            sort: self.sort.clone(),
            limit: self.limit,
            after: self.after.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
