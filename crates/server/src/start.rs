//! Starting, stopping, and what is done to a data directory from outside.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tidegate_domain::access::{Person, TokenPurpose};
use tidegate_domain::deployment::artifact::Artifact;
use tidegate_domain::{Code, Name, Refusal};
use tidegate_store::media::Media;
use tidegate_store::{Filter, Order, PageRequest, Store};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::access::service;
use crate::agent::sessions::Sessions;
use crate::app::{App, Bells, Commands, SYSTEM, Serving, Settings};
use crate::calendar::ticks::Ticks;
use crate::clock::Clock;
use crate::data::{DATABASE, KEY, LOCK, OBJECTS};
use crate::deployment::desk::Desk;
use crate::estate::counted::Counted;
use crate::measure::service::Measures;
use crate::metrics::Metrics;
use crate::overload::Overload;
use crate::problem::{Fault, No};
use crate::rates::Rates;
use crate::secret::ServerKey;

/// Seconds for requests that are under way when the server ends: what has begun is answered in less, save for large uploads.
const DRAIN_SECONDS: u64 = 10;
/// Seconds for the store to write what is in its queue and to close.
const CLOSE_SECONDS: u64 = 10;

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
    /// How requests are served.
    pub serving: Serving,
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
    /// Ends it in order: not ready any more, what waits for news sent home, no more connections, the requests under way, no more
    /// decisions, then the store with all that it was given. Each part has a bound, so that it ends whatever hangs.
    pub async fn stop(self) {
        self.app.ending.cancel();
        tokio::time::sleep(Duration::from_secs(u64::from(self.app.settings.serving.linger_seconds))).await;
        // Whoever listens for the end has gone already if nobody hears this.
        let _ = self.stop.send(true);
        for task in self.tasks {
            drop(task.await);
        }
        if tokio::time::timeout(Duration::from_secs(CLOSE_SECONDS), self.app.store.close()).await.is_err() {
            tracing::warn!("the database did not close within {CLOSE_SECONDS} s; what was answered is in it");
        }
    }
}

/// Reads what pages count and compare, so that the first who looks does not wait for it.
async fn read_ahead(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let read = async {
        app.counted.targets(&app).await?;
        app.counted.slots(&app).await?;
        crate::measure::service::warm(&app).await
    };
    tokio::select! {
        read = read => if let Err(error) = read {
            tracing::warn!(%error, "what pages count was not read ahead; whoever looks first waits for it");
        },
        _ = stop.changed() => {}
    }
}

/// Opens what a server works on, without listening.
///
/// # Errors
///
/// [`No::Fault`] if a file or the database cannot be opened.
pub async fn open(config: &Config, clock: Clock, address: SocketAddr) -> Result<Arc<App>, No> {
    make_private(&config.data)?;
    let store = Store::open(&database(config)).await?;
    with(store, config, clock, address).await
}

/// Opens what a server works on beside that server, which may be of an earlier program and run.
async fn beside(config: &Config) -> Result<Arc<App>, No> {
    make_private(&config.data)?;
    let store = Store::open_beside(&database(config)).await?;
    with(store, config, Clock::System, config.listen).await
}

async fn with(store: Store, config: &Config, clock: Clock, address: SocketAddr) -> Result<Arc<App>, No> {
    install_tls();
    let media = Media::open(config.data.join("media")).await?;
    let public_url = config.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    let http = crate::http::client(|| reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()));
    let http = http.map_err(|error| Fault::new(error.to_string()))?;
    Ok(Arc::new(App {
        rates: Rates::new(&config.serving),
        metrics: Metrics::new(&store, clock.now_ms()),
        ending: CancellationToken::new(),
        store,
        media,
        clock,
        key: ServerKey::open(&config.data)?,
        desk: Desk::default(),
        sessions: Sessions::default(),
        wake: tokio::sync::Notify::new(),
        bells: Bells::default(),
        overload: Overload::default(),
        measures: Measures::default(),
        counted: Counted::default(),
        ticks: Ticks::default(),
        http,
        settings: Settings {
            listen: address,
            data: config.data.clone(),
            public_url,
            zone: zone(),
            commands: if config.allow_commands { Commands::Allowed } else { Commands::Refused },
            serving: config.serving,
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
    let listener = TcpListener::bind(config.listen).await.map_err(|error| cannot_listen(config.listen, &error))?;
    let address = listener.local_addr().map_err(|error| Fault::new(error.to_string()))?;
    let app = open(config, clock, address).await?;
    crate::descriptors::provide(&app).await?;
    let login_link = first_link(&app).await?;
    let (stop, stopped) = watch::channel(false);
    let orchestrator = tokio::spawn(crate::orchestrator::run(app.clone(), stopped.clone()));
    let ahead = tokio::spawn(read_ahead(app.clone(), stopped.clone()));
    let router = crate::router(app.clone());
    let serving = tokio::spawn(serve(listener, router, stopped));
    Ok(Running { address, app, login_link, _lock: lock, stop, tasks: vec![orchestrator, serving, ahead] })
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> No {
    let what = format!("{address} cannot be listened on: {error}");
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => "end what listens there, or choose another: --listen ADDRESS:PORT",
        io::ErrorKind::PermissionDenied => "choose a port above 1023, or let a proxy have this one: --listen ADDRESS:PORT",
        io::ErrorKind::AddrNotAvailable => "choose an address of this host: --listen ADDRESS:PORT",
        _ => return Fault::new(what).into(),
    };
    Refusal::new(Code::CannotListen, what, remedy).into()
}

/// Serves until it is told to stop, and then until the requests under way have their answers, or have had their time.
async fn serve(listener: TcpListener, router: axum::Router, stopped: watch::Receiver<bool>) {
    let told = async |mut stopped: watch::Receiver<bool>| drop(stopped.wait_for(|stopped| *stopped).await);
    let overdue = async |stopped| {
        told(stopped).await;
        tokio::time::sleep(Duration::from_secs(DRAIN_SECONDS)).await;
    };
    // Made ready once: a router handed over as it is would be copied whole for each connection, which of ten thousand idle
    // agents takes gigabytes.
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, service).with_graceful_shutdown(told(stopped.clone()));
    tokio::select! {
        ended = served.into_future() => if let Err(error) = ended { tracing::error!(%error, "the listener ended") },
        () = overdue(stopped) => tracing::warn!("requests were not over {DRAIN_SECONDS} s after the end began and are cut off"),
    }
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
    let app = beside(config).await?;
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
    let app = beside(config).await?;
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
    let app = beside(config).await?;
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
