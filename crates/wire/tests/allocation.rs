//! Hostile lengths must not reserve memory: a counting allocator watches the decoder.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use fovea_wire::{Bytes, from_body};

struct Watch;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes unchanged to the system allocator; only the requested size is noted.
unsafe impl GlobalAlloc for Watch {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's contract is passed on unchanged.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is passed on unchanged.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static WATCH: Watch = Watch;

#[test]
fn a_declared_length_reserves_nothing() {
    // A varint that announces 2^40 elements, then a few bytes.
    let mut hostile = vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x20];
    hostile.extend_from_slice(&[1; 40]);
    LARGEST.store(0, Ordering::Relaxed);
    assert!(from_body::<Vec<u64>>(&hostile, 64).is_err());
    assert!(from_body::<Vec<[u8; 32]>>(&hostile, 64).is_err());
    assert!(from_body::<Vec<Vec<u16>>>(&hostile, 64).is_err());
    assert!(from_body::<String>(&hostile, 64).is_err());
    assert!(from_body::<Bytes>(&hostile, 64).is_err());
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(largest <= 4096, "the decoder asked for {largest} bytes at once");
}
