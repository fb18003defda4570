//! An engine as its owner sees it.

use plimsoll_core::Drain;

/// An engine as its owner sees it, whatever its handler is.
pub trait Close {
    /// Ends the machine in this mode and performs all that is left on this thread, together with other threads that end
    /// it at the same time. Then drops every future, the handler and the timer, except what is being polled right now: that
    /// goes when the poll returns. The workers and the timekeeper end at their next poll.
    ///
    /// When it returns the machine is drained: every task is settled, and every callback has been called; one that another
    /// thread has called has returned, or has been running for 20 ms. Does nothing the second time.
    fn end(&self, mode: Drain);
}
