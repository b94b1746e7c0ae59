//! Jobs, who consents to them, and how their rounds ended.

use super::{Store, digest, int, uint};
use crate::error::NetError;
use fovea_secagg::hash::Hash;
use rusqlite::{OptionalExtension, TransactionBehavior, params};

/// The job at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Its number, ascending.
    pub number: i64,
    /// Digest of its document.
    pub digest: Hash,
    /// The document.
    pub document: Vec<u8>,
    /// The state before its first round, encoded.
    pub first_state: Vec<u8>,
    /// When it was offered, milliseconds since 1970.
    pub offered_ms: u64,
    /// Whether all its rounds are done.
    pub over: bool,
}

/// How an attempt of a round ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundRow {
    /// Round.
    pub round: u32,
    /// The new model's digest; none for an attempt without a sum.
    pub model: Option<Hash>,
    /// When, milliseconds since 1970.
    pub ended_ms: u64,
    /// What happened, as JSON.
    pub report: String,
}

impl Store {
    /// Offers a job to the sites. One that was offered before and not begun is withdrawn.
    ///
    /// # Errors
    /// [`NetError::State`] while a job runs, [`NetError::Database`], [`NetError::File`].
    pub fn offer(&self, job: Hash, document: &[u8], state: &[u8], now_ms: u64) -> Result<(), NetError> {
        let mut db = self.db();
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let blob = self.blobs.put(state)?;
        let begun: bool = transaction.query_row(
            "SELECT EXISTS (SELECT 1 FROM jobs JOIN snapshots ON jobs.number = snapshots.job WHERE over = 0)",
            [],
            |row| row.get(0),
        )?;
        if begun {
            return Err(NetError::State("a job is under way; offer the next one when it is over".to_owned()));
        }
        let known: bool = transaction.query_row(
            "SELECT EXISTS (SELECT 1 FROM jobs WHERE digest = ?1)",
            params![job.0],
            |r| r.get(0),
        )?;
        if known {
            let same = "exactly this job was offered before; give it another name, so that it has a digest of its own";
            return Err(NetError::State(same.to_owned()));
        }
        transaction.execute("UPDATE jobs SET over = 1", [])?;
        transaction.execute(
            "INSERT INTO jobs (digest, document, first_state, offered_ms) VALUES (?1, ?2, ?3, ?4)",
            params![job.0, document, blob, int(now_ms)],
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// The job offered last.
    ///
    /// # Errors
    /// [`NetError::Database`], [`NetError::File`].
    pub fn job(&self) -> Result<Option<JobRow>, NetError> {
        type Row = (i64, Hash, Vec<u8>, String, i64, bool);
        let read = |row: &rusqlite::Row| -> rusqlite::Result<Row> {
            Ok((row.get(0)?, digest(row, 1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
        };
        let sql = "SELECT number, digest, document, first_state, offered_ms, over FROM jobs
                   ORDER BY number DESC LIMIT 1";
        let row = self.db().query_row(sql, [], read).optional()?;
        let Some((number, digest, document, blob, offered, over)) = row else { return Ok(None) };
        let first_state = self.blobs.get(&blob)?;
        Ok(Some(JobRow { number, digest, document, first_state, offered_ms: uint(offered), over }))
    }

    /// Number and digest of the job offered last; cheaper than [`Self::job`].
    ///
    /// # Errors
    /// [`NetError::Database`].
    pub fn job_number(&self) -> Result<Option<i64>, NetError> {
        Ok(self.db().query_row("SELECT MAX(number) FROM jobs", [], |row| row.get(0))?)
    }

    /// Marks a job as done.
    ///
    /// # Errors
    /// [`NetError::Database`].
    pub fn job_is_over(&self, job: i64) -> Result<(), NetError> {
        self.db().execute("UPDATE jobs SET over = 1 WHERE number = ?1", params![job])?;
        Ok(())
    }

    /// Keeps a site's consent; a second one replaces the first.
    ///
    /// # Errors
    /// [`NetError::Database`].
    pub fn consent(&self, job: i64, site: u16, body: &[u8]) -> Result<(), NetError> {
        self.db().execute(
            "INSERT OR REPLACE INTO consents (job, site, body) VALUES (?1, ?2, ?3)",
            params![job, site, body],
        )?;
        Ok(())
    }

    /// All consents to a job.
    ///
    /// # Errors
    /// [`NetError::Database`].
    pub fn consents(&self, job: i64) -> Result<Vec<Vec<u8>>, NetError> {
        let db = self.db();
        let mut rows = db.prepare("SELECT body FROM consents WHERE job = ?1 ORDER BY site")?;
        let rows = rows.query_map(params![job], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Writes down how an attempt ended. A round that gave a sum is written once, however often it is reported.
    ///
    /// # Errors
    /// [`NetError::Database`].
    pub fn round(&self, job: i64, row: &RoundRow) -> Result<(), NetError> {
        self.db().execute(
            "INSERT INTO rounds (job, round, model, ended_ms, report) SELECT ?1, ?2, ?3, ?4, ?5
             WHERE ?3 IS NULL OR NOT EXISTS (SELECT 1 FROM rounds WHERE job = ?1 AND round = ?2 AND model IS NOT NULL)",
            params![job, row.round, row.model.map(|hash| hash.0), int(row.ended_ms), row.report],
        )?;
        Ok(())
    }

    /// Takes a round back that gave a sum.
    ///
    /// # Errors
    /// [`NetError::Database`].
    pub fn revoke(&self, job: i64, round: u32, report: &str) -> Result<(), NetError> {
        self.db().execute(
            "UPDATE rounds SET model = NULL, report = ?3 WHERE job = ?1 AND round = ?2 AND model IS NOT NULL",
            params![job, round, report],
        )?;
        self.db().execute("UPDATE jobs SET over = 0 WHERE number = ?1", params![job])?;
        Ok(())
    }

    /// All ended attempts of a job, oldest first.
    ///
    /// # Errors
    /// [`NetError::Database`].
    pub fn rounds(&self, job: i64) -> Result<Vec<RoundRow>, NetError> {
        let db = self.db();
        let sql = "SELECT round, model, ended_ms, report FROM rounds WHERE job = ?1 ORDER BY number";
        let mut rows = db.prepare(sql)?;
        let read = |row: &rusqlite::Row| {
            let model: Option<[u8; 32]> = row.get(1)?;
            let (ended, report) = (uint(row.get(2)?), row.get(3)?);
            Ok(RoundRow { round: row.get(0)?, model: model.map(Hash), ended_ms: ended, report })
        };
        Ok(rows.query_map(params![job], read)?.collect::<rusqlite::Result<_>>()?)
    }
}
