//! `tidegate release`

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use tidegate_api::request::{MeetCriterion, NameChange, Nothing, WithReason, WriteRelease};
use tidegate_api::view::{Page, Versioned};
use tidegate_domain::release::{Milestone, Model, Release as Noun};
use tidegate_domain::{Code, Id, Name, Refusal, Version};

use super::Session;
use crate::arguments::{ListArguments, component_version, id, name, version};
use crate::ending::Ending;
use crate::text::release;
use crate::{clock, when};

/// Write and steer releases.
#[derive(Debug, Subcommand)]
pub enum Release {
    /// Write a release, as a draft.
    Create(Create),
    /// List releases.
    List(ListArguments),
    /// Show everything about one.
    Show(Which),
    /// Plan it: its scope stands.
    Plan(Which),
    /// Begin its first phase.
    Start(Which),
    /// Say that an exit criterion holds.
    Meet {
        #[command(flatten)]
        which: Which,
        /// The phase, from 0, as `release show` prints it.
        #[arg(long)]
        phase: usize,
        /// The criterion in it, from 0.
        #[arg(long)]
        criterion: usize,
    },
    /// End the active phase and begin the next.
    CompletePhase(Which),
    /// Take a change into its scope.
    AddChange {
        #[command(flatten)]
        which: Which,
        /// Which change.
        #[arg(value_parser = id)]
        change: Id,
    },
    /// Write what its evaluation found.
    Evaluate {
        #[command(flatten)]
        which: Which,
        /// What was found.
        #[arg(long)]
        text: String,
    },
    /// Close it after its evaluation.
    Close(Which),
    /// Give it up.
    Cancel(Reasoned),
    /// Reject it: no path deploys it any more.
    Reject(Reasoned),
}

/// Which release.
#[derive(Debug, Args)]
pub struct Which {
    /// Which release.
    #[arg(value_parser = id)]
    id: Id,
}

/// A release and words for the history.
#[derive(Debug, Args)]
pub struct Reasoned {
    /// Which release.
    #[arg(value_parser = id)]
    id: Id,
    /// Why; it goes into the history.
    #[arg(long)]
    reason: String,
}

/// A new release.
#[derive(Debug, Args)]
pub struct Create {
    /// Of what.
    #[arg(value_parser = name)]
    application: Name,
    /// Its version.
    #[arg(value_parser = version)]
    release_version: Version,
    /// In one line.
    #[arg(long)]
    title: String,
    /// A component and the version it is to have; may be given several times.
    #[arg(long = "version", value_name = "COMPONENT=VERSION", value_parser = component_version, required = true)]
    versions: Vec<(Name, Version)>,
    /// The model it follows.
    #[arg(long, value_enum, default_value_t = ModelName::Standard)]
    model: ModelName,
    /// A dated point, such as "feature freeze=2026-12-01T12:00"; may be given several times.
    #[arg(long = "milestone", value_name = "TITLE=TIME")]
    milestones: Vec<String>,
    /// By when it must be ready: RFC 3339, a local time, or +30d from now.
    #[arg(long, value_name = "TIME")]
    ready_by: Option<String>,
    /// The zone in which that is meant; this host's unless said.
    #[arg(long)]
    zone: Option<String>,
    /// Stated before, measured after; may be given several times.
    #[arg(long = "objective", value_name = "TEXT")]
    objectives: Vec<String>,
}

/// The models by name.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ModelName {
    /// Small and frequent: build and deploy.
    Light,
    /// The usual way.
    Standard,
    /// Much at stake: people, documents and support are prepared, too.
    Major,
}

impl Create {
    async fn run(self, session: &Session) -> Result<(), Ending> {
        let zone = when::zone(self.zone.as_deref())?;
        let ready_by = self.ready_by.map(|text| when::instant(&text, clock::now(), &zone)).transpose()?;
        let request = WriteRelease {
            application: self.application,
            version: self.release_version,
            title: self.title,
            model: match self.model {
                ModelName::Light => Model::Light,
                ModelName::Standard => Model::Standard,
                ModelName::Major => Model::Major,
            },
            versions: self.versions.into_iter().collect(),
            milestones: self.milestones.iter().map(|text| milestone(text, &zone)).collect::<Result<_, _>>()?,
            ready_by_ms: ready_by.map(Timestamp::as_millisecond),
            zone: when::name(&zone).to_owned(),
            objectives: self.objectives,
        };
        let answer = session.client.post::<Versioned<Noun>>("/releases", &request).await?;
        session.output.answer(&answer, release::line)
    }
}

/// A milestone as people write it.
fn milestone(text: &str, zone: &TimeZone) -> Result<Milestone, Refusal> {
    let Some((title, time)) = text.rsplit_once('=').filter(|(title, _)| !title.trim().is_empty()) else {
        let what = format!("\"{}\" is not a milestone", tidegate_domain::ids::clip(text));
        return Err(Refusal::new(Code::Malformed, what, "write it as TITLE=TIME").at("--milestone"));
    };
    let at = when::instant(time, clock::now(), zone).map_err(|refusal| refusal.at("--milestone"))?;
    Ok(Milestone { title: title.trim().to_owned(), at_ms: at.as_millisecond(), text: String::new() })
}

impl Release {
    /// Looks or steers.
    pub async fn run(self, session: &Session) -> Result<(), Ending> {
        let Session { client, output } = session;
        match self {
            Release::Create(create) => create.run(session).await,
            Release::List(list) => {
                let answer = client.list::<Page<Versioned<Noun>>>("/releases", &list.query()).await?;
                output.answer(&answer, release::list)?;
                output.more(answer.value.next.as_ref());
                Ok(())
            }
            Release::Show(which) => {
                let answer = client.get::<Versioned<Noun>>(&format!("/releases/{}", which.id)).await?;
                output.answer(&answer, release::detail)
            }
            Release::Plan(which) => steer(session, &which.id, "plan", &Nothing {}).await,
            Release::Start(which) => steer(session, &which.id, "start", &Nothing {}).await,
            Release::Meet { which, phase, criterion } => {
                steer(session, &which.id, "meet", &MeetCriterion { phase, criterion }).await
            }
            Release::CompletePhase(which) => steer(session, &which.id, "complete-phase", &Nothing {}).await,
            Release::AddChange { which, change } => steer(session, &which.id, "changes", &NameChange { change }).await,
            Release::Evaluate { which, text } => steer(session, &which.id, "evaluate", &WithReason { reason: text }).await,
            Release::Close(which) => steer(session, &which.id, "close", &Nothing {}).await,
            Release::Cancel(it) => steer(session, &it.id, "cancel", &WithReason { reason: it.reason }).await,
            Release::Reject(it) => steer(session, &it.id, "reject", &WithReason { reason: it.reason }).await,
        }
    }
}

async fn steer(session: &Session, id: &Id, what: &str, request: &impl Serialize) -> Result<(), Ending> {
    let answer = session.client.post::<Versioned<Noun>>(&format!("/releases/{id}/{what}"), request).await?;
    session.output.answer(&answer, release::line)
}
