//! Starting, stopping, and what is done to a data directory from outside.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_domain::access::{Person, TokenPurpose};
use tidegate_domain::deployment::artifact::Artifact;
use tidegate_domain::{Code, Name, Refusal};
use tidegate_store::media::Media;
use tidegate_store::{Filter, Order, PageRequest, Store};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::access::service;
use crate::agent::sessions::Sessions;
use crate::app::{App, Bells, Commands, SYSTEM, Settings};
use crate::clock::Clock;
use crate::data::{DATABASE, KEY, LOCK, OBJECTS};
use crate::deployment::desk::Desk;
use crate::overload::Overload;
use crate::problem::{Fault, No};
use crate::secret::ServerKey;

/// How to start a server.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where its files are; made if it is not there.
    pub data: PathBuf,
    /// `postgres://…`, or nothing for the embedded database in `data`.
    pub database: Option<String>,
    /// How browsers and agents reach it, if not by `listen`.
    pub public_url: Option<String>,
    /// Whether check gates may run commands on this host.
    pub allow_commands: bool,
}

/// A server that runs.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it shares.
    pub app: Arc<App>,
    /// A link for the first administrator, if there was nobody yet.
    pub login_link: Option<String>,
    /// One server at a time works on a data directory; the lock ends with this.
    _lock: std::fs::File,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    /// Ends it: no more requests, no more decisions, then the store.
    pub async fn stop(self) {
        // Whoever listens for the end has gone already if nobody hears this.
        let _ = self.stop.send(true);
        for task in self.tasks {
            drop(task.await);
        }
        self.app.store.close().await;
    }
}

/// Opens what a server works on, without listening.
///
/// # Errors
///
/// [`No::Fault`] if a file or the database cannot be opened.
pub async fn open(config: &Config, clock: Clock, address: SocketAddr) -> Result<Arc<App>, No> {
    install_tls();
    make_private(&config.data)?;
    let url = database(config);
    let store = Store::open(&url).await?;
    let media = Media::open(config.data.join("media")).await?;
    let public_url = config.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    let http = crate::http::client(|| reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()));
    let http = http.map_err(|error| Fault::new(error.to_string()))?;
    Ok(Arc::new(App {
        store,
        media,
        clock,
        key: ServerKey::open(&config.data)?,
        desk: Desk::default(),
        sessions: Sessions::default(),
        wake: tokio::sync::Notify::new(),
        bells: Bells::default(),
        overload: Overload::default(),
        http,
        settings: Settings {
            data: config.data.clone(),
            public_url,
            zone: zone(),
            commands: if config.allow_commands { Commands::Allowed } else { Commands::Refused },
        },
    }))
}

/// The machine's zone; UTC where it has none.
fn zone() -> String {
    match jiff::tz::TimeZone::system().iana_name() {
        // The same zone by its plain name.
        None | Some("Etc/UTC" | "Etc/UCT" | "Zulu") => "UTC".to_owned(),
        Some(name) => name.to_owned(),
    }
}

/// One TLS provider for the whole process.
fn install_tls() {
    // A second start in one process finds it installed, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
}

fn database(config: &Config) -> String {
    config.database.clone().unwrap_or_else(|| format!("sqlite:{}", config.data.join(DATABASE).display()))
}

/// A copy of the history is its owner's alone, as the history itself.
fn private(path: &Path) -> Result<(), Fault> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(|error| Fault::io(path, error))
}

/// Takes the data directory for this server alone; the kernel gives it back however the process ends.
fn alone(data: &Path) -> Result<std::fs::File, No> {
    let path = data.join(LOCK);
    let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| Fault::io(&path, error))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let what = format!("another server works on {}", data.display());
            Err(Refusal::new(Code::StateForbids, what, "stop that one first, or name another data directory: --data").into())
        }
        Err(error) => Err(Fault::io(&path, error.into()).into()),
    }
}

/// The data directory holds the server's key, so that it is its owner's alone.
fn make_private(data: &Path) -> Result<(), Fault> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(|error| Fault::io(data, error))
}

