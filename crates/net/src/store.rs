//! The coordinator's disk: an SQLite database for everything small and a folder for everything large.
//!
//! A write is durable when it returns: the database runs with a write-ahead log and full synchronisation, and a file is
//! flushed before a row names it. Large records lie in files named by their SHA-256; a file that no row names is
//! what a crash left behind, and is removed at the next start.

mod blobs;
mod enrolment;
mod jobs;
mod records;

pub use enrolment::Member;
pub use jobs::{JobRow, RoundRow};
pub use records::Records;

use crate::error::NetError;
use blobs::Blobs;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Version of the tables.
const SCHEMA_VERSION: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE invitations (
    verifier BLOB PRIMARY KEY, site TEXT NOT NULL, expires_ms INTEGER NOT NULL, used_ms INTEGER) STRICT;
CREATE TABLE members (site TEXT PRIMARY KEY, key BLOB NOT NULL UNIQUE, joined_ms INTEGER NOT NULL) STRICT;
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, document BLOB NOT NULL,
    first_state TEXT NOT NULL, offered_ms INTEGER NOT NULL, over INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE consents (
    job INTEGER NOT NULL, site INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (job, site)) STRICT;
CREATE TABLE snapshots (job INTEGER PRIMARY KEY, blob TEXT NOT NULL) STRICT;
CREATE TABLE records (
    number INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL, bytes BLOB, blob TEXT) STRICT;
CREATE TABLE rounds (
    number INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL, round INTEGER NOT NULL,
    model BLOB, ended_ms INTEGER NOT NULL, report TEXT NOT NULL) STRICT;
";

/// The coordinator's disk. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    db: Arc<Mutex<Connection>>,
    blobs: Arc<Blobs>,
}

impl Store {
    /// Opens the store in `folder`, or makes it. Several processes of one machine may have it open, of which one
    /// runs the coordinator.
    ///
    /// # Errors
    /// [`NetError::Database`], [`NetError::File`], [`NetError::Unusable`] for another version's tables.
    pub fn open(folder: &Path) -> Result<Self, NetError> {
        std::fs::create_dir_all(folder).map_err(NetError::file(folder, "making the folder"))?;
        let blobs = Blobs::open(folder.join("blobs"))?;
        let mut db = Connection::open(folder.join("coordinator.sqlite"))?;
        db.busy_timeout(Duration::from_secs(10))?;
        db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")?;
        let found = prepare(&mut db)?;
        if found != SCHEMA_VERSION {
            let what = folder.join("coordinator.sqlite").display().to_string();
            let why = format!(
                "its tables have version {found}, this program reads {SCHEMA_VERSION}; use the release that made it"
            );
            return Err(NetError::Unusable { what, why });
        }
        Ok(Self { db: Arc::new(Mutex::new(db)), blobs: Arc::new(blobs) })
    }

    /// Removes files that no row names. For the process that runs the coordinator, before it starts.
    ///
    /// # Errors
    /// [`NetError::Database`], [`NetError::File`].
    pub fn sweep(&self) -> Result<(), NetError> {
        let mut db = self.db();
        // Nobody writes a file and its row meanwhile.
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut named = transaction.prepare(
            "SELECT 1 FROM snapshots WHERE blob = ?1 UNION ALL SELECT 1 FROM records WHERE blob = ?1
             UNION ALL SELECT 1 FROM jobs WHERE first_state = ?1",
        )?;
        for name in self.blobs.names()? {
            if named.query_row(params![name], |_| Ok(())).optional()?.is_none() {
                self.blobs.remove(&name)?;
            }
        }
        Ok(())
    }

    /// The connection. A panic while it was held left no transaction open: they roll back when dropped.
    fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the tables in a new database; the version found.
fn prepare(db: &mut Connection) -> Result<i64, NetError> {
    let version = |db: &Connection| db.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
    if version(db)? != 0 {
        return Ok(version(db)?);
    }
    // Two processes may find the database new: the second waits here, and then finds it made.
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if version(&transaction)? == 0 {
        transaction.execute_batch(SCHEMA)?;
        transaction.execute_batch(&format!("PRAGMA user_version = {SCHEMA_VERSION}"))?;
    }
    transaction.commit()?;
    Ok(version(db)?)
}

/// SQLite's integers are signed.
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn uint(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A column of exactly 32 bytes.
fn digest(row: &rusqlite::Row, column: usize) -> rusqlite::Result<fovea_secagg::hash::Hash> {
    row.get::<_, [u8; 32]>(column).map(fovea_secagg::hash::Hash)
}
