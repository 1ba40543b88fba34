//! `tidegate demo`

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::demo::{self, Options};
use crate::ending::Ending;
use crate::output::Output;

/// Watch a release go from plan to production on this host: a server, eighteen agents and a small service, nothing installed.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a word of the command line")]
pub struct Demo {
    /// Play at full speed, then end.
    #[arg(long)]
    once: bool,
    /// Print one JSON object instead of the story; the same as --output json.
    #[arg(long)]
    json: bool,
    /// Leave everything running for exploration.
    #[arg(long)]
    keep: bool,
    /// Wait for somebody to approve the change in the page.
    #[arg(long)]
    by_hand: bool,
    /// Where the server listens; with --once any free port unless said.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where the files go; a folder that is removed at the end unless said.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Demo {
    /// Plays it.
    pub async fn run(self, output: &Output) -> Result<(), Ending> {
        let Demo { once, json, keep, by_hand, listen, data } = self;
        Ok(demo::run(Options { once, json: json || output.is_json(), keep, by_hand, listen, data }).await?)
    }
}
