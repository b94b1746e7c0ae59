//! Named arrays with a JSON description in one safetensors file, written atomically and checked by hash.
//!
//! The file's `__metadata__` has one key, `fovea`, whose text is `{"sha256": .., "description": ..}`. (One key, because
//! the format's map of keys has no order, and the same content should be the same bytes.)

use crate::FileError;
use crate::parameters::{hash_numbers, hex};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

const KEY: &str = "fovea";

/// The content of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorFile {
    /// JSON text.
    pub description: String,
    /// The arrays, sorted by name when read.
    pub tensors: Vec<NamedTensor>,
}

/// One array.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// Its name in the file.
    pub name: String,
    /// Extents, outermost first.
    pub dims: Vec<usize>,
    /// Their product many numbers, row-major.
    pub data: Vec<f32>,
}

#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    sha256: String,
    #[serde(borrow)]
    description: &'a RawValue,
}

impl TensorFile {
    /// Writes the file so that a crash at any moment leaves the old content or the new: a temporary file in the same
    /// folder, synchronised, then renamed, then the folder synchronised.
    ///
    /// # Errors
    /// When the description is no JSON, a tensor's length is not its extents', or the system refuses.
    pub fn save(&self, path: &Path) -> Result<(), FileError> {
        let bytes = self.to_bytes(path)?;
        let temporary = temporary_path(path);
        let io = |source| FileError::Io { path: path.display().to_string(), source };
        let mut file = File::create(&temporary).map_err(io)?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(io)?;
        std::fs::rename(&temporary, path).map_err(io)?;
        match path.parent().filter(|p| !p.as_os_str().is_empty()) {
            Some(folder) => sync_folder(folder).map_err(io),
            None => sync_folder(Path::new(".")).map_err(io),
        }
    }

    /// Reads and checks a file of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// Any [`FileError`]; nothing beyond `bytes_max` is ever allocated.
    pub fn load(path: &Path, bytes_max: u64) -> Result<Self, FileError> {
        let io = |source| FileError::Io { path: path.display().to_string(), source };
        let file = File::open(path).map_err(io)?;
        let found = file.metadata().map_err(io)?.len();
        if found > bytes_max {
            return Err(FileError::TooLarge { path: path.display().to_string(), found, bytes_max });
        }
        let mut bytes = Vec::with_capacity(found as usize);
        file.take(bytes_max).read_to_end(&mut bytes).map_err(io)?;
        Self::from_bytes(&bytes, path)
    }

    /// The file's bytes; `path` is for messages.
    ///
    /// # Errors
    /// When the description is no JSON or a tensor's length is not its extents'.
    pub fn to_bytes(&self, path: &Path) -> Result<Vec<u8>, FileError> {
        let format = |what: String| FileError::Format { path: path.display().to_string(), what };
        let description: &RawValue =
            serde_json::from_str(&self.description).map_err(|e| format(e.to_string()))?;
        let envelope = Envelope { sha256: self.hash(), description };
        let envelope = serde_json::to_string(&envelope).map_err(|e| format(e.to_string()))?;
        let data: Vec<Vec<u8>> =
            self.tensors.iter().map(|t| t.data.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
        let mut views = Vec::with_capacity(data.len());
        for (tensor, bytes) in self.tensors.iter().zip(&data) {
            let view = TensorView::new(Dtype::F32, tensor.dims.clone(), bytes);
            views.push((tensor.name.as_str(), view.map_err(|e| format(e.to_string()))?));
        }
        let metadata = HashMap::from([(KEY.to_owned(), envelope)]);
        safetensors::serialize(views, Some(metadata)).map_err(|e| format(e.to_string()))
    }

    /// Reads a file's bytes; `path` is for messages.
    ///
    /// # Errors
    /// [`FileError::Format`], [`FileError::Foreign`], [`FileError::Tensor`] or [`FileError::Hash`].
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self, FileError> {
        let name = || path.display().to_string();
        let format = |what: String| FileError::Format { path: name(), what };
        let foreign = |what: String| FileError::Foreign { path: name(), what };
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| format(e.to_string()))?;
        let text = metadata.metadata().as_ref().and_then(|m| m.get(KEY));
        let text = text.ok_or_else(|| foreign(format!("`{KEY}` is missing from `__metadata__`")))?;
        let envelope: Envelope = serde_json::from_str(text).map_err(|e| foreign(e.to_string()))?;
        let file = SafeTensors::deserialize(bytes).map_err(|e| format(e.to_string()))?;
        let mut tensors = Vec::with_capacity(file.len());
        for (tensor, view) in file.iter() {
            if view.dtype() != Dtype::F32 {
                let (expected, found) = ("F32".to_owned(), format!("{:?}", view.dtype()));
                return Err(FileError::Tensor { path: name(), tensor: tensor.to_owned(), expected, found });
            }
            let (numbers, _) = view.data().as_chunks::<4>();
            let data = numbers.iter().map(|b| f32::from_le_bytes(*b)).collect();
            tensors.push(NamedTensor { name: tensor.to_owned(), dims: view.shape().to_vec(), data });
        }
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        let content = TensorFile { description: envelope.description.get().to_owned(), tensors };
        let found = content.hash();
        if found == envelope.sha256 {
            return Ok(content);
        }
        Err(FileError::Hash { path: name(), expected: envelope.sha256, found })
    }

