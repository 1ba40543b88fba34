//! Taking bytes into the media library: looked through on the way, and not there before all of it is right.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tidegate_api::request::{ListQuery, UploadArtifact};
use tidegate_api::view::{Page, Versioned};
use tidegate_domain::access::{About, Permission};
use tidegate_domain::deployment::artifact::{Artifact, Event, Format, Signature, signed_text};
use tidegate_domain::estate::Component;
use tidegate_domain::{Code, Digest, Name, Refusal};
use tidegate_store::{Stored, media};

use super::archive;
use crate::access::Caller;
use crate::app::App;
use crate::door::{Act, cause, query};
use crate::list;
use crate::problem::{Fault, No};
use crate::secret;

/// Chunks that may wait for the check: enough to keep it busy, little memory.
const CHUNKS_AHEAD: usize = 16;
/// Longest pause between two chunks.
const CHUNK_PATIENCE: Duration = Duration::from_mins(1);

/// One page of the library: an artifact is seen by whoever may see its component.
pub async fn seen(app: &App, caller: &Caller, query: &ListQuery) -> Result<Page<Versioned<Artifact>>, No> {
    let mut page = list::unseen::<Artifact>(app, query).await?;
    let names: BTreeSet<String> = page.rows.iter().map(|row| row.value.component.to_string()).collect();
    let found = app.store.load_many::<Component>(&names.into_iter().collect::<Vec<_>>()).await?;
    let seen = found.into_iter().map(|row| row.value).filter(|component| list::may_see(&caller.person, component));
    let seen: BTreeSet<Name> = seen.map(|component| component.name).collect();
    page.rows.retain(|row| seen.contains(&row.value.component));
    Ok(page)
}

/// Takes an upload in.
pub async fn take(app: &App, request: Request) -> Result<Stored<Artifact>, No> {
    let caller = Caller::of(app, request.headers(), request.method(), Permission::UploadArtifact).await?;
    let asked: UploadArtifact = query(request.uri().query().unwrap_or_default())?;
    let component = app.need::<Component>(&asked.component).await?.value;
    caller.require(Permission::UploadArtifact, About { application: Some(&component.application), environment: None })?;
    let signature = signature(&asked)?;
    let cause = cause(request.headers());
    let upload = app.media.begin().await?;
    let received = receive(upload, request.into_body(), asked.format).await?;
    let id = Artifact::id(&asked.component, &asked.version);
    let known = app.store.load::<Artifact>(&id).await?;
    check(&asked, (signature.as_ref(), known.as_ref()), &received.digest)?;
    if let Some(known) = known {
        return Ok(known);
    }
    // Nothing is in the library before this line, so that whatever was refused leaves nothing there.
    let (digest, size_bytes) = received.upload.finish(Some(&received.digest)).await.map_err(refused)?;
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
    let event = Event::Uploaded { digest, size_bytes, signed: artifact.signature.is_some() };
    let act = Act { caller, cause, if_match: None, idempotency: None, shown: Arc::default() };
    app.create(&act, artifact, &[event]).await
}

/// Whether the bytes are what was announced. A version is its bytes: bringing the same again is no news, bringing others is
/// refused.
fn check(
    asked: &UploadArtifact,
    (signature, known): (Option<&Signature>, Option<&Stored<Artifact>>),
    digest: &Digest,
) -> Result<(), Refusal> {
    if let Some(expected) = asked.digest.as_ref().filter(|expected| *expected != digest) {
        let what = format!("the bytes have the digest {digest}, not {expected}");
        let remedy = "upload again, and compare the digest of your file if it happens twice";
        return Err(Refusal::new(Code::DigestMismatch, what, remedy).at("digest"));
    }
    let good = |it: &Signature| secret::verifies(&it.key, &it.value, &signed_text(&asked.component, &asked.version, digest));
    if signature.is_some_and(|signature| !good(signature)) {
        let remedy = "sign component, version and digest with the release key: tidegate artifact upload --key FILE";
        return Err(Refusal::new(Code::SignatureInvalid, "the signature does not verify", remedy).at("signature"));
    }
    match known {
        Some(known) if known.value.digest != *digest => {
            let what =
                format!("{} {} is there already, with digest {}", asked.component, asked.version, known.value.digest.short());
            Err(Refusal::new(Code::AlreadyExists, what, "a version never changes its bytes; use a new version").at("version"))
        }
        // To say "good" would let somebody believe that it is signed now.
        Some(known) if signature.is_some() && known.value.signature.is_none() => {
            let what = format!("{} {} is there already, and not signed", asked.component, asked.version);
            Err(Refusal::new(Code::AlreadyExists, what, "what is there never changes; upload it as a new version, signed")
                .at("version"))
        }
        _ => Ok(()),
    }
}

fn signature(asked: &UploadArtifact) -> Result<Option<Signature>, Refusal> {
    match (&asked.signature_key, &asked.signature) {
        (Some(key), Some(value)) => Ok(Some(Signature { key: key.clone(), value: value.clone() })),
        (None, None) => Ok(None),
        _ => {
            Err(Refusal::new(Code::Malformed, "signature and signature_key belong together", "give both or none").at("signature"))
        }
    }
}

/// Bytes that came in, were looked through, and are not in the library yet.
struct Received {
    upload: media::Upload,
    digest: Digest,
}

/// Takes the bytes in and looks through them on the way. What is refused is read to its end all the same: whoever is still
/// sending would otherwise see a broken connection instead of the reason.
async fn receive(mut upload: media::Upload, body: Body, format: Format) -> Result<Received, No> {
    let (sender, chunks) = tokio::sync::mpsc::channel(CHUNKS_AHEAD);
    let checking = tokio::task::spawn_blocking(move || archive::check(archive::Chunks::new(chunks), format));
    let mut sender = Some(sender);
    let mut hash = Sha256::new();
    let mut body = body.into_data_stream();
    while let Some(chunk) = tokio::time::timeout(CHUNK_PATIENCE, body.next()).await.map_err(|_| broke_off())? {
        let chunk = chunk.map_err(|_| broke_off())?;
        upload.write(&chunk).await.map_err(refused)?;
        hash.update(&chunk);
        if let Some(ahead) = &sender {
            // The check is over when nobody takes any more: at the end of the archive, or at what makes it unsafe.
            if ahead.send(chunk).await.is_err() {
                sender = None;
            }
        }
    }
    drop(sender);
    checking.await.map_err(|error| Fault::new(error.to_string()))??.fits(upload.bytes())?;
    Ok(Received { upload, digest: Digest::from_bytes(&hash.finalize()) })
}

fn broke_off() -> Refusal {
    Refusal::new(Code::Malformed, "the upload broke off", "send it again")
}

fn refused(error: media::Error) -> No {
    match error {
        media::Error::Refused(refusal) => No::Refused(refusal),
        media::Error::Fault(fault) => fault.into(),
    }
}
