//! The layouts: which folder holds what, and which files belong together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::SampleFiles;
use crate::error::{DataError, Result};

/// How a data set's folder is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// DRIVE's `training`: `images/21_training.tif`, `1st_manual/21_manual1.gif`, `mask/21_training_mask.gif`.
    DriveTraining,
    /// DRIVE's `test`: as the training set, with `2nd_manual` besides.
    DriveTest,
    /// STARE: `stare-images/im0001.ppm.gz`, `labels-ah/im0001.ah.ppm.gz`, `labels-vk/im0001.vk.ppm.gz`.
    Stare,
    /// CHASE_DB1: one folder of `Image_01L.jpg`, `Image_01L_1stHO.png`, `Image_01L_2ndHO.png`.
    ChaseDb1,
    /// HRF: `images/01_dr.JPG`, `manual1/01_dr.tif`, `mask/01_dr_mask.tif`.
    Hrf,
    /// `images` with `labels` or `manual`, and optionally `masks` or `mask`. Names must agree up to the first dot and up to
    /// one of the suffixes `_label`, `_manual`, `_manual1`, `_manual2`, `_1stHO`, `_2ndHO`, `_mask`; the suffixes `_manual2`
    /// and `_2ndHO` mark a second observer's label.
    Plain,
}

/// What a file is to its sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Image,
    Label,
    SecondLabel,
    Field,
}

/// Endings of a file name, before its first dot, and the role that they give whatever the folder.
const SUFFIXES: [(&str, Option<Role>); 7] = [
    ("_1stHO", Some(Role::Label)),
    ("_2ndHO", Some(Role::SecondLabel)),
    ("_manual1", Some(Role::Label)),
    ("_manual2", Some(Role::SecondLabel)),
    ("_manual", Some(Role::Label)),
    ("_label", Some(Role::Label)),
    ("_mask", Some(Role::Field)),
];

/// Files with other extensions (`Thumbs.db`, `readme.txt`) are no part of a set. What a file holds is for its first bytes
/// to say.
const EXTENSIONS: [&str; 8] = ["tif", "tiff", "gif", "png", "jpg", "jpeg", "ppm", "pgm"];

/// The layout of the folder `path`, and the folder where it begins (`DRIVE` opens as `DRIVE/training`).
pub(super) fn detect(path: &Path) -> Result<(Layout, PathBuf)> {
    let has = |name: &str| path.join(name).is_dir();
    let layout = if has("stare-images") && has("labels-ah") {
        Layout::Stare
    } else if path.join("training/images").is_dir() {
        return Ok((Layout::DriveTraining, path.join("training")));
    } else if has("images") && has("manual1") {
        Layout::Hrf
    } else if has("images") && (has("labels") || has("manual")) {
        Layout::Plain
    } else if has("images") && (has("1st_manual") || has("mask")) {
        // The official test archive comes without labels: opening it is then a missing label.
        drive_half(path)?
    } else if list_images(path)?.iter().any(|p| stem(p).ends_with("_1stHO")) {
        Layout::ChaseDb1
    } else {
        return Err(DataError::UnknownLayout { path: path.to_path_buf() });
    };
    Ok((layout, path.to_path_buf()))
}

/// Tells DRIVE's halves apart by the photographs' names, as folders get renamed.
fn drive_half(path: &Path) -> Result<Layout> {
    let training = list_images(&path.join("images"))?.iter().any(|p| stem(p).ends_with("_training"));
    Ok(if training { Layout::DriveTraining } else { Layout::DriveTest })
}

