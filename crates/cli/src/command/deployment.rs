//! `tidegate deployment`

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use tidegate_api::request::{AfterStop, AnswerTarget, NameChange, Nothing, StopDeployment, WithReason};
use tidegate_api::view::{DeploymentDetail, DeploymentView, LogView, Page, PlanView, Versioned};
use tidegate_domain::deployment::order::attempt_id;
use tidegate_domain::deployment::rollout::{Answer, Deployment as Noun};
use tidegate_domain::refusal::{Code, Refusal};
use tidegate_domain::{Digest, Id, Name};

use super::{Session, plan};
use crate::arguments::{ListArguments, id, name};
use crate::ending::Ending;
use crate::text::{deployment, plan as plan_text, time};

/// Look at deployments and steer them.
#[derive(Debug, Subcommand)]
pub enum Deployment {
    /// List deployments.
    List(ListArguments),
    /// Show everything about one.
    Show {
        /// Which one.
        #[arg(value_parser = id)]
        id: Id,
        /// Write out every target of a large one.
        #[arg(long)]
        targets: bool,
    },
    /// Show a plan by its digest.
    ShowPlan {
        /// The digest: sha256:…
        #[arg(value_parser = digest)]
        digest: Digest,
    },
    /// Show the output of a target's steps.
    Log {
        /// Which deployment.
        #[arg(value_parser = id)]
        id: Id,
        /// Which target.
        #[arg(value_parser = name)]
        target: Name,
        /// Which try, from 1; the last unless said.
        #[arg(long)]
        attempt: Option<u32>,
    },
    /// Start one that is planned.
    Start(plan::Start),
    /// Give no more orders for now; what is under way comes to its end.
    Pause(Reasoned),
    /// Go on.
    Resume {
        /// Which one.
        #[arg(value_parser = id)]
        id: Id,
    },
    /// End it, or cancel one that has not begun. Always works until it is over.
    Stop {
        #[command(flatten)]
        reasoned: Reasoned,
        /// Then go back by the plan back.
        #[arg(long)]
        fall_back: bool,
    },
    /// Go back by the plan back, also after the end.
    FallBack(Reasoned),
    /// Attach the change that is to authorise it.
    AttachChange {
        /// Which deployment.
        #[arg(value_parser = id)]
        id: Id,
        /// Which change.
        #[arg(value_parser = id)]
        change: Id,
    },
    /// Give a failed target another try.
    Retry(OfTarget),
    /// Take a target out.
    Exclude(OfTarget),
    /// Say what became of a step that may or may not have run.
    Answer {
        /// Which deployment.
        #[arg(value_parser = id)]
        id: Id,
        /// Which target.
        #[arg(value_parser = name)]
        target: Name,
        /// What became of it.
        #[arg(value_enum)]
        answer: Became,
    },
    /// Say yes at an approval gate.
    ApproveGate {
        /// Which deployment.
        #[arg(value_parser = id)]
        id: Id,
        /// The gate's key, as `deployment show` prints it, such as 0.after.1
        #[arg(value_parser = gate)]
        gate: String,
    },
    /// Let a gate pass by your decision.
    OverrideGate {
        /// Which deployment.
        #[arg(value_parser = id)]
        id: Id,
        /// The gate's key, as `deployment show` prints it, such as 0.after.1
        #[arg(value_parser = gate)]
        gate: String,
        /// Why; it goes into the history.
        #[arg(long)]
        reason: String,
    },
}

/// A deployment and words for the history.
#[derive(Debug, Args)]
pub struct Reasoned {
    /// Which one.
    #[arg(value_parser = id)]
    id: Id,
    /// Why; it goes into the history.
    #[arg(long)]
    reason: String,
}

