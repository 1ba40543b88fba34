//! Stories as text: a few lines in, a transcript out.

use serde_json::Value;
use tidegate_domain::Millis;
use tidegate_domain::admission::{Kind, Reason, ReasonCode};
use tidegate_domain::deployment::rollout::{Answer, Command, FreezeInForce, Then};
use tidegate_domain::gate::{Counters, Reading};

use crate::fleet::Fleet;
use crate::play::{Act, Play};
use crate::world::{Steps, id, name, plans, strategy};

/// What a story is told about.
#[derive(Debug, Clone)]
pub struct Story<'a> {
    pub strategy: Value,
    pub steps: Steps,
    pub count: usize,
    /// Targets that have the new version already.
    pub current: Vec<&'a str>,
    pub fleet: &'a str,
    pub back: &'a str,
    /// `error rate: 0/0 3/20 nodata`, in lines.
    pub readings: &'a str,
    /// `<seconds> <what> …`, in lines; see [`act`].
    pub script: &'a str,
}

impl<'a> Story<'a> {
    pub fn of(strategy: Value) -> Story<'a> {
        Story { strategy, steps: Steps::Plain, count: 2, current: vec![], fleet: "", back: "", readings: "", script: "" }
    }

    /// Plays it to where nothing more comes by itself.
    pub fn played(&self) -> Play {
        let plans = plans(&strategy(self.strategy.clone()), self.steps, self.count, &self.current);
        let mut play = Play::new(plans, Fleet::parse(self.fleet), Fleet::parse(self.back));
        for line in lines(self.readings) {
            let (name, readings) = line.split_once(": ").unwrap();
            play.readings.insert(name.to_owned(), readings.split(' ').map(reading).collect());
        }
        let script: Vec<_> = lines(self.script).map(timed).collect();
        if script.iter().any(|(_, act)| matches!(act, Act::Ask(Command::Start { .. }))) {
            play.script.clear();
        }
        // What is said of the world at an instant holds before anybody asks for anything at that instant.
        let (world, asked): (Vec<_>, Vec<_>) = script.into_iter().partition(|(_, act)| !matches!(act, Act::Ask(_)));
        play.script = world.into_iter().chain(std::mem::take(&mut play.script)).chain(asked).collect();
        play.run();
        play.replay();
        play
    }

    pub fn check(&self, expected: expect_test::Expect) {
        expected.assert_eq(&self.played().transcript());
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

fn reading(text: &str) -> Reading {
    match (text, text.split_once('/')) {
        ("nodata", _) => Reading::NoData,
        ("error", _) => Reading::Error("no answer within 10 s".into()),
        ("passed", _) => Reading::Checked { passed: 2, failed: 0, detail: String::new() },
        ("failed", _) => Reading::Checked { passed: 1, failed: 1, detail: "web-2 answered 503".into() },
        (_, Some((numerator, denominator))) => {
            let counters = Counters { numerator: numerator.parse().unwrap(), denominator: denominator.parse().unwrap() };
            Reading::Counters([("web-1".to_owned(), counters)].into())
        }
        (value, None) => Reading::Value(value.parse().unwrap()),
    }
}

fn timed(line: &str) -> (Millis, Act) {
    let (seconds, what) = line.split_once(' ').unwrap();
    (seconds.parse::<i64>().unwrap() * 1_000, act(what))
}

/// Reads one act, such as `pause ada: lunch`, `retry web-2 ada: disk cleaned`, `freeze autumn until 600`.
pub fn act(text: &str) -> Act {
    let (words, reason) = text.split_once(": ").unwrap_or((text, ""));
    let words: Vec<&str> = words.split(' ').collect();
    let reason = reason.to_owned();
    let by = || words[words.len() - 1].to_owned();
    match words.as_slice() {
        ["start"] => Act::Ask(Command::Start { by: "ada".into(), not_before_ms: None }),
        ["start", "at", seconds] => {
            Act::Ask(Command::Start { by: "ada".into(), not_before_ms: Some(seconds.parse::<i64>().unwrap() * 1_000) })
        }
        ["pause", _] => Act::Ask(Command::Pause { by: by(), reason }),
        ["resume", _] => Act::Ask(Command::Resume { by: by() }),
        ["stop", _] => Act::Ask(Command::Stop { by: by(), reason, then: Then::Cancel }),
        ["stop-and-back", _] => Act::Ask(Command::Stop { by: by(), reason, then: Then::FallBack }),
        ["back", _] => Act::Ask(Command::FallBack { by: by(), reason }),
        ["retry", target, _] => Act::Ask(Command::Retry { target: name(target), by: by(), reason }),
        ["exclude", target, _] => Act::Ask(Command::Exclude { target: name(target), by: by(), reason }),
        ["answer", target, answer, _] => Act::Ask(Command::Answer { target: name(target), answer: answered(answer), by: by() }),
        ["approve", gate, by] => Act::Ask(Command::ApproveGate { gate: (*gate).to_owned(), by: name(by) }),
        ["override", gate, _] => Act::Ask(Command::OverrideGate { gate: (*gate).to_owned(), by: by(), reason }),
        ["freeze", freeze, "until", seconds] => Act::Freeze(Some(FreezeInForce {
            id: id("FRZ-1"),
            name: (*freeze).to_owned(),
            until_ms: seconds.parse::<i64>().unwrap() * 1_000,
        })),
        ["thaw"] => Act::Freeze(None),
        ["rejected"] => Act::BackRejected(reason),
        ["admitted"] => Act::Admission(vec![]),
        ["unauthorised"] => Act::Admission(vec![obstacle(ReasonCode::ChangeMissing, Kind::Authorisation, reason)]),
        ["never"] => Act::Admission(vec![obstacle(ReasonCode::PlanStale, Kind::Never, reason)]),
        ["blocked", "until", seconds] => {
            let until_ms = Some(seconds.parse::<i64>().unwrap() * 1_000);
            Act::Admission(vec![Reason { until_ms, ..obstacle(ReasonCode::Freeze, Kind::Obstacle, reason) }])
        }
        other => panic!("no such act: {other:?}"),
    }
}

fn answered(text: &str) -> Answer {
    serde_json::from_value(Value::String(text.to_owned())).unwrap()
}

fn obstacle(code: ReasonCode, kind: Kind, text: String) -> Reason {
    Reason { code, kind, text, remedy: String::new(), until_ms: None }
}
