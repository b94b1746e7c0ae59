//! The executor's memory: one cache-aligned block, lent out as disjoint slices.

use std::ops::Range;

/// One cache line of floats; gives the arena its alignment.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Cache-aligned floats, zero at first.
pub(crate) struct Arena {
    lines: Vec<Line>,
}

impl Arena {
    pub(crate) fn new(floats: usize) -> Self {
        Arena { lines: vec![Line([0.0; 16]); floats.div_ceil(16)] }
    }

    pub(crate) fn floats(&self) -> &[f32] {
        // SAFETY: `Line` is sixteen floats with no padding (64 bytes, align 64), so the block is 16 times as many floats.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.lines.len() * 16) }
    }

    pub(crate) fn floats_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `floats`, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.lines.len() * 16) }
    }

    /// Slices to read and slices to write at the same time.
    ///
    /// # Panics
    /// When a range lies outside, or a written range overlaps any other: the planner never makes such a plan.
    pub(crate) fn lend(
        &mut self,
        reads: &[Range<usize>],
        writes: &[Range<usize>],
    ) -> (Vec<&[f32]>, Vec<&mut [f32]>) {
        let all = self.floats_mut();
        let apart = |a: &Range<usize>, b: &Range<usize>| a.end <= b.start || b.end <= a.start;
        for (i, w) in writes.iter().enumerate() {
            let free = reads.iter().chain(&writes[..i]).all(|other| apart(w, other));
            assert!(
                free && w.start <= w.end && w.end <= all.len(),
                "plan gives one place to two live values"
            );
        }
        assert!(reads.iter().all(|r| r.start <= r.end && r.end <= all.len()), "plan leaves the arena");
        let base = all.as_mut_ptr();
        // SAFETY: all ranges lie inside the block; written ranges overlap nothing else (both checked above), so the shared and
        // the exclusive slices are disjoint; their lifetime is that of the exclusive borrow of `self`.
        unsafe {
            let read = reads.iter().map(|r| std::slice::from_raw_parts(base.add(r.start), r.len())).collect();
            let write =
                writes.iter().map(|r| std::slice::from_raw_parts_mut(base.add(r.start), r.len())).collect();
            (read, write)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lends_disjoint_slices() {
        let mut arena = Arena::new(40);
        assert_eq!(arena.floats().len(), 48);
        let (reads, mut writes) = arena.lend(&[0..8, 4..8], &[16..32, 40..48]);
        writes[0].fill(2.0);
        assert_eq!(reads[0].iter().sum::<f32>(), 0.0);
        assert_eq!(arena.floats()[16..32].iter().sum::<f32>(), 32.0);
    }

    #[test]
    #[should_panic(expected = "one place to two")]
    fn refuses_overlap() {
        Arena::new(32).lend(&[0..8, 12..16], &[20..24, 7..9]);
    }
}
