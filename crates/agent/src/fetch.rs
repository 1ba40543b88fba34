//! The artifact cache: bytes that were checked against their digest and length.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tidegate_domain::deployment::artifact::ArtifactRef;
use tidegate_domain::{Code, Digest, Refusal};

use crate::client::{Backoff, CallError, Client};
use crate::{crash, durable};

/// Downloads that come with other bytes than announced before the artifact is given up.
const MISMATCHES_MAX: u32 = 2;

/// Two applications may want the same artifact at once; each writes its own file.
static DOWNLOADS: AtomicU64 = AtomicU64::new(0);

/// The folder of checked artifacts.
#[derive(Debug, Clone)]
pub struct Cache(PathBuf);

/// Why an artifact could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It must not be installed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// This host failed.
    #[error("the artifact cannot be kept: {0}")]
    Disk(#[from] io::Error),
    /// The server failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl Cache {
    /// Opens the cache and removes what an agent that died left half written.
    pub fn open(folder: PathBuf) -> io::Result<Cache> {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                durable::remove(&entry.path())?;
            }
        }
        Ok(Cache(folder))
    }

    /// Where the bytes of a digest are, once they are.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.0.join(digest.hex())
    }

    /// Brings an artifact into the cache, trying again until the future is dropped or the server says a final no.
    pub async fn fetch(&self, client: &Client, artifact: &ArtifactRef) -> Result<PathBuf, FetchError> {
        let path = self.path(&artifact.digest);
        let (found, expected) = (path.clone(), artifact.clone());
        let good = tokio::task::spawn_blocking(move || is_good(&found, &expected)).await.map_err(io::Error::other)??;
        if good {
            return Ok(path);
        }
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(20));
        let mut mismatches = 0;
        loop {
            match self.download(client, artifact, &path).await {
                Ok(()) => return Ok(path),
                Err(FetchError::Refused(refusal)) if mismatches + 1 >= MISMATCHES_MAX => return Err(refusal.into()),
                Err(FetchError::Refused(_)) => mismatches += 1,
                Err(FetchError::Call(error)) if error.is_final() => return Err(error.into()),
                Err(FetchError::Disk(error)) => return Err(error.into()),
                Err(FetchError::Call(error)) => tracing::warn!("artifact {} is tried again: {error}", artifact.digest.short()),
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }

    async fn download(&self, client: &Client, artifact: &ArtifactRef, path: &Path) -> Result<(), FetchError> {
        let mut response = client.artifact(&artifact.digest).await?;
        let number = DOWNLOADS.fetch_add(1, Ordering::Relaxed);
        let beside = Beside(self.0.join(format!(".{}.{number}", artifact.digest.hex())));
        let mut file = File::create(&beside.0)?;
        let mut hash = Sha256::new();
        let mut bytes = 0;
        while let Some(chunk) = response.chunk().await.map_err(CallError::from)? {
            bytes += chunk.len() as u64;
            if bytes > artifact.size_bytes {
                return Err(mismatch(artifact, &format!("has more than its {} bytes", artifact.size_bytes)).into());
            }
            hash.update(&chunk);
            file.write_all(&chunk)?;
        }
        if bytes < artifact.size_bytes {
            return Err(mismatch(artifact, &format!("has {bytes} of its {} bytes", artifact.size_bytes)).into());
        }
        let got = Digest::from_bytes(&hash.finalize());
        if got != artifact.digest {
            return Err(mismatch(artifact, &format!("came with digest {got}")).into());
        }
        file.sync_all()?;
        crash::point();
        fs::rename(&beside.0, path)?;
        durable::sync_folder(&self.0)?;
        crash::point();
        Ok(())
    }

    /// Removes every artifact that is not in `needed`.
    pub fn prune(&self, needed: &[Digest]) -> io::Result<()> {
        for entry in fs::read_dir(&self.0)? {
            let name = entry?.file_name();
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
            if !needed.iter().any(|digest| digest.hex() == name) {
                durable::remove(&self.0.join(name))?;
            }
        }
        Ok(())
    }
}

/// A file that is removed unless it was renamed.
struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn mismatch(artifact: &ArtifactRef, what: &str) -> Refusal {
    let what = format!("the artifact {} {what}", artifact.digest);
    Refusal::new(Code::DigestMismatch, what, "upload the artifact again; if it happens again, check the way to the server")
}

/// Whether the cache holds these bytes; damaged ones are removed.
fn is_good(path: &Path, artifact: &ArtifactRef) -> io::Result<bool> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
    }
    let good = Digest::from_bytes(&hash.finalize()) == artifact.digest && file.metadata()?.len() == artifact.size_bytes;
    if !good {
        durable::remove(path)?;
    }
    Ok(good)
}
