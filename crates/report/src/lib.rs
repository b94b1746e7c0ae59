//! Curves, overlays and tables in one self-contained HTML page, with the files that go beside it.
//!
//! The caller fills a [`RunSummary`] (which is also the schema of `summary.json`) and hands it to [`page`] together
//! with what only the page needs: curves, pictures and paragraphs. Charts are drawn here as plain SVG: their colours,
//! dashes and type then follow the page's light, dark and print styles, which a plotting library's fixed colours
//! would not. Everything that is text in the input is escaped; the page refers to nothing outside itself and forbids it
//! by a content security policy. Same input, same bytes.

mod bars;
mod chart;
mod compare;
mod dots;
mod images_csv;
mod lines;
mod page;
mod palette;
mod picture;
mod schema;
mod text;

pub use chart::Scale;
pub use compare::{Comparison, Verdict, compare};
pub use images_csv::images_csv;
pub use lines::{loss_svg, pr_svg, roc_svg};
pub use page::{ModelCurves, PageInput, Prediction, TestPicture, page};
pub use picture::{Rgb, overlay, prediction_overlay};
pub use schema::{
    About, Federation, ImageRow, Model, ModelRun, Role, RunSummary, SCHEMA_VERSION, SetScores, Site, TestSet,
};

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A slice does not have the picture's number of elements.
    #[error("{what} has {found} elements, expected {expected} for a picture of {width}x{height}")]
    Length {
        /// Which slice.
        what: &'static str,
        /// Its length.
        found: usize,
        /// What the extents ask for.
        expected: usize,
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// A picture's extents are zero or too large.
    #[error("a picture of {width}x{height} pixels cannot be drawn; sides must be 1 to 65535")]
    Extent {
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// A model, set or image is referred to but not in the summary.
    #[error("the summary has no {what} called {name:?}")]
    Unknown {
        /// What kind of thing.
        what: &'static str,
        /// Its key.
        name: String,
    },
    /// The PNG or JPEG encoder failed.
    #[error("a picture could not be encoded")]
    Encode(#[from] image::ImageError),
    /// The CSV writer failed.
    #[error("images.csv could not be written")]
    Csv(#[from] csv::Error),
}
