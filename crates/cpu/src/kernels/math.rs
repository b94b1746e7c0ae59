//! Elementary functions from multiplications and additions alone, so that loops over them are vectorised and give the
//! same bits on every machine.

/// e^x with a relative error below 2e-7; 0 below -87.3, largest finite beyond 88.
///
/// Range reduction to `2^n e^r`, `|r| <= ln(2)/2`, then the Taylor polynomial of degree 6 (remainder 1.3e-8).
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to an integer.
    let clamped = x.clamp(-87.3, 88.0);
    let n = (clamped * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = (clamped - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let mut p = 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    // Through i32 directly: the value is within -126..=127, and NaN gives an exponent of zero times a NaN polynomial.
    let n = (n + ROUND).to_bits().wrapping_sub(ROUND.to_bits());
    let scaled = p * f32::from_bits(n.wrapping_add(127) << 23);
    if x < -87.3 { 0.0 } else { scaled }
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
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
