//! What pages count and compare, of every thing of one kind, kept in memory.
//!
//! A mirror is brought up to the last event whenever it is looked at: the things that events since then are about are read again,
//! and no others. So it never shows less than what was committed before the look, whatever process committed it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidegate_domain::Millis;
use tidegate_store::{Filter, Order, PageRequest, Record};
use tokio::sync::Mutex;

use crate::app::App;
use crate::problem::No;

/// Events since the last look after which everything is read anew: that is faster then.
const EVENTS_MAX: u32 = 5_000;
/// Things read at once; few in tests, so that there are several pages.
const PAGE_ROWS: u32 = if cfg!(test) { 2 } else { 5_000 };

/// What is kept of the things of kind `T`, by their ids.
pub struct Mirror<T, V> {
    /// What is kept of one; nothing if it does not count.
    keep: Box<dyn Fn(T) -> Option<V> + Send + Sync>,
    /// Things beyond which no older ones are read.
    things_max: usize,
    held: Mutex<Held<V>>,
}

struct Held<V> {
    /// The last event that is taken in; none if nothing was read yet.
    position: Option<u64>,
    looked: Looked<V>,
}

/// A mirror as it was at a look.
pub struct Looked<V> {
    /// What is kept, by id.
    pub things: Arc<BTreeMap<String, V>>,
    /// Nothing that lists put at this instant or later is missing; of what is older, some may be there.
    pub from_ms: Millis,
    /// Higher whenever something that was kept has changed or gone, or something new has come; not when older things are read.
    pub generation: u64,
}

impl<V> Looked<V> {
    fn nothing(generation: u64) -> Looked<V> {
        Looked { things: Arc::default(), from_ms: Millis::MAX, generation }
    }
}

impl<V> Clone for Looked<V> {
    fn clone(&self) -> Looked<V> {
        Looked { things: self.things.clone(), ..*self }
    }
}

/// Whether what is read changes what somebody may have counted already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    News,
    Older,
}

impl<T: Record, V: Clone> Mirror<T, V> {
    /// An empty one of everything there is.
    pub fn new(keep: impl Fn(T) -> Option<V> + Send + Sync + 'static) -> Mirror<T, V> {
        Mirror::of_most(usize::MAX, keep)
    }

    /// An empty one that reads no older things once it has `things_max`.
    pub fn of_most(things_max: usize, keep: impl Fn(T) -> Option<V> + Send + Sync + 'static) -> Mirror<T, V> {
        Mirror { keep: Box::new(keep), things_max, held: Mutex::new(Held { position: None, looked: Looked::nothing(0) }) }
    }

    /// Everything as of now that lists put at `from_ms` or later, unless that is too much; and perhaps more: what was read once
    /// stays.
    pub async fn look(&self, app: &App, from_ms: Option<Millis>) -> Result<Looked<V>, No> {
        let from_ms = from_ms.unwrap_or(Millis::MIN);
        // Where reading back began, and how far it is. Others may look between two pages.
        let mut reading: Option<(Millis, Option<String>)> = None;
        loop {
            let mut held = self.held.lock().await;
            self.catch_up(app, &mut held, |_, _| true).await?;
            let looked = &mut held.looked;
            if looked.from_ms <= from_ms || looked.things.len() >= self.things_max {
                return Ok(looked.clone());
            }
            let (until_ms, after) = match reading.take() {
                // Everything from there on is still here.
                Some((until_ms, after)) if looked.from_ms <= until_ms => (until_ms, after),
                _ => (looked.from_ms, None),
            };
            let next = self.read_back(app, looked, (from_ms, until_ms), after).await?;
            reading = Some((until_ms, next));
        }
    }

    /// At least those with `ids` as of now; when there are many, others are let go.
    pub async fn look_at(&self, app: &App, ids: &BTreeSet<String>) -> Result<Looked<V>, No> {
        let mut held = self.held.lock().await;
        self.catch_up(app, &mut held, BTreeMap::contains_key).await?;
        let looked = &mut held.looked;
        let missing: BTreeSet<String> = ids.iter().filter(|id| !looked.things.contains_key(*id)).cloned().collect();
        if looked.things.len() + missing.len() > self.things_max && !missing.is_empty() {
            Arc::make_mut(&mut looked.things).retain(|id, _| ids.contains(id));
            looked.generation += 1;
        }
        self.read_again(app, looked, missing, Reading::Older).await?;
        Ok(looked.clone())
    }

