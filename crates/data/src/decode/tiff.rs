//! TIFF 6.0, 8 and 16 bits, grey and RGB with or without alpha; uncompressed, LZW, Deflate, PackBits or JPEG strips.

use std::io::Cursor;

use ::tiff::ColorType;
use ::tiff::decoder::{Decoder, DecodingResult, Limits};
use ::tiff::tags::Tag;

use super::raster::{Raster, check_declared};
use crate::error::DecodeFault;

pub(super) fn decode(bytes: &[u8]) -> Result<Raster, DecodeFault> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = super::FILE_BYTES_MAX as usize;
    limits.intermediate_buffer_size = super::FILE_BYTES_MAX as usize;
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(DecodeFault::corrupt)?.with_limits(limits);
    let (width, height) = decoder.dimensions().map_err(DecodeFault::corrupt)?;
    let sides = check_declared(u64::from(height), u64::from(width))?;
    let stored = match decoder.colortype().map_err(DecodeFault::corrupt)? {
        ColorType::Gray(8 | 16) => 1,
        ColorType::GrayA(8 | 16) => 2,
        ColorType::RGB(8 | 16) => 3,
        ColorType::RGBA(8 | 16) => 4,
        other => return Err(DecodeFault::unsupported(format_args!("colour type {other:?}"))),
    };
    let planes = decoder.find_tag_unsigned(Tag::PlanarConfiguration).map_err(DecodeFault::corrupt)?;
    if stored > 1 && planes == Some(2u16) {
        return Err(DecodeFault::unsupported("one plane per channel (PlanarConfiguration 2)"));
    }
    let mut buffer = DecodingResult::U8(Vec::new());
    decoder.read_image_to_buffer(&mut buffer).map_err(DecodeFault::corrupt)?;
    let (samples, max) = match buffer {
        DecodingResult::U8(v) => (v.into_iter().map(u16::from).collect::<Vec<_>>(), u16::from(u8::MAX)),
        DecodingResult::U16(v) => (v, u16::MAX),
        _ => return Err(DecodeFault::unsupported("samples that are not unsigned integers")),
    };
    Raster::new(sides, stored, samples, max)
}
