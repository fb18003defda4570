//! The place that a sink or a service holds for its next job.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use plimsoll_core::ReserveRefusal;

use crate::engine::machine::Shared;
use crate::permit::{Permit, Reserve};
use crate::work::AnyWork;

/// Whether there is a place for the next job.
pub(crate) enum Readiness<W: AnyWork> {
    NotAsked,
    InLine(Reserve<W>),
    Ready(Permit<W>),
}

impl<W: AnyWork> Readiness<W> {
    /// Asks for a place. Once there is one it is kept, until it is [taken](Self::take).
    pub(crate) fn poll(
        &mut self,
        shared: &Arc<Shared<W>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ReserveRefusal>> {
        if let Self::NotAsked = self {
            *self = Self::InLine(Reserve::new(shared.clone(), 1));
        }
        let Self::InLine(reserve) = self else { return Poll::Ready(Ok(())) };
        let reserved = ready!(Pin::new(reserve).poll(cx));
        *self = Self::NotAsked;
        Poll::Ready(reserved.map(|permit| *self = Self::Ready(permit)))
    }

    /// The place, if there is one. A place in the line stays.
    pub(crate) fn take(&mut self) -> Option<Permit<W>> {
        if !self.is_ready() {
            return None;
        }
        match std::mem::replace(self, Self::NotAsked) {
            Self::Ready(permit) => Some(permit),
            Self::NotAsked | Self::InLine(_) => None,
        }
    }

    /// Gives back the place, or the place in the line.
    pub(crate) fn give_up(&mut self) {
        *self = Self::NotAsked;
    }

    pub(crate) const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_))
    }
}
