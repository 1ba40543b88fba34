//! Lists: one query form, one page form, and nothing shown that the asker may not see.

use tidegate_api::definition::NamedStrategy;
use tidegate_api::request::ListQuery;
use tidegate_api::view::{Page, Versioned};
use tidegate_domain::access::{Person, Scope};
use tidegate_domain::calendar::Freeze;
use tidegate_domain::change::Change;
use tidegate_domain::deployment::artifact::Artifact;
use tidegate_domain::deployment::rollout::Deployment;
use tidegate_domain::estate::{Application, Component, Environment, TargetRecord};
use tidegate_domain::event::Noun;
use tidegate_domain::release::Release;
use tidegate_domain::{Code, Name, Refusal, limits};
use tidegate_store::{Filter, Order, PageRequest, Reach, Record, Stored};

use crate::access::Caller;
use crate::app::App;
use crate::problem::No;

/// A thing with its version, as views show it.
pub fn versioned<T>(stored: Stored<T>) -> Versioned<T> {
    Versioned { version: stored.version, updated_at_ms: stored.updated_at_ms, value: stored.value }
}

/// What the store is asked for.
///
/// # Errors
///
/// [`Code::OutOfRange`] or [`Code::Malformed`], at the field.
pub fn request(query: &ListQuery) -> Result<(Filter, PageRequest), Refusal> {
    let limit = query.limit.unwrap_or(limits::PAGE_ROWS);
    if !(1..=limits::PAGE_ROWS_MAX).contains(&limit) {
        let remedy = format!("use 1 to {}", limits::PAGE_ROWS_MAX);
        return Err(Refusal::new(Code::OutOfRange, format!("limit is {limit}"), remedy).at("limit"));
    }
    let order = match query.sort.as_deref() {
        None | Some("newest") => Order::NewestFirst,
        Some("oldest") => Order::OldestFirst,
        Some("name") => Order::ByName,
        Some(other) => {
            let what = format!("sort is \"{}\"", tidegate_domain::ids::clip(other));
            return Err(Refusal::new(Code::Malformed, what, "use newest, oldest or name").at("sort"));
        }
    };
    let states =
        query.state.as_deref().unwrap_or_default().split(',').filter(|state| !state.is_empty()).map(str::to_owned).collect();
    let filter = Filter {
        states,
        applications: query.application.iter().cloned().collect(),
        environments: query.environment.iter().cloned().collect(),
        parent: query.release.as_ref().map(ToString::to_string),
        from_ms: None,
        until_ms: None,
        text: query.text.clone().filter(|text| !text.is_empty()),
        reach: Reach::Page,
    };
    Ok((filter, PageRequest { order, after: query.after.clone(), limit }))
}

/// Refuses to look for things of a release that are of none.
fn has_releases<T: Record>(query: &ListQuery) -> Result<(), Refusal> {
    if query.release.is_none() || matches!(T::NOUN, Noun::Change | Noun::Deployment) {
        return Ok(());
    }
    let what = format!("a {} is not one of a release", T::NOUN);
    Err(Refusal::new(Code::Malformed, what, "leave the release out, or list changes or deployments").at("release"))
}

/// A thing in lists, and what it is about.
pub trait Seen: Record {
    /// Which of its places stand in its index columns, whatever the thing: then the database can look for what may be seen.
    const FOUND_BY: FoundBy = FoundBy::Neither;

    /// Every application and environment that it is about; an empty one stands for all.
    fn places(&self) -> Vec<Place> {
        let index = self.index();
        vec![(index.application, index.environment)]
    }
}

/// Which columns say all about the places of things of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "named like the columns")]
pub enum FoundBy {
    Neither,
    Application,
    Both,
}

/// An application in an environment.
pub type Place = (Option<Name>, Option<Name>);

impl Seen for Application {}
impl Seen for Artifact {}
impl Seen for Component {}
impl Seen for Deployment {
    const FOUND_BY: FoundBy = FoundBy::Both;
}
impl Seen for Environment {}
impl Seen for NamedStrategy {}
impl Seen for Person {}
impl Seen for Release {
    const FOUND_BY: FoundBy = FoundBy::Application;
}
impl Seen for TargetRecord {}

impl Seen for Change {
    const FOUND_BY: FoundBy = FoundBy::Application;

    fn places(&self) -> Vec<Place> {
        self.content.environments.iter().map(|it| (Some(self.content.application.clone()), Some(it.clone()))).collect()
    }
}

impl Seen for Freeze {
    fn places(&self) -> Vec<Place> {
        let or_all = |names: &[Name]| if names.is_empty() { vec![None] } else { names.iter().cloned().map(Some).collect() };
        let environments: Vec<Option<Name>> = or_all(&self.environments);
        let pairs = or_all(&self.applications)
            .into_iter()
            .flat_map(|application| environments.iter().map(move |environment| (application.clone(), environment.clone())));
        pairs.collect()
    }
}

