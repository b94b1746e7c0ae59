//! How a batch of planes is cut into tiles, registers of tiles and chunks.

use std::ops::Range;

/// Registers of tiles that the products work on together.
pub(super) const REGISTERS: usize = 2;

/// The tiles of 4 x 4 outputs of a batch, counted row by row. The tiles of each image fill whole registers, one tile per lane; in the last
/// register lanes may be left over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiles {
    pub(super) images: usize,
    /// `[H, W]` of the planes, pixels.
    pub(super) extent: [usize; 2],
    /// Rows of tiles per image.
    pub(super) rows: usize,
    /// Tiles per row.
    pub(super) columns: usize,
    /// Tiles per register.
    pub(super) lanes: usize,
}

/// Consecutive tiles of one image within a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) image: usize,
    /// First tile, at the start of a register.
    pub(super) first: usize,
    pub(super) tiles: usize,
    /// Its first register, counted from the start of the chunk.
    pub(super) register: usize,
    /// From a tile's place in a list of tiles to that of the tile below it.
    pub(super) below: usize,
    /// Its tiles.
    pub(super) own: Vec<Run>,
    /// Its tiles and those below them.
    pub(super) lower: Vec<Run>,
}

/// Consecutive tiles of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Row of tiles; it may lie below the image's last row.
    pub(super) row: usize,
    /// First tile of the row.
    pub(super) column: usize,
    pub(super) tiles: usize,
    /// Its place in a list of tiles.
    pub(super) at: usize,
}

impl Tiles {
    pub(super) fn new(images: usize, [h, w]: [usize; 2], lanes: usize) -> Self {
        Tiles { images, extent: [h, w], rows: h.div_ceil(4), columns: w.div_ceil(4), lanes }
    }

    /// Tiles per image.
    pub(super) fn per_image(&self) -> usize {
        self.rows * self.columns
    }

    fn registers_per_image(&self) -> usize {
        self.per_image().div_ceil(self.lanes)
    }

    /// Registers of all images.
    pub(super) fn registers(&self) -> usize {
        self.images * self.registers_per_image()
    }

    /// Tiles of one group of [`REGISTERS`].
    pub(super) fn group(&self) -> usize {
        REGISTERS * self.lanes
    }

    /// Registers per chunk of about so many tiles: whole groups, in chunks that are as even as can be.
    pub(super) fn chunk(&self, tiles: usize) -> usize {
        let most = (tiles / self.group()).max(1) * REGISTERS;
        self.registers().div_ceil(self.registers().div_ceil(most)).next_multiple_of(REGISTERS)
    }

    /// The chunk of that index, in registers.
    pub(super) fn chunk_at(&self, index: usize, size: usize) -> Range<usize> {
        index * size..self.registers().min((index + 1) * size)
    }

    /// The pieces of a range of registers.
    pub(super) fn pieces(&self, registers: Range<usize>) -> Vec<Piece> {
        let each = self.registers_per_image();
        let mut pieces = Vec::new();
        let mut at = registers.start;
        while at < registers.end {
            let (image, own) = (at / each, at % each);
            let count = (each - own).min(registers.end - at);
            let first = own * self.lanes;
            let tiles = (count * self.lanes).min(self.per_image() - first);
            pieces.push(self.piece(image, first, tiles, at - registers.start));
            at += count;
        }
        pieces
    }

    fn piece(&self, image: usize, first: usize, tiles: usize, register: usize) -> Piece {
        let padded = tiles.next_multiple_of(self.lanes);
        let own = self.runs(first, tiles, 0);
        // Where the piece is longer than a row of tiles, its tiles and those below them are one range.
        let (below, lower) = if tiles >= self.columns {
            (self.columns, self.runs(first, tiles + self.columns, 0))
        } else {
            let under = self.runs(first + self.columns, tiles, padded);
            (padded, own.iter().copied().chain(under).collect())
        };
        Piece { image, first, tiles, register, below, own, lower }
    }

    /// The runs of tiles `first..first + tiles`, placed from `at` on.
    fn runs(&self, first: usize, tiles: usize, at: usize) -> Vec<Run> {
        let mut runs = Vec::with_capacity(tiles / self.columns + 2);
        let mut next = first;
        while next < first + tiles {
            let (row, column) = (next / self.columns, next % self.columns);
            let count = (self.columns - column).min(first + tiles - next);
            runs.push(Run { row, column, tiles: count, at: at + next - first });
            next += count;
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_every_tile_once() {
        for (images, extent, most) in
            [(1, [1, 1], 1), (2, [7, 224], 40), (3, [9, 66], 16), (4, [24, 24], 100), (1, [40, 592], 300)]
        {
            let tiles = Tiles::new(images, extent, 8);
            let chunk = tiles.chunk(most);
            assert!(chunk.is_multiple_of(REGISTERS));
            let mut next = 0;
            for index in 0..tiles.registers().div_ceil(chunk) {
                let mut register = 0;
                for piece in tiles.pieces(tiles.chunk_at(index, chunk)) {
                    assert_eq!(piece.image * tiles.per_image() + piece.first, next);
                    assert_eq!(piece.register, register);
                    register += piece.tiles.div_ceil(8);
                    let own = piece.own.iter().map(|r| r.tiles).sum::<usize>();
                    let lower = piece.lower.iter().map(|r| r.tiles).sum::<usize>();
                    assert_eq!([own, lower], [piece.tiles, piece.tiles + piece.tiles.min(tiles.columns)]);
                    for run in piece.own.iter().chain(&piece.lower) {
                        let tile = run.row * tiles.columns + run.column;
                        let under =
                            run.at.checked_sub(piece.below).map(|at| piece.first + tiles.columns + at);
                        assert!(tile == piece.first + run.at || Some(tile) == under);
                    }
                    next += piece.tiles;
                }
            }
            assert_eq!(next, images * tiles.per_image());
        }
    }
}
