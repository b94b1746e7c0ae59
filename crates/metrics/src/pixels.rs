//! One image's prediction, label and field of view, checked once.

/// Why slices do not make an image to score.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetricsError {
    /// A slice's length is not width x height.
    #[error("{what} has {found} pixels, expected {width}x{height}")]
    Length {
        /// Which slice.
        what: &'static str,
        /// Its length.
        found: usize,
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// Width or height is zero, or their product overflows.
    #[error("an image of {width}x{height} pixels cannot be scored")]
    Extent {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// A probability is outside `[0, 1]` or not a number.
    #[error(
        "the probability at pixel {index} is not between 0 and 1; apply the sigmoid and check for divergence"
    )]
    Probability {
        /// Row-major position.
        index: usize,
    },
}

/// A binary prediction with its label and field of view, row-major, `(H, W)` each; non-zero means yes.
#[derive(Debug, Clone, Copy)]
pub struct Mask<'a> {
    width: usize,
    height: usize,
    prediction: &'a [u8],
    label: &'a [u8],
    field: &'a [u8],
}

impl<'a> Mask<'a> {
    /// Checks extents.
    ///
    /// # Errors
    /// When the extents are zero or a slice's length differs from `width * height`.
    pub fn new(
        [height, width]: [usize; 2],
        prediction: &'a [u8],
        label: &'a [u8],
        field: &'a [u8],
    ) -> Result<Self, MetricsError> {
        check_lengths(
            width,
            height,
            [("prediction", prediction.len()), ("label", label.len()), ("field", field.len())],
        )?;
        Ok(Mask { width, height, prediction, label, field })
    }

    /// Rows and columns.
    #[must_use]
    pub fn extent(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// `(prediction, label)` of every pixel inside the field, row-major.
    pub fn inside(&self) -> impl Iterator<Item = (bool, bool)> + use<'a> {
        let pairs = self.prediction.iter().zip(self.label).zip(self.field);
        pairs.filter(|&(_, &f)| f != 0).map(|((&p, &l), _)| (p != 0, l != 0))
    }

    /// The prediction and the label with everything outside the field set to 0; values 0 and 1.
    #[must_use]
    pub fn clipped(&self) -> [Vec<u8>; 2] {
        [self.prediction, self.label]
            .map(|m| m.iter().zip(self.field).map(|(&m, &f)| u8::from(m != 0 && f != 0)).collect())
    }
}

/// Predicted probabilities with label and field of view, row-major, `(H, W)` each.
#[derive(Debug, Clone, Copy)]
pub struct Pixels<'a> {
    width: usize,
    height: usize,
    probability: &'a [f32],
    label: &'a [u8],
    field: &'a [u8],
}

impl<'a> Pixels<'a> {
    /// Checks extents and that every probability, inside the field or not, is in `[0, 1]`.
    ///
    /// # Errors
    /// When the extents are zero, a slice's length differs from `width * height`, or a probability is out of range.
    pub fn new(
        [height, width]: [usize; 2],
        probability: &'a [f32],
        label: &'a [u8],
        field: &'a [u8],
    ) -> Result<Self, MetricsError> {
        check_lengths(
            width,
            height,
            [("probability", probability.len()), ("label", label.len()), ("field", field.len())],
        )?;
        match probability.iter().position(|p| !(0.0..=1.0).contains(p)) {
            Some(index) => Err(MetricsError::Probability { index }),
            None => Ok(Pixels { width, height, probability, label, field }),
        }
    }

    /// Rows and columns.
    #[must_use]
    pub fn extent(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// `(probability, label)` of every pixel inside the field, row-major.
    pub fn inside(&self) -> impl Iterator<Item = (f32, bool)> + use<'a> {
        let pairs = self.probability.iter().zip(self.label).zip(self.field);
        pairs.filter(|&(_, &f)| f != 0).map(|((&p, &l), _)| (p, l != 0))
    }

    /// The binary prediction `probability >= threshold`, over the whole image.
    #[must_use]
    pub fn at(&self, threshold: f32) -> Vec<u8> {
        self.probability.iter().map(|&p| u8::from(p >= threshold)).collect()
    }

    /// This image with a binary prediction, as [`at`](Self::at) gives it, in place of the probabilities.
    ///
    /// # Errors
    /// When the prediction's length is not that of the image.
    pub fn with_prediction(&self, prediction: &'a [u8]) -> Result<Mask<'a>, MetricsError> {
        Mask::new(self.extent(), prediction, self.label, self.field)
    }
}

fn check_lengths(
    width: usize,
    height: usize,
    slices: [(&'static str, usize); 3],
) -> Result<(), MetricsError> {
    let area = width.checked_mul(height).filter(|&a| a > 0).ok_or(MetricsError::Extent { width, height })?;
    match slices.into_iter().find(|&(_, found)| found != area) {
        Some((what, found)) => Err(MetricsError::Length { what, found, width, height }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_wrong_lengths_and_probabilities() {
        let (p, u) = ([0.5f32; 6], [1u8; 6]);
        assert!(Pixels::new([2, 3], &p, &u, &u).is_ok());
        assert_eq!(
            Pixels::new([2, 0], &p, &u, &u).unwrap_err(),
            MetricsError::Extent { width: 0, height: 2 }
        );
        assert!(matches!(Pixels::new([usize::MAX, 2], &p, &u, &u), Err(MetricsError::Extent { .. })));
        let e = Pixels::new([2, 3], &p, &u[..5], &u).unwrap_err();
        assert_eq!(e, MetricsError::Length { what: "label", found: 5, width: 3, height: 2 });
        for bad in [f32::NAN, -0.1, 1.1, f32::INFINITY] {
            let p = [0.0, 1.0, 0.5, bad, 0.5, 0.5];
            assert_eq!(Pixels::new([2, 3], &p, &u, &u).unwrap_err(), MetricsError::Probability { index: 3 });
        }
    }

    #[test]
    fn only_the_field_counts() {
        let pixels = Pixels::new([1, 4], &[0.1, 0.2, 0.3, 0.4], &[0, 255, 1, 0], &[0, 1, 255, 0]).unwrap();
        assert_eq!(pixels.inside().collect::<Vec<_>>(), [(0.2, true), (0.3, true)]);
        assert_eq!(pixels.at(0.3), [0, 0, 1, 1]);
        let prediction = pixels.at(0.3);
        assert_eq!(pixels.with_prediction(&prediction).unwrap().clipped(), [[0, 0, 1, 0], [0, 1, 1, 0]]);
    }
}
