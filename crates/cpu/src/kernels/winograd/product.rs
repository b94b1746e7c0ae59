//! The matrix products between the transforms: `c = a b` over a panel of 64 columns.

use super::BLOCK;
use crate::kernels::simd::{Simd, per_isa};

/// Contracted rows of `b` taken at a time: their panel of 32 KiB stays in the first-level cache.
const DEPTH: usize = 128;

/// `c (rows x 64) += a (rows x depth) b (depth x 64)`; `b` and `c` are contiguous.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    pub(super) a: &'a [f32],
    /// Floats from one row of `a` to the next.
    pub(super) row: usize,
    /// Floats from one column of `a` to the next, within a block of columns.
    pub(super) column: usize,
    /// Floats from one block of 64 columns of `a` to the next.
    pub(super) block: usize,
    pub(super) b: &'a [f32],
    pub(super) rows: usize,
    pub(super) depth: usize,
}

impl Product<'_> {
    /// Adds to `c`, or overwrites it with `keep` false.
    pub(super) fn run(&self, keep: bool, c: &mut [f32]) {
        let column = |k: usize| k / BLOCK * self.block + k % BLOCK * self.column;
        let last = self.depth - 1;
        // The furthest column is the last one, or the last of the block before it.
        let reach = column(last).max(column((last / BLOCK * BLOCK).saturating_sub(1)));
        assert!((self.rows - 1) * self.row + reach < self.a.len());
        assert!(self.depth * BLOCK <= self.b.len() && self.rows * BLOCK <= c.len());
        for start in (0..self.depth).step_by(DEPTH) {
            let depth = start..self.depth.min(start + DEPTH);
            // SAFETY: the furthest element of each operand was checked above; `start` is a multiple of the block.
            unsafe { panel(*self, depth, keep || start > 0, c) };
        }
    }
}

per_isa! {
    /// Contracts part of the depth.
    unsafe fn panel(p: Product<'_>, depth: std::ops::Range<usize>, keep: bool, c: &mut [f32]) = all_columns;
}

/// # Safety
/// As checked in [`Product::run`], and must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn all_columns<V: Simd>(p: Product<'_>, depth: std::ops::Range<usize>, keep: bool, c: &mut [f32]) {
    // Registers for sums: 6 x 4 of 32 with AVX-512, 6 x 2 of 16 otherwise.
    // SAFETY: as for this function.
    unsafe {
        if V::LANES == 16 { all_rows::<V, 4>(p, depth, keep, c) } else { all_rows::<V, 2>(p, depth, keep, c) }
    }
}

/// # Safety
/// As for [`all_columns`].
#[inline(always)]
unsafe fn all_rows<V: Simd, const NV: usize>(
    p: Product<'_>,
    depth: std::ops::Range<usize>,
    keep: bool,
    c: &mut [f32],
) {
    for column in (0..BLOCK).step_by(NV * V::LANES) {
        let mut row = 0;
        while row < p.rows {
            // SAFETY: as for this function; rows from `row` on exist in `a` and `c`.
            unsafe {
                let a = p.a.as_ptr().add(row * p.row + depth.start / BLOCK * p.block);
                let b = p.b.as_ptr().add(depth.start * BLOCK + column);
                let c = c.as_mut_ptr().add(row * BLOCK + column);
                let depth = depth.len();
                row += match p.rows - row {
                    1 => tile::<V, 1, NV>(p, a, b, depth, keep, c),
                    2 => tile::<V, 2, NV>(p, a, b, depth, keep, c),
                    3 => tile::<V, 3, NV>(p, a, b, depth, keep, c),
                    4 => tile::<V, 4, NV>(p, a, b, depth, keep, c),
                    5 => tile::<V, 5, NV>(p, a, b, depth, keep, c),
                    _ => tile::<V, 6, NV>(p, a, b, depth, keep, c),
                };
            }
        }
    }
}

/// `R` rows and `NV` registers of columns; gives the number of rows.
///
/// # Safety
/// As for [`all_columns`]; pointers stand at the first element of the tile.
#[inline(always)]
unsafe fn tile<V: Simd, const R: usize, const NV: usize>(
    p: Product<'_>,
    a: *const f32,
    b: *const f32,
    depth: usize,
    keep: bool,
    c: *mut f32,
) -> usize {
    // SAFETY: elements of the three matrices, by the caller's promise.
    unsafe {
        let mut sums = [[V::splat(0.0); NV]; R];
        if keep {
            for (r, sums) in sums.iter_mut().enumerate() {
                for (k, sum) in sums.iter_mut().enumerate() {
                    *sum = V::load(c.add(r * BLOCK + k * V::LANES));
                }
            }
        }
        let (mut a, mut b) = (a, b);
        for start in (0..depth).step_by(BLOCK) {
            let mut at = a;
            for _ in start..depth.min(start + BLOCK) {
                let mut v = [V::splat(0.0); NV];
                for (k, v) in v.iter_mut().enumerate() {
                    *v = V::load(b.add(k * V::LANES));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let factor = V::splat(*at.add(r * p.row));
                    for k in 0..NV {
                        sums[k] = v[k].mul_add(factor, sums[k]);
                    }
                }
                // Wrapping: after the last step neither pointer is read.
                at = at.wrapping_add(p.column);
                b = b.wrapping_add(BLOCK);
            }
            a = a.wrapping_add(p.block);
        }
        for (r, sums) in sums.iter().enumerate() {
            for (k, sum) in sums.iter().enumerate() {
                sum.store(c.add(r * BLOCK + k * V::LANES));
            }
        }
    }
    R
}
