//! A fleet of agents that answer as a test says. They hold no files; what they attest is what they were told to install.

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_domain::deployment::order::{Order, Outcome, Report};
use tidegate_domain::deployment::rollout::Command;
use tidegate_domain::deployment::rollout::Deployment;
use tidegate_domain::estate::Attested;
use tidegate_domain::event::Actor;
use tidegate_domain::{Id, Name};
use tidegate_server::No;
use tidegate_server::app::App;
use tidegate_server::deployment::desk;
use tidegate_store::OrderState;

/// What a target makes of an order.
pub type Behaviour = fn(&Order) -> Outcome;

/// Agents of several targets, worked by hand.
pub struct Fleet {
    targets: Vec<Name>,
    behaviour: Behaviour,
    /// The tickets of the orders that were carried out, in order; a ticket is carried out once, however often it is offered.
    pub effects: Vec<String>,
}

impl Fleet {
    /// The agents of `targets`.
    pub fn new(targets: Vec<Name>, behaviour: Behaviour) -> Fleet {
        Fleet { targets, behaviour, effects: Vec::new() }
    }

    /// Gives each target a key, without which nothing is admitted.
    ///
    /// # Panics
    ///
    /// If the server refuses.
    pub async fn enrol(api: &crate::Api, targets: &[Name]) {
        let one = async |target: &Name| {
            let made = api.post(&format!("/targets/{target}/enrolment"), &serde_json::json!({})).await.good();
            let agent = crate::WireAgent::new(&api.base, target, 7);
            agent.enrol(made["token"].as_str().expect("a token")).await.good();
        };
        // Some at once, so that they share what waits for the disk.
        for some in targets.chunks(50) {
            futures_util::future::join_all(some.iter().map(one)).await;
        }
    }

    /// Works until the deployment is as asked.
    ///
    /// # Panics
    ///
    /// If it is not after half a minute, with what it is then.
    pub async fn until(&mut self, app: &App, id: &str, done: impl Fn(&Deployment) -> bool) -> Deployment {
        let id = Id::parse(id).expect("an id");
        let mut bell = app.store.positions();
        let patience = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            self.work(app).await.expect("the desk takes reports");
            let now = desk::read(app, &id, |copy| copy.deployment.clone()).await.expect("a deployment");
            if done(&now) {
                return now;
            }
            assert!(tokio::time::Instant::now() < patience, "stuck: {:?} {:?} {:?}", now.state, now.waiting, now.counts);
            // What a deployment waits on is noted without an event, so that the bell alone is not enough.
            drop(tokio::time::timeout(Duration::from_millis(20), bell.changed()).await);
        }
    }

    /// Takes every open order and answers it; returns how many there were.
    ///
    /// # Errors
    ///
    /// What the desk answers; the order is carried out again by whoever asks next, as a real agent would repeat its report.
    ///
    /// # Panics
    ///
    /// If the store holds an order that is none.
    ///
    /// # Panics
    ///
    /// If a stored order cannot be read.
    pub async fn work(&mut self, app: &App) -> Result<usize, No> {
        let mut answered = 0;
        for target in self.targets.clone() {
            for row in app.store.open_orders(&target).await? {
                let order: Order = serde_json::from_str(&row.body).expect("orders are stored whole");
                let outcome = match row.state {
                    OrderState::Open => (self.behaviour)(&order),
                    OrderState::Cancelling | OrderState::Closed => Outcome::Cancelled,
                };
                if !self.effects.contains(&order.attempt) {
                    self.effects.push(order.attempt.clone());
                }
                for outcome in [Outcome::InProgress, outcome] {
                    report(app, &order, outcome).await?;
                }
                answered += 1;
            }
        }
        Ok(answered)
    }
}

/// Reports on an order as its agent would, past the wire.
///
/// # Errors
///
/// What the desk answers.
pub async fn report(app: &App, order: &Order, outcome: Outcome) -> Result<(), No> {
    let installed = |installation: &tidegate_domain::deployment::order::Installation| {
        let attested = Attested {
            version: installation.version.clone(),
            digest: installation.artifact.digest.clone(),
            complete: outcome == Outcome::Healthy,
        };
        (installation.component.clone(), attested)
    };
    let attested: BTreeMap<Name, Attested> =
        if outcome.is_final() { order.installations.iter().map(installed).collect() } else { BTreeMap::new() };
    let report = Report {
        attempt: order.attempt.clone(),
        generation: order.generation,
        outcome,
        steps: Vec::new(),
        attested,
        detail: None,
    };
    let context = (Actor::Agent(order.target.clone()), format!("report {}", order.attempt));
    desk::pile(app, &order.deployment, context, Command::Report(Box::new(report))).await
}
