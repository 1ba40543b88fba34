//! What every room of the server shares: the store, the media library, the clock, the key, and the bells.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tidegate_api::view::Versioned;
use tidegate_domain::event::{Actor, NewEvent, Stream};
use tidegate_domain::{Millis, Name, Refusal};
use tidegate_store::media::Media;
use tidegate_store::{Commit, Committed, Record, RecordRow, Store, Stored, StreamChange};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::agent::sessions::Sessions;
use crate::calendar::ticks::Ticks;
use crate::clock::Clock;
use crate::deployment::desk::Desk;
use crate::door::Act;
use crate::estate::counted::Counted;
use crate::measure::service::Measures;
use crate::metrics::Metrics;
use crate::overload::Overload;
use crate::problem::No;
use crate::rates::Rates;
use crate::secret::ServerKey;

/// The server's shared state.
pub struct App {
    /// What is remembered.
    pub store: Store,
    /// The bytes of artifacts.
    pub media: Media,
    /// Where `now` comes from.
    pub clock: Clock,
    /// Signs orders.
    pub key: ServerKey,
    /// Deployments that are under way.
    pub desk: Desk,
    /// Agents' sessions and when they were last heard of.
    pub sessions: Sessions,
    /// Wakes the orchestrator.
    pub wake: Notify,
    /// Wakes long polls, by target.
    pub bells: Bells,
    /// How much is under way.
    pub overload: Overload,
    /// What the figures are made of.
    pub measures: Measures,
    /// What of the estate is counted and compared.
    pub counted: Counted,
    /// What the calendar has counted.
    pub ticks: Ticks,
    /// Asks other hosts.
    pub http: reqwest::Client,
    /// How much of whom.
    pub rates: Rates,
    /// What is counted.
    pub metrics: Metrics,
    /// Told when the server is about to end: what waits for news need not wait any longer.
    pub ending: CancellationToken,
    /// How it was started.
    pub settings: Settings,
}

/// How the server was started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where its files are.
    pub data: PathBuf,
    /// How browsers and agents reach it.
    pub public_url: String,
    /// The zone in which pages show times.
    pub zone: String,
    /// Whether check gates may run commands on this host.
    pub commands: Commands,
    /// How requests are served.
    pub serving: Serving,
}

/// How requests are served: bounds by asker, and the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serving {
    /// Requests a second with one token or browser session; ten seconds' worth may come at once; 0 for no bound.
    pub token_requests_per_second: u32,
    /// Requests a second from one address without a good token; ten seconds' worth may come at once; 0 for no bound.
    pub stranger_requests_per_second: u32,
    /// Who says where a request comes from.
    pub address: AddressFrom,
    /// Seconds for which a server that is about to end says so at `/readyz` and still takes requests.
    pub linger_seconds: u32,
}

/// Without bounds and without delay, for servers that a program starts for itself.
impl Default for Serving {
    fn default() -> Serving {
        Serving {
            token_requests_per_second: 0,
            stranger_requests_per_second: 0,
            address: AddressFrom::Connection,
            linger_seconds: 0,
        }
    }
}

/// Who says where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressFrom {
    /// The connection.
    Connection,
    /// The proxy in front, by the last entry of `X-Forwarded-For`.
    Proxy,
}

/// Whether check gates may run commands on the server's host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "a named truth value")]
pub enum Commands {
    Allowed,
    Refused,
}

/// A bell for each target that has somebody listening.
#[derive(Default)]
pub struct Bells(Mutex<HashMap<Name, Arc<Notify>>>);

impl Bells {
    /// The bell of a target.
    pub fn of(&self, target: &Name) -> Arc<Notify> {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bells.entry(target.clone()).or_default().clone()
    }

    /// Rings it, if somebody listens or soon will.
    pub fn ring(&self, target: &Name) {
        let bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(target) {
            bell.notify_waiters();
        }
    }
}

/// How often a decision is made again after a lost race before it is given up.
const TRIES_MAX: u32 = 4;

impl App {
    /// Now.
    pub fn now_ms(&self) -> Millis {
        self.clock.now_ms()
    }

    /// Puts a commit through the one door and rings the bells.
    pub async fn commit(&self, commit: Commit) -> Result<Committed, tidegate_store::CommitError> {
        let targets: Vec<Name> =
            commit.changes.iter().flat_map(|change| &change.orders).map(|order| order.target.clone()).collect();
        let committed = self.store.commit(commit).await?;
        targets.iter().for_each(|target| self.bells.ring(target));
        self.wake.notify_one();
        Ok(committed)
    }

