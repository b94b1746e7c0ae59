//! Shapes of rank 1 to 4 whose element count is checked once, when they are made.

use std::fmt;

/// Largest number of elements of one value: 2^31 - 1, so that an index fits `i32` on every device.
pub const ELEMENTS_MAX: usize = i32::MAX as usize;

/// The extents of a value, outermost first; `(N, C, H, W)` for images.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    rank: u8,
    dims: [usize; 4],
}

/// Why a list of extents is not a [`Shape`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// The rank is not 1 to 4.
    #[error("a shape has 1 to 4 dimensions, found {found}")]
    Rank {
        /// Number of extents given.
        found: usize,
    },
    /// An extent is zero.
    #[error("dimension {axis} of {dims:?} is zero")]
    ZeroExtent {
        /// Position of the zero.
        axis: usize,
        /// All extents given.
        dims: Vec<usize>,
    },
    /// The product overflows the element limit.
    #[error("{dims:?} has more than {} elements", ELEMENTS_MAX)]
    TooLarge {
        /// All extents given.
        dims: Vec<usize>,
    },
}

impl Shape {
    /// A shape from its extents.
    ///
    /// # Errors
    /// When the rank is not 1 to 4, an extent is zero, or the element count exceeds 2^31 - 1.
    pub fn new(dims: &[usize]) -> Result<Self, ShapeError> {
        if dims.is_empty() || dims.len() > 4 {
            return Err(ShapeError::Rank { found: dims.len() });
        }
        let mut count = 1usize;
        for (axis, &d) in dims.iter().enumerate() {
            if d == 0 {
                return Err(ShapeError::ZeroExtent { axis, dims: dims.to_vec() });
            }
            count = count
                .checked_mul(d)
                .filter(|&c| c <= ELEMENTS_MAX)
                .ok_or_else(|| ShapeError::TooLarge { dims: dims.to_vec() })?;
        }
        let mut fixed = [1; 4];
        fixed[..dims.len()].copy_from_slice(dims);
        Ok(Shape { rank: dims.len() as u8, dims: fixed })
    }

    /// The shape `(1)` of a single number.
    #[must_use]
    pub const fn scalar() -> Self {
        Shape { rank: 1, dims: [1; 4] }
    }

    /// The extents, outermost first.
    #[must_use]
    pub fn dims(&self) -> &[usize] {
        &self.dims[..usize::from(self.rank)]
    }

    /// Number of elements, at least 1.
    #[must_use]
    pub fn count(&self) -> usize {
        self.dims().iter().product()
    }

    /// `(N, C, H, W)` of a rank-4 shape, `None` otherwise.
    #[must_use]
    pub fn nchw(&self) -> Option<[usize; 4]> {
        (self.rank == 4).then_some(self.dims)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(")?;
        for (i, d) in self.dims().iter().enumerate() {
            write!(f, "{}{d}", if i == 0 { "" } else { ", " })?;
        }
        write!(f, ")")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_are_checked() {
        assert_eq!(Shape::new(&[2, 3, 4, 5]).unwrap().count(), 120);
        assert_eq!(Shape::new(&[7]).unwrap().to_string(), "(7)");
        assert!(matches!(Shape::new(&[]), Err(ShapeError::Rank { found: 0 })));
        assert!(matches!(Shape::new(&[1; 5]), Err(ShapeError::Rank { found: 5 })));
        assert!(matches!(Shape::new(&[2, 0]), Err(ShapeError::ZeroExtent { axis: 1, .. })));
        assert!(matches!(Shape::new(&[usize::MAX, 2]), Err(ShapeError::TooLarge { .. })));
        assert!(matches!(Shape::new(&[1 << 31]), Err(ShapeError::TooLarge { .. })));
    }
}
