//! Weight gradient of a stride-1 convolution: for every output channel, input channel and tap, a dot product over pixels.
//!
//! Gradient and input are packed at one pitch, zeros between the gradient's rows, so that each tap is again one shift of a flat
//! row. `A` output channels times `B` input channels times `T` neighbouring taps stay in registers while pixels go by, 16
//! (or 8) at a time; their lanes are summed at the end of each chunk. Work is cut into a fixed grid of (pixel groups x
//! output-channel groups); each cell sums its own copy and the copies are added in order, so that the bits do not
//! depend on the threads.

use super::correlate::Correlation;
use super::pack::{Strip, strips};
use super::planes::Planes;
use super::share::{Parts, with_scratch};
use super::simd::Simd;
use rayon::prelude::*;

/// Packed strips take at most this many floats.
const STRIP_FLOATS: usize = 128 * 1024;
/// Pixels per pass of the inner kernel: four rows of gradients stay in the first-level cache.
const CHUNK: usize = 1536;
/// Output channels per cell.
const GROUP: usize = 32;
/// Cells to aim for, so that every thread has some.
const CELLS: usize = 16;

/// Writes the weight gradient `(outputs, inputs, K, K)` of a correlation to `dw`; `dy` is `(N, outputs, Ho, Wo)`.
pub(crate) fn outer(o: &Correlation, x: Planes<'_>, dy: &[f32], dw: &mut [f32]) {
    let pitch = o.input[1] + o.padding;
    let per_row = (o.inputs + GROUP.min(o.outputs)) * pitch;
    let rows = (STRIP_FLOATS / per_row).saturating_sub(o.kernel - 1).clamp(1, 32);
    let strips = strips(o.output[0], rows, pitch, o.kernel, o.padding);
    let items = o.images * strips.len();
    let groups = o.outputs.div_ceil(GROUP);
    let shares = CELLS.div_ceil(groups).min(items);
    let size = dw.len();
    let mut copies = vec![0f32; shares * size];
    let parts = Parts::new(&mut copies);
    (0..shares * groups).into_par_iter().for_each(|cell| {
        let (share, group) = (cell / groups, cell % groups);
        let channels = group * GROUP..o.outputs.min((group + 1) * GROUP);
        let each = o.inputs * o.kernel * o.kernel;
        // SAFETY: each (share, group) owns this range alone.
        let sums =
            unsafe { parts.part(share * size + channels.start * each..share * size + channels.end * each) };
        for item in items * share / shares..items * (share + 1) / shares {
            strip(o, &strips[item % strips.len()], item / strips.len(), channels.clone(), (x, dy), sums);
        }
    });
    dw.copy_from_slice(&copies[..size]);
    for copy in copies[size..].chunks_exact(size) {
        add(copy, dw);
    }
}

super::simd::vectorised! {
    /// `to += from`.
    fn add(from: &[f32], to: &mut [f32]) {
        for (t, f) in to.iter_mut().zip(from) { *t += f; }
    }
}

/// Adds one strip's share to `sums`, `[channels][inputs][K K]`.
fn strip(
    o: &Correlation,
    strip: &Strip,
    image: usize,
    channels: std::ops::Range<usize>,
    (x, dy): (Planes<'_>, &[f32]),
    sums: &mut [f32],
) {
    let plane = strip.plane(16);
    let dy_plane = (strip.flat().div_ceil(16) | 1) * 16;
    with_scratch(o.inputs * plane + channels.len() * dy_plane, |scratch| {
        let (xs, dys) = scratch.split_at_mut(o.inputs * plane);
        let pixels = o.output[0] * o.output[1];
        for i in 0..o.inputs {
            strip.pack(x.plane(image, i), o.input, &mut xs[i * plane..(i + 1) * plane]);
        }
        for (lane, c) in channels.clone().enumerate() {
            let from = &dy[(image * o.outputs + c) * pixels..][..pixels];
            strip.pack_output(from, o.output[1], &mut dys[lane * dy_plane..(lane + 1) * dy_plane]);
        }
        let operands =
            Operands { xs, plane, dys, dy_plane, kernel: o.kernel, pitch: strip.pitch, inputs: o.inputs };
        // SAFETY: the kernel asks for nothing but its instruction set.
        unsafe { all(&operands, strip.flat(), sums) };
    });
}

/// Packed planes of one strip.
pub(crate) struct Operands<'a> {
    xs: &'a [f32],
    plane: usize,
    dys: &'a [f32],
    dy_plane: usize,
    kernel: usize,
    pitch: usize,
    inputs: usize,
}

