//! From a photograph's native pixels to the size that the network works at, and back.
//!
//! Published networks lose most when the camera changes because vessels change width in pixels; bringing every field of view
//! to one diameter takes that away. Probabilities are resized back and thresholded at native size, so that every
//! figure is about the pixels that the observers labelled.

use crate::error::{DataError, Result};
use crate::field::FieldBox;
use crate::image::{CHANNELS, Image, Mask, Plane, Sample, check_size};
use crate::resize::{Filter, resize, resize_mask};

/// A crop of the photograph and the size that it is resampled to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The photograph's `(height, width)`.
    source: (usize, usize),
    crop: FieldBox,
    /// `(height, width)` after resampling.
    size: (usize, usize),
}

impl Frame {
    /// Crops to the field of view and scales both sides alike so that the field's longer side takes `diameter` pixels. The
    /// shorter side, where a camera cuts the circle off, comes out smaller.
    ///
    /// # Errors
    /// [`DataError::EmptyField`]; [`DataError::Size`] for a diameter of 0 or one beyond the pixel limit.
    pub fn around_field(field: &Mask, diameter: usize) -> Result<Self> {
        let crop = FieldBox::of(field).ok_or(DataError::EmptyField)?;
        let scaled = |side: usize| {
            // Half up, in integers: the same size on every machine.
            (side as u128 * diameter as u128 * 2 + crop.diameter() as u128) / (2 * crop.diameter() as u128)
        };
        let side =
            |side: usize| usize::try_from(scaled(side).max(u128::from(diameter > 0))).unwrap_or(usize::MAX);
        Self::new((field.height, field.width), crop, (side(crop.height), side(crop.width)))
    }

    /// Stretches the whole photograph of `source = (height, width)` to `size`, whatever its aspect.
    ///
    /// # Errors
    /// [`DataError::Size`] where one of the two has no pixel or too many.
    pub fn whole(source: (usize, usize), size: (usize, usize)) -> Result<Self> {
        let crop = FieldBox { top: 0, left: 0, height: source.0, width: source.1 };
        Self::new(source, crop, size)
    }

    /// Native size, nothing cropped.
    ///
    /// # Errors
    /// [`DataError::Size`].
    pub fn native(source: (usize, usize)) -> Result<Self> {
        Self::whole(source, source)
    }

    fn new(source: (usize, usize), crop: FieldBox, size: (usize, usize)) -> Result<Self> {
        check_size(source.0, source.1)?;
        check_size(size.0, size.1)?;
        Ok(Self { source, crop, size })
    }

    /// The photograph's `(height, width)`.
    #[must_use]
    pub fn source(&self) -> (usize, usize) {
        self.source
    }

    /// The part of the photograph that is used.
    #[must_use]
    pub fn crop(&self) -> FieldBox {
        self.crop
    }

    /// `(height, width)` that the network sees.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        self.size
    }

    /// The image at working size: averaged over areas where it shrinks, bilinear where it grows.
    ///
    /// # Errors
    /// [`DataError::Sides`] where `image` is not of this frame's source size.
    pub fn image(&self, image: &Image) -> Result<Image> {
        self.check("image", (image.height, image.width), self.source)?;
        let cropped: Vec<f32> = (0..CHANNELS).flat_map(|c| self.cut(image.channel(c))).collect();
        let data = clamped(resize(&cropped, CHANNELS, self.crop_size(), self.size, Filter::Area));
        Ok(Image { height: self.size.0, width: self.size.1, data })
    }

    /// A label or field of view at working size: set where at least half of the area (or of the bilinear weight) is set.
    ///
    /// # Errors
    /// [`DataError::Sides`] where `mask` is not of this frame's source size.
    pub fn mask(&self, mask: &Mask) -> Result<Mask> {
        self.check("mask", (mask.height, mask.width), self.source)?;
        let data = resize_mask(&self.cut(&mask.data), self.crop_size(), self.size, Filter::Area);
        Ok(Mask { height: self.size.0, width: self.size.1, data })
    }

    /// All parts of a sample at working size; name, data set and hash stay.
    ///
    /// # Errors
    /// [`DataError::Sides`] where a part is not of this frame's source size.
    pub fn sample(&self, sample: &Sample) -> Result<Sample> {
        Ok(Sample {
            name: sample.name.clone(),
            dataset: sample.dataset.clone(),
            image: self.image(&sample.image)?,
            label: self.mask(&sample.label)?,
            second_label: sample.second_label.as_ref().map(|m| self.mask(m)).transpose()?,
            field: self.mask(&sample.field)?,
            hash: sample.hash,
        })
    }

    /// The way back: probabilities at working size to the photograph's own pixels, 0 outside the crop.
    ///
    /// # Errors
    /// [`DataError::Sides`] where `plane` is not of this frame's working size.
    pub fn restore(&self, plane: &Plane) -> Result<Plane> {
        self.check("probability plane", (plane.height, plane.width), self.size)?;
        let inside = clamped(resize(&plane.data, 1, self.size, self.crop_size(), Filter::Area));
        let (height, width) = self.source;
        let mut data = vec![0.0; height * width];
        for (row, line) in inside.chunks_exact(self.crop.width).enumerate() {
            let at = (self.crop.top + row) * width + self.crop.left;
            data[at..at + self.crop.width].copy_from_slice(line);
        }
        Ok(Plane { height, width, data })
    }

    fn crop_size(&self) -> (usize, usize) {
        (self.crop.height, self.crop.width)
    }

    /// The crop's values out of a plane of source size.
    fn cut<T: Copy>(&self, plane: &[T]) -> Vec<T> {
        let rows = plane.chunks_exact(self.source.1).skip(self.crop.top).take(self.crop.height);
        rows.flat_map(|row| &row[self.crop.left..self.crop.left + self.crop.width]).copied().collect()
    }

    fn check(&self, what: &str, found: (usize, usize), expected: (usize, usize)) -> Result<()> {
        if found == expected {
            return Ok(());
        }
        let ((height, width), (found_height, found_width)) = (expected, found);
        Err(DataError::Sides { what: what.to_owned(), height, width, found_height, found_width })
    }
}