    /// Reads again what events since the last look are about, of what is `wanted`; if they are too many, all that was read is let
    /// go.
    async fn catch_up(
        &self,
        app: &App,
        held: &mut Held<V>,
        wanted: impl Fn(&BTreeMap<String, V>, &String) -> bool,
    ) -> Result<(), No> {
        // What is read after the head may be newer than it; reading it once more at the next look does no harm.
        let newest = app.store.head().await?;
        let touched = match held.position {
            Some(position) if position == newest => return Ok(()),
            Some(position) => app.store.touched(T::NOUN, (position, newest), EVENTS_MAX).await?,
            None => None,
        };
        if let Some(mut touched) = touched {
            touched.retain(|id| wanted(&held.looked.things, id));
            self.read_again(app, &mut held.looked, touched, Reading::News).await?;
        } else {
            held.looked = Looked::nothing(held.looked.generation + 1);
        }
        held.position = Some(newest);
        Ok(())
    }

    async fn read_again(&self, app: &App, looked: &mut Looked<V>, ids: BTreeSet<String>, reading: Reading) -> Result<(), No> {
        if ids.is_empty() {
            return Ok(());
        }
        let found = app.store.load_many::<T>(&ids.into_iter().collect::<Vec<_>>()).await?;
        self.take(looked, found.into_iter().map(|found| found.value), reading);
        Ok(())
    }

    fn take(&self, looked: &mut Looked<V>, values: impl Iterator<Item = T>, reading: Reading) {
        let things = Arc::make_mut(&mut looked.things);
        let mut counts = false;
        for value in values {
            let id = value.id();
            counts |= match (self.keep)(value) {
                Some(kept) => {
                    things.insert(id, kept);
                    true
                }
                None => things.remove(&id).is_some(),
            };
        }
        looked.generation += u64::from(counts && reading == Reading::News);
    }

    /// One page of what lies between two instants, from the newest on; returns where the next one begins.
    async fn read_back(
        &self,
        app: &App,
        looked: &mut Looked<V>,
        (from_ms, until_ms): (Millis, Millis),
        after: Option<String>,
    ) -> Result<Option<String>, No> {
        let end = |at_ms: Millis, open: Millis| Some(at_ms).filter(|at_ms| *at_ms != open);
        let filter = Filter { from_ms: end(from_ms, Millis::MIN), until_ms: end(until_ms, Millis::MAX), ..Filter::default() };
        let request = PageRequest { order: Order::NewestFirst, after, limit: PAGE_ROWS };
        let page = app.store.list::<T>(&filter, &request).await?;
        // Others may stand at the same instant as the last one: only what is later is whole.
        let whole_ms = page.rows.last().filter(|_| page.next.is_some()).map(|row| row.value.index().sort_at_ms + 1);
        self.take(looked, page.rows.into_iter().map(|row| row.value), Reading::Older);
        looked.from_ms = looked.from_ms.min(whole_ms.unwrap_or(from_ms));
        Ok(page.next)
    }
}

#[cfg(test)]
mod tests {
    use tidegate_domain::calendar::Freeze;
    use tidegate_domain::calendar::freeze::Event;
    use tidegate_domain::event::Actor;
    use tidegate_store::Commit;

    use super::*;
    use crate::app::Serving;
    use crate::app::stream_change;
    use crate::clock::Clock;
    use crate::{Config, Running};

    async fn running(folder: &std::path::Path) -> Running {
        let listen = "127.0.0.1:0".parse().expect("an address");
        let config = Config {
            listen,
            data: folder.join("data"),
            database: None,
            public_url: None,
            allow_commands: false,
            serving: Serving::default(),
        };
        crate::start(&config, Clock::System).await.expect("a server")
    }

