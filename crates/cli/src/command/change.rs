//! `tidegate change`

use std::io::Write as _;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use tidegate_api::request::{CloseChange, Nothing, VoteOnChange, WithReason, WriteChange};
use tidegate_api::view::{Page, Versioned};
use tidegate_domain::change::{Change as Noun, Choice, Class, Content, Level, Outcome};
use tidegate_domain::refusal::{Code, Refusal};
use tidegate_domain::{Digest, Id, Name, Version};

use super::Session;
use crate::arguments::{ListArguments, component_version, id, name};
use crate::ending::Ending;
use crate::output;
use crate::text::change;

/// Write, vote on and close changes.
#[derive(Debug, Subcommand)]
pub enum Change {
    /// Write a change, as a draft.
    Write(Box<Write>),
    /// List changes.
    List(ListArguments),
    /// Show everything about one, with its votes.
    Show(Which),
    /// Change what it says; votes on what it said before fall.
    Edit(Box<Edit>),
    /// Put it before its authority.
    Submit(Which),
    /// Say yes to its content as it stands.
    Approve(Voted),
    /// Say no to its content as it stands.
    Reject(Voted),
    /// Take your vote back.
    WithdrawVote(Which),
    /// Suspend its pending approvals.
    Hold(Reasoned),
    /// Take it off hold.
    Unhold(Which),
    /// Give it up.
    Cancel(Reasoned),
    /// Close it after its review.
    Close {
        #[command(flatten)]
        which: Which,
        /// How it ended.
        #[arg(long, value_enum)]
        outcome: Ended,
        /// What the review found.
        #[arg(long)]
        review: String,
    },
}

/// Which change.
#[derive(Debug, Args)]
pub struct Which {
    /// Which change.
    #[arg(value_parser = id)]
    id: Id,
}

/// A change and words for the history.
#[derive(Debug, Args)]
pub struct Reasoned {
    /// Which change.
    #[arg(value_parser = id)]
    id: Id,
    /// Why; it goes into the history.
    #[arg(long)]
    reason: String,
}

/// A vote.
#[derive(Debug, Args)]
pub struct Voted {
    /// Which change.
    #[arg(value_parser = id)]
    id: Id,
    /// The digest of the content you looked at; without it the content is shown and you are asked.
    #[arg(long, value_parser = digest)]
    digest: Option<Digest>,
    /// In your words; required for a no.
    #[arg(long, default_value = "")]
    reason: String,
}

/// A new change.
#[derive(Debug, Args)]
pub struct Write {
    /// Of what.
    #[arg(value_parser = name)]
    application: Name,
    /// In one line.
    #[arg(long)]
    title: String,
    /// How it is assessed and authorised.
    #[arg(long, value_enum, default_value_t = ClassName::Normal)]
    class: ClassName,
    /// Where; may be given several times.
    #[arg(long = "environment", value_name = "NAME", value_parser = name, required = true)]
    environments: Vec<Name>,
    /// The release it belongs to.
    #[arg(long, value_name = "ID", value_parser = id)]
    release: Option<Id>,
    #[command(flatten)]
    said: Said,
}

/// What an edit changes; the rest stays.
#[derive(Debug, Args)]
pub struct Edit {
    /// Which change.
    #[arg(value_parser = id)]
    id: Id,
    /// In one line.
    #[arg(long)]
    title: Option<String>,
    /// How it is assessed and authorised.
    #[arg(long, value_enum)]
    class: Option<ClassName>,
    /// Where, in place of what it says; may be given several times.
    #[arg(long = "environment", value_name = "NAME", value_parser = name)]
    environments: Vec<Name>,
    #[command(flatten)]
    said: Said,
}

