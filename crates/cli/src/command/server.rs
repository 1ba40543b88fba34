//! `tidegate server`, and what is done to its data from outside: `login-link`, `backup`, `restore`

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use tidegate_domain::refusal::{Code, Refusal};
use tidegate_server::app::{AddressFrom, Serving};
use tidegate_server::{Config, Running};

use super::service::{Log, log, shutdown};
use crate::ending::Ending;
use crate::output::Output;

/// The data of one server, as every command that works on it names it.
#[derive(Debug, Args)]
pub struct Place {
    /// Where the database, the media library and the server's key are kept.
    #[arg(long, default_value = "./tidegate-data", value_name = "DIR")]
    data: PathBuf,
    /// A database server in place of the database in the data folder: `postgres://…`
    #[arg(long, env = "TIDEGATE_DATABASE", value_name = "URL", hide_env_values = true)]
    database: Option<String>,
    /// The address by which people and agents reach the server, if it is not the one it listens on.
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
}

/// Where a server listens unless it is told otherwise.
const LISTEN: &str = "127.0.0.1:7400";

impl Place {
    fn config(self, listen: SocketAddr) -> Config {
        Config {
            listen,
            data: self.data,
            database: self.database,
            public_url: self.public_url,
            allow_commands: false,
            serving: Serving::default(),
        }
    }

    /// For work beside a server: links name the address where servers listen by default.
    fn beside(self) -> Result<Config, Ending> {
        Ok(self.config(LISTEN.parse().map_err(anyhow::Error::new)?))
    }
}

/// The data of a server, as another family of commands names it.
pub fn beside(data: PathBuf, database: Option<String>) -> Result<Config, Ending> {
    existing(Place { data, database, public_url: None }.beside()?)
}

/// How requests are served.
#[derive(Debug, Args)]
struct Asked {
    /// Requests a second with one token or browser session; ten seconds' worth may come at once. 0: no bound.
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    token_requests_per_second: u32,
    /// Requests a second from one address without a good token; ten seconds' worth may come at once. 0: no bound.
    #[arg(long, default_value_t = 20, value_name = "COUNT")]
    stranger_requests_per_second: u32,
    /// A proxy in front says in X-Forwarded-For where requests come from; its last entry is believed.
    #[arg(long)]
    behind_proxy: bool,
    /// Seconds between the signal to end and its beginning, in which `/readyz` says no and requests are still taken.
    #[arg(long, default_value_t = 1, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=60))]
    linger_seconds: u32,
}

impl Asked {
    fn serving(&self) -> Serving {
        Serving {
            token_requests_per_second: self.token_requests_per_second,
            stranger_requests_per_second: self.stranger_requests_per_second,
            address: if self.behind_proxy { AddressFrom::Proxy } else { AddressFrom::Connection },
            linger_seconds: self.linger_seconds,
        }
    }
}

/// Run the server. The first start prints a link that makes you its administrator.
#[derive(Debug, Args)]
pub struct Server {
    /// Where to listen.
    #[arg(long, default_value = LISTEN, value_name = "ADDRESS")]
    listen: SocketAddr,
    #[command(flatten)]
    place: Place,
    /// Let check gates run commands on this host.
    #[arg(long)]
    allow_commands: bool,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    log: Log,
}

impl Server {
    /// Runs until a signal comes.
    pub async fn run(self, output: &Output) -> Result<(), Ending> {
        log(self.log);
        let serving = self.asked.serving();
        let config = Config { allow_commands: self.allow_commands, serving, ..self.place.config(self.listen) };
        let started = |running: &Running| {
            output.note(&format!("listening on http://{}", running.address));
            if let Some(link) = &running.login_link {
                output.note(&format!("sign in as the first administrator with this link; it works once:\n\n  {link}\n"));
            }
        };
        Ok(tidegate_server::run(config, shutdown()?, started).await?)
    }
}

/// Make a one-time sign-in link for a person; works on the data folder, beside a server that may be running.
#[derive(Debug, Args)]
pub struct LoginLink {
    /// For whom.
    #[arg(default_value = "admin")]
    person: String,
    #[command(flatten)]
    place: Place,
}

impl LoginLink {
    /// Makes and prints it.
    pub async fn run(self, output: &Output) -> Result<(), Ending> {
        let link = tidegate_server::login_link(&existing(self.place.beside()?)?, &self.person).await?;
        output.value(&json!({ "link": link }), |_| link.clone())
    }
}

/// Copy everything a server keeps into a new folder, while it may be running.
#[derive(Debug, Args)]
pub struct Backup {
    /// The folder to make.
    to: PathBuf,
    #[command(flatten)]
    place: Place,
}

impl Backup {
    /// Copies.
    pub async fn run(self, output: &Output) -> Result<(), Ending> {
        tidegate_server::backup(&existing(self.place.beside()?)?, &self.to).await?;
        let to = self.to.display().to_string();
        output
            .value(&json!({ "backup": to }), |_| format!("everything is in {to}; it holds the server's key, so keep it as safe"))
    }
}

/// Put a backup into a new data folder, and walk its history.
#[derive(Debug, Args)]
pub struct Restore {
    /// The backup.
    from: PathBuf,
    #[command(flatten)]
    place: Place,
}

impl Restore {
    /// Restores.
    pub async fn run(self, output: &Output) -> Result<(), Ending> {
        let config = self.place.beside()?;
        let verified = tidegate_server::restore(&self.from, &config).await?;
        let data = config.data.display().to_string();
        let value = json!({ "data": data, "events": verified.events, "streams": verified.streams });
        output.value(&value, |_| {
            format!("{data} holds the backup; {} events in {} streams walked, every one holds", verified.events, verified.streams)
        })
    }
}

/// Refuses a data folder that is not there: a new empty one would only look like an answer.
fn existing(config: Config) -> Result<Config, Ending> {
    if config.data.is_dir() {
        return Ok(config);
    }
    let what = format!("there is no data folder {}", config.data.display());
    Err(Refusal::new(Code::NotFound, what, "name the one the server was started with").at("--data").into())
}