/// A target of a deployment and words for the history.
#[derive(Debug, Args)]
pub struct OfTarget {
    /// Which deployment.
    #[arg(value_parser = id)]
    id: Id,
    /// Which target.
    #[arg(value_parser = name)]
    target: Name,
    /// Why; it goes into the history.
    #[arg(long)]
    reason: String,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Became {
    /// It ran: go on with the next step.
    Ran,
    /// It did not run: run it.
    RunAgain,
    /// Count the target as failed.
    Failed,
}

fn digest(text: &str) -> Result<Digest, Refusal> {
    Digest::parse(text)
}

/// Reads a gate's key; it becomes part of a path.
fn gate(text: &str) -> Result<String, String> {
    let good = !text.is_empty() && text.len() <= 40 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    if good { Ok(text.to_owned()) } else { Err("use the key as `tidegate deployment show` prints it, such as 0.after.1".into()) }
}

impl Deployment {
    /// Looks or steers.
    pub async fn run(self, session: &Session) -> Result<(), Ending> {
        let reason = |reason: String| WithReason { reason };
        match self {
            Deployment::List(_) | Deployment::Show { .. } | Deployment::ShowPlan { .. } | Deployment::Log { .. } => {
                self.look(session).await
            }
            Deployment::Start(start) => start.run(session).await,
            Deployment::Pause(it) => steer(session, &it.id, "pause", &reason(it.reason)).await,
            Deployment::Resume { id } => steer(session, &id, "resume", &Nothing {}).await,
            Deployment::Stop { reasoned, fall_back } => {
                let then = if fall_back { AfterStop::FallBack } else { AfterStop::Stay };
                steer(session, &reasoned.id, "stop", &StopDeployment { reason: reasoned.reason, then }).await
            }
            Deployment::FallBack(it) => steer(session, &it.id, "fall-back", &reason(it.reason)).await,
            Deployment::AttachChange { id, change } => steer(session, &id, "change", &NameChange { change }).await,
            Deployment::Retry(it) => steer(session, &it.id, &format!("targets/{}/retry", it.target), &reason(it.reason)).await,
            Deployment::Exclude(it) => {
                steer(session, &it.id, &format!("targets/{}/exclude", it.target), &reason(it.reason)).await
            }
            Deployment::Answer { id, target, answer } => {
                let answer = match answer {
                    Became::Ran => Answer::Ran,
                    Became::RunAgain => Answer::RunAgain,
                    Became::Failed => Answer::Failed,
                };
                steer(session, &id, &format!("targets/{target}/answer"), &AnswerTarget { answer }).await
            }
            Deployment::ApproveGate { id, gate } => steer(session, &id, &format!("gates/{gate}/approve"), &Nothing {}).await,
            Deployment::OverrideGate { id, gate, reason: why } => {
                steer(session, &id, &format!("gates/{gate}/override"), &reason(why)).await
            }
        }
    }

    async fn look(self, session: &Session) -> Result<(), Ending> {
        let Session { client, output } = session;
        match self {
            Deployment::List(list) => {
                let answer = client.list::<Page<Versioned<Noun>>>("/deployments", &list.query()).await?;
                output.answer(&answer, deployment::list)?;
                output.more(answer.value.next.as_ref());
                Ok(())
            }
            Deployment::Show { id, targets } => {
                let answer = client.get::<DeploymentDetail>(&format!("/deployments/{id}")).await?;
                output.answer(&answer, |detail, zone| deployment::detail(detail, zone, targets))
            }
            Deployment::ShowPlan { digest } => {
                let answer = client.get::<PlanView>(&format!("/plans/{digest}")).await?;
                output.answer(&answer, |view, _| plan_text::body(&view.plan, view.digest.as_str()))
            }
            Deployment::Log { id, target, attempt } => log(session, &id, &target, attempt).await,
            // `run` keeps the rest for itself.
            _ => Ok(()),
        }
    }
}

async fn steer(session: &Session, id: &Id, what: &str, request: &impl Serialize) -> Result<(), Ending> {
    let answer = session.client.post::<DeploymentView>(&format!("/deployments/{id}/{what}"), request).await?;
    session.output.answer(&answer, deployment::view)
}

/// Pages of a log that are read; a step's output is bounded far below.
const LOG_PAGES_MAX: usize = 1_000;

async fn log(session: &Session, id: &Id, target: &Name, attempt: Option<u32>) -> Result<(), Ending> {
    let Session { client, output } = session;
    let attempt = if let Some(attempt) = attempt {
        attempt
    } else {
        let detail = client.get::<DeploymentDetail>(&format!("/deployments/{id}")).await?.value;
        let progress = detail.targets.iter().find(|progress| progress.target == *target);
        progress.ok_or_else(|| Refusal::not_found("target", target).at(id.as_str()))?.attempt
    };
    let attempt = attempt_id(id, target, attempt);
    let mut after: Option<u64> = None;
    for _ in 0..LOG_PAGES_MAX {
        let query: Vec<(&str, u64)> = after.iter().map(|after| ("after", *after)).collect();
        let answer = client.list::<LogView>(&format!("/attempts/{}/log", escaped(&attempt)), &query).await?;
        let Some(last) = answer.value.chunks.last().map(|chunk| chunk.number) else { break };
        output.answer(&answer, |view, zone| {
            let line = |chunk: &tidegate_api::agent::LogChunk| {
                let at = time::clock(chunk.at_ms, zone);
                chunk.text.lines().map(|line| format!("{at}  {line}")).collect::<Vec<_>>().join("\n")
            };
            view.chunks.iter().map(line).collect::<Vec<_>>().join("\n")
        })?;
        if after.is_some_and(|after| last <= after) {
            return Err(Refusal::new(Code::Fault, "the log does not go on", "try again").into());
        }
        after = Some(last);
    }
    Ok(())
}

/// The attempt's id as one part of a path.
fn escaped(attempt: &str) -> String {
    attempt
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