/// Starts a server and returns once it listens.
///
/// # Errors
///
/// [`No::Fault`] if it cannot listen or cannot open what it works on.
pub async fn start(config: &Config, clock: Clock) -> Result<Running, No> {
    make_private(&config.data)?;
    let lock = alone(&config.data)?;
    let listener = TcpListener::bind(config.listen).await.map_err(|error| Fault::new(format!("{}: {error}", config.listen)))?;
    let address = listener.local_addr().map_err(|error| Fault::new(error.to_string()))?;
    let app = open(config, clock, address).await?;
    crate::descriptors::provide(&app).await?;
    let login_link = first_link(&app).await?;
    let (stop, stopped) = watch::channel(false);
    let orchestrator = tokio::spawn(crate::orchestrator::run(app.clone(), stopped.clone()));
    let router = crate::router(app.clone());
    let mut ending = stopped;
    let serving = tokio::spawn(async move {
        // Made ready once: a router handed over as it is would be copied whole for each connection, which of ten thousand idle
        // agents takes gigabytes.
        let served = axum::serve(listener, router.into_make_service());
        // Long polls and streams are cut off: agents and pages come back by themselves.
        tokio::select! {
            ended = served => if let Err(error) = ended { tracing::error!(%error, "the listener ended") },
            _ = ending.changed() => {}
        }
    });
    Ok(Running { address, app, login_link, _lock: lock, stop, tasks: vec![orchestrator, serving] })
}

async fn first_link(app: &App) -> Result<Option<String>, No> {
    if app.store.count::<Person>(&Filter::default()).await? > 0 {
        return Ok(None);
    }
    let admin = service::first_person(app).await?;
    Ok(Some(service::login_link(app, &admin).await?))
}

/// An API token for the first administrator, for programs that start a server themselves: the demo and tests.
///
/// # Errors
///
/// As a commit.
pub async fn first_token(running: &Running) -> Result<String, No> {
    let person = service::first_person(&running.app).await?;
    let purpose = TokenPurpose::Api { person };
    Ok(service::make(&running.app, (SYSTEM, None), purpose, ("first token", 86_400)).await?.secret)
}

/// A one-time sign-in link for a person, by the clock of a server that runs in this process.
///
/// # Errors
///
/// [`Code::NotFound`] if there is no such person.
pub async fn link_for(running: &Running, person: &str) -> Result<String, No> {
    service::login_link(&running.app, &Name::parse(person)?).await
}

/// Runs a server until `shutdown` completes. Tells `started` where it listens and the first administrator's link.
///
/// # Errors
///
/// As [`start`].
pub async fn run(config: Config, shutdown: impl Future<Output = ()>, started: impl FnOnce(&Running)) -> Result<(), No> {
    let running = start(&config, Clock::System).await?;
    started(&running);
    shutdown.await;
    running.stop().await;
    Ok(())
}

/// A one-time sign-in link for a person, made beside a server that may be running.
///
/// # Errors
///
/// [`Code::NotFound`] if there is no such person.
pub async fn login_link(config: &Config, person: &str) -> Result<String, No> {
    let app = open(config, Clock::System, config.listen).await?;
    let link = service::login_link(&app, &Name::parse(person)?).await;
    app.store.close().await;
    link
}

/// An API token for a person, made beside a server that may be running.
///
/// # Errors
///
/// [`Code::NotFound`] if there is no such person, [`Code::OutOfRange`] for a life that no token has.
pub async fn api_token(config: &Config, request: &tidegate_api::request::MakeToken) -> Result<tidegate_api::view::MadeToken, No> {
    let app = open(config, Clock::System, config.listen).await?;
    let made = service::make_beside(&app, request).await;
    app.store.close().await;
    made
}

/// Copies database, key and media library into a new folder, while a server may be running.
///
/// # Errors
///
/// [`Code::AlreadyExists`] if the folder is there; [`No::Fault`] for the disk, in which case nothing is left behind.
pub async fn backup(config: &Config, to: &Path) -> Result<(), No> {
    if to.exists() {
        let what = format!("{} is there already", to.display());
        return Err(Refusal::new(Code::AlreadyExists, what, "name a folder that is not").into());
    }
    if config.database.is_none() && !config.data.join(DATABASE).exists() {
        let what = format!("there is no {DATABASE} in {}", config.data.display());
        return Err(Refusal::new(Code::NotFound, what, "name the data directory of a server").into());
    }
    let app = open(config, Clock::System, config.listen).await?;
    make_private(to)?;
    let outcome = copied(&app, to).await;
    app.store.close().await;
    if outcome.is_err() {
        // Half a backup must not look like one.
        drop(std::fs::remove_dir_all(to));
    }
    outcome
}

