//! Packing: rows of planes into strips with a zero border, weights into blocks of output channels.

/// A strip of output rows of one image and the flat layout in which its input is packed.
///
/// Row r of the strip starts at `r * pitch`; `pitch = W + padding`, so that the zeros on the right of one row
/// are those on the left of the next. Output pixel (r, x) then reads tap (i, j) at `(r + i) * pitch + x + j`: every tap is one
/// constant shift of the whole strip. Between rows, `pitch - Wo` results belong to no pixel and are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Strip {
    /// First output row.
    pub(crate) first: usize,
    /// Output rows.
    pub(crate) rows: usize,
    /// Floats from row to row.
    pub(crate) pitch: usize,
    /// Kernel extent.
    pub(crate) kernel: usize,
    /// Zeros on each side.
    pub(crate) padding: usize,
}

impl Strip {
    /// Results per channel, junk between the rows included.
    pub(crate) fn flat(&self) -> usize {
        self.rows * self.pitch
    }

    /// Packed floats per channel that are read when `tile` results are made at a time, rounded up to an odd number
    /// of cache lines: planes then fall into different sets of the first-level cache.
    pub(crate) fn plane(&self, tile: usize) -> usize {
        let reach = self.flat() + tile + (self.kernel - 1) * (self.pitch + 1);
        (reach.div_ceil(16) | 1) * 16
    }

    /// Packs one channel `x` (H, W) into `to`, whose rest is zeroed.
    pub(crate) fn pack(&self, x: &[f32], [h, w]: [usize; 2], to: &mut [f32]) {
        let packed_rows = self.rows + self.kernel - 1;
        let used = packed_rows * self.pitch;
        for r in 0..packed_rows {
            let row = &mut to[r * self.pitch..(r + 1) * self.pitch];
            let y = (self.first + r).wrapping_sub(self.padding);
            if y < h {
                row[..self.padding].fill(0.0);
                row[self.padding..].copy_from_slice(&x[y * w..(y + 1) * w]);
            } else {
                row.fill(0.0);
            }
        }
        to[used..].fill(0.0);
    }

    /// Packs output rows (Ho, Wo) of one channel at the strip's pitch, zeros in between, and zeroes the rest of `to`.
    pub(crate) fn pack_output(&self, dy: &[f32], wo: usize, to: &mut [f32]) {
        for r in 0..self.rows {
            let row = &mut to[r * self.pitch..(r + 1) * self.pitch];
            let y = self.first + r;
            row[..wo].copy_from_slice(&dy[y * wo..(y + 1) * wo]);
            row[wo..].fill(0.0);
        }
        to[self.flat()..].fill(0.0);
    }
}

/// Splits `rows` output rows into strips of at most `most` rows, all but the last equal.
pub(crate) fn strips(rows: usize, most: usize, pitch: usize, kernel: usize, padding: usize) -> Vec<Strip> {
    let count = rows.div_ceil(most.max(1));
    let each = rows.div_ceil(count);
    (0..rows)
        .step_by(each)
        .map(|first| Strip { first, rows: each.min(rows - first), pitch, kernel, padding })
        .collect()
}

/// Output channels computed together, `(first, width)`; a width above what is left is filled with zero weights.
pub(crate) fn blocks(channels: usize, widths: &[usize]) -> Vec<(usize, usize)> {
    let widest = widths[0];
    let mut result = Vec::new();
    let mut first = 0;
    while first < channels {
        let left = channels - first;
        // Two even blocks beat a full and a thin one: 12 = 6 + 6, not 8 + 4.
        let want = if left > widest && left < 2 * widest { left.div_ceil(2) } else { left.min(widest) };
        let width = widths.iter().copied().rev().find(|&w| w >= want).unwrap_or(widest);
        result.push((first, width));
        first += width;
    }
    result
}

/// Weights of one block as `[input channel][tap][lane]`, from any source order.
pub(crate) fn pack_weights(
    to: &mut Vec<f32>,
    (first, width): (usize, usize),
    [outputs, inputs, taps]: [usize; 3],
    weight: impl Fn(usize, usize, usize) -> f32,
) {
    for i in 0..inputs {
        for t in 0..taps {
            for o in first..first + width {
                to.push(if o < outputs { weight(o, i, t) } else { 0.0 });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_channels_once() {
        assert_eq!(blocks(12, &[8, 6, 4, 2, 1]), [(0, 6), (6, 6)]);
        assert_eq!(blocks(16, &[8, 6, 4, 2, 1]), [(0, 8), (8, 8)]);
        assert_eq!(blocks(3, &[8, 6, 4, 2, 1]), [(0, 4)]);
        for channels in 1..70 {
            let all = blocks(channels, &[6, 4, 2, 1]);
            let mut next = 0;
            for (first, width) in all {
                assert_eq!(first, next);
                next += width;
            }
            assert!(next >= channels && next < channels + 6);
        }
    }

    #[test]
    fn packed_taps_are_shifts() {
        let (h, w) = (5, 4);
        let x: Vec<f32> = (1..=20u8).map(f32::from).collect();
        let all = strips(5, 2, w + 1, 3, 1);
        assert_eq!(all.iter().map(|s| (s.first, s.rows)).collect::<Vec<_>>(), [(0, 2), (2, 2), (4, 1)]);
        for strip in all {
            let mut packed = vec![f32::NAN; strip.plane(16)];
            strip.pack(&x, [h, w], &mut packed);
            for (r, c, i, j) in (0..strip.rows * w * 9).map(|k| (k / 9 / w, k / 9 % w, k % 9 / 3, k % 3)) {
                let (y, z) = ((strip.first + r + i).wrapping_sub(1), (c + j).wrapping_sub(1));
                let want = if y < h && z < w { x[y * w + z] } else { 0.0 };
                assert_eq!(packed[(r + i) * strip.pitch + c + j], want);
            }
            assert!(packed.iter().all(|v| v.is_finite()));
        }
    }
}
