//! Where a coordinator keeps what it must not forget: one snapshot and a log of records behind it.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use fovea_secagg::journal::StorageError;

/// What a store holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
    /// The snapshot committed last; `None` in a new store.
    pub snapshot: Option<Vec<u8>>,
    /// The records appended since, oldest first.
    pub log: Vec<Vec<u8>>,
}

/// The storage behind a [`DurableCoordinator`](crate::durable::DurableCoordinator). It holds opaque bytes, none
/// of them secret, and serves one coordinator at a time.
///
/// - Every write is durable when it returns `Ok`.
/// - Every write is all or nothing: after an error or a crash, a later [`Self::load`] finds the record or
///   snapshot whole or not at all, and everything before it unchanged. The machine never relies on which of
///   the two happened.
/// - Nobody may ever see an earlier state again once a write has returned: a store restored from a backup makes
///   the coordinator say other things than it said before, and sites refuse it.
///
/// Sizes: a record is one message of a site (up to [`ENVELOPE_MAX`](fovea_secagg::envelope::ENVELOPE_MAX) bytes)
/// and a few bytes more. The records of an attempt are all messages that its sites sent, so about four bytes per
/// model coordinate and site; a commit empties them. A snapshot holds the last two states (model and moments of
/// the server step) and the last published sum: 12 to 28 bytes per coordinate. A database with a limit on the size of a value cuts
/// it into pieces within one transaction.
pub trait Store: Debug + Send {
    /// Everything stored.
    ///
    /// # Errors
    /// [`StorageError`].
    fn load(&mut self) -> Result<Stored, StorageError>;

    /// Adds one record behind the others.
    ///
    /// # Errors
    /// [`StorageError`].
    fn append(&mut self, record: &[u8]) -> Result<(), StorageError>;

    /// Replaces the snapshot and takes all records away, as one step.
    ///
    /// # Errors
    /// [`StorageError`].
    fn commit(&mut self, snapshot: &[u8]) -> Result<(), StorageError>;
}

/// A store in memory. Clones share their content, so it outlives the machine that writes to it.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Stored>>);

impl MemoryStore {
    fn with<T>(&self, f: impl FnOnce(&mut Stored) -> T) -> T {
        // Every change is one assignment, so what a panicking thread leaves behind is whole.
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store for MemoryStore {
    fn load(&mut self) -> Result<Stored, StorageError> {
        Ok(self.with(|stored| stored.clone()))
    }

    fn append(&mut self, record: &[u8]) -> Result<(), StorageError> {
        self.with(|stored| stored.log.push(record.to_vec()));
        Ok(())
    }

    fn commit(&mut self, snapshot: &[u8]) -> Result<(), StorageError> {
        self.with(|stored| *stored = Stored { snapshot: Some(snapshot.to_vec()), log: Vec::new() });
        Ok(())
    }
}
