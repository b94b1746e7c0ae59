//! Winograd convolution F(4x4, 3x3) for 3x3 kernels of stride 1 and padding 1: 36 products per 16 outputs and input channel in
//! place of 144 (Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016, algorithm 1).
//!
//! Images are cut into tiles of 4 x 4 outputs. In the Winograd domain each of the 36 points of a tile is a matrix product of its own
//! between (tiles x input channels) and (input channels x output channels). Everything there has 64
//! neighbouring channels innermost, `[point][block of 64 channels][tile][64]`, so transforms work on a register of channels
//! and have no edges; pixels are transposed on the way in and out. The input gradient is the same with turned
//! kernels, the weight gradient F(3x3, 4x4) with tiles of gradient as filters. Roads not taken: F(2x2, 3x3) saves 2.25 times
//! where this saves 4 and needs as many transforms per product; see `lines.rs` for why the larger tile costs little
//! accuracy. The error of an output is relative to the 6 x 6 inputs around its tile, not to the 3 x 3 that it reads.

mod grad_weight;
mod lines;
mod product;
mod transform;
mod weights;

use super::correlate::{Correlation, Epilogue};
use super::share::{Parts, with_scratch};
pub(crate) use grad_weight::grad_weight;
use product::Product;
use rayon::prelude::*;
use transform::{Images, Place, Planes};
use weights::Extents;

/// Neighbouring channels in the Winograd domain.
const BLOCK: usize = 64;
/// Points of a tile in the Winograd domain.
const POINTS: usize = 36;
/// Most tiles of a segment.
const TILES: usize = 16;
/// Floats in the Winograd domain of a chunk that one thread works on alone: they stay in its second-level cache.
const OWN_FLOATS: usize = 256 * 1024;
/// Floats of a chunk that all threads share.
const SHARED_FLOATS: usize = 4 << 20;
/// Transformed weights of at most this many floats are read again for every small chunk.
const OWN_WEIGHTS: usize = 1 << 20;

/// Whether a 3x3 convolution of stride 1 and padding 1 and its gradients go through the Winograd domain: with at least a block of
/// channels on both sides, where tiles and blocks filled up with zeros leave at most half of the products of the direct sum.
///
/// GFLOP/s of direct work on two idle Zen 5 cores with AVX-512, one run of `fovea-bench layers seed 4 224 224 2` (weight gradients
/// in chunks of 16 MiB). With the direct kernels whole steps ran at 255 (`train seed 4 224 224 2`, now 714) and at 328
/// (`infer seed 1 592 576 3`, now 763):
///
/// | inputs -> outputs, extent | forward | input gradient | weight gradient |
/// |---|---|---|---|
/// | 64 -> 64, 224 | 900 | 934 | 429 |
/// | 192 -> 64, 224 | 1092 | 1168 | 568 |
/// | 64 -> 128, 112 | 1034 | 1014 | 518 |
/// | 128 -> 128, 112 | 1227 | 1179 | 699 |
/// | 384 -> 128, 112 | 846 | 1033 | 832 |
/// | 128 -> 256, 56 | 914 | 842 | 787 |
/// | 256 -> 256, 56 | 1029 | 1002 | 923 |
/// | 768 -> 256, 56 | 1028 | 1158 | 968 |
/// | 256 -> 512, 28 | 930 | 764 | 882 |
/// | 512 -> 512, 28 | 968 | 915 | 987 |
pub(crate) fn suits(inputs: usize, outputs: usize, [h, w]: [usize; 2]) -> bool {
    let padded = |channels: usize| channels.next_multiple_of(BLOCK);
    let products = POINTS * h.div_ceil(4) * w.div_ceil(4) * padded(inputs) * padded(outputs);
    inputs >= BLOCK && outputs >= BLOCK && 2 * products <= 9 * h * w * inputs * outputs
}

/// [`suits`] for a weight gradient: also with at least 256 pixels in the batch. The rounding errors of its transforms are relative to whole
/// tiles; over a tile or two they can exceed the bound for the few products of a corner tap.
pub(crate) fn suits_grad_weight(images: usize, inputs: usize, outputs: usize, [h, w]: [usize; 2]) -> bool {
    images * h * w >= 256 && suits(inputs, outputs, [h, w])
}

/// As `correlate::correlate`, for kernel 3 and padding 1.
pub(crate) fn correlate(
    c: &Correlation,
    x: &[f32],
    weight: impl Fn(usize, usize, usize) -> f32 + Sync,
    epilogue: Epilogue<'_>,
    y: &mut [f32],
) {
    let tiles = Tiles::new(c.images, c.input);
    let e = Extents { inputs: c.inputs, outputs: c.outputs };
    let x = Planes { data: x, channels: c.inputs, extent: c.input };
    let y = Images { data: Parts::new(y), channels: c.outputs, extent: c.output, epilogue };
    let per_tile = POINTS * BLOCK * (e.input_blocks() + e.output_blocks());
    let weights = POINTS * e.plane();
    with_scratch(weights, |u| {
        weights::transform(e, weight, u);
        let own = weights <= OWN_WEIGHTS;
        let chunk = tiles.chunk(if own { OWN_FLOATS } else { SHARED_FLOATS } / per_tile);
        let chunks = tiles.segments().div_ceil(chunk);
        let each = |k: usize, scratch: &mut [f32]| {
            let segments = k * chunk..tiles.segments().min((k + 1) * chunk);
            Chunk { tiles: &tiles, segments, e, together: !own }.run(&x, u, &y, scratch);
        };
        let most = chunk * tiles.width * BLOCK;
        let floats = POINTS * (plane(e.input_blocks() * most) + plane(e.output_blocks() * most));
        if own {
            (0..chunks).into_par_iter().for_each(|k| with_scratch(floats, |scratch| each(k, scratch)));
        } else {
            with_scratch(floats, |scratch| (0..chunks).for_each(|k| each(k, scratch)));
        }
    });
}

