//! The types a host plugs into the machine.

/// The types of everything that a [`Processor`](crate::Processor) keeps for its host.
///
/// The machine only moves these values. It never calls, clones or drops one of them in the course of a
/// task: what went in comes out by an effect, a refusal, a report's answer or the remains at the end.
/// Whatever the machine still holds when the `Processor` value itself is dropped is dropped with it.
///
/// [`Simple`](crate::Simple) is one for hosts that need only jobs, outputs and errors of their own. Any other is a type like this:
///
/// ```
/// struct Mail;
/// impl plimsoll_core::Plan for Mail {
///     type Job = &'static str; // what is to be done
///     type Output = usize; // what a completed attempt yields
///     type Error = (); // what a failed attempt yields
///     type Panic = String; // what a panicked attempt yields
///     type Meta = u32; // small data about a task, copied into events
///     type Callback = fn(bool); // handed back with the outcome
///     type Waiter = core::task::Waker; // who is to be woken
///     type Listener = (); // one registration of a source
///     type Key = u64; // cache key
///     type Value = u64; // cached value
/// }
/// ```
///
/// Metadata cannot own anything, so no event and no last error can keep a payload alive:
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
    /// What is to be done: the payload of a task.
    type Job;
    /// What a completed attempt yields.
    type Output;
    /// What a failed attempt yields.
    type Error;
    /// What a panicked attempt yields: a message, for instance.
    type Panic;
    /// Small data about a task, and all that `Debug` ever shows of a host's values. It is `Copy` because events and the last error carry it, and nothing that
    /// owns memory may be reachable from those.
    type Meta: Copy;
    /// What leaves with the outcome of a task that was submitted with a callback.
    type Callback;
    /// Who is to be woken when something happens, `core::task::Waker` for instance.
    type Waiter;
    /// One of the three registrations that an attached source stands for.
    type Listener;
    /// Key of the cache.
    type Key;
    /// Value of the cache.
    type Value;
}
