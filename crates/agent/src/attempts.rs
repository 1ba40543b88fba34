//! What the agent holds open: orders are taken on, taken up again, ended and forgotten here.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tidegate_api::agent::PollAnswer;
use tidegate_domain::deployment::order::{AttemptId, Order, Outcome};
use tidegate_domain::{ApplicationName, Millis, limits};

use crate::agent::Agent;
use crate::attempt::Attempt;
use crate::check::{self, Facts};
use crate::clock::now_ms;
use crate::journal::{Entry, Verdict};
use crate::past::{is_earlier, is_newer, number};
use crate::{courier, runner};

/// Attempts held open at once; more are left with the server.
const OPEN_MAX: usize = 256;
/// What a signed answer may be older than its arrival seems: nothing is trusted to expire later than this.
const EXPIRY_MAX: Duration = Duration::from_secs(limits::ORDER_SECONDS_MAX as u64);

/// The attempts in memory.
#[derive(Default)]
pub struct Attempts {
    open: Mutex<BTreeMap<AttemptId, Arc<Attempt>>>,
    /// One order for each application at a time.
    turns: Mutex<BTreeMap<ApplicationName, Arc<tokio::sync::Mutex<()>>>>,
}

impl Attempts {
    fn open(&self) -> MutexGuard<'_, BTreeMap<AttemptId, Arc<Attempt>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> Vec<Arc<Attempt>> {
        self.open().values().cloned().collect()
    }
}

