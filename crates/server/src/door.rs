//! Doors of the API. A [`Route`] is one typed value: path, permission, what comes in, what goes out, and the function that does
//! it. The router and the `OpenAPI` document are both made of the same list, so that neither can drift from the other.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidegate_api::request::Nothing;
use tidegate_api::strict;
use tidegate_domain::access::Permission;
use tidegate_domain::{Code, Digest, Id, Millis, Name, Refusal, limits};
use tidegate_store::IdempotencyRow;

use crate::access::Caller;
use crate::app::App;
use crate::problem::No;

/// What is known of the asking: who, why, and on which version.
#[derive(Debug, Clone)]
pub struct Act {
    /// Who asks.
    pub caller: Caller,
    /// What led to it, for the history.
    pub cause: String,
    /// The version the asker has seen.
    pub if_match: Option<u64>,
    /// The key under which the answer is remembered, and the digest of the request.
    pub idempotency: Option<(String, Digest)>,
    /// The version that the answer shows, for its `ETag`; set by whoever makes an answer that does not carry it itself.
    pub shown: Arc<OnceLock<u64>>,
}

impl Act {
    /// Refuses if the asker has seen another version.
    ///
    /// # Errors
    ///
    /// [`Code::StaleVersion`].
    pub fn matches(&self, version: u64) -> Result<(), Refusal> {
        match self.if_match {
            Some(seen) if seen != version => Err(Refusal::new(
                Code::StaleVersion,
                format!("If-Match names version {seen}, but it is at version {version}"),
                "read it again and decide again",
            )
            .at("If-Match")),
            _ => Ok(()),
        }
    }

    /// Says which version the answer shows, where the answer does not say it itself.
    pub fn show(&self, version: u64) {
        // One answer shows one version: the first word stands.
        let _ = self.shown.set(version);
    }

    /// The same asking for a second change on its behalf: the key and the version were meant for the first.
    #[must_use]
    pub fn beside(&self) -> Act {
        Act { if_match: None, idempotency: None, ..self.clone() }
    }

    /// The row that remembers an answer, if a key was given; committed with what it answers.
    pub fn remember<A: Serialize>(&self, answer: &A, now_ms: Millis) -> Option<IdempotencyRow> {
        let (key, request) = self.idempotency.clone()?;
        let answer = serde_json::to_string(answer).ok()?;
        Some(IdempotencyRow { key, request, answer, at_ms: now_ms })
    }

    /// The row that remembers that there was an answer: one with a secret in it is shown once and kept nowhere.
    pub fn remember_secret(&self, now_ms: Millis) -> Option<IdempotencyRow> {
        let (key, request) = self.idempotency.clone()?;
        Some(IdempotencyRow { key, request, answer: SHOWN_ONCE.into(), at_ms: now_ms })
    }
}

/// What is kept in place of an answer that had a secret in it.
const SHOWN_ONCE: &str = "";
/// Seconds for a body to come in: its sender must not hold a place among those who are served.
const BODY_SECONDS: u64 = 60;

/// What comes in at a door.
#[derive(Debug)]
pub struct Input<B> {
    /// The body, or the query of a GET.
    pub body: B,
    params: Vec<(String, String)>,
}

impl<B> Input<B> {
    /// A part of the path, as text.
    pub fn text(&self, name: &str) -> &str {
        self.params.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// A part of the path that is an id.
    pub fn id(&self, name: &str) -> Result<Id, Refusal> {
        Id::parse(self.text(name)).map_err(|refusal| refusal.at(name))
    }

    /// A part of the path that is a name.
    pub fn name(&self, name: &str) -> Result<Name, Refusal> {
        Name::parse(self.text(name)).map_err(|refusal| refusal.at(name))
    }
}

/// Where a door's input stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// In the query.
    Query,
    /// In a JSON body.
    Body,
    /// In the query, beside a body of bytes that the door reads itself.
    Bytes,
}

