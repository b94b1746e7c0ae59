//! Where a site's journal is kept: two files in a folder of its own, or nowhere.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fovea_secagg::journal::{Storage, StorageError};

/// The files `journal.log` and `journal.head` in one folder, locked against a second process. Writes are
/// flushed to the disk before they count; the head is replaced by renaming.
#[derive(Debug)]
pub struct FileStorage {
    folder: PathBuf,
    log: File,
}

impl FileStorage {
    /// Opens the folder's journal, or starts an empty one.
    ///
    /// # Errors
    /// [`StorageError`]: the folder cannot be made or written, or another process holds the journal.
    pub fn open(folder: &Path) -> Result<Self, StorageError> {
        std::fs::create_dir_all(folder).map_err(|e| failed("making its folder", &e))?;
        let path = folder.join("journal.log");
        let options = OpenOptions::new().read(true).append(true).create(true).clone();
        let log = options.open(path).map_err(|e| failed("opening the log", &e))?;
        log.try_lock().map_err(|error| match error {
            TryLockError::Error(e) => failed("locking the log", &e),
            TryLockError::WouldBlock => {
                let reason = "another process holds it; stop that one first".to_owned();
                StorageError { action: "locking the log", reason }
            }
        })?;
        let storage = Self { folder: folder.to_owned(), log };
        storage.sync_folder()?;
        Ok(storage)
    }

    fn head(&self) -> PathBuf {
        self.folder.join("journal.head")
    }

    /// Makes new names in the folder durable, where the system lets a folder be flushed.
    fn sync_folder(&self) -> Result<(), StorageError> {
        if cfg!(unix) {
            let folder = File::open(&self.folder).and_then(|folder| folder.sync_all());
            folder.map_err(|e| failed("flushing the folder", &e))?;
        }
        Ok(())
    }
}

impl Storage for FileStorage {
    fn load(&mut self) -> Result<(Vec<u8>, Option<Vec<u8>>), StorageError> {
        let mut log = Vec::new();
        let read = self.log.seek(SeekFrom::Start(0)).and_then(|_| self.log.read_to_end(&mut log));
        read.map_err(|e| failed("reading the log", &e))?;
        match std::fs::read(self.head()) {
            Ok(head) => Ok((log, Some(head))),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok((log, None)),
            Err(e) => Err(failed("reading the head", &e)),
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        let written = self.log.write_all(bytes).and_then(|()| self.log.sync_data());
        written.map_err(|e| failed("appending to the log", &e))
    }

    fn replace_head(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        let new = self.folder.join("journal.head.new");
        let written = File::create(&new)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&new, self.head()));
        written.map_err(|e| failed("replacing the head", &e))?;
        self.sync_folder()
    }

    fn truncate(&mut self, len: u64) -> Result<(), StorageError> {
        let cut = self.log.set_len(len).and_then(|()| self.log.sync_data());
        cut.map_err(|e| failed("cutting the log", &e))
    }
}

fn failed(action: &'static str, error: &std::io::Error) -> StorageError {
    StorageError { action, reason: error.to_string() }
}

/// Keeps nothing: for a federation in one process, which is started anew as a whole, with new identities.
#[derive(Debug)]
pub struct Forgetful;

impl Storage for Forgetful {
    fn load(&mut self) -> Result<(Vec<u8>, Option<Vec<u8>>), StorageError> {
        Ok((Vec::new(), None))
    }

    fn append(&mut self, _: &[u8]) -> Result<(), StorageError> {
        Ok(())
    }

    fn replace_head(&mut self, _: &[u8]) -> Result<(), StorageError> {
        Ok(())
    }

    fn truncate(&mut self, _: u64) -> Result<(), StorageError> {
        Ok(())
    }
}
