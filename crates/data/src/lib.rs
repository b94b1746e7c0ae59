//! Decoding, data sets, field-of-view masks, augmentation, splits and synthetic fundus images.

mod error;
mod image;

pub use error::{DataError, Result};
pub use image::{CHANNELS, Image, Mask, PIXELS_MAX, Plane, Sample};
