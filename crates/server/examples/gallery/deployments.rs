//! Deployments in every situation that a page must tell apart.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidegate_api::agent::LogChunk;
use tidegate_api::view::{DeploymentDetail, DeploymentView, GateState, GateView};
use tidegate_domain::admission::{Kind, Reason, ReasonCode};
use tidegate_domain::deployment::order::{StepReport, StepState};
use tidegate_domain::deployment::plan::Plan;
use tidegate_domain::deployment::rollout::{
    Birth, Deployment, Failure, Held, Pause, Phase, State, TargetProgress, TargetState, Then,
};
use tidegate_domain::deployment::strategy::Amount;
use tidegate_domain::event::{Actor, Noun};
use tidegate_domain::gate::{Gate, Measurement, Status, WaitingOn};
use tidegate_domain::{Id, Millis, Name};
use tidegate_server::web::page::deployment::{Asked, DeploymentPage};
use tidegate_server::web::page::{ChangeLink, List, ReleaseLink};

use crate::world::{self, DAY, HOUR, MINUTE, NOW, SECOND, bake, digest, error_rate, id, name};

const CANARY: [usize; 3] = [1, 3, 8];

fn born(of: &str, plan: &Plan) -> Deployment {
    let birth = Birth {
        id: id(of),
        plan,
        digest: digest(of),
        release: Some(id("REL-01k8q2")),
        change: Some(id("CHG-01k8q4")),
        requested_by: Actor::Person(name("alice")),
        takes_back: None,
    };
    let mut it = Deployment::new(birth, NOW - 20 * MINUTE);
    it.generation = 7;
    it.started_at_ms = Some(NOW - 6 * MINUTE);
    it.state = State::Running;
    it
}

/// Puts the targets of a wave into states, in order; the last state repeats.
fn put(it: &mut Deployment, wave: u32, states: &[TargetState]) {
    let of_wave = it.targets.values_mut().filter(|target| target.wave == wave).map(Arc::make_mut);
    for (index, target) in of_wave.enumerate() {
        let state = states[index.min(states.len() - 1)];
        target.state = state;
        if state != TargetState::Pending {
            target.attempt = 1;
            target.ordered_at_ms = Some(NOW - 300 * SECOND + i64::from(wave) * 45 * SECOND);
            target.changed_at_ms = target.ordered_at_ms.unwrap_or(NOW) + 8_400 + index as i64 * 700;
        }
    }
    it.counts = it.targets.values().fold(BTreeMap::new(), |mut counts, target| {
        *counts.entry(target.state).or_default() += 1;
        counts
    });
}

fn wait(it: &mut Deployment, on: WaitingOn, until_ms: Option<Millis>) {
    it.waiting = Some(Held { on, since_ms: NOW - 48 * SECOND, until_ms });
}

fn page_of(it: Deployment, plan: Plan, gates: Vec<GateView>) -> DeploymentPage {
    let sentence = it.waiting.as_ref().map_or_else(|| it.state.as_str().replace('_', " "), |held| held.on.sentence());
    let mut targets: Vec<Arc<TargetProgress>> = it.targets.values().cloned().collect();
    targets.sort_by_key(|target| target.wave);
    DeploymentPage {
        release: Some(ReleaseLink { id: id("REL-01k8q2"), application: name("ledger"), version: world::version("1.2") }),
        change: Some(ChangeLink { id: id("CHG-01k8q4"), title: "Ledger 1.2 in production".into() }),
        history: world::history(Noun::Deployment, it.id.as_str(), HISTORY),
        asked: Asked::default(),
        log: Vec::new(),
        detail: DeploymentDetail { deployment: it, plan: plan.into(), targets, gates, reasons: Vec::new(), sentence },
    }
}

const HISTORY: &[(&str, &str)] = &[
    ("", "measured 2 of 118 requests, 0.0169 (allowed at most 0.05)"),
    ("", "wave 2 is up: 3 healthy, 0 failed"),
    ("prod-03", "prod-03 is healthy"),
    ("prod-02", "prod-02 is healthy"),
    ("", "wave 2 began: 3 ordered, 0 already current"),
    ("", "gate error rate passed, error rate: 1 of 96 requests, 0.0104 (allowed at most 0.05)"),
    ("", "wave 1 began: 1 ordered, 0 already current"),
    ("", "admitted and started as generation 7"),
    ("alice", "alice asked to start it"),
    ("alice", "planned 12 targets in 3 waves as plan 6f1d0c2a"),
];

