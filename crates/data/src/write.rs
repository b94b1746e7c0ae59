//! PNG files of probabilities, masks and overlays, put in place whole or not at all.

use std::io::Write;
use std::path::Path;

use ::image::codecs::png::PngEncoder;
use ::image::{ExtendedColorType, ImageEncoder};
use tempfile::NamedTempFile;

use crate::error::{DataError, Result};
use crate::image::{CHANNELS, Image, Mask, Plane};

/// Writes probabilities as a 16-bit grey PNG: 0 to 65535 stands for 0 to 1, rounded; values outside are cut off.
///
/// # Errors
/// [`DataError::Io`].
pub fn write_probabilities(path: &Path, plane: &Plane) -> Result<()> {
    let value = |&v: &f32| ((v.clamp(0.0, 1.0) * f32::from(u16::MAX)).round() as u16).to_ne_bytes();
    let bytes: Vec<u8> = plane.data.iter().flat_map(value).collect();
    write_png(path, &bytes, (plane.height, plane.width), ExtendedColorType::L16)
}

/// Writes a mask as an 8-bit grey PNG of 0 and 255.
///
/// # Errors
/// [`DataError::Io`].
pub fn write_mask(path: &Path, mask: &Mask) -> Result<()> {
    let bytes: Vec<u8> = mask.data.iter().map(|&v| v * u8::MAX).collect();
    write_png(path, &bytes, (mask.height, mask.width), ExtendedColorType::L8)
}

/// Writes an image or overlay as an 8-bit RGB PNG; values outside `[0, 1]` are cut off.
///
/// # Errors
/// [`DataError::Io`].
pub fn write_image(path: &Path, image: &Image) -> Result<()> {
    let value = |v: f32| (v.clamp(0.0, 1.0) * f32::from(u8::MAX)).round() as u8;
    let pixel = |p: usize| (0..CHANNELS).map(move |c| value(image.data[c * image.pixels() + p]));
    let bytes: Vec<u8> = (0..image.pixels()).flat_map(pixel).collect();
    write_png(path, &bytes, (image.height, image.width), ExtendedColorType::Rgb8)
}

fn write_png(path: &Path, bytes: &[u8], sides: (usize, usize), colour: ExtendedColorType) -> Result<()> {
    let mut png = Vec::new();
    let (height, width) = (sides.0 as u32, sides.1 as u32);
    let encoded = PngEncoder::new(&mut png).write_image(bytes, width, height, colour);
    encoded.map_err(|e| DataError::io(path, std::io::Error::other(e)))?;
    write_atomically(path, &png)
}

/// Writes beside the target, flushes to disk, then renames: a reader sees the old file or the new one.
///
/// # Errors
/// [`DataError`] with the path, when the system refuses.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes).map_err(|e| DataError::io(path, e))
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    make_readable(file.as_file())?;
    file.persist(path)?;
    Ok(())
}

/// Temporary files are readable by their owner alone; results are for others too.
#[cfg(unix)]
fn make_readable(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{MaskKind, read_raster};

    #[test]
    fn what_is_written_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let values: Vec<f32> = (0..12).map(|v| v as f32 / 11.0).collect();

        write_probabilities(&path, &Plane::new(3, 4, values.clone()).unwrap()).unwrap();
        let back = read_raster(&path).unwrap().to_image();
        for (a, b) in back.channel(0).iter().zip(&values) {
            assert!((a - b).abs() <= 0.5 / 65535.0 + 1e-6, "{a} {b}");
        }

        let mask = Mask::new(2, 3, vec![0, 1, 1, 0, 0, 1]).unwrap();
        write_mask(&path, &mask).unwrap(); // over the old file
        assert_eq!(read_raster(&path).unwrap().to_mask(&path, MaskKind::Label).unwrap(), mask);

        let image = Image::new(2, 2, values).unwrap();
        write_image(&path, &image).unwrap();
        let back = read_raster(&path).unwrap().to_image();
        assert!(back.data.iter().zip(&image.data).all(|(a, b)| (a - b).abs() <= 0.5 / 255.0 + 1e-6));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none/a.png");
        let error = write_mask(&path, &Mask::filled(1, 1, true).unwrap()).unwrap_err();
        assert!(error.to_string().contains("none/a.png"), "{error}");
    }
}
