//! Everything that a run needs to go on: one file, written atomically, checked by hash.

use crate::{TrainConfig, TrainError};
use fovea_unet::{FileError, NamedTensor, PARAMETERS_MAX, TensorFile};
use serde::{Deserialize, Serialize};
use std::path::Path;

const FORMAT: u32 = 1;
/// Six model vectors, and 64 MiB for header and losses.
const BYTES_MAX: u64 = 6 * 4 * PARAMETERS_MAX as u64 + (64 << 20);

/// A run between two steps. Two states are equal when the runs will go on alike (and have taken the same time).
#[derive(Debug, Clone, PartialEq)]
pub struct TrainState {
    /// The run's settings.
    pub config: TrainConfig,
    /// Hash of the parameter table.
    pub layout_hash: String,
    /// Hash over names and contents of the training images.
    pub data_hash: String,
    /// Position in the schedule and in the order of images.
    pub step: u32,
    /// Time spent in steps so far, seconds.
    pub seconds: f64,
    /// The model.
    pub parameters: Vec<f32>,
    /// The optimiser's moments.
    pub moments: Vec<Vec<f32>>,
    /// The weight average.
    pub average: Option<Vec<f32>>,
    /// What the proximal term pulls to.
    pub anchor: Option<Vec<f32>>,
    /// The loss of each step done.
    pub losses: Vec<f32>,
    /// The best weights so far.
    pub best: Option<Best>,
}

/// Weights that were kept for their score.
#[derive(Debug, Clone, PartialEq)]
pub struct Best {
    /// The higher the better; minus the mean loss where that decides.
    pub score: f32,
    /// Steps done when they were kept.
    pub step: u32,
    /// The weights.
    pub model: Vec<f32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    format: u32,
    config: TrainConfig,
    layout_hash: String,
    data_hash: String,
    step: u32,
    seconds: f64,
    best: Option<(f32, u32)>,
}

impl TrainState {
    /// Writes the state; a crash at any moment leaves the old file or the new.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        let description = Description {
            format: FORMAT,
            config: self.config.clone(),
            layout_hash: self.layout_hash.clone(),
            data_hash: self.data_hash.clone(),
            step: self.step,
            seconds: self.seconds,
            best: self.best.as_ref().map(|b| (b.score, b.step)),
        };
        let description = serde_json::to_string(&description)
            .map_err(|e| FileError::Format { path: path.display().to_string(), what: e.to_string() })?;
        let mut tensors = vec![tensor("parameters", &self.parameters), tensor("losses", &self.losses)];
        let numbered = |(i, m): (usize, &Vec<f32>)| tensor(&moment_name(i), m);
        tensors.extend(self.moments.iter().enumerate().map(numbered));
        tensors.extend(self.average.as_deref().map(|v| tensor("average", v)));
        tensors.extend(self.anchor.as_deref().map(|v| tensor("anchor", v)));
        tensors.extend(self.best.as_ref().map(|b| tensor("best", &b.model)));
        Ok(TensorFile { description, tensors }.save(path)?)
    }

    /// Reads a state.
    ///
    /// # Errors
    /// [`TrainError::File`], naming the file and what is wrong with it.
    pub fn load(path: &Path) -> Result<Self, TrainError> {
        let foreign = |what: String| FileError::Foreign { path: path.display().to_string(), what };
        let mut file = TensorFile::load(path, BYTES_MAX)?;
        let description: Description =
            serde_json::from_str(&file.description).map_err(|e| foreign(e.to_string()))?;
        if description.format != FORMAT {
            let what = format!("state format {} (this version reads {FORMAT})", description.format);
            return Err(foreign(what).into());
        }
        let mut take = |name: &str| file.take(name).map(|t| t.data);
        let mut wanted = |name: &str| take(name).ok_or_else(|| foreign(format!("`{name}` is missing")));
        let (parameters, losses) = (wanted("parameters")?, wanted("losses")?);
        let best = match description.best {
            Some((score, step)) => Some(Best { score, step, model: wanted("best")? }),
            None => None,
        };
        let moments = (0..description.config.optimiser.moments())
            .map(|i| wanted(&moment_name(i)))
            .collect::<Result<_, _>>()?;
        Ok(TrainState {
            average: take("average"),
            anchor: take("anchor"),
            config: description.config,
            layout_hash: description.layout_hash,
            data_hash: description.data_hash,
            step: description.step,
            seconds: description.seconds,
            parameters,
            moments,
            losses,
            best,
        })
    }
}

fn moment_name(index: usize) -> String {
    format!("moment{}", index + 1)
}

fn tensor(name: &str, data: &[f32]) -> NamedTensor {
    NamedTensor { name: name.to_owned(), dims: vec![data.len()], data: data.to_vec() }
}
