//! Doors of changes.

use std::sync::Arc;

use axum::http::Method;
use tidegate_api::request::{CloseChange, ListQuery, Nothing, VoteOnChange, WithReason, WriteChange};
use tidegate_api::view::{Page, Versioned};
use tidegate_domain::access::Permission;
use tidegate_domain::change::{Change, Command, Content};

use super::service;
use crate::app::App;
use crate::door::{Act, Input, Route, get, post, typed};
use crate::list::{self, versioned};
use crate::problem::No;

type Answer = Result<Versioned<Change>, No>;

/// The doors.
pub fn routes() -> Vec<Route> {
    use Permission::{Authorise, Read, WriteChange};
    vec![
        post("/changes", WriteChange, "Write a change, as a draft", write),
        get("/changes", Read, "List changes", changes),
        get("/changes/{id}", Read, "Show a change", change),
        typed(Method::PUT, ("/changes/{id}", WriteChange, "Edit a change; its votes fall"), edit),
        post("/changes/{id}/submit", WriteChange, "Submit a draft", submit),
        post("/changes/{id}/vote", Authorise, "Approve or reject what was looked at", vote),
        post("/changes/{id}/withdraw-vote", Authorise, "Take one's own vote back", withdraw),
        post("/changes/{id}/hold", WriteChange, "Suspend pending approvals", hold),
        post("/changes/{id}/unhold", WriteChange, "Let approvals go on", unhold),
        post("/changes/{id}/cancel", WriteChange, "Cancel a change", cancel),
        post("/changes/{id}/close", WriteChange, "Close a change after its review", close),
    ]
}

async fn write(app: Arc<App>, act: Act, input: Input<WriteChange>) -> Answer {
    Ok(versioned(service::write(&app, &act, &input.body).await?))
}

async fn changes(app: Arc<App>, act: Act, input: Input<ListQuery>) -> Result<Page<Versioned<Change>>, No> {
    list::page(&app, &act.caller, &input.body).await
}

async fn change(app: Arc<App>, act: Act, input: Input<Nothing>) -> Answer {
    Ok(versioned(list::one(&app, &act.caller, input.id("id")?.as_str()).await?))
}

async fn edit(app: Arc<App>, act: Act, input: Input<Content>) -> Answer {
    let id = input.id("id")?;
    let by = act.caller.person.name.clone();
    let edit = Command::Edit { content: input.body, by };
    Ok(versioned(service::command(&app, &act, &id, Permission::WriteChange, edit).await?))
}

async fn submit(app: Arc<App>, act: Act, input: Input<Nothing>) -> Answer {
    let by = act.caller.person.name.clone();
    let id = input.id("id")?;
    Ok(versioned(service::command(&app, &act, &id, Permission::WriteChange, Command::Submit { by }).await?))
}

async fn vote(app: Arc<App>, act: Act, input: Input<VoteOnChange>) -> Answer {
    Ok(versioned(service::vote(&app, &act, &input.id("id")?, &input.body).await?))
}

async fn withdraw(app: Arc<App>, act: Act, input: Input<Nothing>) -> Answer {
    let by = act.caller.person.name.clone();
    let id = input.id("id")?;
    Ok(versioned(service::command(&app, &act, &id, Permission::Authorise, Command::WithdrawVote { by }).await?))
}

async fn hold(app: Arc<App>, act: Act, input: Input<WithReason>) -> Answer {
    let (id, by) = (input.id("id")?, act.caller.person.name.clone());
    let hold = Command::Hold { by, reason: input.body.reason };
    Ok(versioned(service::command(&app, &act, &id, Permission::WriteChange, hold).await?))
}

async fn unhold(app: Arc<App>, act: Act, input: Input<Nothing>) -> Answer {
    let (id, by) = (input.id("id")?, act.caller.person.name.clone());
    Ok(versioned(service::command(&app, &act, &id, Permission::WriteChange, Command::Release { by }).await?))
}

async fn cancel(app: Arc<App>, act: Act, input: Input<WithReason>) -> Answer {
    let (id, by) = (input.id("id")?, act.caller.person.name.clone());
    let cancel = Command::Cancel { by, reason: input.body.reason };
    Ok(versioned(service::command(&app, &act, &id, Permission::WriteChange, cancel).await?))
}

async fn close(app: Arc<App>, act: Act, input: Input<CloseChange>) -> Answer {
    Ok(versioned(service::close(&app, &act, &input.id("id")?, &input.body).await?))
}
