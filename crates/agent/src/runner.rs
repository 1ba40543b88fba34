//! Carries out one order: waits for its turn, fetches, walks the items, and says how it ended.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tidegate_domain::deployment::order::{Installation, Order, Outcome, StepState};
use tidegate_domain::estate::{Action, Class, Health, Step};
use tidegate_domain::{Code, Refusal};
use tokio_util::sync::CancellationToken;

use crate::agent::Agent;
use crate::attempt::Attempt;
use crate::check;
use crate::clock::now_ms;
use crate::crash;
use crate::driver::command::{self, Run};
use crate::driver::script::{Doubt, Earlier};
use crate::driver::{End, Job, files, health, process, say, script, systemd};
use crate::fetch::FetchError;
use crate::item::{Item, Work, items};
use crate::journal::Record;
use crate::past::{Known, Past};
use crate::words::NOTE;

/// Tries of one item over all lives of the agent: a step that brings the host down each time must not do so for ever.
pub const TRIES_MAX: u32 = 10;
/// How long an attempt that has begun may wait for an artifact.
const FETCH_AGAIN: Duration = Duration::from_mins(10);
/// The number under which an attempt keeps what it learns of a step that it has not begun; its own tries count from 1.
pub const NO_TRY: u32 = 0;
/// What people read of an attempt whose runner panicked.
const GIVEN_UP: &str = "the agent has a defect and gave the order up; its log says more";

type Verdict = (Outcome, Option<String>);

/// Carries the attempt to its end and journals it.
pub async fn run(agent: Arc<Agent>, attempt: Arc<Attempt>) {
    let Some(order) = attempt.order.as_ref().filter(|_| !attempt.outcome().is_final()) else { return };
    agent.earlier_ended(order).await;
    let turn = agent.turn(&order.application);
    let runner = Runner { agent: &agent, attempt: &attempt, order };
    let (outcome, detail) = {
        let _turn = turn.lock().await;
        // An attempt that never ends would keep every later order of the application waiting.
        let verdict = match AssertUnwindSafe(runner.carry_out()).catch_unwind().await {
            Ok(verdict) => verdict,
            Err(_) => runner.give_up().await,
        };
        // The end is on disk before the next order of the application gets its turn.
        attempt.finish(verdict.0, verdict.1.clone());
        verdict
    };
    let detail = detail.unwrap_or_default();
    tracing::info!(attempt = %attempt.id, "attempt {} ended {outcome:?}: {detail}", attempt.id);
    agent.tidy();
}

struct Runner<'a> {
    agent: &'a Agent,
    attempt: &'a Attempt,
    order: &'a Order,
}

