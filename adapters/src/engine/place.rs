//! Where one attempt lives: a place that is used again for task after task.

use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, Waker};
use std::time::Duration;

use pin_project_lite::pin_project;
use plimsoll_core::{AttemptId, Failure, Instant, Late, Message, OutcomeKind, Start};

use super::attempt_host::Again;
use super::signals::{Order, Signals};
use super::types::{Machine, Types};
use crate::carried::Carried;
use crate::context::Context;
use crate::handler::Handler;
use crate::panics::{Panic, PanicMessage, catch, discard_panic, error_message, first_panic, panic_text};
use crate::trace::{AttemptSpan, Ended, Tracer};
use crate::work::AnyWork;

pin_project! {
    /// The future of one attempt, what made it, and what its report needs. It is allocated once a place.
    ///
    /// An attempt comes in as a [`Start`], is begun and polled, and leaves by a report. All that it is made of is
    /// foreign: the methods here catch what panics, and values are dropped without a lock.
    ///
    /// Its fields stand in the order in which they are used, and the rarely used ones come last: of 10,000 places each
    /// is cold in the caches when its turn comes, so every line of memory counts.
    #[repr(C, align(64))]
    pub(super) struct Cell<W, H, F> where W: AnyWork {
        attempt: Option<AttemptId>,
        // Since when its start-to-close time-out counts; the end of time if it has none.
        since: Instant,
        // When its handler was called, if that was noticeably later; the end of time if not.
        began: Instant,
        // That of the place, made once.
        waker: Waker,
        is_begun: bool,
        // Whether its handler was called in the last poll, at an instant that is not known yet.
        is_unread: bool,
        // From the end of the attempt until it is reported.
        end: Option<End<W>>,
        #[pin]
        future: Option<F>,
        // The job once more, for a further try.
        copy: Option<Carried<W::Job>>,
        // One clone a place, so that the owner can drop the handler by emptying the places.
        handler: Option<Arc<H>>,
        // Until the attempt is begun.
        start: Option<Start<Types<W>>>,
        // What went wrong, if it did.
        message: Message,
        // From its beginning to its end.
        span: AttemptSpan,
    }
}

/// How an attempt ended.
enum End<W: AnyWork> {
    Completed(W::Output),
    Failed(W::Error),
    Panicked(PanicMessage),
    /// It was asked to stop, and was dropped.
    Stopped,
}

/// Clones a job.
type CloneJob<J> = fn(&J) -> J;

/// How the attempts of an engine are made.
pub(super) struct Making<'a, W: AnyWork> {
    pub(super) signals: &'a Arc<Signals<W::Sharing>>,
    /// How a job is cloned for a further try, if there may be any.
    pub(super) clone: Option<CloneJob<W::Job>>,
    pub(super) tracer: Tracer<'a>,
}

impl<W: AnyWork> Making<'_, W> {
    /// How the attempt in this place has ended, whose future was ready.
    fn ended(&self, place: u32, has_completed: bool) -> Ended {
        match self.signals.order(place) {
            Order::WindDown | Order::Drop => Ended::Stopped(self.signals.stop_reason(place)),
            Order::Run if has_completed => Ended::Completed,
            Order::Run if self.signals.is_snoozed(place) => Ended::Snoozed,
            Order::Run => Ended::Failed,
        }
    }
}

/// The values that an empty or closed place still owns, to be dropped one by one: two panics at a time would abort the
/// process.
pub(super) struct Contents<W: AnyWork, H> {
    pub(super) job: Option<Carried<W::Job>>,
    pub(super) copy: Option<Carried<W::Job>>,
    pub(super) output: Option<W::Output>,
    pub(super) error: Option<W::Error>,
    pub(super) handler: Option<Arc<H>>,
    /// Whether the attempt has panicked, and nobody will report it.
    pub(super) has_panicked: bool,
}

impl<W: AnyWork, H, F> Cell<W, H, F> {
    pub(super) fn new(handler: Arc<H>, waker: Waker) -> Self {
        Self {
            attempt: None,
            since: Instant::MAX,
            began: Instant::MAX,
            waker,
            is_begun: false,
            is_unread: false,
            end: None,
            future: None,
            copy: None,
            handler: Some(handler),
            start: None,
            message: Message::default(),
            span: AttemptSpan::NONE,
        }
    }

    /// Takes an attempt in, to be begun.
    #[inline]
    pub(super) fn accept(self: Pin<&mut Self>, start: Start<Types<W>>, now: Instant, is_monitored: bool) {
        let this = self.project();
        debug_assert!(this.attempt.is_none(), "a place has one attempt at a time");
        *this.attempt = Some(start.attempt);
        *this.is_begun = false;
        *this.since = if start.deadline.is_some() || is_monitored { now } else { Instant::MAX };
        *this.start = Some(start);
    }

