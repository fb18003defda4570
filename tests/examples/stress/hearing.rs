//! The subscriber of an episode: it reads all events, and checks those that come once.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use plimsoll::{AttemptId, Context, Event, Notice, Stage, Subscription, TaskId};

use crate::names::{Action, Check};
use crate::schedules::SCHEDULED;
use crate::tokens::Token;
use crate::values::Service;
use crate::world::{World, lock};

/// Reads all events to the end, and counts them.
pub async fn hear(world: Arc<World>, mut subscription: Subscription<Service>, token: Token) {
    let (mut heard, mut once) = (0, Once::default());
    while let Some(notice) = Pin::new(&mut subscription).next().await {
        heard += match notice {
            Notice::Lagged(missed) => missed,
            Notice::Event(event) => {
                once.check(&world, event);
                1
            }
            _ => 1,
        };
    }
    *lock(&world.heard) = Some(heard);
    drop(subscription);
    drop(world);
    drop(token);
}

/// What was told, and must not be told again.
#[derive(Default)]
struct Once {
    settled: HashSet<TaskId>,
    slow: HashSet<AttemptId>,
}

impl Once {
    fn check(&mut self, world: &World, event: Event<u64>) {
        match event {
            Event::Settled { task, .. } if !self.settled.insert(task) => {
                world.find(Check::Once, format!("twice: {event:?}"));
            }
            Event::Slow { attempt, meta, .. } => {
                Action::Slow.count();
                if !self.slow.insert(attempt) || !world.may_be_slow(attempt, meta) {
                    world.find(Check::Slow, format!("twice, too early or for no reason: {event:?}"));
                }
            }
            _ => {}
        }
    }
}

impl World {
    /// A handler is called for an attempt with this soft limit, which began when it was taken.
    pub fn note_soft_limit(&self, limit: Duration, cx: &Context<u64>) {
        if let Some(Stage::Running { since }) = self.submitter().view(cx.task()).map(|view| view.stage) {
            lock(&self.slow_from).insert(cx.attempt_id(), since.saturating_add(limit));
        }
    }

    /// Whether an attempt at the job with this number may run for longer than its soft limit by now.
    fn may_be_slow(&self, attempt: AttemptId, number: u64) -> bool {
        if let Some(at) = lock(&self.slow_from).get(&attempt) {
            return *at <= self.submitter().now();
        }
        // Its handler has not been called so far, or runs in a batch. It is no older than its job.
        let record = lock(&self.records).iter().find(|record| record.number == number).cloned();
        let is_late = |limit| record.as_ref().is_some_and(|record| record.age() >= limit);
        let limit = record.as_ref().and_then(|record| record.slow_after);
        number & SCHEDULED != 0 || limit.is_some_and(is_late)
    }
}
