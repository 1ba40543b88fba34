//! Counts of the calendar, kept for whoever looks next as long as nothing has happened that they count.

use std::collections::HashMap;
use std::sync::Arc;

use tidegate_domain::Millis;
use tidegate_domain::event::Noun;
use tidegate_store::{Filter, Record, Tick};
use tokio::sync::Mutex;

use crate::app::App;
use crate::problem::No;

/// Counts that are kept; then all are forgotten.
const KEPT_MAX: usize = 64;

type Key = (Noun, String, Millis);

/// Counts, each as of an event.
#[derive(Default)]
pub struct Ticks(Mutex<HashMap<Key, Kept>>);

struct Kept {
    position: u64,
    ticks: Arc<Vec<Tick>>,
}

impl Ticks {
    /// How many things of each state fall into each step, as of now.
    pub async fn of<T: Record>(&self, app: &App, filter: &Filter, step_ms: Millis) -> Result<Arc<Vec<Tick>>, No> {
        let key = (T::NOUN, format!("{filter:?}"), step_ms);
        // One counts, the others wait for it rather than to count the same.
        let mut kept = self.0.lock().await;
        let head = app.store.head().await?;
        if let Some(kept) = kept.get_mut(&key)
            && app.store.touched(T::NOUN, (kept.position, head), 1).await?.is_some_and(|touched| touched.is_empty())
        {
            kept.position = head;
            return Ok(kept.ticks.clone());
        }
        let ticks = Arc::new(app.store.ticks::<T>(filter, step_ms).await?);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(key, Kept { position: head, ticks: ticks.clone() });
        Ok(ticks)
    }
}
