//! GIF 87a/89a: the first frame, with its palette applied. DRIVE's labels and masks come so.

use std::num::NonZeroU64;

use ::gif::{ColorOutput, DecodeOptions, MemoryLimit};

use super::raster::{Raster, check_declared};
use crate::error::DecodeFault;

pub(super) fn decode(bytes: &[u8]) -> Result<Raster, DecodeFault> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(MemoryLimit::Bytes(NonZeroU64::MIN.saturating_add(crate::PIXELS_MAX as u64)));
    let mut decoder = options.read_info(bytes).map_err(DecodeFault::corrupt)?;
    let sides = check_declared(u64::from(decoder.height()), u64::from(decoder.width()))?;
    let frame = decoder.read_next_frame().map_err(DecodeFault::corrupt)?;
    let frame = frame.ok_or_else(|| DecodeFault::corrupt("no frame"))?;
    if (frame.top, frame.left) != (0, 0) || (usize::from(frame.height), usize::from(frame.width)) != sides {
        return Err(DecodeFault::unsupported("a first frame that does not cover the whole picture"));
    }
    let indices = frame.buffer.to_vec();
    let palette = decoder.palette().map_err(DecodeFault::corrupt)?;
    let colour = |&index: &u8| palette.get(usize::from(index) * 3..usize::from(index) * 3 + 3);
    if let Some(index) = indices.iter().find(|i| colour(i).is_none()) {
        return Err(DecodeFault::corrupt(format_args!("colour {index} is not in the palette")));
    }
    let samples = indices.iter().filter_map(colour).flatten().map(|&v| u16::from(v)).collect();
    Raster::new(sides, 3, samples, u16::from(u8::MAX))
}
