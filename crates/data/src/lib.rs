//! Decoding, data sets, field-of-view masks, augmentation, splits and synthetic fundus images.
//!
//! From files to what a network trains on: [`Dataset`] lists and loads [`Sample`]s (photograph, label, field of view),
//! [`Split`] records which of them train and test, [`Frame`] brings them to the working size and probabilities back,
//! [`CropSource`] cuts augmented crops. [`synthetic_sample`] makes samples where there are no files.
//!
//! Every sample carries a field of view, found from the photograph where a set has no masks, because figures that count
//! the camera's black frame are not comparable. Formats are told apart by content, and no declared size is believed
//! before it is checked. A general image-processing crate was left out: the few filters needed are short, and their
//! results must be the same bits everywhere.

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
pub use write::{write_atomically, write_image, write_mask, write_probabilities};
