//! Shamir's secret sharing over GF(2^8), byte by byte.
//!
//! Adi Shamir, "How to share a secret", CACM 22(11), 1979. A secret of 32 bytes is the constant term of 32
//! polynomials of degree t - 1 whose other coefficients are uniform over the **whole** field: a zero
//! coefficient, leading or not, is as likely as any other value. Refusing zeros would bias the shares and
//! leak below the threshold.

use crate::gf256;
use crate::secret::{Entropy, EntropyError, Secret};

/// Shares exist at x = 1..=255.
pub const SHARES_MAX: usize = 255;

/// Why secret sharing was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShamirError {
    /// A threshold of zero, above the number of shares, or more shares than the field has points.
    #[error("{threshold} of {count} shares: need 1 <= threshold <= shares <= {SHARES_MAX}")]
    Shape {
        /// Shares needed to reconstruct.
        threshold: usize,
        /// Shares in all.
        count: usize,
    },
    /// A point that is zero or given twice.
    #[error("point {x} is zero or repeated")]
    Point {
        /// The offending x.
        x: u8,
    },
    /// Not one share per point.
    #[error("{shares} shares for {points} points")]
    Count {
        /// Points of the weights.
        points: usize,
        /// Shares given.
        shares: usize,
    },
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// Splits `secret` into `count` shares, of which any `threshold` give it back. Share `i` belongs to
/// x = i + 1.
///
/// # Errors
/// [`ShamirError::Shape`] and [`ShamirError::Entropy`].
pub fn split(
    secret: &Secret,
    threshold: usize,
    count: usize,
    entropy: &mut dyn Entropy,
) -> Result<Vec<Secret>, ShamirError> {
    if threshold == 0 || threshold > count || count > SHARES_MAX {
        return Err(ShamirError::Shape { threshold, count });
    }
    let coefficients =
        (1..threshold).map(|_| Secret::draw(entropy)).collect::<Result<Vec<_>, EntropyError>>()?;
    Ok((1..=count).map(|x| evaluate(secret, &coefficients, x as u8)).collect())
}

/// Lagrange weights at x = 0 for one set of points; computed once, used for every secret.
#[derive(Debug, Clone)]
pub struct Weights(Vec<u8>);

impl Weights {
    /// The weights `prod_{j != i} x_j / (x_j - x_i)` for the given points.
    ///
    /// # Errors
    /// [`ShamirError::Point`] when a point is zero or given twice.
    pub fn at_zero(points: &[u8]) -> Result<Self, ShamirError> {
        let mut weights = Vec::with_capacity(points.len());
        for (i, &x) in points.iter().enumerate() {
            if x == 0 || points[..i].contains(&x) {
                return Err(ShamirError::Point { x });
            }
            let others = || points.iter().filter(|&&other| other != x);
            let numerator = others().fold(1, |product, &other| gf256::mul(product, other));
            let denominator = others().fold(1, |product, &other| gf256::mul(product, other ^ x));
            weights.push(gf256::mul(numerator, gf256::inverse(denominator)));
        }
        Ok(Self(weights))
    }

    /// The secret behind `shares`, one per point and in the order of the points.
    ///
    /// # Errors
    /// [`ShamirError::Count`].
    pub fn combine(&self, shares: &[&Secret]) -> Result<Secret, ShamirError> {
        if shares.len() != self.0.len() {
            return Err(ShamirError::Count { points: self.0.len(), shares: shares.len() });
        }
        let mut secret = Secret::new([0; 32]);
        for (weight, share) in self.0.iter().zip(shares) {
            gf256::add_scaled_row(secret.expose_mut(), *weight, share.expose());
        }
        Ok(secret)
    }
}

/// The polynomials' values at `x`, by Horner's rule from the leading coefficient down.
fn evaluate(secret: &Secret, coefficients: &[Secret], x: u8) -> Secret {
    let mut value = Secret::new([0; 32]);
    for coefficient in coefficients.iter().rev().chain(std::iter::once(secret)) {
        let mut next = coefficient.clone();
        gf256::add_scaled_row(next.expose_mut(), x, value.expose());
        value = next;
    }
    value
}
