//! The targets and places of the whole estate, as far as pages count and compare them, in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tidegate_domain::estate::{Attested, Slot, TargetRecord, TargetState};
use tidegate_domain::{Digest, Name, canonical};

use crate::app::App;
use crate::mirror::Mirror;
use crate::problem::No;

/// What targets say is installed. Most say the same, so that it is kept once.
type Installed = Arc<BTreeMap<Name, Attested>>;

/// Places by their ids, each with the newest verified version of each component.
pub type Slots = BTreeMap<String, Arc<Slot>>;

/// What is counted of the estate.
pub struct Counted {
    targets: Mirror<TargetRecord, TargetKept>,
    slots: Mirror<Slot, Arc<Slot>>,
}

/// What is kept of a target.
#[derive(Clone)]
pub struct TargetKept {
    /// Which one.
    pub name: Name,
    /// Where it belongs.
    pub environment: Name,
    /// What is known of its agent; what it attests stands beside.
    pub state: TargetState,
    /// What it attests.
    pub installed: Installed,
}

impl Default for Counted {
    fn default() -> Counted {
        let known = Known::default();
        let keep = move |record: TargetRecord| {
            Some(TargetKept {
                installed: known.once(record.state.attested),
                name: record.target.name,
                environment: record.target.environment,
                state: TargetState { attested: BTreeMap::new(), ..record.state },
            })
        };
        // Pages compare with the newest alone.
        let newest = |mut slot: Slot| {
            slot.verified.values_mut().for_each(|versions| versions.truncate(1));
            Some(Arc::new(slot))
        };
        Counted { targets: Mirror::new(keep), slots: Mirror::new(newest) }
    }
}

impl Counted {
    /// Every target.
    pub async fn targets(&self, app: &App) -> Result<Arc<BTreeMap<String, TargetKept>>, No> {
        Ok(self.targets.look(app, None).await?.things)
    }

    /// Every application's place in every environment, with the newest verified version of each component.
    pub async fn slots(&self, app: &App) -> Result<Arc<Slots>, No> {
        Ok(self.slots.look(app, None).await?.things)
    }
}

/// How many targets differ from what was verified, by environment and component.
pub async fn drift(app: &App) -> Result<HashMap<(Name, Name), u64>, No> {
    let (targets, slots) = (app.counted.targets(app).await?, app.counted.slots(app).await?);
    // Targets that say the same in the same environment differ in the same.
    let mut alike: HashMap<_, (&Installed, u64)> = HashMap::new();
    for target in targets.values() {
        let place = (&target.environment, Arc::as_ptr(&target.installed));
        alike.entry(place).or_insert((&target.installed, 0)).1 += 1;
    }
    let mut by_environment: HashMap<&Name, Vec<&Slot>> = HashMap::new();
    for slot in slots.values() {
        by_environment.entry(&slot.environment).or_default().push(slot);
    }
    let mut counts = HashMap::new();
    for ((environment, _), (installed, count)) in alike {
        for slot in by_environment.get(environment).into_iter().flatten() {
            for drift in slot.drift(installed) {
                *counts.entry((environment.clone(), drift.component)).or_insert(0) += count;
            }
        }
    }
    Ok(counts)
}

/// What is kept already, by its digest.
#[derive(Default)]
struct Known(Mutex<HashMap<Digest, Weak<BTreeMap<Name, Attested>>>>);

impl Known {
    /// The same in the one place where it is kept.
    fn once(&self, attested: BTreeMap<Name, Attested>) -> Installed {
        let digest = canonical::digest(&attested);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = known.get(&digest).and_then(Weak::upgrade) {
            return there;
        }
        if known.len() == known.capacity() {
            // Before it grows, what nobody attests any more is forgotten.
            known.retain(|_, kept| kept.strong_count() > 0);
        }
        let installed = Arc::new(attested);
        known.insert(digest, Arc::downgrade(&installed));
        installed
    }
}
