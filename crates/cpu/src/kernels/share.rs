//! What parallel tasks share: an output that each writes in its own part, and scratch memory per thread.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::Range;

/// A slice that tasks write at places which they own by construction.
pub(crate) struct Parts<'a> {
    start: *mut f32,
    length: usize,
    lifetime: PhantomData<&'a mut [f32]>,
}

// SAFETY: tasks get slices through the unsafe `part` alone, whose contract forbids overlap.
unsafe impl Send for Parts<'_> {}
// SAFETY: as above.
unsafe impl Sync for Parts<'_> {}

impl<'a> Parts<'a> {
    pub(crate) fn new(slice: &'a mut [f32]) -> Self {
        Parts { start: slice.as_mut_ptr(), length: slice.len(), lifetime: PhantomData }
    }

    /// One part to write.
    ///
    /// # Safety
    /// No two parts alive at one time may overlap.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &mut [f32] {
        assert!(range.start <= range.end && range.end <= self.length, "part outside of the slice");
        // SAFETY: inside the slice (checked), and disjoint from other live parts by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}

thread_local! {
    /// Scratch memory not in use; one more buffer for each level of nesting.
    static SCRATCH: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Floats of one cache line.
const LINE: usize = 16;

/// Calls `f` with this thread's scratch memory of `floats`, aligned to a cache line and holding anything. Calls may nest, also by
/// a task that this thread runs while it waits for others.
pub(crate) fn with_scratch<R>(floats: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut buffer = SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_default();
    if buffer.len() < floats + LINE {
        // Not grown in place: the old content need not be copied.
        buffer = vec![0.0; floats + LINE];
    }
    let start = buffer.as_ptr().align_offset(4 * LINE).min(LINE);
    let result = f(&mut buffer[start..start + floats]);
    SCRATCH.with_borrow_mut(|free| free.push(buffer));
    result
}
