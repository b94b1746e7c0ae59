//! Tile shapes of matrix products, and which one a product gets where nothing was measured.

use serde::{Deserialize, Serialize};

/// A tile: what one workgroup of 256 invocations computes at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Tile {
    /// 4x4 results per invocation, 64 rows by 64 columns.
    Four64x64,
    /// 4x4, 32 rows by 128 columns: for 17 to 32 channels.
    Four32x128,
    /// 4x4, 16 rows by 256 columns: for up to 16 channels.
    Four16x256,
    /// 4x4, 128 rows by 32 columns.
    Four128x32,
    /// 8x8, 128 rows by 128 columns.
    Eight128x128,
    /// 8x8, 64 rows by 256 columns.
    Eight64x256,
}

impl Tile {
    /// All of them.
    pub const ALL: [Tile; 6] = [
        Tile::Four64x64,
        Tile::Four32x128,
        Tile::Four16x256,
        Tile::Four128x32,
        Tile::Eight128x128,
        Tile::Eight64x256,
    ];

    /// Results of one invocation along each axis.
    pub fn edge(self) -> usize {
        match self {
            Tile::Four64x64 | Tile::Four32x128 | Tile::Four16x256 | Tile::Four128x32 => 4,
            Tile::Eight128x128 | Tile::Eight64x256 => 8,
        }
    }

    /// Rows and columns.
    pub fn extents(self) -> [usize; 2] {
        match self {
            Tile::Four64x64 => [64, 64],
            Tile::Four32x128 => [32, 128],
            Tile::Four16x256 => [16, 256],
            Tile::Four128x32 => [128, 32],
            Tile::Eight128x128 => [128, 128],
            Tile::Eight64x256 => [64, 256],
        }
    }

    /// The `override` constants of `parts/product4.wgsl` and `parts/product8.wgsl`.
    pub fn constants(self) -> [(&'static str, f64); 2] {
        let [rows, columns] = self.extents().map(|extent| (extent / self.edge()) as f64);
        [("ROWS", rows), ("COLUMNS", columns)]
    }

    /// The tile that wastes least, counting results past the edges, the cheaper products of 8x8, and idle processors where
    /// there are fewer tiles than a large device runs at once.
    pub fn guess(product: &Product) -> Tile {
        let cost = |tile: &Tile| {
            let tiles = product.tiles(*tile);
            let [rows, columns] = tile.extents();
            let per_result = if tile.edge() == 4 { 8 } else { 5 };
            (tiles.max(RESIDENT) * rows * columns * per_result, rows * columns)
        };
        Tile::ALL.into_iter().min_by_key(cost).expect("the list is not empty")
    }
}

/// Workgroups that a large device runs at once.
const RESIDENT: usize = 264;

/// The extents of one product, and its gathers: what a measured choice is kept by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Product {
    /// The op.
    pub op: String,
    /// Kernel, stride and padding in pixels.
    pub window: [usize; 3],
    /// Extents of the input plane in pixels.
    pub plane: [usize; 2],
    /// Rows of the product.
    pub rows: usize,
    /// Columns of the product.
    pub columns: usize,
    /// Terms of each sum.
    pub depth: usize,
}

impl Product {
    /// Tiles of that shape that cover the product.
    pub fn tiles(&self, tile: Tile) -> usize {
        let [rows, columns] = tile.extents();
        self.rows.div_ceil(rows) * self.columns.div_ceil(columns)
    }

    /// Into how many parts a sum over all pixels is cut, and terms of each part. A function of the product alone, so that the
    /// order of summation, and with it every bit, does not depend on the device or on the tile.
    pub fn splits(&self) -> [usize; 2] {
        let tiles = self.tiles(Tile::Four64x64);
        let most = self.depth.div_ceil(SPLIT_LEAST);
        let splits = (2 * RESIDENT).div_ceil(tiles).clamp(1, most);
        let depth = self.depth.div_ceil(splits).next_multiple_of(DEPTH);
        [self.depth.div_ceil(depth), depth]
    }
}

/// Fewest terms that are worth a part of their own.
const SPLIT_LEAST: usize = 512;

/// Terms staged at a time; `DEPTH` of `parts/product4.wgsl`.
const DEPTH: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn product(rows: usize, columns: usize, depth: usize) -> Product {
        Product { op: "conv2d".to_owned(), window: [3, 1, 1], plane: [8, 8], rows, columns, depth }
    }

    #[test]
    fn narrow_layers_get_flat_tiles_and_wide_ones_large_tiles() {
        assert_eq!(Tile::guess(&product(12, 400_000, 108)), Tile::Four16x256);
        assert_eq!(Tile::guess(&product(32, 400_000, 288)), Tile::Four32x128);
        assert_eq!(Tile::guess(&product(512, 200_000, 4608)), Tile::Eight128x128);
        assert_eq!(Tile::guess(&product(64, 64, 64)), Tile::Four64x64);
    }

    #[test]
    fn splits_cover_the_depth() {
        for (rows, columns, depth) in [(1, 1, 1), (64, 576, 200_704), (12, 27, 36_864), (512, 4608, 784)] {
            let [splits, each] = product(rows, columns, depth).splits();
            assert!(splits * each >= depth && (splits - 1) * each < depth, "{rows} {columns} {depth}");
            assert_eq!(each % DEPTH, 0);
        }
        assert_eq!(product(512, 4608, 784).splits()[0], 1, "many tiles need no splits");
    }
}
