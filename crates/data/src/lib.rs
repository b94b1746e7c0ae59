//! Decoding, data sets, field-of-view masks, augmentation, splits and synthetic fundus images.

mod augment;
mod dataset;
mod decode;
mod error;
mod field;
mod image;
mod math;
mod resize;

pub use augment::{AugmentError, Augmentation, CropKey, CropSource, Standardise};
pub use dataset::{CountNote, Dataset, Layout, SampleFiles, Sites, find_sites};
pub use decode::{FILE_BYTES_MAX, MaskKind, Raster, decode, read_raster};
pub use error::{DataError, DecodeFault, Result};
pub use field::{FIELD_RED_MIN, FieldBox, field_of_view};
pub use image::{CHANNELS, Image, Mask, PIXELS_MAX, Plane, Sample};
pub use resize::{Filter, resize, resize_mask};
