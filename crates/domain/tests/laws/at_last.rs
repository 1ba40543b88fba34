//! At last: when the faults stop, a deployment ends, or it waits on a person who can end it.

use proptest::prelude::*;
use tidegate_domain::Name;
use tidegate_domain::deployment::rollout::{Answer, Command, State, TargetState, Then};
use tidegate_domain::gate::WaitingOn;

use crate::play::{Act, Play};
use crate::random::case;
use crate::world::name;

/// How often a willing person may have to act; more means that the deployment goes round in circles.
const ACTS_MAX: usize = 60;

/// A person who always says what lets it go on.
struct Willing {
    acts: usize,
    /// What they say of steps in doubt.
    answer: Answer,
    /// Whether they rather take targets out than try again.
    excludes: bool,
}

impl Willing {
    /// Does what it waits on; the waiting has to name something that can be done.
    fn serve(&mut self, play: &mut Play, on: &WaitingOn) {
        self.acts += 1;
        assert!(self.acts < ACTS_MAX, "it is served again and again: {on:?}");
        let by = format!("person-{}", self.acts);
        match on {
            WaitingOn::Approval { .. } => Willing::approve(play, &by),
            WaitingOn::Inconclusive { .. } => Willing::decide_over(play, &by),
            WaitingOn::Resume { .. } => must(play, &Command::Resume { by }),
            WaitingOn::Answer { targets, .. } => self.answer(play, targets, &by),
            WaitingOn::Fallback { .. } => {
                let back = play.back().expect("the plan back has begun");
                let on = back.waiting().expect("the plan back has not ended").on;
                self.serve(back, &on);
            }
            WaitingOn::Request
            | WaitingOn::Schedule
            | WaitingOn::Admission { .. }
            | WaitingOn::Bake { .. }
            | WaitingOn::Measurement { .. }
            | WaitingOn::Window
            | WaitingOn::Freeze { .. }
            | WaitingOn::Targets { .. } => panic!("it waits for no person and for no time: {on:?}"),
        }
    }

    fn approve(play: &mut Play, by: &str) {
        let by = name(by);
        let keys: Vec<String> = play.live.open_gates(&play.plan).into_iter().map(|(key, _)| key).collect();
        let said = keys.into_iter().filter(|gate| play.ask(&Command::ApproveGate { gate: gate.clone(), by: by.clone() })).count();
        assert!(said > 0, "it waits for an approval that nobody can give");
    }

    fn decide_over(play: &mut Play, by: &str) {
        let keys: Vec<String> = play.live.open_gates(&play.plan).into_iter().map(|(key, _)| key).collect();
        let reason = "seen by eye".to_owned();
        let over = |gate: String| Command::OverrideGate { gate, by: by.to_owned(), reason: reason.clone() };
        let decided = keys.into_iter().filter(|gate| play.ask(&over(gate.clone()))).count();
        assert!(decided > 0, "it waits for a decision that nobody can make");
    }

    fn answer(&self, play: &mut Play, targets: &[Name], by: &str) {
        if play.live.state == State::Failing {
            return must(play, &Command::FallBack { by: by.to_owned(), reason: "all the same".into() });
        }
        let (by, reason) = (by.to_owned(), "seen by eye".to_owned());
        for target in targets.iter().cloned() {
            let in_doubt = play.live.targets[&target].state == TargetState::Unknown;
            let exclude = Command::Exclude { target: target.clone(), by: by.clone(), reason: reason.clone() };
            let answer = Command::Answer { target: target.clone(), answer: self.answer, by: by.clone() };
            let retry = Command::Retry { target: target.clone(), by: by.clone(), reason: reason.clone() };
            let ran = Command::Answer { target, answer: Answer::Ran, by: by.clone() };
            match (self.excludes, in_doubt) {
                (true, _) => must(play, &exclude),
                (false, true) => must(play, &answer),
                // Another try, or first the answer that it needs.
                (false, false) => assert!(play.ask(&retry) || play.ask(&ran), "neither another try nor an answer"),
            }
        }
    }
}

fn must(play: &mut Play, command: &Command) {
    assert!(play.ask(command), "refused: {command:?}\n{}", play.transcript());
}

fn ends(play: &mut Play, mut person: Willing) {
    play.act(Act::Mend);
    while let Some(waiting) = play.run() {
        person.serve(play, &waiting.on);
    }
    assert!(play.live.state.is_terminal(), "{}", play.transcript());
    play.replay();
}

fn willing() -> impl Strategy<Value = Willing> {
    let answer = prop::sample::select(vec![Answer::Ran, Answer::RunAgain, Answer::Failed]);
    (answer, any::<bool>()).prop_map(|(answer, excludes)| Willing { acts: 0, answer, excludes })
}

impl std::fmt::Debug for Willing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "answers {:?}, excludes: {}", self.answer, self.excludes)
    }
}

proptest! {
    #[test]
    fn it_waits_on_a_person_or_ends(case in case()) {
        let mut play = case.play();
        if let Some(waiting) = play.run() {
            let person = matches!(waiting.on, WaitingOn::Approval { .. } | WaitingOn::Inconclusive { .. } | WaitingOn::Resume { .. }
                | WaitingOn::Answer { .. } | WaitingOn::Fallback { .. });
            prop_assert!(person, "{waiting:?}\n{}", play.transcript());
        }
    }

    #[test]
    fn a_willing_person_brings_it_to_an_end(case in case(), person in willing()) {
        let mut play = case.play();
        play.run();
        ends(&mut play, person);
    }

    #[test]
    fn a_stop_always_works(case in case(), person in willing(), at_ms in 0_i64..200_000) {
        let stop = Command::Stop { by: "eve".into(), reason: "enough".into(), then: Then::Cancel };
        let mut play = case.play();
        play.script.retain(|(at, _)| *at < at_ms);
        play.run();
        let before = play.live.state;
        let stopped = play.ask(&stop);
        // While it goes back, the deployment that takes it back is the one to stop.
        prop_assert_eq!(stopped, !before.is_terminal() && before != State::FallingBack);
        ends(&mut play, person);
        prop_assert!(!stopped || play.live.state == State::Cancelled, "{:?}", play.live.state);
    }
}
