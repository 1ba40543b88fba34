//! One attempt in memory: what its runner, its courier and the poll share. The journal is written first, always.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tidegate_domain::deployment::order::{AttemptId, Order, Outcome, Report, StepReport, StepState};
use tidegate_domain::limits;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::now_ms;
use crate::item::{Item, Work, items};
use crate::journal::{Entry, Record, Verdict};
use crate::place::Root;

/// What was taken on.
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// The order; `None` if it was refused, or cancelled before it came.
    pub order: Option<Order>,
    /// Its journal.
    pub entry: Entry,
    /// Set when it is to end.
    pub cancel: CancellationToken,
    state: Mutex<State>,
    revision: watch::Sender<u64>,
}

struct State {
    records: BTreeMap<usize, Record>,
    verdict: Option<Verdict>,
    waiting_for: Option<String>,
    /// When the order expires, by this host's monotonic clock; unknown after a restart until the server says its time.
    expires: Option<Instant>,
    heard: bool,
    /// Whether the server had the end before it ordered another try, once that is known.
    in_time: Option<bool>,
}

impl Attempt {
    /// An attempt whose journal entry exists.
    pub fn open(entry: Entry) -> io::Result<Attempt> {
        let order = entry.order()?;
        let verdict = entry.verdict()?;
        let id = match (&order, &verdict) {
            (Some(order), _) => order.attempt.clone(),
            (None, Some(verdict)) => verdict.attempt.clone(),
            (None, None) => return Err(io::Error::other("a journal entry without an order")),
        };
        let cancel = CancellationToken::new();
        if entry.cancelled()?.is_some() {
            cancel.cancel();
        }
        let (heard, in_time) = (entry.is_heard(), entry.in_time()?);
        let state = State { records: entry.records()?, verdict, waiting_for: None, expires: None, heard, in_time };
        Ok(Attempt { id, order, entry, cancel, state: Mutex::new(state), revision: watch::Sender::new(1) })
    }

    /// Whether a first step was begun; from then on the order cannot expire any more.
    pub fn is_begun(&self) -> bool {
        !self.state().records.is_empty()
    }

    pub fn set_expires(&self, at: Instant) {
        self.state().expires = Some(at);
        self.changed();
    }

    pub fn expires(&self) -> Option<Instant> {
        self.state().expires
    }

    pub fn record(&self, position: usize) -> Option<Record> {
        self.state().records.get(&position).cloned()
    }

    /// Journals the state of one item.
    pub fn set_record(&self, position: usize, record: Record) -> io::Result<()> {
        self.entry.set_record(position, &record)?;
        self.state().records.insert(position, record);
        self.changed();
        Ok(())
    }

    /// What the attempt waits for, in the next report.
    pub fn set_waiting(&self, what: Option<String>) {
        self.state().waiting_for = what;
        self.changed();
    }

    /// Journals how the attempt ended. The end counts even if it cannot be kept: it is told from memory.
    pub fn finish(&self, outcome: Outcome, detail: Option<String>) {
        let generation = self.order.as_ref().map_or(0, |order| order.generation);
        let verdict = Verdict { attempt: self.id.clone(), generation, outcome, detail, ended_at_ms: now_ms() };
        if let Err(error) = self.entry.finish(&verdict) {
            tracing::error!(attempt = %self.id, "the end of attempt {} cannot be kept: {error}", self.id);
        }
        self.state().verdict = Some(verdict);
        self.changed();
    }

    /// Asks for its end, durably.
    pub fn end(&self, why: &str) -> io::Result<()> {
        if !self.cancel.is_cancelled() && self.outcome() == Outcome::InProgress {
            self.entry.set_cancelled(why)?;
            self.cancel.cancel();
        }
        Ok(())
    }

    pub fn outcome(&self) -> Outcome {
        self.state().verdict.as_ref().map_or(Outcome::InProgress, |verdict| verdict.outcome)
    }

    /// Whether the server has the final report.
    pub fn is_heard(&self) -> bool {
        self.state().heard
    }

    /// Kept in memory alone: as long as the server has not all of the output too, the next life of the agent begins with the
    /// report, which is no news then, and goes on with the output.
    pub fn set_heard(&self) {
        self.state().heard = true;
        self.changed();
    }

    /// The server asks again, so its having heard the end counts no more.
    pub fn set_unheard(&self) {
        self.state().heard = false;
    }

    /// Whether it began and came to no good end, and it is not yet known whether the server had that before it ordered another
    /// try. A report that was taken does not say so: the server takes one that comes too late as well.
    pub fn is_unsettled(&self) -> bool {
        let state = self.state();
        let bad = |outcome| matches!(outcome, Outcome::Unknown | Outcome::Failed | Outcome::TimedOut | Outcome::Cancelled);
        state.in_time.is_none() && !state.records.is_empty() && state.verdict.as_ref().is_some_and(|it| bad(it.outcome))
    }

    /// Journals whether the server had the end before it ordered another try.
    pub fn set_in_time(&self, in_time: bool) -> io::Result<()> {
        if self.state().in_time.is_none() {
            self.entry.set_in_time(in_time)?;
            self.state().in_time = Some(in_time);
            self.changed();
        }
        Ok(())
    }

    /// Waits for its end.
    pub async fn ended(&self) {
        let mut news = self.watch();
        while !self.outcome().is_final() && news.changed().await.is_ok() {}
    }

    /// Tells the courier that there is news, or that the server asked again.
    pub fn changed(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }

    pub fn watch(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// What the server is told now.
    pub fn report(&self, root: &Root) -> Report {
        let attested = root.attested();
        let state = self.state();
        let (outcome, detail) = match &state.verdict {
            Some(verdict) => (verdict.outcome, verdict.detail.clone()),
            None => (Outcome::InProgress, state.waiting_for.clone()),
        };
        let generation = match (&self.order, &state.verdict) {
            (Some(order), _) => order.generation,
            (None, verdict) => verdict.as_ref().map_or(0, |verdict| verdict.generation),
        };
        let steps = self.order.as_ref().map(|order| steps(order, &state.records)).unwrap_or_default();
        clipped(Report { attempt: self.id.clone(), generation, outcome, steps, attested, detail })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The report with no sentence longer than the server takes: it would refuse the whole report, and again each time.
fn clipped(mut report: Report) -> Report {
    for detail in report.steps.iter_mut().map(|step| &mut step.detail).chain([&mut report.detail]).flatten() {
        if detail.chars().count() > limits::TEXT_CHARS_MAX {
            *detail = detail.chars().take(limits::TEXT_CHARS_MAX - 1).chain(['…']).collect();
        }
    }
    report
}

fn steps(order: &Order, records: &BTreeMap<usize, Record>) -> Vec<StepReport> {
    let items = items(order);
    items.iter().filter_map(|item| step(order, item, records.get(&item.position))).collect()
}

fn step(order: &Order, item: &Item<'_>, record: Option<&Record>) -> Option<StepReport> {
    let Work::Step(index, step) = item.work else { return None };
    let name = step.name.clone();
    let component = item.installation.component.clone();
    if index < order.start_at {
        let detail = Some("done before".into());
        return Some(StepReport { index, component, name, state: StepState::Skipped, exit_code: None, took_ms: None, detail });
    }
    let record = record?.clone();
    let Record { state, exit_code, took_ms, detail, .. } = record;
    // On disk a begun step stays `starting` until its end is known; for people it runs.
    let state = if state == StepState::Starting { StepState::Running } else { state };
    Some(StepReport { index, component, name, state, exit_code, took_ms, detail })
}
