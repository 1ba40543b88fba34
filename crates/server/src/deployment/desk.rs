//! The desk: the way of a command to a deployment into the store.
//!
//! A deployment that is under way is kept in memory. Of others a few large ones are, which take long to read. Whoever holds it decides all that has been put on its pile meanwhile and
//! commits once, so that five hundred reports cost one fsync. Memory is only a copy: every commit is fenced by the version it was
//! decided on, and a lost race throws the copy away.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidegate_api::view::DeploymentView;
use tidegate_domain::deployment::order::Report;
use tidegate_domain::deployment::plan::Plan;
use tidegate_domain::deployment::rollout::{Command, Deployment, Event, Evidence, Next, TargetProgress};
use tidegate_domain::estate::TargetRecord;
use tidegate_domain::event::{Actor, Noun, Origin, Stream};
use tidegate_domain::{Digest, Id, Millis, Refusal};
use tidegate_store::{Commit, CommitError, IdempotencyRow, OrderRow, OrderState, StreamChange};
use tokio::sync::oneshot;

use super::{consequence, facts, view};
use crate::app::{App, SYSTEM};
use crate::orchestrator::UNDER_WAY;
use crate::problem::{Fault, No};

/// Reports and readings decided together.
const BATCH_MAX: usize = 500;
/// How often a decision is made again after a lost race.
const TRIES_MAX: u32 = 5;

/// Targets from which on reading a deployment costs so much that its copy is kept for the next who looks.
const LARGE: usize = 500;
/// Targets of such copies together: the largest plan there may be, and a few others.
const SHELF_TARGETS_MAX: usize = 25_000;

/// The deployments in memory.
#[derive(Default)]
pub struct Desk {
    entries: Mutex<HashMap<Id, Arc<Entry>>>,
    /// Large ones that are not under way, the one read last at the end.
    shelf: Mutex<Vec<Copy>>,
    probed: Mutex<HashSet<Id>>,
}

#[derive(Default)]
struct Entry {
    copy: tokio::sync::Mutex<Option<Copy>>,
    pile: Mutex<Vec<Pending>>,
}

/// A deployment with its plan, as of a version.
pub struct Copy {
    /// The deployment, its targets included.
    pub deployment: Deployment,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// The version of its stream.
    pub version: u64,
}

struct Pending {
    command: Command,
    origin: Origin,
    answer: oneshot::Sender<Result<(), No>>,
}

/// What a look at a deployment found.
#[derive(Debug)]
pub enum Looked {
    /// Look again at this time, or when something happens.
    Wait(Option<Millis>),
    /// Never again.
    Over,
}

impl Desk {
    fn seat(&self, id: &Id) -> Seat<'_> {
        let mut entries = self.entries();
        Seat { desk: self, id: id.clone(), entry: entries.entry(id.clone()).or_default().clone() }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Id, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shelf(&self) -> MutexGuard<'_, Vec<Copy>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The copy of a version that is kept, for somebody who has the seat.
    fn take_down(&self, id: &Id, version: u64) -> Option<Copy> {
        let mut kept = self.shelf();
        let at = kept.iter().position(|copy| copy.deployment.id == *id)?;
        Some(kept.remove(at)).filter(|copy| copy.version == version)
    }

    fn put_up(&self, copy: Copy) {
        let mut kept = self.shelf();
        kept.push(copy);
        let targets = |all: &[Copy]| all.iter().map(|copy| copy.deployment.targets.len()).sum::<usize>();
        while targets(&kept) > SHELF_TARGETS_MAX {
            kept.remove(0);
        }
    }

    /// How many deployments are in memory.
    pub fn size(&self) -> usize {
        self.entries().len()
    }

    /// Whether nobody measures for the deployment yet; from now on somebody does.
    pub fn begin_probes(&self, id: &Id) -> bool {
        self.probed.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone())
    }

    /// Measuring has ended.
    pub fn end_probes(&self, id: &Id) {
        self.probed.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// Somebody's place at a deployment: from when they want it until they are done with it, however that ends.
struct Seat<'a> {
    desk: &'a Desk,
    id: Id,
    entry: Arc<Entry>,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut entries = self.desk.entries();
        // Seats are given out and given back under the same lock: with the last one goes what has no copy.
        drop(std::mem::take(&mut self.entry));
        let left = entries.get_mut(&self.id).and_then(Arc::get_mut);
        if left.is_some_and(|entry| entry.copy.get_mut().is_none()) {
            entries.remove(&self.id);
        }
    }
}

