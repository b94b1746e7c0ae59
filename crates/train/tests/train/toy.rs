//! Small images with one bright stroke each, and a network and run to match.

use fovea_cpu::CpuExecutor;
use fovea_data::{Augmentation, Image, Mask, Sample};
use fovea_graph::{ExecuteError, Executor, Graph};
use fovea_tensor::Stream;
use fovea_train::{
    InputMode, LossConfig, Optimiser, PreparedSample, Schedule, Selection, TrainConfig, Trainer, prepare,
};
use fovea_unet::{Norm, Preprocessing, Scale, UNetConfig};
use std::sync::Arc;

/// Height and width of the toy photographs.
pub const SIDES: (usize, usize) = (30, 34);

pub fn cpu(graph: Graph) -> Result<Box<dyn Executor>, ExecuteError> {
    Ok(Box::new(CpuExecutor::new(graph)))
}

/// A round field of view; inside it noise and a bright slanted stroke, which is the label.
pub fn samples(count: u32) -> Vec<Sample> {
    let (height, width) = SIDES;
    (0..count)
        .map(|index| {
            let mut noise = Stream::new(9, "toy", [index, 0]);
            let (slope, start) = (noise.range(-0.5, 0.5), noise.range(10.0, 20.0));
            let at = |p: usize| ((p / width) as f32, (p % width) as f32);
            let stroke = |p: usize| {
                let (y, x) = at(p);
                (y - start - slope * (x - 17.0)).abs() < 2.0
            };
            let inside = |p: usize| {
                let (y, x) = at(p);
                (y - 15.0).powi(2) + (x - 17.0).powi(2) < 14.0f32.powi(2)
            };
            let pixels = 0..height * width;
            let bits = |f: &dyn Fn(usize) -> bool| pixels.clone().map(|p| u8::from(f(p))).collect();
            let (label, field): (Vec<u8>, Vec<u8>) = (bits(&stroke), bits(&inside));
            let mut grey =
                |p: usize| f32::from(field[p]) * (0.3 + 0.4 * f32::from(label[p]) + noise.range(0.0, 0.1));
            let plane: Vec<f32> = pixels.clone().map(&mut grey).collect();
            Sample {
                name: format!("toy {index}"),
                dataset: "toy".to_owned(),
                image: Image::new(height, width, plane.repeat(3)).unwrap(),
                label: Mask::new(height, width, label).unwrap(),
                second_label: None,
                field: Mask::new(height, width, field).unwrap(),
                hash: [index as u8; 32],
            }
        })
        .collect()
}

/// A run of 12 steps of a network with two levels.
pub fn config() -> TrainConfig {
    TrainConfig {
        seed: 3,
        batch: 2,
        steps: 12,
        steps_per_epoch: 3,
        average_decay: Some(0.9),
        proximal_mu: 0.0,
        selection: Selection::Last,
        flips: true,
        input: InputMode::Crops { size: 16 },
        loss: LossConfig { dice_weight: 1.0, bce_weight: 1.0, smooth: 1.0, pooled: false },
        optimiser: Optimiser::AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 },
        schedule: Schedule::CosineWarmup { peak: 1e-2, warmup_steps: 2, final_rate: 1e-4 },
        preprocessing: Preprocessing { scale: Scale::FieldDiameter { pixels: 32 }, standardise: true },
        augmentation: Augmentation { flip: true, rotation_deg: 20.0, ..Augmentation::none() },
        model: UNetConfig { widths: vec![4, 8], norm: Norm::Group { groups: 2 }, ..UNetConfig::small() },
    }
}

pub fn prepared(config: &TrainConfig, count: u32) -> Arc<Vec<PreparedSample>> {
    Arc::new(prepare(&samples(count), &config.preprocessing).unwrap())
}

pub fn trainer(config: &TrainConfig) -> Trainer {
    Trainer::new(config.clone(), prepared(config, 3), &cpu).unwrap()
}

/// The hash of what a run of all steps ends in: average and parameters.
pub fn final_hashes(trainer: &Trainer) -> [String; 2] {
    [trainer.hash(&trainer.current().unwrap()), trainer.hash(&trainer.model().unwrap())]
}