/// A gate as the server shows it.
fn gate(key: &str, of: &Gate, state: GateState, sentence: &str) -> GateView {
    let wave = key.split('.').next().and_then(|wave| wave.parse().ok()).unwrap_or(0);
    let kind = match of {
        Gate::Approval(_) => "approval",
        Gate::Bake(_) => "bake",
        Gate::Check(_) => "check",
        Gate::Metric(_) => "metric",
        Gate::Window(_) => "window",
    };
    let asking = state == GateState::Asking;
    GateView {
        key: key.into(),
        wave,
        kind: kind.into(),
        name: of.name(),
        condition: of.condition(),
        state,
        sentence: sentence.into(),
        since_ms: asking.then_some(NOW - 48 * SECOND),
        until_ms: (asking && kind == "bake").then_some(NOW + 72 * SECOND),
        measurements: Vec::new(),
        approvals: Vec::new(),
    }
}

/// Measurements five seconds apart, out of (bad, all) requests.
fn measured(counts: &[(u64, u64)]) -> Vec<Measurement> {
    let measurement = |(index, &(bad, all)): (usize, &(u64, u64))| {
        let value = bad as f64 / all as f64;
        let (status, word) = if value > 0.05 { (Status::Failed, ", but allowed") } else { (Status::Successful, " (allowed") };
        let close = if status == Status::Failed { "" } else { ")" };
        Measurement {
            at_ms: NOW - (counts.len() - index) as i64 * 5 * SECOND,
            status,
            value: Some(value),
            samples: all,
            detail: format!("{bad} of {all} requests, {value:.4}{word} at most 0.05{close}"),
        }
    };
    let first = Measurement {
        at_ms: NOW - (counts.len() as i64 + 1) * 5 * SECOND,
        status: Status::Inconclusive,
        value: None,
        samples: 0,
        detail: "first reading, counting from here".into(),
    };
    std::iter::once(first).chain(counts.iter().enumerate().map(measurement)).collect()
}

fn canary_gates(plan: &Plan) -> Vec<GateView> {
    let (bake, rate) = (&plan.waves[0].after[0], &plan.waves[0].after[1]);
    let mut gates = vec![
        gate("0.after.0", bake, GateState::Passed, "baked for 60 s and 214 requests"),
        gate("0.after.1", rate, GateState::Passed, "error rate: 1 of 96 requests, 0.0104 (allowed at most 0.05)"),
        gate("1.after.0", bake, GateState::Asking, "baking, 82 more requests needed"),
        gate("1.after.1", rate, GateState::Asking, "measuring error rate, 2 more good measurements needed"),
        gate("2.after.0", bake, GateState::Pending, ""),
        gate("2.after.1", rate, GateState::Pending, ""),
    ];
    gates[1].measurements = measured(&[(0, 22), (1, 41), (1, 58), (1, 71), (1, 84), (1, 96)]);
    gates[3].measurements = measured(&[(0, 31), (1, 62), (3, 90), (2, 118)]);
    gates
}

pub fn canary() -> DeploymentPage {
    let plan = world::plan("1.2", &CANARY, &[bake(60), error_rate()]);
    let mut it = born("DEP-01k8q7", &plan);
    put(&mut it, 0, &[TargetState::Healthy]);
    put(&mut it, 1, &[TargetState::Healthy]);
    (it.wave, it.phase) = (1, Phase::Verification);
    it.decided_by = vec!["error rate: 1 of 96 requests, 0.0104 (allowed at most 0.05)".into()];
    wait(&mut it, WaitingOn::Bake { samples_missing: 82 }, Some(NOW + 72 * SECOND));
    let gates = canary_gates(&plan);
    page_of(it, plan, gates)
}

pub fn fell_back() -> DeploymentPage {
    let plan = world::plan("1.2-bad", &CANARY, &[bake(60), error_rate()]);
    let mut it = born("DEP-01k8r1", &plan);
    put(&mut it, 0, &[TargetState::Healthy]);
    (it.state, it.phase) = (State::FellBack, Phase::Verification);
    it.ended_at_ms = Some(NOW - 40 * SECOND);
    let reason = "error rate: 19 of 64 requests, 0.2969, but allowed at most 0.05";
    it.failure = Some(Failure { reason: reason.into(), by: None, then: Then::FallBack, at_ms: NOW - 62 * SECOND });
    it.decided_by = vec![reason.into(), "falling back with DEP-01k8r1-FB took 22 s; 1 target has 1.1 again".into()];
    it.fallback = Some(it.id.fallback());
    let mut failed = gate("0.after.1", &plan.waves[0].after[1], GateState::Failed, reason);
    failed.measurements = measured(&[(1, 21), (19, 64)]);
    let passed = gate("0.after.0", &plan.waves[0].after[0], GateState::Pending, "");
    let mut page = page_of(it, plan, vec![passed, failed]);
    page.detail.sentence = "fell back".into();
    page
}

