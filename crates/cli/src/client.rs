//! The client of `/api/v1`.
//!
//! Whatever changes something carries an `Idempotency-Key` of its own and is sent a second time with the same key if the
//! connection is lost, so that it happens once whether or not the first answer got through.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, IF_MATCH};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidegate_api::Problem;
use tidegate_domain::Refusal;
use tidegate_domain::refusal::Code;

use crate::arguments::Global;
use crate::command::login;
use crate::ending::Ending;

/// Seconds until a server that does not take the connection counts as unreachable.
const CONNECT_SECONDS: u64 = 5;
/// Seconds within which an answer must come.
const ANSWER_SECONDS: u64 = 60;
/// Bytes of an answer that are read: a deployment of the largest plan, several times over.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// What the API said, as it said it and as it is understood.
#[derive(Debug)]
pub struct Answer<T> {
    /// The exact text.
    pub body: String,
    /// The same, read.
    pub value: T,
}

/// A way to one server, as one person.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    server: String,
    token: Option<String>,
}

impl Client {
    /// A client as the command line says.
    pub fn new(global: &Global) -> Result<Client, Ending> {
        let server = global.server.trim_end_matches('/').to_owned();
        let url = reqwest::Url::parse(&server).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if url.is_none() {
            let what = format!("\"{}\" is not the address of a server", tidegate_domain::ids::clip(&server));
            return Err(Refusal::new(Code::Malformed, what, "use a URL such as http://127.0.0.1:7400").at("--server").into());
        }
        let token = match &global.token {
            Some(token) => Some(token.clone()),
            None => std::env::var("TIDEGATE_TOKEN").ok().filter(|token| !token.is_empty()).or(login::kept_token()?),
        };
        if token.as_ref().is_some_and(|token| HeaderValue::from_str(&format!("Bearer {token}")).is_err()) {
            let refusal = Refusal::new(Code::NotSignedIn, "the token has characters that no token has", "copy it again");
            return Err(refusal.at("--token").into());
        }
        let builder = || {
            reqwest::Client::builder()
                .connect_timeout(Duration::from_secs(CONNECT_SECONDS))
                // A token must not follow a server to another.
                .redirect(reqwest::redirect::Policy::none())
                .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
        };
        let http = tidegate_server::http::client(builder).map_err(anyhow::Error::new)?;
        Ok(Client { http, server, token })
    }

    /// Whether there is a token to show.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Reads one thing or a page.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Answer<T>, Ending> {
        self.list(path, &()).await
    }

    /// Reads a page of a list.
    pub async fn list<T: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> Result<Answer<T>, Ending> {
        let request = || self.request(Method::GET, path).query(query).timeout(Duration::from_secs(ANSWER_SECONDS));
        understood(self.twice(request).await?).await
    }

    /// Asks for something.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<Answer<T>, Ending> {
        self.send(Method::POST, path, body, None).await
    }

    /// Replaces a thing, if it still is the version that was looked at.
    pub async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize, version: u64) -> Result<Answer<T>, Ending> {
        self.send(Method::PUT, path, body, Some(version)).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
        version: Option<u64>,
    ) -> Result<Answer<T>, Ending> {
        let body = serde_json::to_vec(body).map_err(anyhow::Error::new)?;
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        headers.insert("idempotency-key", idempotency_key()?);
        if let Some(version) = version {
            headers.insert(IF_MATCH, HeaderValue::from_str(&format!("\"{version}\"")).map_err(anyhow::Error::new)?);
        }
        let request = || {
            let request = self.request(method.clone(), path).headers(headers.clone()).body(body.clone());
            request.timeout(Duration::from_secs(ANSWER_SECONDS))
        };
        understood(self.twice(request).await?).await
    }

    /// Ends a thing.
    pub async fn delete(&self, path: &str) -> Result<(), Ending> {
        let key = idempotency_key()?;
        let request = || {
            let request = self.request(Method::DELETE, path).header("idempotency-key", key.clone());
            request.timeout(Duration::from_secs(ANSWER_SECONDS))
        };
        accepted(self.twice(request).await?).await.map(drop)
    }

    /// Sends bytes as they are; `body` is asked for a new one if the connection is lost.
    pub async fn upload<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &impl Serialize,
        size_bytes: u64,
        body: impl Fn() -> reqwest::Body,
    ) -> Result<Answer<T>, Ending> {
        let key = idempotency_key()?;
        let request = || {
            let request = self.request(Method::POST, path).query(query).header("idempotency-key", key.clone());
            let request = request.header(CONTENT_TYPE, "application/octet-stream");
            // An upload may take long; the server ends one that does not move.
            request.header(reqwest::header::CONTENT_LENGTH, size_bytes).body(body())
        };
        understood(self.twice(request).await?).await
    }

    /// Opens the stream of events, from now on.
    pub async fn stream(&self) -> Result<Response, Ending> {
        let request = self.request(Method::GET, "/stream").header(reqwest::header::ACCEPT, "text/event-stream");
        accepted(request.send().await.map_err(|error| self.lost(&error))?).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}/api/v1{path}", self.server));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn twice(&self, request: impl Fn() -> RequestBuilder) -> Result<Response, Ending> {
        match request().send().await {
            Ok(response) => Ok(response),
            Err(error) if error.is_builder() => Err(anyhow::Error::new(error).into()),
            // A server that did not answer in time is not asked again: it has enough to do.
            Err(error) if error.is_timeout() => Err(self.lost(&error)),
            Err(_) => request().send().await.map_err(|error| self.lost(&error)),
        }
    }

    fn lost(&self, error: &reqwest::Error) -> Ending {
        // The innermost cause says it in the words of the operating system.
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        Ending::Unreachable { server: self.server.clone(), cause: cause.to_string() }
    }
}

fn idempotency_key() -> Result<HeaderValue, Ending> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("there is no randomness: {error}"))?;
    Ok(HeaderValue::from_str(&hex::encode(bytes)).map_err(anyhow::Error::new)?)
}

async fn understood<T: DeserializeOwned>(response: Response) -> Result<Answer<T>, Ending> {
    let body = bounded(accepted(response).await?).await?;
    let value = serde_json::from_str(&body).map_err(|error| {
        anyhow::anyhow!("the server's answer is not understood ({error}); are its version and this one the same?")
    })?;
    Ok(Answer { body, value })
}

/// The response if it is a good one; else the problem that it is.
async fn accepted(response: Response) -> Result<Response, Ending> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let after = response.headers().get(reqwest::header::RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = bounded(response).await?;
    let mut problem = serde_json::from_str::<Problem>(&body).map_err(|_| strange(status))?;
    if let Some(after) = after {
        problem.remedy = format!("{} (try again in {after} s)", problem.remedy);
    }
    Err(Ending::Refused(Box::new(problem)))
}

fn strange(status: StatusCode) -> Ending {
    anyhow::anyhow!("the server answered {status} without saying why; is it a Tidegate server?").into()
}

async fn bounded(mut response: Response) -> Result<String, Ending> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(anyhow::Error::new)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(anyhow::anyhow!("the server's answer is longer than {ANSWER_BYTES_MAX} bytes").into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8(body).map_err(anyhow::Error::new)?)
}
