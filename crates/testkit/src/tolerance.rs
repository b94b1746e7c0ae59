//! The one table of tolerances: how far a float32 kernel may be from the float64 reference.
//!
//! A sum of K products in float32, in any order, has an error of at most about `K u sum |x||w|` with `u = 2^-24`
//! (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., eq. 3.5). The table allows twice that, because
//! operands may themselves be rounded. So tolerances grow with the accumulation length, and a kernel that
//! drops or repeats a term fails at every length that matters.

/// The unit roundoff of float32, `2^-24`.
pub const ROUNDOFF: f64 = 1.0 / 16_777_216.0;

/// How many roundings a result may have gathered; the allowed error is `roundings * ROUNDOFF * magnitude`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Number of roundings, 0 for ops that only move numbers.
    pub roundings: f64,
}

/// The tolerance of an op by its name, when the longest sum behind one result has `terms` terms.
///
/// # Panics
/// When the table has no such op: a new op needs a decision here.
#[must_use]
pub fn tolerance(op: &str, terms: usize) -> Tolerance {
    let sum = 2.0 * terms as f64;
    let roundings = match op {
        // Moves numbers, rounds nothing.
        "fill" | "concat" | "slice_channels" | "max_pool2d" => 0.0,
        // One or two roundings each.
        "add" | "scale" | "add_proximal" => 4.0,
        "dropout" => 4.0,
        // exp of a float32 library or shader is good to a few units in the last place.
        "activate" | "activate_grad" => 32.0,
        // Sums of products, then at most a bias and an activation.
        "conv2d" | "conv2d_pair" => sum + 32.0,
        "conv2d_grad_input" | "conv2d_grad_weight" | "conv2d_pair_grad_weight" => sum + 2.0,
        "sum_channels" | "max_pool2d_grad" => sum + 2.0,
        "conv_transpose2x2" | "conv_transpose2x2_grad_input" | "conv_transpose2x2_grad_weight" => sum + 4.0,
        // Four products of weights that float32 computes from coordinates; their error is amplified by the extent.
        "upsample" | "upsample_grad" => sum + 256.0,
        // The variance subtracts a mean that is itself a sum.
        "norm_stats" => 2.0 * sum + 16.0,
        // A difference, a root, a quotient and an affine map, then the activation.
        "normalise" => 64.0,
        "normalise_grad_sums" | "normalise_grad_affine" => sum + 64.0,
        "normalise_grad_input" => sum + 128.0,
        // A sigmoid inside a sum.
        "dice_sums" | "bce_loss" => sum + 32.0,
        "dice_loss" | "dice_loss_grad" => sum + 16.0,
        "dice_sums_grad" | "bce_loss_grad" => sum + 64.0,
        "update_running" | "sgd_update" | "average_update" => 8.0,
        // A root and two quotients.
        "adam_update" => 64.0,
        other => panic!("no tolerance for {other}: add it to the table"),
    };
    Tolerance { roundings }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_get_twice_the_bound() {
        assert_eq!(tolerance("sum_channels", 1000).roundings, 2002.0);
        assert_eq!(tolerance("concat", 1000).roundings, 0.0);
    }

    #[test]
    #[should_panic(expected = "no tolerance for conv3d")]
    fn unknown_ops_need_a_decision() {
        let _ = tolerance("conv3d", 1);
    }
}
