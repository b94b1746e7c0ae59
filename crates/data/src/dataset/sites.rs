//! The data folder of the two-site experiment: what is there, and where to get what is not.

use std::path::{Path, PathBuf};

use super::Dataset;
use crate::error::{DataError, Result};

/// What [`find_sites`] found; each set that is missing or damaged carries its own error.
#[derive(Debug)]
pub struct Sites {
    /// `DRIVE/training`, images 21-40: site `alice` trains and tests on it.
    pub drive: Result<Dataset>,
    /// `DRIVE/test`, images 01-20: the unseen hospital, never trained on.
    pub drive_test: Result<Dataset>,
    /// `STARE`: site `bob`.
    pub stare: Result<Dataset>,
}

/// Looks for DRIVE and STARE under the data folder `root`. Reads no image.
///
/// The sets' terms do not allow them to be passed on, so a missing one is an error that says where to obtain it.
#[must_use]
pub fn find_sites(root: &Path) -> Sites {
    Sites {
        drive: open_or_say_where("DRIVE training", root.join("DRIVE/training"), DRIVE_FROM),
        drive_test: open_or_say_where("DRIVE test", root.join("DRIVE/test"), DRIVE_FROM),
        stare: open_or_say_where("STARE", root.join("STARE"), STARE_FROM),
    }
}

const DRIVE_FROM: &str = "https://drive.grand-challenge.org";
const STARE_FROM: &str =
    "https://cecas.clemson.edu/~ahoover/stare (stare-images, labels-ah and labels-vk of the vessel probe)";

fn open_or_say_where(dataset: &'static str, path: PathBuf, from: &'static str) -> Result<Dataset> {
    if path.is_dir() {
        return Dataset::open(&path);
    }
    Err(DataError::NotPresent { dataset, path, from })
}
