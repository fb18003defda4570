//! Futures that are spawned on an executor, and what becomes of them.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};

use super::tally::{Tally, happens};
use super::verdict::{PATIENCE, Verdict, ensure};

thread_local! {
    /// Whether this thread is within a call of `spawn`.
    static SPAWNS: Cell<bool> = const { Cell::new(false) };
}

/// Makes a call of `spawn`, so that polls within it are noticed.
pub(super) fn spawning(spawn: impl FnOnce()) {
    SPAWNS.set(true);
    spawn();
    SPAWNS.set(false);
}

/// The futures of a trial.
#[derive(Clone, Default)]
pub(super) struct Crew(Arc<State>);

#[derive(Default)]
struct State {
    members: AtomicUsize,
    polled: AtomicUsize,
    done: AtomicUsize,
    dropped_early: AtomicUsize,
    polled_when_done: AtomicUsize,
    polled_by_spawn: AtomicUsize,
    gone: Tally,
}

impl Crew {
    /// A future that tells what becomes of it.
    pub(super) fn join<F: Future<Output = ()>>(&self, body: F) -> Member<F> {
        self.0.members.fetch_add(1, SeqCst);
        Member { body: Some(Box::pin(body)), polls: 0, state: self.0.clone() }
    }

    /// Waits until all of them are done and dropped.
    pub(super) async fn all_end(&self) -> Verdict {
        let members = self.0.members.load(SeqCst);
        let all_gone = self.0.gone.reaches(members).await;
        self.broken()?;
        ensure(all_gone, || format!("after {PATIENCE:?}, {}", self.describe()))
    }

    /// Waits until all of them are dropped, done or not, on a thread that runs nothing.
    pub(super) fn all_are_dropped(&self) -> Verdict {
        let members = self.0.members.load(SeqCst);
        let all_gone = happens(|| self.0.gone.count() >= members);
        ensure(all_gone, || {
            format!(
                "{} of {members} futures were not dropped, {PATIENCE:?} later",
                members - self.0.gone.count()
            )
        })?;
        let again = self.0.polled_when_done.load(SeqCst);
        ensure(again == 0, || format!("{again} polls of futures that were done"))
    }

    /// What is wrong by now.
    pub(super) fn broken(&self) -> Verdict {
        let State { dropped_early, polled_when_done, .. } = &*self.0;
        let early = dropped_early.load(SeqCst);
        ensure(early == 0, || format!("{} ({early} before they were done)", self.describe()))?;
        let again = polled_when_done.load(SeqCst);
        ensure(again == 0, || format!("{again} polls of futures that were done"))
    }

    /// How often one was polled by the caller of `spawn`, within that call.
    pub(super) fn polled_by_spawn(&self) -> usize {
        self.0.polled_by_spawn.load(SeqCst)
    }

    fn describe(&self) -> String {
        let State { members, polled, done, gone, .. } = &*self.0;
        let (members, polled, done) = (members.load(SeqCst), polled.load(SeqCst), done.load(SeqCst));
        let gone = gone.count();
        format!("of {members} spawned futures {polled} were polled, {done} done and {gone} dropped")
    }
}

/// A future of a [`Crew`].
pub(super) struct Member<F> {
    /// None when it is done.
    body: Option<Pin<Box<F>>>,
    polls: usize,
    state: Arc<State>,
}

impl<F: Future<Output = ()>> Future for Member<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.polls == 0 {
            this.state.polled.fetch_add(1, SeqCst);
        }
        this.polls += 1;
        this.state.polled_by_spawn.fetch_add(usize::from(SPAWNS.get()), SeqCst);
        let Some(body) = &mut this.body else {
            this.state.polled_when_done.fetch_add(1, SeqCst);
            return Poll::Ready(());
        };
        if body.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        this.body = None;
        this.state.done.fetch_add(1, SeqCst);
        Poll::Ready(())
    }
}

impl<F> Drop for Member<F> {
    fn drop(&mut self) {
        self.state.dropped_early.fetch_add(usize::from(self.body.is_some()), SeqCst);
        self.body = None;
        self.state.gone.add();
    }
}
