//! Comparing float32 results with float64 references.

use crate::{ROUNDOFF, Tolerance};

/// The first number that is further off than allowed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Mismatch {
    /// The lengths differ.
    #[error("{found} numbers, expected {expected}")]
    Length {
        /// Length of the reference.
        expected: usize,
        /// Length of the result.
        found: usize,
    },
    /// A number is too far off, or not finite where the reference is.
    #[error("number {index} is {found}, expected {expected} within {allowed:e}")]
    Value {
        /// Its position.
        index: usize,
        /// The reference.
        expected: f64,
        /// The result.
        found: f32,
        /// The allowed error.
        allowed: f64,
    },
}

/// Compares with one magnitude per number: for a sum of products, the sum of the products' absolute values
/// (the reference op applied to absolute values gives it).
///
/// # Errors
/// The first mismatch.
///
/// # Panics
/// When there are not as many magnitudes as expected numbers.
pub fn compare(
    found: &[f32],
    expected: &[f64],
    magnitudes: &[f64],
    tolerance: Tolerance,
) -> Result<(), Mismatch> {
    assert_eq!(expected.len(), magnitudes.len(), "one magnitude per number");
    if found.len() != expected.len() {
        return Err(Mismatch::Length { expected: expected.len(), found: found.len() });
    }
    for (index, ((&found, &expected), magnitude)) in found.iter().zip(expected).zip(magnitudes).enumerate() {
        let allowed = tolerance.roundings * ROUNDOFF * magnitude.abs();
        // The expected number itself may be no float32: allow for its rounding, also below the normal range.
        let allowed = allowed + ROUNDOFF * expected.abs() + f64::from(f32::MIN_POSITIVE);
        let off = (f64::from(found) - expected).abs();
        if off.is_nan() || off > allowed {
            return Err(Mismatch::Value { index, expected, found, allowed });
        }
    }
    Ok(())
}

/// Fails the test unless `found` is `expected` within the tolerance at the given magnitudes; see [`compare`].
///
/// # Panics
/// On a mismatch, with `what` in the message.
#[track_caller]
pub fn assert_close_at(
    what: &str,
    found: &[f32],
    expected: &[f64],
    magnitudes: &[f64],
    tolerance: Tolerance,
) {
    if let Err(mismatch) = compare(found, expected, magnitudes, tolerance) {
        panic!("{what}: {mismatch}");
    }
}

/// [`assert_close_at`] with the largest expected number as magnitude of all: for results whose terms do not cancel
/// much.
///
/// # Panics
/// On a mismatch, with `what` in the message.
#[track_caller]
pub fn assert_close(what: &str, found: &[f32], expected: &[f64], tolerance: Tolerance) {
    let largest = expected.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    assert_close_at(what, found, expected, &vec![largest; expected.len()], tolerance);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tolerance;

    #[test]
    fn errors_are_found() {
        let want = [1.0, 2.0, 1e-3];
        let same = [1.0f32, 2.0, 1e-3];
        let t = tolerance("add", 1);
        assert_eq!(compare(&same, &want, &want, t), Ok(()));
        assert!(matches!(compare(&same[..2], &want, &want, t), Err(Mismatch::Length { .. })));
        let off = [1.0f32, 2.0, 1.001e-3];
        assert!(matches!(compare(&off, &want, &want, t), Err(Mismatch::Value { index: 2, .. })));
        assert!(compare(&off, &want, &[20.0; 3], t).is_ok());
        let nan = [f32::NAN, 2.0, 1e-3];
        assert!(matches!(compare(&nan, &want, &want, t), Err(Mismatch::Value { index: 0, .. })));
    }
}
