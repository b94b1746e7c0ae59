//! Which samples train and which test, recorded by name and content hash.
//!
//! Splits follow the order of names, with no draw: "the first 16 train, the last 4 test" means the same everywhere. The
//! hashes make sure that a split made on one machine is used with the same images and labels on another.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::dataset::Dataset;
use crate::error::{DataError, Result};

/// One sample in a split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The sample's name, e.g. `37_training`.
    pub name: String,
    /// SHA-256 over its files, see [`Dataset::hash`]; 64 hexadecimal digits in text formats.
    #[serde(serialize_with = "write_hex", deserialize_with = "read_hex")]
    pub hash: [u8; 32],
}

/// Training and test samples of one data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Samples to train on, by name.
    pub train: Vec<Entry>,
    /// Samples to test on, by name.
    pub test: Vec<Entry>,
}

/// Entries for all samples of a set, in its order. Reads every file, decodes none.
///
/// # Errors
/// Those of [`Dataset::hash`].
pub fn entries(dataset: &Dataset) -> Result<Vec<Entry>> {
    let entry = |(i, files): (usize, &crate::dataset::SampleFiles)| {
        Ok(Entry { name: files.name.clone(), hash: dataset.hash(i)? })
    };
    dataset.files().iter().enumerate().map(entry).collect()
}

impl Split {
    /// The first `train` entries by name train, the last `test` test; what lies between is in neither part. The experiment
    /// on DRIVE training (21-40) and on STARE uses 16 and 4.
    ///
    /// # Errors
    /// [`DataError::SplitSize`] where `train + test` exceeds the entries or one is 0; [`DataError::SplitOverlap`] where two
    /// entries are the same files or have the same name.
    pub fn first_and_last(entries: &[Entry], train: usize, test: usize) -> Result<Self> {
        let sorted = sorted(entries);
        if train == 0 || test == 0 || train.saturating_add(test) > sorted.len() {
            return Err(DataError::SplitSize { samples: sorted.len(), train, test });
        }
        Self::new(sorted[..train].to_vec(), sorted[sorted.len() - test..].to_vec())
    }

    /// Fold `fold` (from 0) of `folds`: of `n` entries by name, those from `fold * n / folds` up to
    /// `(fold + 1) * n / folds` (rounded down) test, the others train. Every entry is in exactly one test part.
    ///
    /// # Errors
    /// [`DataError::SplitFold`] unless `2 <= folds <= n` and `fold < folds`; [`DataError::SplitOverlap`].
    pub fn fold(entries: &[Entry], folds: usize, fold: usize) -> Result<Self> {
        let sorted = sorted(entries);
        let samples = sorted.len();
        if folds < 2 || folds > samples || fold >= folds {
            return Err(DataError::SplitFold { samples, folds, fold });
        }
        let (begin, end) = (fold * samples / folds, (fold + 1) * samples / folds);
        let train = [&sorted[..begin], &sorted[end..]].concat();
        Self::new(train, sorted[begin..end].to_vec())
    }

    fn new(train: Vec<Entry>, test: Vec<Entry>) -> Result<Self> {
        let split = Self { train, test };
        split.check_disjoint()?;
        Ok(split)
    }

    /// Checks that no sample is named twice and that no two are the same files under different names. To be called on a
    /// split that was read from a file; the constructors have done so.
    ///
    /// # Errors
    /// [`DataError::SplitOverlap`].
    pub fn check_disjoint(&self) -> Result<()> {
        let (mut names, mut hashes) = (BTreeSet::new(), BTreeSet::new());
        for entry in self.train.iter().chain(&self.test) {
            if !names.insert(&entry.name) || !hashes.insert(entry.hash) {
                return Err(DataError::SplitOverlap { name: entry.name.clone() });
            }
        }
        Ok(())
    }

