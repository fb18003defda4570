//! The submitters of contenders that take tasks in batches and tell outcomes as they come, from one queue.

use std::future::Future;
use std::ops::Range;

use crate::drive::{Drive, Tally};
use crate::work::{Body, Gauge, Limits, Outcome};

/// How many tasks are submitted together.
pub const BATCH: u64 = 64;

/// A processor of tasks with batches, as the harness sees it. Clones are further submitters of the same one, each with a
/// queue of its own for its outcomes.
pub trait BatchPeer: Clone + Send + 'static {
    /// Takes all these tasks in as soon as there is room for them in the queue: at most [`BATCH`].
    fn submit(&mut self, ids: Range<u64>) -> impl Future<Output = ()> + Send;

    /// Waits for outcomes, at least one, and calls back with all that are there, each with the id of its task. Outcomes of
    /// `least` tasks are to come in any case, so it may wait for as many.
    fn take(&mut self, least: u64, each: impl FnMut(u64, Outcome) + Send) -> impl Future<Output = ()> + Send;
}

/// One submitter of batches, and how many outcomes it has yet to get.
pub struct Batches<P: BatchPeer> {
    peer: P,
    limits: Limits,
    outstanding: u64,
    capacity: u64,
    tally: Tally,
}

impl<P: BatchPeer> Batches<P> {
    /// With as many outstanding tasks as one that takes handles.
    pub fn new(peer: P, limits: Limits) -> Self {
        let capacity = (limits.window() / limits.submitters) as u64;
        Self { peer, limits, outstanding: 0, capacity, tally: Tally::default() }
    }

    async fn submit(&mut self, ids: Range<u64>) {
        let count = ids.end - ids.start;
        while self.capacity - self.outstanding < count {
            self.take(BATCH).await;
        }
        self.peer.submit(ids).await;
        self.outstanding += count;
    }

    async fn take(&mut self, least: u64) {
        let Self { peer, outstanding, tally, .. } = self;
        let least = least.min(*outstanding);
        peer.take(least, |id, outcome| {
            *outstanding -= 1;
            add(tally, id, outcome);
        })
        .await;
    }

    async fn finish(&mut self) {
        while self.outstanding > 0 {
            self.take(BATCH).await;
        }
    }
}

/// The outcome of this task, in whatever order they come.
fn add(tally: &mut Tally, id: u64, outcome: Outcome) {
    let value = tally.count(outcome);
    // Of both together, so that an outcome that is told of another task is seen, and added up, so that the order is not.
    let mixed = (id.wrapping_mul(0xd134_2543_de82_ef95) ^ value).wrapping_mul(0xff51_afd7_ed55_8ccd);
    tally.digest = tally.digest.wrapping_add(mixed ^ (mixed >> 32));
}

/// The ids in batches.
fn batches(ids: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = ids.end;
    ids.step_by(BATCH as usize).map(move |first| first..end.min(first + BATCH))
}

impl<P: BatchPeer> Drive for Batches<P> {
    async fn run(&mut self, ids: Range<u64>) {
        for batch in batches(ids) {
            self.submit(batch).await;
        }
        self.finish().await;
    }

    async fn run_watched(&mut self, ids: Range<u64>) {
        let first = ids.start;
        for batch in batches(ids) {
            let submitted = batch.end - first;
            self.submit(batch).await;
            Gauge::check_waiting(self.limits, submitted);
        }
        self.finish().await;
        Gauge::check_running(self.limits);
    }

    fn check<B: Body>(&mut self, ids: Range<u64>) {
        let found = std::mem::take(&mut self.tally);
        let mut expected = Tally::default();
        ids.for_each(|id| add(&mut expected, id, B::expected(id)));
        assert_eq!(found, expected, "every outcome is exact, and told of its own task");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::ReadyBody;

    fn digest(outcomes: &[(u64, Outcome)]) -> Tally {
        let mut tally = Tally::default();
        outcomes.iter().for_each(|(id, outcome)| add(&mut tally, *id, *outcome));
        tally
    }

    #[test]
    fn an_outcome_of_another_task_is_seen_and_the_order_is_not() {
        let of = ReadyBody::expected;
        assert_eq!(digest(&[(1, of(1)), (2, of(2))]), digest(&[(2, of(2)), (1, of(1))]));
        assert_ne!(digest(&[(1, of(1)), (2, of(2))]), digest(&[(1, of(2)), (2, of(1))]));
        assert_eq!(batches(5..200).collect::<Vec<_>>(), [5..69, 69..133, 133..197, 197..200]);
    }
}
