//! Looks through an archive while it comes in and refuses it whole if any entry of it is unsafe. Nothing is unpacked here.

use std::io::{BufReader, Read};

use axum::body::Bytes;
use tidegate_domain::deployment::artifact::{ArchiveCheck, Entry, Format};
use tidegate_domain::{Code, Refusal, limits};
use tokio::sync::mpsc::Receiver;

/// What a whole archive unpacks to, still to be compared with its packed size, which is known at its end.
#[derive(Debug, PartialEq, Eq)]
pub struct Unpacked {
    bytes: u64,
}

impl Unpacked {
    /// Refuses an archive that unpacks to too many times its size.
    ///
    /// # Errors
    ///
    /// [`Code::ArchiveBomb`].
    pub fn fits(&self, packed_bytes: u64) -> Result<(), Refusal> {
        ArchiveCheck::new(packed_bytes).entry("all of it", &Entry::File { size_bytes: self.bytes })
    }
}

/// Checks every entry of an archive while it comes in.
///
/// # Errors
///
/// [`Code::ArchiveUnsafe`], [`Code::ArchiveBomb`] or [`Code::ArchiveBroken`].
pub fn check(packed: impl Read, format: Format) -> Result<Unpacked, Refusal> {
    let packed = BufReader::with_capacity(256 << 10, packed);
    match format {
        Format::File => Ok(Unpacked { bytes: 0 }),
        Format::Tar => list(packed),
        Format::TarGz => list(flate2::read::MultiGzDecoder::new(packed)),
    }
}

fn list(reader: impl Read) -> Result<Unpacked, Refusal> {
    // Reading past an entry unpacks it, so that the bound holds for what is read and not for what headers say.
    let mut archive = tar::Archive::new(reader.take(limits::ARCHIVE_UNPACKED_BYTES_MAX + (1 << 20)));
    // The packed size is not known yet, so that the ratio is looked at in the end; see `Unpacked::fits`.
    let mut check = ArchiveCheck::new(limits::ARTIFACT_BYTES_MAX);
    let (mut entries, mut bytes) = (0_u64, 0_u64);
    for entry in archive.entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        let path = text(&entry.path_bytes())?;
        let link = entry.link_name_bytes().map(|bytes| text(&bytes)).transpose()?.unwrap_or_default();
        let seen = kind(&entry, &link);
        if let Entry::File { size_bytes } = &seen {
            bytes = bytes.saturating_add(*size_bytes);
        }
        check.entry(&path, &seen)?;
        entries += 1;
    }
    // To the very end, as what is cut off shows only there.
    let rest = std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).map_err(broken)?;
    if entries == 0 {
        return Err(Refusal::new(Code::ArchiveBroken, "the archive has no entries", "pack the component's files"));
    }
    Ok(Unpacked { bytes: bytes.saturating_add(rest) })
}

fn kind<'a>(entry: &tar::Entry<'_, impl Read>, link: &'a str) -> Entry<'a> {
    let kind = entry.header().entry_type();
    if kind.is_dir() {
        Entry::Folder
    } else if kind.is_symlink() {
        Entry::Symlink { to: link }
    } else if kind.is_hard_link() {
        Entry::Hardlink { to: link }
    } else if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
        Entry::File { size_bytes: entry.size() }
    } else {
        Entry::Other
    }
}

/// Chunks from elsewhere, as something to read.
pub struct Chunks {
    from: Receiver<Bytes>,
    current: Bytes,
}

impl Chunks {
    /// What comes through a channel, until its other end is dropped.
    pub fn new(from: Receiver<Bytes>) -> Chunks {
        Chunks { from, current: Bytes::new() }
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.current.is_empty() {
            match self.from.blocking_recv() {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.current.len());
        buffer[..length].copy_from_slice(&self.current.split_to(length));
        Ok(length)
    }
}

fn text(bytes: &[u8]) -> Result<String, Refusal> {
    String::from_utf8(bytes.to_vec())
        .map_err(|_| Refusal::new(Code::ArchiveUnsafe, "an archive entry has a name that is not UTF-8", "rename it"))
}

fn broken(error: std::io::Error) -> Refusal {
    Refusal::new(Code::ArchiveBroken, format!("the archive cannot be read: {error}"), "pack it again; is the format right?")
}