impl Layout {
    /// The set's published name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Layout::DriveTraining => "DRIVE training",
            Layout::DriveTest => "DRIVE test",
            Layout::Stare => "STARE",
            Layout::ChaseDb1 => "CHASE_DB1",
            Layout::Hrf => "HRF",
            Layout::Plain => "images",
        }
    }

    /// Images in the published set.
    #[must_use]
    pub fn published_count(self) -> Option<usize> {
        match self {
            Layout::DriveTraining | Layout::DriveTest | Layout::Stare => Some(20),
            Layout::ChaseDb1 => Some(28),
            Layout::Hrf => Some(45),
            Layout::Plain => None,
        }
    }

    /// Folders under the root, each with what its files are unless their suffix says otherwise.
    fn folders(self) -> &'static [(&'static str, Role)] {
        match self {
            Layout::DriveTraining | Layout::DriveTest => &[
                ("images", Role::Image),
                ("1st_manual", Role::Label),
                ("2nd_manual", Role::SecondLabel),
                ("mask", Role::Field),
            ],
            Layout::Stare => {
                &[("stare-images", Role::Image), ("labels-ah", Role::Label), ("labels-vk", Role::SecondLabel)]
            }
            Layout::ChaseDb1 => &[("", Role::Image)],
            Layout::Hrf => &[("images", Role::Image), ("manual1", Role::Label), ("mask", Role::Field)],
            Layout::Plain => &[
                ("images", Role::Image),
                ("labels", Role::Label),
                ("manual", Role::Label),
                ("masks", Role::Field),
                ("mask", Role::Field),
            ],
        }
    }

    /// Where a label is expected: the first folder for labels that exists, or the first of all.
    fn label_folder(self, root: &Path) -> PathBuf {
        let all =
            || self.folders().iter().filter(|(_, role)| *role == Role::Label).map(|(f, _)| root.join(f));
        all().find(|f| f.is_dir()).or_else(|| all().next()).unwrap_or_else(|| root.to_path_buf())
    }

    /// What a file's name says about the sample it belongs to.
    fn key(self, stem: &str) -> &str {
        match self {
            // 21_training, 21_manual1 and 21_training_mask share the number alone.
            Layout::DriveTraining | Layout::DriveTest => stem.split('_').next().unwrap_or(stem),
            _ => SUFFIXES.iter().find_map(|(s, _)| stem.strip_suffix(s)).unwrap_or(stem),
        }
    }

    /// The samples under `root`, sorted by name.
    pub(super) fn list(self, root: &Path) -> Result<Vec<SampleFiles>> {
        let mut images = BTreeMap::new();
        let (mut labels, mut seconds, mut fields) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for &(folder, role_of_folder) in self.folders() {
            let folder = root.join(folder);
            if !folder.is_dir() {
                continue;
            }
            for path in list_images(&folder)? {
                let stem = stem(&path);
                let of_suffix = SUFFIXES.iter().find(|(s, _)| stem.ends_with(s)).and_then(|(_, role)| *role);
                let (map, what) = match of_suffix.unwrap_or(role_of_folder) {
                    Role::Image => (&mut images, "image"),
                    Role::Label => (&mut labels, "label"),
                    Role::SecondLabel => (&mut seconds, "second label"),
                    Role::Field => (&mut fields, "field-of-view mask"),
                };
                insert(map, self.key(&stem), path, what)?;
            }
        }
        if images.is_empty() {
            return Err(DataError::NoImages { path: root.join(self.folders()[0].0) });
        }
        let mut samples = Vec::with_capacity(images.len());
        for (key, image) in images {
            let name = stem(&image);
            let Some(label) = labels.remove(&key) else {
                return Err(DataError::MissingLabel { name, image, labels: self.label_folder(root) });
            };
            let (second_label, field) = (seconds.remove(&key), fields.remove(&key));
            samples.push(SampleFiles { name, image, label, second_label, field });
        }
        samples.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(samples)
    }
}

fn insert(map: &mut BTreeMap<String, PathBuf>, key: &str, path: PathBuf, what: &'static str) -> Result<()> {
    match map.insert(key.to_owned(), path.clone()) {
        None => Ok(()),
        Some(first) => Err(DataError::Ambiguous { name: key.to_owned(), what, first, second: path }),
    }
}

/// The image files of a folder, sorted; hidden files and folders are left out.
fn list_images(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| DataError::io(folder, e))? {
        let path = entry.map_err(|e| DataError::io(folder, e))?.path();
        if is_image_name(&path) && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_image_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    !name.starts_with('.') && name.rsplit_once('.').is_some_and(|(_, e)| EXTENSIONS.contains(&e))
}

/// The file name up to its first dot.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}
