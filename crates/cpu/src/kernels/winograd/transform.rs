//! Tiles of images to and from the Winograd domain, one channel per lane.

use super::lines::{Gradient, Input, Line, Output, square};
use super::{BLOCK, POINTS, Segment, TILES};
use crate::kernels::correlate::{Epilogue, finish_row};
use crate::kernels::share::Parts;
use crate::kernels::simd::{Simd, per_isa};

/// Columns of a packed segment: four per tile and a halo of two.
const COLUMNS: usize = 4 * TILES + 2;
/// Most lanes of a register.
const LANES: usize = 16;
/// Floats of scratch memory that the functions of this file need: two times four rows of outputs, or six of inputs.
pub(super) const SCRATCH: usize = 2 * 4 * 4 * TILES * LANES;
const _: () = assert!(6 * COLUMNS * LANES <= SCRATCH);

/// A batch of planes `(N, channels, H, W)`.
#[derive(Clone, Copy)]
pub(super) struct Planes<'a> {
    pub(super) data: &'a [f32],
    pub(super) channels: usize,
    pub(super) extent: [usize; 2],
}

/// Places in the Winograd domain: point `p` of the segment's tile `t` is at `p * plane + start + t * 64`, followed by the
/// other channels of its block.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) plane: usize,
    pub(super) start: usize,
}

per_isa! {
    /// B^T d B of the inputs of a segment's tiles (6 x 6 pixels, one before and one behind the 4 x 4) for channels from `channel` on.
    ///
    /// # Safety
    /// No other task may use the segment's place in `to` meanwhile.
    unsafe fn inputs(x: &Planes<'_>, s: Segment, channel: usize, to: &Parts<'_>, place: Place, scratch: &mut [f32])
        = forward_inputs;
}

per_isa! {
    /// G g G^T of the gradients of a segment's tiles (4 x 4 pixels) for the 64 channels from `channel` on.
    ///
    /// # Safety
    /// No other task may use the segment's place in `to` meanwhile.
    unsafe fn gradients(x: &Planes<'_>, s: Segment, channel: usize, to: &Parts<'_>, place: Place, scratch: &mut [f32])
        = forward_gradients;
}

/// # Safety
/// As for [`inputs`], and must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn forward_inputs<V: Simd>(
    x: &Planes<'_>,
    s: Segment,
    channel: usize,
    to: &Parts<'_>,
    place: Place,
    scratch: &mut [f32],
) {
    // SAFETY: as for this function.
    unsafe { forward::<V, Input, 6>(x, s, channel, to, place, scratch) }
}

/// # Safety
/// As for [`gradients`], and must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn forward_gradients<V: Simd>(
    x: &Planes<'_>,
    s: Segment,
    channel: usize,
    to: &Parts<'_>,
    place: Place,
    scratch: &mut [f32],
) {
    // SAFETY: as for this function.
    unsafe { forward::<V, Gradient, 4>(x, s, channel, to, place, scratch) }
}

/// Packs and transforms squares of `I` pixels, each four pixels right of the one before.
///
/// # Safety
/// No other task may use the segment's place in `to` meanwhile; must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn forward<V: Simd, L: Line<I, 6>, const I: usize>(
    x: &Planes<'_>,
    s: Segment,
    channel: usize,
    to: &Parts<'_>,
    place: Place,
    scratch: &mut [f32],
) {
    let halo = (I - 4) / 2;
    let columns = 4 * s.tiles + 2 * halo;
    assert!(columns <= COLUMNS && V::LANES <= LANES && scratch.len() >= SCRATCH);
    for group in (0..BLOCK).step_by(V::LANES) {
        // SAFETY: compiled for `V`; packed pixels of the segment lie in the first `I * COLUMNS * V::LANES` floats of
        // the scratch memory; results stay in the segment's place, whose bounds `part` checks.
        unsafe {
            for row in 0..I {
                let to = &mut scratch[row * COLUMNS * V::LANES..][..columns * V::LANES];
                pack::<V>(x, s, channel + group, [row, halo], to);
            }
            let own =
                |p: usize| p * place.plane + place.start..p * place.plane + place.start + s.tiles * BLOCK;
            let planes: [*mut f32; POINTS] = std::array::from_fn(|p| to.part(own(p)).as_mut_ptr());
            for t in 0..s.tiles {
                let mut pixels = [[V::splat(0.0); I]; I];
                for (r, pixels) in pixels.iter_mut().enumerate() {
                    for (c, pixel) in pixels.iter_mut().enumerate() {
                        *pixel = V::load(scratch.as_ptr().add((r * COLUMNS + 4 * t + c) * V::LANES));
                    }
                }
                let points = square::<L, V, I, 6>(&pixels);
                for (p, plane) in planes.iter().enumerate() {
                    points[p / 6][p % 6].store(plane.add(t * BLOCK + group));
                }
            }
        }
    }
}