impl Agent {
    /// The turn of an application.
    pub fn turn(&self, application: &ApplicationName) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.attempts.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry(application.clone()).or_default().clone()
    }

    /// The attempts that the server does not have the end of, as far as is known.
    pub fn known(&self) -> Vec<AttemptId> {
        let open = self.attempts.all();
        open.iter().filter(|attempt| !attempt.is_heard() || attempt.is_unsettled()).map(|attempt| attempt.id.clone()).collect()
    }

    /// Waits for the end of every order of the application that came before this one. Its turn alone would not do: after a
    /// restart all are taken up at once.
    pub async fn earlier_ended(&self, order: &Order) {
        for earlier in self.attempts.all() {
            if earlier.order.as_ref().is_some_and(|it| it.application == order.application && place(it) < place(order)) {
                earlier.ended().await;
            }
        }
    }

    /// Whether an attempt waits to hear the server's time.
    pub fn needs_time(&self) -> bool {
        self.attempts.all().iter().any(|attempt| waits_for_time(attempt))
    }

    /// Takes up what earlier lives of the agent left open.
    pub fn take_up(self: &Arc<Self>) -> io::Result<()> {
        self.journal.clear()?;
        let mut found = Vec::new();
        for entry in self.journal.entries()? {
            if !entry.is_heard() {
                found.push(Arc::new(Attempt::open(entry)?));
            }
        }
        // All at once and first: an agent that died between taking an order on and raising the ratchet has both to do.
        for order in found.iter().filter_map(|attempt| attempt.order.as_ref()) {
            self.ratchet.raise(&order.application, order.generation)?;
        }
        // The older order goes first, to be ended if a newer one replaces it.
        found.sort_by_key(|attempt| attempt.order.as_ref().map_or((0, 0), place));
        for attempt in found {
            tracing::info!(attempt = %attempt.id, "attempt {} is taken up again", attempt.id);
            self.hold(attempt);
        }
        Ok(())
    }

    /// Does what a signed answer says. Whether it brought anything new.
    pub fn hear(self: &Arc<Self>, answer: PollAnswer) -> bool {
        let now = Instant::now();
        let mut news = false;
        for attempt in self.attempts.all().iter().filter(|attempt| waits_for_time(attempt)) {
            if let Some(order) = &attempt.order {
                attempt.set_expires(now + time_left(order, answer.server_now_ms));
                news = true;
            }
        }
        // A bad end that the server does not settle is unknown there: it may have gone back in time.
        for attempt in self.attempts.all().iter().filter(|attempt| attempt.is_heard() && attempt.is_unsettled()) {
            if !answer.settled.contains(&attempt.id) {
                attempt.set_unheard();
                attempt.changed();
            }
        }
        // Before the orders, so that what was in time is told by what the answer says.
        for id in &answer.settled {
            news |= self.settle(id, &answer).unwrap_or_else(|error| self.unkept(id, &error));
        }
        for order in answer.orders {
            let id = order.attempt.clone();
            news |= self.order(order, answer.server_now_ms, now).unwrap_or_else(|error| self.unkept(&id, &error));
        }
        for id in &answer.cancel {
            news |= self.cancel(id).unwrap_or_else(|error| self.unkept(id, &error));
        }
        news
    }

    fn unkept(&self, id: &str, error: &io::Error) -> bool {
        tracing::error!(attempt = %id, "attempt {id} on {} is left with the server, for the journal cannot be written: {error}", self.identity.target);
        false
    }

    /// Whether the server need not be told about the attempt in the next question, so that this answer does not come again.
    fn settle(&self, id: &str, answer: &PollAnswer) -> io::Result<bool> {
        let Some(attempt) = self.attempts.open().get(id).cloned() else { return Ok(true) };
        if !attempt.outcome().is_final() {
            return Ok(false);
        }
        if attempt.is_unsettled() {
            attempt.set_in_time(!self.is_overtaken(id, answer)?)?;
        }
        if !attempt.is_heard() {
            attempt.set_heard();
        }
        Ok(true)
    }

    /// Whether the server has ordered a newer try: one that was taken on, or stands in its answer.
    fn is_overtaken(&self, id: &str, answer: &PollAnswer) -> io::Result<bool> {
        let orders = answer.orders.iter().map(|order| &order.attempt);
        if orders.chain(&answer.cancel).any(|newer| is_newer(newer, id)) {
            return Ok(true);
        }
        for entry in self.journal.entries()? {
            if entry.attempt()?.is_some_and(|newer| is_newer(&newer, id)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Answers a known attempt with its status; takes on or refuses a new one.
    fn order(self: &Arc<Self>, order: Order, server_now_ms: Millis, now: Instant) -> io::Result<bool> {
        if self.tell_again(&order.attempt)? {
            return Ok(false);
        }
        if self.is_full() {
            return Ok(false);
        }
        let generation_seen = self.ratchet.seen(&order.application);
        let facts = Facts { target: &self.identity.target, trust: &self.trust, generation_seen, server_now_ms };
        let entry = self.journal.entry(&order.attempt);
        if let Err(refusal) = check::order(&order, &facts) {
            tracing::warn!(attempt = %order.attempt, "attempt {} is refused: {refusal}", order.attempt);
            let (outcome, detail) = runner::refused(&refusal);
            self.end_unseen(&order.attempt, order.generation, outcome, detail)?;
            return Ok(true);
        }
        self.take_on(&order, entry, now + time_left(&order, server_now_ms))?;
        Ok(true)
    }

    /// Whether what is new is left with the server, which says it again.
    fn is_full(&self) -> bool {
        let is_full = self.attempts.open().len() >= OPEN_MAX;
        if is_full {
            tracing::warn!("the agent holds {OPEN_MAX} attempts open and takes on no more");
        }
        is_full
    }

    fn take_on(self: &Arc<Self>, order: &Order, entry: Entry, expires: Instant) -> io::Result<()> {
        for older in self.attempts.all() {
            // The server ordered another try. Of this one's end, if there is one yet, it has said nothing, so it did not know.
            if (!older.is_heard() || older.is_unsettled()) && older.order.as_ref().is_some_and(|old| is_earlier(old, order)) {
                older.set_in_time(false)?;
            }
        }
        entry.begin(order)?;
        self.ratchet.raise(&order.application, order.generation)?;
        let why = format!("replaced by an order of generation {}", order.generation);
        for older in self.attempts.all() {
            let replaced = older.order.as_ref().is_some_and(|old| {
                old.application == order.application && old.generation < order.generation && !older.outcome().is_final()
            });
            if replaced {
                older.end(&why)?;
            }
        }
        let attempt = Arc::new(Attempt::open(entry)?);
        attempt.set_expires(expires);
        tracing::info!(attempt = %attempt.id, "attempt {} is taken on, generation {}", attempt.id, order.generation);
        self.hold(attempt);
        Ok(())
    }

    fn cancel(self: &Arc<Self>, id: &str) -> io::Result<bool> {
        let open = self.attempts.open().get(id).cloned();
        if let Some(attempt) = open.filter(|attempt| !attempt.outcome().is_final()) {
            let news = !attempt.cancel.is_cancelled();
            attempt.end("ended on request")?;
            return Ok(news);
        }
        if self.tell_again(id)? {
            return Ok(false);
        }
        if self.is_full() {
            return Ok(false);
        }
        // Its order may still come, and must find that it is over.
        self.end_unseen(id, 0, Outcome::Cancelled, Some("ended before its order came".into()))?;
        Ok(true)
    }

    /// Journals the end of an attempt whose order is not kept, so that no later life of the agent can carry it out.
    fn end_unseen(self: &Arc<Self>, id: &str, generation: u64, outcome: Outcome, detail: Option<String>) -> io::Result<()> {
        let entry = self.journal.entry(id);
        entry.finish(&Verdict { attempt: id.to_owned(), generation, outcome, detail, ended_at_ms: now_ms() })?;
        self.hold(Arc::new(Attempt::open(entry)?));
        Ok(())
    }

    /// Tells the server again what it asks about once more; whether the attempt is known at all.
    fn tell_again(self: &Arc<Self>, id: &str) -> io::Result<bool> {
        let open = self.attempts.open().get(id).cloned();
        if let Some(attempt) = open {
            attempt.set_unheard();
            attempt.changed();
            return Ok(true);
        }
        let entry = self.journal.entry(id);
        if !entry.exists()? {
            return Ok(false);
        }
        let attempt = Attempt::open(entry)?;
        attempt.set_unheard();
        self.hold(Arc::new(attempt));
        Ok(true)
    }

    /// Keeps the attempt in memory while it runs or is told.
    fn hold(self: &Arc<Self>, attempt: Arc<Attempt>) {
        self.attempts.open().insert(attempt.id.clone(), attempt.clone());
        self.spawn(runner::run(self.clone(), attempt.clone()));
        let agent = self.clone();
        self.spawn(async move {
            courier::run(agent.clone(), attempt.clone()).await;
            let mut open = agent.attempts.open();
            // Asked again in the last moment: the next poll asks once more.
            if open.get(&attempt.id).is_some_and(|held| Arc::ptr_eq(held, &attempt)) {
                open.remove(&attempt.id);
            }
        });
    }

    /// Removes what is needed by no open order and no unpacked version.
    pub fn tidy(&self) {
        // Another try can only come in the newest generation, for the ratchet keeps all others out.
        let may_matter = |order: &Order| order.generation >= self.ratchet.seen(&order.application);
        let tidied = self.journal.prune(may_matter).and_then(|()| {
            let mut needed = self.root.unpacked_digests()?;
            for attempt in self.attempts.all().iter().filter(|attempt| !attempt.outcome().is_final()) {
                let installations = attempt.order.iter().flat_map(|order| &order.installations);
                needed.extend(installations.map(|installation| installation.artifact.digest.clone()));
            }
            self.cache.prune(&needed)
        });
        if let Err(error) = tidied {
            tracing::warn!("old artifacts and journals cannot be removed: {error}");
        }
    }
}

/// The place of an order among those of its application.
fn place(order: &Order) -> (u64, u32) {
    (order.generation, number(&order.attempt))
}

fn waits_for_time(attempt: &Attempt) -> bool {
    attempt.order.is_some() && !attempt.is_begun() && !attempt.outcome().is_final() && attempt.expires().is_none()
}

/// How long an order is good, by the server's clock alone.
fn time_left(order: &Order, server_now_ms: Millis) -> Duration {
    let left = order.expires_at_ms.saturating_sub(server_now_ms);
    Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(EXPIRY_MAX)
}
