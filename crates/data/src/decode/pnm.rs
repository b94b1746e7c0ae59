//! Binary PNM: P5 (grey) and P6 (RGB), 8 or 16 bits, with comments anywhere in the header (Netpbm's `pgm(5)`, `ppm(5)`).

use super::raster::{Raster, check_declared};
use crate::error::DecodeFault;

pub(super) fn decode(bytes: &[u8]) -> Result<Raster, DecodeFault> {
    let channels = if bytes[1] == b'6' { 3 } else { 1 };
    let mut header = Header { bytes, at: 2 };
    let width = header.number("width")?;
    let height = header.number("height")?;
    let max = header.number("maximum value")?;
    let sides = check_declared(height, width)?;
    let max = u16::try_from(max).ok().filter(|&m| m > 0);
    let max = max.ok_or_else(|| DecodeFault::corrupt("the maximum value is not within 1 to 65535"))?;
    // One white-space byte ends the header; what follows is pixels even if it looks like white space.
    let body = bytes.get(header.at + 1..).unwrap_or_default();
    let sample_bytes = if max > u16::from(u8::MAX) { 2 } else { 1 };
    let expected = sides.0 * sides.1 * channels * sample_bytes;
    let body = body.get(..expected).ok_or(DecodeFault::CutShort { expected, found: body.len() })?;
    let samples = match sample_bytes {
        1 => body.iter().map(|&v| u16::from(v)).collect(),
        _ => body.chunks_exact(2).map(|v| u16::from_be_bytes([v[0], v[1]])).collect(),
    };
    Raster::new(sides, channels, samples, max)
}

struct Header<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Header<'_> {
    /// The next decimal number, after white space and `#` comments.
    fn number(&mut self, what: &str) -> Result<u64, DecodeFault> {
        self.skip_space();
        let digits = self.bytes[self.at..].iter().take_while(|b| b.is_ascii_digit()).count();
        let text = std::str::from_utf8(&self.bytes[self.at..self.at + digits]).unwrap_or_default();
        self.at += digits;
        text.parse().map_err(|_| DecodeFault::corrupt(format_args!("the header's {what} is not a number")))
    }

    fn skip_space(&mut self) {
        let mut comment = false;
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'#' => comment = true,
                b'\n' | b'\r' => comment = false,
                _ if comment || byte.is_ascii_whitespace() => {}
                _ => return,
            }
            self.at += 1;
        }
    }
}
