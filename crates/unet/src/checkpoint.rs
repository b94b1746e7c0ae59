//! A model with all that is needed to use it: network, preprocessing, threshold, and how it came to be.

use crate::{FileError, NamedTensor, TensorFile, UNet, UNetConfig, UNetError, model_hash};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The largest checkpoint: [`crate::PARAMETERS_MAX`] numbers and a megabyte of header.
const BYTES_MAX: u64 = 4 * crate::PARAMETERS_MAX as u64 + (1 << 20);
const FORMAT: u32 = 1;

/// What is done to an image before the network sees it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// The size at which the network works.
    pub scale: Scale,
    /// Whether each channel is brought to mean 0 and deviation 1 inside the field of view.
    pub standardise: bool,
}

/// The size at which a network works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Scale {
    /// Cropped to the field of view, whose diameter becomes this many pixels.
    FieldDiameter {
        /// Pixels.
        pixels: usize,
    },
    /// The whole image stretched to these extents.
    Stretch {
        /// Rows, pixels.
        height: usize,
        /// Columns, pixels.
        width: usize,
    },
    /// As it is.
    Native,
}

/// The description inside a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// What the network looks like.
    pub model: UNetConfig,
    /// What comes before it.
    pub preprocessing: Preprocessing,
    /// A pixel is positive where its probability is at least this; `None` until one has been chosen.
    pub threshold: Option<f32>,
    /// The seed that it was initialised and trained with.
    pub seed: u64,
    /// How it was trained, free in form: data sets with hashes, steps, losses.
    pub training: serde_json::Value,
}

/// A model file's content.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The description.
    pub card: ModelCard,
    /// The model vector, in the order of the parameter table.
    pub model: Vec<f32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    format: u32,
    layout_hash: String,
    model_hash: String,
    card: ModelCard,
}

impl Checkpoint {
    /// The model's hash: [`model_hash`] of its layout and numbers.
    ///
    /// # Errors
    /// When the configuration is refused or the vector's length is not the table's.
    pub fn hash(&self) -> Result<String, UNetError> {
        let unet = self.network()?;
        Ok(model_hash(&unet.parameters().layout_hash(), &self.model))
    }

    /// Writes the file atomically, one tensor per parameter.
    ///
    /// # Errors
    /// When the vector does not fit the network, or the system refuses.
    pub fn save(&self, path: &Path) -> Result<(), FileError> {
        let fault = |source| FileError::Model { path: path.display().to_string(), source };
        let unet = self.network().map_err(fault)?;
        let layout_hash = unet.parameters().layout_hash();
        let description = Description {
            format: FORMAT,
            model_hash: model_hash(&layout_hash, &self.model),
            layout_hash,
            card: self.card.clone(),
        };
        let description = serde_json::to_string(&description)
            .map_err(|e| FileError::Format { path: path.display().to_string(), what: e.to_string() })?;
        let tensor = |entry: &crate::ParamSpec| NamedTensor {
            name: entry.name.clone(),
            dims: entry.dims.clone(),
            data: self.model[entry.range()].to_vec(),
        };
        let tensors = unet.parameters().entries().iter().map(tensor).collect();
        TensorFile { description, tensors }.save(path)
    }

    /// Reads a file and checks it: format, network, every tensor's name and extents, hashes.
    ///
    /// # Errors
    /// Any [`FileError`], naming the file and what is wrong with it.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let mut file = TensorFile::load(path, BYTES_MAX)?;
        let name = || path.display().to_string();
        let description: Description = serde_json::from_str(&file.description)
            .map_err(|e| FileError::Foreign { path: name(), what: e.to_string() })?;
        if description.format != FORMAT {
            let what = format!("model format {} (this version reads {FORMAT})", description.format);
            return Err(FileError::Foreign { path: name(), what });
        }
        let unet = UNet::new(description.card.model.clone())
            .map_err(|source| FileError::Model { path: name(), source })?;
        let mut model = Vec::with_capacity(unet.parameters().count());
        for entry in unet.parameters().entries() {
            let found = file.take(&entry.name);
            let dims = found.as_ref().map(|t| t.dims.as_slice());
            match found.as_ref().filter(|t| t.dims == entry.dims) {
                Some(tensor) => model.extend_from_slice(&tensor.data),
                None => {
                    let found = dims.map_or("nothing".to_owned(), |d| format!("{d:?}"));
                    let (tensor, expected) = (entry.name.clone(), format!("{:?}", entry.dims));
                    return Err(FileError::Tensor { path: name(), tensor, expected, found });
                }
            }
        }
        if let Some(extra) = file.tensors.first() {
            let (expected, found) = ("nothing".to_owned(), format!("{:?}", extra.dims));
            return Err(FileError::Tensor { path: name(), tensor: extra.name.clone(), expected, found });
        }
        let found = model_hash(&unet.parameters().layout_hash(), &model);
        if found != description.model_hash {
            return Err(FileError::Hash { path: name(), expected: description.model_hash, found });
        }
        Ok(Checkpoint { card: description.card, model })
    }

    fn network(&self) -> Result<UNet, UNetError> {
        let unet = UNet::new(self.card.model.clone())?;
        let expected = unet.parameters().count();
        if self.model.len() != expected {
            return Err(UNetError::Length { expected, found: self.model.len() });
        }
        Ok(unet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Checkpoint {
        let unet = UNet::new(UNetConfig::small()).unwrap();
        let card = ModelCard {
            model: unet.config().clone(),
            preprocessing: Preprocessing { scale: Scale::FieldDiameter { pixels: 512 }, standardise: true },
            threshold: Some(0.4),
            seed: 5,
            training: serde_json::json!({ "steps": 10, "loss": 0.1 }),
        };
        Checkpoint { card, model: unet.parameters().initialise(5) }
    }

    #[test]
    fn survives_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        example().save(&path).unwrap();
        let found = Checkpoint::load(&path).unwrap();
        assert_eq!(found, example());
        assert_eq!(found.hash().unwrap(), example().hash().unwrap());
    }

    #[test]
    fn a_vector_of_another_length_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut wrong = example();
        wrong.model.pop();
        let found = wrong.save(&folder.path().join("m"));
        assert!(matches!(found, Err(FileError::Model { source: UNetError::Length { .. }, .. })));
    }

    #[test]
    fn files_that_contradict_themselves_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        example().save(&path).unwrap();
        let good = TensorFile::load(&path, BYTES_MAX).unwrap();
        let refusal = |change: &dyn Fn(&mut TensorFile)| {
            let mut file = good.clone();
            change(&mut file);
            file.save(&path).unwrap();
            Checkpoint::load(&path).unwrap_err()
        };
        let missing = refusal(&|f| drop(f.take("head.bias")));
        assert!(missing.to_string().contains("head.bias: expected [1], found nothing"), "{missing}");
        let extra = refusal(&|f| f.tensors[0].name = "a".to_owned());
        assert!(matches!(extra, FileError::Tensor { .. }), "{extra}");
        let changed = refusal(&|f| f.tensors[3].data[0] += 1.0);
        assert!(matches!(changed, FileError::Hash { .. }), "{changed}");
        let other = refusal(&|f| f.description = "{}".to_owned());
        assert!(matches!(other, FileError::Foreign { .. }), "{other}");
        let wide = refusal(&|f| f.description = f.description.replace("[12,24,48]", "[4096,4096,4096]"));
        assert!(matches!(wide, FileError::Model { .. }), "{wide}");
        let newer = refusal(&|f| f.description = f.description.replace("\"format\":1", "\"format\":2"));
        assert!(newer.to_string().contains("model format 2"), "{newer}");
    }
}
