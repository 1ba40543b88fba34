//! The five figures, from what happened in production.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidegate_domain::access::{About, Permission, Person};
use tidegate_domain::change::{Change, Class};
use tidegate_domain::deployment::plan::Purpose;
use tidegate_domain::deployment::rollout::{Deployment, State};
use tidegate_domain::estate::{Environment, Tier};
use tidegate_domain::measure::dora::{self, Dora, End, Fact};
use tidegate_domain::{Id, Millis, Name};
use tidegate_store::{Filter, Order, PageRequest};
use tokio::sync::Mutex;

use crate::app::App;
use crate::mirror::Mirror;
use crate::problem::No;

/// Milliseconds of a day.
pub const DAY_MS: Millis = 86_400_000;
/// Days the figures look back.
pub const DAYS: i64 = 90;
/// How long a figure stands while nothing happens: it is one of days.
const STANDS_MS: Millis = 60_000;
/// Deployments that the figures of a longer or an older period are made of at most; the newest ones.
const READ_MAX: u32 = 10_000;

/// Over what figures are made.
#[derive(Debug, Clone)]
pub struct Period {
    /// From this instant on.
    pub from_ms: Millis,
    /// And before this one.
    pub until_ms: Millis,
    /// Only of this application.
    pub application: Option<Name>,
    /// Only in these environments; those of the tier production if none is named.
    pub environments: Vec<Name>,
}

/// What the figures are made of, as far as it is read already.
pub struct Measures {
    deployments: Mirror<Deployment, Ended>,
    changes: Mirror<Change, Asked>,
    last: Mutex<Option<Last>>,
}

/// The last [`DAYS`] as of an event.
struct Last {
    position: u64,
    minute: Millis,
    recent: Arc<Vec<Placed>>,
    /// The figures of all of production, which every look at the first page asks for.
    figures: Dora,
}

/// A fact and where it was.
struct Placed {
    application: Name,
    environment: Name,
    fact: Fact,
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
        Measures { deployments: Mirror::new(ended), changes: Mirror::new(|change| Some(asked(&change))), last: Mutex::new(None) }
    }
}

