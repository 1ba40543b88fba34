//! Lists an uploaded archive and refuses it whole if any entry of it is unsafe. Nothing is unpacked here.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use tidegate_domain::deployment::artifact::{ArchiveCheck, Entry, Format};
use tidegate_domain::{Code, Refusal, limits};

/// Checks every entry.
///
/// # Errors
///
/// [`Code::ArchiveUnsafe`], [`Code::ArchiveBomb`] or [`Code::ArchiveBroken`].
pub fn check(path: &Path, format: Format) -> Result<(), Refusal> {
    let file = File::open(path).map_err(broken)?;
    let packed_bytes = file.metadata().map_err(broken)?.len();
    let reader = BufReader::with_capacity(256 << 10, file);
    match format {
        Format::File => Ok(()),
        Format::Tar => list(reader, packed_bytes),
        Format::TarGz => list(flate2::read::MultiGzDecoder::new(reader), packed_bytes),
    }
}

fn list(reader: impl Read, packed_bytes: u64) -> Result<(), Refusal> {
    // Reading past an entry unpacks it, so that the bound holds for what is read and not for what headers say.
    let mut archive = tar::Archive::new(reader.take(limits::ARCHIVE_UNPACKED_BYTES_MAX + (1 << 20)));
    let mut check = ArchiveCheck::new(packed_bytes);
    let mut any = false;
    for entry in archive.entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        let path = text(&entry.path_bytes())?;
        let link = entry.link_name_bytes().map(|bytes| text(&bytes)).transpose()?.unwrap_or_default();
        let kind = entry.header().entry_type();
        let seen = if kind.is_dir() {
            Entry::Folder
        } else if kind.is_symlink() {
            Entry::Symlink { to: &link }
        } else if kind.is_hard_link() {
            Entry::Hardlink { to: &link }
        } else if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
            Entry::File { size_bytes: entry.size() }
        } else {
            Entry::Other
        };
        check.entry(&path, &seen)?;
        any = true;
    }
    if any { Ok(()) } else { Err(Refusal::new(Code::ArchiveBroken, "the archive has no entries", "pack the component's files")) }
}

fn text(bytes: &[u8]) -> Result<String, Refusal> {
    String::from_utf8(bytes.to_vec())
        .map_err(|_| Refusal::new(Code::ArchiveUnsafe, "an archive entry has a name that is not UTF-8", "rename it"))
}

fn broken(error: std::io::Error) -> Refusal {
    Refusal::new(Code::ArchiveBroken, format!("the archive cannot be read: {error}"), "pack it again; is the format right?")
}
