//! The agent itself: what its parts share, its start, its loop of polls, and its end.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ed25519_dalek::VerifyingKey;
use rustix::process::Signal;
use tidegate_domain::{Code, Refusal, limits};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::attempts::Attempts;
use crate::client::{self, Backoff, CallError, Client};
use crate::fetch::Cache;
use crate::identity::{self, Candidate, Found, Identity};
use crate::journal::Journal;
use crate::place::Root;
use crate::ratchet::Ratchet;
use crate::services::Services;
use crate::{Config, Error};

/// After an answer that brought nothing new and was not held: a server in trouble is not asked in a tight loop.
const EMPTY_PAUSE: Duration = Duration::from_secs(1);

/// How long a new agent waits for the last traces of a killed one.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// What the parts of a running agent share.
pub struct Agent {
    pub root: Root,
    pub identity: Arc<Identity>,
    pub client: Client,
    pub cache: Cache,
    pub journal: Journal,
    pub ratchet: Ratchet,
    pub trust: Vec<VerifyingKey>,
    pub services: Arc<Services>,
    pub attempts: Attempts,
    pub step_program: Vec<OsString>,
    /// Asks this host about health; follows no redirect and no proxy.
    pub health: reqwest::Client,
    stopped: CancellationToken,
}

/// See [`crate::run`].
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    let shutdown = end_of(&config, shutdown)?;
    tokio::pin!(shutdown);
    let root = Root::open(&config.root).with_context(|| format!("{} cannot be used", config.root.display()))?;
    let _lock = lock(&root).await?;
    let trust = trusted(&config.trust)?;
    let http = client::http()?;
    let identity = tokio::select! {
        identity = enrolled(&config, &root, &http) => Arc::new(identity?),
        () = &mut shutdown => return Ok(()),
    };
    let agent = Agent::open(&config, root, http, identity, trust)?;
    agent.services.recover(&agent.root).await.context("the supervised programs cannot be taken up")?;
    agent.take_up().context("the journal cannot be read")?;
    tracing::info!(target_name = %agent.identity.target, "agent of {} asks {} for orders", agent.identity.target, config.server);
    tokio::select! {
        () = agent.poll(config.poll_seconds) => {}
        () = &mut shutdown => {}
    }
    agent.stopped.cancel();
    if config.stop_services_on_exit {
        agent.services.pause_all(&agent.root).await.context("the supervised programs cannot be stopped")?;
    }
    Ok(())
}

/// The caller's wish to end, or the signal by which the parent's end is told.
fn end_of(config: &Config, shutdown: impl Future<Output = ()>) -> Result<impl Future<Output = ()>, Error> {
    let mut parent_ended = None;
    if config.die_with_parent {
        let parent = rustix::process::getppid();
        parent_ended = Some(signal(SignalKind::terminate()).context("signals cannot be heard")?);
        rustix::process::set_parent_process_death_signal(Some(Signal::TERM)).context("the parent's end cannot be heard of")?;
        if rustix::process::getppid() != parent {
            return Err(anyhow::anyhow!("the parent ended before the agent began").into());
        }
    }
    Ok(async move {
        match &mut parent_ended {
            Some(ended) => tokio::select! {
                _ = ended.recv() => {}
                () = shutdown => {}
            },
            None => shutdown.await,
        }
    })
}

/// One agent for one folder; the kernel gives the lock back however the agent ends.
async fn lock(root: &Root) -> Result<File, Error> {
    let path = root.path().join("lock");
    let file = File::create(&path).with_context(|| format!("{} cannot be made", path.display()))?;
    let asked = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            // A killed agent's lock lives on for a moment in a child that was about to become a step.
            Err(TryLockError::WouldBlock) if asked.elapsed() < LOCK_WAIT => tokio::time::sleep(LOCK_WAIT / 50).await,
            Err(TryLockError::WouldBlock) => {
                let what = format!("another agent works in {}", root.path().display());
                return Err(Refusal::new(Code::AlreadyExists, what, "stop it first, or give this one a folder of its own").into());
            }
            Err(TryLockError::Error(error)) => {
                return Err(Error::Fault(anyhow::Error::new(error).context(format!("{} cannot be locked", path.display()))));
            }
        }
    }
}

