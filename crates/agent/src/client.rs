//! The agent's side of the wire: sessions, bounded answers, and no answer believed that is not signed for this question.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tidegate_api::agent as wire;
use tidegate_domain::deployment::order::AttemptId;
use tidegate_domain::{Code, Digest, Refusal, limits};
use tokio::sync::Mutex;

use crate::identity::{Candidate, Identity, is_signed};

/// For a call that is not held.
const CALL: Duration = Duration::from_secs(20);
/// What a held call may take beyond its holding.
const HELD_EXTRA: Duration = Duration::from_secs(15);
/// Silence after which a download counts as broken.
const READ: Duration = Duration::from_secs(30);
/// Characters of a server's refusal that are logged.
const PROBLEM_CHARS_MAX: usize = 300;
/// Longest time that the server may ask to be left alone.
const RETRY_AFTER_SECONDS_MAX: u64 = 300;

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server answered, but not well.
    #[error("the server answered {status}: {text}")]
    Status {
        /// HTTP status.
        status: u16,
        /// The begin of its text.
        text: String,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// No answer came.
    #[error("no answer from the server: {0}")]
    Network(String),
    /// An answer came that must not be believed.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl CallError {
    /// Whether the same call cannot do better later.
    pub fn is_final(&self) -> bool {
        matches!(self, CallError::Status { status, .. } if (400..500).contains(status) && ![401, 408, 425, 429].contains(status))
    }

    /// How long the server asked to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            CallError::Status { retry_after, .. } => *retry_after,
            CallError::Network(_) | CallError::Refused(_) => None,
        }
    }
}

impl From<reqwest::Error> for CallError {
    fn from(error: reqwest::Error) -> CallError {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(deeper) = cause {
            text = format!("{text}: {deeper}");
            cause = deeper.source();
        }
        CallError::Network(text)
    }
}

/// A connection to one server, and the session on it.
pub struct Client {
    http: reqwest::Client,
    server: String,
    identity: Arc<Identity>,
    session: Mutex<Option<String>>,
}

/// The HTTP side alone; needed before there is an identity.
pub fn http() -> anyhow::Result<reqwest::Client> {
    // A second install is refused and changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(u64::from(limits::POLL_SECONDS)) + READ)
            .tcp_keepalive(Duration::from_secs(30))
            .pool_max_idle_per_host(2)
            .redirect(reqwest::redirect::Policy::none())
    };
    Ok(built(builder)?)
}

/// Builds a client, also on a host without the certificates of any authority, as a fresh Debian is: there it speaks plain HTTP and
/// refuses every `https://` address.
pub fn built(builder: impl Fn() -> reqwest::ClientBuilder) -> reqwest::Result<reqwest::Client> {
    builder().build().or_else(|_| {
        tracing::warn!(
            "this host has no certificates of authorities, so no https:// address is trusted: install ca-certificates"
        );
        builder().tls_certs_only([]).build()
    })
}

/// Enrols with a one-time token.
pub async fn enrol(
    http: &reqwest::Client,
    server: &str,
    token: &str,
    candidate: &Candidate,
) -> Result<wire::Enrolled, CallError> {
    let request = wire::EnrolRequest { token: token.to_owned(), agent_key: candidate.public_key() };
    let sent = http.post(format!("{server}{}", wire::ENROL)).json(&request).timeout(CALL).send().await?;
    json(good(sent).await?).await
}

impl Client {
    pub fn new(http: reqwest::Client, server: String, identity: Arc<Identity>) -> Client {
        Client { http, server, identity, session: Mutex::new(None) }
    }

