//! The workers as the rest of the engine sees them: which are idle, how each is woken, and what each is busy with.
//!
//! A worker that finds nothing to do enters the set of idle workers in the same hold of the locks in which it has
//! looked; an event that makes something ready looks into the set in its own hold. So either the worker sees the work,
//! or the event sees the worker. A worker is taken out of the set by one event at most, and woken by that.

use std::ptr;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
#[allow(unused_imports, reason = "a trait is needed in the models only")]
use super::sync::*;

thread_cells! {
    /// Whether this thread has woken a future of an engine since the worker on it began its turn.
    static HAS_WOKEN: bool = false;
    /// The worker that performs an action on this thread: the address of its [`Workers`], for comparison only, or 0.
    static PERFORMING: (usize, u32) = (0, 0);
}

/// Wakes a future of an engine, and notes that this thread has done so.
///
/// A runtime may keep the last future that a thread has woken where no other thread can take it, until the future that
/// runs now returns. So a worker that has woken another one returns before it runs code of a user again.
pub(super) fn wake_future(waker: &AtomicWaker) {
    HAS_WOKEN.set(true);
    waker.wake();
}

/// Whether this thread has woken a future of an engine since the last call.
pub(super) fn take_has_woken() -> bool {
    HAS_WOKEN.replace(false)
}

/// What a worker does with an effect that it took out of the machine.
mod duty {
    /// It has none.
    pub(super) const NONE: u8 = 0;
    /// It is about to call foreign code.
    pub(super) const ENTERING: u8 = 1;
    /// It has called it.
    pub(super) const CALLED: u8 = 2;
}

/// An action that a worker performs on this thread. A callback may run another executor, so that this is nested.
#[must_use]
pub(super) struct Duty {
    worker: u32,
    outer: (usize, u32),
}

/// For how long the end waits for a call to return.
const PATIENCE: Duration = Duration::from_millis(20);

/// The workers of one engine.
pub(crate) struct Workers {
    /// A bit for each idle worker, 64 in a word.
    idle: Box<[AtomicU64]>,
    wakers: Box<[AtomicWaker]>,
    duties: Box<[AtomicU8]>,
    /// Whether each has attempts in hand.
    holding: Box<[AtomicU8]>,
    /// How many the runtime has not dropped.
    live: AtomicU32,
    /// How many have let other tasks run and stand in line at the runtime.
    queued: AtomicU32,
}

impl Workers {
    /// There are no more for attempts: that many handlers that block at the same time are enough for any machine.
    pub(crate) const MOST: u32 = 256;

