//! Which photographs a command line names.

use super::ENDINGS;
use anyhow::{Context, Result, bail, ensure};
use fovea_data::{DataError, decode};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes of a file that tell its format.
const HEAD_BYTES: u64 = 64;

/// One file.
#[derive(Debug, PartialEq)]
pub struct Input {
    /// The file.
    pub path: PathBuf,
    /// Its name without extension, nor `.gz`.
    stem: OsString,
    /// Why it is no photograph; only for files that were found in a folder.
    pub skip: Option<String>,
}

/// The files named, and those in the folders named, in this order and by name.
///
/// Two photographs whose results would have the same names are refused before anything is done: a silent suffix could
/// send one patient's mask to another.
pub fn collect(paths: &[PathBuf]) -> Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for path in paths {
        if path.is_dir() {
            inputs.extend(folder(path)?);
            continue;
        }
        // A pipe would be waited for. A file that is missing fails in its turn, like one that is damaged.
        ensure!(path.is_file() || !path.exists(), "{}: not a regular file", path.display());
        inputs.push(Input { path: path.clone(), stem: stem(path), skip: None });
    }
    let photographs = inputs.iter().filter(|i| i.skip.is_none()).count();
    ensure!(photographs > 0, "{}: no photographs in it", paths[0].display());
    let mut seen = BTreeMap::new();
    for input in inputs.iter().filter(|i| i.skip.is_none()) {
        // Some file systems take `A.png` and `a.png` for the same name.
        if let Some(first) = seen.insert(input.stem.to_string_lossy().to_lowercase(), &input.path) {
            bail!(
                "{} and {} would both become {}{}: rename one, or predict them into two folders",
                first.display(),
                input.path.display(),
                input.stem.display(),
                ENDINGS[1]
            );
        }
    }
    Ok(inputs)
}

impl Input {
    /// The result files, as in [`ENDINGS`].
    pub fn outputs(&self, out: &Path) -> [PathBuf; 3] {
        ENDINGS.map(|ending| {
            let mut name = self.stem.clone();
            name.push(ending);
            out.join(name)
        })
    }
}

/// A folder's own files; what does not begin like an image is listed, with the reason.
fn folder(folder: &Path) -> Result<Vec<Input>> {
    let at = || folder.display().to_string();
    let mut inputs = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(at)? {
        let path = entry.with_context(at)?.path();
        if path.is_dir() {
            continue;
        }
        let (stem, skip) = (stem(&path), no_photograph(&path));
        inputs.push(Input { path, stem, skip });
    }
    inputs.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(inputs)
}

/// Why a file is no photograph, judged by its first bytes. What cannot be read is left to fail with its own reason.
fn no_photograph(path: &Path) -> Option<String> {
    if !path.metadata().is_ok_and(|m| m.is_file()) {
        return Some("not a regular file".to_owned());
    }
    let mut head = Vec::new();
    File::open(path).ok()?.take(HEAD_BYTES).read_to_end(&mut head).ok()?;
    match decode(path, &head) {
        Err(error @ DataError::UnknownFormat { .. }) => Some(error.to_string()),
        _ => None,
    }
}

fn stem(path: &Path) -> OsString {
    let gzipped = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"));
    let inner = if gzipped { path.with_extension("") } else { path.to_path_buf() };
    inner.file_stem().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_keep_inner_dots() {
        for (name, expected) in [
            ("a/im0001.ppm.gz", "im0001"),
            ("a.b/2020.01.02.JPG", "2020.01.02"),
            ("x.png", "x"),
            ("noextension", "noextension"),
            (".hidden", ".hidden"),
        ] {
            assert_eq!(stem(Path::new(name)), expected);
        }
    }
}
