//! The matrix products of the forward direction: at each point of the Winograd domain, outputs from inputs for a chunk of tiles.

use super::tiles::REGISTERS;
use crate::kernels::simd::{Simd, per_isa};

/// Input channels contracted at a time: their panels of one group of tiles stay in the first-level cache.
const DEPTH: usize = 256;

/// Output channels computed together, `(first, count)`.
pub(super) type Block = (usize, usize);

/// Cuts `channels` into blocks of at most `most` that differ by one at most.
pub(super) fn even_blocks(channels: usize, most: usize) -> Vec<Block> {
    let count = channels.div_ceil(most);
    (0..count)
        .map(|b| {
            let (first, end) = (channels * b / count, channels * (b + 1) / count);
            (first, end - first)
        })
        .collect()
}

/// Most rows of one register tile: rows times [`REGISTERS`] sums, the registers of one operand and a factor fit in 16 registers of
/// AVX2, or 32 of wider sets.
pub(super) fn rows_most(lanes: usize) -> usize {
    if lanes == 8 { 6 } else { 12 }
}

/// `m[group][output] = sum over inputs of u[block][input][output] v[group][input]`, each a group of tiles long.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    /// `[block][input][output of the block]`.
    pub(super) u: &'a [f32],
    /// `[group][input][tile]`.
    pub(super) v: &'a [f32],
    pub(super) blocks: &'a [Block],
    pub(super) inputs: usize,
    pub(super) outputs: usize,
}

impl Product<'_> {
    /// Overwrites `m`, `[group][output][tile]`.
    pub(super) fn run(&self, lanes: usize, m: &mut [f32]) {
        let width = REGISTERS * lanes;
        let groups = m.len() / (self.outputs * width);
        assert!(self.u.len() >= self.inputs * self.outputs && self.v.len() >= groups * self.inputs * width);
        let covered = self.blocks.iter().fold(0, |next, &(first, count)| {
            assert!(first == next && count <= rows_most(lanes), "blocks follow one another");
            next + count
        });
        assert_eq!(covered, self.outputs);
        // SAFETY: operands hold what the loops read, and `m` has `groups` groups, as checked above.
        unsafe { product(*self, groups, m) };
    }
}

per_isa! {
    /// # Safety
    /// As checked in [`Product::run`].
    unsafe fn product(p: Product<'_>, groups: usize, m: &mut [f32]) = all;
}

/// # Safety
/// As checked in [`Product::run`], and must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn all<V: Simd>(p: Product<'_>, groups: usize, m: &mut [f32]) {
    let width = REGISTERS * V::LANES;
    for start in (0..p.inputs).step_by(DEPTH) {
        let depth = DEPTH.min(p.inputs - start);
        for group in 0..groups {
            for &(first, count) in p.blocks {
                // SAFETY: inputs `start..start + depth` and outputs `first..first + count` of an existing group.
                unsafe {
                    let u = p.u.as_ptr().add(first * p.inputs + start * count);
                    let v = p.v.as_ptr().add((group * p.inputs + start) * width);
                    let m = m.as_mut_ptr().add((group * p.outputs + first) * width);
                    block::<V>(count, u, v, depth, start > 0, m);
                }
            }
        }
    }
}

/// # Safety
/// As for [`tile`] with `count` rows.
#[inline(always)]
unsafe fn block<V: Simd>(count: usize, u: *const f32, v: *const f32, depth: usize, keep: bool, m: *mut f32) {
    // SAFETY: as for this function.
    unsafe {
        match count {
            1 => tile::<V, 1>(u, v, depth, keep, m),
            2 => tile::<V, 2>(u, v, depth, keep, m),
            3 => tile::<V, 3>(u, v, depth, keep, m),
            4 => tile::<V, 4>(u, v, depth, keep, m),
            5 => tile::<V, 5>(u, v, depth, keep, m),
            6 => tile::<V, 6>(u, v, depth, keep, m),
            _ if V::LANES == 8 => unreachable!("blocks have at most six rows"),
            7 => tile::<V, 7>(u, v, depth, keep, m),
            8 => tile::<V, 8>(u, v, depth, keep, m),
            9 => tile::<V, 9>(u, v, depth, keep, m),
            10 => tile::<V, 10>(u, v, depth, keep, m),
            11 => tile::<V, 11>(u, v, depth, keep, m),
            _ => tile::<V, 12>(u, v, depth, keep, m),
        }
    }
}

/// `R` outputs of one group of tiles; with `keep` they are added to what is there.
///
/// # Safety
/// `depth * R` floats at `u`, `depth` groups at `v` and `R` groups at `m` must be valid; must be inlined into code compiled
/// for `V`.
#[inline(always)]
unsafe fn tile<V: Simd, const R: usize>(
    mut u: *const f32,
    mut v: *const f32,
    depth: usize,
    keep: bool,
    m: *mut f32,
) {
    let width = REGISTERS * V::LANES;
    // SAFETY: inside the operands by the caller's promise.
    unsafe {
        let mut sums = [[V::splat(0.0); REGISTERS]; R];
        if keep {
            for (r, sums) in sums.iter_mut().enumerate() {
                for (k, sum) in sums.iter_mut().enumerate() {
                    *sum = V::load(m.add(r * width + k * V::LANES));
                }
            }
        }
        for _ in 0..depth {
            let mut x = [V::splat(0.0); REGISTERS];
            for (k, x) in x.iter_mut().enumerate() {
                *x = V::load(v.add(k * V::LANES));
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let factor = V::splat(*u.add(r));
                for k in 0..REGISTERS {
                    sums[k] = x[k].mul_add(factor, sums[k]);
                }
            }
            u = u.add(R);
            v = v.add(width);
        }
        for (r, sums) in sums.iter().enumerate() {
            for (k, sum) in sums.iter().enumerate() {
                sum.store(m.add(r * width + k * V::LANES));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::even_blocks;

    #[test]
    fn blocks_are_even_and_cover_all() {
        assert_eq!(even_blocks(12, 6), [(0, 6), (6, 6)]);
        assert_eq!(even_blocks(16, 6), [(0, 5), (5, 5), (10, 6)]);
        for channels in 1..80 {
            let blocks = even_blocks(channels, 6);
            assert_eq!(blocks.len(), channels.div_ceil(6));
            assert_eq!(blocks.iter().map(|b| b.1).sum::<usize>(), channels);
        }
    }
}
