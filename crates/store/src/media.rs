//! The media library: files named by their digest.
//!
//! ```text
//! <dir>/objects/ab/abcdef…   finished, read-only, durable before its name exists
//! <dir>/uploads/<pid>-<n>    under way, locked by whoever writes it
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};
use tidegate_domain::{Code, Digest, Refusal, limits};
use tokio::io::AsyncWriteExt as _;

use crate::Fault;

/// Why an upload has not become a file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are not what was announced, or too many.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The disk failed or is full.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A folder of files named by their digest.
#[derive(Debug, Clone)]
pub struct Media {
    dir: PathBuf,
}

impl Media {
    /// Opens the library in `dir`; makes its folders and removes uploads that nobody writes any more.
    pub async fn open(dir: impl Into<PathBuf>) -> Result<Media, Fault> {
        let media = Media { dir: dir.into() };
        let opened = media.clone();
        blocking(move || {
            for folder in [media.objects(), media.uploads()] {
                fs::create_dir_all(&folder).map_err(|cause| Fault::io(&folder, cause))?;
            }
            sync_folder(&media.dir)?;
            media.remove_leftovers()
        })
        .await?;
        Ok(opened)
    }

    /// Begins an upload.
    pub async fn begin(&self) -> Result<Upload, Fault> {
        let media = self.clone();
        let (path, file) = blocking(move || media.create_upload()).await?;
        let guard = Leftover { path };
        Ok(Upload { media: self.clone(), guard, file: tokio::fs::File::from_std(file), hash: Sha256::new(), bytes: 0 })
    }

    /// Where the file with `digest` is, or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.objects().join(&digest.hex()[..2]).join(digest.hex())
    }

    /// Opens the file with `digest` for reading and says how long it is; `None` if it is not in the library.
    pub async fn open_read(&self, digest: &Digest) -> Result<Option<(tokio::fs::File, u64)>, Fault> {
        let path = self.path(digest);
        match tokio::fs::File::open(&path).await {
            Ok(file) => {
                let bytes = file.metadata().await.map_err(|cause| Fault::io(&path, cause))?.len();
                Ok(Some((file, bytes)))
            }
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(Fault::io(path, cause)),
        }
    }

    /// Reads the file with `digest` to its end and answers its length; `None` if it is not in the library.
    ///
    /// # Errors
    ///
    /// [`Fault::Corrupt`] if its bytes have another digest.
    pub async fn verify(&self, digest: &Digest) -> Result<Option<u64>, Fault> {
        let (path, digest) = (self.path(digest), digest.clone());
        blocking(move || {
            let mut file = match File::open(&path) {
                Ok(file) => file,
                Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
                Err(cause) => return Err(Fault::io(path, cause)),
            };
            let (found, bytes) = read_digest(&mut file).map_err(|cause| Fault::io(&path, cause))?;
            if found == digest {
                return Ok(Some(bytes));
            }
            Err(Fault::corrupt(path.display().to_string(), format!("its bytes have the digest {found}")))
        })
        .await
    }

    fn objects(&self) -> PathBuf {
        self.dir.join("objects")
    }

    fn uploads(&self) -> PathBuf {
        self.dir.join("uploads")
    }

    fn create_upload(&self) -> Result<(PathBuf, File), Fault> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path = self.uploads().join(format!("{}-{number}", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => {
                    file.lock().map_err(|cause| Fault::io(&path, cause))?;
                    // Another process may have taken it for a leftover before the lock was held.
                    if file.metadata().is_ok_and(|known| known.nlink() > 0) {
                        return Ok((path, file));
                    }
                }
                // A leftover of a process that had the same number; the next name is free.
                Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {}
                Err(cause) => return Err(Fault::io(path, cause)),
            }
        }
    }

    fn remove_leftovers(&self) -> Result<(), Fault> {
        let folder = self.uploads();
        for entry in fs::read_dir(&folder).map_err(|cause| Fault::io(&folder, cause))? {
            let path = entry.map_err(|cause| Fault::io(&folder, cause))?.path();
            let Ok(file) = File::open(&path) else { continue };
            match file.try_lock() {
                Ok(()) => fs::remove_file(&path).map_err(|cause| Fault::io(&path, cause))?,
                // Another process writes it.
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(cause)) => return Err(Fault::io(path, cause)),
            }
        }
        Ok(())
    }

    /// Gives a finished upload its name. A file that is there already stays, unless it has lost bytes.
    fn keep(&self, upload: &Path, digest: &Digest, bytes: u64) -> Result<(), Fault> {
        let path = self.path(digest);
        if fs::metadata(&path).is_ok_and(|known| known.len() == bytes) {
            return fs::remove_file(upload).map_err(|cause| Fault::io(upload, cause));
        }
        let folder = path.parent().unwrap_or(&self.dir);
        match fs::create_dir(folder) {
            Ok(()) => sync_folder(&self.objects())?,
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(Fault::io(folder, cause)),
        }
        fs::set_permissions(upload, fs::Permissions::from_mode(0o400)).map_err(|cause| Fault::io(upload, cause))?;
        fs::rename(upload, &path).map_err(|cause| Fault::io(&path, cause))?;
        sync_folder(folder)
    }
}

