//! The jobs of the processors that run on an executor under test.

use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use plimsoll_core::OutcomeKind;

use super::tally::{Tally, yield_now};
use crate::context::Context;
use crate::sharing::Sharing;

/// What the processors do.
pub(super) type Signature = fn(Job, Context) -> Result<u32, Failure>;

/// Why an attempt failed.
pub(super) type Failure = &'static str;

/// What an attempt does. Each completes with a number of its own, if it does.
#[derive(Clone)]
pub(super) enum Job {
    Value(u32),
    /// Lets others run, so often.
    Yields(u32),
    /// Sleeps on the processor's timers, for milliseconds. Fails if that was too short.
    Sleeps(u32),
    /// Is woken by another thread, so often.
    IsWoken(u32),
    /// Fails but for the attempt with this number.
    FailsUntil(u32),
    Panics,
    /// Never ends. The token is dropped with it.
    Hangs(Arc<()>),
    /// Completes when there was an event.
    Waits(Tally),
}

pub(super) async fn attempt<S: Sharing>(job: Job, cx: Context<(), S>) -> Result<u32, Failure> {
    match job {
        Job::Value(n) => Ok(n),
        Job::Yields(n) => {
            for round in 0..n {
                yield_now(round % 2 == 0).await;
            }
            Ok(n)
        }
        Job::Sleeps(millis) => {
            let (start, time) = (cx.now(), Duration::from_millis(millis.into()));
            cx.sleep(time).await.map_err(|_| "the sleep was refused")?;
            let slept = cx.now().saturating_since(start);
            if slept < time { Err("the sleep was too short") } else { Ok(millis) }
        }
        Job::IsWoken(n) => {
            for _ in 0..n {
                let woken = Tally::default();
                let wakes = woken.clone();
                thread::spawn(move || wakes.add());
                woken.reach(1).await;
            }
            Ok(n)
        }
        Job::FailsUntil(n) => {
            if cx.attempt() < n {
                Err("it is not its turn")
            } else {
                Ok(n)
            }
        }
        Job::Panics => std::panic::resume_unwind(Box::new("on purpose")),
        Job::Hangs(token) => {
            pending::<()>().await;
            drop(token);
            Ok(0)
        }
        Job::Waits(events) => {
            events.reach(1).await;
            Ok(0)
        }
    }
}

/// How the tasks with a callback ended.
#[derive(Clone, Default)]
pub(super) struct Called {
    kinds: Arc<Mutex<Vec<OutcomeKind>>>,
    pub(super) count: Tally,
}

impl Called {
    pub(super) fn add(&self, kind: OutcomeKind) {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner).push(kind);
        self.count.add();
    }

    /// How many ended like this.
    pub(super) fn count_of(&self, kind: OutcomeKind) -> usize {
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.iter().filter(|one| **one == kind).count()
    }
}
