//! Randomness, secrets and keys: the only file that makes any.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use hmac::{Hmac, KeyInit as _, Mac};
use sha2::Sha256;
use tidegate_domain::{Digest, Id, Millis};

use crate::problem::Fault;

/// Random bytes from the operating system.
///
/// # Panics
///
/// If the operating system has none to give; nothing safe could be done then.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A new id: `<prefix>-<time><chance>`, 14 characters that sort by time.
///
/// # Panics
///
/// Never: the characters are those of an id.
pub fn id(prefix: &str, now_ms: Millis) -> Id {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    // 2020-01-01, so that nine characters of time last for a thousand years.
    let mut time = (now_ms - 1_577_836_800_000).max(0) as u64;
    let mut text = [b'0'; 14];
    for place in text[..9].iter_mut().rev() {
        *place = DIGITS[(time % 32) as usize];
        time /= 32;
    }
    for (place, chance) in text[9..].iter_mut().zip(random::<5>()) {
        *place = DIGITS[usize::from(chance % 32)];
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    Id::parse(&format!("{prefix}-{text}")).expect("prefix and digits are an id")
}

/// A secret that is shown once: `<token id>.<43 characters>`. Returns it and the digest that is kept.
pub fn token(id: &Id) -> (String, Digest) {
    let secret = format!("{id}.{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random::<32>()));
    let digest = Digest::of(secret.as_bytes());
    (secret, digest)
}

/// The id in front of a secret.
pub fn token_id(secret: &str) -> Option<Id> {
    secret.split_once('.').and_then(|(id, _)| Id::parse(id).ok())
}

/// A key that dies with the process: by its codes the process knows again what it has given out.
pub struct ProcessKey(Hmac<Sha256>);

impl Default for ProcessKey {
    fn default() -> ProcessKey {
        ProcessKey(Hmac::new_from_slice(&random::<32>()).expect("a key of any length will do"))
    }
}

impl ProcessKey {
    /// The code over several parts; all but the last must be of fixed length, so that no two lists of parts read the same.
    pub fn code(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.over(parts).finalize().into_bytes().into()
    }

    /// Whether this key made a code over these parts; takes as long whatever is wrong with it.
    pub fn made(&self, code: &[u8], parts: &[&[u8]]) -> bool {
        self.over(parts).verify_slice(code).is_ok()
    }

    fn over(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        parts.iter().fold(self.0.clone(), Mac::chain_update)
    }
}

/// The server's key, which signs orders. Made at the first start, readable by its owner alone.
pub struct ServerKey(SigningKey);

impl ServerKey {
    /// Reads the key from a folder, or makes it.
    ///
    /// # Errors
    ///
    /// [`Fault`] if the file cannot be read or written, or is no key.
    pub fn open(folder: &Path) -> Result<ServerKey, Fault> {
        let path = folder.join(crate::data::KEY);
        match std::fs::read(&path) {
            Ok(bytes) => {
                let bytes: [u8; 32] =
                    bytes.try_into().map_err(|_| Fault::new(format!("{} is not a key of 32 bytes", path.display())))?;
                Ok(ServerKey(SigningKey::from_bytes(&bytes)))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let bytes = random::<32>();
                write_private(&path, &bytes).map_err(|error| Fault::io(&path, error))?;
                Ok(ServerKey(SigningKey::from_bytes(&bytes)))
            }
            Err(error) => Err(Fault::io(&path, error)),
        }
    }

    /// The public half, in standard base64.
    pub fn public(&self) -> String {
        BASE64.encode(self.0.verifying_key().to_bytes())
    }

    /// A signature over `text`, in standard base64.
    pub fn sign(&self, text: &str) -> String {
        BASE64.encode(self.0.sign(text.as_bytes()).to_bytes())
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Whether a text is a public key in standard base64.
pub fn is_key(text: &str) -> bool {
    let bytes = BASE64.decode(text).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    bytes.is_some_and(|bytes| VerifyingKey::from_bytes(&bytes).is_ok())
}

/// Whether `signature` is that of `key` over `text`; all in standard base64. Anything unreadable is a no.
pub fn verifies(key: &str, signature: &str, text: &str) -> bool {
    let key = BASE64.decode(key).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let key = key.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
    let signature = BASE64.decode(signature).ok().and_then(|bytes| Signature::from_slice(&bytes).ok());
    match (key, signature) {
        (Some(key), Some(signature)) => key.verify(text.as_bytes(), &signature).is_ok(),
        _ => false,
    }
}
