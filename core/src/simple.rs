//! A plan for hosts with ordinary needs.

use alloc::string::String;
use core::fmt;
use core::marker::PhantomData;
use core::task::Waker;

use crate::Plan;

/// A plan with jobs, outputs and errors of these types. A panic is its message, a callback is a number that the host
/// chooses (see [`Route::Callback`](crate::Route::Callback)), and a waiter is a [`Waker`]. There is no metadata, no
/// emitter and no cache. A host that needs another type writes a [`Plan`] of its own.
///
/// ```
/// use plimsoll_core::{Effect, Instant, Limits, Offer, Outcome, Processor, Route, Simple, Terms};
///
/// let now = Instant::ZERO;
/// let mut machine = Processor::<Simple<u32, u32>>::new(Limits::default(), now)?;
/// machine.submit(now, Offer::new(20, ()).route(Route::Callback(7)), &Terms::new())?;
/// let start = machine.start_next(now).ok_or("there is a job")?;
/// machine.completed(now, start.attempt, start.job + 1)?;
/// let Some(Effect::Settle(settled)) = machine.poll_effect() else { return Err("it is settled".into()) };
/// assert_eq!((settled.callback, settled.outcome), (Some(7), Outcome::Completed(21)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Simple<J, O = (), E = ()>(PhantomData<Types<J, O, E>>);

/// Names the types without owning a value of them.
type Types<J, O, E> = fn() -> (J, O, E);

impl<J, O, E> Plan for Simple<J, O, E> {
    type Job = J;
    type Output = O;
    type Error = E;
    type Panic = String;
    type Meta = ();
    type Callback = u64;
    type Waiter = Waker;
    type Listener = ();
    type Key = ();
    type Value = ();
}

impl<J, O, E> fmt::Debug for Simple<J, O, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Simple")
    }
}
