//! Large values as files, named by their SHA-256.

use crate::error::NetError;
use crate::hex;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

const PARTIAL: &str = "partial-";

/// A folder of files that are written once.
#[derive(Debug)]
pub(super) struct Blobs {
    folder: PathBuf,
    partial: AtomicU64,
}

impl Blobs {
    pub(super) fn open(folder: PathBuf) -> Result<Self, NetError> {
        std::fs::create_dir_all(&folder).map_err(NetError::file(&folder, "making the folder"))?;
        Ok(Self { folder, partial: AtomicU64::new(0) })
    }

    /// Writes and flushes a value; its name.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<String, NetError> {
        let name = hex::encode(&Sha256::digest(bytes));
        let path = self.folder.join(&name);
        if path.exists() {
            return Ok(name);
        }
        let number = self.partial.fetch_add(1, Ordering::Relaxed);
        let partial = self.folder.join(format!("{PARTIAL}{}-{number}", std::process::id()));
        let mut file = File::create(&partial).map_err(NetError::file(&partial, "writing"))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(NetError::file(&partial, "writing"))?;
        std::fs::rename(&partial, &path).map_err(NetError::file(&path, "writing"))?;
        if cfg!(unix) {
            let flushed = File::open(&self.folder).and_then(|folder| folder.sync_all());
            flushed.map_err(NetError::file(&self.folder, "flushing"))?;
        }
        Ok(name)
    }

    /// Reads a value and checks that it is the one that its name says.
    pub(super) fn get(&self, name: &str) -> Result<Vec<u8>, NetError> {
        let path = self.folder.join(name);
        let bytes = std::fs::read(&path).map_err(NetError::file(&path, "reading"))?;
        if hex::encode(&Sha256::digest(&bytes)) != name {
            let why =
                "its content is not the one that was written; restore the coordinator's folder".to_owned();
            return Err(NetError::Unusable { what: path.display().to_string(), why });
        }
        Ok(bytes)
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), NetError> {
        let path = self.folder.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(NetError::file(&path, "removing")(error))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn names(&self) -> Result<Vec<String>, NetError> {
        let unreadable = |e| NetError::file(&self.folder, "reading")(e);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(unreadable)? {
            let name = entry.map_err(|e| NetError::file(&self.folder, "reading")(e))?.file_name();
            names.extend(name.into_string());
        }
        Ok(names)
    }
}
