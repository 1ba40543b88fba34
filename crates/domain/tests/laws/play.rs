//! A play: one deployment from its start to its end, over a fake fleet, with a counter for a clock.
//!
//! Each event that comes out is checked against what must never be, written as JSON, read back, and taken in by a deployment that was
//! itself written and read back: whatever is not in the stored form cannot carry a decision.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidegate_domain::admission::Reason;
use tidegate_domain::deployment::order::Report;
use tidegate_domain::deployment::plan::{Plan, Plans};
use tidegate_domain::deployment::rollout::{
    Command, Deployment, Event, Evidence, FreezeInForce, Next, Side, State, TargetState, Waiting, gate_key,
};
use tidegate_domain::event::NewEvent;
use tidegate_domain::gate::{Reading, WaitingOn};
use tidegate_domain::{Code, Id, Millis, Name};

use crate::fleet::{Fleet, Given};
use crate::world::{born, id};

/// How often a deployment may have something to do at one instant without any news from outside.
const DO_MAX: usize = 40;
/// How long a play goes on without a person: longer than any gate can make it wait.
const LONGEST_MS: Millis = 2 * 86_400_000;

/// Something that comes from outside.
#[derive(Debug, Clone)]
pub enum Act {
    Ask(Command),
    Freeze(Option<FreezeInForce>),
    Admission(Vec<Reason>),
    /// What the way back would bring has been rejected.
    BackRejected(String),
    Mend,
}

/// One deployment on its way.
pub struct Play {
    pub plan: Plan,
    pub live: Deployment,
    pub log: Vec<(Millis, Event)>,
    pub lines: Vec<String>,
    pub now_ms: Millis,
    pub fleet: Fleet,
    pub readings: BTreeMap<String, Vec<Reading>>,
    pub script: Vec<(Millis, Act)>,
    /// What refusals there were.
    pub refused: Vec<Code>,
    back_plan: Option<Plan>,
    back_fleet: Fleet,
    back: Option<Box<Play>>,
    generation: u64,
    admission: Vec<Reason>,
    freeze: Option<FreezeInForce>,
    back_rejected: Option<String>,
    mail: BTreeMap<(Millis, usize), Report>,
    read: Vec<Report>,
    tickets: BTreeSet<String>,
    shown: String,
}

impl Play {
    pub fn new(plans: Plans, mut fleet: Fleet, back_fleet: Fleet) -> Play {
        let live = born(&plans.forward, id("DEP-1"), None, 0);
        fleet.attested =
            plans.forward.targets().map(|(_, target)| (target.name.clone(), Arc::new(target.from.clone()))).collect();
        let script = vec![(0, Act::Ask(Command::Start { by: "ada".into(), not_before_ms: None }))];
        Play { back_plan: plans.fallback, back_fleet, script, ..Play::of(plans.forward, live, fleet, 7) }
    }

    fn of(plan: Plan, live: Deployment, fleet: Fleet, generation: u64) -> Play {
        Play {
            plan,
            live,
            fleet,
            generation,
            log: Vec::new(),
            lines: Vec::new(),
            now_ms: 0,
            readings: BTreeMap::new(),
            script: Vec::new(),
            refused: Vec::new(),
            back_plan: None,
            back_fleet: Fleet::default(),
            back: None,
            admission: Vec::new(),
            freeze: None,
            back_rejected: None,
            mail: BTreeMap::new(),
            read: Vec::new(),
            tickets: BTreeSet::new(),
            shown: String::new(),
        }
    }

    /// Plays on until nothing more comes by itself; what it then waits on, if it is not over.
    pub fn run(&mut self) -> Option<Waiting> {
        let end_ms = self.now_ms + LONGEST_MS;
        self.turn_to(self.now_ms);
        loop {
            let waiting = self.settle();
            match self.next_instant(waiting.as_ref()) {
                Some(at_ms) if at_ms <= end_ms && !self.only_a_person_can(waiting.as_ref()) => self.turn_to(at_ms),
                Some(_) | None => return waiting,
            }
        }
    }

    /// Whether it would go on measuring while it waits for somebody, and nobody has anything to say.
    fn only_a_person_can(&self, waiting: Option<&Waiting>) -> bool {
        let on = waiting.map(|waiting| &waiting.on);
        let person = matches!(on, Some(WaitingOn::Approval { .. } | WaitingOn::Inconclusive { .. }));
        person && self.script.is_empty() && self.mail.is_empty()
    }

