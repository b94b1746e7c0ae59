//! Which tile each product gets: measured on this device, or guessed.

use crate::tile::{Product, Tile};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Measured choices. Empty, every product gets [`Tile::guess`]. A choice changes the time that a product takes, not the order of its
/// sums.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tuning {
    choices: BTreeMap<Product, Tile>,
}

/// As text: choices for one adapter with one driver.
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

    /// The choices for an adapter with a driver; none where the text was made for another one.
    ///
    /// # Errors
    /// Where the text is none of [`Tuning::to_json`].
    pub fn from_json(text: &str, adapter: &str, driver: &str) -> Result<Self, serde_json::Error> {
        let saved: Saved = serde_json::from_str(text)?;
        if saved.adapter != adapter || saved.driver != driver {
            return Ok(Tuning::default());
        }
        Ok(Tuning { choices: saved.choices.into_iter().collect() })
    }

    /// The choices as text, to be kept for an adapter with a driver.
    ///
    /// # Errors
    /// Where they cannot be written as JSON.
    pub fn to_json(&self, adapter: &str, driver: &str) -> Result<String, serde_json::Error> {
        let choices = self.choices.iter().map(|(product, tile)| (product.clone(), *tile)).collect();
        let saved = Saved { adapter: adapter.to_owned(), driver: driver.to_owned(), choices };
        serde_json::to_string_pretty(&saved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_survive_as_text_and_belong_to_one_driver() {
        let product = Product {
            op: "conv2d".to_owned(),
            window: [3, 1, 1],
            plane: [8, 8],
            rows: 12,
            columns: 64,
            depth: 27,
        };
        let mut tuning = Tuning::default();
        tuning.choose(product.clone(), Tile::Four128x32);
        let text = tuning.to_json("a", "1").unwrap();
        assert_eq!(Tuning::from_json(&text, "a", "1").unwrap().tile(&product), Tile::Four128x32);
        assert!(Tuning::from_json(&text, "a", "2").unwrap().is_empty());
        assert!(Tuning::from_json(&text, "b", "1").unwrap().is_empty());
        assert!(Tuning::from_json("{", "a", "1").is_err());
    }
}
