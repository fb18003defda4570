//! Where one attempt lives: a place that is used again for task after task.

use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, Waker};

use pin_project_lite::pin_project;
use plimsoll_core::{AttemptId, Failure, Instant, Late, Message, Start};

use crate::context::Context;
use crate::perform::{Panic, catch, discard_panic, error_message, panic_message};
use crate::shared::{Machine, Types};
use crate::signal::{PlaceSignal, WorkerSignal};

pin_project! {
    /// The future of one attempt, what made it, and what its report needs. It is allocated once a place.
    ///
    /// An attempt comes in as a [`Start`], is begun and polled, and leaves by a report. All that it is made of is
    /// foreign: the methods here catch what panics, and whoever drops a value does so without a lock.
    ///
    /// Its fields stand in the order in which they are used, and what is rarely used comes last: of 10,000 places each is
    /// cold in the caches when its turn comes, so every line of memory counts.
    #[repr(C, align(64))]
    pub(crate) struct Cell<J, O, E, M, H, F> where M: Copy {
        attempt: Option<AttemptId>,
        // From the end of the attempt until it is reported.
        end: Option<End<O, E>>,
        // When its grace period is over, and when it times out; the end of time if never.
        stop_by: Instant,
        deadline: Instant,
        // That of the place, made once.
        waker: Waker,
        // One clone a place, so that the owner can drop the handler by emptying the places.
        handler: Option<Arc<H>>,
        // The job once more, for a further try.
        copy: Option<J>,
        // Until the attempt is begun.
        start: Option<Start<Types<J, O, E, M>>>,
        #[pin]
        future: Option<F>,
        // What went wrong, if it did.
        message: Message,
    }
}

/// How an attempt ended.
enum End<O, E> {
    Completed(O),
    Failed(E),
    Panicked,
    /// It was asked to stop, and was dropped.
    Stopped,
}

/// The first of two panics; the second one's value is dropped.
fn first_of(first: Option<Panic>, second: Option<Panic>) -> Option<Panic> {
    match (first, second) {
        (Some(first), Some(second)) => {
            discard_panic(second);
            Some(first)
        }
        (first, second) => first.or(second),
    }
}

/// All that an empty or closed place still owns, to be dropped one by one: two panics at a time would abort the process.
pub(crate) struct Contents<J, O, E, H> {
    pub(crate) job: Option<J>,
    pub(crate) copy: Option<J>,
    pub(crate) output: Option<O>,
    pub(crate) error: Option<E>,
    pub(crate) handler: Option<Arc<H>>,
    /// Whether the attempt has panicked, and nobody will report it.
    pub(crate) has_panicked: bool,
}

impl<J, O, E, M: Copy, H, F> Cell<J, O, E, M, H, F> {
    pub(crate) fn new(handler: Arc<H>, waker: Waker) -> Self {
        Self {
            future: None,
            handler: Some(handler),
            waker,
            start: None,
            attempt: None,
            deadline: Instant::MAX,
            stop_by: Instant::MAX,
            copy: None,
            end: None,
            message: Message::default(),
        }
    }

    /// Takes an attempt in, to be begun.
    pub(crate) fn accept(self: Pin<&mut Self>, start: Start<Types<J, O, E, M>>) {
        let this = self.project();
        debug_assert!(this.attempt.is_none(), "a place has one attempt at a time");
        *this.attempt = Some(start.attempt);
        *this.deadline = start.deadline.unwrap_or(Instant::MAX);
        *this.start = Some(start);
    }

    /// Lets the attempt make progress in this `place` of a worker: makes its future if that is not done yet, polls it, and
    /// drops it when it is over. Returns what panicked, which ends the attempt.
    #[inline(always)]
    pub(crate) fn run(
        mut self: Pin<&mut Self>,
        worker: &Arc<WorkerSignal>,
        place: u32,
        clone: Option<fn(&J) -> J>,
    ) -> Option<Panic>
    where
        E: fmt::Debug,
        H: Fn(J, Context<M>) -> F,
        F: Future<Output = Result<O, E>>,
    {
        match catch(|| self.as_mut().go_on(worker, place, clone)) {
            Ok(()) => None,
            Err(panic) => self.end_with(End::Panicked, Some(panic)),
        }
    }

    #[inline(always)]
    fn go_on(mut self: Pin<&mut Self>, worker: &Arc<WorkerSignal>, place: u32, clone: Option<fn(&J) -> J>)
    where
        E: fmt::Debug,
        H: Fn(J, Context<M>) -> F,
        F: Future<Output = Result<O, E>>,
    {
        if self.start.is_some() {
            self.as_mut().begin(PlaceSignal::of(worker, place), clone);
        }
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else { return };
        let Poll::Ready(result) = future.poll(&mut task::Context::from_waker(this.waker)) else { return };
        *this.end = Some(match result {
            Ok(output) => End::Completed(output),
            Err(error) => {
                *this.message = error_message(&error);
                End::Failed(error)
            }
        });
        this.future.set(None);
    }

