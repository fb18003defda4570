//! What is left in the process after an episode.

use std::time::Duration;

use plimsoll_tests::alloc::Counting;

use crate::world::wait_until;

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

/// How many bytes all episodes together may leave behind, for what runtimes and the standard library keep for good.
const SLACK: usize = 8 * 1024;

/// Bytes and threads of the process when nothing runs.
pub struct Baseline {
    live: usize,
    threads: Option<usize>,
}

impl Baseline {
    /// What there is now.
    pub fn now() -> Self {
        Self { live: ALLOCATOR.live(), threads: threads() }
    }

    /// How many threads there are too many, after some time for them to end.
    pub fn threads_left(&self, patience: Duration) -> Option<usize> {
        let before = self.threads?;
        let is_less = || threads().is_none_or(|now| now <= before);
        if wait_until(patience, is_less) { None } else { threads()?.checked_sub(before) }
    }

    /// Bytes in use.
    pub fn live() -> usize {
        ALLOCATOR.live()
    }

    /// How many bytes more there are than may be, after some time for threads to free theirs. What one episode leaves
    /// may be too little to be seen, what all of them leave is not.
    pub fn bytes_left(&mut self, patience: Duration) -> Option<usize> {
        let grown = || ALLOCATOR.live().saturating_sub(self.live);
        if wait_until(patience, || grown() <= SLACK) {
            self.live = self.live.min(ALLOCATOR.live());
            return None;
        }
        Some(grown())
    }
}

/// The threads of this process, where the system tells.
fn threads() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}
