//! The images that a site trains on.

use anyhow::{Context, Result, bail, ensure};
use fovea_data::{Dataset, Sample, Split, SyntheticCamera, entries, synthetic_sample};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::str::FromStr;

/// Where they come from: a folder or a camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    /// The data set's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Only so many of its images, the first by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<usize>,
    /// Synthetic images in place of a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synthetic: Option<Synthetic>,
}

/// Synthetic images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Synthetic {
    /// `alice`, `bob` or `carol`.
    pub camera: String,
    /// Factor on the camera's extents.
    pub scale: f32,
    /// How many.
    pub images: u32,
}

impl FromStr for Synthetic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(':').collect();
        let parsed = match parts[..] {
            [camera, scale, images] => scale
                .parse()
                .ok()
                .zip(images.parse().ok())
                .map(|(scale, images)| Synthetic { camera: camera.to_owned(), scale, images }),
            _ => None,
        };
        let parsed = parsed.ok_or("write CAMERA:SCALE:IMAGES, such as alice:0.4:16")?;
        parsed.camera().map_err(|e| e.to_string())?;
        Ok(parsed)
    }
}

impl Synthetic {
    fn camera(&self) -> Result<SyntheticCamera> {
        ensure!(self.scale > 0.0 && self.scale <= 4.0, "scale {}: above 0 and at most 4", self.scale);
        ensure!((1..=10_000).contains(&self.images), "{} images: from 1 to 10000", self.images);
        let cameras = [SyntheticCamera::alice(), SyntheticCamera::bob(), SyntheticCamera::carol()];
        match cameras.into_iter().find(|camera| camera.name == self.camera) {
            Some(camera) => Ok(camera.scaled(self.scale)),
            None => bail!("there is no camera {:?}; choose alice, bob or carol", self.camera),
        }
    }
}

impl DataSource {
    /// Whether the images are there, without decoding them; how many.
    pub fn check(&self) -> Result<usize> {
        match (&self.folder, &self.synthetic) {
            (None, Some(synthetic)) => synthetic.camera().map(|_| synthetic.images as usize),
            (Some(folder), None) => {
                let found = Dataset::open(folder)?.len();
                let wanted = self.first.unwrap_or(found);
                ensure!(
                    (1..=found).contains(&wanted),
                    "{} holds {found} images, {wanted} are asked for: change `first`",
                    folder.display()
                );
                Ok(wanted)
            }
            _ => bail!("[data] of site.toml names a folder or synthetic images, one of the two"),
        }
    }

    /// The images, by name.
    pub fn load(&self) -> Result<Vec<Sample>> {
        if let Some(synthetic) = &self.synthetic {
            let camera = synthetic.camera()?;
            return Ok((0..synthetic.images)
                .into_par_iter()
                .map(|i| synthetic_sample(&camera, 1, i))
                .collect());
        }
        let wanted = self.check()?;
        let folder = self.folder.as_ref().context("[data] of site.toml names no folder")?;
        let dataset = Dataset::open(folder)?;
        let mut named = entries(&dataset)?;
        named.sort_by(|a, b| a.name.cmp(&b.name));
        named.truncate(wanted);
        let split = Split { train: named, test: Vec::new() };
        split.check_disjoint()?;
        let (indices, _) = split.indices(&dataset)?;
        Ok(indices.into_par_iter().map(|i| dataset.load(i)).collect::<Result<_, _>>()?)
    }
}
