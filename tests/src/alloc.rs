//! An allocator that counts, so that "no allocation" and "no growth" are measured and not estimated.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator, with counts. Make it the global one of a test or an example:
///
/// ```
/// use plimsoll_tests::alloc::{Counting, here};
///
/// #[global_allocator]
/// static ALLOCATOR: Counting = Counting::new();
///
/// fn main() {
///     let before = here();
///     let bytes = vec![0_u8; 1_000];
///     assert_eq!(here().live - before.live, 1_000);
///     drop(bytes);
///     assert_eq!((here().live, here().allocations), (before.live, before.allocations + 1));
///     assert!(ALLOCATOR.live() > 0);
/// }
/// ```
///
/// Bytes are those asked for; what the system adds for its own books is not seen. The process is counted by one relaxed
/// atomic operation, each thread by itself.
#[derive(Debug)]
pub struct Counting {
    live: AtomicUsize,
}

/// What one thread has asked for and given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes that it asked for, less those that it gave back. Below zero if it frees what other threads have allocated.
    pub live: isize,
    /// The most that `live` has been, ever or since [`reset_peak`].
    pub peak: isize,
    /// How many times it asked for memory; growing or shrinking a block counts as well.
    pub allocations: u64,
}

thread_local! {
    // Neither initialised at its first use nor dropped: so an allocator may use it.
    static HERE: Cell<Counts> = const { Cell::new(Counts { live: 0, peak: 0, allocations: 0 }) };
}

/// The counts of the calling thread, which are exact whatever other threads do meanwhile.
#[must_use]
pub fn here() -> Counts {
    HERE.get()
}

/// Starts the peak of the calling thread again from the bytes that are live now.
pub fn reset_peak() {
    HERE.set(Counts { peak: here().live, ..here() });
}

impl Counting {
    /// Nothing is live.
    #[must_use]
    pub const fn new() -> Self {
        Self { live: AtomicUsize::new(0) }
    }

    /// Bytes asked for and not given back, by all threads together. A reader that needs exact differences has to keep
    /// other threads quiet, or to count its own thread: see [`here`].
    #[must_use]
    pub fn live(&self) -> usize {
        self.live.load(Relaxed)
    }

    /// A block of `before` bytes, or none, is one of `after` bytes now.
    fn gained(&self, before: usize, after: usize) {
        // A block that has shrunk adds a negative number.
        self.live.fetch_add(after.wrapping_sub(before), Relaxed);
        let Counts { live, peak, allocations } = here();
        let live = live.wrapping_add_unsigned(after).wrapping_sub_unsigned(before);
        HERE.set(Counts { live, peak: peak.max(live), allocations: allocations + 1 });
    }

    fn lost(&self, bytes: usize) {
        self.live.fetch_sub(bytes, Relaxed);
        HERE.set(Counts { live: here().live.wrapping_sub_unsigned(bytes), ..here() });
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
            self.gained(0, layout.size());
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for `alloc`.
        let block = unsafe { System.alloc_zeroed(layout) };
        if !block.is_null() {
            self.gained(0, layout.size());
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
            self.gained(layout.size(), size);
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_every_way_to_get_and_give_back() {
        let (counting, before) = (Counting::new(), here());
        let counts = || {
            let Counts { live, peak, allocations } = here();
            assert_eq!(counting.live() as isize, live - before.live);
            (live - before.live, peak - before.live, allocations - before.allocations)
        };
        let layout = Layout::from_size_align(64, 8).unwrap();
        reset_peak();
        // SAFETY: sizes and layouts are those of the blocks, each freed once.
        unsafe {
            let plain = counting.alloc(layout);
            let zeroed = counting.alloc_zeroed(layout);
            assert_eq!(counts(), (128, 128, 2));
            let grown = counting.realloc(plain, layout, 256);
            assert_eq!(counts(), (320, 320, 3));
            let grown_layout = Layout::from_size_align(256, 8).unwrap();
            let shrunk = counting.realloc(grown, grown_layout, 16);
            assert_eq!(counts(), (80, 320, 4));
            counting.dealloc(zeroed, layout);
            reset_peak();
            assert_eq!(counts(), (16, 16, 4));
            counting.dealloc(shrunk, Layout::from_size_align(16, 8).unwrap());
        }
        assert_eq!(counts(), (0, 16, 4));
    }

    #[test]
    fn a_thread_does_not_count_what_another_does() {
        static COUNTING: Counting = Counting::new();
        let layout = Layout::from_size_align(64, 8).unwrap();
        let before = here();
        let other = move || {
            // SAFETY: a layout of 64 bytes; this test leaves the block to the system.
            let block = unsafe { COUNTING.alloc(layout) };
            assert!(!block.is_null());
            here().live
        };
        assert_eq!(std::thread::spawn(other).join().unwrap(), 64);
        assert_eq!((here(), COUNTING.live()), (before, 64));
    }
}
