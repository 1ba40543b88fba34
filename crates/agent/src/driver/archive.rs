//! Unpacks archives without trusting them or the library that reads them.
//!
//! The archive is read three times: once for its bare headers (a header that announces a long name of gigabytes is refused
//! before anything reads it), once through the rules of [`ArchiveCheck`] to its very end, and only then to write. Every file
//! is created new, no link is ever followed, and links are made last.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufReader, Read, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use tar::EntryType;
use tidegate_domain::deployment::artifact::{ArchiveCheck, Entry, Format};
use tidegate_domain::ids::clip;
use tidegate_domain::{Code, Refusal, limits};

use super::{End, Until};
use crate::place::MARKER;

/// Bytes of one long name or extended header.
const EXTENSION_BYTES_MAX: u64 = 64 << 10;
/// Bytes of headers and padding that one entry may cost beside its content.
const ENTRY_OVERHEAD_BYTES: u64 = 2 << 10;

/// Why an archive was not unpacked.
#[derive(Debug)]
pub enum Unpacked {
    /// It must not be.
    Refused(Refusal),
    /// This host failed.
    Failed(io::Error),
    /// Time is over, or it is to end.
    Stopped(End),
}

impl From<Refusal> for Unpacked {
    fn from(refusal: Refusal) -> Unpacked {
        Unpacked::Refused(refusal)
    }
}

impl From<io::Error> for Unpacked {
    fn from(error: io::Error) -> Unpacked {
        Unpacked::Failed(error)
    }
}

impl From<End> for Unpacked {
    fn from(end: End) -> Unpacked {
        Unpacked::Stopped(end)
    }
}

/// A packed archive on disk.
pub struct Archive<'a> {
    /// Where it is.
    pub path: &'a Path,
    /// How it is packed; not [`Format::File`].
    pub format: Format,
    /// When to stop.
    pub until: &'a Until,
}

impl Archive<'_> {
    /// Unpacks into the empty folder `into`, and counts the entries. Refuses it whole.
    pub fn unpack(&self, into: &Path) -> Result<u64, Unpacked> {
        self.check_headers()?;
        self.check_entries()?;
        self.write(into)
    }

    fn reader(&self) -> io::Result<Bounded<Box<dyn Read>>> {
        let file = File::open(self.path)?;
        let packed = file.metadata()?.len();
        let file = BufReader::with_capacity(128 << 10, file);
        let reader: Box<dyn Read> = match self.format {
            Format::TarGz => Box::new(MultiGzDecoder::new(file)),
            Format::Tar | Format::File => Box::new(file),
        };
        let content = (packed.saturating_mul(limits::ARCHIVE_RATIO_MAX))
            .clamp(limits::ARCHIVE_RATIO_FLOOR_BYTES, limits::ARCHIVE_UNPACKED_BYTES_MAX);
        Ok(Bounded { reader, left: content + limits::ARCHIVE_ENTRIES_MAX * ENTRY_OVERHEAD_BYTES })
    }

    /// Bounds what the library would read into memory by itself.
    fn check_headers(&self) -> Result<(), Unpacked> {
        let mut archive = tar::Archive::new(self.reader()?);
        let mut count = 0;
        for entry in archive.entries().map_err(broken)?.raw(true) {
            self.until.check()?;
            let entry = entry.map_err(broken)?;
            let kind = entry.header().entry_type();
            let extension = kind.is_gnu_longname()
                || kind.is_gnu_longlink()
                || kind.is_pax_local_extensions()
                || kind.is_pax_global_extensions();
            if extension && entry.size() > EXTENSION_BYTES_MAX {
                let what = format!("an archive entry has a header of {} bytes", entry.size());
                return Err(bomb(what).into());
            }
            count += 1;
            // Each entry may have a long name, a long link and an extended header.
            if count > limits::ARCHIVE_ENTRIES_MAX * 4 {
                return Err(bomb(format!("the archive has more than {} headers", limits::ARCHIVE_ENTRIES_MAX * 4)).into());
            }
        }
        Ok(())
    }

    fn check_entries(&self) -> Result<(), Unpacked> {
        let packed = fs::metadata(self.path)?.len();
        let mut check = ArchiveCheck::new(packed);
        let mut seen = Seen::default();
        let mut archive = tar::Archive::new(self.reader()?);
        for entry in archive.entries().map_err(broken)? {
            self.until.check()?;
            let mut entry = entry.map_err(broken)?;
            let Some(listed) = Listed::read(&entry)? else { continue };
            check.entry(&listed.path, &listed.entry())?;
            listed.check(&mut seen)?;
            self.drain(&mut entry)?;
        }
        // To the last byte: a truncated or damaged stream shows only there.
        self.drain(&mut archive.into_inner())
    }

    fn drain(&self, from: &mut impl Read) -> Result<(), Unpacked> {
        let mut buffer = vec![0; 128 << 10];
        while from.read(&mut buffer).map_err(broken)? > 0 {
            self.until.check()?;
        }
        Ok(())
    }

    fn write(&self, into: &Path) -> Result<u64, Unpacked> {
        let mut archive = tar::Archive::new(self.reader()?);
        let mut links = Vec::new();
        let mut count = 0;
        for entry in archive.entries().map_err(broken)? {
            self.until.check()?;
            let mut entry = entry.map_err(broken)?;
            let Some(listed) = Listed::read(&entry)? else { continue };
            let path = into.join(normal(&listed.path));
            count += 1;
            match listed.kind {
                Kind::Folder => fs::create_dir_all(&path)?,
                Kind::File(_) => {
                    let mode = if entry.header().mode().map_err(broken)? & 0o111 == 0 { 0o644 } else { 0o755 };
                    self.write_file(&mut entry, &path, mode)?;
                }
                Kind::Hardlink(to) => {
                    make_parent(&path)?;
                    fs::hard_link(into.join(normal(&to)), &path)?;
                }
                Kind::Symlink(to) => links.push((path, to)),
                Kind::Other => return Err(io::Error::other("an entry that was refused came back").into()),
            }
        }
        for (path, to) in links {
            make_parent(&path)?;
            symlink(to, &path)?;
        }
        Ok(count)
    }

    fn write_file(&self, from: &mut impl Read, path: &Path, mode: u32) -> Result<(), Unpacked> {
        make_parent(path)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        let mut buffer = vec![0; 128 << 10];
        loop {
            let count = from.read(&mut buffer).map_err(broken)?;
            if count == 0 {
                break;
            }
            file.write_all(&buffer[..count])?;
            self.until.check()?;
        }
        // Whatever the agent's own mask is: the program may run as another user.
        file.set_permissions(Permissions::from_mode(mode))?;
        Ok(())
    }
}

