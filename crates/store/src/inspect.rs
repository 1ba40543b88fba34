//! A look at a database that changes nothing in it, for whoever wants to know whether it is well.

use crate::db::{Address, Db};
use crate::{Fault, Verified, chain, db, schema};

/// A database that is only looked at: it is neither made nor migrated.
pub struct Inspection {
    db: Db,
    description: String,
}

impl Inspection {
    /// Opens the database at `url` for reading, beside a server that may be running.
    ///
    /// # Errors
    ///
    /// [`Fault::Address`], or what the database says: there is none, it may not be read, it does not answer.
    pub async fn open(url: &str) -> Result<Inspection, Fault> {
        let (db, description) = db::look(Address::parse(url)?).await?;
        Ok(Inspection { db, description })
    }

    /// What is open, for people; never a password.
    pub fn describe(&self) -> &str {
        &self.description
    }

    /// The version of its schema, and the newest that this program knows.
    ///
    /// # Errors
    ///
    /// What the database says; a database that was never Tidegate's has no such table.
    pub async fn schema(&self) -> Result<(u64, u64), Fault> {
        let rows = self.db.rows("SELECT version FROM schema_version", vec![]).await?;
        let found = rows.first().ok_or(sqlx::Error::RowNotFound)?.count(0)?;
        Ok((found, schema::known()))
    }

    /// The first damage to the structure of an `SQLite` file, in its words. `PostgreSQL` looks after its own.
    ///
    /// # Errors
    ///
    /// What the database says; of a badly damaged file also an error is all that it says.
    pub async fn damage(&self) -> Result<Option<String>, Fault> {
        self.db.damage().await
    }

    /// Walks every chain of the history, as [`crate::Store::verify`].
    ///
    /// # Errors
    ///
    /// What the database says.
    pub async fn verify(&self) -> Result<Verified, Fault> {
        chain::verify(&self.db).await
    }

    /// Closes its connections.
    pub async fn close(&self) {
        self.db.close().await;
    }
}
