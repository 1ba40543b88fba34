//! `tidegate freeze`

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Serialize;
use tidegate_api::request::{DeclareFreeze, RequestException, RuleException, WithReason};
use tidegate_api::view::{Page, Versioned};
use tidegate_domain::calendar::freeze::{Freeze as Noun, Running, Strictness};
use tidegate_domain::change::Choice;
use tidegate_domain::{Id, Name};

use super::Session;
use crate::arguments::{ListArguments, id, name};
use crate::ending::Ending;
use crate::text::freeze;
use crate::{clock, when};

/// Declare freezes and decide on exceptions.
#[derive(Debug, Subcommand)]
pub enum Freeze {
    /// Declare a freeze.
    Declare(Declare),
    /// List freezes.
    List(ListArguments),
    /// Show one with its exceptions.
    Show {
        /// Which freeze.
        #[arg(value_parser = id)]
        id: Id,
    },
    /// Lift it before its end.
    Lift {
        /// Which freeze.
        #[arg(value_parser = id)]
        id: Id,
        /// Why; it goes into the history.
        #[arg(long)]
        reason: String,
    },
    /// Ask to let one deployment in.
    RequestException {
        /// Which freeze.
        #[arg(value_parser = id)]
        id: Id,
        /// Which deployment.
        #[arg(value_parser = id)]
        deployment: Id,
        /// Why; it goes into the history.
        #[arg(long)]
        reason: String,
    },
    /// Let it in.
    ApproveException {
        #[command(flatten)]
        exception: Exception,
        /// When the exception expires; the end of the freeze unless said.
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// In your words.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Do not let it in.
    RejectException {
        #[command(flatten)]
        exception: Exception,
        /// Why; it goes into the history.
        #[arg(long)]
        reason: String,
    },
}

/// An exception of a freeze.
#[derive(Debug, Args)]
pub struct Exception {
    /// Which freeze.
    #[arg(value_parser = id)]
    id: Id,
    /// Which exception, as `freeze show` prints it.
    #[arg(value_parser = id)]
    exception: Id,
}

/// A new freeze.
#[derive(Debug, Args)]
#[command(after_help = "\
Times are RFC 3339, a local time in --zone, or counted from now:
  tidegate freeze declare \"year end\" --reason \"closing the books\" --from 2026-12-24T18:00 --until 2027-01-02T06:00
  tidegate freeze declare incident --reason \"INC-7\" --from +0s --until +2h --environment production")]
pub struct Declare {
    /// What people call it.
    name: String,
    /// Why.
    #[arg(long)]
    reason: String,
    /// First instant.
    #[arg(long, value_name = "TIME")]
    from: String,
    /// First instant after it.
    #[arg(long, value_name = "TIME")]
    until: String,
    /// The zone in which the times are meant; this host's unless said.
    #[arg(long)]
    zone: Option<String>,
    /// Where; every controlled environment unless said; may be given several times.
    #[arg(long = "environment", value_name = "NAME", value_parser = name)]
    environments: Vec<Name>,
    /// Of what; every application unless said; may be given several times.
    #[arg(long = "application", value_name = "NAME", value_parser = name)]
    applications: Vec<Name>,
    /// Of which components; every one unless said; may be given several times.
    #[arg(long = "component", value_name = "NAME", value_parser = name)]
    components: Vec<Name>,
    /// Let standard changes through.
    #[arg(long)]
    soft: bool,
    /// Let what is already running go on to its end; else it finishes its wave and holds.
    #[arg(long)]
    running_goes_on: bool,
}

impl Declare {
    async fn run(self, session: &Session) -> Result<(), Ending> {
        let zone = when::zone(self.zone.as_deref())?;
        let now = clock::now();
        let from = when::instant(&self.from, now, &zone).map_err(|refusal| refusal.at("--from"))?;
        let until = when::instant(&self.until, now, &zone).map_err(|refusal| refusal.at("--until"))?;
        let request = DeclareFreeze {
            name: self.name,
            reason: self.reason,
            environments: self.environments,
            applications: self.applications,
            components: self.components,
            from_ms: from.as_millisecond(),
            until_ms: until.as_millisecond(),
            zone: when::name(&zone).to_owned(),
            strictness: if self.soft { Strictness::Soft } else { Strictness::Hard },
            running: if self.running_goes_on { Running::GoOn } else { Running::FinishWave },
        };
        send(session, "/freezes", &request).await
    }
}

impl Freeze {
    /// Looks or steers.
    pub async fn run(self, session: &Session) -> Result<(), Ending> {
        let Session { client, output } = session;
        match self {
            Freeze::Declare(declare) => declare.run(session).await,
            Freeze::List(list) => {
                let answer = client.list::<Page<Versioned<Noun>>>("/freezes", &list.query()).await?;
                output.answer(&answer, freeze::list)?;
                output.more(answer.value.next.as_ref());
                Ok(())
            }
            Freeze::Show { id } => {
                let answer = client.get::<Versioned<Noun>>(&format!("/freezes/{id}")).await?;
                output.answer(&answer, freeze::detail)
            }
            Freeze::Lift { id, reason } => send(session, &format!("/freezes/{id}/lift"), &WithReason { reason }).await,
            Freeze::RequestException { id, deployment, reason } => {
                send(session, &format!("/freezes/{id}/exceptions"), &RequestException { deployment, reason }).await
            }
            Freeze::ApproveException { exception, until, reason } => {
                let until = until.map(|text| when::instant(&text, clock::now(), &output.zone)).transpose()?;
                let until_ms = until.map(Timestamp::as_millisecond);
                rule(session, &exception, &RuleException { choice: Choice::Approve, until_ms, reason }).await
            }
            Freeze::RejectException { exception, reason } => {
                rule(session, &exception, &RuleException { choice: Choice::Reject, until_ms: None, reason }).await
            }
        }
    }
}

async fn rule(session: &Session, exception: &Exception, request: &RuleException) -> Result<(), Ending> {
    let Exception { id, exception } = exception;
    send(session, &format!("/freezes/{id}/exceptions/{exception}/rule"), request).await
}

async fn send(session: &Session, path: &str, request: &impl Serialize) -> Result<(), Ending> {
    let answer = session.client.post::<Versioned<Noun>>(path, request).await?;
    session.output.answer(&answer, freeze::detail)
}