pub fn paused() -> DeploymentPage {
    let mut page = canary();
    let it = &mut page.detail.deployment;
    it.state = State::Paused;
    let reason = "support sees slow logins, looking".to_owned();
    it.pause = Some(Pause { by: "bob".into(), reason: reason.clone(), freeze: None, since_ms: NOW - 3 * MINUTE });
    wait(it, WaitingOn::Resume { by: "bob".into(), reason }, None);
    page.detail.sentence = "paused by bob: support sees slow logins, looking".into();
    page
}

pub fn question() -> DeploymentPage {
    let plan = world::plan("1.2", &CANARY, &[bake(60), error_rate()]);
    let mut it = born("DEP-01k8s3", &plan);
    put(&mut it, 0, &[TargetState::Healthy]);
    put(&mut it, 1, &[TargetState::Healthy, TargetState::Unknown, TargetState::InProgress]);
    (it.wave, it.phase, it.state) = (1, Phase::Targets, State::Paused);
    if let Some(target) = it.targets.get_mut(&name("prod-03")).map(Arc::make_mut) {
        target.steps = steps(StepState::Unknown);
        target.detail = Some("step migrate was running when the agent went away; it must not run twice".into());
    }
    let question = "did step migrate run?".to_owned();
    wait(&mut it, WaitingOn::Answer { targets: vec![name("prod-03")], question }, None);
    let gates = canary_gates(&plan).into_iter().filter(|gate| gate.wave == 0).collect();
    let mut page = page_of(it, plan, gates);
    page.asked.target = Some(name("prod-03"));
    page.log = log();
    page
}

pub fn refused() -> DeploymentPage {
    let plan = world::plan("1.2", &CANARY, &[bake(60), error_rate()]);
    let mut it = born("DEP-01k8t5", &plan);
    (it.state, it.generation, it.started_at_ms) = (State::AwaitingApproval, 0, None);
    let reasons = reasons();
    let sentences = reasons.iter().map(|reason| reason.text.clone()).collect();
    wait(&mut it, WaitingOn::Admission { reasons: sentences }, None);
    let mut page = page_of(it, plan, Vec::new());
    page.detail.sentence = "not admitted: 3 reasons".into();
    page.detail.reasons = reasons;
    page
}

/// Three reasons, one that time lifts.
pub fn reasons() -> Vec<Reason> {
    let reason = |code, kind, text: &str, remedy: &str, until_ms| Reason {
        code,
        kind,
        text: text.into(),
        remedy: remedy.into(),
        until_ms,
    };
    vec![
        reason(
            ReasonCode::ChangeUnauthorised,
            Kind::Authorisation,
            "change CHG-01k8q4 is awaiting authorisation",
            "get it authorised: 1 more approval",
            None,
        ),
        reason(
            ReasonCode::Freeze,
            Kind::Obstacle,
            "freeze \"Black Friday\" (FRZ-01k8) is in force in production: the busiest week of the year",
            "wait for its end, or ask for an exception",
            Some(NOW + 9 * DAY),
        ),
        reason(
            ReasonCode::SlotTaken,
            Kind::Obstacle,
            "DEP-01k8q7 is at work on ledger in production",
            "wait for its end, or stop it",
            None,
        ),
    ]
}

pub fn approval_gate() -> DeploymentPage {
    let mut plan = world::plan("1.2", &CANARY, &[bake(60)]);
    let approval = world::gate(serde_json::json!({"approval": {"quorum": 2, "question": "is support ready for the next wave?"}}));
    plan.waves[1].before = vec![approval.clone()];
    let mut it = born("DEP-01k8u1", &plan);
    put(&mut it, 0, &[TargetState::Healthy]);
    (it.wave, it.phase) = (1, Phase::Entry);
    let on = WaitingOn::Approval { missing: 1, question: "is support ready for the next wave?".into() };
    let sentence = on.sentence();
    wait(&mut it, on, None);
    let mut asked = gate("1.before.0", &approval, GateState::Asking, &sentence);
    asked.approvals = vec![name("alice")];
    let passed = gate("0.after.0", &plan.waves[0].after[0], GateState::Passed, "baked for 60 s");
    page_of(it, plan, vec![passed, asked])
}

