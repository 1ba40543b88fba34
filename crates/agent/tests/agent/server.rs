//! A real server as far as an agent can see: the whole wire contract over HTTP with real signatures, and a memory that tests read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use tidegate_api::agent as wire;
use tidegate_domain::deployment::order::{Order, Outcome, Report};
use tidegate_domain::{Digest, Name};
use tokio::sync::watch;

/// The server's clock in all tests; it moves only when a test says so.
pub const NOW_MS: i64 = 1_800_000_000_000;

/// How the next answers lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Signed by another key.
    Signature,
    /// Correctly signed, but for an older question.
    Nonce,
    /// Correctly signed, but for another target.
    Target,
}

pub struct Memory {
    key: SigningKey,
    agent_key: Option<String>,
    challenges: BTreeSet<String>,
    sessions: BTreeSet<String>,
    count: u64,
    pub now_ms: i64,
    pub orders: Vec<Order>,
    pub cancel: Vec<String>,
    pub settled: Vec<String>,
    pub artifacts: BTreeMap<String, Vec<u8>>,
    pub reports: Vec<Report>,
    pub chunks: BTreeMap<(String, u64), String>,
    pub resent_chunks_differ: bool,
    pub lie: Option<Lie>,
    pub lies_told: u32,
    pub polls: u32,
    /// Programs that the last poll told of.
    pub unsteady: Vec<wire::Unsteady>,
    pub report_status: Option<StatusCode>,
    /// Reports do not come through.
    pub deaf: bool,
    /// Output does not come through.
    pub log_lost: bool,
    /// Output that did not come through although the end of its attempt had.
    pub log_lost_after_end: u32,
}

#[derive(Clone)]
pub struct Server {
    pub address: String,
    memory: Arc<Mutex<Memory>>,
    changes: watch::Sender<u64>,
}

impl Server {
    pub async fn start() -> Server {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let memory = Memory {
            key: SigningKey::from_bytes(&[7; 32]),
            agent_key: None,
            challenges: BTreeSet::new(),
            sessions: BTreeSet::new(),
            count: 0,
            now_ms: NOW_MS,
            orders: Vec::new(),
            cancel: Vec::new(),
            settled: Vec::new(),
            artifacts: BTreeMap::new(),
            reports: Vec::new(),
            chunks: BTreeMap::new(),
            resent_chunks_differ: false,
            lie: None,
            lies_told: 0,
            polls: 0,
            unsteady: Vec::new(),
            report_status: None,
            deaf: false,
            log_lost: false,
            log_lost_after_end: 0,
        };
        let server = Server { address, memory: Arc::new(Mutex::new(memory)), changes: watch::Sender::new(0) };
        let routes = Router::new()
            .route(wire::ENROL, post(enrol))
            .route(wire::HELLO, post(hello))
            .route(wire::SESSION, post(session))
            .route(wire::POLL, post(poll))
            .route(wire::REPORT, post(report))
            .route(wire::LOG, post(log))
            .route(wire::ARTIFACT, get(artifact))
            .with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        server
    }

    /// Looks at or changes the memory, and wakes whoever waits for it.
    pub fn with<T>(&self, look: impl FnOnce(&mut Memory) -> T) -> T {
        let result = look(&mut self.memory());
        self.changes.send_modify(|count| *count += 1);
        result
    }

    /// Waits until `look` finds something.
    pub async fn until<T>(&self, what: &str, look: impl Fn(&mut Memory) -> Option<T>) -> T {
        let mut changes = self.changes.subscribe();
        let found = async {
            loop {
                changes.borrow_and_update();
                if let Some(found) = look(&mut self.memory()) {
                    return found;
                }
                changes.changed().await.expect("the server lives");
            }
        };
        let found = tokio::time::timeout(Duration::from_mins(1), found).await;
        found.unwrap_or_else(|_| panic!("waited in vain for {what}; reports: {:#?}", self.memory().reports.last()))
    }

    /// Waits for the last report of an attempt.
    pub async fn end_of(&self, attempt: &str) -> Report {
        let last = |memory: &mut Memory| {
            memory.reports.iter().rev().find(|report| report.attempt == attempt && report.outcome != Outcome::InProgress).cloned()
        };
        self.until(&format!("the end of {attempt}"), last).await
    }

    /// Gives an order out and waits for its end.
    pub async fn carry_out(&self, order: Order) -> Report {
        let attempt = order.attempt.clone();
        self.with(|memory| memory.orders.push(order));
        self.end_of(&attempt).await
    }

    /// The log of an attempt, put together by number.
    pub fn log(&self, attempt: &str) -> String {
        let memory = self.memory();
        let numbers: Vec<u64> = memory.chunks.keys().filter(|(of, _)| of == attempt).map(|(_, number)| *number).collect();
        assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "chunks are numbered without gaps: {numbers:?}");
        assert!(!memory.resent_chunks_differ, "a number always means the same bytes");
        memory.chunks.iter().filter(|((of, _), _)| of == attempt).map(|(_, text)| text.as_str()).collect()
    }

    pub fn forget_sessions(&self) {
        self.with(|memory| memory.sessions.clear());
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().expect("no test panicked inside")
    }
}

fn target() -> Name {
    Name::parse("web-1").expect("a name")
}

impl Memory {
    fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    fn sign(&mut self, answer: &wire::PollAnswer) -> wire::Signed {
        let mut answer = answer.clone();
        let mut key = self.key.clone();
        if let Some(lie) = self.lie.filter(|_| !answer.orders.is_empty()) {
            self.lies_told += 1;
            match lie {
                Lie::Signature => key = SigningKey::from_bytes(&[8; 32]),
                Lie::Nonce => answer.nonce = "00".repeat(16),
                Lie::Target => answer.target = Name::parse("web-2").expect("a name"),
            }
        }
        let message = serde_json::to_string(&answer).expect("an answer");
        let signature = STANDARD.encode(key.sign(wire::answer_text(&message).as_bytes()).to_bytes());
        wire::Signed { message, signature }
    }

