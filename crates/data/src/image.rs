//! Images in memory: RGB [`Image`], one-channel [`Plane`], binary [`Mask`], and the [`Sample`] that joins them.

use crate::error::{DataError, Result};

/// The most pixels that an image may have. Ultra-wide-field fundus cameras make about 12 million, HRF has 8 million;
/// at the limit an [`Image`] takes 384 MB.
pub const PIXELS_MAX: usize = 32_000_000;

/// Channels of an [`Image`]: red, green, blue. Grey sources are replicated.
pub const CHANNELS: usize = 3;

/// An RGB image, planar: `data` is `(3, height, width)`, row-major, values in `[0, 1]`.
///
/// The fields are public so that kernels can borrow them apart; [`Image::new`] checks what the rest relies
/// on. After standardising the values leave `[0, 1]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Rows, in pixels.
    pub height: usize,
    /// Columns, in pixels.
    pub width: usize,
    /// `3 * height * width` values: all red, then all green, then all blue.
    pub data: Vec<f32>,
}

impl Image {
    /// Takes `data` of shape `(3, height, width)` with values in `[0, 1]`.
    ///
    /// # Errors
    /// [`DataError::Size`], [`DataError::Length`], or [`DataError::Value`] where a value is outside `[0, 1]`
    /// or not a number.
    pub fn new(height: usize, width: usize, data: Vec<f32>) -> Result<Self> {
        check_length(height, width, CHANNELS, data.len())?;
        check_unit_values(&data)?;
        Ok(Self { height, width, data })
    }

    /// Replicates one plane into the three channels.
    #[must_use]
    pub fn from_grey(plane: &Plane) -> Self {
        Self { height: plane.height, width: plane.width, data: plane.data.repeat(CHANNELS) }
    }

    /// Pixels per channel.
    #[must_use]
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// The plane `(height, width)` of one channel, `0..3` = red, green, blue.
    ///
    /// # Panics
    /// Where `channel` is 3 or more.
    #[must_use]
    pub fn channel(&self, channel: usize) -> &[f32] {
        &self.data[channel * self.pixels()..][..self.pixels()]
    }

    /// As [`Image::channel`], mutable.
    ///
    /// # Panics
    /// Where `channel` is 3 or more.
    #[must_use]
    pub fn channel_mut(&mut self, channel: usize) -> &mut [f32] {
        let pixels = self.pixels();
        &mut self.data[channel * pixels..][..pixels]
    }
}

/// One channel of floats, `(height, width)`, row-major: probabilities in `[0, 1]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// Rows, in pixels.
    pub height: usize,
    /// Columns, in pixels.
    pub width: usize,
    /// `height * width` values.
    pub data: Vec<f32>,
}

impl Plane {
    /// Takes `data` of shape `(height, width)` with values in `[0, 1]`.
    ///
    /// # Errors
    /// [`DataError::Size`], [`DataError::Length`] or [`DataError::Value`], as for [`Image::new`].
    pub fn new(height: usize, width: usize, data: Vec<f32>) -> Result<Self> {
        check_length(height, width, 1, data.len())?;
        check_unit_values(&data)?;
        Ok(Self { height, width, data })
    }

    /// The pixels whose value is at least `threshold`.
    #[must_use]
    pub fn threshold(&self, threshold: f32) -> Mask {
        Mask {
            height: self.height,
            width: self.width,
            data: self.data.iter().map(|&v| u8::from(v >= threshold)).collect(),
        }
    }
}

/// A binary mask, `(height, width)`, row-major, every value 0 or 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// Rows, in pixels.
    pub height: usize,
    /// Columns, in pixels.
    pub width: usize,
    /// `height * width` values, each 0 or 1.
    pub data: Vec<u8>,
}

impl Mask {
    /// Takes `data` of shape `(height, width)` with values 0 and 1.
    ///
    /// # Errors
    /// [`DataError::Size`], [`DataError::Length`], or [`DataError::Value`] where a value is above 1.
    pub fn new(height: usize, width: usize, data: Vec<u8>) -> Result<Self> {
        check_length(height, width, 1, data.len())?;
        if let Some(index) = data.iter().position(|&v| v > 1) {
            return Err(DataError::Value { index, value: f32::from(data[index]), allowed: "{0, 1}" });
        }
        Ok(Self { height, width, data })
    }

