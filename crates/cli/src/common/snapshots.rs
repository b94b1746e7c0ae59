//! Numbered folders that are written together or not at all: what a training goes on from.

use anyhow::{Context, Result};
use std::fs::File;
use std::path::{Path, PathBuf};

/// The folders `{prefix}{number}` in one folder; the one of the highest number counts.
pub struct Snapshots<'a> {
    folder: &'a Path,
    prefix: String,
}

impl<'a> Snapshots<'a> {
    /// Those of a prefix.
    pub fn new(folder: &'a Path, prefix: String) -> Self {
        Snapshots { folder, prefix }
    }

    /// Has a new folder filled, flushes it, and lets its name appear at once; older ones go afterwards.
    pub fn write(&self, number: u64, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let (partial, target) = (self.path("partial"), self.path(&number.to_string()));
        let at = || format!("{} could not be written", target.display());
        remove(&partial)?;
        std::fs::create_dir_all(&partial).with_context(at)?;
        fill(&partial)?;
        flush(&partial)?;
        let older = self.found()?;
        remove(&target)?;
        std::fs::rename(&partial, &target).with_context(at)?;
        flush(self.folder)?;
        older.iter().filter(|(_, path)| *path != target).try_for_each(|(_, path)| remove(path))
    }

    /// The newest one, if any.
    pub fn newest(&self) -> Result<Option<PathBuf>> {
        Ok(self.found()?.into_iter().max().map(|(_, path)| path))
    }

    /// Removes all of them.
    pub fn clear(&self) -> Result<()> {
        self.found()?.iter().try_for_each(|(_, path)| remove(path))
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.folder.join(format!("{}{suffix}", self.prefix))
    }

    fn found(&self) -> Result<Vec<(u64, PathBuf)>> {
        let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix(&self.prefix)?.parse().ok();
        let entries = std::fs::read_dir(self.folder);
        let entries = entries.with_context(|| format!("{} could not be read", self.folder.display()))?;
        let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        Ok(paths.filter_map(|path| Some((number(&path)?, path))).collect())
    }
}

/// Weights as the bytes of a snapshot's file.
pub fn weights_to_bytes(weights: &[f32]) -> Vec<u8> {
    weights.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// Weights from [`weights_to_bytes`].
pub fn weights_from_bytes(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

/// Removes a file or a folder; none is none to remove.
pub fn remove(path: &Path) -> Result<()> {
    let result = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} could not be removed", path.display()))
        }
        _ => Ok(()),
    }
}

/// Makes the names in a folder durable, where the system lets a folder be flushed.
fn flush(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        let flushed = File::open(folder).and_then(|folder| folder.sync_all());
        flushed.with_context(|| format!("{} could not be flushed", folder.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_whole_folder_counts_and_older_ones_go() {
        let folder = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::new(folder.path(), "run.".to_owned());
        let other = Snapshots::new(folder.path(), "other.".to_owned());
        assert_eq!(snapshots.newest().unwrap(), None);
        let write = |number: u64| {
            snapshots.write(number, |path| Ok(std::fs::write(path.join("a"), number.to_string())?))
        };
        write(9).unwrap();
        other.write(11, |_| Ok(())).unwrap();
        write(10).unwrap();
        assert_eq!(snapshots.newest().unwrap(), Some(folder.path().join("run.10")));
        assert!(!folder.path().join("run.9").exists());
        assert!(snapshots.write(11, |_| anyhow::bail!("full")).is_err());
        assert_eq!(snapshots.newest().unwrap(), Some(folder.path().join("run.10")));
        write(10).unwrap();
        snapshots.clear().unwrap();
        assert_eq!(snapshots.newest().unwrap(), None);
        assert_eq!(other.newest().unwrap(), Some(folder.path().join("other.11")));
    }
}
