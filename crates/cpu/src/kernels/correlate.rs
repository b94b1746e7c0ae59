//! Cross-correlation with stride 1: forward convolution and its input gradient.
//!
//! A strip of input rows is packed with a zero border into this core's cache; then each tap of the kernel is a constant
//! shift of the flat strip (see [`Strip`]), and the inner kernel is that of a matrix product whose right-hand
//! side is read in place: `OC` output channels times `NV` registers of pixels stay in registers while
//! input channels and taps go by. The roads not taken: an im2col matrix (streams nine times the input
//! through memory) and `matrixmultiply` on packed panels (its panels are copied anew for every tap).

use super::pack::{Strip, blocks, pack_weights, strips};
use super::planes::Planes;
use super::share::{Parts, with_scratch};
use super::simd::{Isa, Simd, isa};
use fovea_graph::Activation;
use rayon::prelude::*;

/// Packed strips take at most this many floats: half of a 1 MiB second-level cache.
const STRIP_FLOATS: usize = 128 * 1024;
/// Strips of more rows would leave threads idle at the end.
const STRIP_ROWS: usize = 32;
/// Most results of one call of the inner kernel per channel.
const TILE: usize = 128;

/// One correlation: `(N, inputs, H, W)` by `kernel x kernel` taps gives `(N, outputs, Ho, Wo)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Correlation {
    pub(crate) images: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) input: [usize; 2],
    pub(crate) output: [usize; 2],
    pub(crate) kernel: usize,
    pub(crate) padding: usize,
}

/// What happens to each sum before it is stored.
#[derive(Clone, Copy)]
pub(crate) struct Epilogue<'a> {
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) activation: Activation,
}

/// Runs it. `weight(output, input, tap)` gives the weights in any order; taps count row by row.
pub(crate) fn correlate(
    c: &Correlation,
    x: Planes<'_>,
    weight: impl Fn(usize, usize, usize) -> f32,
    epilogue: Epilogue<'_>,
    y: &mut [f32],
) {
    let taps = c.kernel * c.kernel;
    let blocks = blocks(c.outputs, widths());
    let mut packed = Vec::with_capacity((c.outputs + 8) * c.inputs * taps);
    for &block in &blocks {
        pack_weights(&mut packed, block, [c.outputs, c.inputs, taps], &weight);
    }
    let pitch = c.input[1] + c.padding;
    let fit = (STRIP_FLOATS / (c.inputs * pitch)).saturating_sub(c.kernel - 1);
    let strips = strips(c.output[0], fit.clamp(1, STRIP_ROWS), pitch, c.kernel, c.padding);
    let parts = Parts::new(y);
    let tasks = c.images * strips.len();
    (0..tasks).into_par_iter().for_each(|task| {
        let (image, strip) = (task / strips.len(), strips[task % strips.len()]);
        let plane = strip.plane(TILE);
        with_scratch(c.inputs * plane + 8 * (strip.flat() + TILE), |scratch| {
            let (input, sums) = scratch.split_at_mut(c.inputs * plane);
            for i in 0..c.inputs {
                strip.pack(x.plane(image, i), c.input, &mut input[i * plane..(i + 1) * plane]);
            }
            let mut weights = &packed[..];
            for &(first, width) in &blocks {
                let (own, rest) = weights.split_at(width * c.inputs * taps);
                weights = rest;
                strip_block(&strip, width, input, plane, own, sums);
                let live = first..c.outputs.min(first + width);
                store(c, &strip, image, live, sums, epilogue, &parts);
            }
        });
    });
}

/// Widths of output-channel blocks that the inner kernel is compiled for, widest first.
fn widths() -> &'static [usize] {
    match isa() {
        Isa::Avx512 | Isa::Neon | Isa::Portable16 => &[8, 6, 4, 2, 1],
        Isa::Avx2 | Isa::Portable => &[6, 4, 2, 1],
    }
}

/// Sums of one block of output channels over a strip: `sums` is `[width][flat + TILE]`.
fn strip_block(strip: &Strip, width: usize, input: &[f32], plane: usize, weights: &[f32], sums: &mut [f32]) {
    let offsets: Vec<usize> =
        (0..strip.kernel * strip.kernel).map(|t| t / strip.kernel * strip.pitch + t % strip.kernel).collect();
    let tile = Tile { input, plane, offsets: &offsets, weights, flat: strip.flat(), sums };
    // SAFETY: the kernel asks for nothing but its instruction set.
    unsafe { block(tile, width) }
}

/// Operands of [`run`].
pub(crate) struct Tile<'a> {
    input: &'a [f32],
    plane: usize,
    offsets: &'a [usize],
    weights: &'a [f32],
    flat: usize,
    sums: &'a mut [f32],
}