/// Some segments of tiles on their way through the Winograd domain.
struct Chunk<'a> {
    tiles: &'a Tiles,
    segments: std::ops::Range<usize>,
    e: Extents,
    /// Whether all threads work on it.
    together: bool,
}

impl Chunk<'_> {
    fn run(&self, x: &Planes<'_>, u: &[f32], y: &Images<'_>, scratch: &mut [f32]) {
        let before = |index| self.tiles.before(index) - self.tiles.before(self.segments.start);
        let rows = before(self.segments.end);
        let size = rows * BLOCK;
        let (ins, outs) = (self.e.input_blocks(), self.e.output_blocks());
        let (v_plane, m_plane) = (plane(ins * size), plane(outs * size));
        let (v, m) = scratch.split_at_mut(POINTS * v_plane);
        let parts = Parts::new(v);
        self.each(self.segments.len() * ins, |task| {
            let (index, block) = (self.segments.start + task / ins, task % ins);
            let place = Place { plane: v_plane, start: block * size + before(index) * BLOCK };
            with_scratch(transform::SCRATCH, |scratch| {
                // SAFETY: each (segment, block) is one task's alone.
                unsafe {
                    transform::inputs(x, self.tiles.segment(index), block * BLOCK, &parts, place, scratch);
                }
            });
        });
        let v = &*v;
        let parts = Parts::new(m);
        self.each(POINTS * outs, |task| {
            let (point, block) = (task / outs, task % outs);
            let a = &v[point * v_plane..][..ins * size];
            let b = &u[point * self.e.plane() + block * self.e.panel()..][..self.e.panel()];
            let product = Product { a, row: BLOCK, column: 1, block: size, b, rows, depth: ins * BLOCK };
            let start = point * m_plane + block * size;
            // SAFETY: each (point, block) is one task's alone.
            product.run(false, unsafe { parts.part(start..start + size) });
        });
        let m = &*m;
        self.each(self.segments.len() * outs, |task| {
            let (index, block) = (self.segments.start + task / outs, task % outs);
            let place = Place { plane: m_plane, start: block * size + before(index) * BLOCK };
            with_scratch(transform::SCRATCH, |scratch| {
                // SAFETY: each (segment, block) is one task's alone, also in other chunks.
                unsafe {
                    transform::outputs(m, place, self.tiles.segment(index), block * BLOCK, y, scratch);
                }
            });
        });
    }

    /// Calls `f` for every task.
    fn each(&self, tasks: usize, f: impl Fn(usize) + Send + Sync) {
        if self.together { (0..tasks).into_par_iter().for_each(f) } else { (0..tasks).for_each(f) }
    }
}

/// Floats from point to point for a plane of so many: an odd number of cache lines, so that the 36 points of a tile fall into
/// different sets of the first-level cache.
fn plane(floats: usize) -> usize {
    (floats.div_ceil(16) | 1) * 16
}

/// A few neighbouring tiles of one row of tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    image: usize,
    /// Row of tiles.
    row: usize,
    /// First tile.
    column: usize,
    tiles: usize,
}

/// How a batch of planes is cut into segments of tiles.
#[derive(Debug, Clone, Copy)]
struct Tiles {
    /// Rows of tiles of all images.
    all_rows: usize,
    /// Rows of tiles per image.
    rows: usize,
    /// Tiles per row.
    columns: usize,
    /// Segments per row.
    per_row: usize,
    /// Tiles of each segment but the last of a row.
    width: usize,
}

impl Tiles {
    fn new(images: usize, [h, w]: [usize; 2]) -> Self {
        let (rows, columns) = (h.div_ceil(4), w.div_ceil(4));
        let width = columns.div_ceil(columns.div_ceil(TILES));
        Tiles { all_rows: images * rows, rows, columns, per_row: columns.div_ceil(width), width }
    }

    fn segments(&self) -> usize {
        self.all_rows * self.per_row
    }

    fn segment(&self, index: usize) -> Segment {
        let (row, column) = (index / self.per_row, index % self.per_row * self.width);
        let tiles = self.width.min(self.columns - column);
        Segment { image: row / self.rows, row: row % self.rows, column, tiles }
    }

    /// Tiles of all segments before this one.
    fn before(&self, index: usize) -> usize {
        index / self.per_row * self.columns + index % self.per_row * self.width
    }

    /// Segments of a chunk of about so many tiles, of chunks that are as even as can be.
    fn chunk(&self, tiles: usize) -> usize {
        let most = (tiles / self.width).max(1);
        self.segments().div_ceil(self.segments().div_ceil(most))
    }
}

#[cfg(test)]
mod tests;