    /// The thing, or a refusal that names it.
    pub async fn need<T: Record>(&self, id: impl std::fmt::Display) -> Result<Stored<T>, No> {
        let id = id.to_string();
        match self.store.load::<T>(&id).await? {
            Some(found) => Ok(found),
            None => Err(Refusal::not_found(T::NOUN.as_str(), id).into()),
        }
    }

    /// Stores a new thing.
    ///
    /// # Errors
    ///
    /// [`tidegate_domain::Code::AlreadyExists`] if there is one of that id.
    pub async fn create<T: Record, E: Serialize>(&self, act: &Act, value: T, events: &[E]) -> Result<Stored<T>, No> {
        self.create_beside(act, value, (events, Vec::new())).await
    }

    /// Stores a new thing together with what changes elsewhere because of it.
    ///
    /// # Errors
    ///
    /// As [`App::create`]; [`tidegate_domain::Code::Contended`] if what changes elsewhere was changed meanwhile.
    pub async fn create_beside<T: Record, E: Serialize>(
        &self,
        act: &Act,
        value: T,
        (events, beside): (&[E], Vec<StreamChange>),
    ) -> Result<Stored<T>, No> {
        let now_ms = self.now_ms();
        let stored = Stored { version: events.len() as u64, updated_at_ms: now_ms, value };
        let own = Stream::new(T::NOUN, stored.value.id());
        let commit = Commit {
            actor: act.caller.actor(),
            cause: act.cause.clone(),
            at_ms: now_ms,
            changes: [stream_change(0, events, &stored.value)].into_iter().chain(beside).collect(),
            documents: Vec::new(),
            idempotency: act
                .remember(&Versioned { version: stored.version, updated_at_ms: now_ms, value: &stored.value }, now_ms),
        };
        match self.commit(commit).await {
            Ok(_) => Ok(stored),
            Err(tidegate_store::CommitError::Fence { stream, .. }) if stream == own => Err(Refusal::new(
                tidegate_domain::Code::AlreadyExists,
                format!("there is a {} {} already", T::NOUN, stored.value.id()),
                "choose another name, or change the one there is",
            )
            .into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes a thing: load, decide, apply, commit; again if somebody else was faster.
    ///
    /// `decide` gets the thing as it is and answers with the events and the thing as they leave it.
    ///
    /// # Errors
    ///
    /// What `decide` refuses; [`tidegate_domain::Code::StaleVersion`] if `If-Match` names another version;
    /// [`tidegate_domain::Code::Contended`] after several lost races.
    pub async fn edit<T, E>(
        &self,
        act: &Act,
        id: impl std::fmt::Display,
        decide: impl Fn(&T, Millis) -> Result<(Vec<E>, T), No>,
    ) -> Result<Stored<T>, No>
    where
        T: Record + Clone,
        E: Serialize,
    {
        let mut tries = 0;
        loop {
            let found = self.need::<T>(&id).await?;
            act.matches(found.version)?;
            let now_ms = self.now_ms();
            let (events, value) = decide(&found.value, now_ms)?;
            if events.is_empty() {
                return Ok(found);
            }
            let stored = Stored { version: found.version + events.len() as u64, updated_at_ms: now_ms, value };
            let commit = Commit {
                actor: act.caller.actor(),
                cause: act.cause.clone(),
                at_ms: now_ms,
                changes: vec![stream_change(found.version, &events, &stored.value)],
                documents: Vec::new(),
                idempotency: act
                    .remember(&Versioned { version: stored.version, updated_at_ms: now_ms, value: &stored.value }, now_ms),
            };
            match self.commit(commit).await {
                Ok(_) => return Ok(stored),
                Err(tidegate_store::CommitError::Fence { .. }) if tries < TRIES_MAX => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The change of one record's stream.
pub fn stream_change<T: Record, E: Serialize>(expected_version: u64, events: &[E], value: &T) -> StreamChange {
    StreamChange {
        stream: Stream::new(T::NOUN, value.id()),
        expected_version,
        events: events.iter().map(NewEvent::of).collect(),
        record: Some(RecordRow::of(value)),
        targets: Vec::new(),
        orders: Vec::new(),
    }
}

/// What Tidegate itself does has this actor.
pub const SYSTEM: Actor = Actor::System;
