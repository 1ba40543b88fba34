//! Artifacts: bytes with a digest, a format and a signature; and what an archive may contain.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Millis;
use crate::ids::{Digest, Name, Version};
use crate::limits;
use crate::refusal::{Code, Refusal};

/// How the bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A gzip-compressed tar archive.
    TarGz,
    /// A tar archive.
    Tar,
    /// One file, installed under the name of its component.
    File,
}

/// An Ed25519 signature of a release key over [`signed_text`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The release key's public half: 32 bytes in standard base64.
    pub key: String,
    /// The signature: 64 bytes in standard base64.
    pub value: String,
}

/// An entry of the media library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Artifact {
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// The component it is a version of.
    pub component: Name,
    /// The version it is.
    pub version: Version,
    /// How it is packed.
    pub format: Format,
    /// Its length.
    pub size_bytes: u64,
    /// The release key's word for it; agents that trust a key install nothing without it.
    pub signature: Option<Signature>,
    /// When it was taken into the library.
    pub uploaded_at_ms: Millis,
    /// Who brought it.
    pub uploaded_by: String,
}

/// An event in the stream of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields are those of the artifact")]
pub enum Event {
    /// Its bytes were taken into the media library.
    Uploaded { digest: Digest, size_bytes: u64, signed: bool },
}

impl Event {
    /// One sentence for people, without a full stop.
    pub fn describe(&self) -> String {
        match self {
            Event::Uploaded { digest, size_bytes, signed } => {
                let word = if *signed { "signed" } else { "unsigned" };
                format!("took {size_bytes} bytes, {word}, into the media library as {}", digest.short())
            }
        }
    }
}

impl Artifact {
    /// Its id: `<component>@<version>`.
    pub fn id(component: &Name, version: &Version) -> String {
        format!("{component}@{version}")
    }
}

/// The part of an artifact that an order carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArtifactRef {
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// How it is packed.
    pub format: Format,
    /// Its length.
    pub size_bytes: u64,
    /// The release key's word for it.
    pub signature: Option<Signature>,
}

/// What a release key signs: a line that no other kind of message can be mistaken for.
///
/// Component and version are part of it, so that a good artifact cannot be passed off as another version.
pub fn signed_text(component: &Name, version: &Version, digest: &Digest) -> String {
    format!("tidegate artifact v1\n{component}\n{version}\n{digest}\n")
}

/// The kind of one archive entry, as far as safety is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A regular file of so many bytes.
    File {
        /// Unpacked length.
        size_bytes: u64,
    },
    /// A folder.
    Folder,
    /// A symbolic link, with where it points.
    Symlink {
        /// The link's text.
        to: &'a str,
    },
    /// A hard link to another entry of the same archive.
    Hardlink {
        /// The entry's path.
        to: &'a str,
    },
    /// A device, pipe, socket or anything else.
    Other,
}

/// Checks an archive entry by entry, before any of it is unpacked.
#[derive(Debug, Default)]
pub struct ArchiveCheck {
    packed_bytes: u64,
    entries: u64,
    unpacked_bytes: u64,
    symlinks: std::collections::BTreeSet<String>,
}

impl ArchiveCheck {
    /// Begins the check of an archive of `packed_bytes`.
    pub fn new(packed_bytes: u64) -> ArchiveCheck {
        ArchiveCheck { packed_bytes, ..ArchiveCheck::default() }
    }

    /// Takes the next entry.
    ///
    /// # Errors
    ///
    /// [`Code::ArchiveUnsafe`] for an absolute path, `..`, an empty or non-portable path, a link that leaves the archive,
    /// an entry below a link, or a special file; [`Code::ArchiveBomb`] past a limit.
    pub fn entry(&mut self, path: &str, entry: &Entry<'_>) -> Result<(), Refusal> {
        let path = normal(path, path)?;
        if path.is_empty() && !matches!(entry, Entry::Folder) {
            return Err(unsafe_entry(&path, "has no path of its own"));
        }
        if self.through_link(&path) {
            return Err(unsafe_entry(&path, "lies below a link of the same archive"));
        }
        match entry {
            Entry::File { size_bytes } => self.unpacked_bytes = self.unpacked_bytes.saturating_add(*size_bytes),
            Entry::Folder => {}
            Entry::Symlink { to } => {
                inner(&path, to)?;
                self.symlinks.insert(path.clone());
            }
            Entry::Hardlink { to } => {
                // A second name for a link would resolve from another folder.
                if self.through_link(&normal(to, &path)?) {
                    return Err(unsafe_entry(&path, "is a second name for a link"));
                }
            }
            Entry::Other => return Err(unsafe_entry(&path, "is neither a file, a folder nor a link")),
        }
        self.entries += 1;
        self.bounded()
    }

