//! The five figures, from what happened in production.

use std::collections::{BTreeSet, HashMap, VecDeque};

use tidegate_domain::access::{About, Permission, Person};
use tidegate_domain::change::{Change, Class};
use tidegate_domain::deployment::plan::Purpose;
use tidegate_domain::deployment::rollout::{Deployment, State};
use tidegate_domain::estate::{Environment, Tier};
use tidegate_domain::measure::dora::{self, Dora, End, Fact};
use tidegate_domain::{Id, Millis, Name};
use tidegate_store::{Filter, Order, PageRequest, Record as _};
use tokio::sync::Mutex;

use crate::app::App;
use crate::estate;
use crate::mirror::Mirror;
use crate::problem::No;

/// Milliseconds of a day.
pub const DAY_MS: Millis = 86_400_000;
/// Days the figures look back.
pub const DAYS: i64 = 90;
/// How long the figures of the last days stand while nothing happens.
const STANDS_MS: Millis = 60_000;
/// Deployments, and changes, beyond which no older ones are kept in memory.
const IN_MEMORY_MAX: usize = 200_000;
/// Deployments that the figures of a period are made of at most that is not in memory; the newest ones.
const READ_MAX: u32 = 20_000;
/// Periods whose figures are kept until something that they are made of changes.
const KEPT_MAX: usize = 32;

/// Over what figures are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// From this instant on.
    pub from_ms: Millis,
    /// And before this one.
    pub until_ms: Millis,
    /// Only of this application.
    pub application: Option<Name>,
    /// In exactly these environments.
    pub environments: Vec<Name>,
}

/// What the figures are made of, as far as it is read already.
pub struct Measures {
    deployments: Mirror<Deployment, Ended>,
    changes: Mirror<Change, Asked>,
    kept: Mutex<VecDeque<Kept>>,
}

/// Figures that were made, and of what: those of the mirrors' generations.
struct Kept {
    period: Period,
    generations: (u64, u64),
    figures: Dora,
}

/// What counts of a deployment that is over.
#[derive(Clone)]
struct Ended {
    id: Id,
    application: Name,
    environment: Name,
    change: Option<Id>,
    created_at_ms: Millis,
    started_at_ms: Millis,
    over_at_ms: Millis,
    failed_at_ms: Option<Millis>,
    end: End,
    exact: bool,
    recorded: bool,
}

/// What counts of a change.
#[derive(Clone)]
struct Asked {
    at_ms: Millis,
    rework: bool,
    /// Whether its instants are known.
    exact: bool,
    implemented: Vec<(Name, Millis)>,
}

impl Default for Measures {
    fn default() -> Measures {
        Measures {
            deployments: Mirror::of_most(IN_MEMORY_MAX, ended),
            changes: Mirror::of_most(IN_MEMORY_MAX, |change| Some(asked(&change))),
            kept: Mutex::default(),
        }
    }
}

fn ended(deployment: Deployment) -> Option<Ended> {
    // What went to no target delivered nothing.
    if deployment.size == 0 && deployment.recorded.is_none() {
        return None;
    }
    let end = match deployment.state {
        State::Succeeded => End::Succeeded,
        State::FellBack => End::FellBack,
        State::Failed | State::FallbackFailed => End::Failed,
        _ => return None,
    };
    Some(Ended {
        over_at_ms: deployment.ended_at_ms.filter(|_| deployment.purpose == Purpose::Forward)?,
        id: deployment.id,
        application: deployment.application,
        environment: deployment.environment,
        change: deployment.change,
        created_at_ms: deployment.created_at_ms,
        started_at_ms: deployment.started_at_ms.unwrap_or(deployment.created_at_ms),
        // A record without an instant of failure has that of its end; no recovery took no time.
        failed_at_ms: deployment
            .failure
            .map(|failure| failure.at_ms)
            .filter(|at_ms| deployment.recorded.is_none() || Some(*at_ms) < deployment.ended_at_ms),
        end,
        exact: deployment.recorded.as_ref().is_none_or(|recorded| recorded.time.is_exact()),
        recorded: deployment.recorded.is_some(),
    })
}

fn asked(change: &Change) -> Asked {
    Asked {
        at_ms: change.created_at_ms,
        exact: change.recorded.as_ref().is_none_or(|recorded| recorded.time.is_exact()),
        rework: change.repairs || change.content.class == Class::Emergency,
        implemented: change.implemented.iter().map(|(environment, at_ms)| (environment.clone(), *at_ms)).collect(),
    }
}

fn fact(it: &Ended, change: Option<&Asked>) -> Fact {
    let implemented = change.and_then(|change| change.implemented.iter().find(|(environment, _)| *environment == it.environment));
    Fact {
        deployment: it.id.clone(),
        change: it.change.clone(),
        committed_at_ms: change.map_or(it.created_at_ms, |change| change.at_ms),
        // Of a change that nobody knows the time of there is no lead time, nor of a record without one: when it was asked for elsewhere
        // is not known.
        reached_at_ms: (it.end == End::Succeeded)
            .then_some(it.over_at_ms)
            .or(implemented.map(|(_, at_ms)| *at_ms))
            .filter(|_| change.map_or(!it.recorded, |change| change.exact)),
        started_at_ms: it.started_at_ms,
        failed_at_ms: it.failed_at_ms,
        ended_at_ms: it.over_at_ms,
        end: it.end,
        rework: change.is_some_and(|change| change.rework),
        exact: it.exact,
    }
}

/// What nothing comes to.
pub fn nothing() -> Dora {
    dora::figures(&[], 0)
}

