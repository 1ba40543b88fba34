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
/// Things read at once.
const PAGE_ROWS: u32 = 5_000;

/// What is kept of the things of kind `T`, by their ids.
pub struct Mirror<T, V> {
    /// What is kept of one; nothing if it does not count.
    keep: Box<dyn Fn(T) -> Option<V> + Send + Sync>,
    /// Things beyond which no older ones are read.
    most: usize,
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
    /// Where lists put the oldest thing that was read; nothing at that place or later is missing.
    pub from_ms: Millis,
    /// Higher whenever something in it was read again: figures of the same generation are the same.
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

impl<T: Record, V: Clone> Mirror<T, V> {
    /// An empty one of everything there is.
    pub fn new(keep: impl Fn(T) -> Option<V> + Send + Sync + 'static) -> Mirror<T, V> {
        Mirror::of_most(usize::MAX, keep)
    }

    /// An empty one that reads no older things once it has `most`.
    pub fn of_most(most: usize, keep: impl Fn(T) -> Option<V> + Send + Sync + 'static) -> Mirror<T, V> {
        Mirror { keep: Box::new(keep), most, held: Mutex::new(Held { position: None, looked: Looked::nothing(0) }) }
    }

    /// Everything as of now that lists put at `from_ms` or later, and perhaps more; what was read once stays.
    pub async fn look(&self, app: &App, from_ms: Option<Millis>) -> Result<Looked<V>, No> {
        let mut held = self.held.lock().await;
        // What is read after the head may be newer than it; reading it once more at the next look does no harm.
        let newest = app.store.head().await?;
        if let Some(touched) = self.touched(app, &held, newest).await? {
            self.read_again(app, &mut held.looked, touched).await?;
        } else {
            held.looked = Looked::nothing(held.looked.generation + 1);
        }
        held.position = Some(newest);
        self.read_back(app, &mut held.looked, from_ms.unwrap_or(Millis::MIN)).await?;
        Ok(held.looked.clone())
    }

    /// At least those with `ids` as of now; others are let go when there are many.
    pub async fn look_at(&self, app: &App, ids: &BTreeSet<String>) -> Result<Looked<V>, No> {
        let mut held = self.held.lock().await;
        let newest = app.store.head().await?;
        if let Some(mut touched) = self.touched(app, &held, newest).await? {
            touched.retain(|id| held.looked.things.contains_key(id));
            self.read_again(app, &mut held.looked, touched).await?;
        } else {
            held.looked = Looked::nothing(held.looked.generation + 1);
        }
        if held.looked.things.len() > self.most {
            Arc::make_mut(&mut held.looked.things).retain(|id, _| ids.contains(id));
        }
        let missing: BTreeSet<String> = ids.iter().filter(|id| !held.looked.things.contains_key(*id)).cloned().collect();
        self.read_again(app, &mut held.looked, missing).await?;
        held.position = Some(newest);
        Ok(held.looked.clone())
    }

    /// What events since the last look are about; nothing if there was none, or if they are too many.
    async fn touched(&self, app: &App, held: &Held<V>, newest: u64) -> Result<Option<BTreeSet<String>>, No> {
        match held.position {
            Some(position) if position == newest => Ok(Some(BTreeSet::new())),
            Some(position) => Ok(app.store.touched(T::NOUN, (position, newest), EVENTS_MAX).await?),
            None => Ok(None),
        }
    }

    async fn read_again(&self, app: &App, looked: &mut Looked<V>, ids: BTreeSet<String>) -> Result<(), No> {
        if ids.is_empty() {
            return Ok(());
        }
        let found = app.store.load_many::<T>(&ids.into_iter().collect::<Vec<_>>()).await?;
        let things = Arc::make_mut(&mut looked.things);
        found.into_iter().for_each(|found| self.take(things, found.value));
        looked.generation += 1;
        Ok(())
    }

    fn take(&self, things: &mut BTreeMap<String, V>, value: T) {
        let id = value.id();
        match (self.keep)(value) {
            Some(kept) => drop(things.insert(id, kept)),
            None => drop(things.remove(&id)),
        }
    }

    /// Reads what lies between `from_ms` and what is there already, from the newest on.
    async fn read_back(&self, app: &App, looked: &mut Looked<V>, from_ms: Millis) -> Result<(), No> {
        if from_ms >= looked.from_ms || looked.things.len() >= self.most {
            return Ok(());
        }
        let end = |at_ms: Millis, open: Millis| Some(at_ms).filter(|at_ms| *at_ms != open);
        let filter =
            Filter { from_ms: end(from_ms, Millis::MIN), until_ms: end(looked.from_ms, Millis::MAX), ..Filter::default() };
        let (mut things, mut after, mut oldest_ms) = (looked.things.as_ref().clone(), None, from_ms);
        loop {
            let request = PageRequest { order: Order::NewestFirst, after, limit: PAGE_ROWS };
            let page = app.store.list::<T>(&filter, &request).await?;
            let last_ms = page.rows.last().map(|row| row.value.index().sort_at_ms);
            page.rows.into_iter().for_each(|row| self.take(&mut things, row.value));
            after = page.next;
            if after.is_none() {
                break;
            }
            if things.len() >= self.most {
                // Others may stand at the same instant as the last one: only what is later is whole.
                oldest_ms = last_ms.map_or(from_ms, |at_ms| at_ms + 1);
                break;
            }
        }
        *looked = Looked { things: Arc::new(things), from_ms: oldest_ms, generation: looked.generation + 1 };
        Ok(())
    }
}