super::simd::per_isa! {
    unsafe fn all(operands: &Operands<'_>, flat: usize, sums: &mut [f32]) = all_lanes;
}

/// All chunks, channel pairs and taps of a strip.
///
/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn all_lanes<V: Simd>(p: &Operands<'_>, flat: usize, sums: &mut [f32]) {
    let channels = p.dys.len() / p.dy_plane;
    for start in (0..flat).step_by(CHUNK) {
        let steps = CHUNK.min(flat - start).div_ceil(V::LANES);
        let mut o = 0;
        while o < channels {
            let a = (channels - o).min(if V::LANES == 16 { 4 } else { 3 });
            let mut i = 0;
            while i < p.inputs {
                let b = (p.inputs - i).min(if V::LANES == 16 { 2 } else { 1 });
                for row in 0..p.kernel {
                    let place = Place { o, i, row, start, steps };
                    // SAFETY: inlined into code compiled for `V`, as this function is.
                    unsafe {
                        match (a, b) {
                            (4, 2) => taps_of_row::<V, 4, 2>(p, place, sums),
                            (4, _) => taps_of_row::<V, 4, 1>(p, place, sums),
                            (3, 2) => taps_of_row::<V, 3, 2>(p, place, sums),
                            (3, _) => taps_of_row::<V, 3, 1>(p, place, sums),
                            (2, 2) => taps_of_row::<V, 2, 2>(p, place, sums),
                            (2, _) => taps_of_row::<V, 2, 1>(p, place, sums),
                            (_, 2) => taps_of_row::<V, 1, 2>(p, place, sums),
                            (_, _) => taps_of_row::<V, 1, 1>(p, place, sums),
                        }
                    }
                }
                i += b;
            }
            o += a;
        }
    }
}

/// Which sums one pass makes: first output and input channel, kernel row, first pixel, registers of pixels.
#[derive(Clone, Copy)]
struct Place {
    o: usize,
    i: usize,
    row: usize,
    start: usize,
    steps: usize,
}

/// All taps of one kernel row, three at a time where there are three.
///
/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn taps_of_row<V: Simd, const A: usize, const B: usize>(
    p: &Operands<'_>,
    place: Place,
    sums: &mut [f32],
) {
    // SAFETY: inlined into code compiled for `V`, as this function is.
    unsafe {
        if p.kernel == 3 {
            return pass::<V, A, B, 3>(p, place, 0, sums);
        }
        for tap in 0..p.kernel {
            pass::<V, A, B, 1>(p, place, tap, sums);
        }
    }
}

/// One pass over a chunk of pixels for `A` output channels, `B` input channels and `T` taps.
///
/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn pass<V: Simd, const A: usize, const B: usize, const T: usize>(
    p: &Operands<'_>,
    place: Place,
    tap: usize,
    sums: &mut [f32],
) {
    let Place { o, i, row, start, steps } = place;
    let shift = start + row * p.pitch + tap;
    // These bounds make every access below valid; they hold by construction of strips.
    assert!((o + A) * p.dy_plane <= p.dys.len() && start + steps * V::LANES <= p.dy_plane);
    assert!((i + B) * p.plane <= p.xs.len() && shift + steps * V::LANES + T - 1 <= p.plane);
    let taps = p.kernel * p.kernel;
    // SAFETY: reads stay inside the planes by the bounds asserted above.
    unsafe {
        let mut lanes = [[[V::splat(0.0); T]; B]; A];
        let dy = p.dys.as_ptr().add(o * p.dy_plane + start);
        let x = p.xs.as_ptr().add(i * p.plane + shift);
        for s in 0..steps {
            let mut v = [[V::splat(0.0); T]; B];
            for (b, v) in v.iter_mut().enumerate() {
                for (t, v) in v.iter_mut().enumerate() {
                    *v = V::load(x.add(b * p.plane + s * V::LANES + t));
                }
            }
            for (a, lanes) in lanes.iter_mut().enumerate() {
                let g = V::load(dy.add(a * p.dy_plane + s * V::LANES));
                for b in 0..B {
                    for t in 0..T {
                        lanes[b][t] = v[b][t].mul_add(g, lanes[b][t]);
                    }
                }
            }
        }
        for (a, lanes) in lanes.iter().enumerate() {
            for (b, lanes) in lanes.iter().enumerate() {
                for (t, lanes) in lanes.iter().enumerate() {
                    sums[((o + a) * p.inputs + i + b) * taps + row * p.kernel + tap + t] += lanes.sum();
                }
            }
        }
    }
}
