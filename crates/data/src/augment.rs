//! Training crops: one affine resampling (flips, rotation, scale, place) and colour jitter, all from named
//! random streams.
//!
//! The order is geometry, then jitter, then standardising. Jitter is defined on raw values in `[0, 1]` and
//! only inside the field of view; [`Standardise`] holds the mean and deviation of the *unjittered* whole image,
//! so that a brighter crop stays brighter and the same numbers serve at prediction time. Outside the field every
//! channel is 0 after that, in crops as in whole images.

mod jitter;
mod standardise;

use fovea_tensor::Stream;
use jitter::Jitter;
use serde::{Deserialize, Serialize};

use crate::image::{CHANNELS, Image, Mask};
use crate::math::sin_cos;
pub use standardise::Standardise;

/// The ranges from which each crop's changes are drawn. A range of 0 (or `[1, 1]` for `scale`) leaves a change out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Mirror left-right and top-bottom, each with probability one half.
    pub flip: bool,
    /// Rotation, uniform in `-rotation_deg..rotation_deg` degrees.
    pub rotation_deg: f32,
    /// Magnification, uniform in `scale[0]..scale[1]`; 1.2 shows vessels 1.2 times wider.
    pub scale: [f32; 2],
    /// Values are multiplied by `1 + u`, `u` uniform in `-brightness..brightness`.
    pub brightness: f32,
    /// Distances from the crop's mean grey are multiplied by `1 + u`, `u` in `-contrast..contrast`.
    pub contrast: f32,
    /// Distances from each pixel's grey are multiplied by `1 + u`, `u` in `-saturation..saturation`.
    pub saturation: f32,
    /// Values become `v^(1 + u)`, `u` in `-gamma..gamma`; only for values in `[0, 1]`.
    pub gamma: f32,
    /// Round the resampled label to 0 and 1; otherwise it keeps the fractions of bilinear resampling.
    pub hard_label: bool,
}

impl Augmentation {
    /// No change at all: a crop is an exact copy of a window.
    #[must_use]
    pub fn none() -> Self {
        Self {
            flip: false,
            rotation_deg: 0.0,
            scale: [1.0, 1.0],
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            gamma: 0.0,
            hard_label: true,
        }
    }

    /// Checks that every range is finite and keeps the image positive.
    ///
    /// # Errors
    /// [`AugmentError::Range`] for the first field outside its range.
    pub fn validate(&self) -> Result<(), AugmentError> {
        let ranges = [
            ("rotation_deg", self.rotation_deg, 0.0, 180.0),
            ("scale[0]", self.scale[0], 0.1, 10.0),
            ("scale[1]", self.scale[1], self.scale[0], 10.0),
            ("brightness", self.brightness, 0.0, 0.9),
            ("contrast", self.contrast, 0.0, 0.9),
            ("saturation", self.saturation, 0.0, 0.9),
            ("gamma", self.gamma, 0.0, 0.9),
        ];
        match ranges.into_iter().find(|(_, value, low, high)| !(*low..=*high).contains(value)) {
            None => Ok(()),
            Some((field, value, low, high)) => Err(AugmentError::Range { field, value, low, high }),
        }
    }
}

/// Why a crop cannot be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AugmentError {
    /// A field of [`Augmentation`] outside its range.
    #[error("augmentation `{field}` is {value}: choose a value from {low} to {high}")]
    Range {
        /// The field's name.
        field: &'static str,
        /// Its value.
        value: f32,
        /// The least allowed value.
        low: f32,
        /// The greatest allowed value.
        high: f32,
    },
    /// The field-of-view mask has no pixel, so no crop can be centred in it.
    #[error("the field of view is empty: check the field mask of this image")]
    EmptyField,
    /// Image, label and field do not have the same sides.
    #[error("image, label and field of view differ in size: bring all three to the same working scale")]
    Sides,
}

/// The place of one crop in the experiment; names its random stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CropKey {
    /// The experiment's seed.
    pub seed: u64,
    /// Epoch, or round, or step: whatever counts the passes.
    pub epoch: u32,
    /// Index of the image in its set.
    pub image: u32,
    /// Index of the crop among the crops of this image in this epoch.
    pub crop: u32,
}

/// What a crop is cut from: an image at working scale, its label and its field of view.
#[derive(Debug, Clone, Copy)]
pub struct CropSource<'a> {
    image: &'a Image,
    label: &'a Mask,
    field: &'a Mask,
    standardise: Option<&'a Standardise>,
}

impl<'a> CropSource<'a> {
    /// Joins the three parts. With `standardise`, raw image values are standardised after the jitter; without it
    /// they stay as they are (an image that was standardised before keeps its values, but should not be jittered).
    ///
    /// # Errors
    /// [`AugmentError::Sides`] where the sizes differ, [`AugmentError::EmptyField`] for an empty field.
    pub fn new(
        image: &'a Image,
        label: &'a Mask,
        field: &'a Mask,
        standardise: Option<&'a Standardise>,
    ) -> Result<Self, AugmentError> {
        let sides = (image.height, image.width);
        if sides != (label.height, label.width) || sides != (field.height, field.width) {
            return Err(AugmentError::Sides);
        }
        if field.data.iter().all(|&v| v == 0) {
            return Err(AugmentError::EmptyField);
        }
        Ok(Self { image, label, field, standardise })
    }

