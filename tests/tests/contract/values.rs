//! What goes in and what comes out, as seen from calls and answers alone.

use std::collections::BTreeMap;

use plimsoll_core::testkit::calls::attempts::{self, Failure, Stopped};
use plimsoll_core::testkit::calls::effects::{self, Done, Settled};
use plimsoll_core::testkit::calls::emitters;
use plimsoll_core::testkit::calls::permits::{self, Room};
use plimsoll_core::testkit::calls::sleeps::{self, Slept};
use plimsoll_core::testkit::calls::sources::{self, Arrived};
use plimsoll_core::testkit::calls::submissions::{self, Offer, Offered, Returned};
use plimsoll_core::testkit::calls::tasks::{self, Claimed};
use plimsoll_core::testkit::calls::time::{self, Swept};
use plimsoll_core::testkit::calls::{cache, gate, observer, subscribers};
use plimsoll_core::testkit::{Answer, Call};

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
        for offer in offers(call) {
            self.enter(offer.job, "job");
            offer.callback.into_iter().for_each(|callback| self.enter(callback, "callback"));
        }
        match *call {
            Call::Permits(
                permits::Call::WaitForRoom { waiter, .. } | permits::Call::Rewait { waiter, .. },
            )
            | Call::Tasks(tasks::Call::Claim { waiter, .. })
            | Call::Sleeps(sleeps::Call::Sleep { waiter, .. } | sleeps::Call::Resleep { waiter, .. })
            | Call::Subscribers(subscribers::Call::WaitEvent { waiter, .. })
            | Call::Sources(sources::Call::Wait { waiter, .. }) => self.enter(waiter, "waiter"),
            Call::Emitters(emitters::Call::Attach { guard, .. }) => {
                guard.into_iter().for_each(|listener| self.enter(listener, "listener"));
            }
            Call::Attempts(ref call) => self.note_report(call),
            Call::Observer(observer::Call::Observed { value, job, .. }) => {
                value.into_iter().chain(job).for_each(|token| self.enter(token, "shown"));
            }
            Call::Cache(cache::Call::Insert { token, value, .. }) => {
                self.enter(token, "key");
                self.enter(value, "value");
            }
            _ => {}
        }
        returned(answer).into_iter().for_each(|token| self.leave(token));
    }

    fn note_report(&mut self, call: &attempts::Call) {
        let (value, job) = match *call {
            attempts::Call::Completed { output, .. } => (Some((output, "output")), None),
            attempts::Call::Failed { error, job, .. } => (Some((error, "error")), job),
            attempts::Call::Panicked { panic, job, .. } => (Some((panic, "panic")), job),
            attempts::Call::Snoozed { job, .. } => (None, Some(job)),
            attempts::Call::Stopped { job, .. } => (None, job),
            attempts::Call::Began { .. } | attempts::Call::LatePanic => (None, None),
        };
        value.into_iter().for_each(|(value, what)| self.enter(value, what));
        job.into_iter().for_each(|job| self.enter(job, "job"));
    }
}

/// The tokens that an answer hands back.
fn returned(answer: &Answer) -> Vec<u32> {
    let mut out: Vec<u32> = Vec::new();
    if let Some(Err((_, (job, callback)))) = offered(answer) {
        out.extend([Some(job), callback].into_iter().flatten());
    }
    match answer {
        Answer::Emitters(answer) => returned_by_emitter(answer, &mut out),
        Answer::Sources(answer) => returned_by_source(answer, &mut out),
        Answer::Attempts(answer) => returned_by_report(answer, &mut out),
        Answer::Effects(effects::Answer::Effect(Some(done))) => returned_by_effect(done, &mut out),
        Answer::Permits(answer) => match answer {
            permits::Answer::Waiter(Err((_, waiter)))
            | permits::Answer::Room(Room::Granted(waiter) | Room::Unclaimed(waiter) | Room::Gone(waiter)) => {
                out.push(*waiter);
            }
            permits::Answer::Room(Room::Waiting(waiter)) => out.extend(*waiter),
            permits::Answer::Left(waiter) => out.extend(waiter.iter().copied().flatten()),
            _ => {}
        },
        Answer::Sleeps(answer) => match answer {
            sleeps::Answer::Sleep(Err((_, waiter))) | sleeps::Answer::Slept(Slept::Gone(waiter)) => {
                out.push(*waiter);
            }
            sleeps::Answer::Slept(Slept::Over(waiter, old)) => {
                out.extend([Some(*waiter), *old].into_iter().flatten());
            }
            sleeps::Answer::Slept(Slept::Sleeping(old)) => out.extend(*old),
            sleeps::Answer::Ended(waiter) => out.extend(waiter.iter().copied().flatten()),
            sleeps::Answer::Sleep(Ok(_)) => {}
        },
        Answer::Subscribers(answer) => match answer {
            subscribers::Answer::Waits(Err(waiter)) => out.push(*waiter),
            subscribers::Answer::Waits(Ok(waiter)) => out.extend(*waiter),
            subscribers::Answer::Left(waiter) => out.extend(waiter.iter().copied().flatten()),
            _ => {}
        },
        Answer::Tasks(answer) => match answer {
            tasks::Answer::Claimed(Claimed::Ready(_, waiter) | Claimed::Gone(waiter)) => out.push(*waiter),
            tasks::Answer::Claimed(Claimed::Pending(waiter)) | tasks::Answer::Released { waiter, .. } => {
                out.extend(*waiter);
            }
            _ => {}
        },
        Answer::Time(time::Answer::Swept { items, .. }) => {
            for item in items {
                if let Swept::Cached(_, key, value) = item {
                    out.extend([*key, *value]);
                }
            }
        }
        Answer::Observer(observer::Answer::Observed(Err((_, value, job)))) => {
            out.extend(value.iter().chain(job));
        }
        Answer::Gate(gate::Answer::Started(Some(started))) => out.push(started.job),
        Answer::Cache(cache::Answer::Inserted(_, pair) | cache::Answer::Removed(pair)) => {
            out.extend(pair.iter().flat_map(|(_, key, value)| [*key, *value]));
        }
        _ => {}
    }
    for settled in settlements(answer) {
        out.extend([settled.value, settled.job, settled.callback, settled.waiter].into_iter().flatten());
    }
    out
}