/// What both a new change and an edit may say.
#[derive(Debug, Args)]
pub struct Said {
    /// A component and the version it is to have; may be given several times.
    #[arg(long = "version", value_name = "COMPONENT=VERSION", value_parser = component_version)]
    versions: Vec<(Name, Version)>,
    /// The exact plan: sha256:…, or ENVIRONMENT=sha256:… for one of several environments; may be given several times.
    #[arg(long = "plan", value_name = "DIGEST", value_parser = environment_plan)]
    plans: Vec<(Option<Name>, Digest)>,
    /// What it does and why.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// How likely it is to go wrong.
    #[arg(long, value_enum, value_name = "LEVEL")]
    risk: Option<LevelName>,
    /// How much it would hurt.
    #[arg(long, value_enum, value_name = "LEVEL")]
    impact: Option<LevelName>,
    /// How to get out of it.
    #[arg(long, value_name = "TEXT")]
    back_out: Option<String>,
}

/// The classes by name.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ClassName {
    /// Low-risk, pre-authorised, documented.
    Standard,
    /// Assessed, authorised, scheduled.
    Normal,
    /// Shortened assessment, mandatory review.
    Emergency,
}

impl From<ClassName> for Class {
    fn from(name: ClassName) -> Class {
        match name {
            ClassName::Standard => Class::Standard,
            ClassName::Normal => Class::Normal,
            ClassName::Emergency => Class::Emergency,
        }
    }
}

/// The levels by name.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LevelName {
    Low,
    Medium,
    High,
}

impl From<LevelName> for Level {
    fn from(name: LevelName) -> Level {
        match name {
            LevelName::Low => Level::Low,
            LevelName::Medium => Level::Medium,
            LevelName::High => Level::High,
        }
    }
}

/// The outcomes by name.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Ended {
    Successful,
    WithIssues,
    Unsuccessful,
    FellBack,
}

impl From<Ended> for Outcome {
    fn from(ended: Ended) -> Outcome {
        match ended {
            Ended::Successful => Outcome::Successful,
            Ended::WithIssues => Outcome::WithIssues,
            Ended::Unsuccessful => Outcome::Unsuccessful,
            Ended::FellBack => Outcome::FellBack,
        }
    }
}

fn environment_plan(text: &str) -> Result<(Option<Name>, Digest), Refusal> {
    match text.split_once('=') {
        Some((environment, digest)) => Ok((Some(Name::parse(environment)?), Digest::parse(digest)?)),
        None => Ok((None, Digest::parse(text)?)),
    }
}

fn digest(text: &str) -> Result<Digest, Refusal> {
    Digest::parse(text)
}

impl Said {
    fn put_into(self, content: &mut Content) -> Result<(), Refusal> {
        if !self.versions.is_empty() {
            content.versions = self.versions.into_iter().collect();
        }
        for (environment, digest) in self.plans {
            let only = if let [only] = content.environments.as_slice() { Some(only.clone()) } else { None };
            let environment = environment.or(only).ok_or_else(several_environments)?;
            content.plans.insert(environment, digest);
        }
        // A plan for where the change no longer is means nothing.
        content.plans.retain(|environment, _| content.environments.contains(environment));
        content.risk = self.risk.map_or(content.risk, Level::from);
        content.impact = self.impact.map_or(content.impact, Level::from);
        if let Some(description) = self.description {
            content.description = description;
        }
        if let Some(back_out) = self.back_out {
            content.back_out = back_out;
        }
        Ok(())
    }
}

fn several_environments() -> Refusal {
    let what = "the change concerns several environments, and the plan names none";
    Refusal::new(Code::Malformed, what, "use --plan ENVIRONMENT=sha256:…").at("--plan")
}

impl Write {
    async fn run(self, session: &Session) -> Result<(), Ending> {
        let mut content = Content {
            title: self.title,
            class: self.class.into(),
            description: String::new(),
            application: self.application,
            environments: self.environments,
            versions: std::collections::BTreeMap::new(),
            plans: std::collections::BTreeMap::new(),
            risk: Level::Low,
            impact: Level::Low,
            back_out: String::new(),
        };
        self.said.put_into(&mut content)?;
        let request = WriteChange { content, release: self.release };
        let answer = session.client.post::<Versioned<Noun>>("/changes", &request).await?;
        session.output.answer(&answer, change::line)
    }
}

