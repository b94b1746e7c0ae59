//! Segmentation metrics inside the field of view.
//!
//! Slices in, numbers out. [`Pixels`] checks an image once (extents, probabilities in `[0, 1]`); everything
//! computed from it is total. A metric whose denominator is zero, such as the sensitivity of an image without
//! vessels, is `None` and never a NaN, so that a mean says how many images it rests on.
//! Conventions: a pixel is *positive* when its probability is at least the threshold; labels and fields are
//! `u8` with 0 for "no"; pixels outside the field are counted nowhere.

mod calibration;
mod confusion;
mod paired;
mod pixels;
mod ranking;
mod scores;
mod skeleton;
mod summary;
mod threshold;

pub use calibration::{CALIBRATION_BINS, Calibration, CalibrationBin};
pub use confusion::{Confusion, batch_iou_divided_by_images};
pub use paired::{SignFlip, Wilcoxon, sign_flip_test, wilcoxon_signed_rank};
pub use pixels::{Mask, MetricsError, Pixels};
pub use ranking::{CurvePoint, Ranking};
pub use scores::{ImageScores, METRICS, Metric};
pub use skeleton::{cl_dice, skeletonize};
pub use summary::{Summary, summarise};
pub use threshold::{BestThreshold, DICE_LEVELS, DiceObjective, ThresholdSearch};