fn returned_by_emitter(answer: &emitters::Answer, out: &mut Vec<u32>) {
    match answer {
        emitters::Answer::Emitter(Err((_, guard))) => out.extend(guard),
        emitters::Answer::Detached(Some(detached)) => out.extend(detached.guard),
        emitters::Answer::Batch { left, .. } => {
            for (job, callback) in left.iter().flatten() {
                out.extend([Some(*job), *callback].into_iter().flatten());
            }
        }
        _ => {}
    }
}

fn returned_by_source(answer: &sources::Answer, out: &mut Vec<u32>) {
    match answer {
        sources::Answer::Arrived(Arrived::Judged { back, .. } | Arrived::Refused(back)) => out.push(*back),
        sources::Answer::Waits(Err(waiter)) => out.push(*waiter),
        sources::Answer::Waits(Ok(waiter)) => out.extend(*waiter),
        sources::Answer::Closed(waiter) => out.extend(waiter.iter().copied().flatten()),
        _ => {}
    }
}

fn returned_by_report(answer: &attempts::Answer, out: &mut Vec<u32>) {
    match answer {
        attempts::Answer::Completed(Err((_, output))) => out.push(*output),
        attempts::Answer::Failed(Ok(failure)) | attempts::Answer::Panicked(Ok(failure)) => match failure {
            Failure::Retrying { value, .. } => out.push(*value),
            Failure::Settled { job } => out.extend(*job),
        },
        attempts::Answer::Failed(Err((_, value, job))) | attempts::Answer::Panicked(Err((_, value, job))) => {
            out.extend([Some(*value), *job].into_iter().flatten());
        }
        attempts::Answer::Stopped(Ok(Stopped::Settled { job }) | Err((_, job)))
        | attempts::Answer::Snoozed(Ok(Stopped::Settled { job })) => out.extend(*job),
        attempts::Answer::Snoozed(Err((_, job))) => out.push(*job),
        _ => {}
    }
}

fn returned_by_effect(done: &Done, out: &mut Vec<u32>) {
    match done {
        Done::Detach(detached) => out.extend(detached.guard),
        Done::Observe(shown) => out.extend(shown.value.into_iter().chain(shown.job)),
        Done::Wake(waiter) => out.push(*waiter),
        Done::Uncache(_, key, value) => out.extend([*key, *value]),
        _ => {}
    }
}

pub fn settlements(answer: &Answer) -> Vec<Settled> {
    match answer {
        Answer::Tasks(tasks::Answer::Claimed(Claimed::Ready(settled, _)))
        | Answer::Effects(effects::Answer::Effect(Some(Done::Settle(settled) | Done::Discard(settled)))) => {
            vec![*settled]
        }
        Answer::Tasks(tasks::Answer::Released { settlement, .. } | tasks::Answer::Result(settlement)) => {
            settlement.iter().copied().collect()
        }
        Answer::Time(time::Answer::Swept { items, .. }) => items
            .iter()
            .filter_map(|item| match item {
                Swept::Result(settled) => Some(*settled),
                Swept::Cached(..) => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The tasks that a call offers.
fn offers(call: &Call) -> Vec<Offer> {
    match call {
        Call::Submissions(
            submissions::Call::Submit { offer, .. } | submissions::Call::TrySubmit { offer, .. },
        )
        | Call::Permits(permits::Call::SubmitReserved { offer, .. })
        | Call::Emitters(emitters::Call::Feed { offer, .. })
        | Call::Sources(sources::Call::Deliver { offer, .. }) => vec![*offer],
        Call::Emitters(emitters::Call::FeedBatch { offers, .. }) => {
            offers.iter().flatten().copied().collect()
        }
        _ => Vec::new(),
    }
}

/// What became of the one task that was offered.
pub const fn offered(answer: &Answer) -> Option<Offered> {
    match *answer {
        Answer::Submissions(submissions::Answer::Task(offered))
        | Answer::Permits(permits::Answer::Task(offered))
        | Answer::Emitters(emitters::Answer::Task(offered)) => Some(offered),
        _ => None,
    }
}

/// The tasks that a call brought in, with their callbacks.
pub fn admissions(call: &Call, answer: &Answer) -> Vec<(u32, Option<u32>)> {
    let is_left = |offer: &Offer, left: &[Option<Returned>]| {
        left.iter().flatten().any(|returned| *returned == (offer.job, offer.callback))
    };
    let admitted = |offer: &Offer| match (offered(answer), answer) {
        (Some(offered), _) => offered.is_ok(),
        (None, Answer::Sources(sources::Answer::Arrived(arrived))) => {
            matches!(arrived, Arrived::Admitted { .. })
        }
        (None, Answer::Emitters(emitters::Answer::Batch { left, .. })) => !is_left(offer, left),
        _ => false,
    };
    offers(call).into_iter().filter(admitted).map(|offer| (offer.meta, offer.callback)).collect()
}