    pub(super) fn new(count: u32) -> Self {
        Self {
            idle: (0..count.div_ceil(u64::BITS)).map(|_| AtomicU64::new(0)).collect(),
            wakers: (0..count).map(|_| AtomicWaker::new()).collect(),
            duties: (0..count).map(|_| AtomicU8::new(duty::NONE)).collect(),
            holding: (0..count).map(|_| AtomicU8::new(0)).collect(),
            live: AtomicU32::new(count),
            queued: AtomicU32::new(0),
        }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator.
    pub(crate) const fn bytes(count: u32) -> usize {
        let words = count.div_ceil(u64::BITS) as usize;
        let each = size_of::<AtomicWaker>() + 2 * size_of::<AtomicU8>();
        (count as usize).saturating_mul(each).saturating_add(words * size_of::<AtomicU64>())
    }

    /// The worker runs: `waker` is its runtime's.
    pub(super) fn register(&self, worker: u32, waker: &Waker) {
        if let Some(place) = self.wakers.get(worker as usize) {
            place.register(waker);
        }
    }

    /// The worker has looked for work under the lock that guards it, found none, and still holds that lock.
    pub(super) fn enter_idle(&self, worker: u32) {
        let (word, bit) = place_of(worker);
        if let Some(word) = self.idle.get(word) {
            word.fetch_or(bit, Ordering::SeqCst);
        }
    }

    /// The worker looks for work by itself: no event needs to wake it.
    pub(super) fn leave_idle(&self, worker: u32) {
        let (word, bit) = place_of(worker);
        if let Some(word) = self.idle.get(word).filter(|word| word.load(Ordering::SeqCst) & bit != 0) {
            word.fetch_and(!bit, Ordering::SeqCst);
        }
    }

    /// Whether some worker is idle. For an event, under the lock that guards what it made ready.
    #[inline]
    pub(super) fn has_idle(&self) -> bool {
        self.idle.iter().any(|word| word.load(Ordering::SeqCst) != 0)
    }

    /// Whether every worker is idle.
    pub(super) fn are_all_idle(&self) -> bool {
        let idle: u32 = self.idle.iter().map(|word| word.load(Ordering::SeqCst).count_ones()).sum();
        idle as usize >= self.wakers.len()
    }

    /// Takes an idle worker, to be [woken](Self::wake). The lowest one, whose memory is the warmest.
    pub(super) fn take_idle(&self) -> Option<u32> {
        for (index, word) in (0..).zip(&self.idle) {
            let mut bits = word.load(Ordering::SeqCst);
            while bits != 0 {
                let bit = bits & bits.wrapping_neg();
                if word.fetch_and(!bit, Ordering::SeqCst) & bit != 0 {
                    return Some(u64::BITS.saturating_mul(index).saturating_add(bit.trailing_zeros()));
                }
                bits &= !bit;
            }
        }
        None
    }

    /// Wakes a worker that was [taken](Self::take_idle). A waker is foreign code: not to be called under a lock.
    pub(super) fn wake(&self, worker: u32) {
        if let Some(waker) = self.wakers.get(worker as usize) {
            wake_future(waker);
        }
    }

    /// Takes the wakers of all workers out, which may keep the runtime's tasks alive.
    pub(super) fn take_wakers(&self) -> impl Iterator<Item = Waker> {
        self.wakers.iter().filter_map(AtomicWaker::take)
    }

    /// The worker has taken an effect whose foreign code it is about to call. Under the machine's lock.
    pub(super) fn begin_duty(&self, worker: u32) {
        self.set_duty(worker, duty::ENTERING);
    }

    /// The worker calls the foreign code next, on this thread.
    pub(super) fn enter_duty(&self, worker: u32) -> Duty {
        self.set_duty(worker, duty::CALLED);
        Duty { worker, outer: PERFORMING.replace((ptr::from_ref(self).addr(), worker)) }
    }

    /// The worker is done with it.
    pub(super) fn end_duty(&self, duty: Duty) {
        PERFORMING.set(duty.outer);
        self.set_duty(duty.worker, duty::NONE);
    }

    fn set_duty(&self, worker: u32, to: u8) {
        if let Some(duty) = self.duties.get(worker as usize) {
            duty.store(to, Ordering::SeqCst);
        }
    }

    /// Whether a worker is still busy with an effect.
    pub(super) fn have_duties(&self) -> bool {
        self.duties.iter().any(|duty| duty.load(Ordering::SeqCst) != duty::NONE)
    }

    /// Waits until every effect that a worker on another thread took has been called, and for a while until the call has
    /// returned. It may not, for the foreign code may wait for this thread in turn.
    pub(super) fn wait_for_duties(&self) {
        let own = PERFORMING.get();
        let since = Instant::now();
        for (worker, duty) in (0..).zip(&self.duties) {
            if own == (ptr::from_ref(self).addr(), worker) {
                continue;
            }
            loop {
                match duty.load(Ordering::Acquire) {
                    duty::NONE => break,
                    duty::CALLED if since.elapsed() > PATIENCE => break,
                    _ => std::thread::yield_now(),
                }
            }
        }
    }

    /// Notes whether the worker has attempts in hand.
    pub(super) fn set_holding(&self, worker: u32, holds: bool) {
        if let Some(holding) = self.holding.get(worker as usize) {
            holding.store(u8::from(holds), Ordering::Release);
        }
    }

    /// How many workers have attempts in hand. Each polls one of them at a time.
    pub(super) fn count_holding(&self) -> u32 {
        self.holding.iter().map(|holding| u32::from(holding.load(Ordering::Acquire))).sum()
    }

    /// A worker lets other tasks run, and has its runtime run it again. Any thread of the runtime may do that, so what the
    /// machine wants done then is looked after, whatever the threads do that run other workers.
    pub(super) fn enter_queue(&self) {
        self.queued.fetch_add(1, Ordering::SeqCst);
    }

    /// It runs again, and looks what the machine wants done.
    pub(super) fn leave_queue(&self) {
        self.queued.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether a worker is certain to look what the machine wants done before it runs code of a user.
    pub(super) fn has_queued(&self) -> bool {
        self.queued.load(Ordering::SeqCst) > 0
    }

    /// A worker is dropped. Whether it was the last one.
    pub(super) fn note_dropped(&self) -> bool {
        self.live.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

/// The word of a worker in the set of idle ones, and its bit there.
const fn place_of(worker: u32) -> (usize, u64) {
    ((worker / u64::BITS) as usize, 1u64.wrapping_shl(worker % u64::BITS))
}

#[cfg(all(test, not(plimsoll_loom)))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_worker_is_taken_once() {
        let workers = Workers::new(130);
        for worker in [129, 64, 3, 70] {
            workers.enter_idle(worker);
        }
        workers.leave_idle(70);
        workers.leave_idle(5);
        let taken: Vec<_> = std::iter::from_fn(|| workers.take_idle()).collect();
        assert_eq!(taken, [3, 64, 129]);
        assert!(!workers.has_idle());
    }

    #[test]
    fn all_are_idle_when_the_last_one_is() {
        let workers = Workers::new(65);
        (0..64).for_each(|worker| workers.enter_idle(worker));
        assert!(!workers.are_all_idle());
        workers.enter_idle(64);
        assert!(workers.are_all_idle());
    }

    #[test]
    fn a_duty_of_another_thread_is_waited_for() {
        let workers = Workers::new(2);
        workers.begin_duty(1);
        assert!(workers.have_duties());
        let duty = workers.enter_duty(1);
        // Its own duty it does not wait for.
        workers.wait_for_duties();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| workers.wait_for_duties());
            assert!(workers.have_duties());
            workers.end_duty(duty);
            waits.join().unwrap();
        });
        assert!(!workers.have_duties());
    }
}
