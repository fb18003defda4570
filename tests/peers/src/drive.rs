//! The submitters: the same for every contender that gives a handle for each task.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::ops::Range;
use std::pin::Pin;
use std::task::Poll;

use crate::work::{Body, Gauge, Limits, Outcome};

/// A processor of tasks, as the harness sees it. Clones are further submitters of the same one.
pub trait Peer: Clone + Send + 'static {
    /// A task's own handle.
    type Handle: Future<Output = Outcome> + Send + Unpin + 'static;

    /// Takes the task in as soon as there is room in the queue.
    fn submit(&mut self, id: u64) -> impl Future<Output = Self::Handle> + Send;
}

/// A submitter, however it asks for its outcomes.
pub trait Drive: Send + 'static {
    /// Has all these tasks done.
    fn run(&mut self, ids: Range<u64>) -> impl Future<Output = ()> + Send;

    /// As [`run`](Self::run), and checks on the way that no bound is exceeded. Not for when times are taken.
    fn run_watched(&mut self, ids: Range<u64>) -> impl Future<Output = ()> + Send;

    /// Checks that exactly these tasks were done since the last check.
    ///
    /// # Panics
    /// When anything is missing, too much or wrong.
    fn check<B: Body>(&mut self, ids: Range<u64>);
}

/// What has come out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub completed: u64,
    pub failed: u64,
    pub timed_out: u64,
    pub panicked: u64,
    /// Of all outputs.
    pub sum: u64,
    /// Depends on which task ended how.
    pub digest: u64,
}

impl Tally {
    /// The outcome of the task that was submitted next.
    pub fn add(&mut self, outcome: Outcome) {
        self.digest = self.digest.rotate_left(5) ^ self.count(outcome);
    }

    /// Counts an outcome: its value.
    pub fn count(&mut self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Completed(output) => {
                self.completed += 1;
                self.sum = self.sum.wrapping_add(output);
                output
            }
            Outcome::Failed(error) => {
                self.failed += 1;
                !error
            }
            Outcome::TimedOut => {
                self.timed_out += 1;
                1
            }
            Outcome::Panicked => {
                self.panicked += 1;
                2
            }
        }
    }

    /// What must come out of these tasks, in order.
    fn expected<B: Body>(ids: Range<u64>) -> Self {
        let mut tally = Self::default();
        ids.for_each(|id| tally.add(B::expected(id)));
        tally
    }
}

/// One submitter and its outstanding handles, oldest first.
pub struct Submitter<P: Peer> {
    peer: P,
    limits: Limits,
    window: VecDeque<P::Handle>,
    capacity: usize,
    tally: Tally,
}

impl<P: Peer> Submitter<P> {
    pub fn new(peer: P, limits: Limits) -> Self {
        let capacity = limits.window() / limits.submitters;
        Self { peer, limits, window: VecDeque::with_capacity(capacity), capacity, tally: Tally::default() }
    }

    async fn make_room(&mut self) {
        if self.window.len() == self.capacity
            && let Some(handle) = self.window.pop_front()
        {
            self.tally.add(handle.await);
        }
    }

    /// Awaits all that are outstanding, in order.
    pub async fn finish(&mut self) {
        while let Some(handle) = self.window.pop_front() {
            self.tally.add(handle.await);
        }
    }

    /// Submits one task.
    pub async fn submit(&mut self, id: u64) {
        self.make_room().await;
        let handle = self.peer.submit(id).await;
        self.window.push_back(handle);
    }

    /// Whether one more handle may be outstanding.
    pub fn has_room(&self) -> bool {
        self.window.len() < self.capacity
    }

    /// Takes what is ready, without waiting, and calls back for each.
    pub async fn take_ready(&mut self, mut each: impl FnMut()) {
        poll_fn(|cx| {
            while let Some(handle) = self.window.front_mut() {
                let Poll::Ready(outcome) = Pin::new(handle).poll(cx) else { break };
                self.window.pop_front();
                self.tally.add(outcome);
                each();
            }
            Poll::Ready(())
        })
        .await;
    }
}

impl<P: Peer> Drive for Submitter<P> {
    async fn run(&mut self, ids: Range<u64>) {
        for id in ids {
            self.submit(id).await;
        }
        self.finish().await;
    }

    async fn run_watched(&mut self, ids: Range<u64>) {
        for (submitted, id) in (1..).zip(ids) {
            self.submit(id).await;
            Gauge::check_waiting(self.limits, submitted);
        }
        self.finish().await;
        Gauge::check_running(self.limits);
    }

    fn check<B: Body>(&mut self, ids: Range<u64>) {
        let found = std::mem::take(&mut self.tally);
        assert_eq!(found, Tally::expected::<B>(ids), "every outcome is exact, and told by its own handle");
    }
}
