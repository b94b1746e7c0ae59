//! Weight gradient: F(3x3, 4x4), with tiles of the output's gradient as filters.
//!
//! Inputs and gradients of a chunk of tiles are transformed, then each of the 36 points is one matrix product over tiles that
//! adds to its own sums. Small layers are cut into a fixed number of shares, each with sums of its own that are added in order at
//! the end; in large ones all threads work on the same chunk, and chunks follow one another. Either way the bits depend on no
//! thread.

use super::contract::{self, Contraction};
use super::tiles::{Piece, REGISTERS, Tiles};
use super::transform::{self, Place};
use super::weights::{self, Sums};
use super::{POINTS, each, plane, zero_odd_register};
use crate::kernels::correlate::Correlation;
use crate::kernels::outer::add;
use crate::kernels::planes::Planes;
use crate::kernels::share::{Parts, with_scratch};
use crate::kernels::simd::lanes;
use rayon::prelude::*;
use std::ops::Range;

/// Floats of the transformed tiles, and least number of tiles, of a chunk that one thread works on alone.
const OWN_CHUNK: [usize; 2] = [160 * 1024, 64];
/// The same of a chunk that all threads share. Over the 256 x 768 gradient of the published network, chunks of 16, 64, 128 and 256 tiles
/// ran at 180, 243, 280 and 433 GFLOP/s (two Zen 3 cores, one run).
const SHARED_CHUNK: [usize; 2] = [1 << 20, 256];
/// All sums of the shares together take at most so many floats.
const SUMS_FLOATS: usize = 1 << 19;
/// Most shares.
const SHARES: usize = 16;

/// Writes `(outputs, inputs, 3, 3)` to `dw`; `o` has kernel 3 and padding 1.
pub(crate) fn grad_weight(o: &Correlation, x: Planes<'_>, dy: &[f32], dw: &mut [f32]) {
    let work = Work::new(o, x, dy);
    let sums = work.sums();
    let size = POINTS * sums.plane;
    let shares = (SUMS_FLOATS / size).min(SHARES);
    if shares < 4 {
        let chunk = work.chunk(SHARED_CHUNK);
        with_scratch(size + work.floats(chunk), |scratch| {
            let (m, scratch) = scratch.split_at_mut(size);
            for index in 0..work.tiles.registers().div_ceil(chunk) {
                work.add(work.tiles.chunk_at(index, chunk), true, index > 0, scratch, m);
            }
            weights::inverse(sums, m, dw);
        });
        return;
    }
    let chunk = work.chunk(OWN_CHUNK);
    let chunks = work.tiles.registers().div_ceil(chunk);
    let shares = shares.min(chunks);
    with_scratch(shares * size, |all| {
        all.par_chunks_mut(size).enumerate().for_each(|(share, m)| {
            with_scratch(work.floats(chunk), |scratch| {
                let first = chunks * share / shares;
                for index in first..chunks * (share + 1) / shares {
                    work.add(work.tiles.chunk_at(index, chunk), false, index > first, scratch, m);
                }
            });
        });
        let (m, others) = all.split_at_mut(size);
        for other in others.chunks_exact(size) {
            add(other, m);
        }
        weights::inverse(sums, m, dw);
    });
}

/// The operands of one weight gradient.
struct Work<'a> {
    tiles: Tiles,
    x: Planes<'a>,
    dy: Planes<'a>,
    /// Whether rows of the sums are outputs and columns inputs, or the other way round.
    rows_are_outputs: bool,
}

impl<'a> Work<'a> {
    fn new(o: &Correlation, x: Planes<'a>, dy: &'a [f32]) -> Self {
        let tiles = Tiles::new(o.images, o.output, lanes());
        // Columns are transposed and fill whole registers; cycles per register of tiles, from a transposition of 16 cycles and two
        // multiply-adds per cycle.
        let cost =
            |rows: usize, columns: usize| columns.div_ceil(tiles.lanes) * (16 + rows * tiles.lanes / 2);
        let rows_are_outputs = cost(o.outputs, o.inputs) <= cost(o.inputs, o.outputs);
        Work { tiles, x, dy: Planes::new(dy, o.outputs, o.output), rows_are_outputs }
    }

