//! Registers of AVX-512 and AVX2.

use super::{Simd, methods};
use std::arch::x86_64::*;

/// Lane numbers for `_mm512_permutex2var_ps`: the second register's begin at 16.
static ZIP: [[i32; 16]; 2] = [
    [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23],
    [8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31],
];
static UNZIP: [[i32; 16]; 2] = [
    [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30],
    [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31],
];

/// Two registers of the numbered lanes of `a` and `b`.
///
/// # Safety
/// Must be inlined into code compiled for AVX-512.
#[inline(always)]
unsafe fn permuted(a: __m512, b: __m512, [first, second]: &[[i32; 16]; 2]) -> [__m512; 2] {
    // SAFETY: the instruction set is present by the caller's promise; both arrays hold the 16 numbers that are loaded.
    unsafe {
        let (first, second) =
            (_mm512_loadu_si512(first.as_ptr().cast()), _mm512_loadu_si512(second.as_ptr().cast()));
        [_mm512_permutex2var_ps(a, first, b), _mm512_permutex2var_ps(a, second, b)]
    }
}

// SAFETY: used only inside functions compiled for AVX-512; unaligned loads and stores of 16 floats.
unsafe impl Simd for __m512 {
    const LANES: usize = 16;
    const REGISTERS: usize = 32;
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
    methods! {
        fn add(self, other) -> Self = _mm512_add_ps(self, other);
        fn sub(self, other) -> Self = _mm512_sub_ps(self, other);
        fn mul(self, other) -> Self = _mm512_mul_ps(self, other);
        fn div(self, other) -> Self = _mm512_div_ps(self, other);
        fn mul_add(self, a, b) -> Self = _mm512_fmadd_ps(self, a, b);
        // The instructions give their second operand when one of the two is NaN.
        fn at_least(self, low) -> Self = _mm512_max_ps(low, self);
        fn at_most(self, high) -> Self = _mm512_min_ps(high, self);
        fn larger(self, other) -> Self =
            _mm512_mask_mov_ps(_mm512_max_ps(self, other), _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self, self), self);
        fn if_below(self, other, yes, no) -> Self =
            _mm512_mask_mov_ps(no, _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self, other), yes);
        fn to_exponent(self) -> Self = _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(self)));
        fn zip(self, other) -> [Self; 2] = permuted(self, other, &ZIP);
        fn unzip(self, other) -> [Self; 2] = permuted(self, other, &UNZIP);
        fn sum(self) -> f32 = _mm512_reduce_add_ps(self);
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, live: usize) -> Self {
        assert!(live <= 16);
        // SAFETY: by the trait's contract the instruction set is present; lanes that do not exist are not read.
        unsafe { _mm512_maskz_loadu_ps(((1u32 << live) - 1) as __mmask16, from) }
    }
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, live: usize) {
        assert!(live <= 16);
        // SAFETY: by the trait's contract the instruction set is present; lanes that do not exist are not written.
        unsafe { _mm512_mask_storeu_ps(to, ((1u32 << live) - 1) as __mmask16, self) }
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
                let (even, odd) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
                let (even2, odd2) = (_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xdd>(c, d));
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
                let (low, high) = (_mm512_permutex2var_ps(a, index, b), _mm512_permutex2var_ps(c, index, d));
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
    const REGISTERS: usize = 16;
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
    methods! {
        fn add(self, other) -> Self = _mm256_add_ps(self, other);
        fn sub(self, other) -> Self = _mm256_sub_ps(self, other);
        fn mul(self, other) -> Self = _mm256_mul_ps(self, other);
        fn div(self, other) -> Self = _mm256_div_ps(self, other);
        fn mul_add(self, a, b) -> Self = _mm256_fmadd_ps(self, a, b);
        // The instructions give their second operand when one of the two is NaN.
        fn at_least(self, low) -> Self = _mm256_max_ps(low, self);
        fn at_most(self, high) -> Self = _mm256_min_ps(high, self);
        fn larger(self, other) -> Self =
            _mm256_blendv_ps(_mm256_max_ps(self, other), self, _mm256_cmp_ps::<_CMP_UNORD_Q>(self, self));
        fn if_below(self, other, yes, no) -> Self =
            _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_LT_OQ>(self, other));
        fn to_exponent(self) -> Self = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(self)));
    }
    #[inline(always)]
    unsafe fn zip(self, other: Self) -> [Self; 2] {
        // SAFETY: by the trait's contract the instruction set is present.
        unsafe {
            // Each half of the two registers holds a quarter of the result.
            let (low, high) = (_mm256_unpacklo_ps(self, other), _mm256_unpackhi_ps(self, other));
            [_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high)]
        }
    }
    #[inline(always)]
    unsafe fn unzip(self, other: Self) -> [Self; 2] {
        // SAFETY: by the trait's contract the instruction set is present.
        unsafe {
            let even = _mm256_castps_pd(_mm256_shuffle_ps::<0x88>(self, other));
            let odd = _mm256_castps_pd(_mm256_shuffle_ps::<0xdd>(self, other));
            // Pairs of lanes come as self, other, self, other.
            let (even, odd) = (_mm256_permute4x64_pd::<0xd8>(even), _mm256_permute4x64_pd::<0xd8>(odd));
            [_mm256_castpd_ps(even), _mm256_castpd_ps(odd)]
        }
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
                _mm256_storeu_ps(to.add((4 + j) * to_row), _mm256_permute2f128_ps::<0x31>(low[j], high[j]));
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
            for (i, r) in fours(phases).into_iter().enumerate() {
                _mm_storeu_ps(to.add(4 * i), _mm256_castps256_ps128(r));
                _mm_storeu_ps(to.add(4 * i + 16), _mm256_extractf128_ps::<1>(r));
            }
        }
    }
}
