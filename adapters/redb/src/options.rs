//! How a queue is opened.

use std::time::Duration;

/// How a queue is opened.
///
/// ```
/// use plimsoll_redb::Options;
/// use std::time::Duration;
///
/// let options = Options::new().remember(Duration::from_secs(600)).cache(64 << 20);
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Options {
    pub(crate) remember: Duration,
    cache: usize,
    pub(crate) payload: usize,
    check: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// The defaults.
    pub const fn new() -> Self {
        Self { remember: Duration::ZERO, cache: 16 << 20, payload: 1 << 20, check: true }
    }

    /// Sets for how long the identity of a job is remembered after it was done. Default: not at all.
    pub const fn remember(self, time: Duration) -> Self {
        Self { remember: time, ..self }
    }

    /// Sets the bytes of redb's cache. Default: 16 MiB.
    pub const fn cache(self, bytes: usize) -> Self {
        Self { cache: bytes, ..self }
    }

    /// Sets how large the payload of a job may be, in bytes. Default: 1 MiB.
    pub const fn payload(self, most: usize) -> Self {
        Self { payload: most, ..self }
    }

    /// Sets whether the whole file is checked when it is opened, so that one that was damaged outside is refused. Reads it once.
    /// Default: yes.
    pub const fn check(self, check: bool) -> Self {
        Self { check, ..self }
    }

    pub(crate) fn builder(self) -> redb::Builder {
        let mut builder = redb::Builder::new();
        builder.set_cache_size(self.cache).set_check_integrity_on_open(self.check);
        builder
    }
}