    fn sums(&self) -> Sums {
        let (inputs, outputs) = (self.x.channels(), self.dy.channels());
        let (rows, columns) = if self.rows_are_outputs { (outputs, inputs) } else { (inputs, outputs) };
        let pitch = columns.next_multiple_of(self.tiles.lanes);
        Sums { rows, columns, pitch, plane: plane(rows * pitch), rows_are_outputs: self.rows_are_outputs }
    }

    /// Registers per chunk of so many floats, or at least so many tiles.
    fn chunk(&self, [floats, least]: [usize; 2]) -> usize {
        self.tiles.chunk((floats / (POINTS * (self.x.channels() + self.dy.channels()))).max(least))
    }

    /// Floats from point to point of a chunk of `registers`, with a square for the transposition to read beyond the last channel.
    fn plane(&self, registers: usize, channels: usize) -> usize {
        let lanes = self.tiles.lanes;
        plane((registers.div_ceil(REGISTERS) * channels + lanes) * self.tiles.group())
    }

    /// Floats of scratch memory for a chunk of `registers`.
    fn floats(&self, registers: usize) -> usize {
        POINTS * (self.plane(registers, self.x.channels()) + self.plane(registers, self.dy.channels()))
    }

    /// Adds the products of a chunk to `m`, or starts it with `keep` false.
    fn add(&self, registers: Range<usize>, together: bool, keep: bool, scratch: &mut [f32], m: &mut [f32]) {
        let count = registers.len();
        let pieces = self.tiles.pieces(registers);
        let planes = [self.plane(count, self.x.channels()), self.plane(count, self.dy.channels())];
        let (v, rest) = scratch.split_at_mut(POINTS * planes[0]);
        let g = &mut rest[..POINTS * planes[1]];
        self.transform(count, &pieces, together, planes, [v, g]);
        let (v, g) = (&*v, &*g);
        let sums = self.sums();
        let parts = Parts::new(m);
        let groups = count.div_ceil(REGISTERS);
        each(together, POINTS, |point| {
            let (v, g) = (&v[point * planes[0]..][..planes[0]], &g[point * planes[1]..][..planes[1]]);
            let (a, b) = if self.rows_are_outputs { (g, v) } else { (v, g) };
            let Sums { rows, columns, pitch, .. } = sums;
            let start = point * sums.plane;
            with_scratch(contract::SCRATCH, |scratch| {
                // SAFETY: each point is one task's alone.
                let sums = unsafe { parts.part(start..start + rows * pitch) };
                Contraction { a, b, groups, rows, columns, pitch, keep }.run(self.tiles.lanes, scratch, sums);
            });
        });
    }

    /// Inputs and gradients of the pieces to the Winograd domain.
    fn transform(
        &self,
        registers: usize,
        pieces: &[Piece],
        together: bool,
        planes: [usize; 2],
        to: [&mut [f32]; 2],
    ) {
        let [v, g] = to.map(Parts::new);
        let (ins, outs) = (self.x.channels(), self.dy.channels());
        let floats = transform::scratch_floats(&self.tiles, registers);
        each(together, ins + outs, |task| {
            with_scratch(floats, |scratch| {
                let (parts, plane, channels, channel) =
                    if task < ins { (&v, planes[0], ins, task) } else { (&g, planes[1], outs, task - ins) };
                let place = Place { plane, channels, channel };
                for piece in pieces {
                    // SAFETY: each channel of each side is one task's alone.
                    unsafe {
                        if task < ins {
                            let pixels = self.x.plane_and_next(piece.image, channel);
                            transform::inputs(pixels, &self.tiles, piece, parts, place, scratch);
                        } else {
                            let pixels = self.dy.plane_and_next(piece.image, channel);
                            transform::gradients(pixels, &self.tiles, piece, parts, place, scratch);
                        }
                    }
                }
                // SAFETY: as above.
                unsafe { zero_odd_register(registers, self.tiles.lanes, parts, place) };
            });
        });
    }
}
