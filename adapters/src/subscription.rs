//! The stream of a processor's events.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use plimsoll_core::{Event, Health, Next, SubscriberId};

use crate::engine::machine::Shared;
use crate::work::AnyWork;

/// What a [`Subscription`] yields.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Notice<M = ()> {
    /// Something happened, other than that the health-check interval came.
    Event(Event<M>),
    /// The health-check interval came: its newest report. Where several were not read, each of them yields the newest one, so
    /// take sums from [`totals`](crate::Access::totals).
    Health(Health),
    /// This many events were overwritten before this subscriber has read them.
    Lagged(u64),
}

/// Yields the events of a processor from the moment of [`subscribe`](crate::Access::subscribe) on, and ends after the
/// last one when the processor has ended; an abort discards those that were not read. It does not keep the processor alive. Dropping it frees its place at once.
#[must_use = "dropping a subscription ends it"]
pub struct Subscription<W: AnyWork> {
    shared: Arc<Shared<W>>,
    id: SubscriberId,
}

impl<W: AnyWork> Subscription<W> {
    pub(crate) const fn new(shared: Arc<Shared<W>>, id: SubscriberId) -> Self {
        Self { shared, id }
    }

    /// What has happened, if it was not read yet; never waits. The outer `None` is the end.
    pub fn try_next(&mut self) -> Option<Option<Notice<W::Meta>>> {
        self.shared.act(|machine| {
            Some(match machine.next_event(self.id)? {
                // There is a report before there is its event.
                Next::Event(Event::Health) => machine.last_health().map(Notice::Health),
                Next::Event(event) => Some(Notice::Event(event)),
                Next::Lagged(missed) => Some(Notice::Lagged(missed)),
                Next::Empty => None,
            })
        })
    }
}

impl<W: AnyWork> Stream for Subscription<W> {
    type Item = Notice<W::Meta>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Notice<W::Meta>>> {
        loop {
            match self.try_next() {
                None => return Poll::Ready(None),
                Some(Some(notice)) => return Poll::Ready(Some(notice)),
                Some(None) => {}
            }
            // Cloned and dropped without the lock: a waker is foreign code.
            let waker = cx.waker().clone();
            let left = self.shared.act(|machine| machine.wait_event(self.id, waker));
            // Else something has happened in between.
            if let Ok(replaced) = left {
                drop(replaced);
                return Poll::Pending;
            }
        }
    }
}

impl<W: AnyWork> Drop for Subscription<W> {
    fn drop(&mut self) {
        let waker = self.shared.act(|machine| machine.unsubscribe(self.id));
        self.shared.discard(waker);
    }
}

impl<W: AnyWork> fmt::Debug for Subscription<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("id", &self.id).finish_non_exhaustive()
    }
}