/// Whether somebody may see a thing: whether they may read in one of its places.
///
/// What is about an application in an environment is seen by whoever may read there. What is about one of the two, or about
/// neither, concerns the others as well: whoever plans a deployment has to see the environment, its targets and its freezes.
pub fn may_see(person: &Person, thing: &impl Seen) -> bool {
    let places = thing.places();
    person.grants.iter().any(|grant| places.iter().any(|place| touches(&grant.scope, place)))
}

fn touches(scope: &Scope, (application, environment): &Place) -> bool {
    match scope {
        Scope::All => true,
        Scope::Application(name) => application.as_ref().is_none_or(|it| it == name),
        Scope::Environment(name) => environment.as_ref().is_none_or(|it| it == name),
    }
}

/// Pages of the store that one page of a list is gathered from, where the asker sees little of each.
const PAGES_MAX: usize = 5;

/// One page of what the asker may see. It may have fewer rows than asked for and still a next one.
pub async fn page<T: Seen>(app: &App, caller: &Caller, query: &ListQuery) -> Result<Page<Versioned<T>>, No> {
    has_releases::<T>(query)?;
    let (filter, request) = request(query)?;
    let Some(filter) = narrowed::<T>(&caller.person, filter) else { return Ok(Page { rows: Vec::new(), next: None }) };
    gathered::<T>(app, &filter, request, |it| may_see(&caller.person, it)).await
}

/// One page of those that are seen, gathered from as many of the store's as it takes, within reason.
pub async fn gathered<T: Record>(
    app: &App,
    filter: &Filter,
    mut request: PageRequest,
    is_seen: impl Fn(&T) -> bool,
) -> Result<Page<Versioned<T>>, No> {
    let (limit, mut rows) = (request.limit as usize, Vec::new());
    for _ in 0..PAGES_MAX {
        let page = app.store.list::<T>(filter, &request).await?;
        rows.extend(page.rows.into_iter().filter(|row| is_seen(&row.value)).map(versioned));
        request.after = page.next;
        // The rest of a page would be lost behind its cursor, so that only as much is asked for as has room.
        request.limit = limit.saturating_sub(rows.len()) as u32;
        if request.after.is_none() || request.limit == 0 {
            break;
        }
    }
    Ok(Page { rows, next: request.after })
}

/// What the database can leave out of what the asker may not see; nothing if they see nothing of it. Whoever is trusted with
/// applications and with environments is shown what [`may_see`] leaves of everything.
pub fn narrowed<T: Seen>(person: &Person, filter: Filter) -> Option<Filter> {
    let (mut applications, mut environments) = (Vec::new(), Vec::new());
    for grant in &person.grants {
        match &grant.scope {
            Scope::All => return Some(filter),
            Scope::Application(name) => applications.push(name.clone()),
            Scope::Environment(name) => environments.push(name.clone()),
        }
    }
    match T::FOUND_BY {
        FoundBy::Application | FoundBy::Both if environments.is_empty() => {
            Some(Filter { applications: both(filter.applications, applications)?, ..filter })
        }
        FoundBy::Both if applications.is_empty() => {
            Some(Filter { environments: both(filter.environments, environments)?, ..filter })
        }
        FoundBy::Neither | FoundBy::Application | FoundBy::Both => Some(filter),
    }
}

/// What is asked for and may be seen; nothing if there is none. Asking for nothing in particular asks for all.
fn both(asked: Vec<Name>, seen: Vec<Name>) -> Option<Vec<Name>> {
    let both = if asked.is_empty() { seen } else { asked.into_iter().filter(|name| seen.contains(name)).collect() };
    (!both.is_empty()).then_some(both)
}

/// One page of everything; whoever asks for it looks themselves at what may be seen.
pub async fn unseen<T: Record>(app: &App, query: &ListQuery) -> Result<Page<Versioned<T>>, No> {
    has_releases::<T>(query)?;
    let (filter, request) = request(query)?;
    let page = app.store.list::<T>(&filter, &request).await?;
    Ok(Page { rows: page.rows.into_iter().map(versioned).collect(), next: page.next })
}

/// One thing, if the asker may see it; else as if there were none, so that nothing is told about what is hidden.
pub async fn one<T: Seen>(app: &App, caller: &Caller, id: &str) -> Result<Stored<T>, No> {
    let found = app.need::<T>(id).await?;
    if may_see(&caller.person, &found.value) { Ok(found) } else { Err(Refusal::not_found(T::NOUN.as_str(), id).into()) }
}
