//! Standardising an image by the mean and deviation inside its field of view.

use crate::image::{CHANNELS, Image, Mask};

/// Smallest deviation divided by: a channel that is constant (or saturated) becomes 0 and not noise.
const DEVIATION_MIN: f32 = 1e-3;

/// Mean and standard deviation of each channel inside the field of view of one image.
///
/// It takes out what differs between cameras but tells nothing of vessels: exposure and colour balance.
#[derive(Debug, Clone, PartialEq)]
pub struct Standardise {
    /// Mean of red, green and blue.
    pub mean: [f32; CHANNELS],
    /// Standard deviation of red, green and blue, at least 0.001.
    pub deviation: [f32; CHANNELS],
}

impl Standardise {
    /// Measures `image` where `field` is 1; an empty field gives mean 0 and deviation 1.
    ///
    /// # Panics
    /// When the two differ in size.
    #[must_use]
    pub fn of(image: &Image, field: &Mask) -> Self {
        assert_eq!((image.height, image.width), (field.height, field.width), "standardise: sizes differ");
        let mut result = Standardise { mean: [0.0; CHANNELS], deviation: [1.0; CHANNELS] };
        let count = field.count() as f64;
        if count == 0.0 {
            return result;
        }
        for channel in 0..CHANNELS {
            let inside = || image.channel(channel).iter().zip(&field.data).filter(|(_, on)| **on == 1);
            let mean = inside().map(|(v, _)| f64::from(*v)).sum::<f64>() / count;
            let square = |v: f64| v * v;
            let variance = inside().map(|(v, _)| square(f64::from(*v) - mean)).sum::<f64>() / count;
            result.mean[channel] = mean as f32;
            result.deviation[channel] = (variance.sqrt() as f32).max(DEVIATION_MIN);
        }
        result
    }

    /// Standardises planar values `(3, H, W)` where `field` `(H, W)` is not 0, and sets the rest to 0 (the mean).
    ///
    /// # Panics
    /// When `image` is not three times as long as `field`.
    pub fn apply(&self, image: &mut [f32], field: &[f32]) {
        assert_eq!(image.len(), CHANNELS * field.len(), "standardise: lengths");
        for (channel, plane) in image.chunks_exact_mut(field.len()).enumerate() {
            let (mean, scale) = (self.mean[channel], 1.0 / self.deviation[channel]);
            for (value, inside) in plane.iter_mut().zip(field) {
                *value = if *inside == 0.0 { 0.0 } else { (*value - mean) * scale };
            }
        }
    }
}

/// Sets planar values `(3, H, W)` to 0 where `field` `(H, W)` is 0.
pub(super) fn clear_outside(image: &mut [f32], field: &[f32]) {
    for plane in image.chunks_exact_mut(field.len()) {
        for (value, inside) in plane.iter_mut().zip(field) {
            *value = if *inside == 0.0 { 0.0 } else { *value };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_mean_zero_and_deviation_one_inside() {
        let data: Vec<f32> = (0..24).map(|v| (v * v % 17) as f32 / 17.0).collect();
        let image = Image::new(2, 4, data.clone()).unwrap();
        let field = Mask::new(2, 4, vec![0, 1, 1, 1, 1, 1, 1, 0]).unwrap();
        let mut out = data;
        let plane: Vec<f32> = field.data.iter().map(|&v| f32::from(v)).collect();
        Standardise::of(&image, &field).apply(&mut out, &plane);
        for channel in out.chunks_exact(8) {
            let mean = channel.iter().sum::<f32>() / 6.0;
            let square = channel.iter().map(|v| v * v).sum::<f32>() / 6.0;
            assert!(mean.abs() < 1e-5 && (square - 1.0).abs() < 1e-4, "{mean} {square}");
            assert_eq!((channel[0], channel[7]), (0.0, 0.0));
        }
    }

    #[test]
    fn constant_channels_and_empty_fields_stay_finite() {
        let image = Image::new(1, 2, vec![0.5; 6]).unwrap();
        let on = Standardise::of(&image, &Mask::filled(1, 2, true).unwrap());
        let mut out = image.data.clone();
        on.apply(&mut out, &[1.0, 1.0]);
        assert_eq!(out, [0.0; 6]);
        let off = Standardise::of(&image, &Mask::filled(1, 2, false).unwrap());
        assert_eq!((off.mean, off.deviation), ([0.0; 3], [1.0; 3]));
    }
}
