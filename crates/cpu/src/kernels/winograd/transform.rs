//! Tiles of planes to the Winograd domain, one tile per lane.
//!
//! A transform of a square is one of its rows, then one of its columns. The first is done once for every image row, though tiles of
//! inputs overlap: with `F` the number of tiles of a piece, results lie as `[row of the tile 0..4][point of the row 0..6][tile]`, and as
//! rows 4 and 5 of a tile are rows 0 and 1 of the tile below it, they are read from the same place one row of tiles further on.

use super::POINTS;
use super::lines::{Gradient, Input, Line};
use super::tiles::{Piece, REGISTERS, Run, Tiles};
use crate::kernels::share::Parts;
use crate::kernels::simd::{Simd, per_isa};

/// Most lanes of a register.
const LANES: usize = 16;

/// Places in the Winograd domain: point `p` of register `r` of a chunk is `lanes` floats at
/// `p * plane + (r / 2 * channels + channel) * 2 * lanes + r % 2 * lanes`.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) plane: usize,
    pub(super) channels: usize,
    pub(super) channel: usize,
}

impl Place {
    /// First float of a register at point 0.
    pub(super) fn start(&self, register: usize, lanes: usize) -> usize {
        let (group, half) = (register / REGISTERS, register % REGISTERS);
        ((group * self.channels + self.channel) * REGISTERS + half) * lanes
    }
}

/// Floats of each of the 24 lists of tiles for a piece of so many: its tiles and as many or a row of them below, each with a register
/// behind them.
fn list_floats(tiles: usize, below: usize, lanes: usize) -> usize {
    tiles.next_multiple_of(lanes) + below + 2 * lanes
}

/// Floats of scratch memory for the pieces of a chunk of `registers`.
pub(super) fn scratch_floats(tiles: &Tiles, registers: usize) -> usize {
    let most = registers * tiles.lanes;
    24 * list_floats(most, most.min(tiles.columns + tiles.lanes), tiles.lanes)
}

per_isa! {
    /// B^T d B of the inputs of a piece's tiles: 6 x 6 pixels, one before and one behind the 4 x 4.
    /// Of the two planes the second is the one that this thread transforms next.
    ///
    /// # Safety
    /// No other task may use the piece's place in `to` meanwhile.
    unsafe fn inputs(
        planes: [&[f32]; 2], tiles: &Tiles, piece: &Piece, to: &Parts<'_>, place: Place, scratch: &mut [f32],
    ) = forward_inputs;
}

per_isa! {
    /// G g G^T of the output gradients of a piece's tiles: 4 x 4 pixels, planes as for [`inputs`].
    ///
    /// # Safety
    /// No other task may use the piece's place in `to` meanwhile.
    unsafe fn gradients(
        planes: [&[f32]; 2], tiles: &Tiles, piece: &Piece, to: &Parts<'_>, place: Place, scratch: &mut [f32],
    ) = forward_gradients;
}

/// # Safety
/// As for [`inputs`], and must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn forward_inputs<V: Simd>(
    planes: [&[f32]; 2],
    tiles: &Tiles,
    piece: &Piece,
    to: &Parts<'_>,
    place: Place,
    scratch: &mut [f32],
) {
    // SAFETY: as for this function.
    unsafe { forward::<V, Input, 6>(planes, tiles, piece, to, place, scratch) }
}

/// # Safety
/// As for [`gradients`], and must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn forward_gradients<V: Simd>(
    planes: [&[f32]; 2],
    tiles: &Tiles,
    piece: &Piece,
    to: &Parts<'_>,
    place: Place,
    scratch: &mut [f32],
) {
    // SAFETY: as for this function.
    unsafe { forward::<V, Gradient, 4>(planes, tiles, piece, to, place, scratch) }
}

