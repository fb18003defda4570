//! The types of what a processor does.

use std::fmt;

use crate::context::Context;
use crate::sharing::{AnyThread, Local, Sharing};

/// What a processor works on: the one type parameter of [`Processor`](crate::Processor), [`Handle`](crate::Handle) and all
/// the others.
///
/// It is the signature of the handler, as a type: `fn(Job) -> Result<Output, Error>`, or
/// `fn(Job, Context<Meta>) -> Result<Output, Error>` where the handler takes the [`Context`]. Where a processor is built from a
/// closure it is inferred; a struct that keeps the processor names it:
///
/// ```
/// use plimsoll::{Handle, Processor, Thread};
///
/// type Square = fn(u32) -> Result<u64, std::num::TryFromIntError>;
///
/// struct Service {
///     squares: Processor<Square>,
///     last: Option<Handle<Square>>,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let squares = Processor::builder().spawn_on(Thread::start()?, |n: u32| async move { Ok(u64::from(n).pow(2)) })?;
/// let mut service = Service { squares, last: None };
/// service.last = Some(service.squares.submit(3)?);
/// # Ok(())
/// # }
/// ```
///
/// A handler that takes the context from one day on changes that type. Or it is a type of yours, which implements this, and
/// stays whatever its handler is: [`typed`](crate::typed) makes one of a closure, and [`Run`](crate::Run) is its own.
pub trait Work {
    /// What is to be done.
    type Job;
    /// What a handler yields that completes.
    type Output;
    /// What a handler yields that fails.
    type Error;
    /// Small data about a task: copied into events and the last error, which must not keep anything alive.
    type Meta: Copy;
}

impl<J, O, E> Work for fn(J) -> Result<O, E> {
    type Job = J;
    type Output = O;
    type Error = E;
    type Meta = ();
}

impl<J, O, E, M: Copy> Work for fn(J, Context<M>) -> Result<O, E> {
    type Job = J;
    type Output = O;
    type Error = E;
    type Meta = M;
}

/// [`Work`], or [`Local`] work: what every type of this crate has as its parameter. It is implemented by implementing `Work`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no work",
    note = "work is a signature such as `fn(Job) -> Result<Output, Error>`, a type that implements `Work`, or `Local` around one of them"
)]
pub trait AnyWork {
    /// The work, without the `Local` around it.
    type Base: Work<Job = Self::Job, Output = Self::Output, Error = Self::Error, Meta = Self::Meta>;
    /// [`Work::Job`].
    type Job;
    /// [`Work::Output`].
    type Output;
    /// [`Work::Error`].
    type Error;
    /// [`Work::Meta`].
    type Meta: Copy;
    /// Whether its values may go from thread to thread: [`AnyThread`], or [`Local`].
    type Sharing: Sharing;
}

impl<W: Work> AnyWork for W {
    type Base = W;
    type Job = W::Job;
    type Output = W::Output;
    type Error = W::Error;
    type Meta = W::Meta;
    type Sharing = AnyThread;
}

impl<W: Work> AnyWork for Local<W> {
    type Base = W;
    type Job = W::Job;
    type Output = W::Output;
    type Error = W::Error;
    type Meta = W::Meta;
    type Sharing = Local;
}

/// [`Work`] whose values may go from thread to thread. Nothing has to be done to implement it.
pub trait SendWork:
    Work<
        Job: Send + 'static,
        Output: Send + 'static,
        Error: fmt::Debug + Send + 'static,
        Meta: Send + 'static,
    > + 'static
{
}

impl<W> SendWork for W where
    W: Work<
            Job: Send + 'static,
            Output: Send + 'static,
            Error: fmt::Debug + Send + 'static,
            Meta: Send + 'static,
        > + 'static
{
}

/// [`Work`] for a processor that stays on one thread. Nothing has to be done to implement it.
pub trait LocalWork:
    Work<Job: 'static, Output: 'static, Error: fmt::Debug + 'static, Meta: 'static> + 'static
{
}

impl<W> LocalWork for W where
    W: Work<Job: 'static, Output: 'static, Error: fmt::Debug + 'static, Meta: 'static> + 'static
{
}
