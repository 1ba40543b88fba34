//! Doors of releases.

use std::sync::Arc;

use tidegate_api::request::{ListQuery, MeetCriterion, NameChange, Nothing, WithReason, WriteRelease};
use tidegate_api::view::{Page, Versioned};
use tidegate_domain::access::Permission;
use tidegate_domain::release::{Command, Release};

use super::service;
use crate::app::App;
use crate::door::{Act, Input, Route, get, post};
use crate::list::{self, versioned};
use crate::problem::No;

type Answer = Result<Versioned<Release>, No>;

/// The doors.
pub fn routes() -> Vec<Route> {
    use Permission::{ManageRelease, Read, WriteChange};
    vec![
        post("/releases", ManageRelease, "Write a release, as a draft", write),
        get("/releases", Read, "List releases", releases),
        get("/releases/{id}", Read, "Show a release", release),
        post("/releases/{id}/plan", ManageRelease, "Call a draft planned", plan),
        post("/releases/{id}/start", ManageRelease, "Begin its first phase", start),
        post("/releases/{id}/meet", ManageRelease, "Say that an exit criterion holds", meet),
        post("/releases/{id}/complete-phase", ManageRelease, "Complete the active phase", complete_phase),
        post("/releases/{id}/changes", WriteChange, "Take a change into its scope", add_change),
        post("/releases/{id}/evaluate", ManageRelease, "Evaluate it against its objectives", evaluate),
        post("/releases/{id}/close", ManageRelease, "Close it", close),
        post("/releases/{id}/cancel", ManageRelease, "Cancel it", cancel),
        post("/releases/{id}/reject", ManageRelease, "Reject it, so that no path deploys it", reject),
    ]
}

async fn write(app: Arc<App>, act: Act, input: Input<WriteRelease>) -> Answer {
    Ok(versioned(service::write(&app, &act, &input.body).await?))
}

async fn releases(app: Arc<App>, act: Act, input: Input<ListQuery>) -> Result<Page<Versioned<Release>>, No> {
    list::page(&app, &act.caller, &input.body).await
}

async fn release(app: Arc<App>, act: Act, input: Input<Nothing>) -> Answer {
    Ok(versioned(list::one(&app, &act.caller, input.id("id")?.as_str()).await?))
}

async fn put<B>(app: Arc<App>, act: Act, input: Input<B>, command: Command) -> Answer {
    Ok(versioned(service::command(&app, &act, &input.id("id")?, |_| command.clone()).await?))
}

async fn plan(app: Arc<App>, act: Act, input: Input<Nothing>) -> Answer {
    put(app, act, input, Command::Plan).await
}

async fn start(app: Arc<App>, act: Act, input: Input<Nothing>) -> Answer {
    put(app, act, input, Command::Start).await
}

async fn meet(app: Arc<App>, act: Act, input: Input<MeetCriterion>) -> Answer {
    let by = act.caller.person.name.clone();
    let command = Command::Meet { phase: input.body.phase, criterion: input.body.criterion, by };
    put(app, act, input, command).await
}

async fn complete_phase(app: Arc<App>, act: Act, input: Input<Nothing>) -> Answer {
    put(app, act, input, Command::CompletePhase).await
}

async fn add_change(app: Arc<App>, act: Act, input: Input<NameChange>) -> Answer {
    Ok(versioned(service::take_in(&app, &act, &input.id("id")?, &input.body.change).await?))
}

async fn evaluate(app: Arc<App>, act: Act, input: Input<WithReason>) -> Answer {
    let command = Command::Evaluate { evaluation: input.body.reason.clone() };
    put(app, act, input, command).await
}

async fn close(app: Arc<App>, act: Act, input: Input<Nothing>) -> Answer {
    put(app, act, input, Command::Close).await
}

async fn cancel(app: Arc<App>, act: Act, input: Input<WithReason>) -> Answer {
    let command = Command::Cancel { reason: input.body.reason.clone() };
    put(app, act, input, command).await
}

async fn reject(app: Arc<App>, act: Act, input: Input<WithReason>) -> Answer {
    let command = Command::Reject { by: act.caller.person.name.to_string(), reason: input.body.reason.clone() };
    put(app, act, input, command).await
}
