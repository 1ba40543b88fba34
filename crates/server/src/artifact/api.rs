//! Doors of artifacts.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use axum::routing::post as on_post;
use futures_util::StreamExt as _;
use tidegate_api::request::{ListQuery, UploadArtifact};
use tidegate_api::view::{Page, Versioned};
use tidegate_domain::access::{About, Permission};
use tidegate_domain::deployment::artifact::{Artifact, Event, Signature, signed_text};
use tidegate_domain::estate::Component;
use tidegate_domain::{Code, Digest, Refusal};
use tidegate_store::{Stored, media};

use super::archive;
use crate::access::Caller;
use crate::app::App;
use crate::door::{Act, Input, Route, Source, form_of, get, query, raw};
use crate::list::{self, versioned};
use crate::problem::{Fault, No};
use crate::secret;

/// The doors.
pub fn routes() -> Vec<Route> {
    let upload_of = ("/artifacts", Permission::UploadArtifact, "Take bytes into the media library");
    vec![
        raw::<UploadArtifact>(Method::POST, upload_of, Source::Bytes, form_of::<Versioned<Artifact>>(), on_post(upload)),
        get("/artifacts", Permission::Read, "List artifacts", artifacts),
    ]
}

async fn artifacts(app: Arc<App>, act: Act, input: Input<ListQuery>) -> Result<Page<Versioned<Artifact>>, No> {
    list::page(&app, &act.caller, &input.body).await
}

async fn upload(State(app): State<Arc<App>>, request: Request) -> Response {
    match take(&app, request).await {
        Ok(stored) => axum::Json(versioned(stored)).into_response(),
        Err(no) => no.into_response(),
    }
}

async fn take(app: &App, request: Request) -> Result<Stored<Artifact>, No> {
    let caller = Caller::of(app, request.headers(), request.method(), Permission::UploadArtifact).await?;
    let asked: UploadArtifact = query(request.uri().query().unwrap_or_default())?;
    let component = app.need::<Component>(&asked.component).await?.value;
    caller.require(Permission::UploadArtifact, About { application: Some(&component.application), environment: None })?;
    let signature = signature(&asked)?;
    let (digest, size_bytes) = receive(app, request, asked.digest.as_ref()).await?;
    if let Some(signature) = &signature {
        if !secret::verifies(&signature.key, &signature.value, &signed_text(&asked.component, &asked.version, &digest)) {
            let remedy = "sign component, version and digest with the release key: tidegate artifact upload --key FILE";
            return Err(Refusal::new(Code::SignatureInvalid, "the signature does not verify", remedy).at("signature").into());
        }
    }
    let path = app.media.path(&digest);
    let format = asked.format;
    let checked = tokio::task::spawn_blocking(move || archive::check(&path, format)).await;
    checked.map_err(|error| Fault::new(error.to_string()))??;
    let artifact = Artifact {
        digest: digest.clone(),
        component: asked.component,
        version: asked.version,
        format: asked.format,
        size_bytes,
        signature,
        uploaded_at_ms: app.now_ms(),
        uploaded_by: caller.person.name.to_string(),
    };
    keep(app, caller, artifact).await
}

/// A version is its bytes: bringing the same again is no news, bringing others is refused.
async fn keep(app: &App, caller: Caller, artifact: Artifact) -> Result<Stored<Artifact>, No> {
    let id = Artifact::id(&artifact.component, &artifact.version);
    if let Some(found) = app.store.load::<Artifact>(&id).await? {
        if found.value.digest == artifact.digest {
            return Ok(found);
        }
        let what = format!("{id} is there already, with digest {}", found.value.digest.short());
        return Err(Refusal::new(Code::AlreadyExists, what, "a version never changes its bytes; use a new version").into());
    }
    let event =
        Event::Uploaded { digest: artifact.digest.clone(), size_bytes: artifact.size_bytes, signed: artifact.signature.is_some() };
    let act = Act { caller, cause, if_match: None, idempotency: None, shown: Arc::default() };
    app.create(&act, artifact, &[event]).await
}

fn signature(asked: &UploadArtifact) -> Result<Option<Signature>, Refusal> {
    match (&asked.signature_key, &asked.signature) {
        (Some(key), Some(value)) => Ok(Some(Signature { key: key.clone(), value: value.clone() })),
        (None, None) => Ok(None),
        _ => Err(Refusal::new(Code::Malformed, "signature and signature_key belong together", "give both or none").at("signature")),
    }
}

async fn receive(app: &App, request: Request, expected: Option<&Digest>) -> Result<(Digest, u64), No> {
    let mut upload = app.media.begin().await?;
    let mut body = request.into_body().into_data_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| Refusal::new(Code::Malformed, "the upload broke off", "send it again"))?;
        upload.write(&chunk).await.map_err(refused)?;
    }
    Ok(upload.finish(expected).await.map_err(refused)?)
}

fn refused(error: media::Error) -> No {
    match error {
        media::Error::Refused(refusal) => No::Refused(refusal),
        media::Error::Fault(fault) => fault.into(),
    }
}