/// What a door answers.
#[derive(Clone, Copy)]
pub enum Told {
    /// JSON of this form.
    Json(fn(&mut SchemaGenerator) -> Schema),
    /// Server-sent events, for as long as somebody listens.
    Stream,
    /// Text: what it is.
    Text(&'static str),
}

/// A door.
pub struct Route {
    /// GET, POST, PUT or DELETE.
    pub method: Method,
    /// Below `/api/v1`, with `{parts}`.
    pub path: &'static str,
    /// What the asker must be trusted with somewhere; where exactly is the service's question.
    pub permission: Permission,
    /// One sentence.
    pub summary: &'static str,
    /// Where its input stands.
    pub source: Source,
    /// The form of its input.
    pub input: fn(&mut SchemaGenerator) -> Schema,
    /// What it answers.
    pub answer: Told,
    /// What it does.
    pub handler: MethodRouter<Arc<App>>,
}

fn filter(method: &Method) -> MethodFilter {
    MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET)
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A door that reads: its input is the query.
pub fn get<B, A, F, Fut>(path: &'static str, permission: Permission, summary: &'static str, act: F) -> Route
where
    B: DeserializeOwned + JsonSchema + Send + 'static,
    A: Serialize + JsonSchema + Send + 'static,
    F: Fn(Arc<App>, Act, Input<B>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<A, No>> + Send + 'static,
{
    typed(Method::GET, (path, permission, summary), act)
}

/// A door that changes: its input is a JSON body.
pub fn post<B, A, F, Fut>(path: &'static str, permission: Permission, summary: &'static str, act: F) -> Route
where
    B: DeserializeOwned + JsonSchema + Send + 'static,
    A: Serialize + JsonSchema + Send + 'static,
    F: Fn(Arc<App>, Act, Input<B>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<A, No>> + Send + 'static,
{
    typed(Method::POST, (path, permission, summary), act)
}

/// The parts of a path, or why they cannot be read.
type Params = Result<RawPathParams, RawPathParamsRejection>;

/// A door of another method.
pub fn typed<B, A, F, Fut>(method: Method, (path, permission, summary): (&'static str, Permission, &'static str), act: F) -> Route
where
    B: DeserializeOwned + JsonSchema + Send + 'static,
    A: Serialize + JsonSchema + Send + 'static,
    F: Fn(Arc<App>, Act, Input<B>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<A, No>> + Send + 'static,
{
    let source = if method == Method::GET || method == Method::DELETE { Source::Query } else { Source::Body };
    let handler = on(filter(&method), move |State(app): State<Arc<App>>, params: Params, request: Request| {
        let act = act.clone();
        async move { respond(app, params, request, (permission, source), act).await.unwrap_or_else(IntoResponse::into_response) }
    });
    Route { method, path, permission, summary, source, input: schema_of::<B>, answer: Told::Json(schema_of::<A>), handler }
}

/// A door whose handler speaks HTTP itself: streams and bytes.
pub fn raw<B: JsonSchema>(
    method: Method,
    (path, permission, summary): (&'static str, Permission, &'static str),
    source: Source,
    answer: Told,
    handler: MethodRouter<Arc<App>>,
) -> Route {
    Route { method, path, permission, summary, source, input: schema_of::<B>, answer, handler }
}

/// JSON of the form of `T`, for [`raw`].
pub fn form_of<T: JsonSchema>() -> Told {
    Told::Json(schema_of::<T>)
}

async fn respond<B, A, F, Fut>(
    app: Arc<App>,
    params: Params,
    request: Request,
    (permission, source): (Permission, Source),
    act: F,
) -> Result<Response, No>
where
    B: DeserializeOwned,
    A: Serialize,
    F: Fn(Arc<App>, Act, Input<B>) -> Fut,
    Fut: Future<Output = Result<A, No>>,
{
    let (parts, body) = request.into_parts();
    let caller = Caller::of(&app, &parts.headers, &parts.method, permission).await?;
    let params = params.map_err(|_| Refusal::new(Code::Malformed, "the path is not UTF-8", "encode it as UTF-8").at("path"))?;
    let params = params.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let (body, bytes) = input(&parts, body, source).await?;
    // Everything is read before a remembered answer is looked for: rubbish is refused as such, whatever key it came with.
    let (cause, if_match) = (cause(&parts.headers), if_match(&parts.headers)?);
    let idempotency = idempotency(&parts, &caller)?.map(|key| (key, request_digest(&parts, &bytes)));
    if let Some(answer) = remembered(&app, idempotency.as_ref()).await? {
        return Ok(json(answer, (None, "replayed")));
    }
    let shown = Arc::new(OnceLock::new());
    let act_of = Act { caller, cause, if_match, idempotency: idempotency.clone(), shown: shown.clone() };
    match act(app.clone(), act_of, Input { body, params }).await {
        Ok(answer) => {
            let text =
                serde_json::to_string(&answer).map_err(|error| No::Fault(crate::problem::Fault::new(error.to_string())))?;
            Ok(json(text, (shown.get().copied(), "fresh")))
        }
        // The same request may have been carried out at the same moment; then its answer is this one's too.
        Err(no) => match remembered(&app, idempotency.as_ref()).await {
            Ok(Some(answer)) => Ok(json(answer, (None, "replayed"))),
            Ok(None) | Err(_) => Err(no),
        },
    }
}

/// What came in, and the bytes of its body.
async fn input<B: DeserializeOwned>(parts: &Parts, body: Body, source: Source) -> Result<(B, Vec<u8>), Refusal> {
    let asked = parts.uri.query().unwrap_or_default();
    if source != Source::Body {
        return Ok((query(asked)?, Vec::new()));
    }
    // What is asked for in the wrong place must not be passed over in silence.
    query::<Nothing>(asked)?;
    let bytes = read(body, limits::BODY_BYTES_MAX).await?;
    if bytes.is_empty() {
        return Ok((strict::json(b"{}")?, bytes));
    }
    is_json(&parts.headers)?;
    Ok((strict::json(&bytes)?, bytes))
}

fn is_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let kind = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind == "application/json" {
        return Ok(());
    }
    let what = format!("the body is said to be \"{}\"", tidegate_domain::ids::clip(&kind));
    Err(Refusal::new(Code::Malformed, what, "send JSON, with Content-Type: application/json").at("Content-Type"))
}

fn request_digest(parts: &Parts, bytes: &[u8]) -> Digest {
    let address = parts.uri.path_and_query().map_or("", |it| it.as_str());
    Digest::of(&[parts.method.as_str().as_bytes(), address.as_bytes(), bytes].join(&b'\n'))
}

/// Reads a body, whole or not at all.
///
/// # Errors
///
/// [`Code::TooLarge`] beyond `bytes_max`, [`Code::Malformed`] if it breaks off or takes too long.
pub async fn read(body: Body, bytes_max: usize) -> Result<Vec<u8>, Refusal> {
    let all = axum::body::to_bytes(body, bytes_max);
    let Ok(all) = tokio::time::timeout(std::time::Duration::from_secs(BODY_SECONDS), all).await else {
        let what = format!("the body did not come within {BODY_SECONDS} s");
        return Err(Refusal::new(Code::Malformed, what, "send it again, faster"));
    };
    all.map(|bytes| bytes.to_vec()).map_err(|_| {
        Refusal::new(Code::TooLarge, format!("the body is more than {bytes_max} bytes, or broke off"), "send less, or in parts")
    })
}

/// Reads a query, whole or not at all.
pub fn query<B: DeserializeOwned>(text: &str) -> Result<B, Refusal> {
    if std::str::from_utf8(&unescaped(text)).is_err() {
        return Err(Refusal::new(Code::Malformed, "the query is not UTF-8", "encode it as UTF-8").at("query"));
    }
    let uri = format!("http://localhost/?{text}").parse::<axum::http::Uri>();
    let uri = uri.map_err(|_| Refusal::new(Code::Malformed, "the query is not one", "use name=value pairs").at("query"))?;
    axum::extract::Query::<B>::try_from_uri(&uri).map(|query| query.0).map_err(|error| {
        let what = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        let code = if what.contains("unknown field") { Code::UnknownField } else { Code::Malformed };
        Refusal::new(code, what, "see /api/openapi.json for what this address takes").at("query")
    })
}

/// The bytes that `%` and two digits stand for; what is no such escape stands for itself.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escape = if *first == b'%' { after.get(..2).and_then(|digits| hex::decode(digits).ok()) } else { None };
        if let Some(byte) = escape {
            bytes.extend(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    bytes
}

async fn remembered(app: &App, idempotency: Option<&(String, Digest)>) -> Result<Option<String>, No> {
    let Some((key, request)) = idempotency else { return Ok(None) };
    match app.store.idempotent(key).await? {
        Some(row) if row.request == *request && row.answer == SHOWN_ONCE => Err(Refusal::new(
            Code::IdempotencyConflict,
            "this request was carried out, and the secret in its answer is shown once",
            "make another one with a new key, and end the one that was lost",
        )
        .at("Idempotency-Key")
        .into()),
        Some(row) if row.request == *request => Ok(Some(row.answer)),
        Some(_) => Err(Refusal::new(
            Code::IdempotencyConflict,
            "this idempotency key was used with another request",
            "use a new key for a new request",
        )
        .at("Idempotency-Key")
        .into()),
        None => Ok(None),
    }
}

fn idempotency(parts: &Parts, caller: &Caller) -> Result<Option<String>, Refusal> {
    // Reading has no effect that could happen twice.
    let given = parts.headers.get("idempotency-key").filter(|_| parts.method != Method::GET);
    let Some(value) = given else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (8..=128).contains(&key.len()) => Ok(Some(format!("{}:{key}", caller.actor()))),
        _ => Err(Refusal::new(
            Code::Malformed,
            "the idempotency key is too short, too long or not text",
            "use 8 to 128 characters",
        )
        .at("Idempotency-Key")),
    }
}

fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    match value.to_str().ok().and_then(version_of) {
        Some(version) => Ok(Some(version)),
        None => Err(Refusal::new(Code::Malformed, "If-Match is not a version", "send the ETag back as it came").at("If-Match")),
    }
}

/// A version as an `ETag` shows it, or without its quotes: digits alone, of which no version will ever have more than 19.
fn version_of(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let good = digits.len() <= 19 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if good { digits.parse().ok() } else { None }
}

/// What led to a request, for the history: its id.
pub fn cause(headers: &HeaderMap) -> String {
    let id = headers.get("x-request-id").and_then(|value| value.to_str().ok()).unwrap_or("unnamed");
    format!("request {}", tidegate_domain::ids::clip(id))
}

/// A JSON answer with the version that it shows as `ETag`; a [`tidegate_api::view::Versioned`] one carries it in itself.
fn json(text: String, (shown, freshness): (Option<u64>, &'static str)) -> Response {
    let carried = || text.strip_prefix("{\"version\":")?.split(',').next()?.parse().ok();
    let etag = shown.or_else(carried).and_then(|version| HeaderValue::from_str(&format!("\"{version}\"")).ok());
    let mut response = (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], text).into_response();
    if let Some(etag) = etag {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert("tidegate-answer", HeaderValue::from_static(freshness));
    response
}
