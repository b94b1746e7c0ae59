//! Reads the golden cases in `fixtures/ops`: results of PyTorch in float64, written once by `generate.py` there.

use safetensors::{Dtype, SafeTensorError, SafeTensors};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{fs, io};

/// One golden case.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The op's name.
    pub op: String,
    /// The file's name without extension.
    pub name: String,
    /// The op's attributes and the case's provenance, as text.
    pub attributes: HashMap<String, String>,
    /// In the order of the op's docs. All are float32 numbers except the optimisers' `hyper`.
    pub inputs: Vec<Array>,
    /// The result; for updates in place the updated inputs, in order of position.
    pub outputs: Vec<Array>,
}

/// Extents and numbers, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Extents, outermost first.
    pub dims: Vec<usize>,
    /// The numbers.
    pub data: Vec<f64>,
}

/// Why a golden file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// The file system's answer.
    #[error("{path}: {source}; fixtures/ops/generate.py writes the golden files")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// The file is not a safetensors file.
    #[error("{path}: {source}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: SafeTensorError,
    },
    /// A tensor is not float64.
    #[error("{path}: {tensor} is {found:?}, expected F64")]
    Type {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// Its type.
        found: Dtype,
    },
}

impl Case {
    /// An attribute as a number or flag.
    ///
    /// # Panics
    /// When it is missing or of another type.
    #[must_use]
    pub fn attribute<T: FromStr>(&self, key: &str) -> T {
        let parsed = self.attributes.get(key).and_then(|text| text.parse().ok());
        parsed.unwrap_or_else(|| panic!("{}/{}: attribute {key} is missing or malformed", self.op, self.name))
    }
}

impl Array {
    /// The numbers as float32.
    #[must_use]
    pub fn to_f32(&self) -> Vec<f32> {
        self.data.iter().map(|&x| x as f32).collect()
    }
}

/// The names of all ops that have golden cases, sorted.
///
/// # Errors
/// When the folder cannot be read.
pub fn golden_ops() -> Result<Vec<String>, GoldenError> {
    let folders = entries(&root())?.into_iter().filter(|p| p.is_dir());
    Ok(folders.map(|p| stem(&p)).collect())
}

/// All cases of one op, sorted by name.
///
/// # Errors
/// When the op has no folder or a file is malformed.
pub fn golden_cases(op: &str) -> Result<Vec<Case>, GoldenError> {
    entries(&root().join(op))?.iter().map(|path| read_case(op, path)).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/ops")
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, GoldenError> {
    let io = |source| GoldenError::Io { path: folder.to_owned(), source };
    let listed = fs::read_dir(folder).map_err(io)?;
    let mut paths = listed.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>().map_err(io)?;
    paths.sort();
    Ok(paths)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn read_case(op: &str, path: &Path) -> Result<Case, GoldenError> {
    let bytes = fs::read(path).map_err(|source| GoldenError::Io { path: path.to_owned(), source })?;
    let format = |source| GoldenError::Format { path: path.to_owned(), source };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(format)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(format)?;
    Ok(Case {
        op: op.to_owned(),
        name: stem(path),
        attributes: header.metadata().clone().unwrap_or_default(),
        inputs: arrays(&tensors, "in", path)?,
        outputs: arrays(&tensors, "out", path)?,
    })
}

/// The tensors `prefix.0`, `prefix.1`, .. up to the first that is missing.
fn arrays(tensors: &SafeTensors<'_>, prefix: &str, path: &Path) -> Result<Vec<Array>, GoldenError> {
    let mut arrays = Vec::new();
    while let Ok(view) = tensors.tensor(&format!("{prefix}.{}", arrays.len())) {
        if view.dtype() != Dtype::F64 {
            let tensor = format!("{prefix}.{}", arrays.len());
            return Err(GoldenError::Type { path: path.to_owned(), tensor, found: view.dtype() });
        }
        let (numbers, _) = view.data().as_chunks::<8>();
        let data = numbers.iter().map(|b| f64::from_le_bytes(*b)).collect();
        arrays.push(Array { dims: view.shape().to_vec(), data });
    }
    Ok(arrays)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_listed_with_provenance() {
        assert!(golden_ops().unwrap().contains(&"conv2d".to_owned()));
        let cases = golden_cases("conv2d_grad_input").unwrap();
        assert!(cases.len() >= 4);
        for case in cases {
            assert_eq!((case.inputs.len(), case.outputs.len()), (2, 1));
            assert_eq!(case.outputs[0].dims.iter().product::<usize>(), case.outputs[0].data.len());
            assert!(case.attribute::<usize>("kernel") > 0);
            assert_eq!(case.attributes["generator"], "fixtures/ops/generate.py");
        }
        assert!(matches!(golden_cases("conv3d"), Err(GoldenError::Io { .. })));
    }
}