fn ended(deployment: Deployment) -> Option<Ended> {
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

fn placed(it: &Ended, change: Option<&Asked>) -> Placed {
    let implemented = change.and_then(|change| change.implemented.iter().find(|(environment, _)| *environment == it.environment));
    let fact = Fact {
        deployment: it.id.clone(),
        change: it.change.clone(),
        committed_at_ms: change.map_or(it.created_at_ms, |change| change.at_ms),
        // Of a change that nobody knows the time of there is no lead time.
        reached_at_ms: (it.end == End::Succeeded)
            .then_some(it.over_at_ms)
            .or(implemented.map(|(_, at_ms)| *at_ms))
            .filter(|_| change.is_none_or(|change| change.exact)),
        started_at_ms: it.started_at_ms,
        failed_at_ms: it.failed_at_ms,
        ended_at_ms: it.over_at_ms,
        end: it.end,
        rework: change.is_some_and(|change| change.rework),
        exact: it.exact,
    };
    Placed { application: it.application.clone(), environment: it.environment.clone(), fact }
}

/// What nothing comes to.
pub fn nothing() -> Dora {
    dora::figures(&[], 0)
}

/// The environments of the tier production.
pub async fn production(app: &App) -> Result<Vec<Name>, No> {
    let all = PageRequest { order: Order::ByName, after: None, limit: 1_000 };
    let environments = app.store.list::<Environment>(&Filter::default(), &all).await?.rows;
    Ok(environments.into_iter().filter(|it| it.value.tier == Tier::Production).map(|it| it.value.name).collect())
}

/// The figures of the last [`DAYS`], from the deployments into those production environments that somebody may read in: figures
/// of others would tell of them.
pub async fn of(app: &App, person: &Person) -> Result<Dora, No> {
    let (recent, figures) = recent(app).await?;
    if person.may(Permission::Read, About::default()) {
        return Ok(figures);
    }
    let until_ms = app.now_ms() + 1;
    let seen = Period { from_ms: until_ms - DAYS * DAY_MS, until_ms, application: None, environments: production(app).await? };
    Ok(seen_by(&recent, seen, person))
}

/// Reads ahead what the first look would have to read.
pub async fn warm(app: &App) -> Result<(), No> {
    recent(app).await.map(drop)
}

/// The figures of those of a period's environments in which somebody may read.
fn seen_by(placed: &[Placed], mut period: Period, person: &Person) -> Dora {
    let about = |environment| About { application: period.application.as_ref(), environment: Some(environment) };
    let seen = period.environments.iter().filter(|environment| person.may(Permission::Read, about(*environment)));
    period.environments = seen.cloned().collect();
    figures(placed, &period)
}

/// The figures over a period: of the last [`DAYS`] from everything, further back from the newest [`READ_MAX`] deployments in it.
pub async fn over(app: &App, mut period: Period) -> Result<Dora, No> {
    if period.environments.is_empty() {
        period.environments = production(app).await?;
    }
    // A period that was asked for a moment ago is still one of the last days.
    if period.from_ms >= app.now_ms() - DAYS * DAY_MS - STANDS_MS {
        return recent(app).await.map(|(recent, _)| figures(&recent, &period));
    }
    Ok(figures(&read(app, &period).await?, &period))
}

async fn recent(app: &App) -> Result<(Arc<Vec<Placed>>, Dora), No> {
    let mut last = app.measures.last.lock().await;
    let (position, now_ms) = (app.store.head().await?, app.now_ms());
    if let Some(last) = last.as_ref()
        && last.position == position
        && last.minute == now_ms / STANDS_MS
    {
        return Ok((last.recent.clone(), last.figures.clone()));
    }
    let since_ms = now_ms - DAYS * DAY_MS;
    let ended = app.measures.deployments.look(app, Some(since_ms)).await?;
    let ended: Vec<&Ended> = ended.values().filter(|it| it.started_at_ms >= since_ms).collect();
    let changes: BTreeSet<String> = ended.iter().filter_map(|it| it.change.as_ref()).map(ToString::to_string).collect();
    let changes = app.measures.changes.look_at(app, &changes).await?;
    let change = |it: &Ended| it.change.as_ref().and_then(|id| changes.get(id.as_str()));
    let recent: Arc<Vec<Placed>> = Arc::new(ended.into_iter().map(|it| placed(it, change(it))).collect());
    let all = Period { from_ms: since_ms, until_ms: now_ms + 1, application: None, environments: production(app).await? };
    let figures = figures(&recent, &all);
    // What was read after the head may be newer; then it is counted again at the next event, which is there already.
    *last = Some(Last { position, minute: now_ms / STANDS_MS, recent: recent.clone(), figures: figures.clone() });
    Ok((recent, figures))
}

async fn read(app: &App, period: &Period) -> Result<Vec<Placed>, No> {
    if period.environments.is_empty() {
        return Ok(Vec::new());
    }
    let filter = Filter {
        applications: period.application.iter().cloned().collect(),
        environments: period.environments.clone(),
        from_ms: Some(period.from_ms),
        until_ms: Some(period.until_ms),
        ..Filter::default()
    };
    let request = PageRequest { order: Order::NewestFirst, after: None, limit: READ_MAX };
    let found = app.store.list::<Deployment>(&filter, &request).await?.rows;
    let ended: Vec<Ended> = found.into_iter().filter_map(|it| ended(it.value)).collect();
    let changes: BTreeSet<String> = ended.iter().filter_map(|it| it.change.as_ref()).map(ToString::to_string).collect();
    let changes = app.store.load_many::<Change>(&changes.into_iter().collect::<Vec<_>>()).await?;
    let changes: std::collections::HashMap<Id, Asked> =
        changes.into_iter().map(|it| (it.value.id.clone(), asked(&it.value))).collect();
    Ok(ended.iter().map(|it| placed(it, it.change.as_ref().and_then(|id| changes.get(id)))).collect())
}

fn figures(placed: &[Placed], period: &Period) -> Dora {
    let inside = |it: &&Placed| {
        (period.from_ms..period.until_ms).contains(&it.fact.started_at_ms)
            && period.application.as_ref().is_none_or(|application| it.application == *application)
            && period.environments.contains(&it.environment)
    };
    let facts: Vec<Fact> = placed.iter().filter(inside).map(|it| it.fact.clone()).collect();
    let first_ms = facts.iter().filter(|fact| fact.exact).map(|fact| fact.started_at_ms).min().unwrap_or(period.until_ms);
    // A young installation is measured over its own days, but not over less than one.
    dora::figures(&facts, (period.until_ms - first_ms.max(period.from_ms)).max(DAY_MS))
}
