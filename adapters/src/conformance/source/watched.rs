//! A source that is watched: it counts what goes through it, and says when it does not keep to its bounds.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::source::{Abilities, Delivery, Pulled, Settling, Source};

/// What all watched sources of a check have seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) pulled: AtomicU64,
    pub(super) redelivered: AtomicU64,
    pub(super) stale: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) findings: Mutex<Vec<String>>,
}

impl Seen {
    fn find(&self, finding: String) {
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        if findings.len() < 10 {
            findings.push(finding);
        }
    }

    pub(super) fn take_findings(&self) -> Vec<String> {
        core::mem::take(&mut *self.findings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note<T, E>(&self, result: Result<T, E>) -> Result<T, E> {
        self.errors.fetch_add(u64::from(result.is_err()), Ordering::Relaxed);
        result
    }
}

pub(super) struct Watched<S> {
    pub(super) source: S,
    pub(super) seen: Arc<Seen>,
}

impl<S: Source> Source for Watched<S> {
    type Job = S::Job;
    type Receipt = S::Receipt;
    type Error = S::Error;

    fn abilities(&self) -> Abilities {
        self.source.abilities()
    }

    async fn pull(
        &self,
        room: NonZeroU32,
        wait: Duration,
        into: &mut Vec<Delivery<S::Job, S::Receipt>>,
    ) -> Result<Pulled, S::Error> {
        let before = into.len();
        let result = self.source.pull(room, wait, into).await;
        let new = into.get(before..).unwrap_or_default();
        if new.len() > room.get() as usize {
            self.seen.find(format!("a pull with room for {room} brought {} deliveries", new.len()));
        }
        let again = new.iter().filter(|delivery| delivery.deliveries > 1).count();
        self.seen.pulled.fetch_add(new.len() as u64, Ordering::Relaxed);
        self.seen.redelivered.fetch_add(again as u64, Ordering::Relaxed);
        self.seen.note(result)
    }

    async fn settle(&self, verdicts: &mut Vec<Settling<S::Receipt>>) -> Result<u32, S::Error> {
        let result = self.source.settle(verdicts).await;
        if let Ok(stale) = &result {
            self.seen.stale.fetch_add(u64::from(*stale), Ordering::Relaxed);
        }
        self.seen.note(result)
    }

    async fn extend(&self, held: &[S::Receipt]) -> Result<(), S::Error> {
        let result = self.source.extend(held).await;
        self.seen.note(result)
    }

    async fn close(&self) {
        self.source.close().await;
    }
}
