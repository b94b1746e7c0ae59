//! Which images a step sees, as a function of (seed, step), and the arrays made of them.

use crate::{InputMode, PreparedSample, TrainConfig, TrainError};
use fovea_data::{CHANNELS, CropKey, CropSource};
use fovea_tensor::Stream;
use rayon::prelude::*;

/// The inputs of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The step that it is for.
    pub step: u32,
    /// `(N, 3, H, W)`.
    pub image: Vec<f32>,
    /// `(N, 1, H, W)`, 1 on vessels.
    pub target: Vec<f32>,
    /// `(N, 1, H, W)`, 1 inside the field of view.
    pub field: Vec<f32>,
}

/// Chooses and fills batches.
#[derive(Debug, Clone)]
pub struct Sampler {
    config: TrainConfig,
    images: usize,
    size: (usize, usize),
}

impl Sampler {
    /// A sampler over these images.
    ///
    /// # Errors
    /// [`TrainError::NoSamples`]; [`TrainError::SampleSize`] where whole images differ in size.
    pub fn new(config: &TrainConfig, samples: &[PreparedSample]) -> Result<Self, TrainError> {
        let first = samples.first().ok_or(TrainError::NoSamples)?;
        let sides = |s: &PreparedSample| (s.image.height, s.image.width);
        let size = match config.input {
            InputMode::Crops { size } => (size, size),
            InputMode::Whole => sides(first),
        };
        let other = samples.iter().find(|s| config.input == InputMode::Whole && sides(s) != size);
        if let Some(other) = other {
            let (name, found) = (other.entry.name.clone(), sides(other));
            return Err(TrainError::SampleSize { name, expected: size, found });
        }
        Ok(Sampler { config: config.clone(), images: samples.len(), size })
    }

    /// Height and width of what the network sees.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        self.size
    }

    /// The images of a step as (pass over the set, image). Each pass shows every image once, in an order of its own; a
    /// batch may end one pass and begin the next.
    #[must_use]
    pub fn choose(&self, step: u32) -> Vec<(u32, u32)> {
        let (images, batch) = (self.images as u64, self.config.batch as u64);
        let mut order: (u32, Vec<u32>) = (u32::MAX, Vec::new());
        (u64::from(step) * batch..(u64::from(step) + 1) * batch)
            .map(|k| {
                let pass = (k / images) as u32;
                if order.0 != pass {
                    order = (pass, (0..images as u32).collect());
                    Stream::new(self.config.seed, "order of images", [pass, 0]).shuffle(&mut order.1);
                }
                (pass, order.1[(k % images) as usize])
            })
            .collect()
    }

    /// The arrays of a step, its images filled in parallel, each from streams of its own.
    ///
    /// # Errors
    /// When a sample's parts differ in size or its field is empty.
    pub fn batch(&self, samples: &[PreparedSample], step: u32) -> Result<Batch, TrainError> {
        let area = self.size.0 * self.size.1;
        let chosen = self.choose(step);
        let mut batch = Batch {
            step,
            image: vec![0.0; chosen.len() * CHANNELS * area],
            target: vec![0.0; chosen.len() * area],
            field: vec![0.0; chosen.len() * area],
        };
        (batch.image.par_chunks_mut(CHANNELS * area))
            .zip(batch.target.par_chunks_mut(area))
            .zip(batch.field.par_chunks_mut(area))
            .zip(&chosen)
            .try_for_each(|(((image, target), field), &(pass, index))| {
                let sample = &samples[index as usize];
                match self.config.input {
                    InputMode::Whole => copy(sample, image, target, field),
                    InputMode::Crops { size } => {
                        let key = CropKey { seed: self.config.seed, epoch: pass, image: index, crop: 0 };
                        let (photo, standardise) = (&sample.image, Some(&sample.standardise));
                        CropSource::new(photo, &sample.label, &sample.field, standardise)?.crop(
                            &self.config.augmentation,
                            key,
                            size,
                            image,
                            target,
                            field,
                        );
                    }
                }
                Ok(())
            })
            .map(|()| batch)
    }
}

fn copy(sample: &PreparedSample, image: &mut [f32], target: &mut [f32], field: &mut [f32]) {
    image.copy_from_slice(&sample.image.data);
    let widen = |to: &mut [f32], from: &[u8]| to.iter_mut().zip(from).for_each(|(t, f)| *t = f32::from(*f));
    widen(target, &sample.label.data);
    widen(field, &sample.field.data);
    sample.standardise.apply(image, field);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pass_shows_every_image_once() {
        let config = TrainConfig { batch: 4, ..TrainConfig::default_profile() };
        let sampler = Sampler { config, images: 6, size: (8, 8) };
        let shown: Vec<(u32, u32)> = (0..6).flat_map(|step| sampler.choose(step)).collect();
        let mut orders = Vec::new();
        for (pass, chunk) in shown.chunks(6).enumerate() {
            assert!(chunk.iter().all(|c| c.0 == pass as u32));
            let order: Vec<u32> = chunk.iter().map(|c| c.1).collect();
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5]);
            orders.push(order);
        }
        assert!(orders.iter().any(|o| *o != orders[0]), "passes differ in order");
    }
}
