//! Invitations and the sites that accepted one.

use super::{Store, int, uint};
use crate::api::{Refused, join_proof};
use crate::error::NetError;
use fovea_secagg::hash::Hash;
use fovea_secagg::identity::PublicKey;
use rusqlite::{OptionalExtension, TransactionBehavior, params};

/// A site that has joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub site: String,
    /// Its key.
    pub key: PublicKey,
    /// When it joined, milliseconds since 1970.
    pub joined_ms: u64,
}

impl Store {
    /// Writes an invitation down.
    ///
    /// # Errors
    /// [`NetError::Database`].
    pub fn invite(&self, site: &str, verifier: Hash, expires_ms: u64) -> Result<(), NetError> {
        self.db().execute(
            "INSERT INTO invitations (verifier, site, expires_ms) VALUES (?1, ?2, ?3)",
            params![verifier.0, site, int(expires_ms)],
        )?;
        Ok(())
    }

    /// Uses an invitation up and enrols the site, or neither. A site that is invited again replaces its key, unless
    /// a job is under way: its roster has the old one.
    ///
    /// # Errors
    /// [`NetError::Refused`], [`NetError::Database`].
    pub fn enrol(&self, site: &str, key: &PublicKey, proof: Hash, now_ms: u64) -> Result<(), NetError> {
        let mut db = self.db();
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (verifier, expires_ms, used) = {
            let mut rows = transaction
                .prepare("SELECT verifier, expires_ms, used_ms FROM invitations WHERE site = ?1")?;
            let read = |row: &rusqlite::Row| {
                Ok((Hash(row.get::<_, [u8; 32]>(0)?), uint(row.get(1)?), row.get::<_, Option<i64>>(2)?))
            };
            let rows = rows.query_map(params![site], read)?.collect::<rusqlite::Result<Vec<_>>>()?;
            let held = rows.into_iter().find(|(verifier, ..)| join_proof(*verifier, site, key) == proof);
            held.ok_or(NetError::Refused(Refused::Invitation))?
        };
        let enrolled: Option<[u8; 32]> = transaction
            .query_row("SELECT key FROM members WHERE site = ?1", params![site], |row| row.get(0))
            .optional()?;
        // The answer to a successful request may be lost: the same key may ask again.
        if used.is_some() && enrolled == Some(key.to_bytes()) {
            return Ok(());
        }
        if used.is_some() {
            return Err(NetError::Refused(Refused::InvitationUsed));
        }
        if now_ms > expires_ms {
            return Err(NetError::Refused(Refused::InvitationExpired));
        }
        let running: bool =
            transaction
                .query_row("SELECT EXISTS (SELECT 1 FROM jobs WHERE over = 0)", [], |row| row.get(0))?;
        if running && enrolled.is_some() {
            return Err(NetError::Refused(Refused::Unexpected));
        }
        transaction.execute(
            "UPDATE invitations SET used_ms = ?1 WHERE verifier = ?2",
            params![int(now_ms), verifier.0],
        )?;
        transaction.execute(
            "INSERT OR REPLACE INTO members (site, key, joined_ms) VALUES (?1, ?2, ?3)",
            params![site, key.to_bytes(), int(now_ms)],
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// All sites that have joined, by name.
    ///
    /// # Errors
    /// [`NetError::Database`], [`NetError::Unusable`] for a damaged key.
    pub fn members(&self) -> Result<Vec<Member>, NetError> {
        let db = self.db();
        let mut rows = db.prepare("SELECT site, key, joined_ms FROM members ORDER BY site")?;
        let read = |row: &rusqlite::Row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, [u8; 32]>(1)?, row.get::<_, i64>(2)?))
        };
        let rows = rows.query_map([], read)?.collect::<rusqlite::Result<Vec<_>>>()?;
        let member = |(site, key, joined): (String, [u8; 32], i64)| {
            let why = "its key is damaged; restore the database".to_owned();
            let key = PublicKey::from_bytes(&key)
                .ok_or(NetError::Unusable { what: format!("member {site}"), why })?;
            Ok(Member { site, key, joined_ms: uint(joined) })
        };
        rows.into_iter().map(member).collect()
    }
}
