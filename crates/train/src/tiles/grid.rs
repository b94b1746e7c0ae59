//! How an image is divided into tiles of one size.

use std::ops::Range;

/// One tile along an axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    /// Its first pixel.
    pub(super) start: usize,
    /// The image's pixels whose result is taken from it.
    pub(super) own: Range<usize>,
}

impl Span {
    /// [`Span::own`] counted from the tile's start.
    pub(super) fn within(&self) -> Range<usize> {
        self.own.start - self.start..self.own.end - self.start
    }
}

/// Tiles of `tile` pixels along `extent`, each with `halo` pixels around its own part wherever the image goes on. All numbers are
/// multiples of the network's; the tile is the extent itself, or above two halos.
pub(super) fn spans(extent: usize, tile: usize, halo: usize) -> Vec<Span> {
    let (mut spans, mut from) = (Vec::new(), 0);
    while from < extent {
        let start = from.saturating_sub(halo).min(extent - tile);
        let end = start + tile;
        let to = if end == extent { extent } else { end - halo };
        spans.push(Span { start, own: from..to });
        from = to;
    }
    spans
}

/// The sizes to try, by the pixels computed in all, fewest first.
pub(super) fn by_work(size: (usize, usize), halo: usize, multiple: usize) -> Vec<(usize, usize)> {
    let (heights, widths) = (extents(size.0, halo, multiple), extents(size.1, halo, multiple));
    let mut tiles: Vec<_> = heights
        .iter()
        .flat_map(|&(rows, height)| {
            widths.iter().map(move |&(columns, width)| (rows * columns * height * width, (height, width)))
        })
        .collect();
    tiles.sort_unstable();
    tiles.into_iter().map(|(_, tile)| tile).collect()
}

/// For each useful number of tiles along an axis the smallest extent with which they cover it.
fn extents(extent: usize, halo: usize, multiple: usize) -> Vec<(usize, usize)> {
    let mut found = vec![(1, extent)];
    for count in 2..=extent / multiple {
        let tile = (extent + 2 * halo * (count - 1)).div_ceil(count).next_multiple_of(multiple);
        let tile = tile.max(2 * halo + multiple);
        if tile < found[found.len() - 1].1 {
            found.push((spans(extent, tile, halo).len(), tile));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_parts_cover_the_extent_once_and_keep_their_halos() {
        for (extent, tile, halo) in [(64, 64, 32), (64, 40, 16), (72, 40, 16), (400, 48, 20), (8, 8, 64)] {
            let spans = spans(extent, tile, halo);
            let mut next = 0;
            for span in &spans {
                assert_eq!(span.own.start, next);
                next = span.own.end;
                assert!(span.own.start == 0 || span.own.start - span.start >= halo);
                let end = span.start + tile;
                assert!(end <= extent && (span.own.end == extent || end - span.own.end >= halo));
            }
            assert_eq!(next, extent);
        }
    }

    #[test]
    fn sizes_come_from_the_whole_image_to_the_smallest_tile() {
        let tiles = by_work((96, 64), 16, 8);
        assert_eq!(tiles[0], (96, 64));
        assert!(tiles.contains(&(40, 40)), "{tiles:?}");
        assert!(tiles.iter().all(|t| t.0 % 8 == 0 && t.0 >= 40 && t.1 % 8 == 0 && t.1 >= 40));
        assert_eq!(by_work((16, 24), 16, 8), [(16, 24)]);
    }
}
