//! What agent and server say to each other, below `/agent/v1`.
//!
//! An agent is known by a key that it made itself. It proves the key once per session ([`Hello`], [`SessionRequest`]) and then
//! carries the session's token as a bearer. Every answer that can make it act is signed by the server ([`Signed`]) over a nonce
//! that the agent chose for that one question, so that no answer can be replayed, delayed into another question, or moved to
//! another host; and expiry compares two readings of the server's clock only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_domain::Millis;
use tidegate_domain::deployment::order::{AttemptId, Order, Report};
use tidegate_domain::ids::Name;

/// POST: [`EnrolRequest`] → [`Enrolled`]. No session; the one-time token is the credential.
pub const ENROL: &str = "/agent/v1/enrol";
/// POST: [`Hello`] → [`Challenge`]. No session.
pub const HELLO: &str = "/agent/v1/hello";
/// POST: [`SessionRequest`] → [`Session`]. No session.
pub const SESSION: &str = "/agent/v1/session";
/// POST: [`PollRequest`] → [`Signed`] of [`PollAnswer`]; held up to [`tidegate_domain::limits::POLL_SECONDS`].
pub const POLL: &str = "/agent/v1/poll";
/// POST: [`Report`] → 204.
pub const REPORT: &str = "/agent/v1/report";
/// POST: [`LogChunks`] → 204.
pub const LOG: &str = "/agent/v1/log";
/// GET `{digest}` → the bytes; only digests that an open order of this target lists.
pub const ARTIFACT: &str = "/agent/v1/artifacts/{digest}";

/// An agent's first word.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    /// The one-time token that an operator made for one target.
    pub token: String,
    /// The agent's public key: 32 bytes in standard base64.
    pub agent_key: String,
}

/// What an enrolled agent keeps.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Enrolled {
    /// The target it is.
    pub target: Name,
    /// The server's public key, by which every order is checked from now on: 32 bytes in standard base64.
    pub server_key: String,
}

/// Asks for something to sign.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// Who asks.
    pub target: Name,
}

/// Something to sign; good for a minute, and until it or a later one is answered.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Challenge {
    /// Text that says nothing to the agent, which signs it as it came.
    pub challenge: String,
}

/// The answer to a [`Challenge`].
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionRequest {
    /// Who asks.
    pub target: Name,
    /// The challenge.
    pub challenge: String,
    /// Signature of the agent's key over [`session_text`]: 64 bytes in standard base64.
    pub signature: String,
}

/// A bearer token for the other calls. After a 401, make a new session.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    /// The token.
    pub token: String,
}

/// What an agent signs to prove its key.
pub fn session_text(target: &Name, challenge: &str) -> String {
    format!("tidegate session v1\n{target}\n{challenge}\n")
}

/// "What am I to do?"
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PollRequest {
    /// 16 fresh random bytes in hexadecimal.
    pub nonce: String,
    /// Attempts the agent has already taken and that the server still holds open, so that it does not answer with them alone.
    #[serde(default)]
    pub known: Vec<AttemptId>,
    /// Longest time to hold the answer; the server's own bound applies too.
    pub wait_seconds: u32,
    /// The agent program's version, shown to people.
    #[serde(default)]
    pub agent_version: String,
    /// Supervised programs that do not stay up, shown to people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsteady: Vec<Unsteady>,
}

/// A supervised program that has ended by itself more than once in the last ten minutes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unsteady {
    /// Whose program.
    pub component: Name,
    /// How often it has ended by itself in that time.
    pub ends: u64,
    /// Seconds since it did last.
    pub ended_seconds_ago: u64,
    /// Whether it waits to be started again.
    pub is_down: bool,
    /// The last line that it wrote; empty if it wrote nothing.
    #[serde(default)]
    pub last_words: String,
}

/// The orders that are open for one target. Empty lists are a full answer: nothing to do.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PollAnswer {
    /// The nonce of the question.
    pub nonce: String,
    /// Whom it is for.
    pub target: Name,
    /// The server's clock when it answered; orders expire by this clock.
    pub server_now_ms: Millis,
    /// Orders the agent does not know yet.
    pub orders: Vec<Order>,
    /// Attempts to end: soft signal, wait, kill, report `cancelled`. An unknown one is reported `cancelled` as well.
    pub cancel: Vec<AttemptId>,
    /// Attempts the server has heard the end of; the agent may forget to repeat them.
    pub settled: Vec<AttemptId>,
}

/// A message and the server's signature over its exact bytes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Signed {
    /// The message as JSON text; these bytes are signed, prefixed by `tidegate answer v1\n`.
    pub message: String,
    /// 64 bytes in standard base64.
    pub signature: String,
}

/// What the server signs.
pub fn answer_text(message: &str) -> String {
    format!("tidegate answer v1\n{message}")
}

/// Output of steps, numbered per attempt from 0; a number that the server has is dropped.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogChunks {
    /// In order.
    pub chunks: Vec<LogChunk>,
}

/// A piece of output.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogChunk {
    /// Whose.
    pub attempt: AttemptId,
    /// Position, from 0, without gaps.
    pub number: u64,
    /// The target's clock, for display only.
    pub at_ms: Millis,
    /// At most [`tidegate_domain::limits::LOG_CHUNK_BYTES_MAX`] bytes; what was not UTF-8 is replaced.
    pub text: String,
}

/// Alias so that readers of this module find the report here too.
pub type AgentReport = Report;
