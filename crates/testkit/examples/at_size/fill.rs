//! Fills a database through the store's own door: a year of a large house.

use tidegate_domain::change::{Class, Outcome};
use tidegate_domain::deployment::plan::Plan;
use tidegate_domain::deployment::strategy::Strategy;
use tidegate_domain::event::Actor;
use tidegate_domain::{Digest, Id, Millis, Name, canonical};
use tidegate_store::{Commit, Store, StreamChange};
use tokio::sync::mpsc;

use crate::deployments::{End, Wish, carried_out, plans};
use crate::governance::{Fate, change_of_release, content, fate, freeze, other_change, release};
use crate::world::{APPLICATIONS, FLEET, REGIONS, World, artifact, born, environment_of, id, person, read};

pub const RELEASES: usize = 20_000;
/// Changes beside the one that lets a release into production; the first few of them are in its scope.
const OTHER_CHANGES: usize = 9;
const IN_SCOPE: usize = 4;
const FREEZES: usize = 500;
/// Releases in one commit.
const TOGETHER: usize = 10;
const DAY_MS: Millis = 86_400_000;
const HOUR_MS: Millis = 3_600_000;
/// When a release reaches its environments, in hours after it was written.
const STOPS: [(usize, usize, i64); 5] = [(0, 0, 1), (1, 0, 3), (2, 0, 8), (3, 0, 24), (3, 1, 25)];

/// Fills the empty database of `store`, as if it were `now_ms`.
pub async fn fill(store: &Store, now_ms: Millis) {
    let (send, mut commits) = mpsc::channel(4);
    let made = tokio::task::spawn_blocking(move || Filler { send, changes: Vec::new(), documents: Vec::new() }.run(now_ms));
    while let Some(commit) = commits.recv().await {
        store.commit(commit).await.expect("it is stored");
    }
    made.await.expect("it is made");
}

struct Filler {
    send: mpsc::Sender<Commit>,
    changes: Vec<StreamChange>,
    documents: Vec<(Digest, String)>,
}

impl Filler {
    fn run(mut self, now_ms: Millis) {
        let begin_ms = now_ms - 366 * DAY_MS;
        let mut world = World::new(now_ms);
        self.changes = world.definitions();
        self.flush(begin_ms);
        let strategy: Strategy = read(serde_json::json!({}));
        for number in 0..RELEASES {
            let at_ms = begin_ms + number as i64 * (364 * DAY_MS / RELEASES as i64);
            self.release(&mut world, number, (at_ms, &strategy));
            if number % TOGETHER == TOGETHER - 1 {
                self.flush(at_ms);
            }
        }
        self.present(&mut world, &strategy);
        self.fleet(&mut world);
        for number in 0..FREEZES {
            let ahead = (FREEZES - number) as i64 - 20;
            self.changes.push(freeze(&world, number, now_ms - ahead * DAY_MS * 3 / 4));
        }
        self.flush(now_ms);
        let records = world.records();
        for change in records {
            self.changes.push(change);
            if self.changes.len() == 400 {
                self.flush(now_ms);
            }
        }
        self.flush(now_ms);
    }

    fn flush(&mut self, at_ms: Millis) {
        let commit = Commit {
            actor: Actor::System,
            cause: "the bench".into(),
            at_ms,
            changes: std::mem::take(&mut self.changes),
            documents: std::mem::take(&mut self.documents),
            idempotency: None,
        };
        self.send.blocking_send(commit).expect("the store takes it");
    }

    fn document(&mut self, plan: &Plan) {
        self.documents.push((plan.digest(), canonical::text(plan)));
    }

    /// A release with its artifacts, its changes and its deployments.
    fn release(&mut self, world: &mut World, number: usize, (at_ms, strategy): (Millis, &Strategy)) {
        let application = number % APPLICATIONS;
        for component in &world.components[application] {
            let artifact = artifact(component, number, at_ms);
            let (digest, size_bytes) = (artifact.digest.clone(), artifact.size_bytes);
            let uploaded = tidegate_domain::deployment::artifact::Event::Uploaded { digest, size_bytes, signed: false };
            self.changes.push(born(&artifact, &[uploaded], &person("dora")));
        }
        let (own, is_recent) = (id("REL", number, 0), number + 300 > RELEASES);
        let mut scope = vec![id("CHG", number, 0)];
        for part in 0..OTHER_CHANGES {
            let other = number * OTHER_CHANGES + part;
            let in_scope = (part < IN_SCOPE).then_some(number);
            scope.extend(in_scope.map(|_| id("CHG", other, 1)));
            let fate: Fate = fate(other, is_recent);
            self.changes.push(other_change(world, other, in_scope, (at_ms, fate)));
        }
        self.deployments(world, (number, &own), (at_ms, strategy));
        self.changes.push(release(world, number, &scope, at_ms, number + 400 > RELEASES && number.is_multiple_of(13)));
    }

