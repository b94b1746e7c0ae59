//! Vector registers behind one small trait, and the choice of instruction set at run time.

use std::sync::OnceLock;

/// Instruction sets that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 F, VL, DQ, BW and FMA.
    Avx512,
    /// AVX2 and FMA.
    Avx2,
    /// Whatever the target guarantees.
    Portable,
}

/// The best instruction set of this machine. The environment variable `FOVEA_ISA` (`avx512`, `avx2`, `portable`)
/// lowers it, for tests and comparisons.
#[must_use]
pub fn isa() -> Isa {
    static CHOSEN: OnceLock<Isa> = OnceLock::new();
    *CHOSEN.get_or_init(|| match (std::env::var("FOVEA_ISA").as_deref(), detect()) {
        (Ok("portable"), _) => Isa::Portable,
        (Ok("avx2"), Isa::Avx512) => Isa::Avx2,
        (_, best) => best,
    })
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Isa {
    let fma = is_x86_feature_detected!("fma");
    let wide = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw");
    match (fma && is_x86_feature_detected!("avx2"), wide) {
        (true, true) => Isa::Avx512,
        (true, false) => Isa::Avx2,
        (false, _) => Isa::Portable,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Isa {
    Isa::Portable
}

/// One register of f32 lanes.
///
/// # Safety
/// Methods may only be called in code compiled for the implementing instruction set; pointers must be valid for
/// [`Simd::LANES`] floats, with no alignment demanded.
pub(crate) unsafe trait Simd: Copy {
    /// Number of lanes.
    const LANES: usize;
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// `self * a + b`, rounded once where the instruction set fuses.
    unsafe fn mul_add(self, a: Self, b: Self) -> Self;
    /// Sum of the lanes in a fixed order.
    unsafe fn sum(self) -> f32;
    /// Transposes [`Simd::LANES`] rows of as many floats, rows `from_row` floats apart, to rows `to_row` floats apart.
    /// All rows must be valid, and the two squares must not overlap.
    unsafe fn transpose(from: *const f32, from_row: usize, to: *mut f32, to_row: usize);
    /// Reads four registers' worth of floats and gives every fourth float from the first, second, third and fourth on:
    /// lane `k` of result `j` is `from[4 k + j]`.
    unsafe fn load_phases(from: *const f32) -> [Self; 4];
    /// The first `lanes` lanes, zeros in the others.
    unsafe fn keep(self, lanes: usize) -> Self;
    /// Asks for the cache line at an address, valid or not, without waiting for it.
    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {}
    /// The lanes one place up, with the last lane of `before` in the first.
    unsafe fn up(self, before: Self) -> Self;
    /// The lanes one place down, with the first lane of `after` in the last.
    unsafe fn down(self, after: Self) -> Self;
    /// The inverse of [`Simd::load_phases`]: `to[4 k + j]` is lane `k` of `phases[j]`.
    unsafe fn store_phases(phases: [Self; 4], to: *mut f32);
}

/// Lanes of the registers that kernels use on this machine.
pub(crate) fn lanes() -> usize {
    match isa() {
        Isa::Avx512 => 16,
        Isa::Avx2 | Isa::Portable => 8,
    }
}

/// Eight lanes of plain arithmetic, for the compiler to map to what it has.
#[derive(Clone, Copy)]
pub(crate) struct Plain([f32; 8]);

// SAFETY: plain arithmetic runs everywhere; loads and stores touch exactly LANES floats.
unsafe impl Simd for Plain {
    const LANES: usize = 8;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Plain([x; 8])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller gives a pointer to 8 floats; [f32; 8] is read without alignment demands.
        Plain(unsafe { from.cast::<[f32; 8]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as for `load`.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn mul_add(self, a: Self, b: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] * a.0[i] + b.0[i]))
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let [a, b, c, d, e, f, g, h] = self.0;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
        for (i, j) in (0..64).map(|k| (k / 8, k % 8)) {
            // SAFETY: rows of 8 floats are valid by the trait's contract.
            unsafe { *to.add(j * to_row + i) = *from.add(i * from_row + j) };
        }
    }
    #[inline(always)]
    unsafe fn load_phases(from: *const f32) -> [Self; 4] {
        // SAFETY: the caller gives a pointer to 32 floats.
        std::array::from_fn(|j| Plain(std::array::from_fn(|k| unsafe { *from.add(4 * k + j) })))
    }
    #[inline(always)]
    unsafe fn keep(self, lanes: usize) -> Self {
        Plain(std::array::from_fn(|k| if k < lanes { self.0[k] } else { 0.0 }))
    }
    #[inline(always)]
    unsafe fn up(self, before: Self) -> Self {
        Plain(std::array::from_fn(|k| if k == 0 { before.0[7] } else { self.0[k - 1] }))
    }
    #[inline(always)]
    unsafe fn down(self, after: Self) -> Self {
        Plain(std::array::from_fn(|k| if k == 7 { after.0[0] } else { self.0[k + 1] }))
    }
    #[inline(always)]
    unsafe fn store_phases(phases: [Self; 4], to: *mut f32) {
        for (k, j) in (0..32).map(|i| (i / 4, i % 4)) {
            // SAFETY: the caller gives a pointer to 32 floats.
            unsafe { *to.add(4 * k + j) = phases[j].0[k] };
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Simd;
    use std::arch::x86_64::*;

    // SAFETY: used only inside functions compiled for AVX-512; unaligned loads and stores of 16 floats.
    unsafe impl Simd for __m512 {
        const LANES: usize = 16;
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            // SAFETY: by the trait's contract the instruction set is present.
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: by the trait's contract the pointer is valid for 16 floats.
            unsafe { _mm512_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: by the trait's contract the pointer is valid for 16 floats.
            unsafe { _mm512_storeu_ps(to, self) }
        }
        #[inline(always)]
        unsafe fn mul_add(self, a: Self, b: Self) -> Self {
            // SAFETY: by the trait's contract the instruction set is present.
            unsafe { _mm512_fmadd_ps(self, a, b) }
        }
        #[inline(always)]
        unsafe fn sum(self) -> f32 {
            // SAFETY: by the trait's contract the instruction set is present.
            unsafe { _mm512_reduce_add_ps(self) }
        }
        #[inline(always)]
        unsafe fn transpose(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
            // SAFETY: by the trait's contract the instruction set is present and rows of 16 floats are valid.
            unsafe {
                let r: [__m512; 16] = std::array::from_fn(|i| _mm512_loadu_ps(from.add(i * from_row)));
                // After these two steps u[4 i + j] holds columns j, 4 + j, 8 + j, 12 + j of rows 4 i to 4 i + 3.
                let pairs: [[__m512d; 2]; 8] = std::array::from_fn(|i| {
                    let (a, b) = (r[2 * i], r[2 * i + 1]);
                    [_mm512_castps_pd(_mm512_unpacklo_ps(a, b)), _mm512_castps_pd(_mm512_unpackhi_ps(a, b))]
                });
                let u: [[__m512; 4]; 4] = std::array::from_fn(|i| {
                    let ([a, c], [b, d]) = (pairs[2 * i], pairs[2 * i + 1]);
                    [
                        _mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
                        _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)),
                        _mm512_castpd_ps(_mm512_unpacklo_pd(c, d)),
                        _mm512_castpd_ps(_mm512_unpackhi_pd(c, d)),
                    ]
                });
                let [u0, u1, u2, u3] = u;
                for (j, (((a, b), c), d)) in u0.into_iter().zip(u1).zip(u2).zip(u3).enumerate() {
                    let (even, odd) =
                        (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
                    let (even2, odd2) =
                        (_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xdd>(c, d));
                    _mm512_storeu_ps(to.add(j * to_row), _mm512_shuffle_f32x4::<0x88>(even, even2));
                    _mm512_storeu_ps(to.add((4 + j) * to_row), _mm512_shuffle_f32x4::<0x88>(odd, odd2));
                    _mm512_storeu_ps(to.add((8 + j) * to_row), _mm512_shuffle_f32x4::<0xdd>(even, even2));
                    _mm512_storeu_ps(to.add((12 + j) * to_row), _mm512_shuffle_f32x4::<0xdd>(odd, odd2));
                }
            }
        }
        #[inline(always)]
        unsafe fn load_phases(from: *const f32) -> [Self; 4] {
            // SAFETY: by the trait's contract the instruction set is present and 64 floats are valid.
            unsafe {
                let (a, b) = (_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(16)));
                let (c, d) = (_mm512_loadu_ps(from.add(32)), _mm512_loadu_ps(from.add(48)));
                // Every fourth float of two registers, in order, in the lower half.
                let first = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 0, 4, 8, 12, 16, 20, 24, 28);
                let mut phases = [_mm512_setzero_ps(); 4];
                for (j, phase) in phases.iter_mut().enumerate() {
                    let index = _mm512_add_epi32(first, _mm512_set1_epi32(j as i32));
                    let (low, high) =
                        (_mm512_permutex2var_ps(a, index, b), _mm512_permutex2var_ps(c, index, d));
                    *phase = _mm512_shuffle_f32x4::<0x44>(low, high);
                }
                phases
            }
        }
        #[inline(always)]
        unsafe fn keep(self, lanes: usize) -> Self {
            // SAFETY: by the trait's contract the instruction set is present.
            unsafe { _mm512_maskz_mov_ps(((1u32 << lanes.min(16)) - 1) as u16, self) }
        }
        #[inline(always)]
        unsafe fn prefetch(from: *const f32) {
            // SAFETY: by the trait's contract the instruction set is present; any address may be asked for.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
        }
        #[inline(always)]
        unsafe fn up(self, before: Self) -> Self {
            // SAFETY: by the trait's contract the instruction set is present.
            unsafe {
                let (lanes, before) = (_mm512_castps_si512(self), _mm512_castps_si512(before));
                _mm512_castsi512_ps(_mm512_alignr_epi32::<15>(lanes, before))
            }
        }
        #[inline(always)]
        unsafe fn down(self, after: Self) -> Self {
            // SAFETY: by the trait's contract the instruction set is present.
            unsafe {
                let (lanes, after) = (_mm512_castps_si512(self), _mm512_castps_si512(after));
                _mm512_castsi512_ps(_mm512_alignr_epi32::<1>(after, lanes))
            }
        }
        #[inline(always)]
        unsafe fn store_phases([a, b, c, d]: [Self; 4], to: *mut f32) {
            // SAFETY: by the trait's contract the instruction set is present and 64 floats are valid.
            unsafe {
                let ab = _mm512_castps_pd(_mm512_unpacklo_ps(a, b));
                let cd = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
                let ab2 = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
                let cd2 = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
                // t[m] holds the four phases of lanes m, 4 + m, 8 + m and 12 + m.
                let t = [
                    _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)),
                    _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)),
                    _mm512_castpd_ps(_mm512_unpacklo_pd(ab2, cd2)),
                    _mm512_castpd_ps(_mm512_unpackhi_pd(ab2, cd2)),
                ];
                let (low, low2) =
                    (_mm512_shuffle_f32x4::<0x44>(t[0], t[1]), _mm512_shuffle_f32x4::<0x44>(t[2], t[3]));
                let (high, high2) =
                    (_mm512_shuffle_f32x4::<0xee>(t[0], t[1]), _mm512_shuffle_f32x4::<0xee>(t[2], t[3]));
                _mm512_storeu_ps(to, _mm512_shuffle_f32x4::<0x88>(low, low2));
                _mm512_storeu_ps(to.add(16), _mm512_shuffle_f32x4::<0xdd>(low, low2));
                _mm512_storeu_ps(to.add(32), _mm512_shuffle_f32x4::<0x88>(high, high2));
                _mm512_storeu_ps(to.add(48), _mm512_shuffle_f32x4::<0xdd>(high, high2));
            }
        }
    }

    /// Transposes the 4 x 4 squares in the lower and in the upper halves of four registers.
    ///
    /// # Safety
    /// Must be inlined into code compiled for AVX2.
    #[inline(always)]
    unsafe fn fours([a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
        // SAFETY: as for this function.
        unsafe {
            let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            let (ab2, cd2) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            [
                _mm256_shuffle_ps::<0x44>(ab, cd),
                _mm256_shuffle_ps::<0xee>(ab, cd),
                _mm256_shuffle_ps::<0x44>(ab2, cd2),
                _mm256_shuffle_ps::<0xee>(ab2, cd2),
            ]
        }
    }

    // SAFETY: used only inside functions compiled for AVX2 and FMA; unaligned loads and stores of 8 floats.
    unsafe impl Simd for __m256 {
        const LANES: usize = 8;
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            // SAFETY: by the trait's contract the instruction set is present.
            unsafe { _mm256_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: by the trait's contract the pointer is valid for 8 floats.
            unsafe { _mm256_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: by the trait's contract the pointer is valid for 8 floats.
            unsafe { _mm256_storeu_ps(to, self) }
        }
        #[inline(always)]
        unsafe fn mul_add(self, a: Self, b: Self) -> Self {
            // SAFETY: by the trait's contract the instruction set is present.
            unsafe { _mm256_fmadd_ps(self, a, b) }
        }
        #[inline(always)]
        unsafe fn sum(self) -> f32 {
            // SAFETY: by the trait's contract the instruction set is present.
            unsafe {
                let four = _mm_add_ps(_mm256_castps256_ps128(self), _mm256_extractf128_ps(self, 1));
                let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
                _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)))
            }
        }
        #[inline(always)]
        unsafe fn transpose(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
            // SAFETY: by the trait's contract the instruction set is present and rows of 8 floats are valid.
            unsafe {
                // Loops, not closures: these are surely compiled for the instruction set of the function around them.
                let mut r = [_mm256_setzero_ps(); 8];
                for (i, r) in r.iter_mut().enumerate() {
                    *r = _mm256_loadu_ps(from.add(i * from_row));
                }
                // Columns j and 4 + j of rows 0 to 3, and of rows 4 to 7.
                let low = fours([r[0], r[1], r[2], r[3]]);
                let high = fours([r[4], r[5], r[6], r[7]]);
                for j in 0..4 {
                    _mm256_storeu_ps(to.add(j * to_row), _mm256_permute2f128_ps::<0x20>(low[j], high[j]));
                    _mm256_storeu_ps(
                        to.add((4 + j) * to_row),
                        _mm256_permute2f128_ps::<0x31>(low[j], high[j]),
                    );
                }
            }
        }
        #[inline(always)]
        unsafe fn load_phases(from: *const f32) -> [Self; 4] {
            // SAFETY: by the trait's contract the instruction set is present and 32 floats are valid.
            unsafe {
                // r[i] holds floats 4 i to 4 i + 3 and those 16 behind them.
                let mut r = [_mm256_setzero_ps(); 4];
                for (i, r) in r.iter_mut().enumerate() {
                    let low = _mm256_castps128_ps256(_mm_loadu_ps(from.add(4 * i)));
                    *r = _mm256_insertf128_ps::<1>(low, _mm_loadu_ps(from.add(4 * i + 16)));
                }
                fours(r)
            }
        }
        #[inline(always)]
        unsafe fn keep(self, lanes: usize) -> Self {
            static MASKS: [u32; 16] = [!0, !0, !0, !0, !0, !0, !0, !0, 0, 0, 0, 0, 0, 0, 0, 0];
            // SAFETY: by the trait's contract the instruction set is present; eight masks from at most the ninth on.
            unsafe { _mm256_and_ps(self, _mm256_loadu_ps(MASKS.as_ptr().add(8 - lanes.min(8)).cast())) }
        }
        #[inline(always)]
        unsafe fn prefetch(from: *const f32) {
            // SAFETY: by the trait's contract the instruction set is present; any address may be asked for.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
        }
        #[inline(always)]
        unsafe fn up(self, before: Self) -> Self {
            // SAFETY: by the trait's contract the instruction set is present.
            unsafe {
                let halves = _mm256_castps_si256(_mm256_permute2f128_ps::<0x21>(before, self));
                _mm256_castsi256_ps(_mm256_alignr_epi8::<12>(_mm256_castps_si256(self), halves))
            }
        }
        #[inline(always)]
        unsafe fn down(self, after: Self) -> Self {
            // SAFETY: by the trait's contract the instruction set is present.
            unsafe {
                let halves = _mm256_castps_si256(_mm256_permute2f128_ps::<0x21>(self, after));
                _mm256_castsi256_ps(_mm256_alignr_epi8::<4>(halves, _mm256_castps_si256(self)))
            }
        }
        #[inline(always)]
        unsafe fn store_phases(phases: [Self; 4], to: *mut f32) {
            // SAFETY: by the trait's contract the instruction set is present and 32 floats are valid.
            unsafe {
                let r = fours(phases);
                for i in 0..4 {
                    _mm_storeu_ps(to.add(4 * i), _mm256_castps256_ps128(r[i]));
                    _mm_storeu_ps(to.add(4 * i + 16), _mm256_extractf128_ps::<1>(r[i]));
                }
            }
        }
    }
}

