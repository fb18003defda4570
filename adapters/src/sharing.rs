//! Whether what a processor holds may go from thread to thread, or stays on one.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use crate::engine::attempt_host::AttemptHost;
use crate::engine::close::Close;
use crate::engine::lock::{CellLock, Lock, Locking};
use crate::runtime::Timer;
use crate::when::Due;

/// Whether the values of a processor may go from thread to thread: [`AnyThread`] or [`Local`]. It can't be implemented.
///
/// Everything of a processor is one code for both. Where values go from thread to thread, the machine is behind a lock, and
/// callbacks and all else of a type that is not known are `Send`; where they stay, a `RefCell` is in place of the lock.
pub trait Sharing: Kinds + fmt::Debug {}

/// A processor's values may go from thread to thread.
#[derive(Clone, Copy, Debug)]
pub struct AnyThread(());

/// Work whose values stay on one thread, and so need not be `Send`: `Local<fn(Job) -> Result<Output, Error>>`, or around a type
/// of yours. A processor of such work is built by [`Builder::spawn_local_on`](crate::Builder::spawn_local_on), for one thread.
///
/// What belongs to such a processor stays on its thread too, but for wakers:
///
/// ```compile_fail,E0277
/// # use plimsoll::{Handle, Local};
/// fn elsewhere(handle: Handle<Local<fn(u32) -> Result<u32, ()>>>) {
///     std::thread::spawn(move || handle.wait());
/// }
/// ```
///
/// Alone, as in [`Context<Meta, Local>`](crate::Context), it says that something belongs to such a processor.
///
/// ```
/// use plimsoll::{Handle, Local, Processor};
/// use std::rc::Rc;
///
/// type Lengths = fn(Rc<str>) -> Result<usize, std::io::Error>;
///
/// struct Service {
///     lengths: Processor<Local<Lengths>>,
///     last: Option<Handle<Local<Lengths>>>,
/// }
/// ```
pub struct Local<W = ()>(PhantomData<fn() -> W>);

impl<W> fmt::Debug for Local<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Local")
    }
}

impl Sharing for AnyThread {}
impl Sharing for Local {}

/// The types that differ.
#[doc(hidden)]
pub trait Kinds: Sized + 'static {
    /// Guards the machine, and the places.
    type Lock<T>: Locking<T>;
    type Host: ?Sized + AttemptHost + 'static;
    type Close: ?Sized + Close + 'static;
    type Timer: ?Sized + Timer;
    type Callback<S>: ?Sized + FnOnce(S);
    type Hook<S>: ?Sized + Fn(&S);
    /// What makes the jobs of a schedule.
    type JobMaker<J>: ?Sized + FnMut(Due) -> J;
    /// A future as a job, and what makes one.
    type Future<T>: ?Sized + Future<Output = T>;
    type Maker<C, F>: ?Sized + FnOnce(C) -> F;

    /// A callback that does nothing.
    fn ignore<S: 'static>() -> Box<Self::Callback<S>>;
}

impl Kinds for AnyThread {
    type Lock<T> = Lock<T>;
    type Host = dyn AttemptHost + Send + Sync;
    type Close = dyn Close + Send + Sync;
    type Timer = dyn Timer + Send;
    type Callback<S> = dyn FnOnce(S) + Send;
    type Hook<S> = dyn Fn(&S) + Send + Sync;
    type JobMaker<J> = dyn FnMut(Due) -> J + Send;
    type Future<T> = dyn Future<Output = T> + Send;
    type Maker<C, F> = dyn FnOnce(C) -> F + Send;

    fn ignore<S: 'static>() -> Box<Self::Callback<S>> {
        Box::new(drop::<S>)
    }
}

impl Kinds for Local {
    type Lock<T> = CellLock<T>;
    type Host = dyn AttemptHost;
    type Close = dyn Close;
    type Timer = dyn Timer;
    type Callback<S> = dyn FnOnce(S);
    type Hook<S> = dyn Fn(&S);
    type JobMaker<J> = dyn FnMut(Due) -> J;
    type Future<T> = dyn Future<Output = T>;
    type Maker<C, F> = dyn FnOnce(C) -> F;

    fn ignore<S: 'static>() -> Box<Self::Callback<S>> {
        Box::new(drop::<S>)
    }
}

/// A closure that can be put into a box of this type: where values go from thread to thread, one that is `Send` (a hook `Sync`
/// too), and in any case one that is `'static`.
#[diagnostic::on_unimplemented(
    message = "this closure can't be kept by the processor",
    note = "it has to be `'static` (`move`, for instance), and unless the processor is local `Send`; a hook `Sync` too"
)]
pub trait Erase<T: ?Sized> {
    #[doc(hidden)]
    fn erase(self) -> Box<T>;
}

impl<S, F: FnOnce(S) + Send + 'static> Erase<dyn FnOnce(S) + Send> for F {
    fn erase(self) -> Box<dyn FnOnce(S) + Send> {
        Box::new(self)
    }
}

impl<S, F: FnOnce(S) + 'static> Erase<dyn FnOnce(S)> for F {
    fn erase(self) -> Box<dyn FnOnce(S)> {
        Box::new(self)
    }
}

impl<S, F: Fn(&S) + Send + Sync + 'static> Erase<dyn Fn(&S) + Send + Sync> for F {
    fn erase(self) -> Box<dyn Fn(&S) + Send + Sync> {
        Box::new(self)
    }
}

impl<S, F: Fn(&S) + 'static> Erase<dyn Fn(&S)> for F {
    fn erase(self) -> Box<dyn Fn(&S)> {
        Box::new(self)
    }
}

impl<J, F: FnMut(Due) -> J + Send + 'static> Erase<dyn FnMut(Due) -> J + Send> for F {
    fn erase(self) -> Box<dyn FnMut(Due) -> J + Send> {
        Box::new(self)
    }
}

impl<J, F: FnMut(Due) -> J + 'static> Erase<dyn FnMut(Due) -> J> for F {
    fn erase(self) -> Box<dyn FnMut(Due) -> J> {
        Box::new(self)
    }
}