    /// Writes the crop of `size x size` pixels that `key` names: `image` is `(3, size, size)`, `label` and `field`
    /// are `(1, size, size)`. Its centre lies on a pixel of the field, each with equal probability. Beyond the
    /// source's edges all three are 0.
    ///
    /// # Panics
    /// When a slice has the wrong length.
    pub fn crop(
        &self,
        augmentation: &Augmentation,
        key: CropKey,
        size: usize,
        image: &mut [f32],
        label: &mut [f32],
        field: &mut [f32],
    ) {
        let area = size * size;
        assert_eq!(
            (image.len(), label.len(), field.len()),
            (CHANNELS * area, area, area),
            "crop: slice lengths"
        );
        let mut stream = Stream::new(key.seed, &format!("augment crop {}", key.crop), [key.epoch, key.image]);
        let centre = self.centre(&mut stream);
        let affine = Affine::draw(&mut stream, augmentation, centre, size);
        self.resample(&affine, size, image, label, field);
        if augmentation.hard_label {
            label.iter_mut().for_each(|v| *v = f32::from(u8::from(*v >= 0.5)));
        }
        Jitter::draw(&mut stream, augmentation).apply(image, field);
        match self.standardise {
            Some(standardise) => standardise.apply(image, field),
            None => standardise::clear_outside(image, field),
        }
    }

    /// Row and column of a pixel drawn uniformly from the field.
    fn centre(&self, stream: &mut Stream) -> (usize, usize) {
        let rows = || self.field.data.chunks_exact(self.field.width);
        let on = |row: &[u8]| row.iter().map(|&v| u32::from(v)).sum::<u32>();
        let mut left = stream.below(rows().map(on).sum());
        for (y, row) in rows().enumerate() {
            let here = on(row);
            if left < here {
                let mut set = row.iter().enumerate().filter(|(_, v)| **v == 1).map(|(x, _)| x);
                return (y, set.nth(left as usize).unwrap_or(0));
            }
            left -= here;
        }
        unreachable!("below(n) is less than the number of set pixels")
    }

    /// Bilinear for image and label, nearest for the field, at the affine image of each output pixel's centre.
    fn resample(
        &self,
        affine: &Affine,
        size: usize,
        image: &mut [f32],
        label: &mut [f32],
        field: &mut [f32],
    ) {
        let (height, width) = (self.image.height, self.image.width);
        let planes: [&[f32]; CHANNELS] = std::array::from_fn(|c| self.image.channel(c));
        let (red, rest) = image.split_at_mut(size * size);
        let (green, blue) = rest.split_at_mut(size * size);
        let mut out = [red, green, blue];
        for at in 0..size * size {
            let (y, x) = affine.source(at / size, at % size);
            if !(0.0..height as f32).contains(&y) || !(0.0..width as f32).contains(&x) {
                out.iter_mut().for_each(|plane| plane[at] = 0.0);
                (label[at], field[at]) = (0.0, 0.0);
                continue;
            }
            let taps = BilinearTaps::new(y, x, height, width);
            for (plane, source) in out.iter_mut().zip(planes) {
                plane[at] = taps.mix(|i| source[i]);
            }
            label[at] = taps.mix(|i| f32::from(self.label.data[i]));
            field[at] = f32::from(self.field.data[y as usize * width + x as usize]);
        }
    }
}

/// From output pixels to continuous source coordinates (a pixel covers `[i, i + 1)`).
struct Affine {
    centre: (f32, f32),
    /// `(dy, dx)` in the source for one step down and one step right in the crop.
    down: (f32, f32),
    right: (f32, f32),
    half: f32,
}

impl Affine {
    /// Draws every choice, wanted or not, so that switching one off leaves the others as they were.
    fn draw(stream: &mut Stream, augmentation: &Augmentation, centre: (usize, usize), size: usize) -> Self {
        let mirror = |hit: bool| if hit && augmentation.flip { -1.0 } else { 1.0 };
        let (flip_y, flip_x) = (mirror(stream.chance(0.5)), mirror(stream.chance(0.5)));
        let degrees = stream.range(-augmentation.rotation_deg, augmentation.rotation_deg);
        let scale = stream.range(augmentation.scale[0], augmentation.scale[1]);
        let (sine, cosine) = sin_cos(f64::from(degrees).to_radians());
        let (sine, cosine) = (sine as f32 / scale, cosine as f32 / scale);
        Affine {
            centre: (centre.0 as f32, centre.1 as f32),
            down: (cosine * flip_y, -sine * flip_y),
            right: (sine * flip_x, cosine * flip_x),
            half: size as f32 * 0.5,
        }
    }

    fn source(&self, row: usize, column: usize) -> (f32, f32) {
        let (v, u) = (row as f32 + 0.5 - self.half, column as f32 + 0.5 - self.half);
        (
            self.centre.0 + self.down.0 * v + self.right.0 * u,
            self.centre.1 + self.down.1 * v + self.right.1 * u,
        )
    }
}

/// The four neighbours of a source position and their weights; positions in the border half-pixel are clamped.
struct BilinearTaps {
    indices: [usize; 4],
    weights: [f32; 4],
}

impl BilinearTaps {
    fn new(y: f32, x: f32, height: usize, width: usize) -> Self {
        let y = (y - 0.5).clamp(0.0, (height - 1) as f32);
        let x = (x - 0.5).clamp(0.0, (width - 1) as f32);
        let (top, left) = (y as usize, x as usize);
        let (bottom, right) = ((top + 1).min(height - 1), (left + 1).min(width - 1));
        let (fy, fx) = (y - top as f32, x - left as f32);
        BilinearTaps {
            indices: [top * width + left, top * width + right, bottom * width + left, bottom * width + right],
            weights: [(1.0 - fy) * (1.0 - fx), (1.0 - fy) * fx, fy * (1.0 - fx), fy * fx],
        }
    }

    fn mix(&self, value: impl Fn(usize) -> f32) -> f32 {
        let [a, b, c, d] = self.indices.map(value);
        let [wa, wb, wc, wd] = self.weights;
        wa * a + wb * b + wc * c + wd * d
    }
}

#[cfg(test)]
mod tests;
