//! The orchestrator is stopped after each persisted transition of a canary over twelve targets, and always reaches the same end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::json;
use tidegate_domain::deployment::order::Outcome;
use tidegate_domain::deployment::rollout::Deployment;
use tidegate_domain::event::{Noun, Stream};
use tidegate_domain::{Id, Name};
use tidegate_server::app::App;
use tidegate_server::clock::Clock;
use tidegate_server::orchestrator;
use tidegate_testkit::{Behaviour, Estate, Fleet, TestServer};

const TARGETS: usize = 12;
/// Rounds after which a run that has not ended is called stuck.
const ROUNDS_MAX: usize = 400;

/// A deployment that is planned, verified before, and about to be started; copied for each run.
struct Stage {
    folder: PathBuf,
    deployment: Id,
    now_ms: i64,
}

fn names() -> Vec<Name> {
    (1..=TARGETS).map(|number| Name::parse(&format!("t-{number:02}")).expect("a name")).collect()
}

fn canary() -> serde_json::Value {
    json!({"cut": {"canary": {"first": 1, "then": ["25%"]}}, "after_each": [{"bake": {"at_least_seconds": 5}}],
        "after_first": [{"approval": {"question": "is the canary well?"}}]})
}

async fn stage(root: &Path) -> Stage {
    let folder = root.join("stage");
    let server = TestServer::at_rest(&folder).await;
    let estate = Estate::define(&server.admin, TARGETS).await;
    Fleet::enrol(&server.admin, &names()).await;
    estate.bring("1.0").await;
    estate.bring("1.1").await;
    let first = estate.deploy("1.0", json!({})).await;
    let mut fleet = Fleet::new(names(), |_| Outcome::Healthy);
    let (app, first) = (server.running.app.clone(), Id::parse(&first).expect("an id"));
    while !state(&app, &first).await.state.is_terminal() {
        orchestrator::round(&app).await.expect("a round");
        fleet.work(&app).await.expect("work");
    }
    let id = estate.deploy("1.1", canary()).await;
    let now_ms = app.now_ms();
    server.running.stop().await;
    Stage { folder, deployment: Id::parse(&id).expect("an id"), now_ms }
}

