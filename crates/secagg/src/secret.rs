//! Secret bytes: redacted when printed, compared in constant time, wiped when dropped.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Length in bytes of every key, seed and share.
pub const SECRET_LEN: usize = 32;

/// Thirty-two secret bytes: a seed, a private key or a share of one.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; SECRET_LEN]);

impl Secret {
    /// Takes the bytes over; the caller wipes its own copy.
    pub fn new(bytes: [u8; SECRET_LEN]) -> Self {
        Self(bytes)
    }

    /// Draws a fresh secret.
    ///
    /// # Errors
    /// [`EntropyError`] when the source has nothing to give.
    pub fn draw(entropy: &mut dyn Entropy) -> Result<Self, EntropyError> {
        let mut secret = Self([0; SECRET_LEN]);
        entropy.fill(&mut secret.0)?;
        Ok(secret)
    }

    /// The bytes, for the one computation that needs them.
    pub fn expose(&self) -> &[u8; SECRET_LEN] {
        &self.0
    }

    pub(crate) fn expose_mut(&mut self) -> &mut [u8; SECRET_LEN] {
        &mut self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

/// A source of cryptographically secure random bytes, given by whoever drives a machine: the protocol
/// never reaches for the operating system itself, so a run can be repeated in a simulator.
pub trait Entropy {
    /// Fills `out` with random bytes.
    ///
    /// # Errors
    /// [`EntropyError`] when the source fails; `out` must then not be used.
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError>;
}

/// The source of random bytes failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the source of random bytes failed")]
pub struct EntropyError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print_itself() {
        assert_eq!(format!("{:?}", Secret::new([0xab; 32])), "Secret(redacted)");
    }

    #[test]
    fn equality_sees_every_byte() {
        let zero = Secret::new([0; 32]);
        for at in 0..32 {
            let mut bytes = [0; 32];
            bytes[at] = 1;
            assert_ne!(zero, Secret::new(bytes));
        }
        assert_eq!(zero, Secret::new([0; 32]));
    }
}
