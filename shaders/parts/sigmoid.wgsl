// Computes: part; the logistic function and its slope.
// Bindings: none.
// Owns: nothing.
// Order: no sums; exp is asked for numbers of at most 0 only.

// 1 / (1 + exp(-x)), without overflow.
fn sigmoid(x: f32) -> f32 {
    let e = exp(-abs(x));
    return select(e, 1.0, x >= 0.0) / (1.0 + e);
}

// p (1 - p) for p = sigmoid(x), without the cancellation of 1 - p.
fn sigmoid_slope(x: f32) -> f32 {
    let e = exp(-abs(x));
    return e / ((1.0 + e) * (1.0 + e));
}