fn trusted(keys: &[String]) -> Result<Vec<VerifyingKey>, Error> {
    if keys.is_empty() {
        tracing::warn!("no release key is trusted: whoever holds the server's key chooses what runs here");
    }
    let keys: Result<Vec<VerifyingKey>, Refusal> = keys.iter().map(|key| identity::public_key(key)).collect();
    Ok(keys.map_err(|refusal| refusal.at("trust"))?)
}

/// The identity on disk; enrols if there is none yet.
async fn enrolled(config: &Config, root: &Root, http: &reqwest::Client) -> Result<Identity, Error> {
    let path = root.path().join("identity.json");
    let candidate = match identity::open(&path)? {
        Found::Enrolled(identity) => return Ok(identity),
        Found::Candidate(candidate) => candidate,
    };
    let Some(token) = &config.token else {
        let what = format!("the agent in {} is not enrolled", root.path().display());
        return Err(Refusal::new(
            Code::NotSignedIn,
            what,
            "make a token with `tidegate target enrol` and start the agent with it",
        )
        .into());
    };
    enrol(http, &config.server, token, candidate).await
}

async fn enrol(http: &reqwest::Client, server: &str, token: &str, candidate: Candidate) -> Result<Identity, Error> {
    let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(10));
    loop {
        match client::enrol(http, server, token, &candidate).await {
            Ok(enrolled) => return Ok(candidate.accepted(enrolled.target, &enrolled.server_key)?),
            Err(error) if error.is_final() || matches!(error, CallError::Status { status: 401, .. }) => {
                let what = format!("the server does not enrol this agent: {error}");
                return Err(Refusal::new(Code::NotSignedIn, what, "make a new token with `tidegate target enrol`").into());
            }
            Err(error) => {
                tracing::warn!("enrolling is tried again: {error}");
                let wait = error.retry_after().unwrap_or_else(|| backoff.next());
                tokio::time::sleep(wait).await;
            }
        }
    }
}

impl Agent {
    fn open(
        config: &Config,
        root: Root,
        http: reqwest::Client,
        identity: Arc<Identity>,
        trust: Vec<VerifyingKey>,
    ) -> Result<Arc<Agent>, Error> {
        let cache = Cache::open(root.cache()).context("the artifact cache cannot be used")?;
        let ratchet = Ratchet::open(root.path().join("ratchet.json")).context("the record of generations cannot be read")?;
        let health = || {
            let builder = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0);
            builder.redirect(reqwest::redirect::Policy::none())
        };
        let health = client::built(health).context("the health client cannot be made")?;
        Ok(Arc::new(Agent {
            client: Client::new(http, config.server.trim_end_matches('/').to_owned(), identity.clone()),
            journal: Journal::new(root.journal()),
            services: Services::new(config.step_program.clone()),
            attempts: Attempts::default(),
            step_program: config.step_program.clone(),
            stopped: CancellationToken::new(),
            root,
            identity,
            cache,
            ratchet,
            trust,
            health,
        }))
    }

    /// Asks for ever. An idle agent waits in here, on one connection, and does nothing else.
    async fn poll(self: &Arc<Self>, poll_seconds: u32) {
        let longest = if poll_seconds == 0 { limits::POLL_SECONDS } else { poll_seconds.min(limits::POLL_SECONDS) };
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
        // A server of before refuses a question that tells of programs; orders matter more.
        let mut tells = true;
        loop {
            let wait_seconds = if self.needs_time() { 0 } else { longest };
            let asked = Instant::now();
            let unsteady = if tells { self.services.unsteady() } else { Vec::new() };
            let told = !unsteady.is_empty();
            match self.client.poll(self.known(), unsteady, wait_seconds).await {
                Ok(answer) => {
                    backoff.reset();
                    let news = self.hear(answer);
                    if !news && asked.elapsed() < EMPTY_PAUSE {
                        tokio::time::sleep(EMPTY_PAUSE).await;
                    }
                }
                Err(error) if told && error.is_final() => {
                    tracing::warn!("the server takes no word of programs that do not stay up, so it is told of none: {error}");
                    tells = false;
                }
                Err(error) => {
                    tracing::warn!("the poll is tried again: {error}");
                    let wait = error.retry_after().unwrap_or_else(|| backoff.next());
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// Runs a part of the agent until it ends or the agent does.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stopped = self.stopped.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = work => {}
            }
        });
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::Fault(error.into())
    }
}
