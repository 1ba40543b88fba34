//! Agents' sessions and presence. In memory alone: an agent whose session is gone makes a new one with its key.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tidegate_domain::{Millis, Name};

use crate::secret;

/// How long a challenge is good.
const CHALLENGE_MS: Millis = 60_000;
/// Challenges kept at once; more are asked for only by somebody who does not answer them.
const CHALLENGES_MAX: usize = 50_000;

/// Sessions, challenges and presence.
#[derive(Default)]
pub struct Sessions(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    challenges: HashMap<String, (Name, Millis)>,
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
}

impl Sessions {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A challenge for a target.
    pub fn challenge(&self, target: &Name, now_ms: Millis) -> String {
        let challenge = BASE64.encode(secret::random::<32>());
        let mut inner = self.inner();
        if inner.challenges.len() >= CHALLENGES_MAX {
            inner.challenges.retain(|_, (_, at_ms)| now_ms - *at_ms < CHALLENGE_MS);
        }
        if inner.challenges.len() < CHALLENGES_MAX {
            inner.challenges.insert(challenge.clone(), (target.clone(), now_ms));
        }
        challenge
    }

    /// Takes a challenge back; good once, for the target it was made for, and for a minute.
    pub fn redeem(&self, target: &Name, challenge: &str, now_ms: Millis) -> bool {
        match self.inner().challenges.remove(challenge) {
            Some((of, at_ms)) => of == *target && now_ms - at_ms < CHALLENGE_MS,
            None => false,
        }
    }

    /// A session for a target; the one before it ends.
    pub fn begin(&self, target: &Name) -> String {
        let token = BASE64.encode(secret::random::<32>());
        let mut inner = self.inner();
        if let Some(old) = inner.current.insert(target.clone(), token.clone()) {
            inner.tokens.remove(&old);
        }
        inner.tokens.insert(token.clone(), target.clone());
        token
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

    /// Notes that an agent was heard of.
    pub fn heard(&self, target: &Name, agent_version: &str, now_ms: Millis) {
        let presence = Presence { at_ms: now_ms, agent_version: tidegate_domain::ids::clip(agent_version) };
        self.inner().presence.insert(target.clone(), presence);
    }

    /// When an agent was last heard of.
    pub fn presence(&self, target: &Name) -> Option<Presence> {
        self.inner().presence.get(target).cloned()
    }
}
