//! PNG and JPEG, through the `image` crate.

use std::io::Cursor;

use ::image::codecs::jpeg::JpegDecoder;
use ::image::codecs::png::PngDecoder;
use ::image::{DynamicImage, ImageDecoder, Limits};

use super::raster::{Raster, check_declared};
use crate::error::DecodeFault;

pub(super) fn decode_png(bytes: &[u8]) -> Result<Raster, DecodeFault> {
    to_raster(PngDecoder::with_limits(Cursor::new(bytes), limits()).map_err(DecodeFault::corrupt)?)
}

/// The decoder fills what is missing from a JPEG file with grey, so the end marker is looked for first.
pub(super) fn decode_jpeg(bytes: &[u8]) -> Result<Raster, DecodeFault> {
    if !has_end_marker(bytes) {
        return Err(DecodeFault::corrupt("cut short: no end-of-image marker after the image data"));
    }
    to_raster(JpegDecoder::new(Cursor::new(bytes)).map_err(DecodeFault::corrupt)?)
}

fn to_raster(mut decoder: impl ImageDecoder) -> Result<Raster, DecodeFault> {
    let (width, height) = decoder.dimensions();
    let sides = check_declared(u64::from(height), u64::from(width))?;
    decoder.set_limits(limits()).map_err(DecodeFault::corrupt)?;
    let narrow = |v: Vec<u8>| v.into_iter().map(u16::from).collect::<Vec<_>>();
    let byte_max = u16::from(u8::MAX);
    let (stored, samples, max) = match DynamicImage::from_decoder(decoder).map_err(DecodeFault::corrupt)? {
        DynamicImage::ImageLuma8(i) => (1, narrow(i.into_raw()), byte_max),
        DynamicImage::ImageLumaA8(i) => (2, narrow(i.into_raw()), byte_max),
        DynamicImage::ImageRgb8(i) => (3, narrow(i.into_raw()), byte_max),
        DynamicImage::ImageRgba8(i) => (4, narrow(i.into_raw()), byte_max),
        DynamicImage::ImageLuma16(i) => (1, i.into_raw(), u16::MAX),
        DynamicImage::ImageLumaA16(i) => (2, i.into_raw(), u16::MAX),
        DynamicImage::ImageRgb16(i) => (3, i.into_raw(), u16::MAX),
        DynamicImage::ImageRgba16(i) => (4, i.into_raw(), u16::MAX),
        other => return Err(DecodeFault::unsupported(format_args!("colour type {:?}", other.color()))),
    };
    Raster::new(sides, stored, samples, max)
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(super::FILE_BYTES_MAX);
    limits
}

/// Whether an EOI marker (ITU-T T.81, B.1.1.3) follows the first scan. Header segments are skipped by their length, as a
/// thumbnail in one of them has an end marker of its own; inside entropy-coded data `ff d9` cannot occur.
fn has_end_marker(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
        match marker {
            0xda => return bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]),
            // A fill byte before the marker.
            0xff => at += 1,
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2),
        }
    }
    false
}
