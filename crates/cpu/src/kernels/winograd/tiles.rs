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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) image: usize,
    /// First tile, at the start of a register.
    pub(super) first: usize,
    pub(super) tiles: usize,
    /// Its first register, counted from the start of the chunk.
    pub(super) register: usize,
}

/// Consecutive tiles of one row within a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Row of tiles.
    pub(super) row: usize,
    /// First tile of the row.
    pub(super) column: usize,
    pub(super) tiles: usize,
    /// Tiles of the range before this run.
    pub(super) before: usize,
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
            pieces.push(Piece { image, first, tiles, register: at - registers.start });
            at += count;
        }
        pieces
    }

    /// The runs of tiles `first..first + tiles`, which may go on below the image's last row.
    pub(super) fn runs(&self, first: usize, tiles: usize) -> impl Iterator<Item = Run> + use<> {
        let (columns, end) = (self.columns, first + tiles);
        let mut at = first;
        std::iter::from_fn(move || {
            (at < end).then(|| {
                let (row, column) = (at / columns, at % columns);
                let count = (columns - column).min(end - at);
                let run = Run { row, column, tiles: count, before: at - first };
                at += count;
                run
            })
        })
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
                    let runs: Vec<Run> = tiles.runs(piece.first, piece.tiles).collect();
                    for run in &runs {
                        assert_eq!(run.row * tiles.columns + run.column, piece.first + run.before);
                    }
                    assert_eq!(runs.iter().map(|r| r.tiles).sum::<usize>(), piece.tiles);
                    next += piece.tiles;
                }
            }
            assert_eq!(next, images * tiles.per_image());
        }
    }
}