/// The filters' weights add up to 1 only to within rounding.
fn clamped(mut values: Vec<f32>) -> Vec<f32> {
    values.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(height: usize, width: usize, top: usize, left: usize, h: usize, w: usize) -> Mask {
        let inside =
            |p: &usize| (top..top + h).contains(&(p / width)) && (left..left + w).contains(&(p % width));
        let data = (0..height * width).map(|p| u8::from(inside(&p))).collect();
        Mask::new(height, width, data).unwrap()
    }

    #[test]
    fn the_longer_side_becomes_the_diameter() {
        let frame = Frame::around_field(&field(100, 120, 10, 5, 60, 90), 45).unwrap();
        assert_eq!(frame.size(), (30, 45));
        assert_eq!(frame.crop(), FieldBox { top: 10, left: 5, height: 60, width: 90 });
        assert_eq!(Frame::around_field(&field(100, 120, 0, 0, 1, 90), 9).unwrap().size(), (1, 9));
    }

    #[test]
    fn impossible_frames_are_errors() {
        let empty = Mask::filled(4, 4, false).unwrap();
        assert!(matches!(Frame::around_field(&empty, 8), Err(DataError::EmptyField)));
        let full = Mask::filled(4, 4, true).unwrap();
        assert!(matches!(Frame::around_field(&full, 0), Err(DataError::Size { .. })));
        assert!(matches!(Frame::around_field(&full, usize::MAX), Err(DataError::Size { .. })));
        let frame = Frame::native((4, 5)).unwrap();
        let error = frame.mask(&full).unwrap_err();
        assert!(error.to_string().contains("4 x 4"), "{error}");
    }

    #[test]
    fn there_and_back_keeps_smooth_values_and_clears_the_rest() {
        let field = field(64, 80, 4, 8, 48, 64);
        let ramp = |p: usize| ((p / 80) as f32 + (p % 80) as f32) / 160.0;
        let plane: Vec<f32> = (0..64 * 80).map(ramp).collect();
        let image = Image::new(64, 80, plane.repeat(3)).unwrap();
        for diameter in [32, 64, 96] {
            let frame = Frame::around_field(&field, diameter).unwrap();
            let small = frame.image(&image).unwrap();
            assert_eq!((small.height, small.width), (diameter * 3 / 4, diameter));
            let working = Plane::new(small.height, small.width, small.channel(1).to_vec()).unwrap();
            let back = frame.restore(&working).unwrap();
            for (p, &value) in back.data.iter().enumerate() {
                let wanted = if field.data[p] == 1 { plane[p] } else { 0.0 };
                assert!((value - wanted).abs() < 0.5 / 64.0, "{diameter}: pixel {p}: {value} for {wanted}");
            }
        }
    }

    #[test]
    fn the_native_frame_changes_nothing() {
        let mask = field(9, 7, 2, 1, 3, 4);
        let frame = Frame::native((9, 7)).unwrap();
        assert_eq!(frame.mask(&mask).unwrap(), mask);
        assert_eq!(frame.restore(&mask.to_plane()).unwrap(), mask.to_plane());
    }

    #[test]
    fn a_sample_keeps_its_parts_together() {
        let field = field(20, 20, 2, 2, 16, 16);
        let image = Image::new(20, 20, vec![0.25; 1200]).unwrap();
        let sample = Sample {
            name: "a".into(),
            dataset: "b".into(),
            image,
            label: field.clone(),
            second_label: Some(field.clone()),
            field: field.clone(),
            hash: [7; 32],
        };
        let small = Frame::around_field(&field, 8).unwrap().sample(&sample).unwrap();
        assert_eq!(
            (small.label.count(), small.second_label.unwrap().count(), small.field.count()),
            (64, 64, 64)
        );
        assert!(small.image.data.iter().all(|v| (v - 0.25).abs() < 1e-6));
        assert_eq!(small.hash, [7; 32]);
    }
}
