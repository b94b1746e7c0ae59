//! What a coordinator's machine must not forget about one job.

use super::Store;
use crate::error::NetError;
use fovea_fed::store::Stored;
use fovea_secagg::journal::StorageError;
use rusqlite::{OptionalExtension, TransactionBehavior, params};

/// Records above this many bytes lie in files of their own.
const INLINE_MAX: usize = 16 << 10;

/// The storage of one job's coordinator.
#[derive(Debug, Clone)]
pub struct Records {
    store: Store,
    job: i64,
}

impl Records {
    /// The records of a job.
    pub fn of(store: Store, job: i64) -> Self {
        Self { store, job }
    }

    fn read(&self) -> Result<Stored, NetError> {
        let db = self.store.db();
        let snapshot: Option<String> = db
            .query_row("SELECT blob FROM snapshots WHERE job = ?1", params![self.job], |row| row.get(0))
            .optional()?;
        let snapshot = snapshot.map(|name| self.store.blobs.get(&name)).transpose()?;
        let mut rows = db.prepare("SELECT bytes, blob FROM records WHERE job = ?1 ORDER BY number")?;
        let read =
            |row: &rusqlite::Row| Ok((row.get::<_, Option<Vec<u8>>>(0)?, row.get::<_, Option<String>>(1)?));
        let mut log = Vec::new();
        for row in rows.query_map(params![self.job], read)? {
            log.push(match row? {
                (Some(bytes), _) => bytes,
                (None, Some(name)) => self.store.blobs.get(&name)?,
                (None, None) => {
                    let why = "a record without content; restore the coordinator's folder".to_owned();
                    return Err(NetError::Unusable { what: "the coordinator's database".to_owned(), why });
                }
            });
        }
        Ok(Stored { snapshot, log })
    }

    fn add(&self, record: &[u8]) -> Result<(), NetError> {
        let blob = (record.len() > INLINE_MAX).then(|| self.store.blobs.put(record)).transpose()?;
        let bytes = blob.is_none().then_some(record);
        self.store.db().execute(
            "INSERT INTO records (job, bytes, blob) VALUES (?1, ?2, ?3)",
            params![self.job, bytes, blob],
        )?;
        Ok(())
    }

    fn replace(&self, snapshot: &[u8]) -> Result<(), NetError> {
        let name = self.store.blobs.put(snapshot)?;
        let mut db = self.store.db();
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let old = {
            let sql = "SELECT blob FROM snapshots WHERE job = ?1 UNION
                       SELECT blob FROM records WHERE job = ?1 AND blob IS NOT NULL";
            let mut rows = transaction.prepare(sql)?;
            let rows = rows.query_map(params![self.job], |row| row.get::<_, String>(0))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()?
        };
        transaction.execute("DELETE FROM records WHERE job = ?1", params![self.job])?;
        transaction.execute(
            "INSERT OR REPLACE INTO snapshots (job, blob) VALUES (?1, ?2)",
            params![self.job, name],
        )?;
        transaction.commit()?;
        drop(db);
        for blob in old.iter().filter(|blob| **blob != name) {
            // What cannot be removed now is swept up at the next start; the state is safe.
            let _ = self.store.blobs.remove(blob);
        }
        Ok(())
    }
}

impl fovea_fed::store::Store for Records {
    fn load(&mut self) -> Result<Stored, StorageError> {
        self.read().map_err(|e| failed("reading the coordinator's records", &e))
    }

    fn append(&mut self, record: &[u8]) -> Result<(), StorageError> {
        self.add(record).map_err(|e| failed("keeping a message", &e))
    }

    fn commit(&mut self, snapshot: &[u8]) -> Result<(), StorageError> {
        self.replace(snapshot).map_err(|e| failed("keeping the state after an attempt", &e))
    }
}

fn failed(action: &'static str, error: &NetError) -> StorageError {
    StorageError { action, reason: error.to_string() }
}