/// The environments that figures are made over: those that are named, or those of the tier production if none is. Names of places
/// that are not there are refused: figures of nothing would look like good news.
pub async fn places(app: &App, application: Option<&Name>, named: Vec<Name>) -> Result<Vec<Name>, No> {
    estate::service::there(app, &application.into_iter().collect::<Vec<_>>(), &named).await?;
    if !named.is_empty() {
        return Ok(named);
    }
    let all = PageRequest { order: Order::ByName, after: None, limit: 1_000 };
    let environments = app.store.list::<Environment>(&Filter::default(), &all).await?.rows;
    Ok(environments.into_iter().filter(|it| it.value.tier == Tier::Production).map(|it| it.value.name).collect())
}

/// The end of a period that goes on: the next full minute, so that what was counted a moment ago can stand.
pub fn open_end_ms(now_ms: Millis) -> Millis {
    (now_ms.div_euclid(STANDS_MS) + 1) * STANDS_MS
}

async fn last_days(app: &App) -> Result<Period, No> {
    let until_ms = open_end_ms(app.now_ms());
    Ok(Period {
        from_ms: until_ms - DAYS * DAY_MS,
        until_ms,
        application: None,
        environments: places(app, None, Vec::new()).await?,
    })
}

/// The figures of the last [`DAYS`], from the deployments into those production environments that somebody may read in: figures
/// of others would tell of them.
pub async fn of(app: &App, person: &Person) -> Result<Dora, No> {
    over(app, seen_by(last_days(app).await?, person)).await
}

/// Reads ahead what the first look would have to read.
pub async fn warm(app: &App) -> Result<(), No> {
    over(app, last_days(app).await?).await.map(drop)
}

/// The period with those of its environments in which somebody may read.
pub fn seen_by(mut period: Period, person: &Person) -> Period {
    let application = period.application.clone();
    let may = |environment: &Name| {
        person.may(Permission::Read, About { application: application.as_ref(), environment: Some(environment) })
    };
    period.environments.retain(may);
    period
}

/// The figures over a period.
pub async fn over(app: &App, period: Period) -> Result<Dora, No> {
    if period.environments.is_empty() {
        return Ok(nothing());
    }
    let (deployments, changes) = (&app.measures.deployments, &app.measures.changes);
    let ended = deployments.look(app, Some(period.from_ms)).await?;
    if ended.from_ms > period.from_ms {
        return read(app, &period).await;
    }
    // Whoever changes a change that a figure was made of is noticed here; none is read for the first time.
    let generations = (ended.generation, changes.look_at(app, &BTreeSet::new()).await?.generation);
    let mut kept = app.measures.kept.lock().await;
    if let Some(found) = kept.iter().find(|it| it.period == period && it.generations == generations) {
        return Ok(found.figures.clone());
    }
    drop(kept);
    let inside: Vec<&Ended> = ended.things.values().filter(|it| period.has(it)).collect();
    let asked = changes.look_at(app, &changes_of(inside.iter().copied())).await?;
    let change = |it: &Ended| it.change.as_ref().and_then(|id| asked.things.get(id.as_str()));
    let facts: Vec<Fact> = inside.iter().map(|it| fact(it, change(it))).collect();
    let figures = figures(&facts, &period);
    let generations = (ended.generation, asked.generation);
    kept = app.measures.kept.lock().await;
    kept.retain(|it| it.period != period);
    kept.truncate(KEPT_MAX - 1);
    kept.push_front(Kept { period, generations, figures: figures.clone() });
    Ok(figures)
}

/// The figures over a period that begins before what is in memory, from the newest deployments in it.
async fn read(app: &App, period: &Period) -> Result<Dora, No> {
    let filter = Filter {
        applications: period.application.iter().cloned().collect(),
        environments: period.environments.clone(),
        from_ms: Some(period.from_ms),
        until_ms: Some(period.until_ms),
        ..Filter::default()
    };
    let request = PageRequest { order: Order::NewestFirst, after: None, limit: READ_MAX };
    let page = app.store.list::<Deployment>(&filter, &request).await?;
    let oldest_ms = page.rows.last().filter(|_| page.next.is_some()).map(|row| row.value.index().sort_at_ms);
    // Of the last instant that was read there may be more.
    let from_ms = oldest_ms.map_or(period.from_ms, |at_ms| at_ms + 1);
    let counted = Period { from_ms, ..period.clone() };
    let ended: Vec<Ended> = page.rows.into_iter().filter_map(|row| ended(row.value)).filter(|it| counted.has(it)).collect();
    let changes = app.store.load_many::<Change>(&changes_of(ended.iter()).into_iter().collect::<Vec<_>>()).await?;
    let changes: HashMap<Id, Asked> = changes.into_iter().map(|it| (it.value.id.clone(), asked(&it.value))).collect();
    let change = |it: &Ended| it.change.as_ref().and_then(|id| changes.get(id));
    let facts: Vec<Fact> = ended.iter().map(|it| fact(it, change(it))).collect();
    Ok(Dora { not_counted_before_ms: oldest_ms.map(|_| from_ms), ..figures(&facts, &counted) })
}

fn changes_of<'a>(ended: impl Iterator<Item = &'a Ended>) -> BTreeSet<String> {
    ended.filter_map(|it| it.change.as_ref()).map(ToString::to_string).collect()
}

impl Period {
    fn has(&self, it: &Ended) -> bool {
        (self.from_ms..self.until_ms).contains(&it.started_at_ms)
            && self.application.as_ref().is_none_or(|application| it.application == *application)
            && self.environments.contains(&it.environment)
    }
}

fn figures(facts: &[Fact], period: &Period) -> Dora {
    let first_ms = facts.iter().filter(|fact| fact.exact).map(|fact| fact.started_at_ms).min().unwrap_or(period.until_ms);
    // A young installation is measured over its own days, but not over less than one.
    dora::figures(facts, (period.until_ms - first_ms.max(period.from_ms)).max(DAY_MS))
}
