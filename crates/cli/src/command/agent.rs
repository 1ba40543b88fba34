//! `tidegate agent`

use std::path::PathBuf;

use clap::Args;

use super::service::{Log, log, shutdown};
use crate::arguments::Global;
use crate::ending::Ending;

/// Run the agent of one target: it asks the server for signed orders and carries them out.
#[derive(Debug, Args)]
#[command(after_help = "\
The first time, name the server and the one-time token of `tidegate target enrol`:

  tidegate agent --server http://127.0.0.1:7400 --root /var/lib/tidegate-agent --token TOKEN

Afterwards the token is not needed: the agent has made a key of its own.")]
pub struct Agent {
    /// The agent's own folder; one agent at a time.
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    /// A release key whose signature an artifact must carry, in base64; may be given several times.
    #[arg(long, value_name = "KEY")]
    trust: Vec<String>,
    /// End when the process that started the agent ends.
    #[arg(long)]
    die_with_parent: bool,
    /// Stop the supervised programs when the agent ends in peace; without it they go on and are found again.
    #[arg(long)]
    stop_services_on_exit: bool,
    #[command(flatten)]
    log: Log,
}

impl Agent {
    /// Runs until a signal comes.
    pub async fn run(self, global: Global) -> Result<(), Ending> {
        log(self.log);
        let config = tidegate_agent::Config {
            server: global.server,
            root: self.root,
            token: global.token,
            trust: self.trust,
            die_with_parent: self.die_with_parent,
            stop_services_on_exit: self.stop_services_on_exit,
            ..tidegate_agent::Config::default()
        };
        tidegate_agent::run(config, shutdown()?).await.map_err(|error| match error {
            tidegate_agent::Error::Refused(refusal) => refusal.into(),
            tidegate_agent::Error::Fault(fault) => fault.into(),
        })
    }
}
