//! Pages of the history.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use tidegate_api::request::Nothing;
use tidegate_domain::event::{Actor, Noun};
use tidegate_domain::{Code, Refusal, limits};
use tidegate_store::EventFilter;

use super::api::{everywhere, stream_of, verified, view};
use crate::app::App;
use crate::bounds;
use crate::pages::form::{Form, Query};
use crate::pages::{Visit, fresh, no_page};
use crate::problem::No;
use crate::web::page::audit::{AuditAsked, AuditPage, audit};

/// The doors.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/audit", get(all)).route("/audit/verify", post(verify))
}

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    noun: String,
    #[serde(default)]
    actor: String,
    #[serde(default)]
    stream: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    before: Option<u64>,
}

async fn all(State(app): State<Arc<App>>, visit: Visit, Query(asked): Query<Asked>) -> Response {
    visit.show(gathered(&app, &visit, asked).await.map(|view| audit(&visit.chrome, &view)))
}

async fn gathered(app: &App, visit: &Visit, asked: Asked) -> Result<AuditPage, No> {
    everywhere(&visit.caller)?;
    let noun = Noun::ALL.into_iter().find(|noun| noun.as_str() == asked.noun);
    let actor = if asked.actor.is_empty() { None } else { Some(actor(&asked.actor)?) };
    let stream = if asked.stream.is_empty() { None } else { Some(stream_of(&asked.stream)?) };
    bounds::text("text", &asked.text)?;
    let text = Some(asked.text.trim().to_owned()).filter(|text| !text.is_empty());
    let filter = EventFilter { stream, noun, actor, text };
    let found = app.store.events_before(asked.before, &filter, limits::PAGE_ROWS).await?;
    let asked = AuditAsked { noun, actor: asked.actor, stream: asked.stream, text: asked.text };
    Ok(AuditPage { asked, events: found.rows.into_iter().map(view).collect(), before: found.before, verified: None })
}

/// Reads an actor as the history writes it; a bare name is a person's.
fn actor(text: &str) -> Result<Actor, Refusal> {
    let text = text.trim();
    let written = if text == "system" || text.contains(':') { text.to_owned() } else { format!("person:{text}") };
    Actor::try_from(written).map_err(|_| {
        let what = format!("\"{}\" is nobody in the history", tidegate_domain::ids::clip(text));
        Refusal::new(Code::Malformed, what, "use person:NAME, agent:TARGET or system").at("actor")
    })
}

async fn verify(State(app): State<Arc<App>>, form: Form<Nothing>) -> Response {
    let walked = async {
        everywhere(&form.visit.caller)?;
        let found = verified(&app).await?;
        let page = gathered(&app, &form.visit, Asked::default()).await?;
        Ok(AuditPage { verified: Some(found), ..page })
    };
    match walked.await {
        Ok(view) => fresh(audit(&form.visit.chrome, &view)),
        Err(no) => no_page(&form.visit.chrome, &no),
    }
}
