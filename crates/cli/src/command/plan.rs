//! `tidegate plan` and `tidegate deploy`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use tidegate_api::Definition;
use tidegate_api::request::{Otherwise, PlanDeployment, StartDeployment, StrategyChoice};
use tidegate_api::strict;
use tidegate_api::view::{DeploymentDetail, DeploymentView, Versioned};
use tidegate_domain::deployment::strategy::Strategy;
use tidegate_domain::refusal::{Code, Refusal};
use tidegate_domain::release::Release;
use tidegate_domain::{Id, Name, Version};

use super::Session;
use super::watch::follow;
use crate::arguments::{component_version, id, name};
use crate::client::Answer;
use crate::ending::Ending;
use crate::text::{deployment, plan};
use crate::{clock, definitions, when};

/// What a plan is made of.
#[derive(Debug, Args)]
pub struct Wish {
    /// Of what and where: APPLICATION ENVIRONMENT; with --release ENVIRONMENT is enough.
    #[arg(value_name = "APPLICATION ENVIRONMENT", value_parser = name, num_args = 1..=2, required = true)]
    place: Vec<Name>,
    /// A component and the version it is to have; may be given several times.
    #[arg(long = "version", value_name = "COMPONENT=VERSION", value_parser = component_version, required_unless_present = "release")]
    versions: Vec<(Name, Version)>,
    /// The release whose package it is.
    #[arg(long, value_name = "ID", value_parser = id, conflicts_with = "versions")]
    release: Option<Id>,
    /// The change that is to authorise it.
    #[arg(long, value_name = "ID", value_parser = id)]
    change: Option<Id>,
    /// A strategy that is defined; everything at once unless said.
    #[arg(long, value_name = "NAME", value_parser = name, conflicts_with = "file")]
    strategy: Option<Name>,
    /// A file with a strategy.
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Wish {
    async fn plan(self, session: &Session) -> Result<Answer<DeploymentView>, Ending> {
        let strategy = match (self.strategy, self.file) {
            (Some(name), _) => Some(StrategyChoice::Named(name)),
            (None, Some(file)) => Some(StrategyChoice::Inline(strategy_file(&file)?)),
            (None, None) => None,
        };
        let mut place = self.place.into_iter();
        let (application, environment) = match (place.next(), place.next(), &self.release) {
            (Some(application), Some(environment), _) => (application, environment),
            (Some(environment), None, Some(release)) => {
                let answer = session.client.get::<Versioned<Release>>(&format!("/releases/{release}")).await?;
                (answer.value.value.application, environment)
            }
            _ => return Err(Refusal::new(Code::Malformed, "no environment is named", "write APPLICATION ENVIRONMENT").into()),
        };
        let versions = self.versions.into_iter().collect();
        let wish = PlanDeployment { application, environment, versions, release: self.release, change: self.change, strategy };
        session.client.post("/deployments", &wish).await
    }
}

/// A strategy as it stands, or one with a name as definition files have it.
fn strategy_file(path: &std::path::Path) -> Result<Strategy, Ending> {
    let text = definitions::text(path)?;
    let file = path.display().to_string();
    let one = |count: usize| {
        let refusal = Refusal::new(Code::Malformed, format!("{file} holds {count} documents"), "keep one strategy in it");
        if count == 1 { Ok(()) } else { Err(Ending::from(refusal.at(file.clone()))) }
    };
    if !text.lines().any(|line| line.starts_with("strategy:")) {
        let mut read = strict::yaml_checked(&text, &file, Strategy::check).map_err(Ending::Files)?;
        one(read.len())?;
        return Ok(read.swap_remove(0).value);
    }
    let mut read = strict::yaml_checked(&text, &file, Definition::check).map_err(Ending::Files)?;
    one(read.len())?;
    match read.swap_remove(0).value {
        Definition::Strategy(named) => Ok(named.strategy),
        other => {
            let what = format!("{file} defines a {}", other.noun());
            Err(Refusal::new(Code::Malformed, what, "name a file with a strategy").at(file).into())
        }
    }
}

/// Make a plan and show what it would do; nothing starts.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidegate plan ledger production --version ledger=1.1 --strategy canary
  tidegate plan production --release REL-1 --change CHG-1")]
pub struct Plan {
    #[command(flatten)]
    wish: Wish,
}

impl Plan {
    /// Plans and shows.
    pub async fn run(self, session: &Session) -> Result<(), Ending> {
        let answer = self.wish.plan(session).await?;
        show_plan(session, answer).await
    }
}

async fn show_plan(session: &Session, answer: Answer<DeploymentView>) -> Result<(), Ending> {
    if session.output.is_json() {
        return session.output.answer(&answer, deployment::view);
    }
    let id = &answer.value.deployment.id;
    let detail = session.client.get::<DeploymentDetail>(&format!("/deployments/{id}")).await?;
    session.output.answer(&detail, plan::text)?;
    session.output.note(&format!("start it with: tidegate deploy start {id}"));
    Ok(())
}

/// How to start, and what to do then.
#[derive(Debug, Args)]
pub struct Starting {
    /// If admission says no, wait until it says yes.
    #[arg(long)]
    wait: bool,
    /// Do not start before this time: RFC 3339, a local time, or +2h from now.
    #[arg(long, value_name = "TIME")]
    not_before: Option<String>,
    /// Follow it to its end.
    #[arg(long)]
    watch: bool,
}

impl Starting {
    async fn start(self, session: &Session, id: &Id) -> Result<(), Ending> {
        let not_before = self.not_before.map(|text| when::instant(&text, clock::now(), &session.output.zone)).transpose()?;
        let request = StartDeployment {
            otherwise: if self.wait { Otherwise::Wait } else { Otherwise::Refuse },
            not_before_ms: not_before.map(Timestamp::as_millisecond),
        };
        let answer = session.client.post::<DeploymentView>(&format!("/deployments/{id}/start"), &request).await;
        let answer = answer.map_err(|ending| {
            if matches!(&ending, Ending::Refused(problem) if problem.code == Code::NotAdmitted) {
                let note =
                    format!("{id} is planned and not started; later: tidegate deploy start {id}, or with --wait to queue it");
                session.output.note(&note);
            }
            at(ending, id)
        })?;
        if self.watch {
            return follow(session, id).await;
        }
        session.output.answer(&answer, deployment::view)
    }
}

/// A refusal that names the deployment, for those who see nothing else.
fn at(ending: Ending, id: &Id) -> Ending {
    match ending {
        Ending::Refused(mut problem) => {
            problem.place.get_or_insert_with(|| format!("deployment/{id}"));
            Ending::Refused(problem)
        }
        other => other,
    }
}

/// Make a plan and start it, or start one that was made.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Examples:
  tidegate deploy ledger production --version ledger=1.1 --strategy canary --change CHG-1 --watch
  tidegate deploy start DEP-1 --wait"
)]
pub struct Deploy {
    #[command(subcommand)]
    existing: Option<Existing>,
    #[command(flatten)]
    wish: Option<Wish>,
    #[command(flatten)]
    starting: Starting,
}

/// A deployment that is planned already.
#[derive(Debug, Subcommand)]
pub enum Existing {
    /// Start a deployment that is planned already.
    Start(Start),
}

/// Start a planned deployment.
#[derive(Debug, Args)]
pub struct Start {
    /// Which one.
    #[arg(value_parser = id)]
    id: Id,
    #[command(flatten)]
    starting: Starting,
}

impl Start {
    /// Starts it.
    pub async fn run(self, session: &Session) -> Result<(), Ending> {
        self.starting.start(session, &self.id).await
    }
}

impl Deploy {
    /// Plans if needed, and starts.
    pub async fn run(self, session: &Session) -> Result<(), Ending> {
        match (self.existing, self.wish) {
            (Some(Existing::Start(start)), _) => start.run(session).await,
            (None, Some(wish)) => {
                let planned = wish.plan(session).await?.value;
                let deployment = &planned.deployment;
                session.output.note(&format!("{} planned: plan {}", deployment.id, deployment.plan));
                self.starting.start(session, &deployment.id).await
            }
            (None, None) => {
                Err(Refusal::new(Code::Malformed, "nothing to deploy is named", "write APPLICATION ENVIRONMENT --version …")
                    .into())
            }
        }
    }
}
