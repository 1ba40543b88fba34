//! `tidegate doctor`

mod agent;
mod backup;
mod data;
mod disk;
mod finding;
mod server;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::arguments::Global;
use crate::ending::Ending;
use crate::output::Output;
use crate::text::plan::count;
use finding::{Findings, Level};

/// Say what is wrong with an installation; nothing is changed.
#[derive(Debug, Args)]
#[command(after_help = "\
It always asks the server. On the server's host add --data, on a target's host --agent-root, as a user who may read them:

  tidegate doctor --data /var/lib/tidegate --backups /var/backups/tidegate
  tidegate doctor --agent-root /var/lib/tidegate-agent

Ends with 0 if there is no problem (there may be warnings), and with 7 if there is one.")]
pub struct Doctor {
    /// The data folder of a server on this host.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The database of that server, if it is not in its data folder: `postgres://…`
    #[arg(long, env = "TIDEGATE_DATABASE", value_name = "URL", hide_env_values = true, requires = "data")]
    database: Option<String>,
    /// The folder that holds the backups of that server, one folder each.
    #[arg(long, value_name = "DIR")]
    backups: Option<PathBuf>,
    /// Hours after which the newest backup is too old.
    #[arg(long, value_name = "HOURS", default_value_t = 26, value_parser = clap::value_parser!(u64).range(1..=87_600))]
    backup_hours: u64,
    /// The folder of an agent on this host.
    #[arg(long, value_name = "DIR")]
    agent_root: Option<PathBuf>,
    /// A release key on this host, the private half.
    #[arg(long, value_name = "FILE")]
    release_key: Option<PathBuf>,
}

impl Doctor {
    /// Looks at everything it was shown, and at the server.
    pub async fn run(self, global: Global, output: &Output) -> Result<(), Ending> {
        let mut findings = Findings::default();
        // On a host that was named for its files a person's token need not be there.
        let token_is_needed = self.data.is_none() && self.agent_root.is_none() && self.backups.is_none();
        server::look(&mut findings, &global, token_is_needed).await?;
        if let Some(data) = &self.data {
            data::look(&mut findings, data, self.database.as_deref()).await;
        }
        if let Some(backups) = &self.backups {
            backup::look(&mut findings, backups, self.backup_hours);
        }
        if let Some(root) = &self.agent_root {
            agent::look(&mut findings, root);
        }
        if let Some(key) = &self.release_key {
            release_key(&mut findings, key, self.data.as_deref());
        }
        answer(&findings, output)
    }
}

fn answer(findings: &Findings, output: &Output) -> Result<(), Ending> {
    let (problems, warnings) = (findings.count(Level::Problem), findings.count(Level::Warning));
    let value = json!({ "problems": problems, "warnings": warnings, "findings": findings.0 });
    output.value(&value, |_| {
        let sum = format!("{}, {}", count(problems, "problem"), count(warnings, "warning"));
        findings.0.iter().map(finding::Finding::line).chain([sum]).collect::<Vec<_>>().join("\n")
    })?;
    if problems == 0 { Ok(()) } else { Err(Ending::Unwell) }
}

/// A release key that can sign, that nobody else can read, and that the server cannot reach.
fn release_key(findings: &mut Findings, key: &std::path::Path, data: Option<&std::path::Path>) {
    let code = finding::Code::ReleaseKey;
    let place = key.display();
    if let Err(ending) = super::artifact::read_key(key) {
        let (what, remedy) = match ending {
            Ending::Input(refusal) => (refusal.what, refusal.remedy),
            _ => ("it cannot be read".to_owned(), "run as its owner".to_owned()),
        };
        return findings.problem(code, place, (what, remedy));
    }
    let inside = |data: &std::path::Path| Some(key.canonicalize().ok()?.starts_with(data.canonicalize().ok()?));
    if data.and_then(inside) == Some(true) {
        let what = "it lies in the server's data folder: whoever has the server can sign";
        return findings.warning(code, place, (what, "move it to where releases are made, and into no backup of the server"));
    }
    findings.good(code, place, "it signs, and only its owner can read it");
}
