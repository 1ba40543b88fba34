//! What the program can print of itself: `tidegate schema`, `tidegate alerts` and `tidegate completions`

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::arguments::Cli;
use crate::ending::Ending;
use crate::output::exactly;

/// Print the JSON Schema of definition files, for editors.
#[derive(Debug, Args)]
pub struct Schema {}

impl Schema {
    /// Prints it.
    pub fn run() -> Result<(), Ending> {
        exactly(&serde_json::to_string_pretty(&tidegate_api::strict::schema()).map_err(anyhow::Error::new)?)
    }
}

/// Print alert rules for Prometheus, as they fit this version's metrics.
#[derive(Debug, Args)]
pub struct Alerts {}

impl Alerts {
    /// Prints them.
    pub fn run() -> Result<(), Ending> {
        exactly(include_str!("../../../../docs/operate/alerts.yaml"))
    }
}

/// Print shell completions.
#[derive(Debug, Args)]
pub struct Completions {
    /// For which shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// Prints them.
    pub fn run(&self) -> Result<(), Ending> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "tidegate", &mut script);
        exactly(&String::from_utf8(script).map_err(anyhow::Error::new)?)
    }
}
