//! Deployments as the domain lets them go, over targets that answer at once.

use std::sync::Arc;

use tidegate_domain::deployment::order::{Outcome, Report, StepReport, StepState, attempt_id};
use tidegate_domain::deployment::plan::{self, Choice, Ingredients, Plan, Plans, Ticket};
use tidegate_domain::deployment::rollout::{Birth, Command, Deployment, Event, Evidence, Next, State, TargetProgress, Then};
use tidegate_domain::deployment::strategy::Strategy;
use tidegate_domain::estate::{AllAttested, SlotEvent, Target};
use tidegate_domain::event::{Actor, NewEvent, Noun, Stream};
use tidegate_domain::{Id, Millis, Name, canonical};
use tidegate_store::{OrderRow, OrderState, Record as _, RecordRow, StreamChange, TargetRow};

use crate::world::{APPLICATIONS, World, artifact, attests, by, moved, person};

/// What a target takes.
const TARGET_MS: Millis = 20_000;

/// How a deployment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Succeeds,
    Fails,
    IsCancelled,
    StaysPlanned,
    StaysScheduled,
    StaysPaused,
}

/// One to be made.
pub struct Wish<'a> {
    pub id: Id,
    /// The number of its application.
    pub application: usize,
    /// The number of the release whose versions it brings.
    pub version: usize,
    pub environment: &'a Name,
    pub targets: &'a [Target],
    pub release: Option<Id>,
    pub change: Option<Id>,
    pub strategy: &'a Strategy,
    pub at_ms: Millis,
    pub end: End,
}

/// A deployment on its way.
struct Play<'a> {
    plan: &'a Plan,
    live: Deployment,
    events: Vec<NewEvent>,
    at_ms: Millis,
    attested: AllAttested,
    generation: u64,
    /// How far the way back is.
    fallback: Option<State>,
}

/// The plan of a wish, with the way back to what was verified before.
pub fn plans(world: &World, wish: &Wish<'_>) -> Plans {
    let components = &world.components[wish.application];
    let artifacts = |release: usize| components.each_ref().map(|component| artifact(component, release, wish.at_ms));
    let now = artifacts(wish.version);
    let place = (wish.environment.clone(), world.applications[wish.application].clone());
    let verified = world.slots.get(&place).and_then(|(slot, _)| slot.newest().next().map(|_| ()));
    let before = verified.and_then(|()| wish.version.checked_sub(APPLICATIONS)).map(artifacts);
    let chosen = |artifacts| components.iter().zip(artifacts).map(|(component, artifact)| Choice { component, artifact });
    let from = before.iter().flatten().map(|it| (it.component.clone(), attests(&it.version, &it.digest))).collect();
    let ingredients = Ingredients {
        environment: world.environment(wish.environment),
        forward: chosen(&now).collect(),
        back: before.as_ref().map(|it| chosen(it).collect()).ok_or_else(|| "nothing of this was verified here before".into()),
        strategy: wish.strategy,
        targets: wish.targets.iter().map(|target| (target, &from)).collect(),
    };
    plan::make(&ingredients).expect("a plan")
}

/// Lets a deployment go: the changes of its own stream and of its place's.
pub fn carried_out(world: &mut World, wish: &Wish<'_>, plans: &Plans, with_slot: bool) -> Vec<StreamChange> {
    let generation = world.slot(wish.environment, &plans.forward.application).0.generation + 1;
    let birth = Birth {
        id: wish.id.clone(),
        plan: &plans.forward,
        digest: plans.forward.digest(),
        release: wish.release.clone(),
        change: None,
        requested_by: person("dora"),
        takes_back: None,
    };
    let live = Deployment::new(birth, wish.at_ms);
    let attested = plans.forward.targets().map(|(_, target)| (target.name.clone(), Arc::new(target.from.clone()))).collect();
    let mut play =
        Play { plan: &plans.forward, live, events: Vec::new(), at_ms: wish.at_ms, attested, generation, fallback: None };
    play.go(wish);
    let mut own = moved(Stream::new(Noun::Deployment, &wish.id), 0, play.events, Some(RecordRow::of(&play.live)));
    own.targets = play.live.targets.values().map(|it| row(&wish.id, it)).collect();
    own.orders = play.live.targets.values().filter_map(|it| order(&play.live, &plans.forward, it)).collect();
    let mut changes = vec![own];
    changes.extend(place(world, &play.live, &plans.forward, with_slot));
    changes
}

