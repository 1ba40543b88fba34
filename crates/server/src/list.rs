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
use tidegate_domain::release::Release;
use tidegate_domain::{Code, Name, Refusal, limits};
use tidegate_store::{Filter, Order, PageRequest, Record, Stored};

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
        parent: None,
        from_ms: None,
        until_ms: None,
        text: query.text.clone().filter(|text| !text.is_empty()),
    };
    Ok((filter, PageRequest { order, after: query.after.clone(), limit }))
}

/// A thing in lists, and what it is about.
pub trait Seen: Record {
    /// Every application and environment that it is about; an empty one stands for all.
    fn places(&self) -> Vec<Place> {
        let index = self.index();
        vec![(index.application, index.environment)]
    }
}

/// An application in an environment.
pub type Place = (Option<Name>, Option<Name>);

impl Seen for Application {}
impl Seen for Artifact {}
impl Seen for Component {}
impl Seen for Deployment {}
impl Seen for Environment {}
impl Seen for NamedStrategy {}
impl Seen for Person {}
impl Seen for Release {}
impl Seen for TargetRecord {}

impl Seen for Change {
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

/// One page of what the asker may see.
pub async fn page<T: Seen>(app: &App, caller: &Caller, query: &ListQuery) -> Result<Page<Versioned<T>>, No> {
    let mut page = unseen::<T>(app, query).await?;
    page.rows.retain(|row| may_see(&caller.person, &row.value));
    Ok(page)
}

/// One page of everything; whoever asks for it looks themselves at what may be seen.
pub async fn unseen<T: Record>(app: &App, query: &ListQuery) -> Result<Page<Versioned<T>>, No> {
    let (filter, request) = request(query)?;
    let page = app.store.list::<T>(&filter, &request).await?;
    Ok(Page { rows: page.rows.into_iter().map(versioned).collect(), next: page.next })
}

/// One thing, if the asker may see it; else as if there were none, so that nothing is told about what is hidden.
pub async fn one<T: Seen>(app: &App, caller: &Caller, id: &str) -> Result<Stored<T>, No> {
    let found = app.need::<T>(id).await?;
    if may_see(&caller.person, &found.value) { Ok(found) } else { Err(Refusal::not_found(T::NOUN.as_str(), id).into()) }
}