/// Packs one row of a segment, pixel by pixel with a register of channels each; zeros outside of the image and beyond the
/// last channel.
///
/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn pack<V: Simd>(x: &Planes<'_>, s: Segment, channel: usize, [row, halo]: [usize; 2], to: &mut [f32]) {
    let [h, w] = x.extent;
    let columns = to.len() / V::LANES;
    // Both wrap below zero at the image's upper and left edge.
    let (y, left) = ((4 * s.row + row).wrapping_sub(halo), (4 * s.column).wrapping_sub(halo));
    let live = x.channels.saturating_sub(channel).min(V::LANES);
    if y >= h || live == 0 {
        return to.fill(0.0);
    }
    let before = if left > w { halo } else { 0 };
    let first = left.wrapping_add(before);
    let count = (w - first).min(columns - before);
    to[..before * V::LANES].fill(0.0);
    to[(before + count) * V::LANES..].fill(0.0);
    let from = &x.data[((s.image * x.channels + channel) * h + y) * w + first..];
    let to = &mut to[before * V::LANES..(before + count) * V::LANES];
    if live < V::LANES || count < V::LANES {
        for (c, to) in to.chunks_exact_mut(V::LANES).enumerate() {
            for (lane, to) in to.iter_mut().enumerate() {
                *to = if lane < live { from[lane * h * w + c] } else { 0.0 };
            }
        }
        return;
    }
    assert!(from.len() >= (V::LANES - 1) * h * w + count);
    let mut c = 0;
    while c < count {
        // The last square overlaps the one before it.
        let at = c.min(count - V::LANES);
        // SAFETY: V::LANES columns from `at <= count - V::LANES` on, of channels that exist: inside both slices.
        unsafe { V::transpose(from.as_ptr().add(at), h * w, to.as_mut_ptr().add(at * V::LANES), V::LANES) };
        c += V::LANES;
    }
}

per_isa! {
    /// A^T m A of a segment's tiles, through bias and activation into the rows of `y` for the 64 channels from `channel` on.
    ///
    /// # Safety
    /// No other task may use the segment's pixels of these channels in `y` meanwhile.
    unsafe fn outputs(
        m: &[f32],
        place: Place,
        s: Segment,
        channel: usize,
        y: &Images<'_>,
        scratch: &mut [f32],
    ) = inverse;
}

/// Where outputs go: `(N, channels, H, W)`.
pub(super) struct Images<'a> {
    pub(super) data: Parts<'a>,
    pub(super) channels: usize,
    pub(super) extent: [usize; 2],
    pub(super) epilogue: Epilogue<'a>,
}

/// # Safety
/// As for [`outputs`], and must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn inverse<V: Simd>(
    m: &[f32],
    place: Place,
    s: Segment,
    channel: usize,
    y: &Images<'_>,
    scratch: &mut [f32],
) {
    const WIDTH: usize = 4 * TILES;
    assert!(V::LANES <= LANES && s.tiles <= TILES && scratch.len() >= SCRATCH);
    assert!((POINTS - 1) * place.plane + place.start + s.tiles * BLOCK <= m.len());
    let (pixels, rows) = scratch.split_at_mut(4 * WIDTH * LANES);
    for group in (0..BLOCK.min(y.channels - channel)).step_by(V::LANES) {
        // SAFETY: compiled for `V`; reads stay below the end of `m` asserted above, pixels and rows are 4 * WIDTH squares of lanes.
        unsafe {
            for t in 0..s.tiles {
                let mut points = [[V::splat(0.0); 6]; 6];
                for (p, point) in points.as_flattened_mut().iter_mut().enumerate() {
                    *point = V::load(m.as_ptr().add(p * place.plane + place.start + t * BLOCK + group));
                }
                let sums = square::<Output, V, 6, 4>(&points);
                for (p, sum) in sums.as_flattened().iter().enumerate() {
                    sum.store(pixels.as_mut_ptr().add((p / 4 * WIDTH + 4 * t + p % 4) * V::LANES));
                }
            }
            for (r, c) in (0..4).flat_map(|r| (0..4 * s.tiles).step_by(V::LANES).map(move |c| (r, c))) {
                let from = pixels.as_ptr().add((r * WIDTH + c) * V::LANES);
                V::transpose(from, V::LANES, rows.as_mut_ptr().add(r * WIDTH + c), 4 * WIDTH);
            }
            store(rows, s, channel + group..y.channels.min(channel + group + V::LANES), y);
        }
    }
}

/// Copies `[channel][4][4 TILES]` to the pixels that exist.
///
/// # Safety
/// As for [`outputs`].
#[inline(always)]
unsafe fn store(rows: &[f32], s: Segment, channels: std::ops::Range<usize>, y: &Images<'_>) {
    let [h, w] = y.extent;
    let width = (w - 4 * s.column).min(4 * s.tiles);
    for (lane, channel) in channels.enumerate() {
        let bias = y.epilogue.bias.map_or(0.0, |b| b[channel]);
        for r in 0..4.min(h - 4 * s.row) {
            let start = ((s.image * y.channels + channel) * h + 4 * s.row + r) * w + 4 * s.column;
            // SAFETY: pixels of this segment, this task's alone by the caller's promise.
            let to = unsafe { y.data.part(start..start + width) };
            finish_row(&rows[(lane * 4 + r) * 4 * TILES..][..width], bias, y.epilogue.activation, to);
        }
    }
}