impl Play<'_> {
    fn go(&mut self, wish: &Wish<'_>) {
        let deployment = &self.live;
        let planned = Event::Planned {
            plan: deployment.plan.clone(),
            fallback_plan: deployment.fallback_plan.clone(),
            versions: deployment.versions.clone(),
            targets: deployment.size,
            waves: deployment.waves,
        };
        self.take(&[planned], &person("dora"));
        if let Some(change) = &wish.change {
            self.ask(&Command::AttachChange { change: change.clone() }, &person("dora"));
        }
        match wish.end {
            End::StaysPlanned => return,
            End::IsCancelled => {
                let stop = Command::Stop { by: "dora".into(), reason: "not needed any more".into(), then: Then::Cancel };
                return self.ask(&stop, &person("dora"));
            }
            End::Succeeds | End::Fails | End::StaysScheduled | End::StaysPaused => {}
        }
        let not_before_ms = (wish.end == End::StaysScheduled).then_some(wish.at_ms + 5 * 86_400_000);
        self.ask(&Command::Start { by: "dora".into(), not_before_ms }, &person("dora"));
        match wish.end {
            End::StaysScheduled => {}
            End::StaysPaused => {
                self.advance();
                self.ask(&Command::Pause { by: "dora".into(), reason: "we look at it first".into() }, &person("dora"));
            }
            _ => self.play_out(wish.end),
        }
    }

    /// Whether there was something to do.
    fn advance(&mut self) -> bool {
        let evidence = Evidence {
            admission: &[],
            generation_next: self.generation,
            attested: &self.attested,
            freeze: None,
            fallback: self.fallback,
            back_rejected: None,
        };
        match self.live.advance(self.plan, &evidence, self.at_ms) {
            Next::Do(events) => {
                self.take(&events, &Actor::System);
                true
            }
            Next::Wait(_) | Next::Over => false,
        }
    }

    fn play_out(&mut self, end: End) {
        loop {
            while self.advance() {}
            let at_work: Vec<Name> =
                self.live.targets.values().filter(|it| it.state.is_in_flight()).map(|it| it.target.clone()).collect();
            if at_work.is_empty() {
                break;
            }
            self.at_ms += TARGET_MS;
            for target in at_work {
                let outcome = if end == End::Fails { Outcome::Failed } else { Outcome::Healthy };
                self.report(&target, outcome);
            }
        }
        if self.live.state == State::FallingBack {
            self.fallback = Some(State::Succeeded);
            self.at_ms += TARGET_MS;
            while self.advance() {}
        }
        assert!(self.live.state.is_terminal(), "{:?} {:?}", self.live.state, self.live.waiting);
    }

    fn report(&mut self, target: &Name, outcome: Outcome) {
        let Some((_, planned)) = self.plan.targets().find(|(_, it)| it.name == *target) else { return };
        let steps = self.plan.steps_of(planned).enumerate().map(|(index, (component, step))| StepReport {
            index,
            component: component.clone(),
            name: step.name.clone(),
            state: StepState::Succeeded,
            exit_code: Some(0),
            took_ms: Some(1_200),
            detail: None,
        });
        let steps = steps.collect();
        if outcome == Outcome::Healthy {
            let now = self.plan.installations.iter().map(|it| (it.component.clone(), attests(&it.version, &it.artifact.digest)));
            self.attested.insert(target.clone(), Arc::new(now.collect()));
        }
        let attempt = attempt_id(&self.live.id, target, self.live.targets[target].attempt);
        let detail = (outcome == Outcome::Failed).then(|| "step switch: no space left on the device".to_owned());
        let attested = self.attested[target].as_ref().clone();
        let report = Report { attempt, generation: self.live.generation, outcome, steps, attested, detail };
        self.ask(&Command::Report(Box::new(report)), &Actor::Agent(target.clone()));
    }

    fn ask(&mut self, command: &Command, actor: &Actor) {
        let events = self.live.decide(self.plan, command, self.at_ms).expect("it may be asked");
        self.take(&events, actor);
    }

    fn take(&mut self, events: &[Event], actor: &Actor) {
        events.iter().for_each(|event| self.live.apply(event, self.at_ms));
        self.events.extend(by(events, actor));
    }
}

/// What the deployment left at its place.
fn place(world: &mut World, deployment: &Deployment, plan: &Plan, with_record: bool) -> Option<StreamChange> {
    deployment.started_at_ms?;
    let id = &deployment.id;
    let mut events = vec![SlotEvent::Taken { deployment: id.clone(), generation: deployment.generation }];
    if deployment.state == State::Succeeded {
        events.push(SlotEvent::Verified { deployment: id.clone(), release: deployment.release.clone(), package: plan.package() });
    }
    if deployment.state.is_terminal() {
        events.push(SlotEvent::Freed { deployment: id.clone() });
    }
    let at_ms = deployment.ended_at_ms.unwrap_or(deployment.created_at_ms);
    let (slot, known) = world.slot(&deployment.environment, &deployment.application);
    events.iter().for_each(|event| slot.apply(event, at_ms));
    let version = *known;
    *known += events.len() as u64;
    // A place is written by a hundred deployments; only its last snapshot is ever read.
    let record = with_record.then(|| RecordRow::of(&*slot));
    Some(moved(Stream::new(Noun::Slot, slot.id()), version, by(&events, &Actor::System), record))
}

fn row(deployment: &Id, progress: &TargetProgress) -> TargetRow {
    TargetRow {
        deployment: deployment.clone(),
        target: progress.target.clone(),
        wave: progress.wave,
        state: progress.state.as_str().to_owned(),
        changed_at_ms: progress.changed_at_ms,
        body: canonical::text(progress),
    }
}

fn order(deployment: &Deployment, plan: &Plan, progress: &TargetProgress) -> Option<OrderRow> {
    let target = plan.target(progress.wave, &progress.target)?;
    let ticket = Ticket {
        deployment: &deployment.id,
        plan: &deployment.plan,
        attempt: progress.attempt,
        generation: deployment.generation,
        expires_at_ms: progress.ordered_at_ms? + 60_000,
        start_at: 0,
    };
    let order = plan.order(target, &ticket);
    Some(OrderRow {
        attempt: order.attempt.clone(),
        target: order.target.clone(),
        deployment: deployment.id.clone(),
        state: OrderState::Closed,
        body: canonical::text(&order),
        changed_at_ms: progress.changed_at_ms,
    })
}
