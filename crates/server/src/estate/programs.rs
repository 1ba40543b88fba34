//! What agents say of the programs that they keep up, as far as somebody may hear it.

use std::collections::HashMap;

use tidegate_api::view::Unsteady;
use tidegate_domain::Name;
use tidegate_domain::access::{About, Permission, Person};
use tidegate_domain::estate::Component;

use crate::app::App;
use crate::problem::No;

/// For one answer: whose components are is read once.
pub struct Programs<'a> {
    app: &'a App,
    person: &'a Person,
    applications: HashMap<Name, Option<Name>>,
}

impl<'a> Programs<'a> {
    /// Of whoever asks.
    pub fn of(app: &'a App, person: &'a Person) -> Programs<'a> {
        Programs { app, person, applications: HashMap::new() }
    }

    /// Those of which the person may read the logs in this environment: a program's last line is a line of its log. What no component
    /// is called is an agent's invention.
    pub async fn seen(&mut self, environment: &Name, said: Vec<Unsteady>) -> Result<Vec<Unsteady>, No> {
        let mut seen = Vec::new();
        for program in said {
            if self.may(Permission::Read, (&program.component, environment)).await? {
                seen.push(program);
            }
        }
        Ok(seen)
    }

    /// Whether the person may do something with a component in an environment.
    pub async fn may(&mut self, permission: Permission, (component, environment): (&Name, &Name)) -> Result<bool, No> {
        let application = self.application(component).await?;
        let about = |application| About { application: Some(application), environment: Some(environment) };
        Ok(application.as_ref().is_some_and(|application| self.person.may(permission, about(application))))
    }

    async fn application(&mut self, component: &Name) -> Result<Option<Name>, No> {
        if let Some(known) = self.applications.get(component) {
            return Ok(known.clone());
        }
        let found = self.app.store.load::<Component>(component.as_str()).await?.map(|found| found.value.application);
        self.applications.insert(component.clone(), found.clone());
        Ok(found)
    }
}
