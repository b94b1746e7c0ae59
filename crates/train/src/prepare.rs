//! Images at working scale, kept in memory for the whole run.

use crate::TrainError;
use fovea_data::{CHANNELS, Entry, Frame, Image, Mask, Sample, Standardise};
use fovea_unet::{Preprocessing, Scale};
use rayon::prelude::*;

/// The most pixels at which a network works: a model file cannot ask for more memory than that takes.
pub const WORKING_PIXELS_MAX: usize = 1 << 24;

/// A labelled image at working scale.
#[derive(Debug, Clone, PartialEq)]
pub struct PreparedSample {
    /// Name and hash of the original.
    pub entry: Entry,
    /// The photograph, values in `[0, 1]`.
    pub image: Image,
    /// Vessels.
    pub label: Mask,
    /// Field of view; has at least one pixel.
    pub field: Mask,
    /// What is done to its values before the network sees them.
    pub standardise: Standardise,
}

/// Brings samples to working scale, in their order.
///
/// # Errors
/// When a sample's field of view is empty or its parts differ in size.
pub fn prepare(samples: &[Sample], preprocessing: &Preprocessing) -> Result<Vec<PreparedSample>, TrainError> {
    samples.par_iter().map(|sample| prepare_one(sample, preprocessing)).collect()
}

/// The crop and the size at which the network sees an image with this field of view.
///
/// # Errors
/// When the field is empty, the size impossible, or larger than [`WORKING_PIXELS_MAX`].
pub fn frame(field: &Mask, scale: Scale) -> Result<Frame, TrainError> {
    let source = (field.height, field.width);
    let frame = match scale {
        Scale::FieldDiameter { pixels } => Frame::around_field(field, pixels),
        Scale::Stretch { height, width } => Frame::whole(source, (height, width)),
        Scale::Native => Frame::native(source),
    }?;
    let (height, width) = frame.size();
    if height * width > WORKING_PIXELS_MAX {
        return Err(TrainError::WorkingSize { height, width, pixels_max: WORKING_PIXELS_MAX });
    }
    Ok(frame)
}

/// The standardising of an image at working scale; without it, one that only clears what lies outside the field.
pub(crate) fn standardise(image: &Image, field: &Mask, preprocessing: &Preprocessing) -> Standardise {
    if preprocessing.standardise {
        return Standardise::of(image, field);
    }
    Standardise { mean: [0.0; CHANNELS], deviation: [1.0; CHANNELS] }
}

fn prepare_one(sample: &Sample, preprocessing: &Preprocessing) -> Result<PreparedSample, TrainError> {
    let scaled = frame(&sample.field, preprocessing.scale)?.sample(sample)?;
    if scaled.field.count() == 0 {
        return Err(TrainError::NoField);
    }
    let standardise = standardise(&scaled.image, &scaled.field, preprocessing);
    Ok(PreparedSample {
        entry: Entry { name: scaled.name, hash: scaled.hash },
        image: scaled.image,
        label: scaled.label,
        field: scaled.field,
        standardise,
    })
}