    fn deployments(&mut self, world: &mut World, (number, own): (usize, &Id), (at_ms, strategy): (Millis, &Strategy)) {
        let application = number % APPLICATIONS;
        let change = id("CHG", number, 0);
        let mut planned = std::collections::BTreeMap::new();
        let mut outcome = Outcome::Successful;
        for (stop, (tier, region, hours)) in STOPS.into_iter().enumerate() {
            let environment = environment_of(tier, number % REGIONS + region);
            let targets = world.targets[&environment].clone();
            let end = end(number, tier, stop);
            let wish = Wish {
                id: id("DEP", number, stop),
                application,
                version: number,
                environment: &environment,
                targets: &targets,
                release: Some(own.clone()),
                change: (tier == 3).then(|| change.clone()),
                strategy,
                at_ms: at_ms + hours * HOUR_MS,
                end,
            };
            if end == End::Fails && tier == 3 {
                outcome = Outcome::Unsuccessful;
            }
            let digest = self.wish(world, &wish, number + 150 >= RELEASES);
            if tier == 3 {
                planned.insert(environment, digest);
            }
        }
        let environments: Vec<Name> = planned.keys().cloned().collect();
        let class = if number % 40 == 3 { Class::Emergency } else { Class::Normal };
        let title = format!("Release {} of app-{application:02} into production", crate::world::version(number));
        let content = content(title, class, &world.applications[application].clone(), environments);
        self.changes.push(change_of_release(change, (content, planned), own, (at_ms, outcome)));
    }

    fn wish(&mut self, world: &mut World, wish: &Wish<'_>, with_slot: bool) -> Digest {
        let plans = plans(world, wish);
        let changes = carried_out(world, wish, &plans, with_slot);
        self.changes.extend(changes);
        [Some(&plans.forward), plans.fallback.as_ref()].into_iter().flatten().for_each(|plan| self.document(plan));
        plans.forward.digest()
    }

    /// What is not over yet.
    fn present(&mut self, world: &mut World, strategy: &Strategy) {
        let newest = RELEASES - APPLICATIONS;
        let paused = (0..20).map(|it| (it, environment_of(3, 0), End::StaysPaused));
        let scheduled = (20..APPLICATIONS).map(|it| (it, environment_of(3, 1), End::StaysScheduled));
        let planned = (0..APPLICATIONS).map(|it| (it, environment_of(1, 0), End::StaysPlanned));
        for (number, (application, environment, end)) in paused.chain(scheduled).chain(planned).enumerate() {
            let targets = world.targets[&environment].clone();
            let wish = Wish {
                id: id("DEP", RELEASES, number),
                application,
                version: newest + application,
                environment: &environment,
                targets: &targets,
                release: None,
                change: None,
                strategy,
                at_ms: world.now_ms - HOUR_MS,
                end,
            };
            self.wish(world, &wish, true);
        }
        self.flush(world.now_ms);
    }

    /// The newest of one application on all of the fleet, in twenty waves; and the next one, planned.
    fn fleet(&mut self, world: &mut World) {
        let strategy: Strategy = read(serde_json::json!({"cut": {"rolling": {"batches": ["5%"]}}}));
        let newest = RELEASES - APPLICATIONS;
        let (environment, targets) = (crate::world::name(FLEET), world.fleet.clone());
        for (number, (version, end)) in
            [(newest - APPLICATIONS, End::Succeeds), (newest, End::StaysPlanned)].into_iter().enumerate()
        {
            let wish = Wish {
                id: id("DEP", RELEASES + 1, number),
                application: 0,
                version,
                environment: &environment,
                targets: &targets,
                release: None,
                change: None,
                strategy: &strategy,
                at_ms: world.now_ms - DAY_MS,
                end,
            };
            self.wish(world, &wish, true);
            self.flush(world.now_ms);
        }
    }
}

fn end(release: usize, tier: usize, stop: usize) -> End {
    match (tier, (release * 5 + stop) % 100) {
        (3, 17 | 63) | (0..=2, 31 | 71 | 92) => End::Fails,
        (0..=2, 55) => End::IsCancelled,
        _ => End::Succeeds,
    }
}
