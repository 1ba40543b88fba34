//! Keeps supervised programs up: one unit for each component, one watcher for each unit.
//!
//! `run.json` says what should be; the claim in `runs/<serial>` says what is. A watcher acts only while it holds the unit's
//! lock, and is ended only by one who holds it, so that a program is never started twice.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tidegate_api::agent::Unsteady;
use tidegate_domain::deployment::order::StepState;
use tidegate_domain::{Digest, Name, Version};
use tokio::task::AbortHandle;

use crate::driver::End;
use crate::launch::{self, Fate, Launch, Program};
use crate::pid::Process;
use crate::place::{Place, Root};
use crate::{crash, durable, words};

const RESTART_FIRST: Duration = Duration::from_secs(1);
const RESTART_LONGEST: Duration = Duration::from_secs(30);
/// Up for so long, the next restart is a first one again.
const STEADY: Duration = Duration::from_mins(1);
/// A program that ended twice by itself within this time does not stay up, and is told of.
const UNSTEADY: Duration = Duration::from_mins(10);
/// So long after its last end it is taken for steady again.
const SETTLED: Duration = Duration::from_mins(5);
/// Ends of that time that are counted.
const ENDS_MAX: usize = 1_000;
/// How long a start may take until the program runs.
const START: Duration = Duration::from_secs(10);
/// A program that ends within this time of its start was not started.
const SETTLE: Duration = Duration::from_millis(250);
const LOG_BYTES_MAX: u64 = 1 << 20;
/// Between looks at the log's length.
const LOG_LOOK: Duration = Duration::from_secs(10);
/// The same while the log grows fast.
const LOG_LOOK_SOON: Duration = Duration::from_secs(1);

/// What is to be kept up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The program with all that it sees.
    pub program: Program,
    /// The version it is from.
    pub version: Version,
    /// The artifact it is from.
    pub digest: Digest,
    /// Between the soft signal and the hard one.
    pub stop_grace_seconds: u32,
}

/// What is in `run.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    /// Whether it should be up.
    up: bool,
    /// Names the launch folder.
    serial: u64,
    service: Service,
    /// The process, once it is known; for people, the claim decides.
    process: Option<Process>,
}

/// All units of this agent.
pub struct Services {
    step_program: Vec<std::ffi::OsString>,
    units: Mutex<BTreeMap<Name, Arc<Unit>>>,
}

#[derive(Default)]
struct Unit {
    watcher: tokio::sync::Mutex<Option<AbortHandle>>,
    restarts: AtomicU64,
    /// It has ended by itself and is not started again yet.
    is_down: AtomicBool,
    version: Mutex<Option<Version>>,
    /// How it ended by itself lately, since a step or this agent started it.
    ends: Mutex<Ends>,
    /// The length of its log when it was started last; what stands before is another run's.
    log_from: AtomicU64,
}

#[derive(Default)]
struct Ends {
    lately: VecDeque<Instant>,
    last_words: String,
}

impl Services {
    pub fn new(step_program: Vec<std::ffi::OsString>) -> Arc<Services> {
        Arc::new(Services { step_program, units: Mutex::new(BTreeMap::new()) })
    }

    /// Stops what runs for the component and starts this; answers the number of the process.
    pub async fn start(self: &Arc<Self>, name: &Name, place: &Place, service: Service) -> Result<i32, End> {
        let fault = |error: io::Error| End::errored("the program cannot be started", &error);
        let unit = self.unit(name);
        let mut watcher = unit.watcher.lock().await;
        abort(&mut watcher);
        let grace = Duration::from_secs(service.stop_grace_seconds.into());
        end_running(place, grace).await.map_err(fault)?;
        let serial = read(place).map_err(fault)?.map_or(0, |kept| kept.serial);
        let mut kept = Kept { up: true, serial, service, process: None };
        unit.set_version(Some(kept.service.version.clone()));
        unit.forget_ends();
        let process = match self.launch(&unit, place, &mut kept).await {
            Ok(process) => process,
            Err(error) => {
                // Nothing to keep up: the program cannot even begin.
                kept.up = false;
                write(place, &kept).map_err(fault)?;
                return Err(fault(error));
            }
        };
        let ended_at_once = tokio::time::timeout(SETTLE, process.ended()).await.is_ok();
        *watcher = Some(self.watch(name, place, Some(process.clone())));
        if ended_at_once {
            return Err(End::new(
                StepState::Failed,
                format!(
                    "ended at once after its start{}",
                    words::quoted(words::last(&place.log(), unit.log_from.load(Ordering::SeqCst)).as_deref())
                ),
            ));
        }
        Ok(process.pid)
    }

