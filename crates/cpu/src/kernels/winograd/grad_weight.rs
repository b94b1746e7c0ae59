//! Weight gradient: F(3x3, 4x4), with tiles of the output's gradient as filters.
//!
//! Inputs and gradients of some hundred tiles are transformed, then each of the 36 points is one matrix product over
//! tiles that adds to its own `outputs x inputs` sums. Chunks follow one another in order, so the bits depend on no thread.

use super::product::Product;
use super::transform::{self, Place, Planes};
use super::weights::{self, Extents};
use super::{BLOCK, POINTS, Tiles, plane};
use crate::kernels::correlate::Correlation;
use crate::kernels::share::{Parts, with_scratch};
use rayon::prelude::*;

/// Transformed inputs and gradients of one chunk take at most about this many floats. Over the layers of `suits`, 4 MiB took 301 ms and
/// 8, 16 and 32 MiB 364, 340 and 367 (one run each).
const CHUNK_FLOATS: usize = 1 << 20;

/// Writes `(outputs, inputs, 3, 3)` to `dw`; `o` has kernel 3 and padding 1.
pub(crate) fn grad_weight(o: &Correlation, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let tiles = Tiles::new(o.images, o.input);
    let e = Extents { inputs: o.inputs, outputs: o.outputs };
    let blocks = e.input_blocks() + e.output_blocks();
    let chunk = tiles.chunk(CHUNK_FLOATS / (POINTS * BLOCK * blocks));
    let most = chunk * tiles.width * BLOCK;
    let inputs = POINTS * plane(e.input_blocks() * most);
    let gradients = POINTS * plane(e.output_blocks() * most);
    let sums = POINTS * plane(e.output_blocks() * e.input_blocks() * BLOCK * BLOCK);
    with_scratch(inputs + gradients + sums, |scratch| {
        let (v, rest) = scratch.split_at_mut(inputs);
        let (g, m) = rest.split_at_mut(gradients);
        let x = Planes { data: x, channels: o.inputs, extent: o.input };
        let dy = Planes { data: dy, channels: o.outputs, extent: o.output };
        for first in (0..tiles.segments()).step_by(chunk) {
            let segments = first..tiles.segments().min(first + chunk);
            add(&tiles, segments, [&x, &dy], e, [v, g], first > 0, m);
        }
        weights::inverse(e, m, sums / POINTS, dw);
    });
}

/// Adds one chunk's products to `m`, `[36][input block][output][64]`, or starts it with `keep` false.
fn add(
    tiles: &Tiles,
    segments: std::ops::Range<usize>,
    [x, dy]: [&Planes<'_>; 2],
    e: Extents,
    [v, g]: [&mut [f32]; 2],
    keep: bool,
    m: &mut [f32],
) {
    let count = tiles.before(segments.end) - tiles.before(segments.start);
    let size = count * BLOCK;
    let (ins, outs) = (e.input_blocks(), e.output_blocks());
    let (v_plane, g_plane) = (plane(ins * size), plane(outs * size));
    let (v_parts, g_parts) = (Parts::new(v), Parts::new(g));
    (0..segments.len() * (ins + outs)).into_par_iter().for_each(|task| {
        let (index, block) = (segments.start + task / (ins + outs), task % (ins + outs));
        let segment = tiles.segment(index);
        let at = (tiles.before(index) - tiles.before(segments.start)) * BLOCK;
        with_scratch(transform::SCRATCH, |scratch| {
            // SAFETY: each (segment, block) is one task's alone.
            unsafe {
                if block < ins {
                    let place = Place { plane: v_plane, start: block * size + at };
                    transform::inputs(x, segment, block * BLOCK, &v_parts, place, scratch);
                } else {
                    let place = Place { plane: g_plane, start: (block - ins) * size + at };
                    transform::gradients(dy, segment, (block - ins) * BLOCK, &g_parts, place, scratch);
                }
            }
        });
    });
    let (v, g) = (&*v, &*g);
    let m_plane = m.len() / POINTS;
    let parts = Parts::new(m);
    (0..POINTS * ins * outs).into_par_iter().for_each(|task| {
        let (point, input, output) = (task / (ins * outs), task / outs % ins, task % outs);
        let a = &g[point * g_plane + output * size..][..size];
        let b = &v[point * v_plane + input * size..][..size];
        let product =
            Product { a, row: 1, column: BLOCK, block: BLOCK * BLOCK, b, rows: BLOCK, depth: count };
        let start = point * m_plane + (input * outs + output) * BLOCK * BLOCK;
        // SAFETY: each (point, input block, output block) is one task's alone.
        product.run(keep, unsafe { parts.part(start..start + BLOCK * BLOCK) });
    });
}