/// Bytes on their way into the library. Dropped, it leaves nothing.
#[derive(Debug)]
pub struct Upload {
    media: Media,
    guard: Leftover,
    file: tokio::fs::File,
    hash: Sha256,
    bytes: u64,
}

impl Upload {
    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// [`Code::TooLarge`] beyond [`limits::ARTIFACT_BYTES_MAX`].
    pub async fn write(&mut self, chunk: &[u8]) -> Result<(), Error> {
        self.bytes += chunk.len() as u64;
        if self.bytes > limits::ARTIFACT_BYTES_MAX {
            return Err(Error::Refused(Refusal::new(
                Code::TooLarge,
                format!("the artifact has more than {} bytes", limits::ARTIFACT_BYTES_MAX),
                "upload a smaller artifact",
            )));
        }
        self.hash.update(chunk);
        self.file.write_all(chunk).await.map_err(|cause| Fault::io(&self.guard.path, cause))?;
        Ok(())
    }

    /// The bytes taken so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes the upload durable and puts it into the library under its digest.
    ///
    /// # Errors
    ///
    /// [`Code::DigestMismatch`] if it has another digest than `expected`; then nothing is kept.
    pub async fn finish(mut self, expected: Option<&Digest>) -> Result<(Digest, u64), Error> {
        let digest = Digest::from_bytes(&self.hash.finalize_reset());
        if let Some(expected) = expected
            && *expected != digest
        {
            return Err(Error::Refused(Refusal::new(
                Code::DigestMismatch,
                format!("the {} bytes have the digest {digest}, not {expected}", self.bytes),
                "upload again, and compare the digest of your file if it happens twice",
            )));
        }
        let path = &self.guard.path;
        self.file.flush().await.map_err(|cause| Fault::io(path, cause))?;
        self.file.sync_all().await.map_err(|cause| Fault::io(path, cause))?;
        let (media, upload, named, bytes) = (self.media.clone(), path.clone(), digest.clone(), self.bytes);
        blocking(move || media.keep(&upload, &named, bytes)).await?;
        Ok((digest, bytes))
    }
}

/// Removes a file of an upload that was not finished.
#[derive(Debug)]
struct Leftover {
    path: PathBuf,
}

impl Drop for Leftover {
    fn drop(&mut self) {
        match fs::remove_file(&self.path) {
            // Finished: it has its name in the library.
            Err(cause) if cause.kind() == ErrorKind::NotFound => {}
            Err(cause) => tracing::warn!(path = %self.path.display(), %cause, "an upload was left; the next start removes it"),
            Ok(()) => {}
        }
    }
}

fn read_digest(file: &mut File) -> std::io::Result<(Digest, u64)> {
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 256 << 10]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((Digest::from_bytes(&hash.finalize()), bytes)),
            length => {
                hash.update(&buffer[..length]);
                bytes += length as u64;
            }
        }
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), Fault> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|cause| Fault::io(folder, cause))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Fault> + Send + 'static) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|cause| Fault::io("", std::io::Error::other(cause)))?
}
