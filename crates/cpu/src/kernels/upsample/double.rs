//! Upsampling by two, which is what networks do: each pixel makes an even and an odd output per axis.
//!
//! Output `2 i` lies between pixels `i - 1` and `i`, output `2 i + 1` between `i` and `i + 1`, in both conventions of corners; only the
//! weights differ. So rows need no table of places: both outputs of a register of pixels come from three shifted loads.

use crate::kernels::activate::CHUNK as TASK;
use crate::kernels::share::with_scratch;
use crate::kernels::simd::{Simd, per_isa, registers};
use fovea_graph::Resize;
use rayon::prelude::*;

/// Floats beside a row in scratch memory, so that registers of any width may be loaded one pixel beside its last.
const MARGIN: usize = 32;

/// Weights of an axis, followed by zeros for [`MARGIN`].
pub(crate) struct Axis {
    /// Of pixel `i` in output `2 i`; that of pixel `i - 1` is one minus it.
    even: Vec<f32>,
    /// Of pixel `i + 1` in output `2 i + 1`; that of pixel `i` is one minus it.
    odd: Vec<f32>,
}

impl Axis {
    /// Pixels beside the first and the last have no weight. `None` for a mode that does not mix pixels.
    fn new(mode: Resize, extent: usize) -> Option<Self> {
        let last = (2 * extent - 1) as f64;
        let weights = |i: usize| match mode {
            Resize::Nearest => None,
            Resize::Bilinear { align_corners: true } => {
                Some([1.0 - i as f64 / last, (extent - 1 - i) as f64 / last])
            }
            Resize::Bilinear { align_corners: false } => {
                Some([if i == 0 { 1.0 } else { 0.75 }, if i + 1 == extent { 0.0 } else { 0.25 }])
            }
        };
        let pairs: Vec<[f64; 2]> = (0..extent).map(weights).collect::<Option<_>>()?;
        let padded = |k: usize| {
            pairs.iter().map(|pair| pair[k] as f32).chain(std::iter::repeat_n(0.0, MARGIN)).collect()
        };
        Some(Axis { even: padded(0), odd: padded(1) })
    }

    /// What pixel `i` gives to outputs `2 i - 1` to `2 i + 2`, for every `i`.
    fn shares(&self, extent: usize) -> [Vec<f32>; 4] {
        let before = |i: usize| if i == 0 { 0.0 } else { self.odd[i - 1] };
        let after = |i: usize| if i + 1 == extent { 0.0 } else { 1.0 - self.even[i + 1] };
        let padded = |share: &dyn Fn(usize) -> f32| {
            (0..extent).map(share).chain(std::iter::repeat_n(0.0, MARGIN)).collect()
        };
        [padded(&before), padded(&|i| self.even[i]), padded(&|i| 1.0 - self.odd[i]), padded(&after)]
    }
}

/// `planes` of (H, W) to (2H, 2W).
pub(super) fn forward(mode: Resize, [h, w]: [usize; 2], x: &[f32], y: &mut [f32]) {
    let axes = Axis::new(mode, h).zip(Axis::new(mode, w));
    let planes = y.par_chunks_mut(4 * h * w).zip(x.par_chunks(h * w));
    planes.with_min_len(TASK.div_ceil(4 * h * w)).for_each(|(y, x)| match &axes {
        // SAFETY: the kernel asks for nothing but its instruction set.
        Some((rows, columns)) => with_scratch(w + MARGIN, |row| unsafe { mix(rows, columns, w, x, y, row) }),
        // SAFETY: as above.
        None => unsafe { repeat(w, x, y) },
    });
}