    /// Takes a tensor out by name.
    #[must_use]
    pub fn take(&mut self, name: &str) -> Option<NamedTensor> {
        let at = self.tensors.iter().position(|t| t.name == name)?;
        Some(self.tensors.swap_remove(at))
    }

    /// SHA-256 over the description's text and, by name, each tensor's name, extents and numbers.
    fn hash(&self) -> String {
        let mut sorted: Vec<&NamedTensor> = self.tensors.iter().collect();
        sorted.sort_by(|a, b| a.name.cmp(&b.name));
        let mut hash = Sha256::new_with_prefix(b"fovea tensor file 1\n");
        hash.update((self.description.len() as u64).to_le_bytes());
        hash.update(&self.description);
        for tensor in sorted {
            hash.update((tensor.name.len() as u64).to_le_bytes());
            hash.update(format!("{} {:?}\n", tensor.name, tensor.dims));
            hash_numbers(&mut hash, &tensor.data);
        }
        hex(&hash.finalize())
    }
}

/// A name in the same folder, so that the rename stays inside one file system.
fn temporary_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}

/// Makes the rename itself durable; only Unix lets a folder be opened for that.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> TensorFile {
        let tensor = |name: &str, dims: &[usize]| NamedTensor {
            name: name.to_owned(),
            dims: dims.to_vec(),
            data: (0..dims.iter().product::<usize>()).map(|i| i as f32 - 0.5).collect(),
        };
        TensorFile {
            description: r#"{"b": 1, "a": [0.1]}"#.to_owned(),
            tensors: vec![tensor("a", &[2, 3]), tensor("b", &[4])],
        }
    }

    #[test]
    fn the_same_content_is_the_same_bytes_and_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        example().save(&path).unwrap();
        let first = std::fs::read(&path).unwrap();
        example().save(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first);
        assert_eq!(TensorFile::load(&path, 1 << 20).unwrap(), example());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
        assert!(matches!(TensorFile::load(&path, 10), Err(FileError::TooLarge { bytes_max: 10, .. })));
        let missing = TensorFile::load(&folder.path().join("y"), 10);
        assert!(matches!(missing, Err(FileError::Io { .. })));
    }

    #[test]
    fn foreign_files_are_refused() {
        let data = [0u8; 4];
        let view = TensorView::new(Dtype::F32, vec![1], &data).unwrap();
        let bytes = safetensors::serialize([("a", view)], None).unwrap();
        let found = TensorFile::from_bytes(&bytes, Path::new("other"));
        assert!(matches!(found, Err(FileError::Foreign { .. })));
    }

    #[test]
    fn lengths_that_do_not_fill_the_extents_are_refused() {
        let mut file = example();
        file.tensors[0].data.pop();
        assert!(matches!(file.to_bytes(Path::new("x")), Err(FileError::Format { .. })));
    }

    proptest! {
        /// No prefix of a file is taken for the file.
        #[test]
        fn truncation_is_an_error(keep in 0.0f64..1.0) {
            let bytes = example().to_bytes(Path::new("x")).unwrap();
            let length = (bytes.len() as f64 * keep) as usize;
            let found = TensorFile::from_bytes(&bytes[..length], Path::new("x"));
            let refused = matches!(found, Err(FileError::Format { .. }));
            prop_assert!(refused);
        }

        /// Any flipped bit is noticed, save in the padding of the header, where it changes nothing.
        #[test]
        fn damage_is_noticed(at in 0usize..10_000, bit in 0u8..8) {
            let bytes = example().to_bytes(Path::new("x")).unwrap();
            let mut damaged = bytes.clone();
            let at = at % damaged.len();
            damaged[at] ^= 1 << bit;
            if let Ok(found) = TensorFile::from_bytes(&damaged, Path::new("x")) {
                prop_assert_eq!(found, example());
            }
        }
    }
}
