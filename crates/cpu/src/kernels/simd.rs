//! Vector registers behind one small trait, and the choice of instruction set at run time.

#[cfg(target_arch = "aarch64")]
mod neon;
mod plain;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use plain::Plain;
use std::sync::OnceLock;

/// Instruction sets that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 F, VL, DQ, BW and FMA.
    Avx512,
    /// AVX2 and FMA.
    Avx2,
    /// NEON of 64-bit Arm.
    Neon,
    /// Whatever the target guarantees, eight lanes at a time.
    Portable,
    /// As `Portable` in the shape of AVX-512, sixteen lanes: tests of that shape on machines without it.
    Portable16,
}

/// The best instruction set of this machine. The environment variable `FOVEA_ISA` (`avx512`, `avx2`, `portable`,
/// `portable16`) lowers it, for tests and comparisons.
#[must_use]
pub fn isa() -> Isa {
    static CHOSEN: OnceLock<Isa> = OnceLock::new();
    *CHOSEN.get_or_init(|| match (std::env::var("FOVEA_ISA").as_deref(), detect()) {
        (Ok("portable"), _) => Isa::Portable,
        (Ok("portable16"), _) => Isa::Portable16,
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

/// NEON belongs to every 64-bit Arm processor.
#[cfg(target_arch = "aarch64")]
fn detect() -> Isa {
    Isa::Neon
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn detect() -> Isa {
    Isa::Portable
}

/// One register of f32 lanes.
///
/// # Safety
/// Methods may only be called in code compiled for the implementing instruction set; pointers must be valid for
/// [`Simd::LANES`] floats, with no alignment demanded.
pub(crate) unsafe trait Simd: Copy {
    /// Number of lanes, at most 16.
    const LANES: usize;
    /// Number of registers, 8, 16 or 32: kernels keep most of them full of sums.
    const REGISTERS: usize;
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn div(self, other: Self) -> Self;
    /// `self * a + b`, rounded once where the instruction set fuses.
    unsafe fn mul_add(self, a: Self, b: Self) -> Self;
    /// The larger of `self` and a number; NaN stays.
    unsafe fn at_least(self, low: Self) -> Self;
    /// The smaller of `self` and a number; NaN stays.
    unsafe fn at_most(self, high: Self) -> Self;
    /// The larger of two; NaN where one of them is.
    unsafe fn larger(self, other: Self) -> Self;
    /// `yes` where `self < other`; `no` elsewhere and where one of them is NaN.
    unsafe fn if_below(self, other: Self, yes: Self, no: Self) -> Self;
    /// The bits of each lane moved up by 23, where the exponent of a float is.
    unsafe fn to_exponent(self) -> Self;
    /// `[a0, b0, a1, b1, ..]` of `self` and `other`.
    unsafe fn zip(self, other: Self) -> [Self; 2];
    /// The lanes with even and with odd index of `self` and then `other`: undoes [`Simd::zip`].
    unsafe fn unzip(self, other: Self) -> [Self; 2];
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

    /// The first `live` lanes, at most [`Simd::LANES`]; zero elsewhere. The pointer must be valid for as many floats.
    #[inline(always)]
    unsafe fn load_first(from: *const f32, live: usize) -> Self {
        if live == Self::LANES {
            // SAFETY: the caller's promise is that of `load`.
            return unsafe { Self::load(from) };
        }
        let mut lanes = [0.0; 16];
        assert!(live <= lanes.len());
        // SAFETY: `live` floats are valid by the caller's promise; `lanes` holds at least `LANES`.
        unsafe {
            from.copy_to_nonoverlapping(lanes.as_mut_ptr(), live);
            Self::load(lanes.as_ptr())
        }
    }

    /// Writes the first `live` lanes, at most [`Simd::LANES`]. The pointer must be valid for as many floats.
    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, live: usize) {
        if live == Self::LANES {
            // SAFETY: the caller's promise is that of `store`.
            return unsafe { self.store(to) };
        }
        let mut lanes = [0.0; 16];
        assert!(live <= lanes.len());
        // SAFETY: `lanes` holds at least `LANES` floats; `live` of `to` are valid by the caller's promise.
        unsafe {
            self.store(lanes.as_mut_ptr());
            to.copy_from_nonoverlapping(lanes.as_ptr(), live);
        }
    }

    /// Two registers side by side, [`Simd::load_first`] for up to twice as many floats.
    #[inline(always)]
    unsafe fn load_two(from: *const f32, live: usize) -> [Self; 2] {
        let first = live.min(Self::LANES);
        // SAFETY: `live` floats are valid by the caller's promise, and the second register loads what is beyond the first.
        unsafe { [Self::load_first(from, first), Self::load_first(from.add(first), live - first)] }
    }

    /// Two registers side by side, [`Simd::store_first`] for up to twice as many floats.
    #[inline(always)]
    unsafe fn store_two(two: [Self; 2], to: *mut f32, live: usize) {
        let first = live.min(Self::LANES);
        // SAFETY: as for `load_two`.
        unsafe {
            two[0].store_first(to, first);
            two[1].store_first(to.add(first), live - first);
        }
    }
}

/// Lanes of the registers that kernels use on this machine.
pub(crate) fn lanes() -> usize {
    match isa() {
        Isa::Avx512 | Isa::Portable16 => 16,
        Isa::Avx2 | Isa::Portable => 8,
        Isa::Neon => 4,
    }
}

/// Methods of a register that are one expression of its instruction set.
macro_rules! methods {
    ($(fn $name:ident($this:ident $(, $arg:ident)*) -> $ret:ty = $body:expr;)*) => {
        $(
            #[inline(always)]
            unsafe fn $name($this $(, $arg: Self)*) -> $ret {
                // SAFETY: by the trait's contract the instruction set is present.
                unsafe { $body }
            }
        )*
    };
}
pub(crate) use methods;

/// Runs a block for every register of `$length` floats: `$at` is its first float, `$live` the number of its lanes that exist,
/// a constant in all but the last. With `$unroll` the whole ones come that many at a time, `$k` counting them, so that sums in
/// as many registers need not wait for one another.
macro_rules! registers {
    ($v:ty, $length:expr, |$at:ident, $live:ident| $body:block) => {
        $crate::kernels::simd::registers!($v, 1, $length, |$at, $live, _k| $body)
    };
    ($v:ty, $unroll:expr, $length:expr, |$at:ident, $live:ident, $k:ident| $body:block) => {{
        let (length, mut next) = ($length, 0);
        while next + $unroll * <$v>::LANES <= length {
            for $k in 0..$unroll {
                let ($at, $live) = (next + $k * <$v>::LANES, <$v>::LANES);
                $body
            }
            next += $unroll * <$v>::LANES;
        }
        while next < length {
            let ($at, $live, $k) = (next, <$v>::LANES.min(length - next), 0);
            if $live == <$v>::LANES {
                let $live = <$v>::LANES;
                $body
            } else {
                $body
            }
            next += <$v>::LANES;
        }
    }};
}
pub(crate) use registers;

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
                    $crate::kernels::simd::Isa::Neon
                    | $crate::kernels::simd::Isa::Portable
                    | $crate::kernels::simd::Isa::Portable16 => {}
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
            use $crate::kernels::simd::{Isa, Plain, isa};
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
                match isa() {
                    // SAFETY: `isa` has seen these features on this machine.
                    Isa::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: `isa` has seen these features on this machine.
                    Isa::Avx2 => return unsafe { avx2($($arg),*) },
                    Isa::Neon | Isa::Portable | Isa::Portable16 => {}
                }
            }
            #[cfg(target_arch = "aarch64")]
            if isa() == Isa::Neon {
                // SAFETY: NEON belongs to the target; the rest is the caller's promise.
                return unsafe { $kernel::<std::arch::aarch64::float32x4_t>($($arg),*) };
            }
            if isa() == Isa::Portable16 {
                // SAFETY: plain arithmetic needs no instruction set; the rest is the caller's promise.
                return unsafe { $kernel::<Plain<16>>($($arg),*) };
            }
            // SAFETY: plain arithmetic needs no instruction set; the rest is the caller's promise.
            unsafe { $kernel::<Plain<8>>($($arg),*) }
        }
    };
}
pub(crate) use per_isa;
