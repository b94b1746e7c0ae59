//! Winograd convolution F(4x4, 3x3) for 3x3 kernels of stride 1 and padding 1: 36 products per 16 outputs and input channel in
//! place of 144 (Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016, algorithm 1).
//!
//! Images are cut into tiles of 4 x 4 outputs. In the Winograd domain each of the 36 points of a tile is a matrix product of its own
//! between (tiles x input channels) and (input channels x output channels). Neighbouring tiles are innermost there, `[point][group of
//! tiles][channel][tile]`: no layer is too narrow, since no register is ever filled up with channels that do not exist, the
//! transforms load and store whole registers, and the products read both operands as streams. The input gradient is the same with
//! turned kernels, the weight gradient F(3x3, 4x4) with tiles of gradient as filters. Roads not taken: channels innermost (layers of
//! fewer than 64 channels would mostly multiply zeros); F(2x2, 3x3), which saves 2.25 times where this saves 4 and needs as many
//! transforms per product; see `lines.rs` for why the larger tile costs little accuracy. The error of an output is relative to the
//! 6 x 6 inputs around its tile, not to the 3 x 3 that it reads.

mod contract;
mod grad_weight;
mod lines;
mod output;
mod product;
mod tiles;
mod transform;
mod weights;

use super::correlate::{Correlation, Epilogue};
use super::planes::Planes;
use super::share::{Parts, with_scratch};
use super::simd::lanes;
pub(crate) use grad_weight::grad_weight;
use output::Target;
use product::{Block, Product, even_blocks, rows_most};
use rayon::prelude::*;
use std::ops::Range;
use tiles::{REGISTERS, Tiles};
use transform::Place;

/// Points of a tile in the Winograd domain.
const POINTS: usize = 36;
/// Floats in the Winograd domain, and least number of tiles, of a chunk that one thread works on alone: it stays in or near this core's
/// second-level cache.
const OWN_CHUNK: [usize; 2] = [128 * 1024, 64];
/// The same of a chunk that all threads share: long enough to make up for reading all weights once more. Over the 768 -> 256 layer of the
/// published network, chunks of 16, 64, 128 and 256 tiles ran at 239, 343, 346 and 392 GFLOP/s (two Zen 3 cores, one run).
const SHARED_CHUNK: [usize; 2] = [1 << 20, 256];
/// Transformed weights of at most this many floats are read again for every small chunk.
const OWN_WEIGHTS: usize = 1 << 20;

/// With fewer channels the transforms outweigh what is saved.
const CHANNELS_LEAST: usize = 8;

/// Whether a 3x3 convolution of stride 1 and padding 1 and its input gradient go through the Winograd domain.
pub(crate) fn suits(inputs: usize, outputs: usize, [h, w]: [usize; 2]) -> bool {
    // Tiles filled up with zeros leave at most half of the products of the direct sum.
    inputs >= CHANNELS_LEAST
        && outputs >= CHANNELS_LEAST
        && 2 * POINTS * h.div_ceil(4) * w.div_ceil(4) <= 9 * h * w
}

/// [`suits`] for a weight gradient: also with at least 256 pixels in the batch. The rounding errors of its transforms are relative to whole
/// tiles; over a tile or two they can exceed the bound for the few products of a corner tap.
pub(crate) fn suits_grad_weight(images: usize, inputs: usize, outputs: usize, [h, w]: [usize; 2]) -> bool {
    images * h * w >= 256 && suits(inputs, outputs, [h, w])
}

/// As `correlate::correlate`, for kernel 3 and padding 1.
pub(crate) fn correlate(
    c: &Correlation,
    x: Planes<'_>,
    weight: impl Fn(usize, usize, usize) -> f32 + Sync,
    epilogue: Epilogue<'_>,
    y: &mut [f32],
) {
    let tiles = Tiles::new(c.images, c.output, lanes());
    let blocks = even_blocks(c.outputs, rows_most(tiles.lanes));
    let u_plane = plane(c.inputs * c.outputs);
    let y = Parts::new(y);
    with_scratch(POINTS * u_plane, |u| {
        weights::transform(&blocks, c.inputs, weight, u_plane, u);
        let together = POINTS * u_plane > OWN_WEIGHTS;
        let [floats, least] = if together { SHARED_CHUNK } else { OWN_CHUNK };
        let chunk = tiles.chunk((floats / (POINTS * (c.inputs + c.outputs))).max(least));
        let work = Forward { c, tiles: &tiles, x, u, u_plane, blocks: &blocks, y: &y, epilogue };
        let floats = work.floats(chunk);
        let run = |index: usize, scratch: &mut [f32]| {
            work.run(tiles.chunk_at(index, chunk), together, scratch);
        };
        let chunks = tiles.registers().div_ceil(chunk);
        if together {
            with_scratch(floats, |scratch| (0..chunks).for_each(|index| run(index, scratch)));
        } else {
            (0..chunks).into_par_iter().for_each(|index| with_scratch(floats, |scratch| run(index, scratch)));
        }
    });
}

