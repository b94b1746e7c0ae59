//! A site's journal: an append-only log of sealed records and a sealed head that says how far it goes.
//!
//! | part | content |
//! |---|---|
//! | record | length of the box, u32 little-endian; nonce, 24 bytes; the box |
//! | head | nonce, 24 bytes; box over the number of records, bytes, chain digest and attempt key |
//!
//! Boxes are XChaCha20-Poly1305 under the site's local key with a random nonce each (the extended nonce makes
//! that safe) and bound to their place by the chain digest over everything before. An append writes the record,
//! then replaces the head; a machine acts on the record only afterwards. So whatever the head covers must be
//! there, whole and in order, and what lies behind it was never acted on: a write that was cut short, which is
//! taken off.
//!
//! Secrets of an attempt are sealed once more under a key that only the head holds. Replacing the head at the
//! attempt's end forgets it, and the log's old records stay closed even to who finds the local key later.
//!
//! What cannot be noticed from inside: log and head put back together to an earlier state of both.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use fovea_wire::{Bytes, WireError};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::hash::Hash;
use crate::secret::{Entropy, EntropyError, Secret};

/// Longest record, in bytes.
pub const RECORD_MAX: usize = 1 << 20;

const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;

/// Where a journal's bytes are kept. Every write is durable when it returns.
pub trait Storage: std::fmt::Debug + Send {
    /// All bytes of the log, and the head if there has ever been one.
    ///
    /// # Errors
    /// [`StorageError`].
    fn load(&mut self) -> Result<(Vec<u8>, Option<Vec<u8>>), StorageError>;
    /// Adds bytes at the end of the log.
    ///
    /// # Errors
    /// [`StorageError`]; the log may then end in a part of the bytes.
    fn append(&mut self, bytes: &[u8]) -> Result<(), StorageError>;
    /// Replaces the head, all or nothing.
    ///
    /// # Errors
    /// [`StorageError`]; the head is then the old or the new one.
    fn replace_head(&mut self, bytes: &[u8]) -> Result<(), StorageError>;
    /// Cuts the log to its first `len` bytes.
    ///
    /// # Errors
    /// [`StorageError`].
    fn truncate(&mut self, len: u64) -> Result<(), StorageError>;
}

/// A storage that did not do its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("storage, {action}: {reason}")]
pub struct StorageError {
    /// What was to be done.
    pub action: &'static str,
    /// What the system said.
    pub reason: String,
}

/// Why a journal cannot be opened or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The head is missing beside a log, or is not what this key sealed.
    #[error("the head of the journal is {what}; restore the journal or enrol this site anew")]
    Head {
        /// What is wrong.
        what: &'static str,
    },
    /// A record that the head vouches for is gone or changed.
    #[error(
        "record {record} of the journal, at byte {offset}, is {what}; restore the journal or enrol this site anew"
    )]
    Record {
        /// Number of the record, from 0.
        record: u64,
        /// Its first byte in the log.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A record that cannot be written or read.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Writing failed before; nothing can be added until the journal is opened again.
    #[error("an earlier write to the journal failed; open it again")]
    Broken,
}

/// A record read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The record.
    pub record: Vec<u8>,
    /// Its secrets, if their attempt is still open.
    pub secrets: Option<Zeroizing<Vec<u8>>>,
}

/// What an append does to the key of the attempt under way.
#[derive(Debug, Clone, Copy)]
pub enum Attempt<'a> {
    /// A new attempt: these secrets are kept with the record, those of any other attempt are forgotten.
    Begin(&'a [u8]),
    /// The same attempt goes on.
    Keep,
    /// The attempt is over: its secrets are forgotten.
    End,
}

/// The open journal of a site.
#[derive(Debug)]
pub struct Journal {
    storage: Box<dyn Storage>,
    key: Secret,
    head: Head,
    broken: bool,
}

#[derive(Debug, Clone)]
struct Head {
    records: u64,
    bytes: u64,
    chain: Hash,
    attempt_key: Option<Secret>,
}

#[derive(Serialize, Deserialize)]
struct WrittenHead {
    records: u64,
    bytes: u64,
    chain: Hash,
    attempt_key: Option<[u8; 32]>,
}

#[derive(Serialize, Deserialize)]
struct WrittenRecord {
    record: Bytes,
    secrets: Option<Bytes>,
}

impl Journal {
    /// Opens the journal with the site's local key and reads it back; starts one where there is none.
    ///
    /// # Errors
    /// [`JournalError`]: any byte missing or changed within what the head covers.
    pub fn open(
        mut storage: Box<dyn Storage>,
        key: Secret,
        entropy: &mut dyn Entropy,
    ) -> Result<(Self, Vec<Entry>), JournalError> {
        let (log, head) = storage.load()?;
        let Some(head) = head else {
            if !log.is_empty() {
                return Err(JournalError::Head { what: "missing" });
            }
            let head = Head { records: 0, bytes: 0, chain: Hash([0; 32]), attempt_key: None };
            let mut journal = Self { storage, key, head, broken: false };
            journal.write_head(entropy)?;
            return Ok((journal, Vec::new()));
        };
        let head = Head::open(&key, &head)?;
        let entries = read(&key, &log, &head)?;
        if log.len() as u64 > head.bytes {
            storage.truncate(head.bytes)?;
        }
        Ok((Self { storage, key, head, broken: false }, entries))
    }

    /// Number of records.
    pub fn len(&self) -> u64 {
        self.head.records
    }

    /// Whether nothing was ever written.
    pub fn is_empty(&self) -> bool {
        self.head.records == 0
    }