/// Defines a function whose plain loops are compiled once per instruction set and chosen at run time. The results
/// are the same bits for each: Rust never fuses a multiplication with an addition by itself.
macro_rules! vectorised {
    ($(#[$meta:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        pub(crate) fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn plain($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,fma")]
                fn avx512($($arg: $ty),*) $(-> $ret)? { plain($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $ret)? { plain($($arg),*) }
                match $crate::kernels::simd::isa() {
                    // SAFETY: `isa` has seen these features on this machine.
                    $crate::kernels::simd::Isa::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: `isa` has seen these features on this machine.
                    $crate::kernels::simd::Isa::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::kernels::simd::Isa::Portable => {}
                }
            }
            plain($($arg),*)
        }
    };
}
pub(crate) use vectorised;

/// Defines a function that runs an `#[inline(always)]` generic kernel with the registers of the instruction set chosen at run
/// time. The function asks of its caller what the kernel asks, but for the instruction set.
macro_rules! per_isa {
    ($(#[$meta:meta])* unsafe fn $name:ident($($arg:ident: $ty:ty),* $(,)?) = $kernel:ident;) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        pub(crate) unsafe fn $name($($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            {
                use std::arch::x86_64::{__m256, __m512};
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,fma")]
                unsafe fn avx512($($arg: $ty),*) {
                    // SAFETY: compiled for AVX-512; the rest is the caller's promise.
                    unsafe { $kernel::<__m512>($($arg),*) }
                }
                #[target_feature(enable = "avx2,fma")]
                unsafe fn avx2($($arg: $ty),*) {
                    // SAFETY: compiled for AVX2 and FMA; the rest is the caller's promise.
                    unsafe { $kernel::<__m256>($($arg),*) }
                }
                match $crate::kernels::simd::isa() {
                    // SAFETY: `isa` has seen these features on this machine.
                    $crate::kernels::simd::Isa::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: `isa` has seen these features on this machine.
                    $crate::kernels::simd::Isa::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::kernels::simd::Isa::Portable => {}
                }
            }
            // SAFETY: plain arithmetic needs no instruction set; the rest is the caller's promise.
            unsafe { $kernel::<$crate::kernels::simd::Plain>($($arg),*) }
        }
    };
}
pub(crate) use per_isa;
