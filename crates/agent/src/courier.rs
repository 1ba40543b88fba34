//! Tells the server how far an attempt is, and brings it the output, until the server has the end of both and, if the end is a
//! bad one, has said so.

use std::sync::Arc;
use std::time::Duration;

use tidegate_api::agent::{LOG, LogChunks, REPORT};
use tokio::sync::watch;

use crate::agent::Agent;
use crate::attempt::Attempt;
use crate::client::{Backoff, CallError};
use crate::logs::Logs;

/// Between looks at the output of a running step.
const LOOK: Duration = Duration::from_millis(500);

/// Reports an attempt until the server has it all.
pub async fn run(agent: Arc<Agent>, attempt: Arc<Attempt>) {
    let logs = match Logs::open(&attempt.id, attempt.entry.folder()) {
        Ok(logs) => Some(logs),
        Err(error) => {
            tracing::warn!(attempt = %attempt.id, "the log of {} cannot be read and is not sent: {error}", attempt.id);
            None
        }
    };
    let changes = attempt.watch();
    let backoff = Backoff::new(LOOK, Duration::from_secs(30));
    Courier { agent, attempt, changes, told: 0, logs, backoff }.run().await;
}

struct Courier {
    agent: Arc<Agent>,
    attempt: Arc<Attempt>,
    changes: watch::Receiver<u64>,
    /// The revision that the server has, or has refused for good.
    told: u64,
    /// `None` once all is sent, or the server will not have it.
    logs: Option<Logs>,
    backoff: Backoff,
}

impl Courier {
    async fn run(mut self) {
        loop {
            let done = match self.tell().await {
                Ok(()) => self.bring_logs().await,
                Err(error) => Err(error),
            };
            match done {
                Ok(()) if self.attempt.is_heard() && !self.attempt.is_unsettled() && self.logs.is_none() => return self.close(),
                Ok(()) => {
                    self.backoff.reset();
                    self.wait().await;
                }
                Err(error) => {
                    tracing::warn!(attempt = %self.attempt.id, "the report of {} is sent again later: {error}", self.attempt.id);
                    let wait = error.retry_after().unwrap_or_else(|| self.backoff.next());
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    fn close(&self) {
        if let Err(error) = self.attempt.entry.set_heard() {
            tracing::warn!("that the report of {} was heard cannot be kept: {error}", self.attempt.id);
        }
    }

    /// Sends the newest report, if it is news; what changed in between goes with it.
    async fn tell(&mut self) -> Result<(), CallError> {
        let revision = *self.changes.borrow_and_update();
        if revision == self.told || self.attempt.is_heard() {
            return Ok(());
        }
        let report = self.attempt.report(&self.agent.root);
        match self.agent.client.tell(REPORT, &report).await {
            Ok(()) if report.outcome.is_final() => self.attempt.set_heard(),
            Ok(()) => {}
            Err(error) if error.is_final() => {
                // Kept; the poll that asks for it or settles it changes the revision.
                tracing::error!(attempt = %self.attempt.id, "the report of {} is not accepted: {error}", self.attempt.id);
            }
            Err(error) => return Err(error),
        }
        self.told = revision;
        Ok(())
    }

    async fn bring_logs(&mut self) -> Result<(), CallError> {
        let ended = self.attempt.outcome().is_final();
        while let Some(logs) = &mut self.logs {
            let chunks = match logs.batch(ended) {
                Ok(chunks) => chunks,
                Err(error) => {
                    tracing::warn!(attempt = %self.attempt.id, "the log of {} is lost: {error}", self.attempt.id);
                    self.logs = None;
                    return Ok(());
                }
            };
            if chunks.is_empty() {
                if ended {
                    self.logs = None;
                }
                return Ok(());
            }
            match self.agent.client.tell(LOG, &LogChunks { chunks }).await {
                Ok(()) => {
                    if let Err(error) = logs.accepted() {
                        tracing::warn!("how much of the log of {} was sent cannot be kept: {error}", self.attempt.id);
                        self.logs = None;
                    }
                }
                Err(error) if error.is_final() => {
                    tracing::warn!(attempt = %self.attempt.id, "the log of {} is not accepted: {error}", self.attempt.id);
                    self.logs = None;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn wait(&mut self) {
        let runs = !self.attempt.outcome().is_final() && self.attempt.is_begun();
        if runs {
            let _ = tokio::time::timeout(LOOK, self.changes.changed()).await;
        } else {
            let _ = self.changes.changed().await;
        }
    }
}