    /// Whether a path is a symbolic link of the archive, or lies below one.
    fn through_link(&self, path: &str) -> bool {
        self.symlinks.contains(path) || path.match_indices('/').any(|(at, _)| self.symlinks.contains(&path[..at]))
    }

    fn bounded(&self) -> Result<(), Refusal> {
        let bomb = |what: String| Err(Refusal::new(Code::ArchiveBomb, what, "pack only what the component needs to run"));
        if self.entries > limits::ARCHIVE_ENTRIES_MAX {
            return bomb(format!("the archive has more than {} entries", limits::ARCHIVE_ENTRIES_MAX));
        }
        if self.unpacked_bytes > limits::ARCHIVE_UNPACKED_BYTES_MAX {
            return bomb(format!("the archive unpacks to more than {} bytes", limits::ARCHIVE_UNPACKED_BYTES_MAX));
        }
        let ratio_bytes = self.packed_bytes.saturating_mul(limits::ARCHIVE_RATIO_MAX);
        if self.unpacked_bytes > limits::ARCHIVE_RATIO_FLOOR_BYTES && self.unpacked_bytes > ratio_bytes {
            return bomb(format!("the archive unpacks to more than {} times its size", limits::ARCHIVE_RATIO_MAX));
        }
        Ok(())
    }
}

fn unsafe_entry(path: &str, why: &str) -> Refusal {
    let what = format!("archive entry \"{}\" {why}", crate::ids::clip(path));
    Refusal::new(Code::ArchiveUnsafe, what, "pack with relative paths below one folder, without '..' and special files")
        .at(format!("entry {}", crate::ids::clip(path)))
}

/// The path without `.` parts and the closing slash.
fn normal(path: &str, entry: &str) -> Result<String, Refusal> {
    if path.starts_with('/') {
        return Err(unsafe_entry(entry, "has an absolute path"));
    }
    if path.contains('\\') || path.contains('\0') || path.len() > 4_096 {
        return Err(unsafe_entry(entry, "has a path that is not portable"));
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(unsafe_entry(entry, "leaves its folder with '..'")),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// Whether a link at `path` to `to` stays inside the archive, also if `to` leads through other links.
fn inner(path: &str, to: &str) -> Result<(), Refusal> {
    if to.is_empty() || to.starts_with('/') || to.contains('\0') {
        return Err(unsafe_entry(path, "links to an absolute path"));
    }
    let mut depth = path.matches('/').count();
    let mut descended = false;
    for part in to.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return Err(unsafe_entry(path, "links to a place outside the archive")),
            // What is above a folder that was entered through another link is not what the text says.
            ".." if descended => return Err(unsafe_entry(path, "links down and up again")),
            ".." => depth -= 1,
            _ => descended = true,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, entry: &Entry<'_>) -> String {
        match ArchiveCheck::new(1_000).entry(path, entry) {
            Ok(()) => "ok".into(),
            Err(refusal) => format!("{}: {}", refusal.code, refusal.what),
        }
    }

    #[test]
    fn an_entry_never_leaves_its_folder() {
        let file = Entry::File { size_bytes: 1 };
        assert_eq!(check("bin/run", &file), "ok");
        assert_eq!(check("./bin/../run", &file), "archive_unsafe: archive entry \"./bin/../run\" leaves its folder with '..'");
        assert_eq!(check("/etc/passwd", &file), "archive_unsafe: archive entry \"/etc/passwd\" has an absolute path");
        assert_eq!(check("dev", &Entry::Other), "archive_unsafe: archive entry \"dev\" is neither a file, a folder nor a link");
        assert_eq!(check("a/b", &Entry::Symlink { to: "../c" }), "ok");
        assert!(check("a/b", &Entry::Symlink { to: "../../c" }).starts_with("archive_unsafe"));
        assert!(check("a", &Entry::Symlink { to: "/etc" }).starts_with("archive_unsafe"));
        assert!(check("a", &Entry::Hardlink { to: "../b" }).starts_with("archive_unsafe"));
    }

    #[test]
    fn nothing_is_written_through_a_link_of_the_same_archive() {
        let mut archive = ArchiveCheck::new(1_000);
        archive.entry("data", &Entry::Symlink { to: "elsewhere" }).expect("an inner link");
        let refusal = archive.entry("data/x", &Entry::File { size_bytes: 1 }).expect_err("below a link");
        assert_eq!(refusal.code, Code::ArchiveUnsafe);
    }

    #[test]
    fn a_bomb_is_seen_by_its_ratio() {
        let mut archive = ArchiveCheck::new(1_000);
        let refusal = archive.entry("zeros", &Entry::File { size_bytes: 100 << 20 }).expect_err("a bomb");
        assert_eq!(refusal.code, Code::ArchiveBomb);
    }
}
