//! `tidegate target`

use clap::Subcommand;
use tidegate_api::request::Nothing;
use tidegate_api::view::{Enrolment, Page, TargetView};
use tidegate_domain::Name;

use super::Session;
use crate::arguments::{ListArguments, name};
use crate::ending::Ending;
use crate::text::estate;

/// Look at targets and enrol their agents.
#[derive(Debug, Subcommand)]
pub enum Target {
    /// List targets with what is installed on them.
    List(ListArguments),
    /// Show everything about one.
    Show {
        /// Which one.
        #[arg(value_parser = name)]
        name: Name,
    },
    /// Make a one-time token, and print the command to run on the target.
    Enrol {
        /// Which one.
        #[arg(value_parser = name)]
        name: Name,
    },
}

impl Target {
    /// Looks or enrols.
    pub async fn run(self, session: &Session) -> Result<(), Ending> {
        let Session { client, output } = session;
        match self {
            Target::List(list) => {
                let answer = client.list::<Page<TargetView>>("/targets", &list.query()).await?;
                output.answer(&answer, estate::targets)?;
                output.more(answer.value.next.as_ref());
                Ok(())
            }
            Target::Show { name } => {
                let answer = client.get::<TargetView>(&format!("/targets/{name}")).await?;
                output.answer(&answer, estate::target)
            }
            Target::Enrol { name } => {
                let answer = client.post::<Enrolment>(&format!("/targets/{name}/enrolment"), &Nothing {}).await?;
                output.answer(&answer, estate::enrolment)
            }
        }
    }
}