async fn state(app: &App, id: &Id) -> Deployment {
    app.store.load::<Deployment>(id.as_str()).await.expect("a read").expect("a deployment").value
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// One life of the server: until the end, or until the store stops it. Returns whether the end was reached.
async fn live(data: &Path, stage: &Stage, (clock, fleet): (&Arc<AtomicI64>, &mut Fleet), commits: Option<u64>) -> bool {
    let config = tidegate_server::Config {
        listen: ([127, 0, 0, 1], 0).into(),
        data: data.to_owned(),
        database: None,
        public_url: None,
        allow_commands: false,
        serving: tidegate_server::app::Serving::default(),
    };
    let app = tidegate_server::open(&config, Clock::Set(clock.clone()), config.listen).await.expect("it opens");
    app.store.stop_after(commits);
    let ended = drive(&app, stage, clock, fleet).await;
    app.store.stop_after(None);
    app.store.close().await;
    ended
}

async fn drive(app: &Arc<App>, stage: &Stage, clock: &AtomicI64, fleet: &mut Fleet) -> bool {
    for _ in 0..ROUNDS_MAX {
        // A round logs what a stopped store answers; the next look at the state tells whether it was the end.
        drop(orchestrator::round(app).await);
        drop(fleet.work(app).await);
        drop(approve(app, stage).await);
        clock.fetch_add(1_000, Ordering::SeqCst);
        let family = [stage.deployment.clone(), stage.deployment.fallback()];
        let mut over = true;
        for id in &family {
            let found = app.store.load::<Deployment>(id.as_str()).await.expect("a read");
            over &= found.is_none_or(|found| found.value.state.is_terminal());
        }
        if over {
            return true;
        }
        if app.store.is_stopped() {
            return false;
        }
    }
    panic!("stuck: {:?}", state(app, &stage.deployment).await);
}

/// A person who says yes whenever the gate asks.
async fn approve(app: &App, stage: &Stage) -> Result<(), tidegate_server::No> {
    use tidegate_domain::deployment::rollout::Command;
    use tidegate_domain::event::Actor;
    use tidegate_server::deployment::desk;
    let by = Name::parse("ada").expect("a name");
    let yes = Command::ApproveGate { gate: "0.after.0".into(), by: by.clone() };
    let with = desk::With { matches: |_| Ok(()), beside: Vec::new(), remember: |_: &_, _| None };
    desk::put(app, &stage.deployment, (Actor::Person(by), "test".into()), yes, with).await.map(|_| ())
}

/// The end of a run, as far as it must always be the same.
async fn end(data: &Path, stage: &Stage, clock: &Arc<AtomicI64>, fleet: &Fleet) -> String {
    let config = tidegate_server::Config {
        listen: ([127, 0, 0, 1], 0).into(),
        data: data.to_owned(),
        database: None,
        public_url: None,
        allow_commands: false,
        serving: tidegate_server::app::Serving::default(),
    };
    let app = tidegate_server::open(&config, Clock::Set(clock.clone()), config.listen).await.expect("it opens");
    let mut told = String::new();
    for id in [stage.deployment.clone(), stage.deployment.fallback()] {
        let Some(found) = app.store.load::<Deployment>(id.as_str()).await.expect("a read") else { continue };
        let it = found.value;
        told.push_str(&format!(
            "{} {} {:?}\n",
            if it.takes_back.is_some() { "back" } else { "forward" },
            it.state.as_str(),
            it.counts
        ));
        let events = app.store.events_of(&Stream::new(Noun::Deployment, &id), 0, 1_000).await.expect("a read");
        let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
        events.iter().for_each(|event| *kinds.entry(event.kind.as_str()).or_insert(0) += 1);
        told.push_str(&format!("{kinds:?}\n"));
    }
    let verified = app.store.verify().await.expect("a walk");
    told.push_str(&format!("history broken: {}\n", verified.broken.is_some()));
    // A second attempt for a target would be one effect more than in the run that nobody stopped.
    let mut effects = fleet.effects.clone();
    effects.sort();
    told.push_str(&format!("attempts: {}\n", effects.join(" ")));
    app.store.close().await;
    told
}

/// A run that is stopped after each commit that `stops` names, in turn.
async fn run(root: &Path, stage: &Stage, behaviour: Behaviour, mut stops: impl FnMut() -> Option<u64>) -> (String, u32) {
    let data = root.join("run");
    copy(&stage.folder, &data);
    let clock = Arc::new(AtomicI64::new(stage.now_ms));
    let mut fleet = Fleet::new(names(), behaviour);
    let mut lives = 1;
    while !live(&data, stage, (&clock, &mut fleet), stops()).await {
        lives += 1;
        assert!(lives < 500, "it never ends");
    }
    let told = end(&data, stage, &clock, &fleet).await;
    std::fs::remove_dir_all(&data).expect("removed");
    (told, lives)
}

async fn every_stop(behaviour: Behaviour, name: &str) {
    let root = tempfile::tempdir().expect("a folder");
    let stage = stage(root.path()).await;
    let (whole, _) = run(root.path(), &stage, behaviour, || None).await;
    // Every life gets one commit: the hardest run there is.
    let (told, lives) = run(root.path(), &stage, behaviour, || Some(1)).await;
    assert_eq!(told, whole, "{name}: stopped after each commit");
    assert!(lives > 10, "{name}: {lives} lives");
    // And once after each commit of a run that otherwise goes through.
    for stop in 1..u64::from(lives) {
        let mut first = Some(stop);
        let (told, _) = run(root.path(), &stage, behaviour, || first.take()).await;
        assert_eq!(told, whole, "{name}: stopped after commit {stop}");
    }
    assert!(whole.contains("history broken: false"), "{whole}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_a_good_canary_ends_the_same_wherever_the_orchestrator_is_stopped() {
    every_stop(|_| Outcome::Healthy, "good").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_a_bad_canary_falls_back_the_same_wherever_the_orchestrator_is_stopped() {
    let bad: Behaviour = |order| {
        let bad = order.target.as_str() == "t-02" && order.installations.iter().any(|it| it.version.as_str() == "1.1");
        if bad { Outcome::Failed } else { Outcome::Healthy }
    };
    every_stop(bad, "bad").await;
}
