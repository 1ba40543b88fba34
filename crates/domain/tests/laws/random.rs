//! Random fleets, strategies, answers and people: what must never be never is.
//!
//! `play` asserts the laws event by event; this module makes the cases and lets them run.

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_domain::Millis;
use tidegate_domain::deployment::rollout::{Answer, Command, FreezeInForce, Then};
use tidegate_domain::deployment::strategy::Amount;
use tidegate_domain::gate::{Counters, Reading};

use crate::fleet::{Fleet, Manner};
use crate::play::{Act, Play};
use crate::world::{Steps, id, name, plans, strategy};

/// Everything a random play is made of.
#[derive(Debug, Clone)]
pub struct Case {
    strategy: Value,
    steps: Steps,
    count: usize,
    current: Vec<usize>,
    manners: Vec<Vec<Manner>>,
    back: Vec<Vec<Manner>>,
    readings: Vec<Reading>,
    script: Vec<(Millis, Act)>,
}

impl Case {
    pub fn play(&self) -> Play {
        let current: Vec<String> = self.current.iter().map(|number| format!("web-{number}")).collect();
        let current: Vec<&str> = current.iter().map(String::as_str).collect();
        let mut strategy = strategy(self.strategy.clone());
        if self.count < 2 {
            // One that must stay healthy is none that may be touched, which is refused when the plan is made.
            strategy.min_healthy = Amount::Count(0);
        }
        let plans = plans(&strategy, self.steps, self.count, &current);
        let mut play = Play::new(plans, fleet(&self.manners), fleet(&self.back));
        for gate in ["error rate", "smoke"] {
            play.readings.insert(gate.to_owned(), self.readings.clone());
        }
        play.script.extend(self.script.iter().cloned());
        play
    }
}

fn fleet(manners: &[Vec<Manner>]) -> Fleet {
    let manners = manners.iter().enumerate().map(|(index, manners)| (name(&format!("web-{}", index + 1)), manners.clone()));
    Fleet { manners: manners.collect(), ..Fleet::default() }
}

fn manner() -> impl Strategy<Value = Manner> {
    prop_oneof![
        6 => (0_u32..40).prop_map(|seconds| Manner::Well { seconds }),
        2 => Just(Manner::Fails),
        1 => Just(Manner::Silent),
        1 => Just(Manner::Hangs),
        1 => (1_u32..200).prop_map(|seconds| Manner::Late { seconds }),
        2 => Just(Manner::Unsure),
        1 => Just(Manner::Lies),
        1 => (1_u32..30).prop_map(|seconds| Manner::Refuses { seconds }),
    ]
}

fn manners() -> impl Strategy<Value = Vec<Vec<Manner>>> {
    prop::collection::vec(prop::collection::vec(manner(), 1..3), 0..6)
}

fn cut() -> impl Strategy<Value = Value> {
    let amount =
        || prop_oneof![(1_u32..4).prop_map(|count| json!(count)), (1_u32..=100).prop_map(|percent| json!(format!("{percent}%")))];
    prop_oneof![
        Just(json!("all_at_once")),
        prop::collection::vec(amount(), 0..3).prop_map(|batches| json!({"rolling": {"batches": batches}})),
        (amount(), prop::collection::vec(amount(), 0..2))
            .prop_map(|(first, then)| json!({"canary": {"first": first, "then": then}})),
    ]
}

fn gate() -> impl Strategy<Value = Value> {
    let source =
        json!({"endpoint": {"url": "http://web/metrics", "numerator": {"metric": "bad"}, "denominator": {"metric": "all"}}});
    let metric = move |no_data: &str, patience: u32| {
        json!({"metric": {"name": "error rate", "source": source, "at_most": 0.2, "measurements": 2, "no_data": no_data, "patience": patience,
            "interval_seconds": 300}})
    };
    let no_data = prop::sample::select(vec!["pass", "fail", "inconclusive"]);
    prop_oneof![
        (1_u32..3).prop_map(|quorum| json!({"approval": {"quorum": quorum}})),
        (1_u32..90).prop_map(|seconds| json!({"bake": {"at_least_seconds": seconds}})),
        (0_u32..2).prop_map(|failures| {
            json!({"check": {"name": "smoke", "probe": {"tcp": {"address": "web:80"}}, "times": 2, "failures_max": failures,
                "interval_seconds": 300}})
        }),
        (no_data, 1_u32..4).prop_map(move |(no_data, patience)| metric(no_data, patience)),
    ]
}

fn gates() -> impl Strategy<Value = Vec<Value>> {
    prop_oneof![3 => Just(vec![]), 2 => prop::collection::vec(gate(), 1..3)]
}

/// With a window now and then, closed from 00:10 to 00:40.
fn gates_and_window() -> impl Strategy<Value = Vec<Value>> {
    let window = json!({"window": {"from": "00:40", "until": "00:10"}});
    let window = prop_oneof![2 => Just(None), 1 => Just(Some(window))];
    (gates(), window).prop_map(|(gates, window)| gates.into_iter().chain(window).collect())
}

