//! Decoding, data sets, field-of-view masks, augmentation, splits and synthetic fundus images.

mod augment;
mod dataset;
mod decode;
mod error;
mod field;
mod frame;
mod image;
mod math;
mod resize;
mod split;
mod synthetic;
mod write;

pub use augment::{AugmentError, Augmentation, CropKey, CropSource, Standardise};
pub use dataset::{CountNote, Dataset, Layout, SampleFiles, Sites, find_sites};
pub use decode::{FILE_BYTES_MAX, MaskKind, Raster, decode, read_raster};
pub use error::{DataError, DecodeFault, Result};
pub use field::{FIELD_RED_MIN, FieldBox, field_of_view};
pub use frame::Frame;
pub use image::{CHANNELS, Image, Mask, PIXELS_MAX, Plane, Sample};
pub use resize::{Filter, resize, resize_mask};
pub use split::{Entry, Split, entries};
pub use synthetic::{Observer, SyntheticCamera, synthetic_sample};
pub use write::{write_image, write_mask, write_probabilities};