impl Edit {
    async fn run(self, session: &Session) -> Result<(), Ending> {
        let Versioned { version, value, .. } = fetch(session, &self.id).await?;
        let mut content = value.content;
        content.title = self.title.unwrap_or(content.title);
        content.class = self.class.map_or(content.class, Class::from);
        if !self.environments.is_empty() {
            content.environments = self.environments;
        }
        self.said.put_into(&mut content)?;
        let answer = session.client.put::<Versioned<Noun>>(&format!("/changes/{}", self.id), &content, version).await?;
        session.output.answer(&answer, change::line)
    }
}

impl Voted {
    async fn vote(self, session: &Session, choice: Choice) -> Result<(), Ending> {
        let digest = match self.digest {
            Some(digest) => digest,
            None => confirmed(session, &self.id, choice).await?,
        };
        steer(session, &self.id, "vote", &VoteOnChange { choice, digest, reason: self.reason }).await
    }
}

/// Shows the content, asks, and returns the digest of exactly what was shown.
async fn confirmed(session: &Session, id: &Id, choice: Choice) -> Result<Digest, Ending> {
    let row = fetch(session, id).await?;
    let digest = row.value.content.digest();
    if !session.output.asks() {
        let refusal = Refusal::new(
            Code::Malformed,
            "a vote is bound to what was looked at, and nobody is there to look",
            format!("look with tidegate change show {id}, then add --digest {digest}"),
        );
        return Err(refusal.at("--digest").into());
    }
    output::plainly(&change::detail(&row, &session.output.zone))?;
    let word = match choice {
        Choice::Approve => "approve",
        Choice::Reject => "reject",
    };
    write!(std::io::stderr(), "{word} this content? [y/N] ")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "yes") {
        return Ok(digest);
    }
    Err(Refusal::new(Code::StateForbids, "you did not say yes", "nothing was sent").into())
}

async fn fetch(session: &Session, id: &Id) -> Result<Versioned<Noun>, Ending> {
    Ok(session.client.get::<Versioned<Noun>>(&format!("/changes/{id}")).await?.value)
}

impl Change {
    /// Looks or steers.
    pub async fn run(self, session: &Session) -> Result<(), Ending> {
        let Session { client, output } = session;
        match self {
            Change::Write(write) => write.run(session).await,
            Change::List(list) => {
                let answer = client.list::<Page<Versioned<Noun>>>("/changes", &list.query()).await?;
                output.answer(&answer, change::list)?;
                output.more(answer.value.next.as_ref());
                Ok(())
            }
            Change::Show(which) => {
                let answer = client.get::<Versioned<Noun>>(&format!("/changes/{}", which.id)).await?;
                output.answer(&answer, change::detail)
            }
            Change::Edit(edit) => edit.run(session).await,
            Change::Submit(which) => steer(session, &which.id, "submit", &Nothing {}).await,
            Change::Approve(vote) => vote.vote(session, Choice::Approve).await,
            Change::Reject(vote) => vote.vote(session, Choice::Reject).await,
            Change::WithdrawVote(which) => steer(session, &which.id, "withdraw-vote", &Nothing {}).await,
            Change::Hold(it) => steer(session, &it.id, "hold", &WithReason { reason: it.reason }).await,
            Change::Unhold(which) => steer(session, &which.id, "unhold", &Nothing {}).await,
            Change::Cancel(it) => steer(session, &it.id, "cancel", &WithReason { reason: it.reason }).await,
            Change::Close { which, outcome, review } => {
                steer(session, &which.id, "close", &CloseChange { outcome: outcome.into(), review }).await
            }
        }
    }
}

async fn steer(session: &Session, id: &Id, what: &str, request: &impl Serialize) -> Result<(), Ending> {
    let answer = session.client.post::<Versioned<Noun>>(&format!("/changes/{id}/{what}"), request).await?;
    session.output.answer(&answer, change::line)
}