impl Runner<'_> {
    async fn carry_out(&self) -> Verdict {
        let seen = self.agent.ratchet.seen(&self.order.application);
        if let Err(refusal) = check::generation(self.order, seen) {
            if !self.attempt.is_begun() {
                return refused(&refusal);
            }
            if let Err(error) = self.attempt.end(&format!("superseded by generation {seen}")) {
                return journal_failed(&error);
            }
        }
        if let Err(verdict) = self.prepare().await {
            return verdict;
        }
        self.walk().await.unwrap_or_else(|error| journal_failed(&error))
    }

    /// What a panic leaves of the attempt.
    async fn give_up(&self) -> Verdict {
        tracing::error!(attempt = %self.attempt.id, "attempt {} is given up, for its runner panicked", self.attempt.id);
        let open = |item: &Item<'_>| self.attempt.record(item.position).filter(|record| record.state == StepState::Starting);
        let Some((item, record)) = items(self.order).into_iter().find_map(|item| Some((item, open(&item)?))) else {
            return (Outcome::Failed, Some(GIVEN_UP.into()));
        };
        let end = self.abandon(&item, record.number).await;
        let outcome = if end.state == StepState::Unknown { Outcome::Unknown } else { Outcome::Failed };
        match self.keep(&item, record.number, end, None) {
            Ok(_) => (outcome, Some(format!("{}: {GIVEN_UP}", item.name()))),
            Err(error) => journal_failed(&error),
        }
    }

    /// Ends what a begun item has started, and says what became of it.
    async fn abandon(&self, item: &Item<'_>, number: u32) -> End {
        let class = match item.work {
            Work::Step(_, step) => step.class(),
            Work::Settle(_) => Class::Idempotent,
        };
        let at_once = CancellationToken::new();
        at_once.cancel();
        match (command::attach(&self.job(item, number).folder, &at_once).await, class) {
            (Ok(Run::Ended(ended)), _) => ended.into(),
            (Ok(Run::NeverRan), _) | (_, Class::Idempotent) => End::new(StepState::Errored, GIVEN_UP),
            (Ok(Run::Lost) | Err(_), Class::Verifiable | Class::Once) => {
                End::new(StepState::Unknown, format!("{GIVEN_UP}; the step began, so a person must say"))
            }
        }
    }

    /// Everything that must be before the first step, and again before the next one after a restart.
    async fn prepare(&self) -> Result<(), Verdict> {
        let begun = self.attempt.is_begun();
        let deadline = if begun { Instant::now() + FETCH_AGAIN } else { self.expiry().await? };
        for installation in &self.order.installations {
            if !self.needs_artifact(installation) {
                continue;
            }
            self.attempt.set_waiting(Some(format!("fetching {} {}", installation.component, installation.version)));
            tokio::select! {
                fetched = self.agent.cache.fetch(&self.agent.client, &installation.artifact) => {
                    fetched.map_err(|error| not_fetched(installation, &error, begun))?;
                }
                // A begun item is ended by the walk, which knows how.
                () = self.attempt.cancel.cancelled() => break,
                () = tokio::time::sleep_until(deadline.into()) => return Err(self.too_late(installation, begun)),
            }
        }
        self.attempt.set_waiting(None);
        if !begun && self.attempt.cancel.is_cancelled() {
            return Err(self.cancelled());
        }
        if !begun && Instant::now() >= deadline {
            return Err(refused(&check::expired(self.order)));
        }
        Ok(())
    }

    /// When the order expires; after a restart the server has to say its time first.
    async fn expiry(&self) -> Result<Instant, Verdict> {
        let mut news = self.attempt.watch();
        loop {
            if let Some(at) = self.attempt.expires() {
                return Ok(at);
            }
            tokio::select! {
                changed = news.changed() => changed.map_err(|_| self.cancelled())?,
                () = self.attempt.cancel.cancelled() => return Err(self.cancelled()),
            }
        }
    }

    fn too_late(&self, installation: &Installation, begun: bool) -> Verdict {
        if begun {
            let what =
                format!("the artifact of {} {} could not be fetched in time", installation.component, installation.version);
            return (Outcome::TimedOut, Some(what));
        }
        refused(&check::expired(self.order))
    }

    /// Whether an unpack step is still to be done whose bytes are not unpacked.
    fn needs_artifact(&self, installation: &Installation) -> bool {
        let items = items(self.order);
        let open = items.iter().any(|item| {
            std::ptr::eq(item.installation, installation)
                && matches!(item.work, Work::Step(index, Step { action: Action::Unpack, .. }) if index >= self.order.start_at)
                && self.attempt.record(item.position).is_none_or(|record| record.state == StepState::Starting)
        });
        let marker = self.agent.root.component(&installation.component).marker(&installation.version);
        open && !matches!(marker, Ok(Some(marker)) if marker.digest == installation.artifact.digest)
    }

    async fn walk(&self) -> io::Result<Verdict> {
        for item in items(self.order) {
            if matches!(item.work, Work::Step(index, _) if index < self.order.start_at) {
                continue;
            }
            let record = self.attempt.record(item.position);
            let end = match record {
                Some(Record { state: StepState::Starting, number, .. }) => self.item(&item, Some(number)).await?,
                Some(Record { state, exit_code, took_ms, detail, .. }) => End { state, exit_code, took_ms, detail },
                None if self.attempt.cancel.is_cancelled() => return Ok(self.cancelled()),
                None => match self.before(&item).await? {
                    Some(end) => self.keep(&item, NO_TRY, end, None)?,
                    None => self.item(&item, None).await?,
                },
            };
            if end.state != StepState::Succeeded {
                let what = format!("{}: {}", item.name(), end.detail.unwrap_or_default());
                return Ok((outcome_of(end.state), Some(what)));
            }
        }
        Ok((Outcome::Healthy, None))
    }

    /// What earlier attempts make of a step that must not run twice; `None` if it is to run.
    async fn before(&self, item: &Item<'_>) -> io::Result<Option<End>> {
        let Work::Step(index, Step { action: Action::Script { class, verify, .. }, .. }) = item.work else { return Ok(None) };
        if *class == Class::Idempotent {
            return Ok(None);
        }
        let past = Past::of(&self.agent.journal, self.order)?;
        let known = past.known(item.position, index, &self.attempt.cancel).await?;
        let job = self.job(item, NO_TRY);
        if known != Known::ToRun {
            job.say(&heading(item, NO_TRY))?;
        }
        Ok(match (known, class) {
            (Known::ToRun, _) => None,
            (Known::Ran(end), _) => Some(end),
            (Known::InDoubt(question), Class::Once) => Some(End::new(StepState::Unknown, question)),
            (Known::InDoubt(_), _) => match resolved(script::lost(&job, Doubt { class: *class, verify }).await, *class) {
                Earlier::Over(end) => Some(end),
                Earlier::Run => None,
            },
        })
    }

    fn cancelled(&self) -> Verdict {
        let why = self.attempt.entry.cancelled().ok().flatten();
        (Outcome::Cancelled, Some(why.unwrap_or_else(|| "ended on request".into())))
    }

    /// Brings one item to its end, over as many tries as its class allows. `begun` is the try that an earlier agent began.
    async fn item(&self, item: &Item<'_>, mut begun: Option<u32>) -> io::Result<End> {
        loop {
            if let Some(number) = begun
                && let Earlier::Over(end) = self.take_up(item, number).await
            {
                return self.keep(item, number, end, None);
            }
            let number = begun.unwrap_or(0) + 1;
            if self.attempt.cancel.is_cancelled() {
                let end = End::new(StepState::Cancelled, "was ended on request");
                return self.keep(item, begun.unwrap_or(NO_TRY), end, None);
            }
            if number > TRIES_MAX {
                let end = End::new(StepState::Errored, format!("was begun {TRIES_MAX} times and never came to an end"));
                return self.keep(item, TRIES_MAX, end, None);
            }
            self.begin(item, number)?;
            let clock = Instant::now();
            if let Some(end) = self.once(item, number).await {
                return self.keep(item, number, end, Some(clock));
            }
            // The supervisor was killed: the same question as after a restart.
            begun = Some(number);
        }
    }

    /// Journals the intent. From here on the item may have happened.
    fn begin(&self, item: &Item<'_>, number: u32) -> io::Result<()> {
        if matches!(item.work, Work::Step(..)) {
            let place = self.agent.root.component(&item.installation.component);
            place.clear_complete(&item.installation.version)?;
        }
        let record =
            Record { state: StepState::Starting, number, began_at_ms: now_ms(), exit_code: None, took_ms: None, detail: None };
        self.attempt.set_record(item.position, record)?;
        self.job(item, number).say(&heading(item, number))
    }

    /// Journals the end.
    fn keep(&self, item: &Item<'_>, number: u32, end: End, clock: Option<Instant>) -> io::Result<End> {
        if let Some(detail) = &end.detail {
            let folder = script::last_folder(&self.attempt.entry.try_folder(item.position, number));
            say(&folder, &format!("{NOTE}{}: {detail} ──", state_text(end.state)))?;
        }
        let earlier = self.attempt.record(item.position);
        let took_ms = end.took_ms.or_else(|| clock.map(|clock| clock.elapsed().as_millis() as u64));
        let record = Record {
            state: end.state,
            number,
            began_at_ms: earlier.map_or_else(now_ms, |earlier| earlier.began_at_ms),
            exit_code: end.exit_code,
            took_ms,
            detail: end.detail.clone(),
        };
        self.attempt.set_record(item.position, record)?;
        Ok(end)
    }

    fn job<'b>(&'b self, item: &Item<'b>, number: u32) -> Job<'b> {
        let (name, timeout_seconds) = match item.work {
            Work::Step(_, step) => (step.name.as_str(), step.timeout_seconds),
            Work::Settle(health) => ("health", health.map_or(0, |health| health.healthy_deadline_seconds)),
        };
        Job {
            agent: self.agent,
            order: self.order,
            installation: item.installation,
            place: self.agent.root.component(&item.installation.component),
            name,
            folder: self.attempt.entry.try_folder(item.position, number),
            timeout_seconds,
            cancel: &self.attempt.cancel,
        }
    }

    /// What became of an earlier try. What the agent does itself ended with the agent, and may be done again.
    async fn take_up(&self, item: &Item<'_>, number: u32) -> Earlier {
        let doubt = match item.work {
            Work::Step(_, Step { action: Action::Script { class, verify, .. }, .. }) => Doubt { class: *class, verify },
            Work::Step(_, Step { action: Action::Systemd { .. }, .. }) => Doubt { class: Class::Idempotent, verify: &[] },
            Work::Step(_, _) | Work::Settle(_) => return Earlier::Run,
        };
        resolved(script::take_up(&self.job(item, number), doubt).await, doubt.class)
    }

    /// One try; `None` if nobody saw its end.
    async fn once(&self, item: &Item<'_>, number: u32) -> Option<End> {
        let job = self.job(item, number);
        crash::step(job.name);
        let step = match item.work {
            Work::Step(_, step) => step,
            Work::Settle(health) => return Some(settle(&job, health).await),
        };
        match &step.action {
            Action::Unpack => Some(files::unpack(&job).await),
            Action::Switch => Some(files::switch(&job.place, &item.installation.version)),
            Action::Script { run, args, .. } => seen(script::run(&job, run, args).await),
            Action::Process { run, args, stop_grace_seconds } => Some(process::start(&job, run, args, *stop_grace_seconds).await),
            Action::ProcessStop { stop_grace_seconds } => Some(process::stop(&job, *stop_grace_seconds).await),
            Action::Systemd { unit, verb } => seen(systemd::run(&job, unit, *verb).await),
        }
    }
}