/// Adjoint of [`forward`]: every pixel gathers its shares of four outputs per axis, in order.
pub(super) fn grad(mode: Resize, [h, w]: [usize; 2], dy: &[f32], dx: &mut [f32]) {
    let axes = Axis::new(mode, h).zip(Axis::new(mode, w));
    let shares = axes.map(|(rows, columns)| (rows.shares(h), columns.shares(w)));
    let planes = dx.par_chunks_mut(h * w).zip(dy.par_chunks(4 * h * w));
    planes.with_min_len(TASK.div_ceil(4 * h * w)).for_each(|(dx, dy)| match &shares {
        Some((rows, columns)) => with_scratch(2 * (w + MARGIN), |scratch| {
            // SAFETY: the kernel asks for nothing but its instruction set.
            unsafe { gather(rows, columns, w, dy, dx, scratch) }
        }),
        // SAFETY: as above.
        None => unsafe { sum_squares(w, dy, dx) },
    });
}

per_isa! {
    /// One plane, rows first.
    unsafe fn mix(rows: &Axis, columns: &Axis, w: usize, x: &[f32], y: &mut [f32], row: &mut [f32]) = mix_lanes;
}

/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn mix_lanes<V: Simd>(
    rows: &Axis,
    columns: &Axis,
    w: usize,
    x: &[f32],
    y: &mut [f32],
    row: &mut [f32],
) {
    let h = x.len() / w;
    let (even, odd) = (&columns.even[..w + MARGIN], &columns.odd[..w + MARGIN]);
    assert!(x.len() == h * w && y.len() == 4 * h * w && row.len() == w + MARGIN);
    for (o, y) in y.chunks_exact_mut(2 * w).enumerate() {
        let i = o / 2;
        let (low, high, weight) = if o.is_multiple_of(2) {
            (i.saturating_sub(1), i, rows.even[i])
        } else {
            (i, (i + 1).min(h - 1), rows.odd[i])
        };
        let (low, high) = (&x[low * w..][..w], &x[high * w..][..w]);
        // SAFETY: compiled for `V`; `live` floats from `at` on lie inside of both rows, and LANES <= 16 from there on inside of the
        // margin of the scratch row, whose pixels begin at 1.
        unsafe {
            let weight = V::splat(weight);
            registers!(V, w, |at, live| {
                let low = V::load_first(low.as_ptr().add(at), live);
                let high = V::load_first(high.as_ptr().add(at), live);
                high.sub(low).mul_add(weight, low).store(row.as_mut_ptr().add(1 + at));
            });
        }
        (row[0], row[w + 1]) = (row[1], row[w]);
        // SAFETY: compiled for `V`; `2 live` floats from `2 at` on lie inside of the output row, LANES from `at + 2` on inside of
        // the margin of the scratch row, and LANES from `at` on inside of that of the weights.
        unsafe {
            registers!(V, w, |at, live| {
                let pixels = row.as_ptr().add(at);
                let (before, own, after) = (V::load(pixels), V::load(pixels.add(1)), V::load(pixels.add(2)));
                let even = own.sub(before).mul_add(V::load(even.as_ptr().add(at)), before);
                let odd = after.sub(own).mul_add(V::load(odd.as_ptr().add(at)), own);
                V::store_two(even.zip(odd), y.as_mut_ptr().add(2 * at), 2 * live);
            });
        }
    }
}

per_isa! {
    /// Each pixel of one plane four times.
    unsafe fn repeat(w: usize, x: &[f32], y: &mut [f32]) = repeat_lanes;
}

/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn repeat_lanes<V: Simd>(w: usize, x: &[f32], y: &mut [f32]) {
    assert!(y.len() == 4 * x.len());
    for (x, y) in x.chunks_exact(w).zip(y.chunks_exact_mut(4 * w)) {
        registers!(V, w, |at, live| {
            // SAFETY: compiled for `V`; `live` pixels from `at` on lie inside of the row, twice as many inside of each row of output.
            unsafe {
                let x = V::load_first(x.as_ptr().add(at), live);
                let pairs = x.zip(x);
                V::store_two(pairs, y.as_mut_ptr().add(2 * at), 2 * live);
                V::store_two(pairs, y.as_mut_ptr().add(2 * (w + at)), 2 * live);
            }
        });
    }
}

