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
    /// The file, or what it unpacks to, is larger than this crate reads.
    #[error("{}: more than {limit_bytes} bytes {stage}; no fundus image needs that many", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// `on disk` or `after gunzip`.
        stage: &'static str,
        /// The limit.
        limit_bytes: u64,
    },
    /// The content begins like none of the formats that this crate reads, whatever its name says.
    #[error("{}: not a TIFF, GIF, PNG, JPEG or binary PNM (P5, P6) file: it begins with {start}", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// The first bytes, as a person can read them.
        start: String,
    },
    /// The content begins like a known format but cannot be read.
    #[error("{}: as {format}: {fault}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// The format that the first bytes announce.
        format: &'static str,
        /// What is wrong with it.
        fault: DecodeFault,
    },
    /// A label or field-of-view mask whose red, green and blue differ: it is a picture, not a mask.
    #[error("{}: pixel (row {row}, column {column}) is coloured; a label or mask must be grey", path.display())]
    Coloured {
        /// The file.
        path: PathBuf,
        /// Row of the first coloured pixel.
        row: usize,
        /// Its column.
        column: usize,
    },
    /// A label with values between its two levels.
    #[error(
        "{}: not binary: value {value} of {max} at (row {row}, column {column}), {levels} levels in all; \
         a label holds two levels, or values within a fifth of 0 and {max}",
        path.display()
    )]
    NotBinary {
        /// The file.
        path: PathBuf,
        /// The first value between the levels.
        value: u16,
        /// The format's largest value.
        max: u16,
        /// Its row.
        row: usize,
        /// Its column.
        column: usize,
        /// Distinct values in the file.
        levels: usize,
    },
    /// A label without a vessel, or a field of view without a pixel.
    #[error("{}: every pixel is background; the {what} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// `label` or `field of view`.
        what: &'static str,
    },
    /// A label that calls everything a vessel.
    #[error("{}: every pixel has the same value {value}; a label needs vessels and background", path.display())]
    Uniform {
        /// The file.
        path: PathBuf,
        /// That value.
        value: u16,
    },
    /// No field of view stands out of the image.
    #[error("{}: no field of view found: no pixel's red value is above {red_min:.3}; give a mask", path.display())]
    NoField {
        /// The photograph.
        path: PathBuf,
        /// The threshold, in `[0, 1]`.
        red_min: f32,
    },
    /// The folder is laid out like none of the sets that this crate knows.
    #[error(
        "{}: no known layout; expected one of DRIVE (`training`, or `images` with `1st_manual`), \
         STARE (`stare-images` with `labels-ah`), CHASE_DB1 (`Image_01L.jpg` with `Image_01L_1stHO.png`), \
         HRF (`images` with `manual1`), or `images` with `labels` or `manual`",
        path.display()
    )]
    UnknownLayout {
        /// The folder.
        path: PathBuf,
    },
    /// The folder of photographs holds none.
    #[error("{}: no image files", path.display())]
    NoImages {
        /// The folder.
        path: PathBuf,
    },
    /// A photograph without the first observer's label.
    #[error("{}: no label for `{name}`; expected one in {}", image.display(), labels.display())]
    MissingLabel {
        /// The sample's name.
        name: String,
        /// The photograph.
        image: PathBuf,
        /// The folder searched.
        labels: PathBuf,
    },
    /// Two files claim the same place in the same sample.
    #[error("{} and {} are both the {what} of `{name}`; keep one", first.display(), second.display())]
    Ambiguous {
        /// The sample's name.
        name: String,
        /// `image`, `label`, `second label` or `field-of-view mask`.
        what: &'static str,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A label or mask whose sides differ from its photograph's.
    #[error(
        "{}: {found_height} x {found_width} pixels, but its image {} has {height} x {width}",
        path.display(), image.display()
    )]
    SidesDiffer {
        /// The label or mask.
        path: PathBuf,
        /// The photograph.
        image: PathBuf,
        /// The photograph's rows.
        height: usize,
        /// The photograph's columns.
        width: usize,
        /// The label's or mask's rows.
        found_height: usize,
        /// The label's or mask's columns.
        found_width: usize,
    },
    /// An index past the data set's end.
    #[error("{dataset} has {samples} samples, number {index} (from 0) was asked for")]
    Index {
        /// The data set.
        dataset: String,
        /// Its samples.
        samples: usize,
        /// The index.
        index: usize,
    },
    /// A data set that is not under the data folder.
    #[error("{dataset} is not at {}: obtain it from {from} and unpack it there", path.display())]
    NotPresent {
        /// The data set.
        dataset: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// Where to get it.
        from: &'static str,
    },
    /// A field-of-view mask without a pixel.
    #[error("the field of view has no pixel; check the sample's mask")]
    EmptyField,
    /// A split that the samples do not suffice for.
    #[error(
        "{train} training and {test} test samples of {samples}: both must be at least 1, together at most {samples}"
    )]
    SplitSize {
        /// Samples there are.
        samples: usize,
        /// Training samples asked for.
        train: usize,
        /// Test samples asked for.
        test: usize,
    },
    /// A fold that does not exist.
    #[error(
        "fold {fold} (from 0) of {folds} over {samples} samples: choose 2 to {samples} folds and a fold below their number"
    )]
    SplitFold {
        /// Samples there are.
        samples: usize,
        /// Folds asked for.
        folds: usize,
        /// The fold asked for.
        fold: usize,
    },
    /// One sample twice in a split: a test on it would measure memory.
    #[error("`{name}` is in the split twice, by name or by content; remove one")]
    SplitOverlap {
        /// The sample.
        name: String,
    },
    /// A sample of the split that the data set lacks.
    #[error("the split names `{name}`, which {dataset} does not have")]
    SplitMissing {
        /// The sample.
        name: String,
        /// The data set.
        dataset: String,
    },
    /// A sample whose files are not those that the split was made with.
    #[error(
        "the files of `{name}` in {dataset} differ from those that the split was made with; restore them or split anew"
    )]
    SplitChanged {
        /// The sample.
        name: String,
        /// The data set.
        dataset: String,
    },
}

/// Why a file of a known format cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeFault {
    /// The header declares no pixel, or too many.
    #[error("the header declares {height} x {width} pixels, 1 to {pixels_max} in all are read")]
    Size {
        /// Rows declared.
        height: u64,
        /// Columns declared.
        width: u64,
        /// The limit.
        pixels_max: usize,
    },
    /// The file ends before its image does.
    #[error("cut short: the image needs {expected} bytes, {found} are left")]
    CutShort {
        /// Bytes that the header asks for.
        expected: usize,
        /// Bytes that follow it.
        found: usize,
    },
    /// The bytes break the format's rules.
    #[error("corrupt: {reason}")]
    Corrupt {
        /// What the decoder says.
        reason: String,
    },
    /// A legal file of a kind that is not read.
    #[error("not supported: {what}; convert it to 8- or 16-bit grey or RGB")]
    Unsupported {
        /// The kind.
        what: String,
    },
}

impl DecodeFault {
    /// A [`DecodeFault::Corrupt`] with a decoder's own words.
    pub(crate) fn corrupt(reason: impl std::fmt::Display) -> Self {
        Self::Corrupt { reason: reason.to_string() }
    }

    /// A [`DecodeFault::Unsupported`].
    pub(crate) fn unsupported(what: impl std::fmt::Display) -> Self {
        Self::Unsupported { what: what.to_string() }
    }
}

impl DataError {
    /// An [`DataError::Io`] for `path`.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }
}
