//! A worker: one future of the runtime that runs the attempts of a few places.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use crate::context::Context;
use crate::current::Current;
use crate::engine::Engine;
use crate::round::{Rounds, Sets};
use crate::shared::Layout;
use crate::signal::WorkerSignal;

/// Spawned once and kept until the owner closes the engine. It holds nothing of a user: attempts live in the engine's
/// places.
pub(crate) struct Worker<J, O, E, M: Copy, H, F, T> {
    engine: Arc<Engine<J, O, E, M, H, F, T>>,
    signal: Arc<WorkerSignal>,
    index: u32,
    sets: Sets,
}

impl<J, O, E, M: Copy, H, F, T> Worker<J, O, E, M, H, F, T> {
    /// The worker with this index; `None` when there are not so many.
    pub(crate) fn new(engine: Arc<Engine<J, O, E, M, H, F, T>>, layout: Layout, index: u32) -> Option<Self> {
        let signal = engine.shared.workers.get(index as usize)?.clone();
        Some(Self { engine, signal, index, sets: Sets::new(layout, index) })
    }
}

impl<J, O, E, M, H, F, T> Future for Worker<J, O, E, M, H, F, T>
where
    E: fmt::Debug,
    M: Copy,
    H: Fn(J, Context<M>) -> F,
    F: Future<Output = Result<O, E>>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let Self { engine, signal, index, sets } = self.get_mut();
        let shared = &engine.shared;
        let _turn = shared.turn();
        signal.signal.register(cx.waker());
        signal.signal.run_on();
        let current = Current::begin(signal);
        let rounds = Rounds::new(engine, signal, &current, *index, sets);
        if !shared.is_closed() && rounds.is_some_and(Rounds::run) {
            cx.waker().wake_by_ref();
        }
        if shared.is_closed() {
            drop(signal.signal.take());
            return Poll::Ready(());
        }
        Poll::Pending
    }
}