/// What follows from an earlier try when looking at it may itself have failed.
fn resolved(earlier: Result<Earlier, End>, class: Class) -> Earlier {
    earlier.unwrap_or_else(|end| match (class, end.state) {
        // That it cannot be found out does not mean that it failed.
        (Class::Once | Class::Verifiable, StepState::Failed | StepState::Errored) => {
            Earlier::Over(End { state: StepState::Unknown, ..end })
        }
        _ => Earlier::Over(end),
    })
}

/// The line above what people see of a try.
fn heading(item: &Item<'_>, number: u32) -> String {
    let again = if number > 1 { format!(", try {number}") } else { String::new() };
    format!("{NOTE}{}, version {}{again} ──", item.name(), item.installation.version)
}

fn seen(run: Result<Run, End>) -> Option<End> {
    match run {
        Ok(Run::Ended(ended)) => Some(ended.into()),
        Ok(Run::NeverRan | Run::Lost) => None,
        Err(end) => Some(end),
    }
}

/// Waits for health, calls the installation complete, and removes what is no longer needed.
async fn settle(job: &Job<'_>, health: Option<&Health>) -> End {
    let end = match health {
        Some(health) => health::wait(job, health).await,
        None => End::succeeded("no health check is asked for"),
    };
    if end.state != StepState::Succeeded {
        return end;
    }
    let installation = job.installation;
    if let Err(error) = job.place.set_complete(&installation.version, &installation.artifact.digest) {
        return End::errored("the good end cannot be kept", &error);
    }
    let running = job.agent.services.version(&installation.component);
    if let Err(error) = files::prune(&job.place, installation.keep_releases, &[running]) {
        tracing::warn!("old versions of {} cannot be removed: {error}", installation.component);
    }
    end
}

