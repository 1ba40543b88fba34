//! Gathers what the server runs with. All of it was said elsewhere: on its command line, by its host, or in its program.

use std::collections::BTreeMap;

use tidegate_domain::access::{About, Permission};
use tidegate_domain::deployment::artifact::Artifact;
use tidegate_domain::limits;
use tidegate_store::{Filter, Order, PageRequest};

use crate::access::Caller;
use crate::app::{AddressFrom, App, Commands};
use crate::problem::No;
use crate::web::page::settings::{Database, From, Group, ReleaseKey, Setting, SettingsPage};

/// Artifacts that are looked through for release keys, newest first: keys that signed none of them are out of use.
const ARTIFACTS_MAX: u32 = 1_000;

/// What the page shows.
///
/// # Errors
///
/// [`tidegate_domain::Code::PermissionDenied`] for whoever does not administer everywhere.
pub async fn page(app: &App, caller: &Caller) -> Result<SettingsPage, No> {
    caller.require(Permission::Administer, About::default())?;
    let described = app.store.describe();
    Ok(SettingsPage {
        groups: vec![server(app, &described), rates(app), bounds(app), kept()],
        server_key: app.key.public(),
        keys: keys(app).await?,
        database: if described.starts_with("SQLite") { Database::Embedded } else { Database::PostgreSql },
        data: app.settings.data.display().to_string(),
        public_url: app.settings.public_url.clone(),
        database_bytes: app.store.size_bytes().await?,
        started_at_ms: app.metrics.started_at_ms(),
    })
}

fn setting(name: &str, value: impl Into<String>, from: From) -> Setting {
    Setting { name: name.into(), value: value.into(), from }
}

fn server(app: &App, described: &str) -> Group {
    let it = &app.settings;
    let commands = match it.commands {
        Commands::Allowed => "allowed: whoever may write a strategy can run any program on this host",
        Commands::Refused => "refused",
    };
    let transport = if it.public_url.starts_with("https:") {
        "plain HTTP here; the public address says that a proxy in front speaks TLS"
    } else {
        "plain HTTP; put a proxy with TLS in front before it leaves this host"
    };
    let rows = vec![
        setting("Version", env!("CARGO_PKG_VERSION"), From::Program),
        setting("Listens on", it.listen.to_string(), From::Flag("--listen")),
        setting("Public address", &*it.public_url, From::Flag("--public-url")),
        setting("Transport", transport, From::Flag("--public-url")),
        setting("Data folder", it.data.display().to_string(), From::Flag("--data")),
        setting("Database", described, From::Flag("--database")),
        setting("Zone of pages", &*it.zone, From::Host("TZ")),
        setting("Commands in check gates", commands, From::Flag("--allow-commands")),
    ];
    Group { title: "This server".into(), rows }
}

fn rates(app: &App) -> Group {
    let it = &app.settings.serving;
    let rate = |per_second: u32| match per_second {
        0 => "no bound".to_owned(),
        count => format!("{count} a second, {} at once", u64::from(count) * 10),
    };
    let address = match it.address {
        AddressFrom::Connection => "the connection",
        AddressFrom::Proxy => "the last entry of X-Forwarded-For",
    };
    let rows = vec![
        setting(
            "Requests with one token or session",
            rate(it.token_requests_per_second),
            From::Flag("--token-requests-per-second"),
        ),
        setting(
            "Requests of one stranger's address",
            rate(it.stranger_requests_per_second),
            From::Flag("--stranger-requests-per-second"),
        ),
        setting("The address is that of", address, From::Flag("--behind-proxy")),
        setting("Says that it ends before it does, for", format!("{} s", it.linger_seconds), From::Flag("--linger-seconds")),
    ];
    Group { title: "Requests".into(), rows }
}

fn bounds(app: &App) -> Group {
    let mut rows: Vec<Setting> = app
        .overload
        .under_way()
        .into_iter()
        .map(|(kind, used, max)| {
            let name = match kind {
                "request" => "Requests at once",
                "upload" => "Uploads at once",
                "poll" => "Agents that listen at once",
                "follower" => "Followers of the history at once",
                _ => "Walks over the history at once",
            };
            setting(name, format!("{max}; now {used}"), From::Program)
        })
        .collect();
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let files = files.map_or_else(|| "no bound".to_owned(), |max| max.to_string());
    rows.push(setting("Open files and connections", files, From::Host("LimitNOFILE")));
    rows.push(setting("Commits that wait for the writer", tidegate_store::COMMITS_WAITING_MAX.to_string(), From::Program));
    rows.push(setting("Bytes of one artifact", limits::ARTIFACT_BYTES_MAX.to_string(), From::Program));
    rows.push(setting("Targets of one plan", limits::TARGETS_MAX.to_string(), From::Program));
    Group { title: "Bounds".into(), rows }
}

fn kept() -> Group {
    let rows = vec![
        setting("History, plans, orders, output of steps, artifacts", "for good", From::Program),
        setting("Answers by idempotency key", "24 hours", From::Program),
        setting("Sign-in links", "15 minutes, used once", From::Program),
        setting("Browser sessions", "14 hours", From::Program),
        setting("API tokens", "as long as each was made for, at most 400 days", From::Page("/people", "People")),
    ];
    Group { title: "Kept".into(), rows }
}

/// The release keys that have signed what is in the library.
async fn keys(app: &App) -> Result<Vec<ReleaseKey>, No> {
    let page = PageRequest { order: Order::NewestFirst, after: None, limit: ARTIFACTS_MAX };
    let artifacts = app.store.list::<Artifact>(&Filter::default(), &page).await?.rows;
    let mut keys: BTreeMap<String, ReleaseKey> = BTreeMap::new();
    for artifact in artifacts.into_iter().map(|row| row.value) {
        let Some(signature) = artifact.signature else { continue };
        let none = ReleaseKey { key: signature.key.clone(), artifacts: 0, last_at_ms: 0 };
        let key = keys.entry(signature.key).or_insert(none);
        key.artifacts += 1;
        key.last_at_ms = key.last_at_ms.max(artifact.uploaded_at_ms);
    }
    Ok(keys.into_values().collect())
}
