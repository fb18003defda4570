//! A program without the standard library that drives the core by hand. It links only if nothing under the
//! core pulls `std` in, which would bring a second panic handler. Its exit status is 0 if everything is as it
//! should be; otherwise it is the number of the check that failed.

#![no_std]
#![no_main]

use core::alloc::{GlobalAlloc, Layout};
use core::ffi::{c_int, c_void};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use core::time::Duration;

use plimsoll_core::{
    Drain, Effect, Instant, Limits, Offer, Outcome, Plan, Processor, Route, Terms, Timeouts, Wake,
};

/// A host without threads, clocks or wakers.
struct Bare;

impl Plan for Bare {
    type Job = u32;
    type Output = u32;
    type Error = ();
    type Panic = ();
    type Meta = ();
    type Callback = u8;
    type Waiter = ();
    type Listener = ();
    type Key = u32;
    type Value = u32;
}

#[unsafe(no_mangle)]
extern "C" fn main(_: c_int, _: *const *const u8) -> c_int {
    match run() {
        Ok(()) => 0,
        Err(check) => check,
    }
}

/// The number of the first check that fails.
fn run() -> Result<(), c_int> {
    let mut limits = Limits::default();
    limits.queue = 4;
    limits.concurrency = 1;
    let mut processor = Processor::<Bare>::new(limits, Instant::ZERO).map_err(|_| 1)?;
    let allocations = ALLOCATIONS.load(Relaxed);

    let limit = Some(Duration::from_millis(10));
    let terms = Terms::new().timeouts(Timeouts { start_to_close: limit, ..Timeouts::NONE });
    let offer = |job| Offer::new(job, ()).route(Route::Callback(7));
    processor.submit(Instant::ZERO, offer(20), &terms).map_err(|_| 2)?;
    processor.submit(Instant::ZERO, offer(30), &terms).map_err(|_| 3)?;

    // The first attempt completes, the second runs for too long.
    let start = processor.start_next(Instant::ZERO).ok_or(4)?;
    processor.completed(Instant::from_millis(1), start.attempt, start.job + 1).map_err(|_| 5)?;
    let slow = processor.start_next(Instant::from_millis(1)).ok_or(6)?;
    let settled = settlement(&mut processor).ok_or(7)?;
    check(8, settled == (7, Outcome::Completed(21)))?;
    let Wake::At(wake, _) = processor.next_wake() else { return Err(9) };
    check(10, wake == Instant::from_millis(11))?;
    while processor.advance(wake, 16).more {}
    check(11, settlement(&mut processor) == Some((7, Outcome::TimedOut)))?;
    check(12, processor.census().orphans == 1)?;
    let _ = processor.stopped(wake, slow.attempt, None).map_err(|_| 13)?;

    processor.drain(wake, Drain::Abort);
    while processor.advance(wake, 16).more {}
    let mut drained = false;
    while let Some(effect) = processor.poll_effect() {
        drained = matches!(effect, Effect::Drained);
    }
    check(14, drained && processor.census().is_empty())?;
    check(15, ALLOCATIONS.load(Relaxed) == allocations)
}

/// The next callback with its outcome; attempts that are to stop are passed over.
fn settlement(processor: &mut Processor<Bare>) -> Option<(u8, Outcome<u32, ()>)> {
    loop {
        match processor.poll_effect()? {
            Effect::Settle(settlement) => return Some((settlement.callback?, settlement.outcome)),
            _ => continue,
        }
    }
}

fn check(number: c_int, holds: bool) -> Result<(), c_int> {
    if holds { Ok(()) } else { Err(number) }
}

/// The C library's allocator, with a count.
struct Malloc;

#[global_allocator]
static MALLOC: Malloc = Malloc;
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

#[link(name = "c")]
unsafe extern "C" {
    fn aligned_alloc(align: usize, size: usize) -> *mut c_void;
    fn free(block: *mut c_void);
    fn abort() -> !;
}

// SAFETY: `aligned_alloc` and `free` fulfil the contract, given a size that is a multiple of the alignment.
unsafe impl GlobalAlloc for Malloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // C asks for a multiple of a pointer's alignment.
        let Ok(layout) = layout.align_to(align_of::<usize>()) else { return core::ptr::null_mut() };
        let layout = layout.pad_to_align();
        // SAFETY: the alignment is a power of two and divides the size.
        unsafe { aligned_alloc(layout.align(), layout.size()).cast() }
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the block came from `alloc`.
        unsafe { free(block.cast()) }
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: it has no precondition.
    unsafe { abort() }
}

/// The toolchain's `alloc` was built to unwind and names this. Panics abort here, so nobody calls it.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