    /// Lets the attempt make progress: makes its future if that is not done yet, polls it, and drops it when it is over.
    /// Returns the panic, which ends the attempt.
    #[inline]
    pub(super) fn run<A>(mut self: Pin<&mut Self>, making: &Making<'_, W>, place: u32) -> Option<Panic>
    where
        W: AnyWork<Error: fmt::Debug>,
        H: Handler<W::Base, A, W::Sharing, Future = F>,
        F: Future<Output = Result<W::Output, W::Error>>,
    {
        match catch(|| self.as_mut().go_on(making, place)) {
            Ok(()) => None,
            // The panic decides, whatever the end.
            Err(panic) => self.end_with(End::Stopped, Some(panic), || Ended::Panicked),
        }
    }

    #[inline]
    fn go_on<A>(mut self: Pin<&mut Self>, making: &Making<'_, W>, place: u32)
    where
        W: AnyWork<Error: fmt::Debug>,
        H: Handler<W::Base, A, W::Sharing, Future = F>,
        F: Future<Output = Result<W::Output, W::Error>>,
    {
        if !self.is_begun {
            self.as_mut().begin(making, place);
        }
        let mut this = self.project();
        let has_completed = this.span.scope(|| {
            let future = this.future.as_mut().as_pin_mut()?;
            let Poll::Ready(result) = future.poll(&mut task::Context::from_waker(this.waker)) else {
                return None;
            };
            let has_completed = result.is_ok();
            *this.end = Some(match result {
                Ok(output) => End::Completed(output),
                Err(error) => {
                    *this.message = error_message(&error);
                    End::Failed(error)
                }
            });
            this.future.set(None);
            Some(has_completed)
        });
        if let Some(has_completed) = has_completed {
            this.span.end(|| making.ended(place, has_completed));
        }
    }

    /// Makes the future of the attempt.
    #[inline]
    fn begin<A>(self: Pin<&mut Self>, making: &Making<'_, W>, place: u32)
    where
        H: Handler<W::Base, A, W::Sharing, Future = F>,
    {
        let mut this = self.project();
        *this.is_begun = true;
        let (Some(handler), Some(start)) = (this.handler, this.start.take()) else { return };
        let Start { task, attempt, number, job: Carried { job, origin }, meta, deadline, .. } = start;
        this.span.open(&making.tracer, &origin, task, number);
        match making.clone.map(|clone| catch(|| clone(&job))) {
            Some(Ok(copy)) => *this.copy = Some(Carried::new(copy, origin)),
            Some(Err(panic)) => {
                // Not while this panic unwinds: a second one would abort the process.
                origin.close();
                if let Err(second) = catch(|| drop(job)) {
                    discard_panic(second);
                }
                resume_unwind(panic);
            }
            None => origin.close(),
        }
        let context = || Context::new(making.signals.clone(), place, task, attempt, number, deadline, meta);
        this.span.scope(|| this.future.set(Some(handler.call(job, context))));
    }

    /// Drops the future of an attempt that was asked to stop; the job of one that was not begun is kept for a further one.
    /// Returns the panic of that.
    pub(super) fn stop(mut self: Pin<&mut Self>, making: &Making<'_, W>, place: u32) -> Option<Panic> {
        // Of one that was begun this need not be looked at, and is cold.
        if !self.is_begun {
            let this = self.as_mut().project();
            *this.copy = this.start.take().map(|start| start.job);
        }
        self.end_with(End::Stopped, None, || Ended::Stopped(making.signals.stop_reason(place)))
    }

    /// Notes how the attempt ended, and drops its future and what that had left. If something panics the attempt has
    /// panicked.
    #[cold]
    fn end_with(
        mut self: Pin<&mut Self>,
        end: End<W>,
        panic: Option<Panic>,
        ended: impl FnOnce() -> Ended,
    ) -> Option<Panic> {
        let result = self.as_mut().project().end.take();
        let panic = first_panic(panic, self.as_mut().drop_future());
        let panic = first_panic(panic, catch(|| drop(result)).err());
        let this = self.project();
        this.span.end(|| if panic.is_some() { Ended::Panicked } else { ended() });
        *this.end = Some(match &panic {
            Some(panic) => {
                let text = panic_text(panic);
                *this.message = Message::from(text);
                End::Panicked(PanicMessage::from(text))
            }
            None => end,
        });
        panic
    }

    /// Drops the future, and closes its span; returns the panic of that.
    pub(super) fn clear(mut self: Pin<&mut Self>) -> Option<Panic> {
        let panic = self.as_mut().drop_future();
        let ended = if panic.is_some() { Ended::Panicked } else { Ended::Stopped(OutcomeKind::Cancelled) };
        self.project().span.end(|| ended);
        panic
    }

    fn drop_future(self: Pin<&mut Self>) -> Option<Panic> {
        let mut this = self.project();
        catch(|| this.span.scope(|| this.future.set(None))).err()
    }

    /// Reports the end of the attempt; the place is free then. What the machine does not need stays here until
    /// [`contents`](Self::contents) is called without the lock: whether there is anything.
    #[inline]
    pub(super) fn report(self: Pin<&mut Self>, machine: &mut Machine<W>, now: Instant, again: Again) -> bool {
        let this = self.project();
        *this.began = Instant::MAX;
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
            End::Failed(error) => {
                let (copy, delay) = match (again, this.copy.take()) {
                    (Again::Snoozed(nanos), Some(copy)) => {
                        let snoozed = machine.snoozed(now, attempt, copy, Duration::from_nanos(nanos));
                        *this.copy = match snoozed {
                            Ok(Failure::Settled { job }) => job,
                            Ok(_) => None,
                            Err(late) => Some(late.value),
                        };
                        // Whatever comes of it, the error is nobody's.
                        *this.end = Some(End::Failed(error));
                        return true;
                    }
                    (Again::After(nanos), copy) => (copy, Some(Duration::from_nanos(nanos))),
                    (Again::ByPolicy | Again::Snoozed(_), copy) => (copy, None),
                    // Without a job there is no further attempt.
                    (Again::Never, copy) => {
                        *this.copy = copy;
                        (None, None)
                    }
                };
                match machine.failed(now, attempt, error, copy, delay, this.message) {
                    Ok(Failure::Retrying { value: error, .. }) => *this.end = Some(End::Failed(error)),
                    Ok(Failure::Settled { job }) => *this.copy = this.copy.take().or(job),
                    Ok(_) => {}
                    Err(Late { value: (error, copy), .. }) => {
                        *this.end = Some(End::Failed(error));
                        *this.copy = this.copy.take().or(copy);
                    }
                }
            }
            End::Panicked(panic) => {
                match machine.panicked(now, attempt, panic, this.copy.take(), this.message) {
                    Ok(Failure::Settled { job }) => *this.copy = job,
                    Ok(_) => {}
                    Err(late) => {
                        machine.late_panic();
                        *this.copy = late.value.1;
                    }
                }
            }
            End::Stopped => match machine.stopped(now, attempt, this.copy.take()) {
                Ok(Failure::Settled { job }) => *this.copy = job,
                Ok(_) => {}
                // The end of the machine has abandoned it: then nobody counts on it.
                Err(late) => *this.copy = late.value,
            },
        }
        this.end.is_some() || this.copy.is_some()
    }

    /// Reports when the handler was called, if that was noticeably later than the attempt was taken.
    #[inline]
    pub(super) fn report_began(self: Pin<&mut Self>, machine: &mut Machine<W>, now: Instant) {
        let this = self.project();
        if *this.began == Instant::MAX {
            return;
        }
        let began = std::mem::replace(this.began, Instant::MAX);
        if let Some(attempt) = *this.attempt {
            // Late when the task was settled meanwhile: then nothing counts from it.
            let _ = machine.began(now, attempt, began);
        }
    }

    /// Takes out what is left of an attempt that is over.
    pub(super) fn contents(self: Pin<&mut Self>) -> Contents<W, H> {
        let this = self.project();
        let job = this.start.take().map(|start| start.job);
        let end = this.end.take();
        let has_panicked = matches!(end, Some(End::Panicked(_)));
        let (output, error) = match end {
            Some(End::Completed(output)) => (Some(output), None),
            Some(End::Failed(error)) => (None, Some(error)),
            Some(End::Panicked(_) | End::Stopped) | None => (None, None),
        };
        Contents { job, copy: this.copy.take(), output, error, handler: None, has_panicked }
    }

    /// Takes out all that is here but the future, for good.
    pub(super) fn dismantle(mut self: Pin<&mut Self>) -> Contents<W, H> {
        let contents = self.as_mut().contents();
        Contents { handler: self.project().handler.take(), ..contents }
    }

    /// The attempt that is here, until it is reported.
    pub(super) const fn attempt(&self) -> Option<AttemptId> {
        self.attempt
    }

    /// Whether the handler was called for the attempt that is here.
    pub(super) const fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// Whether the attempt is over and to be reported.
    #[inline]
    pub(super) const fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Since when its start-to-close time-out counts, or what else a monitor has count from its start; the end of time if
    /// nothing does.
    #[inline]
    pub(super) const fn since(&self) -> Instant {
        self.since
    }

    /// Notes after a poll whether its handler was called at an instant that is not known yet: whether that is so, and
    /// matters.
    #[inline]
    pub(super) fn note_unread(self: Pin<&mut Self>, unread: bool) -> bool {
        let this = self.project();
        *this.is_unread = unread && *this.since != Instant::MAX;
        *this.is_unread
    }

    /// What was noted after the last poll.
    #[inline]
    pub(super) const fn is_unread(&self) -> bool {
        self.is_unread
    }

    /// Notes that its handler was called only at this instant.
    pub(super) fn note_began(self: Pin<&mut Self>, at: Instant) {
        let this = self.project();
        *this.since = at;
        *this.began = at;
    }
}
