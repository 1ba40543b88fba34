//! What earlier tries of the same deployment did on this target, as their journals tell it.
//!
//! The server orders another try by what it has heard. What it has not heard is known here alone, and a step that must not run
//! twice asks here first. A step of which a person has said that it is to run is not asked about again; an order does not say
//! that a person has, so it is inferred: see [`Past::is_answered`].

use std::collections::BTreeMap;
use std::io;

use tidegate_domain::deployment::order::{Order, StepState};
use tidegate_domain::estate::{Class, Step};
use tokio_util::sync::CancellationToken;

use crate::driver::End;
use crate::driver::command::{self, Run};
use crate::journal::{Entry, Journal, Record};
use crate::runner::{NO_TRY, state_text};
use crate::supervisor::Ended;

/// The earlier tries, the oldest first.
pub struct Past<'a> {
    order: &'a Order,
    tries: Vec<Tried>,
}

struct Tried {
    number: u32,
    start_at: usize,
    entry: Entry,
    records: BTreeMap<usize, Record>,
}

/// What is known of a step that must not run twice.
#[derive(Debug, PartialEq, Eq)]
pub enum Known {
    /// It has not run, or whoever ordered this try knew how it ended and wants it again.
    ToRun,
    /// It has come to its good end.
    Ran(End),
    /// It may have run, and nobody who ordered this try could know; the question for a person.
    InDoubt(String),
}

impl<'a> Past<'a> {
    /// Reads what is known from before `order`.
    pub fn of(journal: &Journal, order: &'a Order) -> io::Result<Past<'a>> {
        let mut tries = Vec::new();
        for entry in journal.entries()? {
            let Some(earlier) = entry.order()?.filter(|earlier| is_earlier(earlier, order)) else { continue };
            tries.push(Tried { number: number(&earlier.attempt), start_at: earlier.start_at, records: entry.records()?, entry });
        }
        tries.sort_by_key(|tried| tried.number);
        Ok(Past { order, tries })
    }

    /// What is known of the step with this index, whose records have this position.
    pub async fn known(&self, position: usize, index: usize, cancel: &CancellationToken) -> io::Result<Known> {
        for tried in &self.tries {
            if let Some(Record { state: StepState::Succeeded, exit_code, took_ms, .. }) = tried.records.get(&position) {
                return Ok(Known::Ran(tried.ran(*exit_code, *took_ms)));
            }
        }
        let Some(tried) = self.last(position) else { return Ok(Known::ToRun) };
        let state = match tried.found(position, cancel).await {
            Run::Ended(Ended { state: StepState::Succeeded, exit_code, took_ms, .. }) => {
                return Ok(Known::Ran(tried.ran(exit_code, Some(took_ms))));
            }
            Run::Ended(ended) => ended.state,
            Run::NeverRan => return Ok(Known::ToRun),
            Run::Lost => StepState::Unknown,
        };
        let in_doubt = match state {
            StepState::Unknown | StepState::Starting | StepState::Running => true,
            StepState::Failed | StepState::TimedOut | StepState::Cancelled => tried.entry.in_time()? == Some(false),
            // Its program was never started.
            StepState::Errored | StepState::Skipped | StepState::Succeeded => false,
        };
        if in_doubt && !self.is_answered(tried, index)? {
            return Ok(Known::InDoubt(self.question(position, state)));
        }
        Ok(Known::ToRun)
    }

    /// Whether a person has been asked about the step since the last try that has a trace of it, and has said that it is to run.
    ///
    /// An order that begins at the step is that answer if nothing else can explain it:
    ///
    /// - The server had that try's question before it gave another order. It gives none before it has the answer.
    /// - That try began before this step, and the step before is idempotent. Where orders begin only moves
    ///   forward: behind a step that must not run twice, or by an answer.
    ///
    /// Otherwise it may only be that the server knows that the step before has run, and a person is asked once more.
    fn is_answered(&self, last: &Tried, index: usize) -> io::Result<bool> {
        if self.order.start_at != index {
            return Ok(false);
        }
        if last.entry.in_time()? == Some(true) {
            return Ok(true);
        }
        let before = index.checked_sub(1).and_then(|before| steps(self.order).nth(before));
        Ok(last.start_at < index && before.is_some_and(|step| step.class() == Class::Idempotent))
    }

    /// The last try that knows something of the step. One that was ended before it began the step, perhaps over its check,
    /// leaves to others what it was to find out.
    fn last(&self, position: usize) -> Option<&Tried> {
        let knows = |record: &Record| !(record.number == NO_TRY && record.state == StepState::Cancelled);
        self.tries.iter().rev().find(|tried| tried.records.get(&position).is_some_and(knows))
    }

    fn question(&self, position: usize, state: StepState) -> String {
        let began = |tried: &&Tried| tried.records.get(&position).is_some_and(|record| record.number != NO_TRY);
        let number = self.tries.iter().rev().find(began).map_or(NO_TRY, |tried| tried.number);
        let known = match state {
            StepState::Failed | StepState::TimedOut | StepState::Cancelled => {
                format!(
                    "it began in try {number} and ended ({}), which was not known when this try was ordered",
                    state_text(state)
                )
            }
            _ => format!("it began in try {number}, and nobody saw its end"),
        };
        format!("{known}; it must not run twice, so a person must say")
    }
}

impl Tried {
    /// What became of the step; its supervisor may have told the end to a folder that nobody has looked into since.
    async fn found(&self, position: usize, cancel: &CancellationToken) -> Run {
        let record = &self.records[&position];
        if !matches!(record.state, StepState::Starting | StepState::Running) {
            let Record { state, exit_code, .. } = *record;
            return Run::Ended(Ended { state, exit_code, took_ms: 0, detail: None });
        }
        let folder = self.entry.try_folder(position, record.number);
        command::attach(&folder, cancel).await.unwrap_or_else(|error| {
            tracing::warn!("what became of the try in {} cannot be found out: {error}", folder.display());
            Run::Lost
        })
    }

    fn ran(&self, exit_code: Option<i32>, took_ms: Option<u64>) -> End {
        End { exit_code, took_ms, ..End::succeeded(format!("ran in try {}", self.number)) }
    }
}

/// Which try of its deployment on its target an attempt is; the number is the end of its id.
pub fn number(attempt: &str) -> u32 {
    split(attempt).map_or(0, |(_, number)| number)
}

/// Whether two attempts are tries of one deployment on one target, and `newer` came after `older`.
pub fn is_newer(newer: &str, older: &str) -> bool {
    match (split(newer), split(older)) {
        (Some((of, newer)), Some((same, older))) => of == same && newer > older,
        _ => false,
    }
}

fn split(attempt: &str) -> Option<(&str, u32)> {
    let (of, number) = attempt.rsplit_once(':')?;
    Some((of, number.parse().ok()?))
}

/// Whether an order is an earlier try of the same thing. After a server went back in time a deployment's name may mean another.
pub fn is_earlier(earlier: &Order, order: &Order) -> bool {
    let same = (&earlier.deployment, &earlier.target, &earlier.plan, earlier.generation)
        == (&order.deployment, &order.target, &order.plan, order.generation);
    same && is_newer(&order.attempt, &earlier.attempt) && earlier.installations == order.installations
}

fn steps(order: &Order) -> impl Iterator<Item = &Step> {
    order.installations.iter().flat_map(|installation| &installation.steps)
}
