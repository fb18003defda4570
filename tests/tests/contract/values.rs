//! What goes in and what comes out, as seen from calls and answers alone.

use std::collections::BTreeMap;

use plimsoll_core::testkit::{Answer, Call, Claimed, Done, Failure, Room, Settled, Slept, Stopped, Swept};

/// The tokens that are in the machine, as seen from the calls and answers alone.
#[derive(Default)]
pub struct Values {
    pub inside: BTreeMap<u32, &'static str>,
}

impl Values {
    fn enter(&mut self, token: u32, what: &'static str) {
        assert!(self.inside.insert(token, what).is_none(), "{what} {token} was inside already");
    }

    fn leave(&mut self, token: u32) {
        assert!(self.inside.remove(&token).is_some(), "{token} came out, and was not inside");
    }

    pub fn note(&mut self, call: &Call, answer: &Answer) {
        match *call {
            Call::Submit { offer, .. }
            | Call::TrySubmit { offer, .. }
            | Call::SubmitReserved { offer, .. }
            | Call::Feed { offer, .. } => {
                self.enter(offer.job, "job");
                offer.callback.into_iter().for_each(|callback| self.enter(callback, "callback"));
            }
            Call::FeedBatch { ref offers, .. } => {
                for offer in offers.iter().flatten() {
                    self.enter(offer.job, "job");
                    offer.callback.into_iter().for_each(|callback| self.enter(callback, "callback"));
                }
            }
            Call::WaitForRoom { waiter, .. }
            | Call::Rewait { waiter, .. }
            | Call::Claim { waiter, .. }
            | Call::Sleep { waiter, .. }
            | Call::Resleep { waiter, .. }
            | Call::WaitEvent { waiter, .. } => self.enter(waiter, "waiter"),
            Call::Attach { guard, .. } => {
                guard.into_iter().for_each(|listener| self.enter(listener, "listener"))
            }
            Call::Completed { output, .. } => self.enter(output, "output"),
            Call::Failed { error, job, .. } => {
                self.enter(error, "error");
                job.into_iter().for_each(|job| self.enter(job, "job"));
            }
            Call::Panicked { panic, job, .. } => {
                self.enter(panic, "panic");
                job.into_iter().for_each(|job| self.enter(job, "job"));
            }
            Call::Observed { value, job, .. } => {
                value.into_iter().chain(job).for_each(|token| self.enter(token, "shown"));
            }
            Call::Snoozed { job, .. } => self.enter(job, "job"),
            Call::Stopped { job, .. } => job.into_iter().for_each(|job| self.enter(job, "job")),
            Call::CacheInsert { token, value, .. } => {
                self.enter(token, "key");
                self.enter(value, "value");
            }
            _ => {}
        }
        returned(answer).into_iter().for_each(|token| self.leave(token));
    }
}

/// The tokens that an answer hands back.
fn returned(answer: &Answer) -> Vec<u32> {
    let mut out: Vec<u32> = Vec::new();
    match answer {
        Answer::Task(Err((_, (job, callback)))) => out.extend([Some(*job), *callback].into_iter().flatten()),
        Answer::Batch { left, .. } => {
            for (job, callback) in left.iter().flatten() {
                out.extend([Some(*job), *callback].into_iter().flatten());
            }
        }
        Answer::Waiter(Err((_, waiter))) | Answer::Waits(Err(waiter)) => out.push(*waiter),
        Answer::Room(Room::Granted(waiter) | Room::Unclaimed(waiter) | Room::Gone(waiter)) => {
            out.push(*waiter)
        }
        Answer::Room(Room::Waiting(waiter)) | Answer::Waits(Ok(waiter)) => out.extend(*waiter),
        Answer::Sleep(Err((_, waiter))) | Answer::Slept(Slept::Gone(waiter)) => out.push(*waiter),
        Answer::Slept(Slept::Over(waiter, old)) => out.extend([Some(*waiter), *old].into_iter().flatten()),
        Answer::Slept(Slept::Sleeping(old)) => out.extend(*old),
        Answer::Left(waiter) => out.extend(waiter.iter().copied().flatten()),
        Answer::Claimed(Claimed::Ready(_, waiter) | Claimed::Gone(waiter)) => out.push(*waiter),
        Answer::Claimed(Claimed::Pending(waiter)) => out.extend(*waiter),
        Answer::Released { waiter, .. } => out.extend(*waiter),
        Answer::Source(Err((_, guard))) => out.extend(guard),
        Answer::Detached(Some(detached)) | Answer::Effect(Some(Done::Detach(detached))) => {
            out.extend(detached.guard)
        }
        Answer::Completed(Err((_, output))) => out.push(*output),
        Answer::Failed(Ok(failure)) | Answer::Panicked(Ok(failure)) => match failure {
            Failure::Retrying { value, .. } => out.push(*value),
            Failure::Settled { job } => out.extend(*job),
        },
        Answer::Failed(Err((_, value, job))) | Answer::Panicked(Err((_, value, job))) => {
            out.extend([Some(*value), *job].into_iter().flatten());
        }
        Answer::Stopped(Ok(Stopped::Settled { job }) | Err((_, job)))
        | Answer::Snoozed(Ok(Stopped::Settled { job })) => out.extend(*job),
        Answer::Snoozed(Err((_, job))) => out.push(*job),
        Answer::Swept { items, .. } => {
            for item in items {
                if let Swept::Cached(_, key, value) = item {
                    out.extend([*key, *value]);
                }
            }
        }
        Answer::Effect(Some(Done::Observe(shown))) => out.extend(shown.value.into_iter().chain(shown.job)),
        Answer::Observed(Err((_, value, job))) => out.extend(value.iter().chain(job)),
        Answer::Effect(Some(Done::Wake(waiter))) => out.push(*waiter),
        Answer::Effect(Some(Done::Uncache(_, key, value))) => out.extend([*key, *value]),
        Answer::Started(Some(started)) => out.push(started.job),
        Answer::Inserted(_, pair) | Answer::Removed(pair) => {
            out.extend(pair.iter().flat_map(|(_, key, value)| [*key, *value]));
        }
        _ => {}
    }
    for settled in settlements(answer) {
        out.extend([settled.value, settled.job, settled.callback, settled.waiter].into_iter().flatten());
    }
    out
}

pub fn settlements(answer: &Answer) -> Vec<Settled> {
    match answer {
        Answer::Claimed(Claimed::Ready(settled, _)) => vec![*settled],
        Answer::Released { settlement, .. } | Answer::Result(settlement) => {
            settlement.iter().copied().collect()
        }
        Answer::Effect(Some(Done::Settle(settled) | Done::Discard(settled))) => vec![*settled],
        Answer::Swept { items, .. } => items
            .iter()
            .filter_map(|item| match item {
                Swept::Result(settled) => Some(*settled),
                Swept::Cached(..) => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The tasks that a call brought in, with their callbacks.
pub fn admissions(call: &Call, answer: &Answer) -> Vec<(u32, Option<u32>)> {
    match (call, answer) {
        (
            Call::Submit { offer, .. }
            | Call::TrySubmit { offer, .. }
            | Call::SubmitReserved { offer, .. }
            | Call::Feed { offer, .. },
            Answer::Task(Ok(_)),
        ) => vec![(offer.meta, offer.callback)],
        (Call::FeedBatch { offers, .. }, Answer::Batch { left, .. }) => offers
            .iter()
            .zip(left)
            .filter(|(_, left)| left.is_none())
            .filter_map(|(offer, _)| offer.map(|offer| (offer.meta, offer.callback)))
            .collect(),
        _ => Vec::new(),
    }
}
