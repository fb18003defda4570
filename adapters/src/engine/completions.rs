//! Where workers leave the results of tasks that go to a completion queue.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use super::lock::Lock;
use crate::settlement::Settlement;
use crate::work::AnyWork;

/// The results that were not taken yet. They are left under the machine's lock, so its own has none below it, no code of a user runs under it, and
/// nobody sleeps while holding it: it is only held to move values.
pub(crate) struct Completions<W: AnyWork> {
    left: Lock<Left<W>>,
    /// Whether results are there, so that who looks for them in vain takes no lock.
    has_some: AtomicBool,
}

struct Left<W: AnyWork> {
    settled: VecDeque<Settlement<W>>,
    /// Of whom waits for results while there are none.
    waker: Option<Waker>,
    /// Nobody will take any: the queue was dropped.
    is_closed: bool,
}

impl<W: AnyWork> Completions<W> {
    /// With this list, which never grows.
    pub(crate) const fn new(settled: VecDeque<Settlement<W>>) -> Self {
        let left = Left { settled, waker: None, is_closed: false };
        Self { left: Lock::new(left), has_some: AtomicBool::new(false) }
    }

    /// Whether results are there. One atomic load.
    pub(crate) fn has_some(&self) -> bool {
        self.has_some.load(Ordering::SeqCst)
    }

    /// Leaves a result: the waker to be woken, if somebody waits. It comes back if nobody will take it, to be dropped without
    /// a lock.
    pub(crate) fn push(&self, settled: Settlement<W>) -> Result<Option<Waker>, Settlement<W>> {
        let mut left = self.left.lock();
        if left.is_closed {
            return Err(settled);
        }
        left.settled.push_back(settled);
        self.has_some.store(true, Ordering::SeqCst);
        Ok(left.waker.take())
    }

    /// Takes all results, in exchange for this empty list. If there are none, `waker` is left to be woken for the next one. The
    /// waker that is not needed comes back.
    pub(crate) fn exchange(&self, list: &mut VecDeque<Settlement<W>>, waker: Option<Waker>) -> Option<Waker> {
        let mut left = self.left.lock();
        std::mem::swap(list, &mut left.settled);
        self.has_some.store(false, Ordering::SeqCst);
        match waker {
            Some(waker) if list.is_empty() => left.waker.replace(waker),
            unused => unused,
        }
    }

    /// From now on nobody takes any: what is left, and who waited.
    pub(crate) fn close(&self) -> (VecDeque<Settlement<W>>, Option<Waker>) {
        let mut left = self.left.lock();
        left.is_closed = true;
        (std::mem::take(&mut left.settled), left.waker.take())
    }
}
