// Computes: part; what a float is by its bits: compilers may assume that comparisons see no NaN.
// Bindings: none.
// Owns: nothing.
// Order: no sums.

const EXPONENT = 0x7f800000u;

fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > EXPONENT;
}

// Neither a NaN nor an infinity.
fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & EXPONENT) != EXPONENT;
}