pub fn one_target() -> DeploymentPage {
    let plan = world::plan("1.2", &CANARY, &[bake(60), error_rate()]);
    let mut it = born("DEP-01k8v9", &plan);
    put(&mut it, 0, &[TargetState::Healthy]);
    put(&mut it, 1, &[TargetState::Healthy]);
    put(
        &mut it,
        2,
        &[TargetState::Failed, TargetState::Healthy, TargetState::InProgress, TargetState::InProgress, TargetState::Ordered],
    );
    (it.wave, it.phase) = (2, Phase::Targets);
    if let Some(target) = it.targets.get_mut(&name("prod-05")).map(Arc::make_mut) {
        target.steps = steps(StepState::Failed);
        target.detail = Some("step migrate ended 1: no space left on device".into());
    }
    wait(&mut it, WaitingOn::Targets { count: 7 }, None);
    let gates = canary_gates(&plan).into_iter().filter(|gate| gate.wave == 0).collect();
    let mut page = page_of(it, plan, gates);
    page.asked.target = Some(name("prod-05"));
    page.log = log();
    page
}

fn steps(second: StepState) -> Vec<StepReport> {
    let step = |index, called: &str, state, took_ms| StepReport {
        index,
        component: name("ledger"),
        name: called.into(),
        state,
        exit_code: (state == StepState::Failed).then_some(1),
        took_ms,
        detail: (state == StepState::Failed).then(|| "no space left on device".into()),
    };
    vec![step(0, "unpack", StepState::Succeeded, Some(640)), step(1, "migrate", second, Some(2_310))]
}

fn log() -> Vec<LogChunk> {
    let text = "unpack: 4.0 MiB, 41 files into releases/1.2\nmigrate: opening data/ledger.db\nmigrate: 0007_accounts_index … 214 ms\nmigrate: 0008_split_entries …\n";
    let chunk = |(number, line): (usize, &str)| LogChunk {
        attempt: "DEP-01k8v9:prod-05:1".into(),
        number: number as u64,
        at_ms: NOW - 20 * SECOND,
        text: format!("{line}\n"),
    };
    text.lines().enumerate().map(chunk).collect()
}

pub fn ten_thousand() -> DeploymentPage {
    let sizes = [10, 90, 400, 1_000, 2_000, 2_500, 4_000];
    let mut plan = world::plan("1.2", &sizes, &[bake(600), error_rate()]);
    plan.max_failures = Amount::Count(100);
    let mut it = born("DEP-01k8w2", &plan);
    (0..4).for_each(|wave| put(&mut it, wave, &[TargetState::Healthy]));
    let mixed = [TargetState::Failed, TargetState::Unreachable, TargetState::AlreadyCurrent, TargetState::Unknown];
    let healthy = std::iter::repeat_n(TargetState::Healthy, 1_210);
    let moving = std::iter::repeat_n(TargetState::InProgress, 350).chain(std::iter::repeat_n(TargetState::Ordered, 200));
    let states: Vec<TargetState> = mixed.into_iter().chain(healthy).chain(moving).chain([TargetState::Pending]).collect();
    put(&mut it, 4, &states);
    (it.wave, it.phase) = (4, Phase::Targets);
    wait(&mut it, WaitingOn::Targets { count: 786 }, None);
    let (bake, rate) = (plan.waves[0].after[0].clone(), plan.waves[0].after[1].clone());
    let gates = (0..7).flat_map(|wave| {
        let (state, sentence) =
            if wave < 4 { (GateState::Passed, "baked for 600 s and 48 210 requests") } else { (GateState::Pending, "") };
        [gate(&format!("{wave}.after.0"), &bake, state, sentence), gate(&format!("{wave}.after.1"), &rate, state, "")]
    });
    let gates = gates.collect();
    page_of(it, plan, gates)
}

pub fn view(page: DeploymentPage) -> DeploymentView {
    DeploymentView { deployment: page.detail.deployment, reasons: page.detail.reasons, sentence: page.detail.sentence }
}

pub fn ended(of: &str, version: &str, ago_ms: Millis) -> DeploymentView {
    let plan = world::plan(version, &CANARY, &[]);
    let mut it = born(of, &plan);
    (0..3).for_each(|wave| put(&mut it, wave, &[TargetState::Healthy]));
    it.state = State::Succeeded;
    it.started_at_ms = Some(NOW - ago_ms - 4 * MINUTE);
    it.ended_at_ms = Some(NOW - ago_ms);
    DeploymentView { deployment: it, reasons: Vec::new(), sentence: "succeeded".into() }
}

pub fn list() -> List<DeploymentView> {
    world::list(vec![
        view(canary()),
        view(question()),
        view(refused()),
        view(paused()),
        view(fell_back()),
        ended("DEP-01k8a1", "1.1", 6 * DAY),
        ended("DEP-01k7z9", "1.0", 41 * DAY + HOUR),
    ])
}

/// The same deployment somewhere else.
pub fn elsewhere(mut view: DeploymentView, environment: &str) -> DeploymentView {
    view.deployment.environment = Name::parse(environment).expect("a name");
    view.deployment.id = Id::parse(&format!("{}-{}", view.deployment.id, &environment[..3])).expect("an id");
    view
}
