//! The processor that plimsoll replaces: the Node.js `TaskProcessor` that ran out of memory after days at
//! 100 tasks a second, with its event loop, its emitter and its nine leaks.
//!
//! It is written as the original was, with shared references in place of a garbage collector: a closure keeps
//! alive what it captures, and what nobody refers to any more is gone. Each leak is the original's own omission
//! and can be switched on alone by [`Leaks`]; with none of them it is a correct processor.

mod emitter;
mod event_loop;
mod options;
mod processor;
#[cfg(test)]
mod tests;

pub use emitter::{EventEmitter, ListenerId};
pub use event_loop::{EventLoop, TimerId};
pub use options::{AddOptions, Callback, Notice, Options, Settled, Subscriber, Work};
pub use processor::{Done, LastError, Promise, TaskProcessor};

/// Which of the original's omissions are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leaks {
    /// 1: `destroy` does not clear the health-check interval.
    pub health_interval: bool,
    /// 2: `destroy` does not clear the cleanup interval.
    pub cleanup_interval: bool,
    /// 3: `destroy` removes no listener from an attached source.
    pub listeners: bool,
    /// 4: a callback that was called stays in the callback map.
    pub callbacks: bool,
    /// 5: `destroy` does not clear the cache.
    pub cache_kept: bool,
    /// 6: `set_cache` does not look at `cache_size`.
    pub cache_size: bool,
    /// 7: `destroy` does not clear the subscribers.
    pub subscribers: bool,
    /// 8: the last error keeps the pending and the processing tasks.
    pub last_error: bool,
    /// 9: settling a task does not clear its time-out.
    pub timeouts: bool,
}

impl Leaks {
    /// How many there are.
    pub const COUNT: usize = 9;
    /// A correct processor.
    pub const NONE: Self = Self::from_bits(0);
    /// The original.
    pub const ALL: Self = Self::from_bits((1 << Self::COUNT) - 1);

    /// Only the leak with this number, 1 to 9.
    #[must_use]
    pub const fn only(number: usize) -> Self {
        assert!(1 <= number && number <= Self::COUNT);
        Self::from_bits(1 << (number - 1))
    }

    /// Leak `n` is bit `n - 1`.
    const fn from_bits(bits: u16) -> Self {
        Self {
            health_interval: bits & 1 != 0,
            cleanup_interval: bits & 2 != 0,
            listeners: bits & 4 != 0,
            callbacks: bits & 8 != 0,
            cache_kept: bits & 16 != 0,
            cache_size: bits & 32 != 0,
            subscribers: bits & 64 != 0,
            last_error: bits & 128 != 0,
            timeouts: bits & 256 != 0,
        }
    }
}