super::simd::per_isa! {
    /// One block of output channels.
    unsafe fn block(tile: Tile<'_>, width: usize) = block_lanes;
}

/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn block_lanes<V: Simd>(tile: Tile<'_>, width: usize) {
    // SAFETY: inlined into code compiled for `V`, as this function is.
    unsafe {
        match (V::REGISTERS, width) {
            (32, 8) => run::<V, 8, 3>(tile),
            (32, 6) => run::<V, 6, 4>(tile),
            (32, 4) => run::<V, 4, 6>(tile),
            (32, 2) => run::<V, 2, 8>(tile),
            (16 | 32, 1) => run::<V, 1, 8>(tile),
            (16, 6) => run::<V, 6, 2>(tile),
            (16, 4) => run::<V, 4, 3>(tile),
            (16, 2) => run::<V, 2, 4>(tile),
            (8, 6) => run::<V, 6, 1>(tile),
            (8, 4) => run::<V, 4, 1>(tile),
            (8, 2) => run::<V, 2, 2>(tile),
            (8, 1) => run::<V, 1, 4>(tile),
            _ => unreachable!("blocks have the widths of `widths`"),
        }
    }
}

/// All tiles of a strip for `OC` output channels, `NV` registers of results at a time.
///
/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn run<V: Simd, const OC: usize, const NV: usize>(tile: Tile<'_>) {
    let Tile { input, plane, offsets, weights, flat, sums } = tile;
    let step = NV * V::LANES;
    let reach = offsets.last().copied().unwrap_or(0);
    let inputs = input.len() / plane;
    let stride = flat + TILE;
    let last = flat.next_multiple_of(step);
    // These bounds make every access below valid; they hold by construction of strips and blocks.
    assert!(step <= TILE && last + reach <= plane && sums.len() >= OC * stride);
    assert!(weights.len() == OC * inputs * offsets.len());
    for at in (0..flat).step_by(step) {
        // SAFETY: reads reach `at + step + reach <= plane` floats into each plane, writes `at + step <= stride` floats into
        // each row of sums, and one pass takes `OC` weights per input and tap: all within the bounds asserted above.
        unsafe {
            let mut acc = [[V::splat(0.0); NV]; OC];
            let mut w = weights.as_ptr();
            for i in 0..inputs {
                let x = input.as_ptr().add(i * plane + at);
                for &offset in offsets {
                    let mut v = [V::splat(0.0); NV];
                    for (k, v) in v.iter_mut().enumerate() {
                        *v = V::load(x.add(offset + k * V::LANES));
                    }
                    for (o, acc) in acc.iter_mut().enumerate() {
                        let factor = V::splat(*w.add(o));
                        for k in 0..NV {
                            acc[k] = v[k].mul_add(factor, acc[k]);
                        }
                    }
                    w = w.add(OC);
                }
            }
            for (o, acc) in acc.iter().enumerate() {
                for (k, a) in acc.iter().enumerate() {
                    a.store(sums.as_mut_ptr().add(o * stride + at + k * V::LANES));
                }
            }
        }
    }
}

/// Copies the pixels among the sums of a strip to the output, through bias and activation.
fn store(
    c: &Correlation,
    strip: &Strip,
    image: usize,
    live: std::ops::Range<usize>,
    sums: &[f32],
    epilogue: Epilogue<'_>,
    parts: &Parts<'_>,
) {
    let [ho, wo] = c.output;
    for (lane, o) in live.enumerate() {
        let from = &sums[lane * (strip.flat() + TILE)..];
        let bias = epilogue.bias.map_or(0.0, |b| b[o]);
        let start = ((image * c.outputs + o) * ho + strip.first) * wo;
        // SAFETY: each (image, strip, output channel) is one task's alone.
        let to = unsafe { parts.part(start..start + strip.rows * wo) };
        for r in 0..strip.rows {
            let row = &mut to[r * wo..(r + 1) * wo];
            finish(&from[r * strip.pitch..][..wo], bias, epilogue.activation, row);
        }
    }
}

super::simd::vectorised! {
    /// [`finish_row`] in the widest registers there are.
    fn finish(from: &[f32], bias: f32, activation: Activation, to: &mut [f32]) {
        finish_row(from, bias, activation, to);
    }
}

/// `to = activation(from + bias)` for the activations that a convolution can fuse.
#[inline(always)]
pub(crate) fn finish_row(from: &[f32], bias: f32, activation: Activation, to: &mut [f32]) {
    // Loops, not closures: these are surely compiled for the instruction set of the function around them.
    let sums = to.iter_mut().zip(from);
    match activation {
        Activation::Identity | Activation::Silu => {
            for (t, f) in sums {
                *t = f + bias;
            }
        }
        Activation::Relu => {
            for (t, f) in sums {
                let v = f + bias;
                *t = if v < 0.0 { 0.0 } else { v };
            }
        }
        Activation::LeakyRelu { slope } => {
            for (t, f) in sums {
                let v = f + bias;
                *t = if v < 0.0 { slope * v } else { v };
            }
        }
        Activation::Sigmoid => {
            for (t, f) in sums {
                *t = super::math::sigmoid(f + bias);
            }
        }
    }
}
