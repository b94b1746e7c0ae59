//! Elementwise ops: activations and their adjoints, sums, factors, the proximal term.

use super::math::sigmoid;
use super::simd::vectorised;
use fovea_graph::Activation;
use rayon::prelude::*;

/// Floats per task; fixed, so that the split does not depend on the threads.
const CHUNK: usize = 16 * 1024;

pub(crate) fn activate(function: Activation, x: &[f32], y: &mut [f32]) {
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| apply(function, x, y));
}

pub(crate) fn activate_grad(function: Activation, saved: &[f32], dy: &[f32], dx: &mut [f32]) {
    let operands = saved.par_chunks(CHUNK).zip(dy.par_chunks(CHUNK));
    dx.par_chunks_mut(CHUNK).zip(operands).for_each(|(dx, (saved, dy))| apply_grad(function, saved, dy, dx));
}

pub(crate) fn add(a: &[f32], b: &[f32], y: &mut [f32]) {
    let operands = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK));
    y.par_chunks_mut(CHUNK).zip(operands).for_each(|(y, (a, b))| sum(a, b, y));
}

pub(crate) fn scale(factor: f32, x: &[f32], y: &mut [f32]) {
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| scaled(factor, x, y));
}

vectorised! {
    /// `y = f(x)`.
    fn apply(function: Activation, x: &[f32], y: &mut [f32]) {
        let pairs = y.iter_mut().zip(x);
        match function {
            Activation::Identity => y.copy_from_slice(x),
            Activation::Relu => for (y, &x) in pairs { *y = if x < 0.0 { 0.0 } else { x }; },
            Activation::LeakyRelu { slope } => for (y, &x) in pairs { *y = if x < 0.0 { slope * x } else { x }; },
            Activation::Silu => for (y, &x) in pairs { *y = x * sigmoid(x); },
            Activation::Sigmoid => for (y, &x) in pairs { *y = sigmoid(x); },
        }
    }
}

vectorised! {
    /// `dx = dy f'`, from the saved output or input.
    fn apply_grad(function: Activation, saved: &[f32], dy: &[f32], dx: &mut [f32]) {
        let triples = dx.iter_mut().zip(saved.iter().zip(dy));
        match function {
            Activation::Identity => dx.copy_from_slice(dy),
            Activation::Relu => for (d, (&y, &g)) in triples { *d = if y > 0.0 { g } else { 0.0 }; },
            Activation::LeakyRelu { slope } => for (d, (&y, &g)) in triples { *d = if y > 0.0 { g } else { slope * g }; },
            Activation::Silu => for (d, (&x, &g)) in triples {
                let s = sigmoid(x);
                *d = g * s * (1.0 + x * (1.0 - s));
            },
            Activation::Sigmoid => for (d, (&y, &g)) in triples { *d = g * y * (1.0 - y); },
        }
    }
}

vectorised! {
    fn sum(a: &[f32], b: &[f32], y: &mut [f32]) {
        for (y, (a, b)) in y.iter_mut().zip(a.iter().zip(b)) { *y = a + b; }
    }
}

vectorised! {
    fn scaled(factor: f32, x: &[f32], y: &mut [f32]) {
        for (y, x) in y.iter_mut().zip(x) { *y = factor * x; }
    }
}

vectorised! {
    /// `y = g + factor (w - anchor)`; parameters are small, one task does them.
    fn add_proximal(factor: f32, g: &[f32], w: &[f32], anchor: &[f32], y: &mut [f32]) {
        for (y, (g, (w, a))) in y.iter_mut().zip(g.iter().zip(w.iter().zip(anchor))) { *y = g + factor * (w - a); }
    }
}
