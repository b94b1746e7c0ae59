//! Data sets on disk: which files make up a sample, in the layouts in which the sets are handed out.
//!
//! Opening a set only lists file names; [`Dataset::load`] decodes one sample. Samples are sorted by name, so an index
//! means the same image on every machine that holds the same files.

mod layout;
mod sites;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::decode::{MaskKind, Raster, decode, read_bytes};
use crate::error::{DataError, Result};
use crate::field::{FIELD_RED_MIN, field_of_view};
use crate::image::{Mask, Sample};
pub use layout::Layout;
pub use sites::{Sites, find_sites};

/// The files of one sample. Paths are as found, nothing is read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleFiles {
    /// The sample's name: the photograph's file name up to its first dot.
    pub name: String,
    /// The photograph.
    pub image: PathBuf,
    /// The first observer's label.
    pub label: PathBuf,
    /// The second observer's label.
    pub second_label: Option<PathBuf>,
    /// The field-of-view mask; where there is none, the field is found from the photograph.
    pub field: Option<PathBuf>,
}

/// A set that differs from the published one. A subset is a legal data set, so this is a note and not an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountNote {
    /// Images in the published set.
    pub published: usize,
    /// Images here.
    pub found: usize,
}

/// A labelled data set: a list of samples, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    name: String,
    layout: Layout,
    files: Vec<SampleFiles>,
}

impl Dataset {
    /// Finds out the layout of the folder `path` and lists its samples. A DRIVE folder that holds both `training` and
    /// `test` opens as its training set; open `DRIVE/test` for the other.
    ///
    /// # Errors
    /// [`DataError::Io`], [`DataError::UnknownLayout`], [`DataError::NoImages`], [`DataError::MissingLabel`] or
    /// [`DataError::Ambiguous`].
    pub fn open(path: &Path) -> Result<Self> {
        let (layout, root) = layout::detect(path)?;
        let files = layout.list(&root)?;
        let name = match layout {
            Layout::Plain => {
                root.file_name().map_or_else(|| "images".into(), |n| n.to_string_lossy().into_owned())
            }
            _ => layout.name().to_owned(),
        };
        Ok(Self { name, layout, files })
    }

    /// The set's published name, or the folder's for [`Layout::Plain`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The layout found.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The samples' files, sorted by name.
    #[must_use]
    pub fn files(&self) -> &[SampleFiles] {
        &self.files
    }

    /// Samples in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether the set has no sample; [`Dataset::open`] never returns such a set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// How the number of samples differs from the published set's, if it does.
    #[must_use]
    pub fn count_note(&self) -> Option<CountNote> {
        let published = self.layout.published_count()?;
        (published != self.len()).then_some(CountNote { published, found: self.len() })
    }

    /// Reads and decodes sample `index`, and checks that its parts fit together.
    ///
    /// # Errors
    /// Those of [`crate::read_raster`] and [`Raster::to_mask`], [`DataError::SidesDiffer`], [`DataError::NoField`]
    /// or [`DataError::Index`].
    pub fn load(&self, index: usize) -> Result<Sample> {
        let files = self.sample_files(index)?;
        let mut source = Source { hasher: Sha256::new(), image: &files.image, sides: None };
        let image = source.raster(&files.image)?.to_image();
        let label = source.mask(&files.label, MaskKind::Label)?;
        let second_label =
            files.second_label.as_ref().map(|p| source.mask(p, MaskKind::Label)).transpose()?;
        let field = match &files.field {
            Some(path) => source.mask(path, MaskKind::Field)?,
            None => field_of_view(&image)
                .ok_or_else(|| DataError::NoField { path: files.image.clone(), red_min: FIELD_RED_MIN })?,
        };
        let hash = source.hasher.finalize().into();
        let (name, dataset) = (files.name.clone(), self.name.clone());
        Ok(Sample { name, dataset, image, label, second_label, field, hash })
    }

    /// SHA-256 over the bytes on disk of sample `index`: for the photograph, the label, the second label and the mask
    /// that the sample has, in this order, the file's length as 8 little-endian bytes, then its content. Decodes nothing.
    ///
    /// # Errors
    /// [`DataError::Io`], [`DataError::TooLarge`] or [`DataError::Index`].
    pub fn hash(&self, index: usize) -> Result<[u8; 32]> {
        let files = self.sample_files(index)?;
        let mut hasher = Sha256::new();
        let optional = files.second_label.iter().chain(&files.field);
        for path in [&files.image, &files.label].into_iter().chain(optional) {
            hash_file(&mut hasher, &read_bytes(path)?);
        }
        Ok(hasher.finalize().into())
    }

    fn sample_files(&self, index: usize) -> Result<&SampleFiles> {
        self.files.get(index).ok_or_else(|| DataError::Index {
            dataset: self.name.clone(),
            samples: self.files.len(),
            index,
        })
    }
}

/// Reads a sample's files one after the other, hashing each and holding the later ones to the first one's sides.
struct Source<'a> {
    hasher: Sha256,
    image: &'a Path,
    sides: Option<(usize, usize)>,
}

impl Source<'_> {
    fn raster(&mut self, path: &Path) -> Result<Raster> {
        let bytes = read_bytes(path)?;
        hash_file(&mut self.hasher, &bytes);
        let raster = decode(path, &bytes)?;
        let (height, width) = *self.sides.get_or_insert(raster.sides());
        let (found_height, found_width) = raster.sides();
        if (height, width) == (found_height, found_width) {
            return Ok(raster);
        }
        let (path, image) = (path.to_path_buf(), self.image.to_path_buf());
        Err(DataError::SidesDiffer { path, image, height, width, found_height, found_width })
    }

    fn mask(&mut self, path: &Path, kind: MaskKind) -> Result<Mask> {
        self.raster(path)?.to_mask(path, kind)
    }
}

fn hash_file(hasher: &mut Sha256, bytes: &[u8]) {
    hasher.update((bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}