    /// Stops what runs for the component, for good; whether something ran.
    pub async fn stop(&self, name: &Name, place: &Place, grace: Duration) -> io::Result<bool> {
        let unit = self.unit(name);
        let mut watcher = unit.watcher.lock().await;
        abort(&mut watcher);
        unit.set_version(None);
        unit.forget_ends();
        if let Some(mut kept) = read(place)? {
            kept.up = false;
            write(place, &kept)?;
        }
        end_running(place, grace).await
    }

    /// Finds the programs that an earlier agent kept up, and keeps them up.
    pub async fn recover(self: &Arc<Self>, root: &Root) -> io::Result<()> {
        for (name, place) in root.components()? {
            let Some(kept) = read(&place)?.filter(|kept| kept.up) else { continue };
            let found = match launch::void(&runs(&place, kept.serial))? {
                Fate::StartedAs(process) if process.is_alive() => Some(process),
                Fate::StartedAs(_) | Fate::NeverStarted => None,
            };
            let unit = self.unit(&name);
            unit.set_version(Some(kept.service.version));
            *unit.watcher.lock().await = Some(self.watch(&name, &place, found));
        }
        Ok(())
    }

    /// Stops everything until the next agent starts it again.
    pub async fn pause_all(&self, root: &Root) -> io::Result<()> {
        let mut pauses = Vec::new();
        for (name, place) in root.components()? {
            let unit = self.unit(&name);
            pauses.push(async move {
                abort(&mut *unit.watcher.lock().await);
                let grace = read(&place)?.map_or(0, |kept| kept.service.stop_grace_seconds);
                end_running(&place, Duration::from_secs(grace.into())).await
            });
        }
        futures_util::future::try_join_all(pauses).await.map(drop)
    }