/// One entry as the rules see it.
struct Listed {
    path: String,
    kind: Kind,
}

enum Kind {
    File(u64),
    Folder,
    Symlink(String),
    Hardlink(String),
    Other,
}

impl Listed {
    /// Reads an entry's header; `None` for one that is about the archive and not in it.
    fn read(entry: &tar::Entry<'_, impl Read>) -> Result<Option<Listed>, Unpacked> {
        let path = text(&entry.path_bytes())?;
        let link = || match entry.link_name_bytes() {
            Some(bytes) => text(&bytes),
            None => Err(unsafe_entry(&path, "is a link without a goal")),
        };
        let kind = match entry.header().entry_type() {
            EntryType::XGlobalHeader => return Ok(None),
            EntryType::Regular => Kind::File(entry.size()),
            EntryType::Directory => Kind::Folder,
            EntryType::Symlink => Kind::Symlink(link()?),
            EntryType::Link => Kind::Hardlink(link()?),
            _ => Kind::Other,
        };
        Ok(Some(Listed { path, kind }))
    }

    fn entry(&self) -> Entry<'_> {
        match &self.kind {
            Kind::File(size_bytes) => Entry::File { size_bytes: *size_bytes },
            Kind::Folder => Entry::Folder,
            Kind::Symlink(to) => Entry::Symlink { to },
            Kind::Hardlink(to) => Entry::Hardlink { to },
            Kind::Other => Entry::Other,
        }
    }

    /// What [`ArchiveCheck`] leaves to the one who writes.
    fn check(&self, seen: &mut Seen) -> Result<(), Refusal> {
        let path = normal(&self.path).to_string_lossy().into_owned();
        if path == MARKER {
            return Err(unsafe_entry(&self.path, "has a name that the agent needs for itself"));
        }
        let is_folder = matches!(self.kind, Kind::Folder);
        let taken = seen.leaves.contains_key(&path) || (!is_folder && (path.is_empty() || seen.folders.contains(&path)));
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        if taken || above.clone().any(|above| seen.leaves.contains_key(above)) {
            return Err(unsafe_entry(&self.path, "stands twice in the archive"));
        }
        seen.folders.extend(above.map(str::to_owned));
        match &self.kind {
            Kind::Folder => {
                seen.folders.insert(path);
                return Ok(());
            }
            Kind::Hardlink(to) => {
                let to = normal(to).to_string_lossy().into_owned();
                if seen.leaves.get(&to) != Some(&Leaf::File) {
                    return Err(unsafe_entry(&self.path, "is a hard link to no earlier file of the archive"));
                }
            }
            Kind::File(_) | Kind::Symlink(_) | Kind::Other => {}
        }
        let leaf = if matches!(self.kind, Kind::Symlink(_)) { Leaf::Symlink } else { Leaf::File };
        seen.leaves.insert(path, leaf);
        Ok(())
    }
}

/// The entries so far.
#[derive(Default)]
struct Seen {
    leaves: BTreeMap<String, Leaf>,
    folders: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaf {
    File,
    Symlink,
}

/// The path without `.` parts; the rules have refused everything else that is odd.
fn normal(path: &str) -> PathBuf {
    path.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect()
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

fn text(bytes: &[u8]) -> Result<String, Refusal> {
    String::from_utf8(bytes.to_vec())
        .map_err(|error| unsafe_entry(&String::from_utf8_lossy(error.as_bytes()), "has a name that is not UTF-8"))
}

fn unsafe_entry(path: &str, why: &str) -> Refusal {
    let shown = clip(path);
    let remedy = "pack with plain files, folders and links inside one folder";
    Refusal::new(Code::ArchiveUnsafe, format!("archive entry \"{shown}\" {why}"), remedy).at(format!("entry {shown}"))
}

fn bomb(what: String) -> Refusal {
    Refusal::new(Code::ArchiveBomb, what, "pack only what the component needs to run")
}

fn broken(error: io::Error) -> Unpacked {
    if error.get_ref().and_then(|inner| inner.downcast_ref::<TooMuch>()).is_some() {
        return bomb(error.to_string()).into();
    }
    let what = format!("the archive cannot be read to its end: {error}");
    Refusal::new(Code::ArchiveBroken, what, "pack it again and upload it as a new version").into()
}

/// A reader that stops a stream that unpacks without end.
struct Bounded<R> {
    reader: R,
    left: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("the archive unpacks to more than its size allows")]
struct TooMuch;

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| io::Error::other(TooMuch))?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
