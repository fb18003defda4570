//! A span for each attempt, by the feature `tracing`. Without it [`untraced`](../untraced.rs) is in the place of this
//! file.
//!
//! ```text
//!  submit ── Origin::here: the submitter's span ──► travels with the job, through the machine and back
//!                                                        │ begin
//!  AttemptSpan::open ◄──────── follows from it ──────────┘
//!        │ enter, at each poll
//!        ▼
//!  AttemptSpan::end: the outcome is recorded, the span closed
//! ```
//!
//! A subscriber is foreign code, and it is called when a span is captured, opened, entered, recorded, or dropped: none
//! of that happens under a lock.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};

use plimsoll_core::{Instant, OutcomeKind, TaskId};
use tracing::field::Empty;
use tracing::{Level, Span};

use crate::panics::{catch, discard_panic};

/// Of all spans of this crate.
const TARGET: &str = "plimsoll";

/// Where a task came from. It travels with the job.
pub(crate) struct Origin {
    /// The submitter's, as long as the task is not settled and there may be a further attempt.
    span: Span,
    /// When it was submitted; the end of time if no subscriber was interested then.
    since: Instant,
    is_delivery: bool,
}

impl Origin {
    /// Captures the span in which this is called, if spans of attempts are of any interest.
    #[inline]
    pub(crate) fn here(now: impl FnOnce() -> Instant) -> Self {
        let is_wanted = tracing::span_enabled!(target: TARGET, Level::INFO);
        let (span, since) = if is_wanted { (Span::current(), now()) } else { (Span::none(), Instant::MAX) };
        Self { span, since, is_delivery: false }
    }

    /// A durable source, by which the job has come from another time or process.
    pub(crate) const fn source(now: Instant) -> Self {
        Self { span: Span::none(), since: now, is_delivery: true }
    }

    /// The processor itself.
    pub(crate) const fn inside(now: Instant) -> Self {
        Self { span: Span::none(), since: now, is_delivery: false }
    }

    /// Whether dropping it calls a subscriber.
    #[inline]
    pub(crate) fn has_span(&self) -> bool {
        !self.span.is_disabled()
    }

    /// Drops it. What panics in a subscriber is of no account.
    #[inline]
    pub(crate) fn close(self) {
        if self.has_span() {
            unless_it_panics(|| drop(self));
        }
    }
}

/// Whether the machine hands out each settled task, as it has to once a submitter's span was captured.
pub(crate) struct Captures(AtomicBool);

impl Captures {
    pub(crate) const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    #[inline]
    pub(crate) fn are_observed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn note_observed(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What the spans of attempts have in common.
pub(crate) struct Tracer<'a> {
    processor: &'a str,
    now: Instant,
}

impl<'a> Tracer<'a> {
    #[inline]
    pub(crate) const fn new(processor: &'a str, now: Instant) -> Self {
        Self { processor, now }
    }
}

/// The span of an attempt, from the call of its handler to its end.
pub(crate) struct AttemptSpan(Span);

impl AttemptSpan {
    pub(crate) const NONE: Self = Self(Span::none());

    /// The attempt begins. It has no span if the subscriber panics.
    #[inline]
    pub(crate) fn open(&mut self, tracer: &Tracer<'_>, origin: &Origin, task: TaskId, number: u32) {
        let opened = unless_it_panics(|| Self::span(tracer, origin, task, number));
        self.0 = opened.unwrap_or_else(Span::none);
        if !self.0.is_disabled() && origin.has_span() {
            unless_it_panics(|| {
                self.0.follows_from(&origin.span);
            });
        }
    }

    #[inline]
    fn span(tracer: &Tracer<'_>, origin: &Origin, task: TaskId, number: u32) -> Span {
        let is_timed = origin.since != Instant::MAX;
        tracing::span!(
            target: TARGET,
            parent: None,
            Level::INFO,
            "process",
            "otel.name" = format_args!("process {}", tracer.processor),
            "otel.kind" = if origin.is_delivery { "consumer" } else { "internal" },
            "otel.status_code" = Empty,
            "task.id" = task.to_bits(),
            "task.attempt" = number,
            "task.queue_time" = is_timed.then(|| tracer.now.saturating_since(origin.since).as_secs_f64()),
            "task.outcome" = Empty,
        )
    }

    /// Runs foreign code within the span; its panic comes out. One of the subscriber is of no account, and does not meet
    /// that of the code, which would abort the process.
    #[inline]
    pub(crate) fn scope<R>(&self, run: impl FnOnce() -> R) -> R {
        if self.0.is_disabled() {
            return run();
        }
        let entered = unless_it_panics(|| self.0.enter());
        let result = catch(run);
        unless_it_panics(|| drop(entered));
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// The attempt has ended like this. What panics in a subscriber is of no account.
    #[inline]
    pub(crate) fn end(&mut self, ended: impl FnOnce() -> Ended) {
        if !self.0.is_disabled() {
            self.close(&ended());
        }
    }

    #[cold]
    fn close(&mut self, ended: &Ended) {
        let span = std::mem::replace(&mut self.0, Span::none());
        unless_it_panics(|| {
            span.record("task.outcome", ended.name());
            if ended.is_error() {
                span.record("otel.status_code", "ERROR");
            }
        });
        // Not while another panic unwinds: two at a time would abort the process.
        unless_it_panics(|| drop(span));
    }
}

/// Calls a subscriber, whose panic is of no account: no attempt is the worse for it.
fn unless_it_panics<R>(call: impl FnOnce() -> R) -> Option<R> {
    catch(call).map_err(discard_panic).ok()
}

/// How an attempt ended.
pub(crate) enum Ended {
    Completed,
    Failed,
    Snoozed,
    Panicked,
    /// It was asked to stop, for its task was timed out or cancelled.
    Stopped(OutcomeKind),
}

impl Ended {
    const fn name(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Snoozed => "snoozed",
            Self::Panicked => "panicked",
            Self::Stopped(OutcomeKind::TimedOut) => "timed_out",
            Self::Stopped(_) => "cancelled",
        }
    }

    const fn is_error(&self) -> bool {
        matches!(self, Self::Failed | Self::Panicked | Self::Stopped(OutcomeKind::TimedOut))
    }
}

/// Whether the attempts in the places were asked to stop because they were timed out. Written under the machine's lock,
/// before the order to stop.
pub(crate) struct StopReasons(Box<[AtomicBool]>);

impl StopReasons {
    pub(crate) fn new(places: u32) -> Self {
        Self((0..places).map(|_| AtomicBool::new(false)).collect())
    }

    /// The bytes that [`new`](Self::new) asks of the allocator.
    pub(crate) const fn bytes(places: u32) -> usize {
        places as usize
    }

    pub(crate) fn note(&self, place: u32, why: OutcomeKind) {
        if let Some(is_timed_out) = self.0.get(place as usize) {
            is_timed_out.store(why == OutcomeKind::TimedOut, Ordering::Relaxed);
        }
    }

    pub(crate) fn get(&self, place: u32) -> OutcomeKind {
        let is_timed_out = self.0.get(place as usize).is_some_and(|place| place.load(Ordering::Relaxed));
        if is_timed_out { OutcomeKind::TimedOut } else { OutcomeKind::Cancelled }
    }
}
