//! A batch of records, with what is known of the things it names, on its way to one commit.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tidegate_api::request::RecordDone;
use tidegate_api::view::RecordedView;
use tidegate_domain::change::Change;
use tidegate_domain::deployment::rollout::{Deployment, State};
use tidegate_domain::estate::{Slot, SlotEvent};
use tidegate_domain::record::{Precision, Recorded, id};
use tidegate_domain::release::{self, Release};
use tidegate_domain::{Code, Digest, Id, Millis, Name, Refusal, canonical};
use tidegate_store::{Record, StreamChange};

use crate::app::{App, stream_change};
use crate::bounds;
use crate::problem::No;

/// What is read before a batch is made.
pub struct Batch<'a> {
    request: &'a RecordDone,
    releases: BTreeMap<Id, (u64, Release)>,
    changes: BTreeMap<Id, Change>,
    deployments: BTreeMap<Id, Deployment>,
    slots: BTreeMap<(Name, Name), (u64, Slot)>,
}

/// What a batch leads to.
pub struct Made {
    /// The streams that change.
    pub changes: Vec<StreamChange>,
    /// The plans of the deployments; they order nothing.
    pub documents: Vec<(Digest, String)>,
    /// What is answered.
    pub answer: RecordedView,
}

impl<'a> Batch<'a> {
    /// Reads what the records name.
    pub async fn read(app: &App, request: &'a RecordDone) -> Result<Batch<'a>, No> {
        let of = |prefix: &'static str| {
            move |(application, reference): (&Name, &String)| id(prefix, (application, &request.source), reference)
        };
        let of_changes = request.changes.iter().filter_map(|it| Some((&it.content.application, it.release.as_ref()?)));
        let of_deployments = request.deployments.iter().filter_map(|it| Some((&it.application, it.release.as_ref()?)));
        let releases = request.releases.iter().map(|it| (&it.application, &it.reference)).chain(of_changes).chain(of_deployments);
        let of_deployments = request.deployments.iter().filter_map(|it| Some((&it.application, it.change.as_ref()?)));
        let changes = request.changes.iter().map(|it| (&it.content.application, &it.reference)).chain(of_deployments);
        let deployments = request.deployments.iter().map(|it| (&it.application, &it.reference));
        let places = request.deployments.iter().map(|it| (it.environment.clone(), it.application.clone()));
        let mut slots = BTreeMap::new();
        for (environment, application) in places.collect::<BTreeSet<_>>() {
            let found = app.store.load::<Slot>(&Slot::id(&environment, &application)).await?;
            let blank = || (0, Slot::new(environment.clone(), application.clone()));
            slots.insert((environment.clone(), application.clone()), found.map_or_else(blank, |it| (it.version, it.value)));
        }
        Ok(Batch {
            request,
            releases: known(app, releases.map(of("REL"))).await?,
            changes: values(known(app, changes.map(of("CHG"))).await?),
            deployments: values(known(app, deployments.map(of("DEP"))).await?),
            slots,
        })
    }

    /// Makes it.
    ///
    /// # Errors
    ///
    /// See [`super::service::record`].
    pub fn make(mut self, by: &Name, now_ms: Millis) -> Result<Made, Refusal> {
        let mut answer = RecordedView { recorded: 0, known: 0, releases: vec![], changes: vec![], deployments: vec![] };
        let mut made = Vec::new();
        let mut news: BTreeMap<Id, Vec<release::Event>> = BTreeMap::new();
        self.make_releases((by, now_ms), &mut answer, &mut news)?;
        self.make_changes((by, now_ms), &mut answer, (&mut made, &mut news))?;
        let documents = self.make_deployments((by, now_ms), &mut answer, &mut made)?;
        for (release, events) in news {
            if let Some((version, release)) = self.releases.get(&release) {
                made.push(stream_change(*version, &events, release));
            }
        }
        Ok(Made { changes: made, documents, answer })
    }

    fn make_releases(
        &mut self,
        (by, now_ms): (&Name, Millis),
        answer: &mut RecordedView,
        news: &mut BTreeMap<Id, Vec<release::Event>>,
    ) -> Result<(), Refusal> {
        for (index, record) in self.request.releases.iter().enumerate() {
            let place = format!("releases[{index}]");
            let own = id("REL", (&record.application, &self.request.source), &record.reference);
            let recorded = self.note(record, (&record.reference, Precision::Exact), (by, now_ms));
            answer.releases.push(own.clone());
            let before = self.releases.get(&own).and_then(|(_, release)| release.recorded.as_ref());
            if is_known(before, &recorded, &place, answer)? {
                continue;
            }
            let (release, event) = Release::recorded(own.clone(), record, recorded).map_err(|refusal| within(refusal, &place))?;
            self.releases.insert(own.clone(), (0, release));
            news.entry(own).or_default().push(event);
        }
        Ok(())
    }

    fn make_changes(
        &mut self,
        (by, now_ms): (&Name, Millis),
        answer: &mut RecordedView,
        (made, news): (&mut Vec<StreamChange>, &mut BTreeMap<Id, Vec<release::Event>>),
    ) -> Result<(), Refusal> {
        for (index, record) in self.request.changes.iter().enumerate() {
            let place = format!("changes[{index}]");
            let own = id("CHG", (&record.content.application, &self.request.source), &record.reference);
            let recorded = self.note(record, (&record.reference, record.time), (by, now_ms));
            answer.changes.push(own.clone());
            let before = self.changes.get(&own).and_then(|change| change.recorded.as_ref());
            if is_known(before, &recorded, &place, answer)? {
                continue;
            }
            let release = self.release(record.release.as_ref(), &record.content.application, &place)?;
            let (change, event) =
                Change::recorded(own.clone(), record, release.clone(), recorded).map_err(|refusal| within(refusal, &place))?;
            made.push(stream_change(0, &[event], &change));
            self.changes.insert(own.clone(), change);
            if let Some((_, release)) = release.as_ref().and_then(|release| self.releases.get_mut(release)) {
                bounds::at_most("changes", release.changes.len() + 1, bounds::CHANGES_MAX)?;
                let events = release.decide(&release::Command::RecordChange { change: own })?;
                events.iter().for_each(|event| release.apply(event, now_ms));
                news.entry(release.id.clone()).or_default().extend(events);
            }
        }
        Ok(())
    }

