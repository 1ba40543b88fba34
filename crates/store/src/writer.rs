//! The one task that writes: takes what is in its queue as one group, writes it in one transaction, and answers after COMMIT.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tidegate_domain::Millis;
use tokio::sync::{mpsc, oneshot, watch};

use crate::db::{self, After, Bind, Db};
use crate::group::{Known, Plan, Prepared};
use crate::{CommitError, Committed, Fault, LogChunk, Telemetry, logs};

/// Commits in one transaction: what one fsync carries without making the first of them wait long.
const GROUP_MAX: usize = 256;
/// Rows in one transaction, after which no further commit joins it.
const GROUP_WEIGHT_MAX: usize = 10_000;
/// Turns given to other tasks before a group is closed.
const TURNS_MAX: usize = 16;
/// Commits that wait for the writer; whoever comes later waits outside.
pub const QUEUE_MAX: usize = 1_024;
/// Seconds to wait for a place in the queue.
const QUEUE_SECONDS: u64 = 10;
/// Tries of a group whose connection or lock was lost before COMMIT.
const TRIES_MAX: u32 = 3;
/// Pause between them.
const TRY_PAUSE: Duration = Duration::from_millis(50);
/// No fault injection.
const NEVER: i64 = -1;

type Answer<T, E> = oneshot::Sender<Result<T, E>>;

enum Job {
    Commit(Box<Prepared>, Answer<Committed, CommitError>),
    Log(Vec<LogChunk>, Answer<(), Fault>),
    Purge(Millis, Answer<u64, Fault>),
    Close(oneshot::Sender<()>),
}

/// The way to the writer.
pub(crate) struct Writer {
    queue: mpsc::Sender<Job>,
    positions: watch::Receiver<u64>,
    stop_after: Arc<AtomicI64>,
    telemetry: Telemetry,
}

impl Writer {
    /// Starts the task on the one connection of `db`; it ends when the last way to it is dropped, or at [`Writer::close`].
    pub(crate) fn start(db: Db, head: u64) -> Writer {
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let (bell, positions) = watch::channel(head);
        let stop_after = Arc::new(AtomicI64::new(NEVER));
        let work = Work { db, bell, stop_after: stop_after.clone() };
        tokio::spawn(work.run(jobs));
        Writer { queue, positions, stop_after, telemetry: Telemetry::default() }
    }

    pub(crate) async fn commit(&self, commit: Prepared) -> Result<Committed, CommitError> {
        let ask = async {
            let (answer, answered) = oneshot::channel();
            self.send(Job::Commit(Box::new(commit), answer)).await?;
            answered.await.unwrap_or(Err(CommitError::Fault(Fault::Closed)))
        };
        self.telemetry.watch(ask).await
    }

    pub(crate) async fn log(&self, chunks: Vec<LogChunk>) -> Result<(), Fault> {
        let (answer, answered) = oneshot::channel();
        self.send(Job::Log(chunks, answer)).await?;
        answered.await.unwrap_or(Err(Fault::Closed))
    }

    pub(crate) async fn purge(&self, before_ms: Millis) -> Result<u64, Fault> {
        let (answer, answered) = oneshot::channel();
        self.send(Job::Purge(before_ms, answer)).await?;
        answered.await.unwrap_or(Err(Fault::Closed))
    }

    pub(crate) async fn close(&self) {
        let (answer, answered) = oneshot::channel();
        // Without a place in the queue, or after an earlier close, there is nothing left to wait for.
        if self.queue.send(Job::Close(answer)).await.is_ok() {
            let _ = answered.await;
        }
    }

    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    pub(crate) fn positions(&self) -> watch::Receiver<u64> {
        self.positions.clone()
    }

    pub(crate) fn stop_after(&self, commits: Option<u64>) {
        self.stop_after.store(commits.map_or(NEVER, |commits| commits as i64), Ordering::SeqCst);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop_after.load(Ordering::SeqCst) == 0
    }

    async fn send(&self, job: Job) -> Result<(), Fault> {
        match tokio::time::timeout(Duration::from_secs(QUEUE_SECONDS), self.queue.send(job)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Fault::Closed),
            Err(_) => Err(Fault::Overloaded { seconds: QUEUE_SECONDS }),
        }
    }
}

/// What one round of the writer does.
#[derive(Default)]
struct Batch {
    commits: Vec<Prepared>,
    commit_answers: Vec<Answer<Committed, CommitError>>,
    chunks: Vec<LogChunk>,
    log_answers: Vec<Answer<(), Fault>>,
    purges: Vec<(Millis, Answer<u64, Fault>)>,
    closes: Vec<oneshot::Sender<()>>,
    weight: usize,
}

impl Batch {
    fn add(&mut self, job: Job) {
        match job {
            Job::Commit(commit, answer) => {
                self.weight += commit.weight();
                self.commits.push(*commit);
                self.commit_answers.push(answer);
            }
            Job::Log(chunks, answer) => {
                self.weight += chunks.len();
                self.chunks.extend(chunks);
                self.log_answers.push(answer);
            }
            Job::Purge(before_ms, answer) => self.purges.push((before_ms, answer)),
            Job::Close(answer) => self.closes.push(answer),
        }
    }

    fn has_room(&self) -> bool {
        self.commits.len() < GROUP_MAX && self.weight < GROUP_WEIGHT_MAX && self.log_answers.len() < GROUP_MAX
    }
}

