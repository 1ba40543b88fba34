//! `tidegate audit` and `tidegate measure`

use clap::{Args, Subcommand};
use tidegate_api::view::{AuditVerified, EventView, Page};
use tidegate_domain::measure::dora::Dora;
use tidegate_domain::refusal::{Code, Refusal};

use super::Session;
use crate::ending::Ending;
use crate::text::history;

/// Read and verify the history.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Walk the chain of every event, and name the first entry that does not hold.
    Verify,
    /// Read the history, one sentence for each event.
    Log {
        /// Only events after this position.
        #[arg(long, value_name = "POSITION")]
        after: Option<u64>,
        /// Rows, 1 to 200; 50 unless said.
        #[arg(long)]
        limit: Option<u32>,
    },
}

impl Audit {
    /// Verifies or reads.
    pub async fn run(self, session: &Session) -> Result<(), Ending> {
        let Session { client, output } = session;
        match self {
            Audit::Verify => {
                let answer = client.get::<AuditVerified>("/audit").await?;
                output.answer(&answer, |audit, _| history::verified(audit))?;
                let Some(broken) = &answer.value.broken else { return Ok(()) };
                let remedy = "keep this data as it is, and compare it with a backup from before that entry";
                let refusal = Refusal::new(Code::HistoryBroken, broken.what.clone(), remedy);
                Err(anyhow::Error::new(refusal.at(format!("position {}", broken.position))).into())
            }
            Audit::Log { after, limit } => {
                let query = [("after", after), ("limit", limit.map(u64::from))];
                let query: Vec<(&str, u64)> = query.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
                let answer = client.list::<Page<EventView>>("/events", &query).await?;
                output.answer(&answer, history::events)?;
                output.more(answer.value.next.as_ref());
                Ok(())
            }
        }
    }
}

/// Show the five DORA figures of production.
#[derive(Debug, Args)]
pub struct Measure {}

impl Measure {
    /// Shows them.
    pub async fn run(self, session: &Session) -> Result<(), Ending> {
        let answer = session.client.get::<Dora>("/measure/dora").await?;
        session.output.answer(&answer, |dora, _| history::dora(dora))
    }
}
