//! Elementwise ops and activations.

use crate::{Activation, Step};
use fovea_tensor::Stream;

pub(super) fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

pub(super) fn scale(x: &[f64], factor: f32) -> Vec<f64> {
    x.iter().map(|x| f64::from(factor) * x).collect()
}

pub(super) fn add_proximal(g: &[f64], w: &[f64], anchor: &[f64], factor: f32) -> Vec<f64> {
    g.iter().zip(w).zip(anchor).map(|((g, w), a)| g + f64::from(factor) * (w - a)).collect()
}

pub(super) fn activate(x: &[f64], function: Activation) -> Vec<f64> {
    x.iter().map(|&x| apply(function, x)).collect()
}

pub(super) fn activate_grad(saved: &[f64], dy: &[f64], function: Activation) -> Vec<f64> {
    saved.iter().zip(dy).map(|(&saved, dy)| dy * slope(function, saved)).collect()
}

pub(super) fn dropout(x: &[f64], p: f32, stream: u32, step: Step) -> Vec<f64> {
    let words = Stream::new(step.seed, "dropout", [step.index, stream]);
    x.iter()
        .enumerate()
        .map(|(i, x)| {
            let word = words.block_at(i as u64 / 4)[i % 4];
            let keep = (word >> 8) as f32 / 16_777_216.0 >= p;
            if keep { x / (1.0 - f64::from(p)) } else { 0.0 }
        })
        .collect()
}

/// `f(x)`.
pub(super) fn apply(function: Activation, x: f64) -> f64 {
    match function {
        Activation::Identity => x,
        // Not f64::max, which would turn a NaN into 0.
        Activation::Relu => {
            if x <= 0.0 {
                0.0
            } else {
                x
            }
        }
        Activation::LeakyRelu { slope } => {
            if x > 0.0 {
                x
            } else {
                f64::from(slope) * x
            }
        }
        Activation::Silu => x * sigmoid(x),
        Activation::Sigmoid => sigmoid(x),
    }
}

/// `f'` from what the op saves: the output where [`Activation::saves_output`], else the input.
pub(super) fn slope(function: Activation, saved: f64) -> f64 {
    match function {
        Activation::Identity => 1.0,
        Activation::Relu => {
            if saved > 0.0 {
                1.0
            } else {
                0.0
            }
        }
        Activation::LeakyRelu { slope } => {
            if saved > 0.0 {
                1.0
            } else {
                f64::from(slope)
            }
        }
        Activation::Silu => {
            let s = sigmoid(saved);
            s + saved * s * (1.0 - s)
        }
        Activation::Sigmoid => saved * (1.0 - saved),
    }
}

/// `1 / (1 + exp(-x))`, without overflow.
pub(super) fn sigmoid(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    if x >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}
