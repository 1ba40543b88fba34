//! Components by environments: what is verified where, since when, and what is on its way.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use tidegate_api::definition::NamedStrategy;
use tidegate_api::request::{PlanDeployment, StrategyChoice};
use tidegate_domain::access::{About, Permission, Person};
use tidegate_domain::deployment::rollout::{Deployment, State};
use tidegate_domain::estate::{Component, Environment, Slot};
use tidegate_domain::{Name, Refusal, Version};
use tidegate_store::{Filter, Order, PageRequest, Record};

use super::counted::{self, Slots};
use crate::access::Caller;
use crate::app::App;
use crate::deployment::service::is_overtaken;
use crate::list;
use crate::problem::No;
use crate::web::page::environments::{Cell, Column, Known, Matrix, Pending, Row};

/// Components and places that one matrix shows; more cannot be looked over.
const ROWS_MAX: u32 = 2_000;

/// Rows on one page, unless two environments are held against each other: what a person looks over, and each cell may carry a
/// form.
const PAGE_ROWS: usize = 30;

/// The query of the matrix.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatrixQuery {
    /// Only of this application.
    #[serde(default)]
    pub application: Option<String>,
    /// Two environments to be held against each other.
    #[serde(default)]
    pub from: Option<String>,
    /// The other one.
    #[serde(default)]
    pub to: Option<String>,
    /// The last component of the page before.
    #[serde(default)]
    pub after: Option<String>,
}

/// The form that carries a version on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promotion {
    application: Name,
    component: Name,
    version: String,
    environment: Name,
    #[serde(default)]
    strategy: Option<Name>,
}

impl Promotion {
    /// What is planned.
    pub fn request(self) -> Result<PlanDeployment, Refusal> {
        Ok(PlanDeployment {
            application: self.application,
            environment: self.environment,
            versions: BTreeMap::from([(self.component, Version::parse(&self.version)?)]),
            release: None,
            change: None,
            strategy: self.strategy.map(StrategyChoice::Named),
        })
    }
}

/// What the matrix shows, as far as the asker may see it.
pub async fn gather(app: &App, caller: &Caller, query: MatrixQuery) -> Result<Matrix, No> {
    let said = |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(Name::parse).transpose();
    let (application, from, to) = (said(&query.application)?, said(&query.from)?, said(&query.to)?);
    let mut environments: Vec<Environment> = seen(app, caller).await?;
    environments.sort_by(|a, b| (a.position, &a.name).cmp(&(b.position, &b.name)));
    let mut components: Vec<Component> = seen(app, caller).await?;
    let applications = components.iter().map(|it| it.application.clone()).collect::<std::collections::BTreeSet<_>>();
    components.retain(|it| application.as_ref().is_none_or(|wanted| it.application == *wanted));
    components.sort_by(|a, b| (&a.application, &a.name).cmp(&(&b.application, &b.name)));
    let compared = from.zip(to);
    let next = if compared.is_none() { cut(&mut components, query.after.as_deref()) } else { None };
    let slots = app.counted.slots(app).await?;
    let mut pending = pending(app, caller, &slots).await?;
    let drift = counted::drift(app).await?;
    let mut rows = Vec::new();
    for component in components {
        let cells = environments.iter().map(|environment| {
            let place = (environment.name.clone(), component.name.clone());
            let slot = slots.get(&Slot::id(&environment.name, &component.application));
            let standing = slot.and_then(|slot| slot.standing(&component.name)).map(Known::of);
            Cell { standing, pending: pending.remove(&place), drifted: drift.get(&place).copied() }
        });
        rows.push(Row { cells: cells.collect(), application: component.application.clone(), component: component.name });
    }
    let columns = environments.into_iter().map(|environment| {
        let about = About { application: application.as_ref(), environment: Some(&environment.name) };
        Column { may_plan: caller.person.may(Permission::Plan, about), environment }
    });
    let strategies: Vec<NamedStrategy> = seen(app, caller).await?;
    Ok(Matrix {
        columns: columns.collect(),
        rows,
        applications: applications.into_iter().collect(),
        application,
        compared,
        next,
        strategies: strategies.into_iter().map(|it| it.name).collect(),
    })
}

/// Leaves the page after a component; answers with the last one of it if there are more.
fn cut(components: &mut Vec<Component>, after: Option<&str>) -> Option<Name> {
    let begin = after.and_then(|after| components.iter().position(|it| it.name.as_str() == after)).map_or(0, |at| at + 1);
    components.drain(..begin);
    let more = components.len() > PAGE_ROWS;
    components.truncate(PAGE_ROWS);
    components.last().filter(|_| more).map(|it| it.name.clone())
}

async fn all<T: Record>(app: &App, filter: Filter) -> Result<Vec<T>, No> {
    let request = PageRequest { order: Order::ByName, after: None, limit: ROWS_MAX };
    Ok(app.store.list::<T>(&filter, &request).await?.rows.into_iter().map(|row| row.value).collect())
}

async fn seen<T: list::Seen>(app: &App, caller: &Caller) -> Result<Vec<T>, No> {
    let person: &Person = &caller.person;
    Ok(all::<T>(app, Filter::default()).await?.into_iter().filter(|it| list::may_see(person, it)).collect())
}

/// What is planned or at work, by environment and component; what is at work wins, then the newest.
async fn pending(app: &App, caller: &Caller, slots: &Slots) -> Result<HashMap<(Name, Name), Pending>, No> {
    let states = [
        State::Planned,
        State::AwaitingApproval,
        State::Scheduled,
        State::Queued,
        State::Running,
        State::Paused,
        State::Baking,
        State::Failing,
        State::FallingBack,
    ];
    let filter = Filter { states: states.map(|state| state.as_str().to_owned()).to_vec(), ..Filter::default() };
    let request = PageRequest { order: Order::OldestFirst, after: None, limit: ROWS_MAX };
    let found = app.store.list::<Deployment>(&filter, &request).await?.rows;
    let mut deployments: Vec<Deployment> = found.into_iter().map(|row| row.value).collect();
    deployments.retain(|it| list::may_see(&caller.person, it) && !is_overtaken(slots, it));
    deployments.sort_by_key(|it| (it.state.holds_slot(), it.created_at_ms));
    let mut pending = HashMap::new();
    for deployment in deployments {
        for (component, version) in &deployment.versions {
            let it = Pending { deployment: deployment.id.clone(), version: version.clone(), state: deployment.state };
            pending.insert((deployment.environment.clone(), component.clone()), it);
        }
    }
    Ok(pending)
}
