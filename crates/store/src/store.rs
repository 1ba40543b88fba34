//! The store: opened once, shared by clones.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use crate::commit::Commit;
use crate::db::{Address, Connections, Db};
use crate::schema::Earlier;
use crate::writer::Writer;
use crate::{CommitError, Committed, Fault, db, group, schema};

/// The database, behind one door for change. Clones share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    read: Db,
    writer: Writer,
    description: String,
}

impl Store {
    /// Opens the database at `url`: `sqlite:PATH`, a bare path, or `postgres://…`; makes or migrates its schema.
    ///
    /// # Errors
    ///
    /// [`Fault::SchemaNewer`] after a newer program, [`Fault::SqliteTooOld`], [`Fault::Address`], or what the database says.
    pub async fn open(url: &str) -> Result<Store, Fault> {
        Store::open_as(url, Earlier::Migrate).await
    }

    /// Opens the database beside a server that may be running: one of an earlier program is left as it is.
    ///
    /// # Errors
    ///
    /// [`Fault::SchemaOlder`], or as [`Store::open`].
    pub async fn open_beside(url: &str) -> Result<Store, Fault> {
        Store::open_as(url, Earlier::Leave).await
    }

    async fn open_as(url: &str, earlier: Earlier) -> Result<Store, Fault> {
        let Connections { write, read, description } = db::connect(Address::parse(url)?).await?;
        schema::migrate(&write, earlier).await?;
        let head = write.rows("SELECT position FROM feed", vec![]).await?.first().ok_or(sqlx::Error::RowNotFound)?.count(0)?;
        tracing::debug!(database = description, head, "store opened");
        Ok(Store { inner: Arc::new(Inner { read, writer: Writer::start(write, head), description }) })
    }

    /// Waits for the commits under way, moves the write-ahead log into the file, and closes every connection. What comes later
    /// is refused with [`Fault::Closed`].
    pub async fn close(&self) {
        self.inner.read.close().await;
        self.inner.writer.close().await;
    }

    /// Makes one change, whole or not at all, and answers when it is on disk.
    ///
    /// A caller that goes away meanwhile does not take its commit back.
    ///
    /// # Errors
    ///
    /// [`CommitError::Fence`] or [`CommitError::KeyTaken`] if somebody else was faster; [`CommitError::Fault`] if it could not be
    /// stored.
    pub async fn commit(&self, commit: Commit) -> Result<Committed, CommitError> {
        let prepared = group::Prepared::of(commit)?;
        self.inner.writer.commit(prepared).await
    }

    /// The doorbell: changes after each group of commits that this process made. Another process that writes to the same
    /// `PostgreSQL` does not ring it, so whoever waits also looks from time to time.
    pub fn positions(&self) -> watch::Receiver<u64> {
        self.inner.writer.positions()
    }

    /// Copies the live database into the new file `to`. The file appears whole or not at all.
    ///
    /// # Errors
    ///
    /// [`Fault::Unsupported`] on `PostgreSQL`, and if `to` exists.
    pub async fn backup(&self, to: &Path) -> Result<(), Fault> {
        if to.exists() {
            return Err(Fault::Unsupported {
                what: format!("{} exists", to.display()),
                remedy: "name a file that does not exist".to_owned(),
            });
        }
        let mut partial = to.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        remove_if_there(&partial)?;
        let copied = self.inner.read.copy_into(&partial).await.and_then(|()| publish(&partial, to));
        if copied.is_err() {
            remove_if_there(&partial)?;
        }
        copied
    }

    /// What is open, for people: `SQLite 3.51.3 at …`, `PostgreSQL 15.18 at host:port/database`, never a password.
    pub fn describe(&self) -> String {
        self.inner.description.clone()
    }

    /// Fault injection for tests: after so many more successful commits every commit answers [`CommitError::Stopped`] and the
    /// database is not touched; `None` lets them through again.
    pub fn stop_after(&self, commits: Option<u64>) {
        self.inner.writer.stop_after(commits);
    }

    /// Whether the allowance of [`Store::stop_after`] is used up.
    pub fn is_stopped(&self) -> bool {
        self.inner.writer.is_stopped()
    }

    pub(crate) fn reads(&self) -> &Db {
        &self.inner.read
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.inner.writer
    }
}

fn remove_if_there(path: &Path) -> Result<(), Fault> {
    match std::fs::remove_file(path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Fault::io(path, cause)),
        _ => Ok(()),
    }
}

/// Puts a finished file under its name, durably.
fn publish(partial: &Path, to: &Path) -> Result<(), Fault> {
    std::fs::File::open(partial).and_then(|file| file.sync_all()).map_err(|cause| Fault::io(partial, cause))?;
    std::fs::rename(partial, to).map_err(|cause| Fault::io(to, cause))?;
    crate::media::sync_folder(to.parent().unwrap_or(Path::new(".")))
}
