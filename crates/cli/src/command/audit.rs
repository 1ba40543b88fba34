//! `tidegate audit` and `tidegate measure`

use clap::{Args, Subcommand};
use jiff::Timestamp;
use tidegate_api::request::MeasureQuery;
use tidegate_api::view::{AuditVerified, EventView, Page};
use tidegate_domain::Name;
use tidegate_domain::measure::dora::Dora;
use tidegate_domain::refusal::{Code, Refusal};

use super::Session;
use crate::arguments::name;
use crate::ending::Ending;
use crate::text::history;
use crate::{clock, when};

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
pub struct Measure {
    /// From then on, 90 days before the end unless said: RFC 3339, or a local time.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// And before then; now unless said.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only of this application.
    #[arg(long, value_name = "NAME", value_parser = name)]
    application: Option<Name>,
    /// Only in this environment; those of the tier production unless said; may be given several times.
    #[arg(long = "environment", value_name = "NAME", value_parser = name)]
    environments: Vec<Name>,
}

impl Measure {
    /// Shows them.
    pub async fn run(self, session: &Session) -> Result<(), Ending> {
        let instant = |text: Option<String>| {
            text.map(|text| when::instant(&text, clock::now(), &session.output.zone))
                .transpose()
                .map(|at| at.map(Timestamp::as_millisecond))
        };
        let environments: Vec<&str> = self.environments.iter().map(Name::as_str).collect();
        let query = MeasureQuery {
            from_ms: instant(self.from)?,
            until_ms: instant(self.until)?,
            application: self.application,
            environment: (!environments.is_empty()).then(|| environments.join(",")),
        };
        let answer = session.client.list::<Dora>("/measure/dora", &query).await?;
        session.output.answer(&answer, |dora, _| history::dora(dora))
    }
}
