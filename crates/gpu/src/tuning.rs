//! Which tile each product gets: measured on this device, or guessed.

use crate::GpuError;
use crate::tile::{Product, Tile};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Measured choices. Empty, every product gets [`Tile::guess`]. A choice changes the time that a product takes, not the order of its
/// sums.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tuning {
    choices: BTreeMap<Product, Tile>,
}

/// The file: choices for one adapter with one driver.
#[derive(Serialize, Deserialize)]
struct Saved {
    adapter: String,
    driver: String,
    choices: Vec<(Product, Tile)>,
}

impl Tuning {
    /// The tile of a product.
    #[must_use]
    pub fn tile(&self, product: &Product) -> Tile {
        self.choices.get(product).copied().unwrap_or_else(|| Tile::guess(product))
    }

    /// Whether a product was measured.
    #[must_use]
    pub fn knows(&self, product: &Product) -> bool {
        self.choices.contains_key(product)
    }

    /// Notes what was measured.
    pub fn choose(&mut self, product: Product, tile: Tile) {
        self.choices.insert(product, tile);
    }

    /// Number of products measured.
    #[must_use]
    pub fn len(&self) -> usize {
        self.choices.len()
    }

    /// Whether nothing was measured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.choices.is_empty()
    }

    /// Reads the choices for an adapter with a driver; none where the file is missing or was made for another one.
    ///
    /// # Errors
    /// [`GpuError::Tuning`] where the file cannot be read or is no such file.
    pub fn load(path: &Path, adapter: &str, driver: &str) -> Result<Self, GpuError> {
        let failed = |reason: String| GpuError::Tuning { path: path.to_owned(), reason };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Tuning::default()),
            Err(error) => return Err(failed(error.to_string())),
        };
        let saved: Saved = serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?;
        if saved.adapter != adapter || saved.driver != driver {
            return Ok(Tuning::default());
        }
        Ok(Tuning { choices: saved.choices.into_iter().collect() })
    }

    /// Writes the choices, by way of a new file that replaces the old one.
    ///
    /// # Errors
    /// [`GpuError::Tuning`] where that fails.
    pub fn save(&self, path: &Path, adapter: &str, driver: &str) -> Result<(), GpuError> {
        let failed = |reason: String| GpuError::Tuning { path: path.to_owned(), reason };
        let choices = self.choices.iter().map(|(product, tile)| (product.clone(), *tile)).collect();
        let saved = Saved { adapter: adapter.to_owned(), driver: driver.to_owned(), choices };
        let text = serde_json::to_string_pretty(&saved).map_err(|error| failed(error.to_string()))?;
        let fresh = path.with_extension("new");
        let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        folder
            .and_then(|()| std::fs::write(&fresh, text))
            .and_then(|()| std::fs::rename(&fresh, path))
            .map_err(|error| failed(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_survive_a_file_and_belong_to_one_driver() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a").join("tiles.json");
        let product = Product {
            op: "conv2d".to_owned(),
            window: [3, 1, 1],
            plane: [8, 8],
            rows: 12,
            columns: 64,
            depth: 27,
        };
        assert_eq!(Tuning::load(&path, "a", "1").unwrap(), Tuning::default());
        let mut tuning = Tuning::default();
        tuning.choose(product.clone(), Tile::Four128x32);
        tuning.save(&path, "a", "1").unwrap();
        assert_eq!(Tuning::load(&path, "a", "1").unwrap().tile(&product), Tile::Four128x32);
        assert!(Tuning::load(&path, "a", "2").unwrap().is_empty());
        std::fs::write(&path, "{").unwrap();
        let error = Tuning::load(&path, "a", "1").unwrap_err();
        assert!(matches!(error, GpuError::Tuning { .. }), "{error}");
    }
}
