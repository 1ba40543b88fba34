//! A fake fleet: each target answers each order after so many seconds, as the case says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidegate_domain::deployment::order::{Outcome, Report, StepReport, StepState, attempt_id};
use tidegate_domain::deployment::plan::{Plan, PlannedTarget};
use tidegate_domain::estate::{AllAttested, Attested, Class};
use tidegate_domain::{Id, Millis, Name};

use crate::world::{has, name};

/// What a target does with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Begins after 1 s and is healthy after as many more as asked.
    Well { seconds: u32 },
    /// Its last step fails.
    Fails,
    /// Never answers.
    Silent,
    /// Begins and never ends.
    Hangs,
    /// Is cut off at once and says that all went well when it is back.
    Late { seconds: u32 },
    /// Its `once` step began and nobody saw its end.
    Unsure,
    /// Says that it is healthy, with another package.
    Lies,
    /// Refuses the order.
    Refuses { seconds: u32 },
}

impl Manner {
    pub fn parse(text: &str) -> Manner {
        let (word, seconds) = text.split_once(':').unwrap_or((text, "2"));
        let seconds = seconds.parse().unwrap();
        match word {
            "well" | "slow" => Manner::Well { seconds },
            "fails" => Manner::Fails,
            "silent" => Manner::Silent,
            "hangs" => Manner::Hangs,
            "late" => Manner::Late { seconds },
            "unsure" => Manner::Unsure,
            "lies" => Manner::Lies,
            "refuses" => Manner::Refuses { seconds },
            other => panic!("no manner {other}"),
        }
    }
}

/// An order as the fleet gets it.
#[derive(Debug)]
pub struct Given<'a> {
    pub plan: &'a Plan,
    pub deployment: &'a Id,
    pub target: &'a Name,
    pub attempt: u32,
    pub generation: u64,
    pub start_at: usize,
}

/// The manners of all targets, one for each try, the last of which repeats; and what the targets really have.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    pub manners: BTreeMap<Name, Vec<Manner>>,
    /// From now on everything goes well.
    pub mended: bool,
    pub attested: AllAttested,
    /// Steps that have run to a good end and must not run twice, as the orchestrator was told.
    pub done_once: BTreeSet<(Name, usize)>,
}

impl Fleet {
    /// Reads `web-1: fails then well; web-2: silent`; whoever is not named is well.
    pub fn parse(text: &str) -> Fleet {
        let lines = text.split(';').map(str::trim).filter(|line| !line.is_empty());
        let manners = lines.map(|line| {
            let (target, manners) = line.split_once(": ").unwrap();
            (name(target), manners.split(" then ").map(Manner::parse).collect())
        });
        Fleet { manners: manners.collect(), ..Fleet::default() }
    }

    fn manner(&self, given: &Given<'_>) -> Manner {
        let manners = self.manners.get(given.target).filter(|_| !self.mended);
        let at = |manners: &Vec<Manner>| manners.get(given.attempt as usize - 1).or(manners.last()).copied();
        manners.and_then(at).unwrap_or(Manner::Well { seconds: 2 })
    }

    /// What the target will say to an order, and after how many milliseconds.
    pub fn answers(&mut self, given: &Given<'_>) -> Vec<(Millis, Report)> {
        let steps = planned_steps(given);
        self.never_twice(given, &steps);
        let begun = (1_000, report(given, Outcome::InProgress, steps_until(given, &steps, 0, StepState::Running)));
        let all = steps_until(given, &steps, steps.len(), StepState::Succeeded);
        let last = steps_until(given, &steps, steps.len() - 1, StepState::Failed);
        let healthy = Report { attested: self.now_has(given), ..report(given, Outcome::Healthy, all.clone()) };
        let end = |after_ms, outcome, steps, detail: &str| {
            (after_ms, Report { detail: Some(detail.to_owned()), ..report(given, outcome, steps) })
        };
        match self.manner(given) {
            Manner::Well { seconds } => vec![begun, (1_000 + i64::from(seconds) * 1_000, healthy)],
            Manner::Fails => vec![begun, end(3_000, Outcome::Failed, last, "step switch: no space left")],
            Manner::Silent => vec![],
            Manner::Hangs => vec![begun],
            Manner::Late { seconds } => vec![(i64::from(seconds) * 1_000, healthy)],
            Manner::Unsure => match steps.iter().position(|(_, class)| *class == Class::Once) {
                Some(once) if once >= given.start_at => {
                    let unknown = steps_until(given, &steps, once, StepState::Unknown);
                    vec![begun, end(3_000, Outcome::Unknown, unknown, "the agent was away while it ran")]
                }
                Some(_) | None => vec![begun, (3_000, healthy)],
            },
            Manner::Lies => vec![begun, (3_000, Report { attested: has("0.9"), ..report(given, Outcome::Healthy, all) })],
            Manner::Refuses { seconds } => {
                vec![end(i64::from(seconds) * 1_000, Outcome::Refused, vec![], "generation_low: generation 1 is below 7")]
            }
        }
    }

    fn now_has(&mut self, given: &Given<'_>) -> BTreeMap<Name, Attested> {
        let has = has(given.plan.installations[0].version.as_str());
        if !matches!(self.manner(given), Manner::Silent | Manner::Hangs | Manner::Fails | Manner::Lies | Manner::Refuses { .. }) {
            self.attested.insert(given.target.clone(), Arc::new(has.clone()));
        }
        has
    }

    /// A step that must not run twice is never ordered again once its good end was told.
    fn never_twice(&self, given: &Given<'_>, steps: &[(StepReport, Class)]) {
        for (step, class) in steps.iter().skip(given.start_at) {
            let done = self.done_once.contains(&(given.target.clone(), step.index));
            assert!(*class == Class::Idempotent || !done, "step {} of {} is ordered twice", step.name, given.target);
        }
    }

    /// Notes what the orchestrator was told.
    pub fn told(&mut self, target: &Name, steps: &[StepReport]) {
        let done = steps.iter().filter(|step| step.state == StepState::Succeeded && step.name == "migrate");
        self.done_once.extend(done.map(|step| (target.clone(), step.index)));
    }
}

fn planned_steps(given: &Given<'_>) -> Vec<(StepReport, Class)> {
    let target: &PlannedTarget = given.plan.targets().map(|(_, it)| it).find(|it| it.name == *given.target).unwrap();
    let report = |(index, (component, step)): (usize, (&Name, &tidegate_domain::estate::Step))| {
        let (component, name) = (component.clone(), step.name.clone());
        let state = StepState::Succeeded;
        (StepReport { index, component, name, state, exit_code: Some(0), took_ms: Some(1), detail: None }, step.class())
    };
    given.plan.steps_of(target).enumerate().map(report).collect()
}

/// The steps before `until` succeeded, the one at `until` is in `state`; those before the order's start are skipped, as agents do.
fn steps_until(given: &Given<'_>, steps: &[(StepReport, Class)], until: usize, state: StepState) -> Vec<StepReport> {
    let until = until.max(given.start_at);
    let reached = |index| if index == until { state } else { StepState::Succeeded };
    let state_of = |index| if index < given.start_at { StepState::Skipped } else { reached(index) };
    steps.iter().take(until + 1).map(|(step, _)| StepReport { state: state_of(step.index), ..step.clone() }).collect()
}

fn report(given: &Given<'_>, outcome: Outcome, steps: Vec<StepReport>) -> Report {
    let attempt = attempt_id(given.deployment, given.target, given.attempt);
    Report { attempt, generation: given.generation, outcome, steps, attested: has("1.0"), detail: None }
}
