//! The one owner of a processor.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use plimsoll_core::{Census, Drain, Ledger, Remains, Totals};

use crate::access::Access;
use crate::engine::close::Close;
use crate::engine::hook::HookOf;
use crate::engine::machine::{DynEngine, Shared};
use crate::settlement::Settlement;
use crate::sharing::Erase;
use crate::submitter::Submitter;
use crate::work::AnyWork;

/// A running processor, and its one owner. What can be done with it, apart from ending it, is on [`Access`], which it derefs
/// to. It can't be cloned: [`submitter`](Self::submitter) gives access that may be kept elsewhere, and keeps nothing alive.
///
/// ```compile_fail,E0599
/// # use plimsoll::{Processor, Work};
/// fn two_owners<W: Work>(processor: Processor<W>) -> (Processor<W>, Processor<W>) {
///     (processor.clone(), processor)
/// }
/// ```
///
/// Dropping it aborts: when the drop returns, every task is settled, every callback was called, and every value and
/// future is dropped, except what a worker has in hand at that moment, on this thread or another; that goes when the poll
/// or call that is going on returns. It works anywhere, also in a handler or callback of its own, and with a runtime that
/// has stopped. A callback that runs on another thread is waited for, though no longer than 20 milliseconds.
/// [`shutdown`](Self::shutdown) ends it gracefully.
pub struct Processor<W: AnyWork> {
    access: Access<W>,
    engine: DynEngine<W>,
}

/// What [`Processor::shutdown`] reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct Report {
    /// What was left when the end came.
    pub remains: Remains,
    /// What has come and gone.
    pub totals: Totals,
    /// The movements of every class of things that could leak.
    pub ledger: Ledger,
    /// What is held now: nothing but what belongs to living handles and subscriptions.
    pub census: Census,
}

impl<W: AnyWork> Processor<W> {
    pub(crate) fn new(shared: Arc<Shared<W>>, engine: DynEngine<W>) -> Self {
        Self { access: Access { shared }, engine }
    }

