//! Names, ids, versions and digests: parsed once at the border, trusted afterwards.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits;
use crate::refusal::{Code, Refusal};

/// A name a person chose for an application, component, environment, target, person or model.
///
/// 1 to 63 characters of `a-z`, `0-9`, `-` and `.`, starting and ending with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$"))]
pub struct Name(String);

/// The name of an application, where a signature would otherwise show two bare names.
pub type ApplicationName = Name;

impl Name {
    /// Reads a name.
    ///
    /// # Errors
    ///
    /// [`Code::NameInvalid`] unless the text has the form of a [`Name`].
    pub fn parse(text: &str) -> Result<Name, Refusal> {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        let good = text.len() <= limits::NAME_BYTES_MAX
            && edge(text.chars().next())
            && edge(text.chars().last())
            && text.chars().all(inner);
        if good {
            return Ok(Name(text.to_owned()));
        }
        Err(Refusal::new(
            Code::NameInvalid,
            format!("\"{}\" is not a name", clip(text)),
            "use 1 to 63 lower-case letters, digits, '-' or '.', starting and ending with a letter or digit",
        ))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Name, Refusal> {
        Name::parse(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The identity of a thing the server numbered: `CHG-…`, `DEP-…`, `FRZ-…`.
///
/// 3 to 40 characters of `A-Z`, `a-z`, `0-9` and `-`. The shell makes them; `domain` only compares them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"^[A-Za-z0-9][A-Za-z0-9-]{2,39}$"))]
pub struct Id(String);

impl Id {
    /// Reads an id.
    ///
    /// # Errors
    ///
    /// [`Code::NameInvalid`] unless the text has the form of an [`Id`].
    pub fn parse(text: &str) -> Result<Id, Refusal> {
        let good = (3..=limits::ID_BYTES_MAX).contains(&text.len())
            && !text.starts_with('-')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if good {
            return Ok(Id(text.to_owned()));
        }
        Err(Refusal::new(
            Code::NameInvalid,
            format!("\"{}\" is not an id", clip(text)),
            "use the id as the server printed it, such as DEP-01k8…",
        ))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the fallback deployment that belongs to the deployment with this id.
    #[must_use]
    pub fn fallback(&self) -> Id {
        Id(format!("{}-FB", self.0))
    }
}

impl TryFrom<String> for Id {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Id, Refusal> {
        Id::parse(&text)
    }
}

impl From<Id> for String {
    fn from(id: Id) -> String {
        id.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The version of a component or release: text, never a number (`1.10` is not `1.1`).
///
/// 1 to 64 characters of letters, digits and `.`, `-`, `_`, `+`, starting with a letter or digit, without `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$"))]
pub struct Version(String);

impl Version {
    /// Reads a version.
    ///
    /// # Errors
    ///
    /// [`Code::VersionInvalid`] unless the text has the form of a [`Version`].
    pub fn parse(text: &str) -> Result<Version, Refusal> {
        let inner = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
        let good = text.len() <= limits::VERSION_BYTES_MAX
            && text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric())
            && text.chars().all(inner)
            // A version names a folder on targets.
            && !text.contains("..");
        if good {
            return Ok(Version(text.to_owned()));
        }
        Err(Refusal::new(
            Code::VersionInvalid,
            format!("\"{}\" is not a version", clip(text)),
            "use 1 to 64 letters, digits, '.', '-', '_' or '+', starting with a letter or digit",
        ))
    }

    /// The version as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Version {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Version, Refusal> {
        Version::parse(&text)
    }
}

impl From<Version> for String {
    fn from(version: Version) -> String {
        version.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A SHA-256 digest, written `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = r"^sha256:[0-9a-f]{64}$"))]
pub struct Digest(String);

impl Digest {
    /// Reads a digest.
    ///
    /// # Errors
    ///
    /// [`Code::DigestInvalid`] unless the text has the form of a [`Digest`].
    pub fn parse(text: &str) -> Result<Digest, Refusal> {
        let hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        match text.strip_prefix("sha256:") {
            Some(digits) if digits.len() == 64 && digits.chars().all(hexadecimal) => Ok(Digest(text.to_owned())),
            _ => Err(Refusal::new(
                Code::DigestInvalid,
                format!("\"{}\" is not a digest", clip(text)),
                "use sha256: followed by 64 lower-case hexadecimal digits",
            )),
        }
    }

    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        use sha2::Digest as _;
        Digest::from_bytes(&sha2::Sha256::digest(bytes))
    }

    /// Writes 32 bytes of SHA-256 as a digest.
    pub fn from_bytes(hash: &[u8]) -> Digest {
        Digest(format!("sha256:{}", hex::encode(hash)))
    }

    /// The digest as text, with its `sha256:`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 64 hexadecimal digits alone; names a file in the media library.
    pub fn hex(&self) -> &str {
        &self.0["sha256:".len()..]
    }

    /// The first 12 digits, for people.
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }
}

impl TryFrom<String> for Digest {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Digest, Refusal> {
        Digest::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a refusal quotes of hostile text: its first 40 characters.
pub fn clip(text: &str) -> String {
    clip_to(text, 40)
}

/// The first characters of text that somebody else wrote, none of which steers a terminal.
pub fn clip_to(text: &str, chars_max: usize) -> String {
    let mut shown: String = text.chars().take(chars_max).map(|c| if c.is_control() { '·' } else { c }).collect();
    if text.chars().count() > chars_max {
        shown.push('…');
    }
    shown
}
