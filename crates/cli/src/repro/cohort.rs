//! The hospitals of the experiment and their images, real or synthetic.

use super::profile::Synthetic;
use anyhow::{Context, Result, bail};
use fovea_data::{Dataset, Entry, Sample, Split, SyntheticCamera, entries, find_sites, synthetic_sample};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Training images of each real hospital.
const TRAIN: usize = 16;
/// Test images of each real hospital.
const TEST: usize = 4;

/// One hospital: its site's name in the federation, its data set, its images.
pub struct Hospital {
    /// `alice`.
    pub site: String,
    /// `drive`: the local model's key.
    pub key: String,
    /// `DRIVE`.
    pub title: String,
    /// Where its images come from.
    pub origin: Origin,
    /// Images to train on.
    pub train: Vec<Sample>,
    /// Images to test on.
    pub test: Vec<Sample>,
}

/// Where a hospital's images come from: what another process needs to find the same ones.
pub enum Origin {
    /// The camera of the hospital's name, with this factor on its extents.
    Camera { scale: f32 },
    /// The first ones by name in a data set's folder.
    Folder(PathBuf),
    /// A fold of a data set.
    Fold,
}

/// A test set that no model has seen the hospital of, or no image of.
pub struct Unseen {
    pub key: String,
    pub title: String,
    pub note: String,
    pub samples: Vec<Sample>,
}

/// All hospitals and test sets.
pub struct Cohort {
    /// For the report's heading.
    pub title: String,
    pub hospitals: Vec<Hospital>,
    pub unseen: Vec<Unseen>,
}

/// Which images a hospital trains and tests on, for fingerprints and records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub site: String,
    pub split: Split,
}

impl Cohort {
    /// DRIVE and STARE under a folder.
    pub fn real(root: &Path, with_drive_test: bool) -> Result<Self> {
        let sites = find_sites(root);
        let missing: Vec<String> = [&sites.drive, &sites.stare]
            .iter()
            .filter_map(|s| s.as_ref().err())
            .map(|e| format!("  {e}"))
            .collect();
        if !missing.is_empty() {
            bail!(
                "{} does not hold both hospitals' data:\n{}\n  (without --data, the experiment runs on synthetic images)",
                root.display(),
                missing.join("\n")
            );
        }
        let mut unseen = Vec::new();
        if with_drive_test {
            unseen.push(Unseen {
                key: "drive-test".to_owned(),
                title: "DRIVE test, 20 images".to_owned(),
                note: "The official test images 01-20; no model was trained on any of them.".to_owned(),
                samples: all(&sites.drive_test?)?,
            });
        }
        let folder = |name: &str| Origin::Folder(root.join(name));
        let alice = first_and_last("alice", "drive", "DRIVE", &sites.drive?, folder("DRIVE/training"))?;
        let bob = first_and_last("bob", "stare", "STARE", &sites.stare?, folder("STARE"))?;
        Ok(Cohort { title: "DRIVE and STARE".to_owned(), hospitals: vec![alice, bob], unseen })
    }

    /// Synthetic hospitals, the same for every seed of the training.
    pub fn synthetic(settings: &Synthetic) -> Self {
        let cameras = [SyntheticCamera::alice(), SyntheticCamera::bob(), SyntheticCamera::carol()];
        let hospital = |camera: &SyntheticCamera| {
            let camera = camera.scaled(settings.scale);
            let draw = |range: std::ops::Range<u32>| {
                range.into_par_iter().map(|i| synthetic_sample(&camera, 1, i)).collect()
            };
            Hospital {
                site: camera.name.to_owned(),
                key: camera.name.to_owned(),
                title: capitalised(camera.name),
                origin: Origin::Camera { scale: settings.scale },
                train: draw(0..settings.train),
                test: draw(settings.train..settings.train + settings.test),
            }
        };
        let hospitals = cameras[..settings.sites].iter().map(hospital).collect();
        Cohort { title: "synthetic hospitals".to_owned(), hospitals, unseen: Vec::new() }
    }

    /// The same cohort with the second hospital's images split by a fold.
    pub fn stare_fold(root: &Path, folds: usize, fold: usize) -> Result<Self> {
        let mut cohort = Cohort::real(root, false)?;
        let stare = find_sites(root).stare?;
        let split = Split::fold(&entries(&stare)?, folds, fold)?;
        cohort.hospitals[1] = split_by("bob", "stare", "STARE", &stare, &split, Origin::Fold)?;
        Ok(cohort)
    }

    /// Every hospital's split.
    pub fn parts(&self) -> Vec<Part> {
        let listed = |samples: &[Sample]| {
            samples.iter().map(|s| Entry { name: s.name.clone(), hash: s.hash }).collect()
        };
        let part = |h: &Hospital| Part {
            site: h.site.clone(),
            split: Split { train: listed(&h.train), test: listed(&h.test) },
        };
        self.hospitals.iter().map(part).collect()
    }

    /// Names of the hospitals' data sets, joined.
    pub fn titles(&self) -> String {
        self.hospitals.iter().map(|h| h.title.as_str()).collect::<Vec<_>>().join(" and ")
    }
}

fn first_and_last(site: &str, key: &str, title: &str, dataset: &Dataset, origin: Origin) -> Result<Hospital> {
    let split = Split::first_and_last(&entries(dataset)?, TRAIN, TEST).with_context(|| {
        format!("{title} has {} images; the experiment needs {}", dataset.len(), TRAIN + TEST)
    })?;
    split_by(site, key, title, dataset, &split, origin)
}

fn split_by(
    site: &str,
    key: &str,
    title: &str,
    dataset: &Dataset,
    split: &Split,
    origin: Origin,
) -> Result<Hospital> {
    let (train, test) = split.indices(dataset)?;
    let load = |indices: &[usize]| -> Result<Vec<Sample>> {
        Ok(indices.par_iter().map(|&i| dataset.load(i)).collect::<Result<_, _>>()?)
    };
    Ok(Hospital {
        site: site.to_owned(),
        key: key.to_owned(),
        title: title.to_owned(),
        origin,
        train: load(&train)?,
        test: load(&test)?,
    })
}

fn all(dataset: &Dataset) -> Result<Vec<Sample>> {
    Ok((0..dataset.len()).into_par_iter().map(|i| dataset.load(i)).collect::<Result<_, _>>()?)
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