    /// A submitter, which may be kept and cloned without keeping the processor alive.
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// let submitter = processor.submitter();
    /// let elsewhere = std::thread::spawn(move || submitter.submit(21).map(|handle| handle.wait()));
    /// assert_eq!(elsewhere.join().map_err(|_| "it panicked")??, Ok(42));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn submitter(&self) -> Submitter<W> {
        Submitter::new(&self.access)
    }

    /// From now on `hook` sees every task that is settled, once, with all that leaves with it, before anybody else has its
    /// result: for metrics, logs, or to keep what failed. Whatever way the result goes: to a handle, a callback, a completion
    /// queue, or nowhere. It is called by a worker, or by the thread that ends the processor; until it returns, that task's
    /// result waits. A panic in it is caught and counted. A second one replaces the first. It is dropped with the processor, so
    /// it may hold a submitter.
    ///
    /// What was settled before is not shown. Where there is a hook, results go to a completion queue in the order in which it has
    /// returned. Tasks cost a little more: their results are handed out and back, which takes one more hold of the lock each.
    ///
    /// ```
    /// # use plimsoll::{OutcomeKind, Processor, Thread};
    /// # use std::sync::mpsc;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, |text: String| async move { text.parse::<u32>() })?;
    /// let (failed, failures) = mpsc::channel();
    /// processor.on_settled(move |settled| {
    ///     if let Err(error) = &settled.result {
    ///         let _ = failed.send(format!("{:?}: {error}", settled.task));
    ///     }
    /// });
    /// assert!(processor.submit("many".into())?.wait().is_err());
    /// assert!(failures.recv()?.ends_with("the task failed"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_settled<H>(&self, hook: H)
    where
        H: Fn(&Settlement<W>) + Erase<HookOf<W>>,
    {
        self.access.shared.set_hook(Arc::from(hook.erase()));
    }

    /// Ends the processor: from now on it takes nothing in and detaches its emitters.
    ///
    /// [`Drain::Graceful`] lets what was admitted go on until all of it is settled. It waits for nothing else: outcomes that
    /// were not taken by then stay with their living handles, and unread events with their living subscriptions. When the
    /// time is over first, it aborts: then the outcomes of tasks that had completed go too, and their handles get
    /// [`TaskError::Ended`](crate::TaskError::Ended), unless they are awaited beside the shutdown or come by callback. [`Drain::Cancel`] cancels at once what is not settled, and keeps both too.
    /// [`Drain::Abort`] discards both. The draining begins with this call, not with the first poll; if the future is dropped
    /// before it is ready, that aborts.
    ///
    /// The future is ready when nothing is left and every callback has returned. So do not block on it in what a worker
    /// runs: a callback, a waker, a value's `Drop`. It does not wait for a handler that blocks its thread: that is abandoned,
    /// and counted in [`Remains::abandoned`]. Time is kept by the runtime: one that is never polled again reaches no deadline.
    /// Then drop the owner instead.
    ///
    /// ```
    /// # use plimsoll::{Drain, Processor, Thread, infallible};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// for n in 0..100 {
    ///     processor.task(n).post()?;
    /// }
    /// let ended = processor.shutdown(Drain::graceful(Duration::from_secs(5)));
    /// let report = futures::executor::block_on(ended);
    /// assert_eq!((report.totals.settled.completed, report.remains.cancelled), (100, 0));
    /// assert!(report.census.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn shutdown(self, mode: Drain) -> Shutdown<W> {
        match mode {
            Drain::Graceful(_) => {
                let shared = &self.access.shared;
                let now = shared.now();
                shared.act(|machine| machine.drain(now, mode));
            }
            // What is left is done here, and by nobody else.
            _ => self.engine.end(mode),
        }
        Shutdown { processor: Some(self) }
    }

    fn report(&self) -> Report {
        let mut remains = self.access.shared.lock().ended.unwrap_or_default();
        // Panics in the drops at the very end are counted after the machine has ended.
        remains.totals = self.totals();
        Report { remains, totals: self.totals(), ledger: self.ledger(), census: self.census() }
    }
}

impl<W: AnyWork> Deref for Processor<W> {
    type Target = Access<W>;

    fn deref(&self) -> &Access<W> {
        &self.access
    }
}

impl<W: AnyWork> Drop for Processor<W> {
    fn drop(&mut self) {
        self.engine.end(Drain::Abort);
    }
}

impl<W: AnyWork> fmt::Debug for Processor<W> {
    /// Counts, never contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processor")
            .field("phase", &self.phase())
            .field("census", &self.census())
            .field("totals", &self.totals())
            .finish_non_exhaustive()
    }
}

/// Ready with a [`Report`] when a processor has ended. See [`Processor::shutdown`].
#[must_use = "dropping it aborts what is still going on"]
pub struct Shutdown<W: AnyWork> {
    processor: Option<Processor<W>>,
}

impl<W: AnyWork> Future for Shutdown<W> {
    type Output = Report;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Report> {
        let Some(processor) = &self.processor else {
            debug_assert!(false, "polled after it was ready");
            return Poll::Pending;
        };
        let shared = &processor.access.shared;
        // A waker's clone and drop are foreign code: both happen without the lock.
        let waker = cx.waker().clone();
        let replaced = shared.lock().shutdown.replace(waker);
        drop(replaced);
        if !shared.is_end_complete() {
            return Poll::Pending;
        }
        // After a graceful end the engine is still to be emptied.
        processor.engine.end(Drain::Cancel);
        let left = shared.lock().shutdown.take();
        drop(left);
        let report = processor.report();
        self.processor = None;
        Poll::Ready(report)
    }
}

impl<W: AnyWork> fmt::Debug for Shutdown<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown").field("processor", &self.processor).finish()
    }
}
