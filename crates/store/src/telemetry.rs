//! What an operator counts of the store: commits, how long they take, and how many wait.

use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use crate::{CommitError, Committed, Fault, Store};

/// Upper ends of the steps in which commits are timed, in seconds: from one fsync of a good disk to the writer's patience.
const STEPS_SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Counts of one store since it was opened. Clones share them.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// Commits that are on disk.
    pub stored: Counter,
    /// Commits that came too late: somebody else had changed the stream, or used the key.
    pub overtaken: Counter,
    /// Commits that a fault kept off the disk, or that may not be there.
    pub failed: Counter,
    /// Commits that wait for the writer or are being written.
    pub waiting: Gauge,
    /// Seconds from asking to the answer.
    pub seconds: Histogram,
}

impl Default for Telemetry {
    fn default() -> Telemetry {
        Telemetry {
            stored: Counter::default(),
            overtaken: Counter::default(),
            failed: Counter::default(),
            waiting: Gauge::default(),
            seconds: Histogram::new(STEPS_SECONDS),
        }
    }
}

impl Telemetry {
    /// Times a commit and counts how it ended.
    pub(crate) async fn watch(
        &self,
        commit: impl Future<Output = Result<Committed, CommitError>>,
    ) -> Result<Committed, CommitError> {
        let (asked, _waits) = (Instant::now(), Waits::begin(&self.waiting));
        let outcome = commit.await;
        self.seconds.observe(asked.elapsed().as_secs_f64());
        match &outcome {
            Ok(_) => self.stored.inc(),
            Err(CommitError::Fence { .. } | CommitError::KeyTaken { .. }) => self.overtaken.inc(),
            Err(CommitError::Fault(_) | CommitError::Stopped) => self.failed.inc(),
        };
        outcome
    }
}

/// One that waits, until it is dropped: also when its caller goes away.
struct Waits(Gauge);

impl Waits {
    fn begin(waiting: &Gauge) -> Waits {
        waiting.inc();
        Waits(waiting.clone())
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Store {
    /// What is counted of this store.
    pub fn telemetry(&self) -> &Telemetry {
        self.writer().telemetry()
    }

    /// Bytes that the database takes on its disk, the write-ahead log of `SQLite` included.
    ///
    /// # Errors
    ///
    /// What the database or the disk says.
    pub async fn size_bytes(&self) -> Result<u64, Fault> {
        Ok(self.reads().size_bytes().await?)
    }
}