    /// Makes the future of the attempt.
    #[inline(always)]
    fn begin(self: Pin<&mut Self>, signal: PlaceSignal, clone: Option<fn(&J) -> J>)
    where
        H: Fn(J, Context<M>) -> F,
    {
        let mut this = self.project();
        let (Some(handler), Some(start)) = (this.handler, this.start.take()) else { return };
        let Start { task, attempt, number, job, meta, deadline, further, .. } = start;
        if let Some(clone) = clone.filter(|_| further > 0) {
            match catch(|| clone(&job)) {
                Ok(copy) => *this.copy = Some(copy),
                Err(panic) => {
                    // Not while this panic unwinds: a second one would abort the process.
                    if let Err(second) = catch(|| drop(job)) {
                        discard_panic(second);
                    }
                    resume_unwind(panic);
                }
            }
        }
        let context = Context { signal, task, attempt, number, deadline, meta };
        this.future.set(Some(handler(job, context)));
    }

    /// Drops the future of an attempt that was asked to stop, or its job if it was not begun. Returns what that
    /// panicked with.
    pub(crate) fn stop(mut self: Pin<&mut Self>) -> Option<Panic> {
        let start = self.as_mut().project().start.take();
        let panic = catch(|| drop(start)).err();
        self.end_with(End::Stopped, panic)
    }

    /// Notes how the attempt ended, and drops its future and what that had left. If something panics the attempt has
    /// panicked.
    #[cold]
    fn end_with(mut self: Pin<&mut Self>, end: End<O, E>, panic: Option<Panic>) -> Option<Panic> {
        let result = self.as_mut().project().end.take();
        let panic = first_of(panic, self.as_mut().clear());
        let panic = first_of(panic, catch(|| drop(result)).err());
        let this = self.project();
        *this.end = Some(match &panic {
            Some(panic) => {
                *this.message = panic_message(panic);
                End::Panicked
            }
            None => end,
        });
        panic
    }

    /// Drops the future; returns what it panicked with.
    pub(crate) fn clear(self: Pin<&mut Self>) -> Option<Panic> {
        let mut future = self.project().future;
        catch(|| future.set(None)).err()
    }

    /// Reports the end of the attempt; the place is free then. What the machine does not need stays here until
    /// [`contents`](Self::contents) is called without the lock: whether there is anything.
    pub(crate) fn report(self: Pin<&mut Self>, machine: &mut Machine<J, O, E, M>, now: Instant) -> bool {
        let this = self.project();
        *this.stop_by = Instant::MAX;
        let (Some(attempt), Some(end)) = (this.attempt.take(), this.end.take()) else {
            debug_assert!(false, "only what has ended is reported");
            return false;
        };
        match end {
            End::Completed(output) => {
                if let Err(late) = machine.completed(now, attempt, output) {
                    *this.end = Some(End::Completed(late.value));
                }
            }
            End::Failed(error) => match machine.failed(now, attempt, error, this.copy.take(), this.message) {
                Ok(Failure::Retrying { error, .. }) => *this.end = Some(End::Failed(error)),
                Ok(Failure::Settled { job }) => *this.copy = job,
                Ok(_) => {}
                Err(Late { value: (error, copy), .. }) => {
                    *this.end = Some(End::Failed(error));
                    *this.copy = copy;
                }
            },
            End::Panicked => match machine.panicked(now, attempt, this.copy.take(), this.message) {
                Ok(copy) => *this.copy = copy,
                Err(late) => {
                    machine.late_panic();
                    *this.copy = late.value;
                }
            },
            // Late when the end of the machine has abandoned it: then nobody counts on it.
            End::Stopped => drop(machine.stopped(now, attempt)),
        }
        this.end.is_some() || this.copy.is_some()
    }

    /// Takes out what is left of an attempt that is over.
    pub(crate) fn contents(self: Pin<&mut Self>) -> Contents<J, O, E, H> {
        let this = self.project();
        let job = this.start.take().map(|start| start.job);
        let end = this.end.take();
        let has_panicked = matches!(end, Some(End::Panicked));
        let (output, error) = match end {
            Some(End::Completed(output)) => (Some(output), None),
            Some(End::Failed(error)) => (None, Some(error)),
            Some(End::Panicked | End::Stopped) | None => (None, None),
        };
        Contents { job, copy: this.copy.take(), output, error, handler: None, has_panicked }
    }

    /// Takes out all that is here but the future, for good.
    pub(crate) fn dismantle(mut self: Pin<&mut Self>) -> Contents<J, O, E, H> {
        let contents = self.as_mut().contents();
        Contents { handler: self.project().handler.take(), ..contents }
    }

    /// Whether the attempt that is here has its future.
    pub(crate) fn is_begun(&self) -> bool {
        self.start.is_none()
    }

    /// When the attempt that is here times out; the end of time if never.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether the attempt is over and to be reported.
    pub(crate) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// When its grace period is over, if it has begun.
    pub(crate) fn stop_by(&self) -> Option<Instant> {
        Some(self.stop_by).filter(|at| *at != Instant::MAX)
    }

    /// Begins its grace period. One without end is told from none by a nanosecond.
    pub(crate) fn grant_grace(self: Pin<&mut Self>, until: Instant) {
        *self.project().stop_by = until.min(Instant::from_nanos(Instant::MAX.as_nanos() - 1));
    }
}
