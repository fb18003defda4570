//! An allocator that counts, so that "no allocation" and "no growth" are measured and not estimated.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The system's allocator, with counts. Make it the global one of a test or an example:
///
/// ```
/// use plimsoll_tests::alloc::Counting;
///
/// #[global_allocator]
/// static ALLOCATOR: Counting = Counting::new();
///
/// fn main() {
///     let before = ALLOCATOR.live();
///     let bytes = vec![0_u8; 1_000];
///     assert_eq!(ALLOCATOR.live() - before, 1_000);
///     drop(bytes);
///     assert_eq!(ALLOCATOR.live(), before);
/// }
/// ```
///
/// Bytes are those asked for; what the system adds for its own books is not seen. All threads are counted
/// together, each count by one relaxed atomic operation, so a reader that needs exact differences has to
/// keep other threads quiet.
#[derive(Debug)]
pub struct Counting {
    live: AtomicUsize,
    peak: AtomicUsize,
    allocations: AtomicU64,
}

impl Counting {
    /// All counts are zero.
    #[must_use]
    pub const fn new() -> Self {
        Self { live: AtomicUsize::new(0), peak: AtomicUsize::new(0), allocations: AtomicU64::new(0) }
    }

    /// Bytes asked for and not given back.
    #[must_use]
    pub fn live(&self) -> usize {
        self.live.load(Relaxed)
    }

    /// The most that [`live`](Self::live) has been, ever or since [`reset_peak`](Self::reset_peak).
    #[must_use]
    pub fn peak(&self) -> usize {
        self.peak.load(Relaxed)
    }

    /// Starts the peak again from the bytes that are live now.
    pub fn reset_peak(&self) {
        self.peak.store(self.live(), Relaxed);
    }

    /// How many times memory was asked for; growing or shrinking a block counts as well.
    #[must_use]
    pub fn allocations(&self) -> u64 {
        self.allocations.load(Relaxed)
    }

    fn gained(&self, bytes: usize) {
        self.allocations.fetch_add(1, Relaxed);
        self.added(bytes);
    }

    fn added(&self, bytes: usize) {
        let live = self.live.fetch_add(bytes, Relaxed) + bytes;
        if live > self.peak.load(Relaxed) {
            self.peak.fetch_max(live, Relaxed);
        }
    }

    fn lost(&self, bytes: usize) {
        self.live.fetch_sub(bytes, Relaxed);
    }
}

impl Default for Counting {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: every call goes to the system's allocator unchanged; counting neither allocates nor panics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`, which is `System`'s.
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() {
            self.gained(layout.size());
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for `alloc`.
        let block = unsafe { System.alloc_zeroed(layout) };
        if !block.is_null() {
            self.gained(layout.size());
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block came from `System` by one of the other three.
        unsafe { System.dealloc(block, layout) };
        self.lost(layout.size());
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as for `dealloc`, and the caller vouches for the new size.
        let moved = unsafe { System.realloc(block, layout, size) };
        if !moved.is_null() {
            self.gained(0);
            if size >= layout.size() {
                self.added(size - layout.size());
            } else {
                self.lost(layout.size() - size);
            }
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_every_way_to_get_and_give_back() {
        let counting = Counting::new();
        let layout = Layout::from_size_align(64, 8).unwrap();
        // SAFETY: sizes and layouts are those of the blocks, each freed once.
        unsafe {
            let plain = counting.alloc(layout);
            let zeroed = counting.alloc_zeroed(layout);
            assert_eq!((counting.live(), counting.peak(), counting.allocations()), (128, 128, 2));
            let grown = counting.realloc(plain, layout, 256);
            assert_eq!((counting.live(), counting.allocations()), (320, 3));
            let grown_layout = Layout::from_size_align(256, 8).unwrap();
            let shrunk = counting.realloc(grown, grown_layout, 16);
            assert_eq!((counting.live(), counting.peak()), (80, 320));
            counting.dealloc(zeroed, layout);
            counting.reset_peak();
            assert_eq!(counting.peak(), 16);
            counting.dealloc(shrunk, Layout::from_size_align(16, 8).unwrap());
        }
        assert_eq!((counting.live(), counting.peak(), counting.allocations()), (0, 16, 4));
    }
}