    fn make_deployments(
        &mut self,
        (by, now_ms): (&Name, Millis),
        answer: &mut RecordedView,
        made: &mut Vec<StreamChange>,
    ) -> Result<Vec<(Digest, String)>, Refusal> {
        let mut documents = BTreeMap::new();
        let mut arrived: BTreeMap<(Name, Name), Vec<SlotEvent>> = BTreeMap::new();
        for (index, record) in self.request.deployments.iter().enumerate() {
            let place = format!("deployments[{index}]");
            let own = id("DEP", (&record.application, &self.request.source), &record.reference);
            let recorded = self.note(record, (&record.reference, record.time), (by, now_ms));
            answer.deployments.push(own.clone());
            let before = self.deployments.get(&own).and_then(|deployment| deployment.recorded.as_ref());
            if is_known(before, &recorded, &place, answer)? {
                continue;
            }
            let release = self.release(record.release.as_ref(), &record.application, &place)?;
            let change = self.change(record.change.as_ref(), &record.application, &place)?;
            let (deployment, plan, event) =
                Deployment::recorded(own, record, (change, release), recorded).map_err(|refusal| within(refusal, &place))?;
            documents.entry(plan.digest()).or_insert_with(|| canonical::text(&plan));
            made.push(stream_change(0, &[event], &deployment));
            if deployment.state == State::Succeeded {
                let (deployment, versions) = (deployment.id, deployment.versions);
                let here = SlotEvent::Recorded { deployment, versions, ended_at_ms: record.ended_at_ms };
                arrived.entry((record.environment.clone(), record.application.clone())).or_default().push(here);
            }
        }
        for (place, events) in arrived {
            let Some((version, slot)) = self.slots.get_mut(&place) else { continue };
            events.iter().for_each(|event| slot.apply(event, now_ms));
            made.push(stream_change(*version, &events, slot));
        }
        Ok(documents.into_iter().collect())
    }

    fn note<R: Serialize>(&self, record: &R, (reference, time): (&str, Precision), by: (&Name, Millis)) -> Recorded {
        Recorded::of(record, (&self.request.source, reference), time, by)
    }

    fn release(&self, reference: Option<&String>, application: &Name, place: &str) -> Result<Option<Id>, Refusal> {
        let Some(reference) = reference else { return Ok(None) };
        let own = id("REL", (application, &self.request.source), reference);
        named(("release", reference), self.releases.contains_key(&own), place).map(|()| Some(own))
    }

    fn change(&self, reference: Option<&String>, application: &Name, place: &str) -> Result<Option<Id>, Refusal> {
        let Some(reference) = reference else { return Ok(None) };
        let own = id("CHG", (application, &self.request.source), reference);
        named(("change", reference), self.changes.contains_key(&own), place).map(|()| Some(own))
    }
}

/// Whether what a record names was recorded of the same application and source.
fn named((noun, reference): (&str, &str), found: bool, place: &str) -> Result<(), Refusal> {
    if found {
        return Ok(());
    }
    let what = format!("no {noun} \"{}\" of this application and source is recorded", tidegate_domain::ids::clip(reference));
    Err(Refusal::new(Code::NotFound, what, format!("record the {noun} before it, or in the same batch"))
        .at(format!("{place}.{noun}")))
}

/// Whether the same was recorded before; counts it.
fn is_known(before: Option<&Recorded>, now: &Recorded, place: &str, answer: &mut RecordedView) -> Result<bool, Refusal> {
    match before {
        None => {
            answer.recorded += 1;
            Ok(false)
        }
        Some(before) if before.digest == now.digest => {
            answer.known += 1;
            Ok(true)
        }
        Some(_) => {
            let what =
                format!("\"{}\" of {} was recorded otherwise before", tidegate_domain::ids::clip(&now.reference), now.source);
            let remedy = "what happened does not change: leave it out, or give what is another thing another reference";
            Err(Refusal::new(Code::AlreadyExists, what, remedy).at(place))
        }
    }
}

/// The refusal of a record, with its place in the batch.
fn within(refusal: Refusal, place: &str) -> Refusal {
    let at = refusal.place.as_ref().map_or_else(|| place.to_owned(), |inner| format!("{place}.{inner}"));
    refusal.at(at)
}

async fn known<T: Record>(app: &App, ids: impl Iterator<Item = Id>) -> Result<BTreeMap<Id, (u64, T)>, No> {
    let ids: BTreeSet<Id> = ids.collect();
    let texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let found = app.store.load_many::<T>(&texts).await?;
    // Every id that is asked for here was made by `record::id`, and so is one.
    Ok(found.into_iter().filter_map(|it| Some((Id::parse(&it.value.id()).ok()?, (it.version, it.value)))).collect())
}

fn values<T>(known: BTreeMap<Id, (u64, T)>) -> BTreeMap<Id, T> {
    known.into_iter().map(|(id, (_, value))| (id, value)).collect()
}