/// Squares of `I` pixels, each four pixels from the one before. Lanes beyond the piece's last tile become zeros for gradients, and
/// some finite numbers for inputs, if those are finite.
///
/// # Safety
/// No other task may use the piece's place in `to` meanwhile; must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn forward<V: Simd, L: Line<I, 6>, const I: usize>(
    planes: [&[f32]; 2],
    tiles: &Tiles,
    piece: &Piece,
    to: &Parts<'_>,
    place: Place,
    scratch: &mut [f32],
) {
    let list = list_floats(piece.tiles, piece.below, V::LANES);
    assert!(tiles.lanes == V::LANES && V::LANES <= LANES && scratch.len() >= 24 * list);
    let lists = &mut scratch[..24 * list];
    for row in 0..4 {
        let lists = &mut lists[row * 6 * list..(row + 1) * 6 * list];
        let runs = if row + 4 < I { &piece.lower } else { &piece.own };
        // SAFETY: compiled for `V`.
        unsafe { rows::<V, L, I>(planes, tiles.extent, runs, row, lists) };
    }
    for r in 0..piece.tiles.div_ceil(V::LANES) {
        let start = place.start(piece.register + r, V::LANES);
        // SAFETY: compiled for `V`; reads stay inside the lists, which hold the padded tiles and `below` more; the parts are this task's
        // alone by the caller's promise.
        unsafe {
            // One check for all 36 points, whose places grow.
            let last = (POINTS - 1) * place.plane + start;
            to.part(last..last + V::LANES);
            let out = to.part(start..start + V::LANES).as_mut_ptr();
            for point in 0..6 {
                let mut column = [V::splat(0.0); I];
                for (i, pixel) in column.iter_mut().enumerate() {
                    let at = ((i % 4) * 6 + point) * list + r * V::LANES + i / 4 * piece.below;
                    *pixel = V::load(lists.as_ptr().add(at));
                }
                let values = L::apply(column);
                for (q, value) in values.iter().enumerate() {
                    value.store(out.add((q * 6 + point) * place.plane));
                }
            }
        }
    }
}

/// Transforms row `row` of the tiles of some runs along the row, to six lists; a register of zeros follows where the next run does not.
///
/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn rows<V: Simd, L: Line<I, 6>, const I: usize>(
    [plane, ahead]: [&[f32]; 2],
    [h, w]: [usize; 2],
    runs: &[Run],
    row: usize,
    lists: &mut [f32],
) {
    let (halo, list) = ((I - 4) / 2, lists.len() / 6);
    for (index, run) in runs.iter().enumerate() {
        let (at, behind) = (run.at, run.at + run.tiles);
        assert!(behind + V::LANES <= list);
        // Wraps below zero at the image's upper edge.
        let y = (4 * run.row + row).wrapping_sub(halo);
        if y >= h {
            for point in 0..6 {
                lists[point * list + at..][..run.tiles + V::LANES].fill(0.0);
            }
            continue;
        }
        let (left, end) = (y * w, (y + 1) * w);
        let (start, registers) = (left + 4 * run.column, run.tiles.div_ceil(V::LANES));
        // SAFETY: compiled for `V`; a register of results starts inside the run and so ends at most a register behind it, as
        // the zeros do.
        unsafe {
            let zero = V::splat(0.0);
            let mut before = if start > left { V::splat(plane[start - 1]) } else { zero };
            let mut own = phases::<V>(plane, start, end);
            for r in 0..registers {
                // A plane's part is too short for the processor to see the stream, so it is asked for one plane ahead.
                let same = ahead.as_ptr().wrapping_add(start + 4 * r * V::LANES);
                for line in (0..4 * V::LANES).step_by(16) {
                    V::prefetch(same.wrapping_add(line));
                }
                // A run that ends within a row needs the pixel behind it, in the lane behind its last tile.
                let next = phases::<V>(plane, start + 4 * (r + 1) * V::LANES, end);
                let mut values = [zero; I];
                if I > 4 {
                    values[0] = own[3].up(before);
                    values[5 % I] = own[0].down(next[0]);
                }
                for (i, own) in own.iter().enumerate() {
                    values[i + halo] = *own;
                }
                let points = L::apply(values);
                for (point, value) in points.iter().enumerate() {
                    value.store(lists.as_mut_ptr().add(point * list + at + r * V::LANES));
                }
                (before, own) = (own[3], next);
            }
            if runs.get(index + 1).is_none_or(|next| next.at != behind) {
                for point in 0..6 {
                    V::splat(0.0).store(lists.as_mut_ptr().add(point * list + behind));
                }
            }
        }
    }
}

/// Phases of the pixels `start..end` of a plane, zeros behind them.
///
/// # Safety
/// Must be inlined into code compiled for `V`.
#[inline(always)]
unsafe fn phases<V: Simd>(plane: &[f32], start: usize, end: usize) -> [V; 4] {
    let wanted = 4 * V::LANES;
    // SAFETY: compiled for `V`; `wanted` floats lie in the plane, or in the array.
    unsafe {
        if start + wanted <= end {
            return V::load_phases(plane.as_ptr().add(start));
        }
        if start >= end {
            return [V::splat(0.0); 4];
        }
        if start + wanted <= plane.len() {
            let mut phases = V::load_phases(plane.as_ptr().add(start));
            for (i, phase) in phases.iter_mut().enumerate() {
                *phase = phase.keep((end - start + 3 - i) / 4);
            }
            return phases;
        }
        let mut line = [0f32; 4 * LANES];
        line[..end - start].copy_from_slice(&plane[start..end]);
        V::load_phases(line.as_ptr())
    }
}
