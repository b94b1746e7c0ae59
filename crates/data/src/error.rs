//! What can be wrong with an image file, a data set or a split: every variant names the file and the fix.

use std::io;
use std::path::{Path, PathBuf};

/// The result of everything in this crate that reads files or checks images.
pub type Result<T> = std::result::Result<T, DataError>;

/// An error of this crate. The texts are meant for the person who put the files where they are.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system refused to read or write.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's own reason.
        source: io::Error,
    },
    /// A side of zero, or more pixels than [`crate::PIXELS_MAX`].
    #[error(
        "an image of {height} x {width} pixels: each side must be at least 1 and their product at most {pixels_max}"
    )]
    Size {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// The limit.
        pixels_max: usize,
    },
    /// The buffer does not hold the number of values that its sides ask for.
    #[error("an image of {height} x {width} pixels needs {expected} values, {found} were given")]
    Length {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Values that the sides and the number of channels ask for.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// A value outside the allowed range (or not a number).
    #[error("value {value} at index {index} is outside {allowed}")]
    Value {
        /// Position in the buffer.
        index: usize,
        /// The value.
        value: f32,
        /// The allowed range, in words.
        allowed: &'static str,
    },
    /// Two images that must have the same sides do not.
    #[error("{what} has {found_height} x {found_width} pixels, expected {height} x {width}")]
    Sides {
        /// Which image is wrong.
        what: String,
        /// Rows expected.
        height: usize,
        /// Columns expected.
        width: usize,
        /// Rows found.
        found_height: usize,
        /// Columns found.
        found_width: usize,
    },
}

impl DataError {
    /// An [`DataError::Io`] for `path`.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }
}