/// Keeps a copy for whoever comes next, if the orchestrator comes; a planned one and one that is over are asked for by people alone.
fn put_back(copy: &mut Option<Copy>, loaded: Copy) {
    if UNDER_WAY.contains(&loaded.deployment.state) {
        *copy = Some(loaded);
    }
}

/// Reads a deployment through the desk.
pub async fn read<R>(app: &App, id: &Id, reading: impl FnOnce(&Copy) -> R) -> Result<R, No> {
    Ok(read_light(app, id, reading).await?.1)
}

/// Reads a deployment through the desk; answers with all but its targets beside.
pub async fn read_light<R>(app: &App, id: &Id, reading: impl FnOnce(&Copy) -> R) -> Result<(Deployment, R), No> {
    let seat = app.desk.seat(id);
    let mut copy = seat.entry.copy.lock().await;
    let mut loaded = if let Some(loaded) = copy.take() {
        loaded
    } else {
        let version = app.store.stream_version(&Stream::new(Noun::Deployment, id)).await?;
        match app.desk.take_down(id, version) {
            Some(kept) => kept,
            None => load(app, id).await?,
        }
    };
    let result = reading(&loaded);
    let light = light(&mut loaded);
    if UNDER_WAY.contains(&loaded.deployment.state) {
        *copy = Some(loaded);
    } else if loaded.deployment.targets.len() >= LARGE {
        app.desk.put_up(loaded);
    }
    Ok((light, result))
}

/// A deployment without its targets, which are most of it.
fn light(copy: &mut Copy) -> Deployment {
    let targets = std::mem::take(&mut copy.deployment.targets);
    let light = copy.deployment.clone();
    copy.deployment.targets = targets;
    light
}

/// A deployment of a list as it is in memory, if somebody works on it: what it waits on is noted there first. Without its targets,
/// and without reading anything.
pub async fn glance(app: &App, listed: Deployment) -> Deployment {
    let seat = app.desk.seat(&listed.id);
    let mut copy = seat.entry.copy.lock().await;
    copy.as_mut().map_or(listed, light)
}

/// What a person is answered, and the version that it shows.
pub type Answered = (DeploymentView, u64);

/// What a person's command comes with.
pub struct With<M, R> {
    /// Refuses versions that the person has not decided on.
    pub matches: M,
    /// What changes elsewhere with it.
    pub beside: Vec<StreamChange>,
    /// Makes the row that remembers its answer.
    pub remember: R,
}

