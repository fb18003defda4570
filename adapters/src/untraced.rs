//! In the place of [`trace`](../trace.rs) without the feature `tracing`: the same calls, with nothing in them.

use std::marker::PhantomData;

use plimsoll_core::{Instant, OutcomeKind, TaskId};

/// Where a task came from.
pub(crate) struct Origin;

impl Origin {
    #[inline]
    pub(crate) fn here(_: impl FnOnce() -> Instant) -> Self {
        Self
    }

    #[inline]
    pub(crate) const fn source(_: Instant) -> Self {
        Self
    }

    #[inline]
    pub(crate) const fn inside(_: Instant) -> Self {
        Self
    }

    #[inline]
    pub(crate) const fn has_span(&self) -> bool {
        false
    }

    #[inline]
    pub(crate) const fn close(self) {}
}

/// Whether the machine hands out each settled task for the sake of captured spans.
pub(crate) struct Captures;

impl Captures {
    pub(crate) const fn new() -> Self {
        Self
    }

    /// As if they were, for no origin has a span for whose sake the machine would have to be told.
    #[inline]
    pub(crate) const fn are_observed(&self) -> bool {
        true
    }

    pub(crate) const fn note_observed(&self) {}
}

/// What the spans of attempts have in common.
pub(crate) struct Tracer<'a>(PhantomData<&'a str>);

impl<'a> Tracer<'a> {
    #[inline]
    pub(crate) const fn new(_: &'a str, _: Instant) -> Self {
        Self(PhantomData)
    }
}

/// The span of an attempt.
pub(crate) struct AttemptSpan;

impl AttemptSpan {
    pub(crate) const NONE: Self = Self;

    #[inline]
    pub(crate) const fn open(&mut self, _: &Tracer<'_>, _: &Origin, _: TaskId, _: u32) {}

    #[inline]
    pub(crate) fn scope<R>(&self, run: impl FnOnce() -> R) -> R {
        run()
    }

    #[inline]
    pub(crate) fn end(&mut self, _: impl FnOnce() -> Ended) {}
}

/// How an attempt ended.
#[allow(dead_code, reason = "nobody is told")]
pub(crate) enum Ended {
    Completed,
    Failed,
    Snoozed,
    Panicked,
    Stopped(OutcomeKind),
}

/// Why the attempts in the places were asked to stop.
pub(crate) struct StopReasons;

impl StopReasons {
    #[inline]
    pub(crate) const fn new(_: u32) -> Self {
        Self
    }

    pub(crate) const fn bytes(_: u32) -> usize {
        0
    }

    #[inline]
    pub(crate) const fn note(&self, _: u32, _: OutcomeKind) {}

    #[inline]
    pub(crate) const fn get(&self, _: u32) -> OutcomeKind {
        OutcomeKind::Cancelled
    }
}
