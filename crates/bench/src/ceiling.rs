//! What the machine could do at most: fused multiply-adds on registers, and copying.
//!
//! Both are the best of many short bursts, so that another process's share of the cores counts as little as it can; on a
//! busy machine they are still too low, and shares of the peak too high.

use pulp::{Arch, Simd, WithSimd};
use std::hint::black_box;
use std::time::Instant;

const FMA_BURSTS: usize = 500;
const COPY_BURSTS: usize = 10;
/// Independent sums: enough to cover a latency of 4 on 2 ports.
const SUMS: usize = 12;
/// About half a millisecond at 4 GHz.
const ITERATIONS: u64 = 300_000;
/// Floats that each thread copies: far beyond any cache.
const COPIED: usize = 16 << 20;

/// GFLOP/s of `threads` threads doing nothing but fused multiply-adds in registers of the widest instruction set: the sum of
/// every thread's best burst, all running at once. A burst is shorter than a scheduler's slice.
pub fn fma_gflops(threads: usize) -> f64 {
    let lanes = Arch::new().dispatch(Lanes);
    let flop = 2.0 * (SUMS * lanes) as f64 * ITERATIONS as f64;
    let burst = || {
        let start = Instant::now();
        black_box(Arch::new().dispatch(FusedSums));
        flop / start.elapsed().as_secs_f64() / 1e9
    };
    let best = || (0..FMA_BURSTS).map(|_| burst()).fold(0.0, f64::max);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(best)).collect();
        threads.into_iter().filter_map(|t| t.join().ok()).sum()
    })
}

/// GB/s, read plus written, of `threads` threads copying each its own buffer.
pub fn copy_gbps(threads: usize) -> f64 {
    let mut buffers: Vec<_> = (0..threads).map(|_| (vec![1.0f32; COPIED], vec![0.0f32; COPIED])).collect();
    let bytes = (8 * threads * COPIED) as f64;
    let mut best = 0.0f64;
    for _ in 0..COPY_BURSTS {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for (from, to) in &mut buffers {
                scope.spawn(|| to.copy_from_slice(black_box(from)));
            }
        });
        best = best.max(bytes / start.elapsed().as_secs_f64() / 1e9);
        black_box(&buffers);
    }
    best
}

struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES
    }
}

struct FusedSums;

impl WithSimd for FusedSums {
    type Output = f32;
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let factor = simd.splat_f32s(black_box(0.999_999));
        let term = simd.splat_f32s(black_box(1e-7));
        let mut sums = [simd.splat_f32s(1.0); SUMS];
        for _ in 0..ITERATIONS {
            for sum in &mut sums {
                *sum = simd.mul_add_f32s(*sum, factor, term);
            }
        }
        let all = sums.into_iter().fold(simd.splat_f32s(0.0), |a, b| simd.add_f32s(a, b));
        simd.reduce_sum_f32s(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_recurrence() {
        let lane = (0..ITERATIONS).fold(1.0f32, |x, _| x.mul_add(0.999_999, 1e-7));
        let sum = Arch::new().dispatch(FusedSums);
        let expected = (SUMS * Arch::new().dispatch(Lanes)) as f32 * lane;
        assert!((sum / expected - 1.0).abs() < 1e-5, "{sum} beside {expected}");
    }
}
