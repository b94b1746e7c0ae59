//! Tiles from the Winograd domain to planes, through bias and activation.

use super::POINTS;
use super::lines::{Line, Output};
use super::tiles::{Piece, Tiles};
use super::transform::Place;
use crate::kernels::correlate::{Epilogue, finish_row};
use crate::kernels::share::Parts;
use crate::kernels::simd::{Simd, per_isa};

/// Where a plane of outputs goes.
pub(super) struct Target<'a> {
    /// `(N, channels, H, W)`.
    pub(super) data: &'a Parts<'a>,
    /// First pixel of the plane.
    pub(super) start: usize,
    pub(super) bias: f32,
    pub(super) epilogue: Epilogue<'a>,
}

/// Floats of scratch memory for the pieces of a chunk of `registers`.
pub(super) fn scratch_floats(tiles: &Tiles, registers: usize) -> usize {
    16 * registers * tiles.lanes
}

per_isa! {
    /// A^T m A of a piece's tiles.
    ///
    /// # Safety
    /// No other task may use the piece's pixels in `y` meanwhile.
    unsafe fn outputs(m: &[f32], place: Place, tiles: &Tiles, piece: &Piece, y: &Target<'_>, scratch: &mut [f32])
        = inverse;
}

/// # Safety
/// As for [`outputs`], and must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn inverse<V: Simd>(
    m: &[f32],
    place: Place,
    tiles: &Tiles,
    piece: &Piece,
    y: &Target<'_>,
    scratch: &mut [f32],
) {
    let registers = piece.tiles.div_ceil(V::LANES);
    let wide = 4 * registers * V::LANES;
    let last = place.start(piece.register + registers - 1, V::LANES);
    assert!(tiles.lanes == V::LANES && scratch.len() >= 4 * wide);
    assert!((POINTS - 1) * place.plane + last + V::LANES <= m.len());
    for r in 0..registers {
        // SAFETY: compiled for `V`; reads stay below the end of `m` and writes in four rows of `wide` floats, as asserted above.
        unsafe {
            let from = m.as_ptr().add(place.start(piece.register + r, V::LANES));
            let mut half = [[V::splat(0.0); 6]; 4];
            for point in 0..6 {
                let mut column = [V::splat(0.0); 6];
                for (q, value) in column.iter_mut().enumerate() {
                    *value = V::load(from.add((q * 6 + point) * place.plane));
                }
                let values = Output::apply(column);
                for (row, value) in half.iter_mut().zip(values) {
                    row[point] = value;
                }
            }
            for (row, half) in half.iter().enumerate() {
                let to = scratch.as_mut_ptr().add(row * wide + 4 * r * V::LANES);
                V::store_phases(Output::apply(*half), to);
            }
        }
    }
    let [h, w] = tiles.extent;
    for run in &piece.own {
        let width = (4 * run.tiles).min(w - 4 * run.column);
        for row in 0..4.min(h - 4 * run.row) {
            let start = y.start + (4 * run.row + row) * w + 4 * run.column;
            // SAFETY: pixels of this piece, this task's alone by the caller's promise.
            let to = unsafe { y.data.part(start..start + width) };
            finish_row(&scratch[row * wide + 4 * run.at..][..width], y.bias, y.epilogue.activation, to);
        }
    }
}
