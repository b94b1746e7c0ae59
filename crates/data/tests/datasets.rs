//! Data sets in the published layouts, made in temporary folders.
#![allow(clippy::unwrap_used)] // A test may panic, its helpers too.

use std::fs;
use std::path::{Path, PathBuf};

use fovea_data::{DataError, Dataset, Layout, Split, entries, find_sites};
use tempfile::TempDir;

/// A P5 file: a bright disc in a dark frame, grey.
fn photo(side: usize) -> Vec<u8> {
    let middle = side as isize / 2;
    let inside = |p: usize| {
        let (y, x) = ((p / side) as isize - middle, (p % side) as isize - middle);
        4 * (y * y + x * x) < (side * side) as isize
    };
    pgm(side, |p| if inside(p) { 150 } else { 5 })
}

fn label(side: usize, column: usize) -> Vec<u8> {
    pgm(side, |p| if p % side == column { 255 } else { 0 })
}

fn pgm(side: usize, value: impl Fn(usize) -> u8) -> Vec<u8> {
    let mut bytes = format!("P5\n# CREATOR\n{side} {side}\n255\n").into_bytes();
    bytes.extend((0..side * side).map(value));
    bytes
}

fn put(root: &Path, path: &str, bytes: &[u8]) -> PathBuf {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

/// Writes `{id}` in `names` for each id: the first is the photograph, the others are labels or masks.
fn lay_out(ids: &[&str], names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for id in ids {
        for (i, name) in names.iter().enumerate() {
            let bytes = if i == 0 { photo(32) } else { label(32, 10 + i) };
            put(folder.path(), &name.replace("{id}", id), &bytes);
        }
    }
    folder
}

const DRIVE: [&str; 3] = [
    "DRIVE/training/images/{id}_training.tif",
    "DRIVE/training/1st_manual/{id}_manual1.gif",
    "DRIVE/training/mask/{id}_training_mask.gif",
];
const DRIVE_TEST: [&str; 4] = [
    "DRIVE/test/images/{id}_test.tif",
    "DRIVE/test/1st_manual/{id}_manual1.gif",
    "DRIVE/test/2nd_manual/{id}_manual2.gif",
    "DRIVE/test/mask/{id}_test_mask.gif",
];
const STARE: [&str; 3] =
    ["STARE/stare-images/{id}.ppm.gz", "STARE/labels-ah/{id}.ah.ppm.gz", "STARE/labels-vk/{id}.vk.ppm.gz"];

#[test]
fn drive_joins_files_by_number() {
    let folder = lay_out(&["22", "21"], &DRIVE);
    put(folder.path(), "DRIVE/training/images/Thumbs.db", b"x");
    put(folder.path(), "DRIVE/training/images/.21_training.tif", b"x");
    let set = Dataset::open(&folder.path().join("DRIVE")).unwrap();
    assert_eq!((set.layout(), set.name(), set.len()), (Layout::DriveTraining, "DRIVE training", 2));
    assert_eq!(set.count_note().map(|n| (n.published, n.found)), Some((20, 2)));
    let sample = set.load(0).unwrap();
    assert_eq!(sample.name, "21_training");
    assert_eq!(sample.label.data[11], 1);
    assert_eq!((sample.field.data[12], sample.field.count()), (1, 32), "the mask file is the field");
    assert_eq!(sample.hash, set.hash(0).unwrap());
    assert!(matches!(set.load(2), Err(DataError::Index { samples: 2, index: 2, .. })));
}

#[test]
fn drive_test_has_a_second_observer() {
    let folder = lay_out(&["01"], &DRIVE_TEST);
    let set = Dataset::open(&folder.path().join("DRIVE/test")).unwrap();
    assert_eq!(set.layout(), Layout::DriveTest);
    assert_eq!(set.load(0).unwrap().second_label.unwrap().data[12], 1);
}

#[test]
fn stare_finds_its_field_in_the_photograph() {
    let folder = lay_out(&["im0001", "im0324"], &STARE);
    let set = Dataset::open(&folder.path().join("STARE")).unwrap();
    assert_eq!((set.layout(), set.len()), (Layout::Stare, 2));
    let sample = set.load(1).unwrap();
    assert_eq!(sample.name, "im0324");
    let disc = std::f64::consts::PI * 16.0 * 16.0;
    assert!((sample.field.count() as f64 - disc).abs() < 40.0, "{}", sample.field.count());
    assert!(sample.second_label.is_some());
    put(folder.path(), "STARE/stare-images/im0001.ppm.gz", &pgm(32, |_| 5));
    assert!(matches!(set.load(0), Err(DataError::NoField { .. })));
}

#[test]
fn chase_hrf_and_plain_folders_open() {
    let chase = ["Image_{id}.jpg", "Image_{id}_1stHO.png", "Image_{id}_2ndHO.png"];
    let apart = ["images/Image_{id}.jpg", "manual/Image_{id}_1stHO.png", "manual/Image_{id}_2ndHO.png"];
    let hrf = ["images/{id}_dr.JPG", "manual1/{id}_dr.tif", "mask/{id}_dr_mask.tif"];
    let plain = ["images/{id}.png", "labels/{id}.png", "masks/{id}.png"];
    for (names, layout, seconds) in [
        (chase, Layout::ChaseDb1, true),
        (apart, Layout::Plain, true),
        (hrf, Layout::Hrf, false),
        (plain, Layout::Plain, false),
    ] {
        let folder = lay_out(&["02L", "01R"], &names);
        let set = Dataset::open(folder.path()).unwrap();
        assert_eq!((set.layout(), set.len()), (layout, 2), "{names:?}");
        let sample = set.load(0).unwrap();
        assert!(sample.name.contains("01R"), "{}", sample.name);
        assert_eq!(sample.second_label.is_some(), seconds, "{names:?}");
        assert_eq!(sample.field.count() == 32, !seconds, "{names:?}");
    }
}

#[test]
fn a_missing_label_names_the_photograph_and_the_folder() {
    let folder = lay_out(&["21", "22"], &DRIVE);
    fs::remove_file(folder.path().join("DRIVE/training/1st_manual/22_manual1.gif")).unwrap();
    let error = Dataset::open(&folder.path().join("DRIVE/training")).unwrap_err();
    assert!(matches!(error, DataError::MissingLabel { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("22_training.tif") && text.contains("1st_manual"), "{text}");
    // The official test archive has no labels at all.
    fs::remove_dir_all(folder.path().join("DRIVE/training/1st_manual")).unwrap();
    let error = Dataset::open(&folder.path().join("DRIVE")).unwrap_err();
    assert!(error.to_string().contains("training/1st_manual"), "{error}");
}

#[test]
fn wrong_labels_name_their_file() {
    let folder = lay_out(&["21"], &DRIVE);
    let set = Dataset::open(&folder.path().join("DRIVE/training")).unwrap();
    let name = "DRIVE/training/1st_manual/21_manual1.gif";
    for (bytes, expected) in [
        (label(31, 3), "31 x 31 pixels, but its image"),
        (pgm(32, |_| 0), "the label is empty"),
        (pgm(32, |p| (p % 256) as u8), "not binary"),
        (label(32, 3)[..900].to_vec(), "cut short"),
        (b"<html>".to_vec(), "it begins with `<html>`"),
    ] {
        let path = put(folder.path(), name, &bytes);
        let text = set.load(0).unwrap_err().to_string();
        assert!(text.starts_with(&path.display().to_string()) && text.contains(expected), "{text}");
    }
}

#[test]
fn two_files_for_one_place_are_refused() {
    let folder = lay_out(&["a"], &["images/{id}.png", "labels/{id}.png"]);
    put(folder.path(), "labels/a.tif", &label(32, 2));
    let error = Dataset::open(folder.path()).unwrap_err();
    assert!(matches!(error, DataError::Ambiguous { what: "label", .. }), "{error}");
}

#[test]
fn unknown_and_empty_folders_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Dataset::open(folder.path()), Err(DataError::UnknownLayout { .. })));
    fs::create_dir_all(folder.path().join("images")).unwrap();
    fs::create_dir_all(folder.path().join("labels")).unwrap();
    assert!(matches!(Dataset::open(folder.path()), Err(DataError::NoImages { .. })));
    assert!(matches!(Dataset::open(&folder.path().join("none")), Err(DataError::Io { .. })));
}

