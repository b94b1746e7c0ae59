//! Pictures: a photograph with a prediction on top, encoded for a page or a file.

use crate::ReportError;
use image::ImageEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;

/// Vessel, found: near white.
pub const TRUE_POSITIVE: [u8; 3] = [244, 244, 238];
/// Background taken for vessel: orange. With blue it is told apart in every common form of colour blindness.
pub const FALSE_POSITIVE: [u8; 3] = [255, 138, 20];
/// Vessel, missed: blue.
pub const FALSE_NEGATIVE: [u8; 3] = [46, 148, 255];
/// Prediction where there is no label to compare with: turquoise.
const PREDICTED: [u8; 3] = [0, 229, 200];

/// An 8-bit colour picture, row-major, `(H, W, 3)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Rgb {
    /// A picture from its bytes.
    ///
    /// # Errors
    /// When a side is zero or above 65535, or the bytes are not `width * height * 3`.
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Result<Self, ReportError> {
        let side = 1..=usize::from(u16::MAX);
        if !side.contains(&width) || !side.contains(&height) {
            return Err(ReportError::Extent { width, height });
        }
        check("picture", pixels.len(), width * height * 3, width, height)?;
        Ok(Rgb { width, height, pixels })
    }

    /// Columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// The bytes, row-major, red, green and blue interleaved.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// PNG file.
    ///
    /// # Errors
    /// When the encoder fails.
    pub fn png(&self) -> Result<Vec<u8>, ReportError> {
        let mut out = Vec::new();
        PngEncoder::new(&mut out).write_image(
            &self.pixels,
            self.width as u32,
            self.height as u32,
            image::ExtendedColorType::Rgb8,
        )?;
        Ok(out)
    }

    /// JPEG file of a quality from 1 to 100.
    ///
    /// # Errors
    /// When the encoder fails.
    pub fn jpeg(&self, quality: u8) -> Result<Vec<u8>, ReportError> {
        let mut out = Vec::new();
        JpegEncoder::new_with_quality(&mut out, quality).write_image(
            &self.pixels,
            self.width as u32,
            self.height as u32,
            image::ExtendedColorType::Rgb8,
        )?;
        Ok(out)
    }

    /// This picture with its longer side at most `side_max`: each pixel the mean of the area that it covers.
    #[must_use]
    pub fn reduced(&self, side_max: usize) -> Rgb {
        let longer = self.width.max(self.height);
        if longer <= side_max {
            return self.clone();
        }
        let scaled = |side: usize| (side * side_max / longer).max(1);
        let (width, height) = (scaled(self.width), scaled(self.height));
        let across = blend_rows(&self.pixels, self.width, self.height, width);
        // The same along columns: transpose, blend, transpose back.
        let turned = transpose(&across, width, self.height);
        let down = blend_rows(&turned, self.height, width, height);
        Rgb { width, height, pixels: transpose(&down, height, width) }
    }
}

/// The photograph, dimmed, under the comparison of a prediction with its label: found vessels near white, false alarms
/// orange, missed vessels blue. Masks are `(H, W)`, non-zero = yes; outside the field nothing is marked.
///
/// # Errors
/// When a mask does not have the photograph's extents.
pub fn overlay(photo: &Rgb, label: &[u8], prediction: &[u8], field: &[u8]) -> Result<Rgb, ReportError> {
    for (what, mask) in [("label", label), ("prediction", prediction), ("field", field)] {
        check(what, mask.len(), photo.width * photo.height, photo.width, photo.height)?;
    }
    let mut out = photo.clone();
    for (i, pixel) in out.pixels.chunks_exact_mut(3).enumerate() {
        let colour = match (field[i] != 0, label[i] != 0, prediction[i] != 0) {
            (true, true, true) => TRUE_POSITIVE,
            (true, false, true) => FALSE_POSITIVE,
            (true, true, false) => FALSE_NEGATIVE,
            _ => dimmed([pixel[0], pixel[1], pixel[2]]),
        };
        pixel.copy_from_slice(&colour);
    }
    Ok(out)
}

/// The photograph with a prediction on top where there is no label: outline in turquoise, inside tinted. The mask is
/// `(H, W)`, non-zero = yes, and drawn as it is: cut it to the field of view first.
///
/// # Errors
/// When the mask does not have the photograph's extents.
pub fn prediction_overlay(photo: &Rgb, prediction: &[u8]) -> Result<Rgb, ReportError> {
    let (w, h) = (photo.width, photo.height);
    check("prediction", prediction.len(), w * h, w, h)?;
    let mut out = photo.clone();
    for (i, pixel) in out.pixels.chunks_exact_mut(3).enumerate().filter(|(i, _)| prediction[*i] != 0) {
        let (x, y) = (i % w, i / w);
        let edge = x == 0 || y == 0 || x + 1 == w || y + 1 == h;
        let outline = edge || [i - 1, i + 1, i - w, i + w].iter().any(|&n| prediction[n] == 0);
        let weight = if outline { 190 } else { 90 };
        for (p, c) in pixel.iter_mut().zip(PREDICTED) {
            *p = mix(*p, c, weight);
        }
    }
    Ok(out)
}