    /// Stores a freeze that stands in lists at `until_ms`: a new one, or a further version of it.
    async fn store(app: &App, until_ms: Millis, version: u64, is_lifted: bool) {
        let mut freeze: Freeze = serde_json::from_value(serde_json::json!({
            "id": format!("FRZ-{until_ms}"), "name": "rest", "reason": "holidays", "environments": [], "applications": [],
            "from_ms": 0, "until_ms": until_ms, "zone": "UTC", "strictness": "hard", "running": "finish_wave", "lifted": null,
            "exceptions": []}))
        .expect("a freeze");
        let lifted = Event::Lifted { by: "rosa".into(), reason: "over".into() };
        if is_lifted {
            freeze.apply(&lifted, 1);
        }
        let commit = Commit {
            actor: Actor::System,
            cause: "a test".into(),
            at_ms: app.now_ms(),
            changes: vec![stream_change(version, &[lifted], &freeze)],
            documents: Vec::new(),
            idempotency: None,
        };
        app.commit(commit).await.expect("it is stored");
    }

    fn in_force(things_max: usize) -> Mirror<Freeze, Millis> {
        Mirror::of_most(things_max, |freeze: Freeze| freeze.lifted.is_none().then_some(freeze.until_ms))
    }

    fn kept(looked: &Looked<Millis>) -> (Vec<Millis>, Millis) {
        let mut all: Vec<Millis> = looked.things.values().copied().collect();
        all.sort_unstable();
        (all, looked.from_ms)
    }

    #[tokio::test]
    async fn older_things_are_read_when_they_are_asked_for_and_are_no_news() {
        let folder = tempfile::tempdir().expect("a folder");
        let running = running(folder.path()).await;
        let app = &running.app;
        for until_ms in [10, 20, 30, 40, 50, 60, 70] {
            store(app, until_ms, 0, false).await;
        }
        let mirror = in_force(usize::MAX);
        let late = mirror.look(app, Some(45)).await.expect("a look");
        assert_eq!(kept(&late), (vec![50, 60, 70], 45));
        let all = mirror.look(app, None).await.expect("a look");
        assert_eq!(kept(&all), (vec![10, 20, 30, 40, 50, 60, 70], Millis::MIN));
        assert_eq!(all.generation, late.generation, "what was counted of the late ones still holds");
        store(app, 20, 1, true).await;
        let lifted = mirror.look(app, None).await.expect("a look");
        assert_eq!(kept(&lifted).0, [10, 30, 40, 50, 60, 70]);
        assert!(lifted.generation > all.generation);
        // What did not count and does not count now changes nothing.
        store(app, 20, 2, true).await;
        assert_eq!(mirror.look(app, None).await.expect("a look").generation, lifted.generation);
        running.stop().await;
    }

    #[tokio::test]
    async fn a_full_mirror_says_how_far_back_it_is_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let running = running(folder.path()).await;
        let app = &running.app;
        for until_ms in [10, 20, 30, 40, 50] {
            store(app, until_ms, 0, false).await;
        }
        let mirror = in_force(3);
        assert_eq!(kept(&mirror.look(app, None).await.expect("a look")), (vec![20, 30, 40, 50], 21));
        // What comes is taken in, however old it is; how far back nothing is missing stays.
        store(app, 5, 0, false).await;
        assert_eq!(kept(&mirror.look(app, None).await.expect("a look")), (vec![5, 20, 30, 40, 50], 21));
        running.stop().await;
    }

    #[tokio::test]
    async fn what_is_let_go_is_news_and_asking_for_nothing_lets_nothing_go() {
        let folder = tempfile::tempdir().expect("a folder");
        let running = running(folder.path()).await;
        let app = &running.app;
        for until_ms in [10, 20, 30] {
            store(app, until_ms, 0, false).await;
        }
        let ids = |of: &[&str]| of.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<String>>();
        let mirror = in_force(2);
        let two = mirror.look_at(app, &ids(&["FRZ-10", "FRZ-20"])).await.expect("a look");
        let none = mirror.look_at(app, &ids(&[])).await.expect("a look");
        assert_eq!((kept(&none).0, none.generation), (vec![10, 20], two.generation));
        let third = mirror.look_at(app, &ids(&["FRZ-20", "FRZ-30"])).await.expect("a look");
        assert_eq!(kept(&third).0, [20, 30]);
        assert!(third.generation > two.generation, "of what was let go nobody hears any more");
        running.stop().await;
    }
}