#[test]
fn a_missing_set_says_where_to_get_it() {
    let folder = lay_out(&["im0001"], &STARE);
    let sites = find_sites(folder.path());
    assert_eq!(sites.stare.unwrap().len(), 1);
    let text = sites.drive.unwrap_err().to_string();
    assert!(text.contains("drive.grand-challenge.org") && text.contains("DRIVE/training"), "{text}");
    let nothing = find_sites(&folder.path().join("STARE"));
    assert!(nothing.stare.unwrap_err().to_string().contains("cecas.clemson.edu/~ahoover/stare"));
}

#[test]
fn a_split_notices_changed_files() {
    let folder = lay_out(&["a", "b", "c", "d", "e"], &["images/{id}.png", "labels/{id}.png"]);
    for (i, id) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        put(folder.path(), &format!("labels/{id}.png"), &label(32, i));
    }
    let set = Dataset::open(folder.path()).unwrap();
    let split = Split::first_and_last(&entries(&set).unwrap(), 3, 2).unwrap();
    assert_eq!(split.indices(&set).unwrap(), (vec![0, 1, 2], vec![3, 4]));
    put(folder.path(), "labels/d.png", &label(32, 20));
    let error = split.indices(&set).unwrap_err();
    assert!(matches!(error, DataError::SplitChanged { ref name, .. } if name == "d"), "{error}");
    fs::remove_file(folder.path().join("images/a.png")).unwrap();
    let set = Dataset::open(folder.path()).unwrap();
    let error = split.indices(&set).unwrap_err();
    assert!(matches!(error, DataError::SplitMissing { ref name, .. } if name == "a"), "{error}");
}
