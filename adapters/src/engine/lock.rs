//! The lock: short holds, released by a plain store.
//!
//! A lock that knows its sleepers needs an atomic exchange to be released, and std's asks each time whether the thread
//! panics. Where nothing contends, an exchange takes as long as a hundred other instructions: it waits for all stores
//! before it. So this lock (`spin`'s) only knows whether it is held, and a thread that finds it held for longer than a
//! hold takes lets the operating system run others for a while, and looks again.

use std::cell::{RefCell, RefMut};
use std::hint;
use std::ops::DerefMut;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use spin::mutex::{SpinMutex, SpinMutexGuard};

/// The lock while it is held.
pub(crate) type Guard<'a, T> = SpinMutexGuard<'a, T>;

/// What guards a value that is only touched in short holds, in which no foreign code runs.
pub trait Locking<T> {
    /// A hold.
    type Guard<'a>: DerefMut<Target = T>
    where
        Self: 'a;

    fn new(value: T) -> Self;

    fn lock(&self) -> Self::Guard<'_>;

    /// How often it was held so far, modulo 2^32.
    #[cfg(test)]
    fn holds(&self) -> u32;
}

/// How often a thread tries again at once: longer than a usual hold takes.
const TRIES: u32 = 100;
/// There is a crowd when the lock was found taken this often in a row, each time within [`SOON`] holds of a hold that
/// had been waited for.
const CROWD: u32 = 16;
/// See [`CROWD`].
const SOON: u32 = 4;
/// For how long a thread leaves the lock to the others, when there is a crowd or the holder was interrupted. The operating
/// system makes it longer: Linux by some 50 microseconds, others by up to milliseconds.
const REST: Duration = Duration::from_micros(20);
/// After this many rests in vain a thread asks the others to give way.
const PATIENCE: u32 = 3;

/// Leaves the processor to other threads. To yield is not enough: a thread of high priority would yield to itself.
// Not inlined: it is rarely needed.
#[cold]
#[inline(never)]
fn rest() {
    thread::sleep(REST);
}

/// A lock for short holds that touch the same memory each time. No foreign code runs, and none is dropped, under it.
///
/// Two threads that want such a lock all the time are slower than one: with every hold all that it touches moves to the
/// other's cache, which takes longer than the work itself, and so the lock is found taken more often still. Neither
/// spinning nor waiting in line ends that. So a thread that comes to such a crowd rests once, while another goes
/// on undisturbed. That is the idea of limiting how many threads take part in the contention (Dice, "Malthusian
/// Locks", EuroSys 2017), with time in place of a list of resting threads.
///
/// A thread that has rested [`PATIENCE`] times and found the lock taken each time, as can happen where there is one
/// processor and the others have it nearly always, has them rest once in turn.
#[derive(Debug)]
pub struct Lock<T> {
    value: SpinMutex<T>,
    /// How often the lock was held, modulo 2^32. Changed by the holder.
    holds: AtomicU32,
    /// That count at the last hold that had been waited for.
    gotten_at: AtomicU32,
    /// How often it was found taken in a row, each time soon after that.
    taken: AtomicU32,
    /// Whether a thread has waited for so long that the others give way.
    starving: AtomicBool,
}

impl<T> Locking<T> for Lock<T> {
    type Guard<'a>
        = Guard<'a, T>
    where
        T: 'a;

    fn new(value: T) -> Self {
        Self::new(value)
    }

    #[inline]
    fn lock(&self) -> Guard<'_, T> {
        Self::lock(self)
    }

    #[cfg(test)]
    fn holds(&self) -> u32 {
        self.holds.load(Ordering::Relaxed)
    }
}

/// In place of a [`Lock`] where everything is on one thread.
#[derive(Debug)]
pub struct CellLock<T> {
    value: RefCell<T>,
    #[cfg(test)]
    holds: std::cell::Cell<u32>,
}

impl<T> Locking<T> for CellLock<T> {
    type Guard<'a>
        = RefMut<'a, T>
    where
        T: 'a;

    fn new(value: T) -> Self {
        Self {
            value: RefCell::new(value),
            #[cfg(test)]
            holds: std::cell::Cell::new(0),
        }
    }

    /// A hold within a hold would be foreign code under the lock: with a [`Lock`] it would wait for ever, and here it panics.
    #[inline]
    fn lock(&self) -> RefMut<'_, T> {
        #[cfg(test)]
        self.holds.set(self.holds.get().wrapping_add(1));
        self.value.borrow_mut()
    }

    #[cfg(test)]
    fn holds(&self) -> u32 {
        self.holds.get()
    }
}