    /// Asks what to do, and checks that the answer is the server's, for this question and for this target.
    pub async fn poll(
        &self,
        known: Vec<AttemptId>,
        unsteady: Vec<wire::Unsteady>,
        wait_seconds: u32,
    ) -> Result<wire::PollAnswer, CallError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| CallError::Network(error.to_string()))?;
        let nonce = hex::encode(random);
        let agent_version = env!("CARGO_PKG_VERSION").to_owned();
        let question = wire::PollRequest { nonce: nonce.clone(), known, wait_seconds, agent_version, unsteady };
        let held = Duration::from_secs(wait_seconds.into()) + HELD_EXTRA;
        let signed: wire::Signed = json(self.post(wire::POLL, &question, held).await?).await?;
        self.believe(&signed, &nonce)
    }

    fn believe(&self, signed: &wire::Signed, nonce: &str) -> Result<wire::PollAnswer, CallError> {
        let text = wire::answer_text(&signed.message);
        if !is_signed(&self.identity.server_key, &text, &signed.signature) {
            let what = "an answer is not signed by the server that this agent enrolled with";
            return Err(Refusal::new(Code::SignatureInvalid, what, "check the server address, or enrol again").into());
        }
        let answer: wire::PollAnswer = serde_json::from_str(&signed.message).map_err(|error| {
            Refusal::new(
                Code::Malformed,
                format!("a signed answer cannot be read: {error}"),
                "bring agent and server to one version",
            )
        })?;
        if answer.nonce != nonce {
            let what = "an answer belongs to another question; somebody may be replaying old ones";
            return Err(Refusal::new(Code::OrderReplayed, what, "check the way to the server").into());
        }
        if answer.target != self.identity.target {
            let what = format!("an answer is for target {}, this is {}", answer.target, self.identity.target);
            return Err(Refusal::new(Code::WrongHost, what, "check the way to the server").into());
        }
        Ok(answer)
    }

    /// Sends a report or a piece of log.
    pub async fn tell<T: Serialize>(&self, path: &str, what: &T) -> Result<(), CallError> {
        self.post(path, what, CALL).await.map(drop)
    }

    /// The bytes of an artifact, as they come.
    pub async fn artifact(&self, digest: &Digest) -> Result<reqwest::Response, CallError> {
        let url = format!("{}{}", self.server, wire::ARTIFACT.replace("{digest}", digest.as_str()));
        self.with_session(|token| self.http.get(&url).bearer_auth(token)).await
    }

    async fn post<T: Serialize>(&self, path: &str, body: &T, within: Duration) -> Result<reqwest::Response, CallError> {
        let url = format!("{}{path}", self.server);
        self.with_session(|token| self.http.post(&url).bearer_auth(token).json(body).timeout(within)).await
    }

    /// Sends with a session; a session that the server forgot is made anew once.
    async fn with_session(&self, request: impl Fn(&str) -> reqwest::RequestBuilder) -> Result<reqwest::Response, CallError> {
        let token = self.session(None).await?;
        match good(request(&token).send().await?).await {
            Err(CallError::Status { status: 401, .. }) => {
                let token = self.session(Some(&token)).await?;
                good(request(&token).send().await?).await
            }
            other => other,
        }
    }

    /// The session's token; a new one if there is none, or if it is still the `stale` one.
    async fn session(&self, stale: Option<&str>) -> Result<String, CallError> {
        let mut session = self.session.lock().await;
        if let Some(token) = session.as_ref().filter(|token| Some(token.as_str()) != stale) {
            return Ok(token.clone());
        }
        *session = None;
        let target = self.identity.target.clone();
        let hello = wire::Hello { target: target.clone() };
        let sent = self.http.post(format!("{}{}", self.server, wire::HELLO)).json(&hello).timeout(CALL).send().await?;
        let challenge = json::<wire::Challenge>(good(sent).await?).await?.challenge;
        let signature = self.identity.sign(&wire::session_text(&target, &challenge));
        let request = wire::SessionRequest { target, challenge, signature };
        let sent = self.http.post(format!("{}{}", self.server, wire::SESSION)).json(&request).timeout(CALL).send().await?;
        let made = json::<wire::Session>(good(sent).await?).await?.token;
        *session = Some(made.clone());
        Ok(made)
    }
}

async fn good(response: reqwest::Response) -> Result<reqwest::Response, CallError> {
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status().as_u16();
    let header = response.headers().get(reqwest::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let retry_after = header.map(|seconds| Duration::from_secs(seconds.min(RETRY_AFTER_SECONDS_MAX)));
    let text = bounded(response).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).chars().take(PROBLEM_CHARS_MAX).collect();
    Err(CallError::Status { status, text, retry_after })
}

async fn json<T: DeserializeOwned>(response: reqwest::Response) -> Result<T, CallError> {
    let bytes = bounded(response).await?;
    serde_json::from_slice(&bytes).map_err(|error| CallError::Network(format!("an answer cannot be read: {error}")))
}

async fn bounded(mut response: reqwest::Response) -> Result<Vec<u8>, CallError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > limits::BODY_BYTES_MAX {
            return Err(CallError::Network(format!("an answer is longer than {} bytes", limits::BODY_BYTES_MAX)));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Waits that double from `first` to `longest`, each shortened by chance so that a fleet does not come at once.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff { first, longest, next: first }
    }

    pub fn reset(&mut self) {
        self.next = self.first;
    }

    /// The next wait: at least half of its step.
    pub fn next(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.longest);
        let mut random = [0; 2];
        let _ = getrandom::fill(&mut random);
        step / 2 + step / 2 * u32::from(u16::from_le_bytes(random)) / u32::from(u16::MAX)
    }
}
