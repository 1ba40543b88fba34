//! What pages are asked: queries, and forms: urlencoded, with the session's proof in a hidden field, read whole or not at all.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::response::Response;
use serde::de::DeserializeOwned;
use tidegate_domain::{Code, Refusal, limits};

use super::{Visit, no_page};
use crate::app::App;
use crate::door::{query, read as read_body};
use crate::problem::No;
use crate::web::form::CSRF_FIELD;

/// A form that was sent from a page of the same session.
pub struct Form<T> {
    /// Who sent it.
    pub visit: Visit,
    /// What they wrote.
    pub value: T,
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Form<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Form<T>, Response> {
        let (mut parts, body) = request.into_parts();
        let visit = Visit::from_request_parts(&mut parts, app).await?;
        let refused = |refusal: Refusal| no_page(&visit.chrome, &No::Refused(refusal));
        let bytes = read_body(body, limits::BODY_BYTES_MAX).await.map_err(refused)?;
        match read(&bytes, visit.caller.csrf.as_deref()) {
            Ok(value) => Ok(Form { visit, value }),
            Err(refusal) => Err(refused(refusal)),
        }
    }
}

/// What a page is asked for: the query of its address, as a filter's form writes it.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<App>> for Query<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Query<T>, Response> {
        let text = parts.uri.query().unwrap_or_default();
        let asked = query(&text.split('&').filter(says_something).collect::<Vec<_>>().join("&"));
        let refusal = match asked {
            Ok(asked) => return Ok(Query(asked)),
            Err(refusal) => refusal,
        };
        let visit = Visit::from_request_parts(parts, app).await?;
        Err(no_page(&visit.chrome, &No::Refused(refusal)))
    }
}

/// A field that was left empty says nothing, which is what its absence says.
fn says_something(field: &&str) -> bool {
    !field.is_empty() && !field.ends_with('=')
}

fn read<T: DeserializeOwned>(bytes: &[u8], csrf: Option<&str>) -> Result<T, Refusal> {
    let text = String::from_utf8_lossy(bytes);
    let is_proof = |field: &&str| field.split_once('=').is_some_and(|(name, _)| name == CSRF_FIELD);
    let proof = text.split('&').find(is_proof).and_then(|field| field.split_once('=')).map(|(_, value)| value);
    if csrf.is_none() || proof != csrf {
        let remedy = "open the page again and send the form from there";
        return Err(Refusal::new(Code::CrossSite, "the form was not sent from a page of this session", remedy));
    }
    let said = |field: &&str| says_something(field) && !is_proof(field);
    query(&text.split('&').filter(said).collect::<Vec<_>>().join("&"))
}
