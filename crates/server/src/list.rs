//! Lists: one query form, one page form, and nothing shown that the asker may not see.

use tidegate_api::request::ListQuery;
use tidegate_api::view::{Page, Versioned};
use tidegate_domain::access::{About, Permission};
use tidegate_domain::{Code, Refusal, limits};
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
    let states = query.state.as_deref().unwrap_or_default().split(',').filter(|state| !state.is_empty()).map(str::to_owned).collect();
    let filter = Filter {
        states,
        applications: query.application.iter().cloned().collect(),
        environments: query.environment.iter().cloned().collect(),
        parent: None,
        text: query.text.clone().filter(|text| !text.is_empty()),
    };
    Ok((filter, PageRequest { order, after: query.after.clone(), limit }))
}

/// One page of what the asker may see.
pub async fn page<T: Record>(app: &App, caller: &Caller, query: &ListQuery) -> Result<Page<Versioned<T>>, No> {
    let (filter, request) = request(query)?;
    let page = app.store.list::<T>(&filter, &request).await?;
    let rows = page.rows.into_iter().filter(|row| may_see(caller, &row.value)).map(versioned).collect();
    Ok(Page { rows, next: page.next })
}

/// One thing, if the asker may see it; else as if there were none, so that nothing is told about what is hidden.
pub async fn one<T: Record>(app: &App, caller: &Caller, id: &str) -> Result<Stored<T>, No> {
    let found = app.need::<T>(id).await?;
    if may_see(caller, &found.value) { Ok(found) } else { Err(Refusal::not_found(T::NOUN.as_str(), id).into()) }
}

fn may_see<T: Record>(caller: &Caller, value: &T) -> bool {
    let index = value.index();
    let about = About { application: index.application.as_ref(), environment: index.environment.as_ref() };
    caller.person.may(Permission::Read, about)
}
