//! Who this agent is: its own key, the target it was enrolled as, and the server's key.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use tidegate_domain::{Code, Name, Refusal};

use crate::durable;

/// What an enrolled agent holds. Its key is never printed.
pub struct Identity {
    key: SigningKey,
    /// The target it is.
    pub target: Name,
    /// By which every order is checked.
    pub server_key: VerifyingKey,
}

/// The form on disk; without target and server key until the server has accepted the key.
#[derive(Serialize, Deserialize)]
pub struct Kept {
    pub key: String,
    pub target: Option<Name>,
    pub server_key: Option<String>,
}

/// A key that is kept but not accepted yet.
pub struct Candidate {
    path: PathBuf,
    key: SigningKey,
}

/// What `identity.json` holds.
pub enum Found {
    /// A full identity.
    Enrolled(Identity),
    /// A key alone: the agent never heard that it was accepted.
    Candidate(Candidate),
}

/// Reads the identity, or makes and keeps a key.
///
/// The key is kept *before* it is sent: an agent that is killed while it enrols comes back with the same key, so that the
/// server can see that the one-time token was used by the one who asks again.
pub fn open(path: &Path) -> anyhow::Result<Found> {
    let Some(kept) = durable::read_json::<Kept>(path)? else {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(io::Error::other)?;
        let key = SigningKey::from_bytes(&secret);
        durable::write_json(path, &Kept { key: STANDARD.encode(secret), target: None, server_key: None })?;
        return Ok(Found::Candidate(Candidate { path: path.to_owned(), key }));
    };
    let secret =
        bytes::<32>(&kept.key).ok_or_else(|| anyhow::anyhow!("{}: the key is not 32 bytes in base64", path.display()))?;
    let key = SigningKey::from_bytes(&secret);
    match (kept.target, kept.server_key) {
        (Some(target), Some(server_key)) => {
            let server_key = public_key(&server_key)?;
            Ok(Found::Enrolled(Identity { key, target, server_key }))
        }
        _ => Ok(Found::Candidate(Candidate { path: path.to_owned(), key })),
    }
}

impl Candidate {
    /// The public half, as the wire has it.
    pub fn public_key(&self) -> String {
        STANDARD.encode(self.key.verifying_key().as_bytes())
    }

    /// Keeps what the server answered: from now on no other server can speak to this agent.
    pub fn accepted(self, target: Name, server_key: &str) -> anyhow::Result<Identity> {
        let key = public_key(server_key)?;
        let kept = Kept {
            key: STANDARD.encode(self.key.to_bytes()),
            target: Some(target.clone()),
            server_key: Some(server_key.to_owned()),
        };
        durable::write_json(&self.path, &kept)?;
        Ok(Identity { key: self.key, target, server_key: key })
    }
}

impl Identity {
    /// The agent's signature over `text`, as the wire has it.
    pub fn sign(&self, text: &str) -> String {
        STANDARD.encode(self.key.sign(text.as_bytes()).to_bytes())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("target", &self.target).finish_non_exhaustive()
    }
}

/// Reads a public key: 32 bytes in standard base64.
pub fn public_key(text: &str) -> Result<VerifyingKey, Refusal> {
    let key = bytes::<32>(text).and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
    key.ok_or_else(|| {
        let what = format!("\"{}\" is not a public key", tidegate_domain::ids::clip(text));
        Refusal::new(Code::Malformed, what, "give the 32 bytes of an Ed25519 public key in standard base64")
    })
}

/// Whether `signature` (64 bytes in standard base64) of `key` over `text` is good.
pub fn is_signed(key: &VerifyingKey, text: &str, signature: &str) -> bool {
    bytes::<64>(signature).is_some_and(|bytes| key.verify_strict(text.as_bytes(), &Signature::from_bytes(&bytes)).is_ok())
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}
