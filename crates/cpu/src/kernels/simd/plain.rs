//! Lanes of plain arithmetic.

use super::Simd;
use std::array::from_fn;

/// Lanes of plain arithmetic, for the compiler to map to what it has; `N` is a power of two, one lane is a plain float.
#[derive(Clone, Copy)]
pub(crate) struct Plain<const N: usize>(pub(crate) [f32; N]);

// SAFETY: plain arithmetic runs everywhere; loads and stores touch exactly LANES floats.
unsafe impl<const N: usize> Simd for Plain<N> {
    const LANES: usize = N;
    /// As AVX-512 for sixteen lanes; eight take two of the sixteen registers that any target has.
    const REGISTERS: usize = if N == 16 { 32 } else { 8 };
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Plain([x; N])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller gives a pointer to N floats; [f32; N] is read without alignment demands.
        Plain(unsafe { from.cast::<[f32; N]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as for `load`.
        unsafe { to.cast::<[f32; N]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Plain(from_fn(|i| self.0[i] + other.0[i]))
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Plain(from_fn(|i| self.0[i] - other.0[i]))
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Plain(from_fn(|i| self.0[i] * other.0[i]))
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        Plain(from_fn(|i| self.0[i] / other.0[i]))
    }
    #[inline(always)]
    unsafe fn mul_add(self, a: Self, b: Self) -> Self {
        Plain(from_fn(|i| self.0[i] * a.0[i] + b.0[i]))
    }
    #[inline(always)]
    unsafe fn at_least(self, low: Self) -> Self {
        Plain(from_fn(|i| if self.0[i] < low.0[i] { low.0[i] } else { self.0[i] }))
    }
    #[inline(always)]
    unsafe fn at_most(self, high: Self) -> Self {
        Plain(from_fn(|i| if self.0[i] > high.0[i] { high.0[i] } else { self.0[i] }))
    }
    #[inline(always)]
    unsafe fn larger(self, other: Self) -> Self {
        // Bitwise or: without a branch the loop is vectorised.
        Plain(from_fn(|i| {
            let (a, b) = (self.0[i], other.0[i]);
            if (a > b) | a.is_nan() { a } else { b }
        }))
    }
    #[inline(always)]
    unsafe fn if_below(self, other: Self, yes: Self, no: Self) -> Self {
        Plain(from_fn(|i| if self.0[i] < other.0[i] { yes.0[i] } else { no.0[i] }))
    }
    #[inline(always)]
    unsafe fn to_exponent(self) -> Self {
        Plain(from_fn(|i| f32::from_bits(self.0[i].to_bits() << 23)))
    }
    #[inline(always)]
    unsafe fn zip(self, other: Self) -> [Self; 2] {
        let lane = |i: usize| if i.is_multiple_of(2) { self.0[i / 2] } else { other.0[i / 2] };
        [Plain(from_fn(lane)), Plain(from_fn(|i| lane(N + i)))]
    }
    #[inline(always)]
    unsafe fn unzip(self, other: Self) -> [Self; 2] {
        let lane = |i: usize| if i < N { self.0[i] } else { other.0[i - N] };
        [Plain(from_fn(|i| lane(2 * i))), Plain(from_fn(|i| lane(2 * i + 1)))]
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let (mut lanes, mut width) = (self.0, N);
        while width > 1 {
            width /= 2;
            for i in 0..width {
                lanes[i] += lanes[i + width];
            }
        }
        lanes[0]
    }
    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
        for (i, j) in (0..N * N).map(|k| (k / N, k % N)) {
            // SAFETY: rows of N floats are valid by the trait's contract.
            unsafe { *to.add(j * to_row + i) = *from.add(i * from_row + j) };
        }
    }
    #[inline(always)]
    unsafe fn load_phases(from: *const f32) -> [Self; 4] {
        // SAFETY: the caller gives a pointer to 4 N floats.
        from_fn(|j| Plain(from_fn(|k| unsafe { *from.add(4 * k + j) })))
    }
    #[inline(always)]
    unsafe fn keep(self, lanes: usize) -> Self {
        Plain(from_fn(|k| if k < lanes { self.0[k] } else { 0.0 }))
    }
    #[inline(always)]
    unsafe fn up(self, before: Self) -> Self {
        Plain(from_fn(|k| if k == 0 { before.0[N - 1] } else { self.0[k - 1] }))
    }
    #[inline(always)]
    unsafe fn down(self, after: Self) -> Self {
        Plain(from_fn(|k| if k == N - 1 { after.0[0] } else { self.0[k + 1] }))
    }
    #[inline(always)]
    unsafe fn store_phases(phases: [Self; 4], to: *mut f32) {
        for (k, j) in (0..4 * N).map(|i| (i / 4, i % 4)) {
            // SAFETY: the caller gives a pointer to 4 N floats.
            unsafe { *to.add(4 * k + j) = phases[j].0[k] };
        }
    }
}