    /// The version that runs, or should.
    pub fn version(&self, name: &Name) -> Option<Version> {
        self.unit(name).version.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often the program was started again by itself.
    pub fn restarts(&self, name: &Name) -> u64 {
        self.unit(name).restarts.load(Ordering::SeqCst)
    }

    /// Whether the program has ended by itself and is not started again yet: then whoever answers in its place is another one.
    pub fn is_down(&self, name: &Name) -> bool {
        self.unit(name).is_down.load(Ordering::SeqCst)
    }

    /// The last line of the program that ended last, as the end of a sentence.
    pub fn last_words(&self, name: &Name) -> String {
        let unit = self.unit(name);
        let ends = unit.ends();
        words::quoted(Some(ends.last_words.as_str()).filter(|words| !words.is_empty()))
    }

    /// The programs that do not stay up.
    pub fn unsteady(&self) -> Vec<Unsteady> {
        let units = self.units.lock().unwrap_or_else(PoisonError::into_inner);
        units.iter().filter_map(|(name, unit)| unit.unsteady(name)).collect()
    }

    fn unit(&self, name: &Name) -> Arc<Unit> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner).entry(name.clone()).or_default().clone()
    }

    fn watch(self: &Arc<Self>, name: &Name, place: &Place, process: Option<Process>) -> AbortHandle {
        let (services, name, place) = (self.clone(), name.clone(), place.clone());
        tokio::spawn(async move { services.keep_up(&name, &place, process).await }).abort_handle()
    }

    /// Starts the program again whenever it ends, without end; aborted by who starts or stops it.
    async fn keep_up(&self, name: &Name, place: &Place, mut process: Option<Process>) {
        let unit = self.unit(name);
        let mut wait = Duration::ZERO;
        loop {
            if let Some(process) = process.take() {
                let began = Instant::now();
                watch_log_until(place, process.ended()).await;
                let words = words::last(&place.log(), unit.log_from.load(Ordering::SeqCst));
                unit.has_ended(words.as_deref().unwrap_or_default());
                if began.elapsed() >= STEADY {
                    wait = Duration::ZERO;
                }
                wait = (wait * 2).clamp(RESTART_FIRST, RESTART_LONGEST);
                tracing::warn!(component = %name, "{name} has ended and is started again in {} s{}", wait.as_secs(), words::quoted(words.as_deref()));
            }
            tokio::time::sleep(wait).await;
            let _held = unit.watcher.lock().await;
            unit.restarts.fetch_add(1, Ordering::SeqCst);
            process = match self.again(&unit, place).await {
                Ok(process) => {
                    unit.is_down.store(false, Ordering::SeqCst);
                    Some(process)
                }
                Err(error) => {
                    wait = (wait * 2).clamp(RESTART_FIRST, RESTART_LONGEST);
                    unit.has_ended(&format!("cannot be started: {error}"));
                    tracing::warn!(component = %name, "{name} cannot be started: {error}");
                    None
                }
            };
        }
    }

    async fn again(&self, unit: &Unit, place: &Place) -> io::Result<Process> {
        end_running(place, Duration::ZERO).await?;
        let mut kept = read(place)?.ok_or_else(|| io::Error::other("run.json is gone"))?;
        self.launch(unit, place, &mut kept).await
    }

    /// Starts what is kept, in a fresh launch folder, and waits until it has become the program.
    async fn launch(&self, unit: &Unit, place: &Place, kept: &mut Kept) -> io::Result<Process> {
        kept.serial += 1;
        kept.process = None;
        let folder = runs(place, kept.serial);
        launch::prepare(&folder, &Launch::Become { program: kept.service.program.clone(), dies_with: None })?;
        write(place, kept)?;
        if kept.serial > 1 {
            remove_runs_before(place, kept.serial)?;
        }
        let log = OpenOptions::new().append(true).create(true).mode(0o640).open(place.log())?;
        unit.log_from.store(log.metadata()?.len(), Ordering::SeqCst);
        let mut command = launch::command(&self.step_program, &folder);
        command.stdout(log.try_clone()?).stderr(log);
        let mut child = tokio::process::Command::from(command).spawn()?;
        crash::point();
        let begun = Instant::now();
        while launch::claimed_by(&folder)?.is_none() || launch::is_becoming(&folder) {
            let ended = child.try_wait()?;
            if ended.is_some() || begun.elapsed() > START {
                break;
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        if let Some(error) = launch::exec_error(&folder) {
            return Err(io::Error::other(error));
        }
        match launch::void(&folder)? {
            Fate::NeverStarted => Err(io::Error::other("it did not start in time")),
            Fate::StartedAs(process) => {
                kept.process = Some(process.clone());
                write(place, kept)?;
                Ok(process)
            }
        }
    }
}

impl Unit {
    fn set_version(&self, version: Option<Version>) {
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = version;
    }

    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_ends(&self) {
        self.is_down.store(false, Ordering::SeqCst);
        *self.ends() = Ends::default();
    }

    fn has_ended(&self, last_words: &str) {
        self.is_down.store(true, Ordering::SeqCst);
        let mut ends = self.ends();
        ends.lately.push_back(Instant::now());
        while ends.lately.len() > ENDS_MAX {
            ends.lately.pop_front();
        }
        last_words.clone_into(&mut ends.last_words);
    }

    fn unsteady(&self, component: &Name) -> Option<Unsteady> {
        let mut ends = self.ends();
        ends.lately.retain(|at| at.elapsed() < UNSTEADY);
        let last = ends.lately.back().filter(|last| ends.lately.len() > 1 && last.elapsed() < SETTLED)?;
        Some(Unsteady {
            component: component.clone(),
            ends: ends.lately.len() as u64,
            ended_seconds_ago: last.elapsed().as_secs(),
            is_down: self.is_down.load(Ordering::SeqCst),
            last_words: ends.last_words.clone(),
        })
    }
}

fn abort(watcher: &mut Option<AbortHandle>) {
    if let Some(watcher) = watcher.take() {
        watcher.abort();
    }
}

/// Ends what runs, with all that it started: soft signal, wait, hard signal. Whether something ran.
async fn end_running(place: &Place, grace: Duration) -> io::Result<bool> {
    let Some(kept) = read(place)? else { return Ok(false) };
    let Fate::StartedAs(process) = launch::void(&runs(place, kept.serial))? else { return Ok(false) };
    let ran = process.is_alive();
    if ran && !grace.is_zero() {
        process.signal_session(Signal::TERM);
        let _ = tokio::time::timeout(grace, process.ended()).await;
    }
    let clean = tokio::task::spawn_blocking(move || process.kill_session()).await.map_err(io::Error::other)?;
    if clean { Ok(ran) } else { Err(io::Error::other("processes of the old program cannot be ended")) }
}

fn read(place: &Place) -> io::Result<Option<Kept>> {
    durable::read_json(&place.folder().join("run.json"))
}

fn write(place: &Place, kept: &Kept) -> io::Result<()> {
    durable::write_json(&place.folder().join("run.json"), kept)
}

fn runs(place: &Place, serial: u64) -> PathBuf {
    place.folder().join("runs").join(serial.to_string())
}

fn remove_runs_before(place: &Place, serial: u64) -> io::Result<()> {
    for entry in fs::read_dir(place.folder().join("runs"))? {
        let entry = entry?;
        if entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok()).is_some_and(|number| number < serial) {
            durable::remove(&entry.path())?;
        }
    }
    Ok(())
}

