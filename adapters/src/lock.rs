//! The machine's lock: threads that are in each other's way leave it to one of them for a while.

use std::hint;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

/// How often a thread tries again at once: longer than a usual hold takes.
const TRIES: u32 = 100;
/// There is a crowd when the lock was found taken so often in a row,
const CROWD: u32 = 16;
/// each time so few holds after the last.
const SOON: u32 = 4;
/// For how long a thread then leaves the lock to the others. The operating system makes it longer: Linux by some 50
/// microseconds, others by up to milliseconds.
const REST: Duration = Duration::from_micros(20);

/// A mutex for short holds that touch the same memory each time.
///
/// Two threads that want such a lock all the time are slower than one: with every hold all that it touches moves to the
/// other's cache, which takes longer than the work itself, and so the lock is found taken more often still. Neither
/// spinning nor waiting in line ends that. So a thread that comes to such a crowd rests once, while another goes
/// on undisturbed. That is the idea of limiting how many threads take part in the contention (Dice, "Malthusian
/// Locks", EuroSys 2017), with time in place of a list of those who rest. Otherwise it waits as for any mutex.
#[derive(Debug)]
pub(crate) struct MachineLock<T> {
    inner: Mutex<Inner<T>>,
    crowded: AtomicBool,
}

#[derive(Debug)]
struct Inner<T> {
    value: T,
    /// How often the lock was held, modulo 2^32.
    holds: u32,
    /// That count when the lock was found taken last.
    taken_at: u32,
    /// How often it was found taken in a row, each time soon after the last.
    taken: u32,
}

/// The lock is held until this is dropped.
pub(crate) struct Held<'a, T>(MutexGuard<'a, Inner<T>>);

impl<T> Deref for Held<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> DerefMut for Held<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0.value
    }
}

impl<T> MachineLock<T> {
    pub(crate) const fn new(value: T) -> Self {
        let inner = Inner { value, holds: 0, taken_at: 0, taken: 0 };
        Self { inner: Mutex::new(inner), crowded: AtomicBool::new(false) }
    }

    /// Waits for the lock. Nothing panics while it is held, so a poisoned one is as good as any.
    #[inline]
    pub(crate) fn lock(&self) -> Held<'_, T> {
        let mut inner = self.try_lock().unwrap_or_else(|| self.wait());
        inner.holds = inner.holds.wrapping_add(1);
        Held(inner)
    }

    #[inline]
    fn try_lock(&self) -> Option<MutexGuard<'_, Inner<T>>> {
        match self.inner.try_lock() {
            Ok(inner) => Some(inner),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    #[cold]
    fn wait(&self) -> MutexGuard<'_, Inner<T>> {
        if self.crowded.load(Ordering::Relaxed) {
            thread::sleep(REST);
        }
        let tried = (0..TRIES).find_map(|_| {
            hint::spin_loop();
            self.try_lock()
        });
        let mut inner = tried.unwrap_or_else(|| self.inner.lock().unwrap_or_else(PoisonError::into_inner));
        self.crowded.store(inner.note_taken(), Ordering::Relaxed);
        inner
    }
}

impl<T> Inner<T> {
    /// Notes that the lock was found taken, and tells whether there is a crowd.
    fn note_taken(&mut self) -> bool {
        let is_soon = self.holds.wrapping_sub(self.taken_at) < SOON;
        self.taken = if is_soon { self.taken.saturating_add(1) } else { 0 };
        self.taken_at = self.holds;
        self.taken >= CROWD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_gets_it() {
        let lock = MachineLock::new(0_u32);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..20_000).for_each(|_| *lock.lock() += 1));
            }
        });
        assert_eq!(*lock.lock(), 80_000);
    }

    #[test]
    fn a_long_hold_is_waited_for() {
        for crowded in [false, true] {
            let lock = MachineLock::new(false);
            lock.crowded.store(crowded, Ordering::Relaxed);
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
        let mut inner = MachineLock::new(()).inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut find_taken = |after: u32| {
            inner.holds = inner.holds.wrapping_add(after);
            inner.note_taken()
        };
        assert!((0..100).all(|_| !find_taken(SOON)), "now and then is no crowd");
        assert!((1..CROWD).all(|_| !find_taken(SOON - 1)), "nor is it so soon");
        assert!(find_taken(SOON - 1));
        assert!(find_taken(0));
        assert!(!find_taken(SOON), "it has dissolved");
    }

    #[test]
    fn a_poisoned_lock_is_as_good_as_any() {
        let lock = MachineLock::new(1);
        let held = || {
            let _held = lock.lock();
            std::panic::resume_unwind(Box::new("while it is held"));
        };
        assert!(crate::perform::catch(held).is_err());
        assert_eq!(*lock.lock(), 1);
    }
}