fn counters(numerator: f64, denominator: f64) -> Reading {
    Reading::Counters([("web-1".to_owned(), Counters { numerator, denominator })].into())
}

fn reading() -> impl Strategy<Value = Reading> {
    prop_oneof![
        4 => (0_u32..4, 0_u32..200).prop_map(|(bad, all)| counters(bad.into(), all.into())),
        3 => (0_u32..2).prop_map(|failed| Reading::Checked { passed: 2, failed, detail: "503".into() }),
        1 => (0.0..1.0).prop_map(Reading::Value),
        1 => Just(Reading::NoData),
        1 => Just(Reading::Error("no answer".into())),
        1 => Just(counters(f64::NAN, f64::INFINITY)),
    ]
}

fn person() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["ada", "bob", "eve"]).prop_map(str::to_owned)
}

fn command() -> impl Strategy<Value = Command> {
    let target = || (1_u32..6).prop_map(|number| name(&format!("web-{number}")));
    let gate =
        || (0_u32..3, prop::sample::select(vec!["before", "after"]), 0_u32..3).prop_map(|(w, side, g)| format!("{w}.{side}.{g}"));
    let then = prop::sample::select(vec![Then::FallBack, Then::FallBackAnyway, Then::Fail, Then::Cancel]);
    let answer = prop::sample::select(vec![Answer::Ran, Answer::RunAgain, Answer::Failed]);
    let reason = || Just("because".to_owned());
    prop_oneof![
        2 => (person(), reason()).prop_map(|(by, reason)| Command::Pause { by, reason }),
        3 => person().prop_map(|by| Command::Resume { by }),
        1 => (person(), reason(), then).prop_map(|(by, reason, then)| Command::Stop { by, reason, then }),
        1 => (person(), reason()).prop_map(|(by, reason)| Command::FallBack { by, reason }),
        4 => (target(), person(), reason()).prop_map(|(target, by, reason)| Command::Retry { target, by, reason }),
        2 => (target(), person(), reason()).prop_map(|(target, by, reason)| Command::Exclude { target, by, reason }),
        4 => (target(), answer, person()).prop_map(|(target, answer, by)| Command::Answer { target, answer, by }),
        4 => (gate(), person()).prop_map(|(gate, by)| Command::ApproveGate { gate, by: name(&by) }),
        2 => (gate(), person(), reason()).prop_map(|(gate, by, reason)| Command::OverrideGate { gate, by, reason }),
    ]
}

fn freeze() -> impl Strategy<Value = Vec<(Millis, Act)>> {
    let freeze = |(from, lasts): (i64, i64)| {
        let (from_ms, until_ms) = (from * 1_000, (from + lasts) * 1_000);
        let freeze = FreezeInForce { id: id("FRZ-1"), name: "autumn".into(), until_ms };
        vec![(from_ms, Act::Freeze(Some(freeze))), (until_ms, Act::Freeze(None))]
    };
    prop_oneof![2 => Just(vec![]), 1 => (0_i64..60, 1_i64..400).prop_map(freeze)]
}

fn script() -> impl Strategy<Value = Vec<(Millis, Act)>> {
    let asked = (0_i64..900, command()).prop_map(|(at, command)| (at * 1_000, Act::Ask(command)));
    (prop::collection::vec(asked, 0..8), freeze()).prop_map(|(asked, freeze)| asked.into_iter().chain(freeze).collect())
}

pub fn case() -> impl Strategy<Value = Case> {
    let gates = (gates_and_window(), gates(), gates_and_window());
    let max_failures = prop::sample::select(vec![json!(0), json!(1), json!(3), json!("50%")]);
    let bounds = (max_failures, 0_u32..2, prop_oneof![2 => Just(None), 1 => (5_u32..200).prop_map(Some)]);
    let strategy = (cut(), gates, bounds, prop::sample::select(vec!["fall_back", "stop"])).prop_map(
        |(cut, (before, after_first, after_each), (max_failures, min_healthy, deadline), on_failure)| {
            json!({"cut": cut, "before": before, "after_first": after_first, "after_each": after_each, "max_failures": max_failures,
                "min_healthy": min_healthy, "progress_deadline_seconds": deadline, "on_failure": on_failure})
        },
    );
    let steps = prop::sample::select(vec![Steps::Plain, Steps::Once, Steps::Irreversible]);
    let fleet = (0_usize..6, prop::collection::vec(1_usize..6, 0..2), manners(), manners());
    (strategy, steps, fleet, prop::collection::vec(reading(), 1..6), script()).prop_map(
        |(strategy, steps, (count, current, manners, back), readings, script)| Case {
            strategy,
            steps,
            count,
            current,
            manners,
            back,
            readings,
            script,
        },
    )
}

proptest! {
    #[test]
    fn what_must_never_be_never_is(case in case()) {
        let mut play = case.play();
        play.run();
        play.replay();
    }
}
