// Computes: part; the activations and their slopes. A kernel that uses it is compiled once per function.
// Bindings: none; needs parts/sigmoid.
// Owns: nothing.
// Order: no sums.

// 0 identity, 1 ReLU, 2 leaky ReLU, 3 SiLU, 4 sigmoid.
override ACTIVATION: u32 = 0u;
// Of the leaky ReLU, left of zero.
override SLOPE: f32 = 0.0;

// f(x). A NaN stays one.
fn activate(x: f32) -> f32 {
    switch ACTIVATION {
        case 1u: { return select(x, 0.0, x <= 0.0); }
        case 2u: { return select(SLOPE * x, x, x > 0.0); }
        case 3u: { return x * sigmoid(x); }
        case 4u: { return sigmoid(x); }
        default: { return x; }
    }
}

// f' from what the op saves: the output, but for SiLU the input.
fn slope_at(saved: f32) -> f32 {
    switch ACTIVATION {
        case 1u: { return select(0.0, 1.0, saved > 0.0); }
        case 2u: { return select(SLOPE, 1.0, saved > 0.0); }
        case 3u: {
            let s = sigmoid(saved);
            return s + saved * s * (1.0 - s);
        }
        case 4u: { return saved * (1.0 - saved); }
        default: { return 1.0; }
    }
}

// f' from the input. (Of a ReLU, leaky or not, input and output have one sign.)
fn slope_of(x: f32) -> f32 {
    if ACTIVATION == 4u {
        return sigmoid_slope(x);
    }
    return slope_at(x);
}
