//! `tidegate list`

use clap::Subcommand;
use serde::de::DeserializeOwned;
use tidegate_api::definition::NamedStrategy;
use tidegate_api::view::{Page, Versioned};
use tidegate_domain::access::Person;
use tidegate_domain::estate::{Application, Component, Environment};

use super::Session;
use crate::arguments::ListArguments;
use crate::ending::Ending;
use crate::text::estate;

/// List what is defined.
#[derive(Debug, Subcommand)]
pub enum List {
    /// Products and services.
    Applications(ListArguments),
    /// What is deployed of them.
    Components(ListArguments),
    /// Where it is deployed.
    Environments(ListArguments),
    /// How it is deployed.
    Strategies(ListArguments),
    /// Who may sign in.
    People(ListArguments),
}

impl List {
    /// Lists.
    pub async fn run(self, session: &Session) -> Result<(), Ending> {
        match self {
            List::Applications(list) => page::<Application>(session, "/applications", &list, estate::applications).await,
            List::Components(list) => page::<Component>(session, "/components", &list, estate::components).await,
            List::Environments(list) => page::<Environment>(session, "/environments", &list, estate::environments).await,
            List::Strategies(list) => page::<NamedStrategy>(session, "/strategies", &list, estate::strategies).await,
            List::People(list) => page::<Person>(session, "/people", &list, estate::people).await,
        }
    }
}

async fn page<T: DeserializeOwned>(
    session: &Session,
    path: &str,
    list: &ListArguments,
    text: impl FnOnce(&Page<Versioned<T>>) -> String,
) -> Result<(), Ending> {
    let answer = session.client.list::<Page<Versioned<T>>>(path, &list.query()).await?;
    session.output.answer(&answer, |page, _| text(page))?;
    session.output.more(answer.value.next.as_ref());
    Ok(())
}
