//! The types that a host plugs into the machine.

/// The types of the values that a [`Processor`](crate::Processor) keeps for its host.
///
/// The machine only moves these values. It never calls, clones or drops one of them during a task: a value that went in
/// comes out by an effect, a refusal, the answer to a report, or the remains at the end. Dropping the `Processor`
/// itself drops all values that it still holds.
///
/// [`Simple`](crate::Simple) is a plan for hosts that need only jobs, outputs and errors of their own. Any other plan
/// is a type like this:
///
/// ```
/// struct Mail;
/// impl plimsoll_core::Plan for Mail {
///     type Job = &'static str; // the work to do
///     type Output = usize; // what a completed attempt yields
///     type Error = (); // what a failed attempt yields
///     type Panic = String; // what a panicked attempt yields
///     type Meta = u32; // small data about a task, copied into events
///     type Callback = fn(bool); // handed back with the outcome
///     type Waiter = core::task::Waker; // woken when something happens
///     type Listener = (); // one registration of an emitter
///     type Key = u64; // cache key
///     type Value = u64; // cached value
/// }
/// ```
///
/// Metadata is `Copy` and so owns nothing: no event and no last error can keep a payload alive. This does not compile:
///
/// ```compile_fail,E0277
/// struct Leaky;
/// impl plimsoll_core::Plan for Leaky {
///     type Meta = Vec<u64>;
/// #     type Job = (); type Output = (); type Error = (); type Panic = (); type Callback = ();
/// #     type Waiter = (); type Listener = (); type Key = (); type Value = ();
/// }
/// ```
pub trait Plan {
    /// The work to do: the payload of a task.
    type Job;
    /// What a completed attempt yields.
    type Output;
    /// What a failed attempt yields.
    type Error;
    /// What a panicked attempt yields, such as a message.
    type Panic;
    /// Small data about a task. Of all values of a host, `Debug` shows only these. The type is `Copy` because events
    /// and the last error carry it, and no owned memory may be reachable from those.
    type Meta: Copy;
    /// Leaves the machine with the outcome of a task, for the host to call.
    type Callback;
    /// Leaves the machine when something happens, for the host to wake: `core::task::Waker`, for instance.
    type Waiter;
    /// One of the three registrations of an attached emitter.
    type Listener;
    /// A key of the cache.
    type Key;
    /// A value of the cache.
    type Value;
}
