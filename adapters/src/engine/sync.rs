//! What the wake path is made of: the real thing, or loom's stand-ins where the models run.
//!
//! The models are built with `--cfg plimsoll_loom`, not with loom's own `--cfg loom`: that one changes tokio and other
//! packages too, which do not build with it outside their own tests.

#[cfg(plimsoll_loom)]
pub(crate) use modelled::*;
#[cfg(not(plimsoll_loom))]
pub(crate) use real::*;

#[cfg(not(plimsoll_loom))]
mod real {
    pub(crate) use futures_util::task::AtomicWaker;
    pub(crate) use std::sync::atomic;

    pub(crate) use super::super::lock::{Guard, Lock};

    /// Declares cells of which each thread has its own.
    macro_rules! thread_cells {
        ($($(#[$doc:meta])* static $name:ident: $type:ty = $value:expr;)*) => {
            std::thread_local! {
                $($(#[$doc])* static $name: std::cell::Cell<$type> = const { std::cell::Cell::new($value) };)*
            }
        };
    }
    pub(crate) use thread_cells;
}

#[cfg(plimsoll_loom)]
mod modelled {
    use std::cell::Cell;
    use std::task::Waker;

    pub(crate) use loom::sync::atomic;
    use loom::thread::LocalKey;

    /// The lock while it is held.
    pub(crate) type Guard<'a, T> = loom::sync::MutexGuard<'a, T>;

    /// A lock that a thread waits for. How long it spins or rests is not modelled.
    pub(crate) struct Lock<T>(loom::sync::Mutex<T>);

    impl<T> Lock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> Guard<'_, T> {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }

    /// As the one of `futures_util`: the last waker that was registered, to be taken once.
    pub(crate) struct AtomicWaker(loom::sync::Mutex<Option<Waker>>);

    impl AtomicWaker {
        pub(crate) fn new() -> Self {
            Self(loom::sync::Mutex::new(None))
        }

        pub(crate) fn register(&self, waker: &Waker) {
            let replaced = self.swap(Some(waker.clone()));
            drop(replaced);
        }

        pub(crate) fn take(&self) -> Option<Waker> {
            self.swap(None)
        }

        pub(crate) fn wake(&self) {
            if let Some(waker) = self.take() {
                waker.wake();
            }
        }

        fn swap(&self, waker: Option<Waker>) -> Option<Waker> {
            let mut place = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            std::mem::replace(&mut *place, waker)
        }
    }

    /// What std's key of a cell has, and loom's has not.
    pub(crate) trait ThreadCell<T> {
        fn get(&'static self) -> T
        where
            T: Copy;
        fn set(&'static self, value: T);
        fn replace(&'static self, value: T) -> T;
    }

    impl<T> ThreadCell<T> for LocalKey<Cell<T>> {
        fn get(&'static self) -> T
        where
            T: Copy,
        {
            self.with(Cell::get)
        }

        fn set(&'static self, value: T) {
            self.with(|cell| cell.set(value));
        }

        fn replace(&'static self, value: T) -> T {
            self.with(|cell| cell.replace(value))
        }
    }

    /// Declares cells of which each thread has its own.
    macro_rules! thread_cells {
        ($($(#[$doc:meta])* static $name:ident: $type:ty = $value:expr;)*) => {
            $(loom::thread_local! {
                $(#[$doc])* static $name: std::cell::Cell<$type> = std::cell::Cell::new($value);
            })*
        };
    }
    pub(crate) use thread_cells;
}
