//! Disks that outlive the processes that write to them, with a fuse that decides which write goes wrong.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fovea_fed::state::ServerState;
use fovea_fed::store::{Store, Stored};
use fovea_secagg::journal::{Storage, StorageError};

/// How a write goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process dies before it.
    Before,
    /// The process dies after it.
    After,
    /// The process dies when this many bytes are written.
    Torn(usize),
    /// The write does nothing and says so.
    Error,
}

/// Which write goes wrong: after this many good ones, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fuse(pub u64, pub Fault);

#[derive(Debug, Default)]
struct Inner {
    log: Vec<u8>,
    head: Option<Vec<u8>>,
    state: Option<ServerState>,
    stored: Stored,
    fuse: Option<Fuse>,
    burnt: bool,
    writes: u64,
}

/// The disk of one party. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<Inner>>);

impl Disk {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets which write goes wrong next.
    pub fn arm(&self, fuse: Option<Fuse>) {
        let mut inner = self.inner();
        (inner.fuse, inner.burnt) = (fuse, false);
    }

    /// No write goes wrong any more; what is burnt stays so.
    pub fn disarm(&self) {
        self.inner().fuse = None;
    }

    /// Whether a write went wrong since the fuse was set: the process that wrote is to be dead.
    pub fn is_burnt(&self) -> bool {
        self.inner().burnt
    }

    /// Writes so far.
    pub fn writes(&self) -> u64 {
        self.inner().writes
    }

    /// The state saved last.
    pub fn state(&self) -> Option<ServerState> {
        self.inner().state.clone()
    }

    /// Saves a state, whole or not at all.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn save_state(&self, state: &ServerState) -> Result<(), StorageError> {
        self.write(|inner, whole| {
            if whole.is_none() {
                inner.state = Some(state.clone());
            }
        })
    }

    /// Everything a coordinator stored, for one that will deny it.
    pub fn stored(&self) -> Stored {
        self.inner().stored.clone()
    }

    /// Puts a coordinator's store back.
    pub fn put_back(&self, stored: Stored) {
        self.inner().stored = stored;
    }

    /// One write. `change` is told how many bytes get through, if not all; it may take none as not at all.
    fn write(&self, change: impl FnOnce(&mut Inner, Option<usize>)) -> Result<(), StorageError> {
        let mut inner = self.inner();
        inner.writes += 1;
        let failed = |reason: &str| StorageError { action: "writing", reason: reason.to_owned() };
        if inner.burnt {
            return Err(failed("the process is dead"));
        }
        let fault = match &mut inner.fuse {
            None => None,
            Some(Fuse(0, fault)) => Some(*fault),
            Some(Fuse(left, _)) => {
                *left -= 1;
                None
            }
        };
        inner.burnt = fault.is_some();
        match fault {
            None => change(&mut inner, None),
            Some(Fault::After) => {
                change(&mut inner, None);
                return Err(failed("killed after it"));
            }
            Some(Fault::Torn(bytes)) => {
                change(&mut inner, Some(bytes));
                return Err(failed("killed in the middle"));
            }
            Some(Fault::Before) => return Err(failed("killed before it")),
            Some(Fault::Error) => return Err(failed("disk error")),
        }
        Ok(())
    }
}

impl Storage for Disk {
    fn load(&mut self) -> Result<(Vec<u8>, Option<Vec<u8>>), StorageError> {
        let inner = self.inner();
        Ok((inner.log.clone(), inner.head.clone()))
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.write(|inner, part| {
            inner.log.extend_from_slice(&bytes[..part.unwrap_or(bytes.len()).min(bytes.len())]);
        })
    }

    fn replace_head(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.write(|inner, part| {
            if part.is_none() {
                inner.head = Some(bytes.to_vec());
            }
        })
    }

    fn truncate(&mut self, len: u64) -> Result<(), StorageError> {
        self.write(|inner, part| {
            if part.is_none() {
                inner.log.truncate(len as usize);
            }
        })
    }
}

impl Store for Disk {
    fn load(&mut self) -> Result<Stored, StorageError> {
        Ok(self.stored())
    }

    fn append(&mut self, record: &[u8]) -> Result<(), StorageError> {
        self.write(|inner, part| {
            if part.is_none() {
                inner.stored.log.push(record.to_vec());
            }
        })
    }

    fn commit(&mut self, snapshot: &[u8]) -> Result<(), StorageError> {
        self.write(|inner, part| {
            if part.is_none() {
                inner.stored = Stored { snapshot: Some(snapshot.to_vec()), log: Vec::new() };
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fuse_burns_at_its_write_and_nothing_is_written_after() {
        let written = [(Fault::Before, 2), (Fault::After, 4), (Fault::Torn(1), 3), (Fault::Error, 2)];
        for (fault, bytes) in written {
            let disk = Disk::default();
            let mut storage = disk.clone();
            disk.arm(Some(Fuse(1, fault)));
            Storage::append(&mut storage, b"ab").unwrap();
            assert!(!disk.is_burnt());
            assert!(Storage::append(&mut storage, b"cd").is_err() && disk.is_burnt());
            assert!(Storage::append(&mut storage, b"ef").is_err());
            assert_eq!(Storage::load(&mut storage).unwrap().0.len(), bytes, "{fault:?}");
            disk.arm(None);
            Storage::append(&mut storage, b"gh").unwrap();
        }
    }
}