    /// Adds a record. When this returns, it is durable and may be acted on.
    ///
    /// # Errors
    /// [`JournalError`]; nothing may then be acted on, and the journal takes no more until opened again.
    pub fn append(
        &mut self,
        record: &[u8],
        attempt: Attempt<'_>,
        entropy: &mut dyn Entropy,
    ) -> Result<(), JournalError> {
        if self.broken {
            return Err(JournalError::Broken);
        }
        self.broken = true;
        let mut next = self.head.clone();
        let secrets = match attempt {
            Attempt::Begin(secrets) => {
                let key = Secret::draw(entropy)?;
                let sealed = seal(&key, SECRETS, self.head.chain, secrets, entropy)?;
                next.attempt_key = Some(key);
                Some(Bytes(sealed))
            }
            Attempt::Keep => None,
            Attempt::End => {
                next.attempt_key = None;
                None
            }
        };
        let body = WrittenRecord { record: Bytes(record.to_vec()), secrets };
        let sealed =
            seal(&self.key, RECORD, self.head.chain, &fovea_wire::to_body(&body, RECORD_MAX)?, entropy)?;
        let mut frame = (sealed.len() as u32).to_le_bytes().to_vec();
        frame.extend_from_slice(&sealed);
        self.storage.append(&frame)?;
        next.records += 1;
        next.bytes += frame.len() as u64;
        next.chain = chained(self.head.chain, &frame);
        self.head = next;
        self.write_head(entropy)?;
        self.broken = false;
        Ok(())
    }

    fn write_head(&mut self, entropy: &mut dyn Entropy) -> Result<(), JournalError> {
        let Head { records, bytes, chain, ref attempt_key } = self.head;
        let attempt_key = attempt_key.as_ref().map(|key| *key.expose());
        let mut written = WrittenHead { records, bytes, chain, attempt_key };
        let plain = Zeroizing::new(fovea_wire::to_body_in(&written, Vec::with_capacity(256), 256)?);
        written.attempt_key.zeroize();
        let sealed = seal(&self.key, HEAD, Hash([0; 32]), &plain, entropy)?;
        Ok(self.storage.replace_head(&sealed)?)
    }
}

impl Head {
    fn open(key: &Secret, sealed: &[u8]) -> Result<Self, JournalError> {
        let damaged = JournalError::Head { what: "damaged, or sealed with another key" };
        let plain = open(key, HEAD, Hash([0; 32]), sealed).ok_or(damaged)?;
        let WrittenHead { records, bytes, chain, attempt_key } = fovea_wire::from_body(&plain, 256)?;
        Ok(Self { records, bytes, chain, attempt_key: attempt_key.map(Secret::new) })
    }
}

/// Reads every record that the head covers.
fn read(key: &Secret, log: &[u8], head: &Head) -> Result<Vec<Entry>, JournalError> {
    let (mut entries, mut at, mut chain) = (Vec::new(), 0usize, Hash([0; 32]));
    for record in 0..head.records {
        let damaged = |what| JournalError::Record { record, offset: at as u64, what };
        let rest = log.get(at..).unwrap_or_default();
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(damaged("cut off"))?;
        let length = u32::from_le_bytes(*length) as usize;
        let sealed = rest.get(..length).ok_or(damaged("cut off"))?;
        let plain = open(key, RECORD, chain, sealed).ok_or(damaged("changed"))?;
        let WrittenRecord { record: Bytes(body), secrets } = fovea_wire::from_body(&plain, RECORD_MAX)?;
        let reopened = secrets.as_ref().zip(head.attempt_key.as_ref());
        let secrets = reopened.and_then(|(sealed, key)| open(key, SECRETS, chain, &sealed.0));
        entries.push(Entry { record: body, secrets });
        chain = chained(chain, &log[at..at + 4 + length]);
        at += 4 + length;
    }
    if at as u64 != head.bytes || chain != head.chain {
        return Err(JournalError::Record { record: head.records, offset: at as u64, what: "out of step" });
    }
    Ok(entries)
}

/// The purposes of the boxes, part of their associated data.
const RECORD: &str = "fovea/journal/record/v1";
const HEAD: &str = "fovea/journal/head/v1";
const SECRETS: &str = "fovea/journal/secrets/v1";

fn chained(chain: Hash, frame: &[u8]) -> Hash {
    Hash::of("fovea/journal/chain/v1", &[&chain.0, frame])
}

/// Nonce and box.
fn seal(
    key: &Secret,
    purpose: &str,
    chain: Hash,
    plain: &[u8],
    entropy: &mut dyn Entropy,
) -> Result<Vec<u8>, JournalError> {
    let mut nonce = [0; NONCE_LEN];
    entropy.fill(&mut nonce)?;
    let aad = Hash::of(purpose, &[&chain.0]);
    let payload = Payload { msg: plain, aad: &aad.0 };
    let sealed = cipher(key).encrypt(&XNonce::from(nonce), payload);
    let sealed = sealed.map_err(|_| WireError::TooLong { limit: RECORD_MAX, found: plain.len() })?;
    Ok([&nonce[..], &sealed].concat())
}

fn open(key: &Secret, purpose: &str, chain: Hash, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
    if sealed.len() < TAG_LEN {
        return None;
    }
    let aad = Hash::of(purpose, &[&chain.0]);
    let payload = Payload { msg: sealed, aad: &aad.0 };
    cipher(key).decrypt(&XNonce::from(*nonce), payload).ok().map(Zeroizing::new)
}

fn cipher(key: &Secret) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Key::from(*key.expose()))
}
