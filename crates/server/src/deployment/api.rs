//! Doors of deployments, plans and logs.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_api::agent::LogChunk;
use tidegate_api::request::{
    AnswerTarget, ListQuery, NameChange, Nothing, PlanDeployment, StartDeployment, StopDeployment, WithReason,
};
use tidegate_api::view::{DeploymentDetail, DeploymentView, LogView, Page, PlanView, Versioned};
use tidegate_domain::access::{About, Permission};
use tidegate_domain::deployment::rollout::{Command, Deployment};
use tidegate_domain::{Digest, Refusal};

use super::{desk, service, view};
use crate::app::App;
use crate::door::{Act, Input, Route, get, post};
use crate::list;
use crate::problem::No;

type Answer = Result<DeploymentView, No>;

/// The doors.
pub fn routes() -> Vec<Route> {
    use Permission::{Authorise, Deploy, Plan, Read};
    vec![
        post("/deployments", Plan, "Make a plan, the plan back, and a deployment that would carry them out", plan),
        get("/deployments", Read, "List deployments", deployments),
        get("/deployments/{id}", Read, "Show a deployment with its plan, targets and gates", deployment),
        post("/deployments/{id}/change", Plan, "Let a change authorise it", attach),
        post("/deployments/{id}/start", Deploy, "Start it when admitted", start),
        post("/deployments/{id}/pause", Deploy, "Give no more orders for now", pause),
        post("/deployments/{id}/resume", Deploy, "Go on", resume),
        post("/deployments/{id}/stop", Deploy, "End it", stop),
        post("/deployments/{id}/fall-back", Deploy, "Go back by the plan back", fall_back),
        post("/deployments/{id}/gates/{key}/approve", Authorise, "Say yes at an approval gate", approve),
        post("/deployments/{id}/gates/{key}/override", Authorise, "Let a gate pass by one's own decision", decide_over),
        post("/deployments/{id}/targets/{target}/retry", Deploy, "Give a failed target another try", retry),
        post("/deployments/{id}/targets/{target}/exclude", Deploy, "Take a target out of the frozen set", exclude),
        post("/deployments/{id}/targets/{target}/answer", Deploy, "Say what became of an uncertain step", answer),
        get("/plans/{digest}", Read, "Show a plan", plan_by_digest),
        get("/attempts/{attempt}/log", Read, "Show the output of one try on one target", log),
    ]
}

async fn plan(app: Arc<App>, act: Act, input: Input<PlanDeployment>) -> Answer {
    service::plan(&app, &act, &input.body).await
}

async fn deployments(app: Arc<App>, act: Act, input: Input<ListQuery>) -> Result<Page<Versioned<Deployment>>, No> {
    list::page(&app, &act.caller, &input.body).await
}

async fn deployment(app: Arc<App>, act: Act, input: Input<Nothing>) -> Result<DeploymentDetail, No> {
    let id = input.id("id")?;
    list::one::<Deployment>(&app, &act.caller, id.as_str()).await?;
    let (detail, version) = view::detail(&app, &id).await?;
    act.show(version);
    Ok(detail)
}

async fn attach(app: Arc<App>, act: Act, input: Input<NameChange>) -> Answer {
    service::attach(&app, &act, &input.id("id")?, &input.body.change).await
}

async fn start(app: Arc<App>, act: Act, input: Input<StartDeployment>) -> Answer {
    service::start(&app, &act, &input.id("id")?, &input.body).await
}

async fn put<B>(app: Arc<App>, act: Act, input: Input<B>, command: Command) -> Answer {
    service::command(&app, &act, &input.id("id")?, Permission::Deploy, command).await
}

fn by(act: &Act) -> String {
    act.caller.person.name.to_string()
}

async fn pause(app: Arc<App>, act: Act, input: Input<WithReason>) -> Answer {
    let command = Command::Pause { by: by(&act), reason: input.body.reason.clone() };
    put(app, act, input, command).await
}

async fn resume(app: Arc<App>, act: Act, input: Input<Nothing>) -> Answer {
    let command = Command::Resume { by: by(&act) };
    put(app, act, input, command).await
}

async fn stop(app: Arc<App>, act: Act, input: Input<StopDeployment>) -> Answer {
    service::stop(&app, &act, &input.id("id")?, &input.body).await
}

async fn fall_back(app: Arc<App>, act: Act, input: Input<WithReason>) -> Answer {
    let command = Command::FallBack { by: by(&act), reason: input.body.reason.clone() };
    put(app, act, input, command).await
}

async fn approve(app: Arc<App>, act: Act, input: Input<Nothing>) -> Answer {
    let command = Command::ApproveGate { gate: input.text("key").to_owned(), by: act.caller.person.name.clone() };
    service::command(&app, &act, &input.id("id")?, Permission::Authorise, command).await
}

async fn decide_over(app: Arc<App>, act: Act, input: Input<WithReason>) -> Answer {
    let command = Command::OverrideGate { gate: input.text("key").to_owned(), by: by(&act), reason: input.body.reason.clone() };
    service::command(&app, &act, &input.id("id")?, Permission::Authorise, command).await
}

async fn retry(app: Arc<App>, act: Act, input: Input<WithReason>) -> Answer {
    let command = Command::Retry { target: input.name("target")?, by: by(&act), reason: input.body.reason.clone() };
    put(app, act, input, command).await
}

async fn exclude(app: Arc<App>, act: Act, input: Input<WithReason>) -> Answer {
    let command = Command::Exclude { target: input.name("target")?, by: by(&act), reason: input.body.reason.clone() };
    put(app, act, input, command).await
}

async fn answer(app: Arc<App>, act: Act, input: Input<AnswerTarget>) -> Answer {
    let command = Command::Answer { target: input.name("target")?, answer: input.body.answer, by: by(&act) };
    put(app, act, input, command).await
}

/// A plan is seen where it would be carried out; elsewhere it is as if there were none.
async fn plan_by_digest(app: Arc<App>, act: Act, input: Input<Nothing>) -> Result<PlanView, No> {
    let digest = Digest::parse(input.text("digest")).map_err(|refusal| refusal.at("digest"))?;
    let plan = desk::plan(&app, &digest).await?;
    let about = About { application: Some(&plan.application), environment: Some(&plan.environment) };
    if !act.caller.person.may(Permission::Read, about) {
        return Err(Refusal::not_found("plan", digest).into());
    }
    Ok(PlanView { plan, digest })
}

/// The query of a log.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LogQuery {
    /// Only pieces after this number.
    #[serde(default)]
    after: Option<u64>,
}

/// Pieces of a log in one answer: about a megabyte.
pub const LOG_CHUNKS: u32 = 64;

async fn log(app: Arc<App>, act: Act, input: Input<LogQuery>) -> Result<LogView, No> {
    let attempt = input.text("attempt");
    let id = attempt.split(':').next().unwrap_or_default();
    let missing = || Refusal::not_found("attempt", tidegate_domain::ids::clip(attempt));
    tidegate_domain::Id::parse(id).map_err(|_| missing())?;
    list::one::<Deployment>(&app, &act.caller, id).await?;
    let chunks = app.store.logs(attempt, input.body.after, LOG_CHUNKS).await?;
    let view = |it: tidegate_store::LogChunk| LogChunk { attempt: it.attempt, number: it.number, at_ms: it.at_ms, text: it.text };
    Ok(LogView { chunks: chunks.into_iter().map(view).collect() })
}