async fn copied(app: &App, to: &Path) -> Result<(), No> {
    // The database first: whatever it names is in the library by then, and nothing leaves the library.
    app.store.backup(&to.join(DATABASE)).await?;
    private(&to.join(DATABASE))?;
    let (from, to) = (app.settings.data.clone(), to.to_owned());
    let copied = tokio::task::spawn_blocking(move || {
        copy(&from.join(KEY), &to.join(KEY))?;
        std::fs::create_dir(to.join("media")).map_err(|error| Fault::io(&to, error))?;
        // Uploads that are under way come and go, and belong to no history yet.
        copy(&from.join(OBJECTS), &to.join(OBJECTS))
    });
    Ok(copied.await.map_err(|error| Fault::new(error.to_string()))??)
}

/// Puts a backup into a new data directory and walks its history.
///
/// # Errors
///
/// [`Code::AlreadyExists`] if the data directory is there; [`Code::HistoryBroken`] if the history does not verify, in which case
/// nothing is left behind.
pub async fn restore(from: &Path, config: &Config) -> Result<tidegate_store::Verified, No> {
    if config.data.exists() {
        let what = format!("{} is there already", config.data.display());
        return Err(Refusal::new(Code::AlreadyExists, what, "restore into a folder that is not there, then start from it").into());
    }
    if config.database.is_some() {
        let what = "a backup folder holds an embedded database, and PostgreSQL was named";
        return Err(Refusal::new(Code::Malformed, what, "restore PostgreSQL with its own tools, or leave --database out").into());
    }
    // Without these a fresh database or a fresh key would be made, and pass for a restored one.
    for part in [DATABASE, KEY, OBJECTS] {
        if !from.join(part).exists() {
            let what = format!("{} is not a backup: there is no {part}", from.display());
            return Err(Refusal::new(Code::NotFound, what, "name the folder that `tidegate backup` made").into());
        }
    }
    make_private(&config.data)?;
    let outcome = restored(from, config).await;
    if outcome.is_err() {
        // Half a restore must not look like a data directory.
        drop(std::fs::remove_dir_all(&config.data));
    }
    outcome
}

async fn restored(from: &Path, config: &Config) -> Result<tidegate_store::Verified, No> {
    let (source, data) = (from.to_owned(), config.data.clone());
    let copied = tokio::task::spawn_blocking(move || copy_into(&source, &data));
    copied.await.map_err(|error| Fault::new(error.to_string()))??;
    let app = open(config, Clock::System, config.listen).await?;
    let verified = app.store.verify().await?;
    let library = whole(&app).await;
    app.store.close().await;
    library?;
    match &verified.broken {
        None => Ok(verified),
        Some(broken) => {
            let what = format!("the backup's history is broken at {} version {}: {}", broken.stream, broken.version, broken.what);
            Err(Refusal::new(Code::HistoryBroken, what, "take another backup").into())
        }
    }
}

/// Refuses a media library that lacks an artifact of the history, or has other bytes under its digest.
async fn whole(app: &App) -> Result<(), No> {
    let mut after = None;
    loop {
        let request = PageRequest { order: Order::ByName, after, limit: 1_000 };
        let page = app.store.list::<Artifact>(&Filter::default(), &request).await?;
        for artifact in page.rows.into_iter().map(|row| row.value) {
            if app.media.verify(&artifact.digest).await?.is_none() {
                let what = format!("the backup lacks the bytes of {} {}", artifact.component, artifact.version);
                return Err(Refusal::new(Code::HistoryBroken, what, "take another backup").into());
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

fn copy_into(from: &Path, to: &Path) -> Result<(), Fault> {
    for entry in std::fs::read_dir(from).map_err(|error| Fault::io(from, error))? {
        let entry = entry.map_err(|error| Fault::io(from, error))?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Copies a file or a folder, with everything synced.
fn copy(from: &Path, to: &Path) -> Result<(), Fault> {
    if from.is_dir() {
        std::fs::create_dir_all(to).map_err(|error| Fault::io(to, error))?;
        return copy_into(from, to);
    }
    std::fs::copy(from, to).map_err(|error| Fault::io(from, error))?;
    let file = std::fs::File::open(to).map_err(|error| Fault::io(to, error))?;
    file.sync_all().map_err(|error| Fault::io(to, error))
}
