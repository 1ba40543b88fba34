//! What the program can print of itself: `tidegate schema`, `tidegate alerts`, `tidegate completions` and `tidegate man`

use std::path::PathBuf;

use anyhow::Context as _;
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
        exactly(&text()?)
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

/// The JSON Schema of one definition, for people as well.
pub fn text() -> Result<String, Ending> {
    Ok(serde_json::to_string_pretty(&tidegate_api::strict::schema()).map_err(anyhow::Error::new)?)
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

/// Write a manual page for every command.
#[derive(Debug, Args)]
pub struct Man {
    /// The folder to write to, such as ~/.local/share/man/man1; made if it is not there.
    folder: PathBuf,
}

impl Man {
    /// Writes them over those of another version.
    pub fn run(&self) -> Result<(), Ending> {
        let written = std::fs::create_dir_all(&self.folder).and_then(|()| {
            // The width is a matter of whoever reads the page.
            clap_mangen::generate_to(Cli::command().term_width(0), &self.folder)
        });
        Ok(written.with_context(|| format!("{} cannot be written to", self.folder.display()))?)
    }
}