    fn heard_end(&self, attempt: &str) -> bool {
        self.reports.iter().any(|report| report.attempt == attempt && report.outcome != Outcome::InProgress)
    }

    /// A server settles what it has heard the end of, also when it dropped the report as late.
    fn is_settled(&self, attempt: &String) -> bool {
        self.settled.contains(attempt) || (self.report_status.is_none() && self.heard_end(attempt))
    }
}

type Answer<T> = Result<Json<T>, StatusCode>;

async fn enrol(State(server): State<Server>, Json(request): Json<wire::EnrolRequest>) -> Answer<wire::Enrolled> {
    let mut memory = server.memory();
    if request.token != "one-time" || memory.agent_key.as_ref().is_some_and(|key| *key != request.agent_key) {
        return Err(StatusCode::FORBIDDEN);
    }
    memory.agent_key = Some(request.agent_key);
    Ok(Json(wire::Enrolled { target: target(), server_key: STANDARD.encode(memory.key.verifying_key().as_bytes()) }))
}

async fn hello(State(server): State<Server>, Json(_): Json<wire::Hello>) -> Json<wire::Challenge> {
    let mut memory = server.memory();
    let challenge = format!("challenge-{}", memory.number());
    memory.challenges.insert(challenge.clone());
    Json(wire::Challenge { challenge })
}

async fn session(State(server): State<Server>, Json(request): Json<wire::SessionRequest>) -> Answer<wire::Session> {
    let mut memory = server.memory();
    if !memory.challenges.remove(&request.challenge) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let key: [u8; 32] = STANDARD.decode(memory.agent_key.as_ref().expect("enrolled")).expect("a key").try_into().expect("a key");
    let signature: [u8; 64] = STANDARD.decode(&request.signature).expect("a signature").try_into().expect("a signature");
    let text = wire::session_text(&request.target, &request.challenge);
    let key = VerifyingKey::from_bytes(&key).expect("a key");
    key.verify_strict(text.as_bytes(), &Signature::from_bytes(&signature)).map_err(|_| StatusCode::UNAUTHORIZED)?;
    let token = format!("session-{}", memory.number());
    memory.sessions.insert(token.clone());
    Ok(Json(wire::Session { token }))
}

fn signed_in(server: &Server, headers: &HeaderMap) -> Result<(), StatusCode> {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let known = token.is_some_and(|token| server.memory().sessions.contains(token));
    if known { Ok(()) } else { Err(StatusCode::UNAUTHORIZED) }
}

async fn poll(State(server): State<Server>, headers: HeaderMap, Json(question): Json<wire::PollRequest>) -> Answer<wire::Signed> {
    signed_in(&server, &headers)?;
    let mut changes = server.changes.subscribe();
    let hold = tokio::time::sleep(Duration::from_secs(question.wait_seconds.into()));
    tokio::pin!(hold);
    loop {
        {
            let mut memory = server.memory();
            let open: Vec<Order> = memory.orders.iter().filter(|order| !memory.heard_end(&order.attempt)).cloned().collect();
            let orders = open.into_iter().filter(|order| !question.known.contains(&order.attempt)).collect::<Vec<_>>();
            let cancel = memory.cancel.iter().filter(|id| !memory.heard_end(id)).cloned().collect::<Vec<_>>();
            let settled = question.known.iter().filter(|id| memory.is_settled(id)).cloned().collect::<Vec<_>>();
            let full = !orders.is_empty() || !cancel.is_empty() || !settled.is_empty();
            if full || hold.is_elapsed() || question.wait_seconds == 0 {
                let (nonce, server_now_ms) = (question.nonce.clone(), memory.now_ms);
                let answer = wire::PollAnswer { nonce, target: target(), server_now_ms, orders, cancel, settled };
                let signed = memory.sign(&answer);
                drop(memory);
                server.with(|memory| {
                    memory.polls += 1;
                    memory.unsteady = question.unsteady;
                });
                return Ok(Json(signed));
            }
        }
        tokio::select! {
            _ = changes.changed() => {}
            () = &mut hold => {}
        }
    }
}

async fn report(State(server): State<Server>, headers: HeaderMap, Json(report): Json<Report>) -> StatusCode {
    if let Err(status) = signed_in(&server, &headers) {
        return status;
    }
    server.with(|memory| {
        if memory.deaf {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        memory.reports.push(report);
        memory.report_status.unwrap_or(StatusCode::NO_CONTENT)
    })
}

async fn log(State(server): State<Server>, headers: HeaderMap, Json(sent): Json<wire::LogChunks>) -> StatusCode {
    if let Err(status) = signed_in(&server, &headers) {
        return status;
    }
    server.with(|memory| {
        if memory.log_lost {
            memory.log_lost_after_end += u32::from(sent.chunks.iter().any(|chunk| memory.heard_end(&chunk.attempt)));
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        for chunk in sent.chunks {
            let kept = memory.chunks.entry((chunk.attempt, chunk.number)).or_insert_with(|| chunk.text.clone());
            memory.resent_chunks_differ |= *kept != chunk.text;
        }
        StatusCode::NO_CONTENT
    })
}

async fn artifact(State(server): State<Server>, headers: HeaderMap, Path(digest): Path<String>) -> Result<Vec<u8>, StatusCode> {
    signed_in(&server, &headers)?;
    let digest = Digest::parse(&digest).map_err(|_| StatusCode::BAD_REQUEST)?;
    server.memory().artifacts.get(digest.as_str()).cloned().ok_or(StatusCode::NOT_FOUND)
}