/// One correlation and its transformed weights.
struct Forward<'a> {
    c: &'a Correlation,
    tiles: &'a Tiles,
    x: Planes<'a>,
    u: &'a [f32],
    u_plane: usize,
    blocks: &'a [Block],
    y: &'a Parts<'a>,
    epilogue: Epilogue<'a>,
}

impl Forward<'_> {
    /// Floats from point to point of inputs and outputs in a chunk of `registers`.
    fn planes(&self, registers: usize) -> [usize; 2] {
        let tiles = registers.div_ceil(REGISTERS) * self.tiles.group();
        [plane(tiles * self.c.inputs), plane(tiles * self.c.outputs)]
    }

    /// Floats of scratch memory for a chunk of `registers`.
    fn floats(&self, registers: usize) -> usize {
        POINTS * self.planes(registers).iter().sum::<usize>()
    }

    /// One chunk, by all threads or by this one.
    fn run(&self, registers: Range<usize>, together: bool, scratch: &mut [f32]) {
        let (c, tiles, count) = (self.c, self.tiles, registers.len());
        let pieces = tiles.pieces(registers);
        let [v_plane, m_plane] = self.planes(count);
        let (v, m) = scratch.split_at_mut(POINTS * v_plane);
        let parts = Parts::new(v);
        let floats = transform::scratch_floats(tiles, count).max(output::scratch_floats(tiles, count));
        each(together, c.inputs, |channel| {
            let place = Place { plane: v_plane, channels: c.inputs, channel };
            with_scratch(floats, |scratch| {
                for piece in &pieces {
                    let pixels = self.x.plane_and_next(piece.image, channel);
                    // SAFETY: each channel is one task's alone.
                    unsafe { transform::inputs(pixels, tiles, piece, &parts, place, scratch) };
                }
            });
        });
        let v = &*v;
        let parts = Parts::new(m);
        let size = count.div_ceil(REGISTERS) * tiles.group() * c.outputs;
        each(together, POINTS, |point| {
            let u = &self.u[point * self.u_plane..][..self.u_plane];
            let v = &v[point * v_plane..][..v_plane];
            let product = Product { u, v, blocks: self.blocks, inputs: c.inputs, outputs: c.outputs };
            // SAFETY: each point is one task's alone.
            product.run(tiles.lanes, unsafe { parts.part(point * m_plane..point * m_plane + size) });
        });
        let m = &*m;
        let pixels = c.output[0] * c.output[1];
        each(together, c.outputs, |channel| {
            let place = Place { plane: m_plane, channels: c.outputs, channel };
            let bias = self.epilogue.bias.map_or(0.0, |b| b[channel]);
            with_scratch(floats, |scratch| {
                for piece in &pieces {
                    let start = (piece.image * c.outputs + channel) * pixels;
                    let target = Target { data: self.y, start, bias, epilogue: self.epilogue };
                    // SAFETY: each channel is one task's alone, and its tiles are in this chunk alone.
                    unsafe { output::outputs(m, place, tiles, piece, &target, scratch) };
                }
            });
        });
    }
}

/// Calls `f` for every task, on all threads or on this one.
fn each(together: bool, tasks: usize, f: impl Fn(usize) + Send + Sync) {
    if together { (0..tasks).into_par_iter().for_each(f) } else { (0..tasks).for_each(f) }
}

/// Zeroes one channel of the second register of the last group, when a chunk has an odd number of `registers`.
///
/// # Safety
/// No other task may use that place in `to` meanwhile.
unsafe fn zero_odd_register(registers: usize, lanes: usize, to: &Parts<'_>, place: Place) {
    if registers.is_multiple_of(REGISTERS) {
        return;
    }
    for point in 0..POINTS {
        let start = point * place.plane + place.start(registers, lanes);
        // SAFETY: this task's alone by the caller's promise.
        unsafe { to.part(start..start + lanes) }.fill(0.0);
    }
}

/// Floats from point to point for a plane of so many: an odd number of cache lines, so that the 36 points of a tile fall into
/// different sets of the first-level cache.
fn plane(floats: usize) -> usize {
    (floats.div_ceil(16) | 1) * 16
}

#[cfg(test)]
mod tests;
