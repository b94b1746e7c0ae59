//! A decoded file before its meaning is known: one or three channels of integers, up to 16 bits.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::{DataError, DecodeFault, Result};
use crate::image::{CHANNELS, Image, Mask, PIXELS_MAX};

/// A grey or RGB image as stored, interleaved: `samples` is `(height, width, channels)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raster {
    height: usize,
    width: usize,
    /// 1 or 3.
    channels: usize,
    samples: Vec<u16>,
    /// The value that stands for full brightness: 255, 65535, or a PNM file's own.
    max: u16,
}

/// What a binary file is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskKind {
    /// Vessels: values between the two levels are refused, and so is a label of one value.
    Label,
    /// Field of view: thresholded half-way, may cover the whole image.
    Field,
}

impl Raster {
    /// Joins decoded samples of `(height, width, stored)` channels; the channels of alpha (the 2nd of 2, the 4th of 4)
    /// are dropped.
    pub(super) fn new(
        (height, width): (usize, usize),
        stored: usize,
        samples: Vec<u16>,
        max: u16,
    ) -> std::result::Result<Self, DecodeFault> {
        let channels = match stored {
            1 | 2 => 1,
            3 | 4 => CHANNELS,
            n => return Err(DecodeFault::unsupported(format_args!("{n} channels"))),
        };
        let expected = height * width * stored;
        if samples.len() != expected {
            return Err(DecodeFault::CutShort { expected, found: samples.len() });
        }
        let samples = if stored == channels {
            samples
        } else {
            samples.chunks_exact(stored).flat_map(|p| &p[..channels]).copied().collect()
        };
        Ok(Self { height, width, channels, samples, max })
    }

    /// `(height, width)`, in pixels.
    #[must_use]
    pub fn sides(&self) -> (usize, usize) {
        (self.height, self.width)
    }

    /// The photograph, scaled to `[0, 1]`; grey is replicated. Values above a PNM file's own maximum become 1.
    #[must_use]
    pub fn to_image(&self) -> Image {
        let max = f32::from(self.max);
        let plane = |c: usize| self.samples.iter().skip(c).step_by(self.channels);
        let data = (0..CHANNELS)
            .flat_map(|c| plane(c.min(self.channels - 1)))
            .map(|&v| (f32::from(v) / max).min(1.0))
            .collect();
        Image { height: self.height, width: self.width, data }
    }

    /// The mask that the file holds: a file of two levels (0/255, 3/253, 0/1) is cut half-way between them, any other
    /// half-way up its range.
    ///
    /// # Errors
    /// [`DataError::Coloured`], [`DataError::NotBinary`] (labels only), [`DataError::Empty`] or
    /// [`DataError::Uniform`] (labels only); `path` names the file.
    pub fn to_mask(&self, path: &Path, kind: MaskKind) -> Result<Mask> {
        let grey = self.grey(path)?;
        let levels: BTreeSet<u16> = grey.iter().copied().collect();
        let (low, high) = (*levels.first().unwrap_or(&0), *levels.last().unwrap_or(&0));
        if high == 0 {
            let what = if kind == MaskKind::Label { "label" } else { "field of view" };
            return Err(DataError::Empty { path: path.to_path_buf(), what });
        }
        let cut = match levels.len() {
            1 if kind == MaskKind::Label => {
                return Err(DataError::Uniform { path: path.to_path_buf(), value: high });
            }
            1 => high,
            2 => low + (high - low).div_ceil(2),
            _ => self.max / 2 + 1,
        };
        if levels.len() > 2 && kind == MaskKind::Label {
            self.check_near_ends(path, &grey, levels.len())?;
        }
        let data = grey.iter().map(|&v| u8::from(v >= cut)).collect();
        Ok(Mask { height: self.height, width: self.width, data })
    }

    /// One value per pixel, of a file whose three channels agree to within a twentieth of the range: DRIVE's second labels
    /// have the palette colours (4, 2, 4) and (252, 254, 252).
    fn grey(&self, path: &Path) -> Result<Vec<u16>> {
        if self.channels == 1 {
            return Ok(self.samples.clone());
        }
        let spread = |p: &[u16]| p.iter().max().zip(p.iter().min()).map_or(0, |(high, low)| high - low);
        let mut pixels = self.samples.chunks_exact(CHANNELS);
        if let Some(pixel) = pixels.position(|p| spread(p) > self.max / 20) {
            let (row, column) = (pixel / self.width, pixel % self.width);
            return Err(DataError::Coloured { path: path.to_path_buf(), row, column });
        }
        let mean = |p: &[u16]| ((p.iter().map(|&v| u32::from(v)).sum::<u32>() + 1) / 3) as u16;
        Ok(self.samples.chunks_exact(CHANNELS).map(mean).collect())
    }

    /// Refuses values further than a fifth of the range from both ends: resized or compressed labels lose their meaning.
    fn check_near_ends(&self, path: &Path, grey: &[u16], levels: usize) -> Result<()> {
        let margin = self.max / 5;
        match grey.iter().position(|&v| v > margin && v < self.max - margin) {
            None => Ok(()),
            Some(at) => Err(DataError::NotBinary {
                path: path.to_path_buf(),
                value: grey[at],
                max: self.max,
                row: at / self.width,
                column: at % self.width,
                levels,
            }),
        }
    }
}

/// Checks declared sides before anything is set aside for them.
pub(super) fn check_declared(height: u64, width: u64) -> std::result::Result<(usize, usize), DecodeFault> {
    let fits = |pixels: u64| (1..=PIXELS_MAX as u64).contains(&pixels);
    if height.checked_mul(width).is_some_and(fits) {
        return Ok((height as usize, width as usize));
    }
    Err(DecodeFault::Size { height, width, pixels_max: PIXELS_MAX })
}
