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
    held: Mutex<Held<V>>,
}

struct Held<V> {
    /// The last event that is taken in; none if nothing was read yet.
    position: Option<u64>,
    things: Arc<BTreeMap<String, V>>,
}

impl<T: Record, V: Clone> Mirror<T, V> {
    /// An empty one.
    pub fn new(keep: impl Fn(T) -> Option<V> + Send + Sync + 'static) -> Mirror<T, V> {
        Mirror { keep: Box::new(keep), held: Mutex::new(Held { position: None, things: Arc::default() }) }
    }

    /// Everything as of now that lists put at `from_ms` or later; the first look decides how far back it is read.
    pub async fn look(&self, app: &App, from_ms: Option<Millis>) -> Result<Arc<BTreeMap<String, V>>, No> {
        let mut held = self.held.lock().await;
        // What is read after the head may be newer than it; reading it once more at the next look does no harm.
        let newest = app.store.head().await?;
        match self.touched(app, &held, newest).await? {
            Some(ids) if ids.is_empty() => {}
            Some(ids) => self.read_again(app, &mut held, ids).await?,
            None => held.things = Arc::new(self.read(app, from_ms).await?),
        }
        held.position = Some(newest);
        Ok(held.things.clone())
    }

    /// Those with `ids` as of now; no others are kept.
    pub async fn look_at(&self, app: &App, ids: &BTreeSet<String>) -> Result<Arc<BTreeMap<String, V>>, No> {
        let mut held = self.held.lock().await;
        let newest = app.store.head().await?;
        let touched = self.touched(app, &held, newest).await?;
        let is_good = |id: &String| ids.contains(id) && touched.as_ref().is_some_and(|touched| !touched.contains(id));
        if !held.things.keys().all(is_good) {
            Arc::make_mut(&mut held.things).retain(|id, _| is_good(id));
        }
        let missing: BTreeSet<String> = ids.iter().filter(|id| !held.things.contains_key(*id)).cloned().collect();
        self.read_again(app, &mut held, missing).await?;
        held.position = Some(newest);
        Ok(held.things.clone())
    }

    /// What events since the last look are about; nothing if there was none, or if they are too many.
    async fn touched(&self, app: &App, held: &Held<V>, newest: u64) -> Result<Option<BTreeSet<String>>, No> {
        match held.position {
            Some(position) if position == newest => Ok(Some(BTreeSet::new())),
            Some(position) => Ok(app.store.touched(T::NOUN, (position, newest), EVENTS_MAX).await?),
            None => Ok(None),
        }
    }

    async fn read_again(&self, app: &App, held: &mut Held<V>, ids: BTreeSet<String>) -> Result<(), No> {
        if ids.is_empty() {
            return Ok(());
        }
        let found = app.store.load_many::<T>(&ids.into_iter().collect::<Vec<_>>()).await?;
        let things = Arc::make_mut(&mut held.things);
        found.into_iter().for_each(|found| self.take(things, found.value));
        Ok(())
    }

    fn take(&self, things: &mut BTreeMap<String, V>, value: T) {
        let id = value.id();
        match (self.keep)(value) {
            Some(kept) => drop(things.insert(id, kept)),
            None => drop(things.remove(&id)),
        }
    }

    async fn read(&self, app: &App, from_ms: Option<Millis>) -> Result<BTreeMap<String, V>, No> {
        let filter = Filter { from_ms, ..Filter::default() };
        let (mut things, mut after) = (BTreeMap::new(), None);
        loop {
            let request = PageRequest { order: Order::OldestFirst, after, limit: PAGE_ROWS };
            let page = app.store.list::<T>(&filter, &request).await?;
            page.rows.into_iter().for_each(|row| self.take(&mut things, row.value));
            after = page.next;
            if after.is_none() {
                return Ok(things);
            }
        }
    }
}