    /// The indices in `dataset` of the training and of the test samples, after comparing every hash with the files there.
    ///
    /// # Errors
    /// [`DataError::SplitMissing`], [`DataError::SplitChanged`], [`DataError::SplitOverlap`], or those of
    /// [`Dataset::hash`].
    pub fn indices(&self, dataset: &Dataset) -> Result<(Vec<usize>, Vec<usize>)> {
        self.check_disjoint()?;
        let index = |entry: &Entry| {
            let (name, set) = (entry.name.clone(), dataset.name().to_owned());
            match dataset.files().iter().position(|f| f.name == entry.name) {
                None => Err(DataError::SplitMissing { name, dataset: set }),
                Some(i) if dataset.hash(i)? != entry.hash => {
                    Err(DataError::SplitChanged { name, dataset: set })
                }
                Some(i) => Ok(i),
            }
        };
        let part = |entries: &[Entry]| entries.iter().map(index).collect::<Result<Vec<_>>>();
        Ok((part(&self.train)?, part(&self.test)?))
    }
}

fn sorted(entries: &[Entry]) -> Vec<Entry> {
    let mut sorted = entries.to_vec();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    sorted
}

fn write_hex<S: Serializer>(hash: &[u8; 32], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    let text: String = hash.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect();
    serializer.serialize_str(&text)
}

fn read_hex<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<[u8; 32], D::Error> {
    let text = String::deserialize(deserializer)?;
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let bytes =
        digits.map(|d| d.chunks(2).map(|p| (p.iter().fold(0, |n, v| 16 * n + v)) as u8).collect::<Vec<_>>());
    let hash = bytes.filter(|_| text.len() == 64).and_then(|b| b.try_into().ok());
    hash.ok_or_else(|| {
        serde::de::Error::custom(format_args!("a hash has 64 hexadecimal digits, found `{text}`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(n: u8) -> Vec<Entry> {
        // Out of order on purpose.
        (0..n).rev().map(|i| Entry { name: format!("im{i:04}"), hash: [i; 32] }).collect()
    }

    fn names(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|e| e.name.as_str()).collect()
    }

    #[test]
    fn the_experiment_splits_by_name() {
        let split = Split::first_and_last(&entries(20), 16, 4).unwrap();
        assert_eq!(names(&split.test), ["im0016", "im0017", "im0018", "im0019"]);
        assert_eq!(split.train.len(), 16);
        assert_eq!(split.train[0].name, "im0000");
        for (train, test) in [(17, 4), (0, 4), (4, 0), (usize::MAX, 2)] {
            assert!(matches!(
                Split::first_and_last(&entries(20), train, test),
                Err(DataError::SplitSize { samples: 20, .. })
            ));
        }
    }

    #[test]
    fn folds_test_every_sample_once() {
        let all = entries(11);
        let mut tested = Vec::new();
        for fold in 0..3 {
            let split = Split::fold(&all, 3, fold).unwrap();
            assert_eq!(split.train.len() + split.test.len(), 11);
            tested.extend(split.test);
        }
        assert_eq!(tested, sorted(&all));
        for (folds, fold) in [(1, 0), (12, 0), (3, 3)] {
            assert!(matches!(Split::fold(&all, folds, fold), Err(DataError::SplitFold { .. })));
        }
    }

    #[test]
    fn the_same_files_in_both_parts_are_refused() {
        let mut all = entries(6);
        all[0].hash = all[5].hash;
        assert!(matches!(Split::first_and_last(&all, 4, 2), Err(DataError::SplitOverlap { .. })));
        let mut all = entries(6);
        all[0].name = all[5].name.clone();
        assert!(matches!(Split::fold(&all, 2, 0), Err(DataError::SplitOverlap { .. })));
    }

    #[test]
    fn text_form_reads_back_and_refuses_bad_hashes() {
        let split = Split::fold(&entries(20), 5, 2).unwrap();
        let text = serde_json::to_string(&split).unwrap();
        assert!(text.contains(&"08".repeat(32)), "{text}");
        assert_eq!(serde_json::from_str::<Split>(&text).unwrap(), split);
        for bad in ["08".repeat(31), "08".repeat(33), "zz".repeat(32), "é".repeat(32), String::new()] {
            let error = serde_json::from_str::<Split>(&text.replace(&"08".repeat(32), &bad)).unwrap_err();
            assert!(error.to_string().contains("64 hexadecimal"), "{error}");
        }
    }
}
