//! From a file's bytes to a [`Raster`]: bounded reading, gunzip, and a decoder chosen by the first bytes.
//!
//! File names lie (STARE's grey labels are called `.ppm`), so the extension is never looked at. Everything that a
//! file declares is checked against [`PIXELS_MAX`](crate::PIXELS_MAX) before memory is set aside for it.

mod compressed;
mod gif;
mod pnm;
mod raster;
mod tiff;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::error::{DataError, DecodeFault, Result};
pub use raster::{MaskKind, Raster};

/// The most bytes read from a file, and the most that a gzip file may unpack to (a 16-bit RGB image of
/// [`PIXELS_MAX`](crate::PIXELS_MAX) pixels takes 192 MB).
pub const FILE_BYTES_MAX: u64 = 256 << 20;

/// Reads and decodes one image file.
///
/// # Errors
/// [`DataError::Io`], [`DataError::TooLarge`], [`DataError::UnknownFormat`] or [`DataError::Decode`]; all name the file.
pub fn read_raster(path: &Path) -> Result<Raster> {
    decode(path, &read_bytes(path)?)
}

/// Reads a whole file of at most [`FILE_BYTES_MAX`] bytes.
///
/// # Errors
/// [`DataError::Io`] or [`DataError::TooLarge`].
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|e| DataError::io(path, e))?;
    read_limited(file, path, FILE_BYTES_MAX, "on disk")?.map_err(|e| DataError::io(path, e))
}

/// Decodes an image file's `bytes`, gzipped or not; `path` only names it in errors.
///
/// # Errors
/// [`DataError::TooLarge`], [`DataError::UnknownFormat`] or [`DataError::Decode`].
pub fn decode(path: &Path, bytes: &[u8]) -> Result<Raster> {
    decode_within(path, bytes, FILE_BYTES_MAX)
}

fn decode_within(path: &Path, bytes: &[u8], unpacked_bytes_max: u64) -> Result<Raster> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return decode_plain(path, bytes);
    }
    let unpacked = read_limited(MultiGzDecoder::new(bytes), path, unpacked_bytes_max, "after gunzip")?
        .map_err(|e| fault(path, "gzip", DecodeFault::corrupt(e)))?;
    decode_plain(path, &unpacked)
}

fn decode_plain(path: &Path, bytes: &[u8]) -> Result<Raster> {
    let (format, result) = match bytes {
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => ("TIFF", tiff::decode(bytes)),
        [b'G', b'I', b'F', b'8', ..] => ("GIF", gif::decode(bytes)),
        [0x89, b'P', b'N', b'G', ..] => ("PNG", compressed::decode_png(bytes)),
        [0xff, 0xd8, 0xff, ..] => ("JPEG", compressed::decode_jpeg(bytes)),
        [b'P', b'5' | b'6', b, ..] if b.is_ascii_whitespace() || *b == b'#' => ("PNM", pnm::decode(bytes)),
        _ => {
            let start = bytes[..bytes.len().min(8)].escape_ascii().to_string();
            let start =
                if start.is_empty() { "nothing (it is empty)".to_owned() } else { format!("`{start}`") };
            return Err(DataError::UnknownFormat { path: path.to_path_buf(), start });
        }
    };
    result.map_err(|f| fault(path, format, f))
}

fn fault(path: &Path, format: &'static str, fault: DecodeFault) -> DataError {
    DataError::Decode { path: path.to_path_buf(), format, fault }
}

/// Reads to the end or to the limit, whichever comes first: the outer error is the limit, the inner one the reader's.
fn read_limited(
    reader: impl Read,
    path: &Path,
    limit_bytes: u64,
    stage: &'static str,
) -> Result<std::io::Result<Vec<u8>>> {
    let mut bytes = Vec::new();
    match reader.take(limit_bytes + 1).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() as u64 > limit_bytes => {
            Err(DataError::TooLarge { path: path.to_path_buf(), stage, limit_bytes })
        }
        Ok(_) => Ok(Ok(bytes)),
        Err(e) => Ok(Err(e)),
    }
}

#[cfg(test)]
mod tests;
