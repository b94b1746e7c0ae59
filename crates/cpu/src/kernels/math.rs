//! Elementary functions from multiplications and additions alone: for registers, and for single floats in loops that the
//! compiler vectorises.

use super::simd::{Plain, Simd};

/// `[e^(sign x) / 2^n, 2^n]` for every lane of an `x` between -87.3 and 88 (times the sign), the first factor about one; their product has
/// a relative error below 2e-7. `sign` is 1 or -1.
///
/// Range reduction to `2^n e^r`, `|r| <= ln(2)/2`, then the Taylor polynomial of degree 6 (remainder 1.3e-8).
///
/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn exp_parts<V: Simd>(x: V, sign: f32) -> [V; 2] {
    // Adding 1.5 * 2^23 rounds to an integer, which the low bits then hold; 127 more makes it a float's exponent.
    const ROUND: f32 = 12_582_912.0 + 127.0;
    // SAFETY: inlined into code compiled for `V`, as this function is.
    unsafe {
        let biased = x.mul_add(V::splat(sign * std::f32::consts::LOG2_E), V::splat(ROUND));
        let n = biased.sub(V::splat(ROUND));
        // ln 2 in two parts, the first short enough that its product with n is exact. This is r times the sign.
        let r = n.mul_add(V::splat(sign * -0.693_359_4), x);
        let r = n.mul_add(V::splat(sign * 2.121_944_4e-4), r);
        let mut p = V::splat(1.0 / 720.0);
        for factor in [sign / 120.0, 1.0 / 24.0, sign / 6.0, 0.5, sign, 1.0] {
            p = p.mul_add(r, V::splat(factor));
        }
        [p, biased.to_exponent()]
    }
}

/// 1 / (1 + e^-x) for every lane; NaN stays.
///
/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
pub(crate) unsafe fn sigmoid_lanes<V: Simd>(x: V) -> V {
    // SAFETY: inlined into code compiled for `V`, as this function is.
    unsafe {
        let x = x.at_least(V::splat(-88.0)).at_most(V::splat(87.3));
        let [factor, power] = exp_parts(x, -1.0);
        let one = V::splat(1.0);
        one.div(factor.mul_add(power, one))
    }
}

/// e^x with a relative error below 2e-7; 0 below -87.3, largest finite beyond 88.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // SAFETY: plain arithmetic needs no instruction set.
    let [factor, power] = unsafe { exp_parts(Plain([x.clamp(-87.3, 88.0)]), 1.0) };
    if x < -87.3 { 0.0 } else { factor.0[0] * power.0[0] }
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    // SAFETY: plain arithmetic needs no instruction set.
    unsafe { sigmoid_lanes(Plain([x])) }.0[0]
}

/// Adds sixteen lanes in float64, in order.
#[inline(always)]
pub(crate) fn fold(lanes: &[f32; 16]) -> f64 {
    lanes.iter().map(|&v| f64::from(v)).sum()
}

/// Sum of some thousand floats: sixteen f32 lanes, then [`fold`].
#[inline(always)]
pub(crate) fn lane_sum(x: &[f32]) -> f64 {
    let (mut lanes, (whole, rest)) = ([0f32; 16], x.as_chunks::<16>());
    for chunk in whole {
        for i in 0..16 {
            lanes[i] += chunk[i];
        }
    }
    for (lane, v) in lanes.iter_mut().zip(rest) {
        *lane += v;
    }
    fold(&lanes)
}

/// Calls `add(lane, x, t, f)` for every element of three equal slices, sixteen lanes side by side.
#[inline(always)]
pub(crate) fn each_lane(x: &[f32], t: &[f32], f: &[f32], add: &mut impl FnMut(usize, f32, f32, f32)) {
    let ((x, x_rest), (t, t_rest), (f, f_rest)) =
        (x.as_chunks::<16>(), t.as_chunks::<16>(), f.as_chunks::<16>());
    for ((x, t), f) in x.iter().zip(t).zip(f) {
        for i in 0..16 {
            add(i, x[i], t[i], f[i]);
        }
    }
    for (i, ((x, t), f)) in x_rest.iter().zip(t_rest).zip(f_rest).enumerate() {
        add(i, *x, *t, *f);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_everywhere() {
        for i in -87_000..88_000 {
            let x = i as f32 / 1000.0;
            let want = f64::from(x).exp();
            let err = (f64::from(exp(x)) - want).abs() / want;
            assert!(err < 2.5e-7, "exp({x}): {err}");
        }
        assert_eq!(exp(-1000.0), 0.0);
        assert!(exp(1000.0) > 1e38);
        assert!(exp(f32::NAN).is_nan());
        assert_eq!(exp(0.0), 1.0);
        assert!(sigmoid(f32::NAN).is_nan());
    }
}
