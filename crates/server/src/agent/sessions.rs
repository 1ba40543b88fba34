//! Agents' sessions and presence. In memory alone: an agent whose session is gone makes a new one with its key.
//!
//! Anybody may ask for a challenge, so that none is kept: it says itself when and as which one it was made, under a code that only
//! this process can make. What is kept is the number of the last challenge that a target answered with its key; a challenge up to
//! that number is spent. So the memory grows with the targets that have a key, whoever else asks for how much.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tidegate_api::agent::PollRequest;
use tidegate_api::view::Unsteady;
use tidegate_domain::ids::{clip, clip_to};
use tidegate_domain::{Millis, Name};

use crate::secret::{self, ProcessKey};

/// How long a challenge is good.
const CHALLENGE_MS: Millis = 60_000;
/// How far the clock may go back between a challenge and its answer.
const CLOCK_BACK_MS: Millis = 5_000;
/// Bytes of an instant, and of a number.
const WORD_BYTES: usize = 8;

/// Sessions, challenges and presence.
#[derive(Default)]
pub struct Sessions {
    key: ProcessKey,
    /// How many challenges were made.
    made: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The number of the last challenge that was answered with a target's key.
    spent: HashMap<Name, u64>,
    tokens: HashMap<String, Name>,
    current: HashMap<Name, String>,
    presence: HashMap<Name, Presence>,
}

/// When an agent was last heard of.
#[derive(Debug, Clone)]
pub struct Presence {
    /// When.
    pub at_ms: Millis,
    /// Its version.
    pub agent_version: String,
    /// The programs that it said do not stay up.
    pub unsteady: Vec<Unsteady>,
}

/// Programs of one agent that are told of.
const UNSTEADY_MAX: usize = 50;
/// Characters of a program's last line that are kept.
const LAST_WORDS_CHARS_MAX: usize = 200;

impl Sessions {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A challenge for a target: instant, number, and the code over both and the target.
    pub fn challenge(&self, target: &Name, now_ms: Millis) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let told = [now_ms.to_be_bytes(), number.to_be_bytes()].concat();
        let code = self.key.code(&[&told, target.as_str().as_bytes()]);
        BASE64.encode([told.as_slice(), code.as_slice()].concat())
    }

    /// Whether a challenge was made for the target, less than a minute ago, and is not spent.
    pub fn is_good(&self, target: &Name, challenge: &str, now_ms: Millis) -> bool {
        self.number(target, challenge, now_ms).is_some_and(|number| !self.inner().is_spent(target, number))
    }

    /// The number of a challenge that was made for the target, less than a minute ago.
    fn number(&self, target: &Name, challenge: &str, now_ms: Millis) -> Option<u64> {
        let bytes = BASE64.decode(challenge).ok()?;
        let (told, code) = bytes.split_at_checked(2 * WORD_BYTES)?;
        let (at, number) = told.split_first_chunk::<WORD_BYTES>()?;
        // Nothing is counted with before it is known to be ours.
        if !self.key.made(code, &[told, target.as_str().as_bytes()]) {
            return None;
        }
        let age_ms = now_ms.checked_sub(Millis::from_be_bytes(*at))?;
        // A clock that was set back a little between two calls refuses nobody.
        (-CLOCK_BACK_MS..CHALLENGE_MS).contains(&age_ms).then_some(u64::from_be_bytes(number.try_into().ok()?))
    }

    /// A session for a target that has answered a challenge with its key; the session before it ends. None if the challenge is not
    /// good any more: of two that bring the same answer, one alone gets a session.
    pub fn begin(&self, target: &Name, challenge: &str, now_ms: Millis) -> Option<String> {
        let number = self.number(target, challenge, now_ms)?;
        let token = BASE64.encode(secret::random::<32>());
        let mut inner = self.inner();
        if inner.is_spent(target, number) {
            return None;
        }
        inner.spent.insert(target.clone(), number);
        if let Some(old) = inner.current.insert(target.clone(), token.clone()) {
            inner.tokens.remove(&old);
        }
        inner.tokens.insert(token.clone(), target.clone());
        Some(token)
    }

    /// Whose session a token is.
    pub fn target(&self, token: &str) -> Option<Name> {
        self.inner().tokens.get(token).cloned()
    }

    /// Ends a target's session.
    pub fn end(&self, target: &Name) {
        let mut inner = self.inner();
        if let Some(old) = inner.current.remove(target) {
            inner.tokens.remove(&old);
        }
    }

    /// Notes that an agent was heard of, and what it said when it asked.
    pub fn heard(&self, target: &Name, request: &PollRequest, (asked_ms, now_ms): (Millis, Millis)) {
        let unsteady = request.unsteady.iter().take(UNSTEADY_MAX).map(|it| Unsteady {
            component: it.component.clone(),
            ends: it.ends,
            ended_at_ms: asked_ms
                .saturating_sub(Millis::try_from(it.ended_seconds_ago).unwrap_or(Millis::MAX).saturating_mul(1_000)),
            is_down: it.is_down,
            last_words: clip_to(&it.last_words, LAST_WORDS_CHARS_MAX),
        });
        let presence = Presence { at_ms: now_ms, agent_version: clip(&request.agent_version), unsteady: unsteady.collect() };
        self.inner().presence.insert(target.clone(), presence);
    }

    /// When an agent was last heard of.
    pub fn presence(&self, target: &Name) -> Option<Presence> {
        self.inner().presence.get(target).cloned()
    }
}

impl Inner {
    fn is_spent(&self, target: &Name, number: u64) -> bool {
        self.spent.get(target).is_some_and(|spent| number <= *spent)
    }
}