    fn turn_to(&mut self, at_ms: Millis) {
        self.now_ms = at_ms;
        self.freeze = self.freeze.take().filter(|freeze| at_ms < freeze.until_ms);
        if let Some(back) = &mut self.back {
            back.now_ms = at_ms;
        }
        self.deliver();
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.script).into_iter().partition(|(at, _)| *at <= at_ms);
        self.script = later;
        for (_, act) in due {
            self.act(act);
            self.settle();
        }
    }

    pub fn act(&mut self, act: Act) {
        match act {
            Act::Ask(command) => {
                self.ask(&command);
            }
            Act::Freeze(freeze) => {
                let word =
                    freeze.as_ref().map_or("no freeze holds it".to_owned(), |it| format!("freeze \"{}\" is in force", it.name));
                self.say(&format!("({word})"));
                self.freeze = freeze;
            }
            Act::Admission(reasons) => self.admission = reasons,
            Act::BackRejected(what) => self.back_rejected = Some(what),
            Act::Mend => {
                let back = self.back.as_mut().map(|back| &mut back.fleet);
                [&mut self.fleet, &mut self.back_fleet].into_iter().chain(back).for_each(|fleet| fleet.mended = true);
            }
        }
    }

    /// Asks for something; whether it was let.
    pub fn ask(&mut self, command: &Command) -> bool {
        match self.live.decide(&self.plan, command, self.now_ms) {
            Ok(events) => {
                self.take_all(events);
                true
            }
            Err(refusal) => {
                self.say(&format!("refused, {}: {refusal}", refusal.code));
                self.refused.push(refusal.code);
                false
            }
        }
    }

    fn deliver(&mut self) {
        if let Some(back) = &mut self.back {
            back.deliver();
        }
        self.settle_back();
        let later = self.mail.split_off(&(self.now_ms + 1, 0));
        for report in std::mem::replace(&mut self.mail, later).into_values() {
            self.ask(&Command::Report(Box::new(report.clone())));
            self.read.push(report);
            self.nothing_is_news_twice();
            self.settle();
        }
    }

    /// Whatever was read before says nothing when it comes again, and neither does another generation's word.
    fn nothing_is_news_twice(&mut self) {
        let other = self.read.last().map(|report| Report { generation: report.generation + 1, ..report.clone() });
        for report in self.read.iter().chain(&other) {
            let again = self.live.decide(&self.plan, &Command::Report(Box::new(report.clone())), self.now_ms).unwrap();
            assert_eq!(again, Vec::new(), "a repeated report is news: {report:?}");
        }
    }

    /// Does what is due at this instant.
    pub fn settle(&mut self) -> Option<Waiting> {
        for _ in 0..DO_MAX {
            let waiting = self.push_on();
            self.settle_back();
            let waiting = waiting?;
            if !self.measure() && self.push_on_is_idle() {
                self.show(&waiting);
                self.live.note_waiting(&waiting.on, waiting.until_ms, self.now_ms);
                return Some(waiting);
            }
        }
        panic!("it never comes to rest at {} ms in {:?}: {:?}", self.now_ms, self.live.state, self.log.last());
    }

    fn push_on_is_idle(&self) -> bool {
        matches!(self.next(), Next::Wait(_))
    }

    /// Advances until there is nothing to do.
    fn push_on(&mut self) -> Option<Waiting> {
        for _ in 0..DO_MAX {
            match self.next() {
                Next::Do(events) => {
                    assert!(!events.is_empty(), "there is something to do, but nothing happens");
                    self.take_all(events);
                }
                Next::Wait(waiting) => {
                    assert!(!waiting.on.sentence().trim().is_empty(), "it waits in silence");
                    assert!(!self.live.state.is_terminal());
                    return Some(waiting);
                }
                Next::Over => {
                    assert!(self.live.state.is_terminal(), "over in {:?}", self.live.state);
                    return None;
                }
            }
        }
        panic!("it does things without end in {:?}: {:?}", self.live.state, self.log.last());
    }

    fn next(&self) -> Next {
        let evidence = Evidence {
            admission: &self.admission,
            generation_next: self.generation,
            attested: &self.fleet.attested,
            freeze: self.freeze.as_ref(),
            fallback: self.back.as_ref().map(|back| back.live.state),
            back_rejected: self.back_rejected.as_deref(),
        };
        self.live.advance(&self.plan, &evidence, self.now_ms)
    }

    fn settle_back(&mut self) {
        if let Some(back) = &mut self.back {
            back.settle();
            let lines = back.lines.drain(..).map(|line| format!("{}  | {}", &line[..5], &line[7..]));
            self.lines.extend(lines);
        }
    }

    /// Takes the readings that are due; whether there were any.
    fn measure(&mut self) -> bool {
        let due = self.live.due_probes(&self.plan, self.now_ms).into_iter();
        let due: Vec<(String, String, Millis)> = due.map(|probe| (probe.key, probe.gate.name(), probe.since_ms)).collect();
        for (gate, name, since_ms) in &due {
            let reading = self.reading(name);
            let command = Command::Measured { gate: gate.clone(), since_ms: *since_ms, reading };
            self.ask(&command);
            let again = self.live.decide(&self.plan, &command, self.now_ms).unwrap();
            assert_eq!(again, Vec::new(), "a repeated reading is news");
        }
        !due.is_empty()
    }

    fn reading(&mut self, name: &str) -> Reading {
        match self.readings.get_mut(name) {
            Some(readings) if readings.len() > 1 => readings.remove(0),
            Some(readings) => readings[0].clone(),
            None => Reading::Checked { passed: 1, failed: 0, detail: String::new() },
        }
    }

    fn next_instant(&self, waiting: Option<&Waiting>) -> Option<Millis> {
        let back = self.back.as_ref().and_then(|back| back.next_instant(back.waiting().as_ref()));
        let script = self.script.iter().map(|(at_ms, _)| (*at_ms).max(self.now_ms));
        let mail = self.mail.keys().next().map(|(at_ms, _)| *at_ms);
        let look = waiting.and_then(|waiting| waiting.look_at_ms);
        if let Some(at_ms) = look {
            assert!(at_ms > self.now_ms, "it looks again at once, without end: {waiting:?}");
        }
        script.chain(mail).chain(look).chain(back).min()
    }

    /// The deployment that takes this one back, if it has begun.
    pub fn back(&mut self) -> Option<&mut Play> {
        self.back.as_deref_mut()
    }

    pub fn waiting(&self) -> Option<Waiting> {
        match self.next() {
            Next::Wait(waiting) => Some(waiting),
            Next::Do(_) | Next::Over => None,
        }
    }

    fn take_all(&mut self, events: Vec<Event>) {
        for event in events {
            self.take(event);
        }
    }

    fn take(&mut self, event: Event) {
        self.must_never_be(&event);
        let stored = NewEvent::of(&event);
        let mut body = stored.body;
        body.as_object_mut().unwrap().insert("kind".into(), stored.kind.into());
        assert_eq!(serde_json::from_value::<Event>(body).unwrap(), event, "an event is not what was stored");
        self.say(&event.describe());
        self.live.apply(&event, self.now_ms);
        self.log.push((self.now_ms, event.clone()));
        self.stored_and_read();
        self.counts_are_the_targets();
        self.carry_out(&event);
    }

    /// The deployment as it comes back from the store.
    fn stored_and_read(&mut self) {
        let stored = serde_json::to_string(&self.live).unwrap();
        let rows = serde_json::to_string(&self.live.targets).unwrap();
        let mut read: Deployment = serde_json::from_str(&stored).unwrap();
        read.targets = serde_json::from_str(&rows).unwrap();
        assert_eq!(read, self.live, "a deployment is not what was stored");
        self.live = read;
    }

    fn counts_are_the_targets(&self) {
        for state in TargetState::ALL {
            let counted = self.live.targets.values().filter(|progress| progress.state == state).count();
            assert_eq!(self.live.count(state) as usize, counted, "the count of {state:?}");
        }
    }

    /// What the event makes the world do.
    fn carry_out(&mut self, event: &Event) {
        match event {
            Event::WaveStarted { ordered, .. } => ordered.iter().for_each(|it| self.order(&it.target, &it.attempt)),
            Event::TargetRetried { target, attempt, .. } => self.order(target, attempt),
            Event::TargetReported { target, steps, .. } => self.fleet.told(target, steps),
            Event::FallbackStarted { deployment } => self.begin_back(deployment),
            _ => {}
        }
    }

    fn order(&mut self, target: &Name, ticket: &str) {
        assert!(self.tickets.insert(ticket.to_owned()), "ticket {ticket} was used before");
        assert!(self.live.generation > 0, "an order of generation 0");
        let progress = &self.live.targets[target];
        let given = Given {
            plan: &self.plan,
            deployment: &self.live.id,
            target,
            attempt: progress.attempt,
            generation: self.live.generation,
            start_at: progress.start_at,
        };
        for (after_ms, report) in self.fleet.answers(&given) {
            self.mail.insert((self.now_ms + after_ms, self.mail.len() + self.read.len() + self.tickets.len() * 1_000), report);
        }
    }

    fn begin_back(&mut self, deployment: &Id) {
        let plan = self.back_plan.clone().expect("a plan back");
        assert_eq!(Some(plan.digest()), self.plan.fallback, "the plan back is the one that was planned");
        let live = born(&plan, deployment.clone(), Some(self.live.id.clone()), self.now_ms);
        let fleet = Fleet { attested: self.fleet.attested.clone(), ..self.back_fleet.clone() };
        let mut back = Play::of(plan, live, fleet, self.generation + 1);
        back.now_ms = self.now_ms;
        assert!(back.ask(&Command::Start { by: "tidegate".into(), not_before_ms: None }));
        self.back = Some(Box::new(back));
    }

    fn must_never_be(&self, event: &Event) {
        let live = &self.live;
        let ordered: Vec<&Name> = match event {
            Event::WaveStarted { wave, ordered, .. } => {
                self.gates_passed_before(*wave);
                self.enough_stay_healthy(ordered.len());
                ordered.iter().map(|it| &it.target).collect()
            }
            Event::TargetRetried { target, .. } => vec![target],
            Event::Succeeded { empty } => {
                self.every_target_has_it(*empty);
                vec![]
            }
            _ => vec![],
        };
        let failing = matches!(live.state, State::Failing | State::FallingBack) || live.state.is_terminal();
        assert!(ordered.is_empty() || !failing, "an order in {:?}", live.state);
        let held = live.pause.as_ref().is_some_and(|pause| pause.freeze.is_some());
        assert!(ordered.is_empty() || !held, "an order while a freeze holds it");
        for target in ordered {
            assert!(!live.targets[target].state.is_in_flight(), "a second order for {target} while one is out");
        }
    }

    /// Whoever is neither failed nor at work counts as healthy: it runs what it ran.
    fn enough_stay_healthy(&self, ordered: usize) {
        let out = (self.live.failures() + self.live.in_flight()) as usize + ordered;
        let fleet = self.live.targets.values().filter(|it| it.state != TargetState::Excluded).count();
        let least = self.plan.min_healthy.minimum_of(fleet);
        assert!(ordered == 0 || fleet - out >= least, "{out} of {fleet} are out, and {least} must stay");
    }

    fn gates_passed_before(&self, wave: u32) {
        let mut keys: Vec<String> = keys(wave, Side::Before, &self.plan.waves[wave as usize].before);
        if let Some(before) = wave.checked_sub(1) {
            keys.extend(self::keys(before, Side::After, &self.plan.waves[before as usize].after));
            assert!(
                self.log.iter().any(|(_, event)| *event == Event::WaveCompleted { wave: before }),
                "wave {before} is not complete"
            );
        }
        // A target that tried again in between has its gates asked anew, but for what a person decided.
        let up = self.log.iter().rposition(|(_, event)| matches!(event, Event::WaveHealthy { .. })).unwrap_or(0);
        for key in keys {
            let passed = |(at, event): (usize, &Event)| match event {
                Event::GateClosed { gate, passed: true, by, .. } => *gate == key && (at >= up || by.is_some()),
                _ => false,
            };
            // It may pass in the same breath, before the wave.
            let found = self.log.iter().map(|(_, event)| event).enumerate().any(passed);
            assert!(found, "wave {wave} begins before gate {key} passed");
        }
    }

    fn every_target_has_it(&self, empty: bool) {
        let mut good = 0;
        for progress in self.live.targets.values().filter(|it| it.state != TargetState::Excluded) {
            assert!(matches!(progress.state, TargetState::Healthy | TargetState::AlreadyCurrent), "succeeded with {progress:?}");
            let planned = self.plan.targets().find(|(_, it)| it.name == progress.target).unwrap().1;
            assert!(
                self.plan.is_current(planned, self.fleet.attested.get(&progress.target).map(Arc::as_ref)),
                "{} has it not",
                progress.target
            );
            good += 1;
        }
        assert_eq!(empty, good == 0, "success without a target is flagged");
    }

    fn say(&mut self, what: &str) {
        self.lines.push(format!("{:>5}  {what}", self.now_ms / 1_000));
    }

    fn show(&mut self, waiting: &Waiting) {
        let until = waiting.until_ms.map(|at_ms| format!(", until {}", at_ms / 1_000)).unwrap_or_default();
        let line = format!("… {}{until}", waiting.on.sentence());
        if self.shown != line {
            self.say(&line);
            self.shown = line;
        }
    }

    /// The transcript, with how it ended.
    pub fn transcript(&self) -> String {
        format!("{}\n= {}", self.lines.join("\n"), self.live.state.as_str())
    }

    /// A fresh deployment that takes in what was recorded is the one that lived.
    pub fn replay(&self) {
        let mut fresh = born(&self.plan, self.live.id.clone(), self.live.takes_back.clone(), self.live.created_at_ms);
        self.log.iter().for_each(|(at_ms, event)| fresh.apply(event, *at_ms));
        assert_eq!(Deployment { waiting: None, ..fresh }, Deployment { waiting: None, ..self.live.clone() });
    }
}

fn keys<T>(wave: u32, side: Side, gates: &[T]) -> Vec<String> {
    (0..gates.len()).map(|index| gate_key(wave, side, index)).collect()
}