/// Half as bright and less colourful, so that the marks stand out and the anatomy stays readable.
fn dimmed(pixel: [u8; 3]) -> [u8; 3] {
    let [r, g, b] = pixel.map(u32::from);
    let grey = ((r * 77 + g * 150 + b * 29) >> 8) as u8;
    pixel.map(|c| mix(0, mix(c, grey, 128), 140))
}

/// `a` towards `b` by `weight / 256`.
fn mix(a: u8, b: u8, weight: u32) -> u8 {
    ((u32::from(a) * (256 - weight) + u32::from(b) * weight + 128) >> 8) as u8
}

/// Each row of `from` RGB pixels reduced to `to`, weighted by covered area in exact integers.
fn blend_rows(pixels: &[u8], from: usize, rows: usize, to: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(to * rows * 3);
    for row in pixels.chunks_exact(from * 3) {
        for x in 0..to {
            // In units of 1/to source pixel: this output covers [x * from, (x + 1) * from).
            let (start, end) = (x * from, (x + 1) * from);
            let mut sum = [0usize; 3];
            for s in start / to..end.div_ceil(to) {
                let weight = end.min((s + 1) * to) - start.max(s * to);
                for (channel, value) in sum.iter_mut().zip(&row[s * 3..s * 3 + 3]) {
                    *channel += weight * usize::from(*value);
                }
            }
            out.extend(sum.map(|v| ((v + from / 2) / from) as u8));
        }
    }
    out
}

fn transpose(pixels: &[u8], width: usize, height: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(pixels.len());
    for x in 0..width {
        for y in 0..height {
            let at = (y * width + x) * 3;
            out.extend_from_slice(&pixels[at..at + 3]);
        }
    }
    out
}

fn check(
    what: &'static str,
    found: usize,
    expected: usize,
    width: usize,
    height: usize,
) -> Result<(), ReportError> {
    if found == expected { Ok(()) } else { Err(ReportError::Length { what, found, expected, width, height }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlay_marks_each_case_in_the_field_only() {
        let photo = Rgb::new(5, 1, vec![200; 15]).unwrap();
        let out = overlay(&photo, &[1, 0, 1, 0, 1], &[1, 1, 0, 0, 1], &[1, 1, 1, 1, 0]).unwrap();
        let at = |i: usize| [out.pixels[3 * i], out.pixels[3 * i + 1], out.pixels[3 * i + 2]];
        assert_eq!([at(0), at(1), at(2)], [TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE]);
        assert!(at(3)[0] < 120 && at(3) == at(4));
        assert!(matches!(
            overlay(&photo, &[1], &[1; 5], &[1; 5]),
            Err(ReportError::Length { what: "label", .. })
        ));
    }

    #[test]
    fn prediction_overlay_changes_predicted_pixels_only() {
        let photo = Rgb::new(5, 5, vec![100; 75]).unwrap();
        let mask: Vec<u8> =
            (0..25).map(|i| u8::from((1..4).contains(&(i % 5)) && (1..4).contains(&(i / 5)))).collect();
        let out = prediction_overlay(&photo, &mask).unwrap();
        for (pixel, &m) in out.pixels.chunks_exact(3).zip(&mask) {
            assert_eq!(pixel == [100; 3], m == 0);
        }
        assert_ne!(out.pixels[3 * 12], out.pixels[3 * 6], "outline and inside differ");
        assert!(prediction_overlay(&photo, &[1; 25]).is_ok());
    }

    #[test]
    fn reduction_keeps_the_mean_and_the_shape() {
        let pixels: Vec<u8> = (0..30 * 20 * 3).map(|i| (i * 7 % 251) as u8).collect();
        let picture = Rgb::new(30, 20, pixels).unwrap();
        let small = picture.reduced(15);
        assert_eq!((small.width, small.height), (15, 10));
        let mean = |p: &[u8]| p.iter().map(|&v| f64::from(v)).sum::<f64>() / p.len() as f64;
        assert!((mean(&picture.pixels) - mean(&small.pixels)).abs() < 1.0);
        assert_eq!(picture.reduced(30), picture);
        assert_eq!(Rgb::new(7, 3, vec![9; 63]).unwrap().reduced(5).pixels, vec![9; 5 * 2 * 3]);
    }

    #[test]
    fn files_decode_to_the_same_extents() {
        let picture = Rgb::new(6, 4, vec![128; 72]).unwrap();
        for file in [picture.png().unwrap(), picture.jpeg(80).unwrap()] {
            let back = image::load_from_memory(&file).unwrap();
            assert_eq!((back.width(), back.height()), (6, 4));
        }
        assert!(matches!(Rgb::new(0, 4, vec![]), Err(ReportError::Extent { .. })));
        assert!(matches!(Rgb::new(70_000, 4, vec![]), Err(ReportError::Extent { .. })));
    }
}
