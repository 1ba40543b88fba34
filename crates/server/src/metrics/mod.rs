//! What an operator counts, in the text form of Prometheus. Labels have few values, whoever asks for what.

pub mod api;
mod gather;
mod process;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tidegate_domain::{Code, Millis};
use tidegate_store::Store;

/// Upper ends of the steps in which answers are timed, in seconds; polls take up to half a minute.
const STEPS_SECONDS: [f64; 7] = [0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];

/// The first letter of each class of statuses names it.
const CLASSES: [&str; 6] = ["0xx", "1xx", "2xx", "3xx", "4xx", "5xx"];

type ByRoute = [(&'static str, String); 2];
type ByStatus = [(&'static str, String); 3];
type ByCode = [(&'static str, &'static str); 1];

/// What is counted while the server runs. The rest is read when somebody asks: `gather.rs`.
pub struct Metrics {
    registry: Registry,
    requests: Family<ByStatus, Counter>,
    seconds: Family<ByRoute, Histogram, fn() -> Histogram>,
    refusals: Family<ByCode, Counter>,
    rounds: Counter,
    rounds_failed: Counter,
    /// When the orchestrator last looked at everything.
    walked_at: Mutex<Instant>,
    /// When the history was last walked, and whether every hash held.
    verified: Mutex<Option<(Millis, bool)>>,
    /// How large the media library was when somebody last looked.
    media_bytes: tokio::sync::Mutex<Option<(Instant, u64)>>,
    started_at_ms: Millis,
}

impl Metrics {
    /// Nothing counted yet.
    pub fn new(store: &Store, now_ms: Millis) -> Metrics {
        let mut metrics = Metrics {
            registry: Registry::default(),
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(STEPS_SECONDS)),
            refusals: Family::default(),
            rounds: Counter::default(),
            rounds_failed: Counter::default(),
            walked_at: Mutex::new(Instant::now()),
            verified: Mutex::new(None),
            media_bytes: tokio::sync::Mutex::new(None),
            started_at_ms: now_ms,
        };
        // Each from the beginning, so that the first one is seen as an increase.
        for code in Code::ALL {
            drop(metrics.refusals.get_or_create(&[("code", code.as_str())]));
        }
        metrics.register();
        metrics.register_store(store);
        metrics
    }

    fn register(&mut self) {
        let it = &mut self.registry;
        it.register("tidegate_requests", "Answers, by method, route and class of status", self.requests.clone());
        it.register("tidegate_request_seconds", "Seconds to the head of an answer, by method and route", self.seconds.clone());
        it.register("tidegate_refusals", "Answers that say no, by code", self.refusals.clone());
        it.register("tidegate_orchestrator_rounds", "Looks at every deployment under way", self.rounds.clone());
        it.register("tidegate_orchestrator_rounds_failed", "Looks that a fault broke off", self.rounds_failed.clone());
    }

    fn register_store(&mut self, store: &Store) {
        let (it, telemetry) = (&mut self.registry, store.telemetry());
        it.register("tidegate_commits", "Commits that are on disk", telemetry.stored.clone());
        it.register("tidegate_commits_overtaken", "Commits that somebody else was faster than", telemetry.overtaken.clone());
        it.register("tidegate_commits_failed", "Commits that a fault kept from being acknowledged", telemetry.failed.clone());
        it.register("tidegate_commits_waiting", "Commits that wait or are being written", telemetry.waiting.clone());
        it.register("tidegate_commit_seconds", "Seconds from asking for a commit to its answer", telemetry.seconds.clone());
    }

    /// Counts an answer.
    pub fn answered(&self, (method, route): (&'static str, &str), status: u16, took: Duration, code: Option<&'static str>) {
        let class = CLASSES.get(usize::from(status / 100)).copied().unwrap_or(CLASSES[0]);
        let labels = [("method", method.to_owned()), ("route", route.to_owned())];
        self.seconds.get_or_create(&labels).observe(took.as_secs_f64());
        let [method, route] = labels;
        self.requests.get_or_create(&[method, route, ("status", class.to_owned())]).inc();
        if let Some(code) = code {
            self.refusals.get_or_create(&[("code", code)]).inc();
        }
    }

    /// Notes that the orchestrator has looked at everything.
    pub fn walked(&self) {
        self.rounds.inc();
        *self.walked_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Notes that it could not.
    pub fn stumbled(&self) {
        self.rounds_failed.inc();
    }

    /// Notes what a walk over the history has found.
    pub fn verified(&self, now_ms: Millis, good: bool) {
        *self.verified.lock().unwrap_or_else(PoisonError::into_inner) = Some((now_ms, good));
    }

    /// When the server was started.
    pub fn started_at_ms(&self) -> Millis {
        self.started_at_ms
    }

    fn idle(&self) -> Duration {
        self.walked_at.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    fn verification(&self) -> Option<(Millis, bool)> {
        *self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is read when somebody asks.
#[derive(Default)]
struct Readings(Registry);

impl Readings {
    /// One number.
    fn one(&mut self, name: &'static str, sense: &'static str, value: f64) {
        let gauge = Gauge::<f64, std::sync::atomic::AtomicU64>::default();
        gauge.set(value);
        self.0.register(name, sense, gauge);
    }

    /// A number for each value of one label.
    fn each(
        &mut self,
        (name, label): (&'static str, &'static str),
        sense: &'static str,
        rows: impl IntoIterator<Item = (String, f64)>,
    ) {
        let family = Family::<[(&'static str, String); 1], Gauge<f64, std::sync::atomic::AtomicU64>>::default();
        for (value, number) in rows {
            family.get_or_create(&[(label, value)]).set(number);
        }
        self.0.register(name, sense, family);
    }
}

/// Everything as text.
fn text(metrics: &Metrics, readings: &Readings) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    prometheus_text::encode(&mut text, &readings.0)?;
    prometheus_text::encode(&mut text, &metrics.registry)?;
    Ok(text)
}