fn outcome_of(state: StepState) -> Outcome {
    match state {
        StepState::Succeeded | StepState::Skipped => Outcome::Healthy,
        StepState::Failed | StepState::Errored => Outcome::Failed,
        StepState::TimedOut => Outcome::TimedOut,
        StepState::Cancelled => Outcome::Cancelled,
        StepState::Unknown | StepState::Starting | StepState::Running => Outcome::Unknown,
    }
}

/// A state as people read it.
pub fn state_text(state: StepState) -> &'static str {
    match state {
        StepState::Starting => "starting",
        StepState::Running => "running",
        StepState::Succeeded => "succeeded",
        StepState::Failed => "failed",
        StepState::Errored => "errored",
        StepState::TimedOut => "timed out",
        StepState::Cancelled => "cancelled",
        StepState::Skipped => "skipped",
        StepState::Unknown => "unknown",
    }
}

fn not_fetched(installation: &Installation, error: &FetchError, begun: bool) -> Verdict {
    let name = format!("{} {}", installation.component, installation.version);
    let refusal = match error {
        FetchError::Refused(refusal) => refusal.clone(),
        FetchError::Disk(error) => return (Outcome::Failed, Some(format!("the artifact of {name} cannot be kept: {error}"))),
        FetchError::Call(error) => {
            let what = format!("the artifact of {name} cannot be had: {error}");
            Refusal::new(Code::DigestUnlisted, what, "upload it, and retry the target")
        }
    };
    // `refused` promises that nothing was run.
    if begun { (Outcome::Failed, refused(&refusal).1) } else { refused(&refusal) }
}

/// The verdict on an order of which nothing was done.
pub fn refused(refusal: &Refusal) -> Verdict {
    (Outcome::Refused, Some(format!("{}: {refusal}", refusal.code)))
}

fn journal_failed(error: &io::Error) -> Verdict {
    (Outcome::Failed, Some(format!("the agent's journal cannot be written, so nothing more was done: {error}")))
}