async fn watch_log_until(place: &Place, ended: impl Future<Output = ()>) {
    tokio::pin!(ended);
    loop {
        let was_long = rotate(place).unwrap_or_else(|error| {
            tracing::warn!("{} cannot be kept short: {error}", place.log().display());
            false
        });
        tokio::select! {
            () = &mut ended => return,
            () = tokio::time::sleep(if was_long { LOG_LOOK_SOON } else { LOG_LOOK }) => {}
        }
    }
}

/// Keeps the end of a long log beside it and empties it; whether it was long. The program goes on writing to the same file, so
/// it needs no telling.
fn rotate(place: &Place) -> io::Result<bool> {
    let log = place.log();
    let is_long = fs::metadata(&log).is_ok_and(|about| about.len() > LOG_BYTES_MAX);
    if is_long {
        fs::write(log.with_extension("1"), words::end_of(&log, LOG_BYTES_MAX)?)?;
        OpenOptions::new().write(true).open(&log)?.set_len(0)?;
    }
    Ok(is_long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_log_that_grew_fast_only_the_end_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Root::open(folder.path()).expect("a root");
        let place = root.component(&Name::parse("ledger").expect("a name"));
        durable::make_folder(place.folder()).expect("its folder");
        fs::write(place.log(), "short").expect("written");
        assert!(!rotate(&place).expect("looked at"));
        let text = "x".repeat(3 * LOG_BYTES_MAX as usize) + "end";
        fs::write(place.log(), &text).expect("written");
        assert!(rotate(&place).expect("kept short"));
        assert_eq!(fs::metadata(place.log()).expect("the log").len(), 0);
        let kept = fs::read_to_string(place.log().with_extension("1")).expect("the end");
        assert!(kept.len() as u64 == LOG_BYTES_MAX && text.ends_with(&kept));
    }
}