per_isa! {
    /// Adjoint of [`mix`], rows first: `scratch` holds the sums over rows at even and at odd columns.
    unsafe fn gather(
        rows: &[Vec<f32>; 4],
        columns: &[Vec<f32>; 4],
        w: usize,
        dy: &[f32],
        dx: &mut [f32],
        scratch: &mut [f32],
    ) = gather_lanes;
}

/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn gather_lanes<V: Simd>(
    rows: &[Vec<f32>; 4],
    columns: &[Vec<f32>; 4],
    w: usize,
    dy: &[f32],
    dx: &mut [f32],
    scratch: &mut [f32],
) {
    let h = dx.len() / w;
    assert!(dx.len() == h * w && dy.len() == 4 * h * w && scratch.len() == 2 * (w + MARGIN));
    assert!(columns.iter().all(|c| c.len() == w + MARGIN));
    let (even, odd) = scratch.split_at_mut(w + MARGIN);
    odd[0] = 0.0;
    for (i, dx) in dx.chunks_exact_mut(w).enumerate() {
        // Beside the first and the last row stands one whose share is zero.
        let outputs = [(2 * i).saturating_sub(1), 2 * i, 2 * i + 1, (2 * i + 2).min(2 * h - 1)];
        let from = outputs.map(|o| &dy[o * 2 * w..][..2 * w]);
        // SAFETY: compiled for `V`; `2 live` floats from `2 at` on lie inside of each row of outputs, LANES + 1 <= 17 from `at` on
        // inside of the margin of the scratch rows.
        unsafe {
            let shares = [0, 1, 2, 3].map(|k| V::splat(rows[k][i]));
            registers!(V, w, |at, live| {
                let mut sums = [V::splat(0.0); 2];
                for (row, share) in from.iter().zip(shares) {
                    let two = V::load_two(row.as_ptr().add(2 * at), 2 * live);
                    sums = [two[0].mul_add(share, sums[0]), two[1].mul_add(share, sums[1])];
                }
                let [evens, odds] = sums[0].unzip(sums[1]);
                evens.store(even.as_mut_ptr().add(at));
                odds.store(odd.as_mut_ptr().add(at + 1));
            });
        }
        even[w] = 0.0;
        // SAFETY: compiled for `V`; LANES + 1 floats from `at` on lie inside of the margin of scratch and shares, `live` inside of
        // the row of pixels.
        unsafe {
            registers!(V, w, |at, live| {
                let (even, odd) = (even.as_ptr().add(at), odd.as_ptr().add(at));
                let shares = [0, 1, 2, 3].map(|k| V::load(columns[k].as_ptr().add(at)));
                let sum = V::load(odd).mul(shares[0]);
                let sum = V::load(even).mul_add(shares[1], sum);
                let sum = V::load(odd.add(1)).mul_add(shares[2], sum);
                let sum = V::load(even.add(1)).mul_add(shares[3], sum);
                sum.store_first(dx.as_mut_ptr().add(at), live);
            });
        }
    }
}

per_isa! {
    /// Adjoint of [`repeat`]: sums over squares of two by two.
    unsafe fn sum_squares(w: usize, dy: &[f32], dx: &mut [f32]) = sum_squares_lanes;
}

/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn sum_squares_lanes<V: Simd>(w: usize, dy: &[f32], dx: &mut [f32]) {
    assert!(dy.len() == 4 * dx.len());
    for (dx, dy) in dx.chunks_exact_mut(w).zip(dy.chunks_exact(4 * w)) {
        registers!(V, w, |at, live| {
            // SAFETY: compiled for `V`; `live` pixels from `at` on lie inside of the row, twice as many inside of each row of output.
            unsafe {
                let above = V::load_two(dy.as_ptr().add(2 * at), 2 * live);
                let below = V::load_two(dy.as_ptr().add(2 * (w + at)), 2 * live);
                let [even, odd] = above[0].add(below[0]).unzip(above[1].add(below[1]));
                even.add(odd).store_first(dx.as_mut_ptr().add(at), live);
            }
        });
    }
}