/// Puts a command to a deployment; answers when it is stored. A person's command is decided alone, on the version that `matches`
/// lets pass, with the changes that go with it and the row that remembers its answer.
pub async fn put(
    app: &App,
    id: &Id,
    (actor, cause): (Actor, String),
    command: Command,
    With { matches, beside, remember }: With<
        impl Fn(u64) -> Result<(), Refusal>,
        impl Fn(&DeploymentView, Millis) -> Option<IdempotencyRow>,
    >,
) -> Result<Answered, No> {
    let seat = app.desk.seat(id);
    let mut copy = seat.entry.copy.lock().await;
    let mut tries = 0;
    loop {
        let mut loaded = taken(app, id, &mut copy).await?;
        let now_ms = app.now_ms();
        let slot = facts::slot(app, &loaded.deployment.environment, &loaded.deployment.application).await?.value;
        let here = match &command {
            Command::FallBack { .. } => match facts::back_rejected(app, &slot, &loaded.plan).await? {
                (Some(what), _) => Err(back_rejected(id, &what)),
                (None, _) => slot.lets_fall_back(id),
            },
            _ => Ok(()),
        };
        // Nobody else decides while the copy is held, and after a lost race it is compared again.
        let may_be = matches(loaded.version).and(here);
        let events = match may_be.and_then(|()| loaded.deployment.decide(&loaded.plan, &command, now_ms)) {
            Ok(events) => events,
            Err(refusal) => {
                put_back(&mut copy, loaded);
                return Err(refusal.into());
            }
        };
        events.iter().for_each(|event| loaded.deployment.apply(event, now_ms));
        let answer = view::of(app, &loaded.deployment, &loaded.plan).await?;
        if events.is_empty() && beside.is_empty() {
            let version = loaded.version;
            put_back(&mut copy, loaded);
            return Ok((answer, version));
        }
        let context = (actor.clone(), cause.clone(), now_ms);
        let idempotency = remember(&answer, now_ms);
        let happened = Happened { events: &events, origins: Vec::new(), idempotency, others: beside.clone() };
        match commit(app, &mut loaded, happened, context).await {
            Ok(()) => {
                let version = loaded.version;
                put_back(&mut copy, loaded);
                return Ok((answer, version));
            }
            // What goes with it was decided by the caller: only they can decide it again.
            Err(CommitError::Fence { .. }) if tries < TRIES_MAX && beside.is_empty() => tries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

fn back_rejected(id: &Id, what: &str) -> Refusal {
    let what = format!("{id} cannot fall back: its way back would bring {what}");
    Refusal::new(tidegate_domain::Code::StateForbids, what, "deploy a known good version as a new deployment")
}

/// The copy in memory, or a fresh one.
async fn taken(app: &App, id: &Id, copy: &mut Option<Copy>) -> Result<Copy, No> {
    match copy.take() {
        Some(loaded) => Ok(loaded),
        None => load(app, id).await,
    }
}

/// Puts an agent's report or a probe's reading on the pile; answers when it is stored or found to be no news.
pub async fn pile(app: &App, id: &Id, (actor, cause): (Actor, String), command: Command) -> Result<(), No> {
    let seat = app.desk.seat(id);
    let (origin, (answer, mut answered)) = (Origin { actor, cause }, oneshot::channel());
    seat.entry.pile.lock().unwrap_or_else(PoisonError::into_inner).push(Pending { command, origin, answer });
    // Whoever comes to hold the copy works the whole pile off; often that is somebody before us.
    let mut copy = seat.entry.copy.lock().await;
    loop {
        match answered.try_recv() {
            Ok(answer) => return answer,
            Err(oneshot::error::TryRecvError::Empty) => work_off(app, id, &seat.entry, &mut copy).await,
            // Whoever had taken it up was called off in the middle; whether it is stored shows when it is sent again.
            Err(oneshot::error::TryRecvError::Closed) => {
                let what = "the report was being taken in when the server was called off";
                return Err(Refusal::new(tidegate_domain::Code::Overloaded, what, "send it again").into());
            }
        }
    }
}

async fn work_off(app: &App, id: &Id, entry: &Entry, copy: &mut Option<Copy>) {
    let batch: Vec<Pending> = {
        let mut pile = entry.pile.lock().unwrap_or_else(PoisonError::into_inner);
        let size = pile.len().min(BATCH_MAX);
        pile.drain(..size).collect()
    };
    let mut tries = 0;
    let outcome = loop {
        match decide_batch(app, id, &batch, copy).await {
            Err(No::Refused(refusal)) if refusal.code == tidegate_domain::Code::Contended && tries < TRIES_MAX => tries += 1,
            outcome => break outcome,
        }
    };
    let mut refusals = match outcome {
        Ok(refusals) => refusals,
        Err(no) => {
            let again = || match &no {
                No::Refused(refusal) => No::Refused(refusal.clone()),
                no @ (No::NotAdmitted(_) | No::Fault(_)) => No::Fault(Fault::new(no.to_string())),
            };
            batch.into_iter().for_each(|it| drop(it.answer.send(Err(again()))));
            return;
        }
    };
    for (index, pending) in batch.into_iter().enumerate() {
        let answer = refusals.remove(&index).map_or(Ok(()), |refusal| Err(refusal.into()));
        // A reader that has gone away needs no answer.
        drop(pending.answer.send(answer));
    }
}

/// Decides a batch in order and commits it once; returns the refusals by position.
async fn decide_batch(app: &App, id: &Id, batch: &[Pending], copy: &mut Option<Copy>) -> Result<HashMap<usize, Refusal>, No> {
    let mut loaded = taken(app, id, copy).await?;
    let now_ms = app.now_ms();
    let (mut refusals, mut happened, mut origins, mut reports) = (HashMap::new(), Vec::new(), Vec::new(), Vec::new());
    for (index, pending) in batch.iter().enumerate() {
        match loaded.deployment.decide(&loaded.plan, &pending.command, now_ms) {
            Ok(events) => {
                events.iter().for_each(|event| loaded.deployment.apply(event, now_ms));
                origins.extend(events.iter().map(|_| pending.origin.clone()));
                happened.extend(events);
            }
            Err(refusal) => drop(refusals.insert(index, refusal)),
        }
        if let Command::Report(report) = &pending.command {
            reports.push((report.as_ref(), &pending.origin));
        }
    }
    let attested = attested(app, &reports, now_ms).await?;
    let closings = closings(app, &reports, now_ms).await?;
    if happened.is_empty() && attested.is_empty() && closings.is_empty() {
        put_back(copy, loaded);
        return Ok(refusals);
    }
    // Each event keeps who and what led to it; the taking in of the whole is the server's.
    let context = (SYSTEM, format!("{} reports and readings", batch.len()), now_ms);
    let others = attested.into_iter().chain(closing(&loaded, closings)).collect();
    commit(app, &mut loaded, Happened { events: &happened, origins, idempotency: None, others }, context).await?;
    put_back(copy, loaded);
    Ok(refusals)
}

/// A report, and who sent it.
type Sent<'a> = (&'a Report, &'a Origin);

/// Orders whose agent has told the end of them: they close whatever the report means to the deployment by now, or the agent would
/// be told to end them for ever.
async fn closings(app: &App, reports: &[Sent<'_>], now_ms: Millis) -> Result<Vec<OrderRow>, No> {
    let mut rows = Vec::new();
    for (report, _) in reports.iter().filter(|(report, _)| report.outcome.is_final()) {
        let found = app.store.order(&report.attempt).await?.filter(|row| row.state != OrderState::Closed);
        rows.extend(found.map(|row| OrderRow { state: OrderState::Closed, changed_at_ms: now_ms, ..row }));
    }
    Ok(rows)
}

/// The change that closes orders and nothing else. It goes first: what the events make of the same order counts.
fn closing(loaded: &Copy, orders: Vec<OrderRow>) -> Option<StreamChange> {
    let stream = Stream::new(Noun::Deployment, &loaded.deployment.id);
    let unchanged = StreamChange {
        stream,
        expected_version: loaded.version,
        events: Vec::new(),
        record: None,
        targets: Vec::new(),
        orders: Vec::new(),
    };
    (!orders.is_empty()).then_some(StreamChange { orders, ..unchanged })
}

/// What the reporting targets attest, where it is news.
async fn attested(app: &App, reports: &[Sent<'_>], now_ms: Millis) -> Result<Vec<StreamChange>, No> {
    let news: BTreeMap<String, Sent<'_>> = reports
        .iter()
        .filter(|(report, _)| report.outcome.is_final())
        .filter_map(|sent| Some((sent.0.attempt.split(':').nth(1)?.to_owned(), *sent)))
        .collect();
    let ids: Vec<String> = news.keys().cloned().collect();
    let found = app.store.load_many::<TargetRecord>(&ids).await?;
    let change = |found: &tidegate_store::Stored<TargetRecord>| {
        let (report, origin) = news.get(found.value.target.name.as_str())?;
        let mut change = crate::estate::service::attest(found, &report.attested, now_ms)?;
        change.events.iter_mut().for_each(|event| event.origin = Some((*origin).clone()));
        Some(change)
    };
    Ok(found.iter().filter_map(change).collect())
}

/// What a commit of a deployment is made of.
struct Happened<'a> {
    events: &'a [Event],
    /// What led to each of the events; empty if that is the same for all of them.
    origins: Vec<Origin>,
    idempotency: Option<IdempotencyRow>,
    others: Vec<StreamChange>,
}

async fn commit(
    app: &App,
    loaded: &mut Copy,
    Happened { events, origins, idempotency, others }: Happened<'_>,
    (actor, cause, at_ms): (Actor, String, Millis),
) -> Result<(), CommitError> {
    let mut changes = others;
    if !events.is_empty() {
        let mut own = consequence::own(loaded.version, events, (&loaded.deployment, &loaded.plan), at_ms);
        own.events.iter_mut().zip(origins).for_each(|(event, origin)| event.origin = Some(origin));
        changes.push(own);
        let elsewhere = consequence::elsewhere(app, &loaded.deployment, &loaded.plan, events).await;
        changes.extend(elsewhere.map_err(|no| fault(&no))?);
    }
    app.commit(Commit { actor, cause, at_ms, changes, documents: Vec::new(), idempotency }).await?;
    loaded.version += events.len() as u64;
    Ok(())
}

fn fault(no: &No) -> CommitError {
    CommitError::Fault(tidegate_store::Fault::Corrupt { place: "consequences of an event".into(), what: no.to_string() })
}

/// Looks at a deployment and does what is due, until nothing is.
pub async fn look(app: &App, id: &Id) -> Result<Looked, No> {
    let seat = app.desk.seat(id);
    let mut tries = 0;
    loop {
        let mut copy = seat.entry.copy.lock().await;
        let mut loaded = taken(app, id, &mut copy).await?;
        let gathered = facts::gather(app, &loaded.deployment, &loaded.plan).await?;
        let now_ms = app.now_ms();
        let admission = gathered.reasons(&loaded.deployment, &loaded.plan, now_ms);
        let freeze = gathered.freeze(&loaded.deployment, &loaded.plan, now_ms);
        let evidence = Evidence {
            admission: &admission,
            generation_next: gathered.slot.value.generation + 1,
            attested: &gathered.attested,
            freeze: freeze.as_ref(),
            fallback: gathered.fallback,
            back_rejected: gathered.back_rejected.as_deref(),
        };
        match loaded.deployment.advance(&loaded.plan, &evidence, now_ms) {
            Next::Over => return Ok(Looked::Over),
            Next::Wait(waiting) => {
                loaded.deployment.note_waiting(&waiting.on, waiting.until_ms, now_ms);
                put_back(&mut copy, loaded);
                return Ok(Looked::Wait(waiting.look_at_ms.or(waiting.until_ms)));
            }
            Next::Do(events) => {
                events.iter().for_each(|event| loaded.deployment.apply(event, now_ms));
                let goes_out = |event: &Event| matches!(event, Event::Started { .. } | Event::FallbackStarted { .. });
                // What was not rejected when it was looked at must not have been rejected when it goes out.
                let others = if events.iter().any(goes_out) { gathered.fences() } else { Vec::new() };
                let happened = Happened { events: &events, origins: Vec::new(), idempotency: None, others };
                match commit(app, &mut loaded, happened, (SYSTEM, "orchestrator".into(), now_ms)).await {
                    Ok(()) => put_back(&mut copy, loaded),
                    Err(CommitError::Fence { .. }) if tries < TRIES_MAX => tries += 1,
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
}

async fn load(app: &App, id: &Id) -> Result<Copy, No> {
    let found = app.need::<Deployment>(id).await?;
    let mut deployment = found.value;
    let mut targets = BTreeMap::new();
    for row in app.store.targets_of(id).await? {
        let progress: TargetProgress =
            serde_json::from_str(&row.body).map_err(|error| Fault::new(format!("target {} of {id}: {error}", row.target)))?;
        targets.insert(row.target, Arc::new(progress));
    }
    deployment.targets = targets;
    let plan = Arc::new(plan(app, &deployment.plan).await?);
    Ok(Copy { deployment, plan, version: found.version })
}

/// A plan by its digest; its bytes are checked against it.
pub async fn plan(app: &App, digest: &Digest) -> Result<Plan, No> {
    let Some(text) = app.store.document(digest).await? else {
        return Err(Refusal::not_found("plan", digest).into());
    };
    if Digest::of(text.as_bytes()) != *digest {
        return Err(Fault::new(format!("the stored plan {digest} does not have its digest")).into());
    }
    Ok(serde_json::from_str(&text).map_err(|error| Fault::new(format!("plan {digest}: {error}")))?)
}
