//! The matrix products of the weight gradient: at each point of the Winograd domain, a sum over tiles for every pair of channels.

use super::product::{even_blocks, rows_most};
use super::tiles::REGISTERS;
use crate::kernels::simd::{Simd, per_isa};

/// Tiles contracted at a time.
const TILES: usize = 64;
/// Columns whose tiles are transposed at a time: 16 KiB, half of a first-level cache.
const COLUMNS: usize = 64;
/// Floats of scratch memory.
pub(super) const SCRATCH: usize = TILES * COLUMNS;

/// `sums[row][column] = sum over tiles of a[row][tile] b[column][tile]`.
#[derive(Clone, Copy)]
pub(super) struct Contraction<'a> {
    /// `[group][row][tile]`.
    pub(super) a: &'a [f32],
    /// `[group][column][tile]`, and one more square of anything behind the last.
    pub(super) b: &'a [f32],
    pub(super) groups: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Columns in whole registers: floats from row to row of the sums.
    pub(super) pitch: usize,
    /// Whether to add to the sums, or to overwrite them.
    pub(super) keep: bool,
}

impl Contraction<'_> {
    /// Makes the sums; those between `columns` and `pitch` become anything.
    pub(super) fn run(&self, lanes: usize, scratch: &mut [f32], sums: &mut [f32]) {
        let width = REGISTERS * lanes;
        assert!(TILES.is_multiple_of(width) && COLUMNS.is_multiple_of(width) && scratch.len() >= SCRATCH);
        assert!(self.pitch == self.columns.next_multiple_of(lanes) && sums.len() >= self.rows * self.pitch);
        let beyond = (self.pitch - self.columns) * width;
        assert!(self.a.len() >= self.groups * self.rows * width);
        assert!(self.b.len() >= self.groups * self.columns * width + beyond);
        // SAFETY: operands hold what the loops read, as checked above.
        unsafe { contract(*self, scratch, sums) };
    }
}

per_isa! {
    /// # Safety
    /// As checked in [`Contraction::run`].
    unsafe fn contract(c: Contraction<'_>, scratch: &mut [f32], sums: &mut [f32]) = all;
}

/// # Safety
/// As checked in [`Contraction::run`], and must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn all<V: Simd>(c: Contraction<'_>, scratch: &mut [f32], sums: &mut [f32]) {
    let width = REGISTERS * V::LANES;
    let (most, step) = (rows_most(V::LANES), TILES / width);
    let (narrow, wide) = (even_blocks(c.rows, 12), even_blocks(c.rows, most));
    for group in (0..c.groups).step_by(step) {
        let groups = step.min(c.groups - group);
        for column in (0..c.pitch).step_by(COLUMNS) {
            let columns = COLUMNS.min(c.pitch - column);
            let c = Contraction { keep: c.keep || group > 0, ..c };
            // SAFETY: groups, rows and columns that exist or lie in the square behind; the scratch memory holds
            // `groups * width <= TILES` rows of `COLUMNS`.
            unsafe {
                transpose::<V>(c, [group, groups], [column, columns], scratch);
                let a = c.a.as_ptr().add(group * c.rows * width);
                for at in (0..columns).step_by(width) {
                    let b = scratch.as_ptr().add(at);
                    let sums = sums.as_mut_ptr().add(column + at);
                    if columns - at > V::LANES {
                        for &(first, count) in &wide {
                            let place = Place { a: a.add(first * width), b, sums: sums.add(first * c.pitch) };
                            rows::<V, REGISTERS>(c, groups, count, place);
                        }
                    } else {
                        for &(first, count) in &narrow {
                            let place = Place { a: a.add(first * width), b, sums: sums.add(first * c.pitch) };
                            rows::<V, 1>(c, groups, count, place);
                        }
                    }
                }
            }
        }
    }
}

/// Copies columns of some groups as `[tile][column]`.
///
/// # Safety
/// As for [`all`].
#[inline(always)]
unsafe fn transpose<V: Simd>(
    c: Contraction<'_>,
    [group, groups]: [usize; 2],
    [column, columns]: [usize; 2],
    to: &mut [f32],
) {
    let width = REGISTERS * V::LANES;
    for g in 0..groups {
        for at in (0..columns).step_by(V::LANES) {
            for half in (0..width).step_by(V::LANES) {
                // SAFETY: V::LANES columns that exist or lie in the square behind the last, to their place among the tiles.
                unsafe {
                    let from = c.b.as_ptr().add(((group + g) * c.columns + column + at) * width + half);
                    V::transpose(
                        from,
                        width,
                        to.as_mut_ptr().add((g * width + half) * COLUMNS + at),
                        COLUMNS,
                    );
                }
            }
        }
    }
}

/// Where a register tile's operands and sums begin.
#[derive(Clone, Copy)]
struct Place {
    a: *const f32,
    b: *const f32,
    sums: *mut f32,
}

/// # Safety
/// As for [`tile`] with `count` rows.
#[inline(always)]
unsafe fn rows<V: Simd, const NV: usize>(c: Contraction<'_>, groups: usize, count: usize, p: Place) {
    // SAFETY: as for this function.
    unsafe {
        match count {
            1 => tile::<V, 1, NV>(c, groups, p),
            2 => tile::<V, 2, NV>(c, groups, p),
            3 => tile::<V, 3, NV>(c, groups, p),
            4 => tile::<V, 4, NV>(c, groups, p),
            5 => tile::<V, 5, NV>(c, groups, p),
            6 => tile::<V, 6, NV>(c, groups, p),
            _ if NV > 1 && V::LANES == 8 => unreachable!("blocks have at most six rows"),
            7 => tile::<V, 7, NV>(c, groups, p),
            8 => tile::<V, 8, NV>(c, groups, p),
            9 => tile::<V, 9, NV>(c, groups, p),
            10 => tile::<V, 10, NV>(c, groups, p),
            11 => tile::<V, 11, NV>(c, groups, p),
            _ => tile::<V, 12, NV>(c, groups, p),
        }
    }
}

/// `R` rows and `NV` registers of columns.
///
/// # Safety
/// Pointers stand at the tile's first row and column, of operands as checked in [`Contraction::run`]; must be inlined into code
/// compiled for `V`.
#[inline(always)]
unsafe fn tile<V: Simd, const R: usize, const NV: usize>(c: Contraction<'_>, groups: usize, p: Place) {
    let width = REGISTERS * V::LANES;
    // SAFETY: inside the operands by the caller's promise.
    unsafe {
        let mut sums = [[V::splat(0.0); NV]; R];
        if c.keep {
            for (r, sums) in sums.iter_mut().enumerate() {
                for (k, sum) in sums.iter_mut().enumerate() {
                    *sum = V::load(p.sums.add(r * c.pitch + k * V::LANES));
                }
            }
        }
        for group in 0..groups {
            let a = p.a.add(group * c.rows * width);
            let b = p.b.add(group * width * COLUMNS);
            for t in 0..width {
                let mut x = [V::splat(0.0); NV];
                for (k, x) in x.iter_mut().enumerate() {
                    *x = V::load(b.add(t * COLUMNS + k * V::LANES));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let factor = V::splat(*a.add(r * width + t));
                    for k in 0..NV {
                        sums[k] = x[k].mul_add(factor, sums[k]);
                    }
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            for (k, sum) in sums.iter().enumerate() {
                sum.store(p.sums.add(r * c.pitch + k * V::LANES));
            }
        }
    }
}
