//! Synthetic fundus photographs with an exact vessel mask, for runs on machines that hold no patient data.
//!
//! A retina is grown first ([`tree`]: two vessel trees, in units of the retina), then a camera photographs it
//! ([`raster`], [`background`], [`optics`]) and observers draw their labels on the centre lines. Cameras differ in
//! size, field, colour, sharpness and in the observer's habits, so that a model trained at one site is measurably
//! worse at another. Every value comes from named streams and from `+ - * / sqrt` alone: the same seed gives the
//! same bytes on every machine.

mod anatomy;
mod background;
mod camera;
mod noise;
mod optics;
mod raster;
mod tree;

use sha2::{Digest, Sha256};

use crate::image::{Image, Mask, Sample};
use anatomy::Anatomy;
pub use camera::{Observer, SyntheticCamera};
use raster::View;

/// The photograph number `index` of `camera`, with the labels of both of its observers.
///
/// Values are multiples of 1/255, as from an eight-bit file; [`Sample::hash`] is the SHA-256 of height, width
/// (32 bits, little-endian), the planar bytes of the image, the two labels and the field.
///
/// # Panics
/// When the camera has a side of zero.
#[must_use]
pub fn synthetic_sample(camera: &SyntheticCamera, seed: u64, index: u32) -> Sample {
    assert!(camera.height > 0 && camera.width > 0, "a camera needs at least one pixel");
    let anatomy = Anatomy::draw(camera, seed, index);
    let segments = tree::grow(&anatomy, &mut camera.stream(seed, "vessels", index));
    let view = View::new(camera, &anatomy);
    let bytes = optics::photograph(camera, &anatomy, &view, &segments, seed, index);
    let [label, second] = [&camera.first_observer, &camera.second_observer].map(|observer| {
        raster::label(&view, &segments, observer, &camera.stream(seed, observer.name, index))
    });
    let field = view.field();
    let mut digest = Sha256::new();
    digest.update((camera.height as u32).to_le_bytes());
    digest.update((camera.width as u32).to_le_bytes());
    [&bytes, &label, &second, &field].into_iter().for_each(|part| digest.update(part));
    let mask = |data| Mask { height: camera.height, width: camera.width, data };
    Sample {
        name: format!("{}_{seed}_{index:04}", camera.name),
        dataset: format!("synthetic {}", camera.name),
        image: Image {
            height: camera.height,
            width: camera.width,
            data: bytes.iter().map(|&v| f32::from(v) / 255.0).collect(),
        },
        label: mask(label),
        second_label: Some(mask(second)),
        field: mask(field),
        hash: digest.finalize().into(),
    }
}

#[cfg(test)]
mod tests;