    /// A mask of one value everywhere.
    ///
    /// # Errors
    /// [`DataError::Size`].
    pub fn filled(height: usize, width: usize, on: bool) -> Result<Self> {
        check_size(height, width)?;
        Ok(Self { height, width, data: vec![u8::from(on); height * width] })
    }

    /// Pixels that are 1.
    #[must_use]
    pub fn count(&self) -> usize {
        self.data.iter().map(|&v| usize::from(v)).sum()
    }

    /// The mask as a plane of 0.0 and 1.0.
    #[must_use]
    pub fn to_plane(&self) -> Plane {
        Plane {
            height: self.height,
            width: self.width,
            data: self.data.iter().map(|&v| f32::from(v)).collect(),
        }
    }
}

/// One labelled image of a data set, all parts with the same sides.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The image's file name without its extensions, e.g. `21_training` or `im0001`.
    pub name: String,
    /// The data set, e.g. `DRIVE training`.
    pub dataset: String,
    /// The photograph.
    pub image: Image,
    /// Vessels as the first observer drew them: what is trained on and measured against.
    pub label: Mask,
    /// Vessels as the second observer drew them, where the set has one.
    pub second_label: Option<Mask>,
    /// The field of view: 1 where the camera saw the retina.
    pub field: Mask,
    /// SHA-256 over the bytes of the source files; for synthetic images, over the
    /// generated values.
    pub hash: [u8; 32],
}

/// Checks sides against zero and [`PIXELS_MAX`].
///
/// # Errors
/// [`DataError::Size`].
pub(crate) fn check_size(height: usize, width: usize) -> Result<()> {
    match height.checked_mul(width) {
        Some(1..=PIXELS_MAX) => Ok(()),
        _ => Err(DataError::Size { height, width, pixels_max: PIXELS_MAX }),
    }
}

fn check_length(height: usize, width: usize, channels: usize, found: usize) -> Result<()> {
    check_size(height, width)?;
    let expected = height * width * channels;
    if found == expected {
        return Ok(());
    }
    Err(DataError::Length { height, width, expected, found })
}

fn check_unit_values(data: &[f32]) -> Result<()> {
    match data.iter().position(|v| !(0.0..=1.0).contains(v)) {
        None => Ok(()),
        Some(index) => Err(DataError::Value { index, value: data[index], allowed: "[0, 1]" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constructors_refuse_wrong_sizes_and_values() {
        assert!(matches!(Image::new(0, 4, vec![]), Err(DataError::Size { .. })));
        assert!(matches!(Image::new(usize::MAX, 2, vec![]), Err(DataError::Size { .. })));
        assert!(matches!(
            Image::new(2, 2, vec![0.0; 4]),
            Err(DataError::Length { expected: 12, found: 4, .. })
        ));
        let not_a_number = Plane::new(1, 2, vec![0.5, f32::NAN]);
        assert!(matches!(not_a_number, Err(DataError::Value { index: 1, .. })));
        assert!(matches!(Mask::new(1, 2, vec![1, 2]), Err(DataError::Value { .. })));
        assert!(Mask::filled(PIXELS_MAX, 2, true).is_err());
    }

    #[test]
    fn channels_and_thresholds_follow_the_layout() {
        let data = (0..12).map(|v| v as f32 / 12.0).collect();
        let image = Image::new(2, 2, data).unwrap();
        assert_eq!(image.channel(1), &[4.0 / 12.0, 5.0 / 12.0, 6.0 / 12.0, 7.0 / 12.0]);
        let plane = Plane::new(1, 3, vec![0.2, 0.5, 0.9]).unwrap();
        let mask = plane.threshold(0.5);
        assert_eq!(mask.data, [0, 1, 1]);
        assert_eq!(mask.count(), 2);
        assert_eq!(Image::from_grey(&plane).channel(2), plane.data);
    }
}
