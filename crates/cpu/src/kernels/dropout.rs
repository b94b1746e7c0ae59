//! Dropout: its mask is a function of (seed, step, stream, element), so forward and adjoint are one function.

use fovea_graph::Step;
use fovea_tensor::Stream;
use rayon::prelude::*;

/// Elements per task; a multiple of the four words of a random block.
const CHUNK: usize = 4096;

pub(crate) fn dropout(p: f32, stream: u32, step: Step, x: &[f32], y: &mut [f32]) {
    let random = Stream::new(step.seed, "dropout", [step.index, stream]);
    let keep = 1.0 / (1.0 - p);
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).enumerate().for_each(|(task, (y, x))| {
        for (k, (y, x)) in y.chunks_mut(4).zip(x.chunks(4)).enumerate() {
            let words = random.block_at((task * CHUNK / 4 + k) as u64);
            for ((y, x), word) in y.iter_mut().zip(x).zip(words) {
                let uniform = (word >> 8) as f32 * (1.0 / 16_777_216.0);
                *y = if uniform >= p { x * keep } else { 0.0 };
            }
        }
    });
}