impl<T> Lock<T> {
    pub(crate) const fn new(value: T) -> Self {
        let (holds, gotten_at, taken) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
        Self { value: SpinMutex::new(value), holds, gotten_at, taken, starving: AtomicBool::new(false) }
    }

    /// Waits for the lock.
    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        if self.starving.load(Ordering::Relaxed) {
            rest();
        }
        let value = self.value.try_lock().unwrap_or_else(|| self.wait());
        self.holds.store(self.holds.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        value
    }

    #[cold]
    fn wait(&self) -> Guard<'_, T> {
        if self.is_crowded() {
            rest();
        }
        let mut rests = 0;
        let value = loop {
            if let Some(value) = (0..TRIES).find_map(|_| self.try_again()) {
                break value;
            }
            rests += 1;
            if rests > PATIENCE {
                self.starving.store(true, Ordering::Relaxed);
            }
            rest();
        };
        if rests > PATIENCE {
            self.starving.store(false, Ordering::Relaxed);
        }
        self.gotten_at.store(self.holds.load(Ordering::Relaxed), Ordering::Relaxed);
        value
    }

    /// Looks before it tries, for a try that fails takes the memory away from the holder.
    fn try_again(&self) -> Option<Guard<'_, T>> {
        hint::spin_loop();
        if self.value.is_locked() { None } else { self.value.try_lock() }
    }

    /// Notes that the lock was found taken, and tells whether there is a crowd. Threads that do so at one time may
    /// miscount; it is a guess in any case.
    fn is_crowded(&self) -> bool {
        let since = self.holds.load(Ordering::Relaxed).wrapping_sub(self.gotten_at.load(Ordering::Relaxed));
        let taken = if since <= SOON { self.taken.load(Ordering::Relaxed).saturating_add(1) } else { 0 };
        self.taken.store(taken, Ordering::Relaxed);
        taken >= CROWD
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_thread_rests_when_it_comes_to_a_crowd() {
        for _ in 0..50 {
            let lock = Lock::new(());
            lock.taken.store(CROWD, Ordering::Relaxed);
            let held = lock.lock();
            lock.gotten_at.store(lock.holds.load(Ordering::Relaxed), Ordering::Relaxed);
            let rested = thread::scope(|scope| {
                let waits = scope.spawn(|| {
                    let came = Instant::now();
                    drop(lock.lock());
                    came.elapsed()
                });
                while lock.taken.load(Ordering::Relaxed) == CROWD {
                    hint::spin_loop();
                }
                drop(held);
                waits.join()
            });
            assert!(rested.is_ok_and(|rested| rested >= REST));
        }
    }

    #[test]
    fn a_long_hold_is_waited_for() {
        for taken in [0, CROWD] {
            let lock = Lock::new(false);
            lock.taken.store(taken, Ordering::Relaxed);
            thread::scope(|scope| {
                let mut held = lock.lock();
                for _ in 0..4 {
                    scope.spawn(|| assert!(*lock.lock(), "not before the holder has let it go"));
                }
                thread::sleep(REST * 100);
                *held = true;
                drop(held);
            });
        }
    }

    #[test]
    fn a_crowd_is_when_it_is_found_taken_again_and_again() {
        let lock = Lock::new(());
        let find_taken = |holds_after: u32| {
            for _ in 0..holds_after {
                drop(lock.lock());
            }
            let is_crowded = lock.is_crowded();
            lock.gotten_at.store(lock.holds.load(Ordering::Relaxed), Ordering::Relaxed);
            is_crowded
        };
        assert!((0..100).all(|_| !find_taken(SOON + 1)), "now and then is no crowd");
        assert!((1..CROWD).all(|_| !find_taken(SOON)), "nor is it so soon");
        assert!(find_taken(SOON));
        assert!(find_taken(0));
        assert!(!find_taken(SOON + 1), "it has dissolved");
    }

    #[test]
    fn a_starving_thread_is_given_way() {
        let lock = Lock::new(());
        let held = lock.lock();
        thread::scope(|scope| {
            scope.spawn(|| drop(lock.lock()));
            while !lock.starving.load(Ordering::Relaxed) {
                hint::spin_loop();
            }
            drop(held);
        });
        assert!(!lock.starving.load(Ordering::Relaxed), "it got the lock");
        lock.starving.store(true, Ordering::Relaxed);
        let came = Instant::now();
        drop(lock.lock());
        assert!(came.elapsed() >= REST);
    }

    #[test]
    fn a_panic_lets_the_lock_go() {
        let lock = Lock::new(1);
        let held = || {
            let _held = lock.lock();
            std::panic::resume_unwind(Box::new("while it is held"));
        };
        assert!(crate::panics::catch(held).is_err());
        assert_eq!(*lock.lock(), 1);
    }
}