struct Work {
    db: Db,
    bell: watch::Sender<u64>,
    stop_after: Arc<AtomicI64>,
}

/// Lets those who have just been answered come back with their next commit, so that they share one fsync instead of leaving
/// the first of them to wait for an fsync of its own. Costs microseconds when nobody comes.
async fn gather(jobs: &mpsc::Receiver<Job>, answered: usize) {
    for _ in 0..TURNS_MAX {
        if jobs.len() + 1 >= answered {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// A group that was not written.
struct Lost {
    cause: sqlx::Error,
    after: After,
}

impl From<sqlx::Error> for Lost {
    fn from(cause: sqlx::Error) -> Lost {
        Lost { after: db::after(&cause), cause }
    }
}

impl Work {
    async fn run(self, mut jobs: mpsc::Receiver<Job>) {
        let mut closes = Vec::new();
        let mut answered = 0;
        while let Some(first) = jobs.recv().await {
            let mut batch = Batch::default();
            batch.add(first);
            gather(&jobs, answered).await;
            while batch.has_room()
                && let Ok(job) = jobs.try_recv()
            {
                batch.add(job);
            }
            if !batch.closes.is_empty() {
                // What is in the queue already is still written; what comes later is refused.
                jobs.close();
                closes.append(&mut batch.closes);
            }
            answered = batch.commits.len();
            self.round(batch).await;
        }
        self.db.checkpoint_and_close().await;
        for answer in closes {
            let _ = answer.send(());
        }
    }

    async fn round(&self, batch: Batch) {
        let Batch { commits, commit_answers, chunks, log_answers, purges, .. } = batch;
        let (outcomes, logged) = self.write(&commits, &chunks).await;
        // Whoever has gone away meanwhile needs no answer.
        for (answer, outcome) in commit_answers.into_iter().zip(outcomes) {
            let _ = answer.send(outcome);
        }
        for answer in log_answers {
            let _ = answer.send(logged.clone());
        }
        for (before_ms, answer) in purges {
            let _ = answer.send(self.purge(before_ms).await);
        }
    }

    /// Writes everything in one transaction; if one commit's values are at fault, each in its own, so that only that one fails.
    async fn write(&self, commits: &[Prepared], chunks: &[LogChunk]) -> (Vec<Result<Committed, CommitError>>, Result<(), Fault>) {
        match self.group(commits, chunks).await {
            Ok(outcomes) => (outcomes, Ok(())),
            Err(lost) if lost.after == After::Single && commits.len() + usize::from(!chunks.is_empty()) > 1 => {
                let mut outcomes = Vec::with_capacity(commits.len());
                for commit in commits {
                    let outcome = self.group(std::slice::from_ref(commit), &[]).await;
                    outcomes.push(outcome.map_err(|lost| lost.cause.into()).and_then(|mut one| one.remove(0)));
                }
                let logged = self.group(&[], chunks).await;
                (outcomes, logged.map(|_| ()).map_err(|lost| lost.cause.into()))
            }
            Err(lost) => {
                let fault = Fault::from(lost.cause);
                (commits.iter().map(|_| Err(CommitError::Fault(fault.clone()))).collect(), Err(fault))
            }
        }
    }

    async fn group(&self, commits: &[Prepared], chunks: &[LogChunk]) -> Result<Vec<Result<Committed, CommitError>>, Lost> {
        let mut tries = 1;
        loop {
            match self.try_group(commits, chunks).await {
                Err(lost) if lost.after == After::Again && tries < TRIES_MAX => {
                    tracing::warn!(cause = %lost.cause, tries, "a group of commits is tried again");
                    tokio::time::sleep(TRY_PAUSE * tries).await;
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    async fn try_group(&self, commits: &[Prepared], chunks: &[LogChunk]) -> Result<Vec<Result<Committed, CommitError>>, Lost> {
        let allowance = u64::try_from(self.stop_after.load(Ordering::SeqCst)).ok();
        if chunks.is_empty() && (commits.is_empty() || allowance == Some(0)) {
            return Ok(commits.iter().map(|_| Err(CommitError::Stopped)).collect());
        }
        let mut tx = self.db.begin().await?;
        let known = Known::read(&mut tx, commits).await?;
        let mut plan = Plan::of(commits, known, allowance);
        let successes = plan.successes();
        if successes > 0 {
            plan.write(&mut tx).await?;
        }
        logs::write(&mut tx, chunks).await?;
        if successes == 0 && chunks.is_empty() {
            tx.rollback().await?;
            return Ok(plan.outcomes);
        }
        // From here on nobody but the database knows whether it has happened, so it is never tried again.
        tx.commit().await.map_err(|cause| Lost { cause, after: After::Fail })?;
        if successes > 0 {
            self.count(successes);
            self.bell.send_replace(plan.position);
        }
        Ok(plan.outcomes)
    }

    fn count(&self, successes: u64) {
        let less = |left: i64| (left != NEVER).then(|| (left - successes as i64).max(0));
        // An error only says that there is no fault injection.
        let _ = self.stop_after.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
    }

    async fn purge(&self, before_ms: Millis) -> Result<u64, Fault> {
        let mut tx = self.db.begin().await?;
        let purged = tx.execute("DELETE FROM idempotency WHERE at_ms < $1", vec![Bind::Int(before_ms)]).await?;
        tx.commit().await?;
        Ok(purged)
    }
}
