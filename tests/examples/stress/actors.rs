//! The submitters of an episode: they use everything that a submitter can do, in an order drawn from a seed.

use std::sync::Arc;
use std::task::Poll;

use fastrand::Rng;
use futures::StreamExt;
use futures::future::{Either, select};
use plimsoll::{CacheRefusal, FeedRefusal, Options, Refused};

use crate::dice::{chance, micros};
use crate::handler::{poll_once, yield_once};
use crate::host::Place;
use crate::names::{Action, Check, is_skipped};
use crate::parts::Parts;
use crate::record::{Record, flag};
use crate::submit::Held;
use crate::tokens::{Kind, Token};
use crate::values::{CacheValue, Job, Quiet, planned_panic, quietly};
use crate::world::{Emitter, Submits, World, lock};

/// One submitter.
pub struct Actor {
    pub world: Arc<World>,
    pub index: usize,
    pub dice: Rng,
    pub place: Place,
    pub actions: usize,
    pub token: Token,
}

impl Actor {
    /// Acts, and then sees to the handles that it has.
    pub async fn act(mut self) {
        let mut held = Vec::new();
        for _ in 0..self.actions {
            let action = self.draw();
            if !is_skipped(action.name()) {
                self.world.does(self.index, action);
                self.perform(action, &mut held).await;
            }
            match self.dice.u32(0..10) {
                0..2 => self.place.sleep(micros(&mut self.dice, 600)).await,
                2..5 => yield_once().await,
                _ => {}
            }
        }
        for one in held {
            let action = match self.dice.u32(0..10) {
                0..2 => Action::KeepHandle,
                2 => Action::DropHandle,
                _ => Action::AwaitHandle,
            };
            self.world.does(self.index, action);
            self.see_to(action, one).await;
        }
        self.world.is_done(self.index);
        let Self { world, token, .. } = self;
        drop(world);
        drop(token);
    }

    fn draw(&mut self) -> Action {
        match self.dice.u32(0..117) {
            0..14 => Action::SubmitHandle,
            14..26 => Action::SubmitCallback,
            26..32 => Action::SubmitDetached,
            32..38 => Action::SubmitRetained,
            38..44 => Action::SubmitWait,
            44..47 => Action::SubmitWaitDropped,
            47..50 => Action::TakeRetained,
            50..56 => Action::AwaitHandle,
            56..59 => Action::DropHandle,
            59..62 => Action::PollHandle,
            62..66 => Action::SelectHandle,
            66..69 => Action::SwapHandle,
            69..71 => Action::KeepHandle,
            71..74 => Action::CancelHandle,
            74..77 => Action::CancelOnDrop,
            77..79 => Action::CancelById,
            79..83 => Action::Pause,
            83..87 => Action::SetConcurrency,
            87..91 => Action::Subscribe,
            91..95 => Action::Emit,
            95..97 => Action::Cache,
            97..98 => Action::WaitUntilIdle,
            98..100 => Action::Observe,
            100..102 => Action::SetPriority,
            102..104 => Action::Clear,
            104..106 => Action::HoldAll,
            106..109 => Action::HoldLane,
            109..112 => Action::PauseClass,
            _ => Action::Schedule,
        }
    }

    async fn perform(&mut self, action: Action, held: &mut Vec<Held>) {
        let world = self.world.clone();
        match action {
            Action::SubmitHandle => held.extend(world.submit_handle(&mut self.dice, 0)),
            Action::SubmitCallback => drop(world.submit_callback(&mut self.dice, 0)),
            Action::SubmitDetached => drop(world.submit_detached(&mut self.dice, 0)),
            Action::SubmitRetained => drop(world.submit_retained(&mut self.dice, 0)),
            Action::SubmitWait => held.extend(world.submit_wait(&mut self.dice, 0).await),
            Action::SubmitWaitDropped => self.give_up_waiting(held).await,
            Action::TakeRetained => self.take_retained(),
            Action::CancelById => self.cancel_by_id(),
            Action::Pause => self.pause().await,
            Action::SetConcurrency => self.set_concurrency().await,
            Action::Subscribe => self.subscribe().await,
            Action::Emit => self.emit().await,
            Action::Cache => self.use_cache(),
            Action::WaitUntilIdle => self.wait_until_idle().await,
            Action::Observe => self.observe(),
            Action::SwapHandle => self.swap(held),
            Action::SetPriority => self.set_priority(held),
            Action::Clear => self.clear(),
            Action::HoldAll => self.hold().await,
            Action::HoldLane => self.hold_lane(),
            Action::PauseClass => self.pause_class().await,
            Action::Schedule => self.schedule().await,
            _ if held.is_empty() => {}
            action => {
                let one = held.swap_remove(self.dice.usize(0..held.len()));
                held.extend(self.see_to(action, one).await);
            }
        }
    }

    /// Does something with a handle; it may be there still after that.
    async fn see_to(&mut self, action: Action, mut held: Held) -> Option<Held> {
        match action {
            Action::AwaitHandle => self.world.conclude(&held.record, held.handle.await),
            Action::DropHandle => drop(held.handle),
            Action::PollHandle => match poll_once(&mut held.handle) {
                Poll::Ready(outcome) => self.world.conclude(&held.record, outcome),
                Poll::Pending => return Some(held),
            },
            Action::SelectHandle => {
                let sleep = self.place.sleep(micros(&mut self.dice, 2_000));
                match select(held.handle, sleep).await {
                    Either::Left((outcome, _)) => self.world.conclude(&held.record, outcome),
                    Either::Right(((), handle)) if chance(&mut self.dice, 50) => {
                        return Some(Held { record: held.record, handle });
                    }
                    Either::Right(((), handle)) => drop(handle),
                }
            }
            Action::CancelHandle => {
                held.record.set(flag::CANCELLED);
                // Settled before, or not: both may be.
                let _ = held.handle.cancel();
                return Some(held);
            }
            Action::CancelOnDrop => {
                held.record.set(flag::CANCELLED);
                let sleep = self.place.sleep(micros(&mut self.dice, 1_000));
                match select(held.handle.cancel_on_drop(), sleep).await {
                    Either::Left((outcome, _)) => self.world.conclude(&held.record, outcome),
                    Either::Right(((), handle)) if chance(&mut self.dice, 20) => handle.detach(),
                    Either::Right(((), handle)) => drop(handle),
                }
            }
            _ => lock(&self.world.kept).push(held),
        }
        None
    }

    async fn give_up_waiting(&mut self, held: &mut Vec<Held>) {
        let (world, sleep) = (self.world.clone(), self.place.sleep(micros(&mut self.dice, 500)));
        let waiting = Box::pin(world.submit_wait(&mut self.dice, 0));
        if let Either::Left((submitted, _)) = select(waiting, sleep).await {
            held.extend(submitted);
        }
    }

    fn take_retained(&mut self) {
        let retained = lock(&self.world.retained);
        if retained.is_empty() {
            return;
        }
        let (task, record) = retained[self.dice.usize(0..retained.len())].clone();
        drop(retained);
        if let Some(result) = self.world.submitter().result(task) {
            self.world.take(&record, result);
        }
    }

    fn cancel_by_id(&mut self) {
        let task = lock(&self.world.retained).last().cloned();
        if let Some((task, record)) = task {
            record.set(flag::CANCELLED);
            // Settled before, or not: both may be.
            let _ = self.world.submitter().cancel(task);
        }
    }

    async fn pause(&mut self) {
        let _resumed = Resumed(self.world.submitter());
        self.world.submitter().pause();
        self.place.sleep(micros(&mut self.dice, 1_000)).await;
    }

    async fn set_concurrency(&mut self) {
        let restored = Restored(self.world.submitter());
        restored.0.set_concurrency(self.dice.u32(0..4));
        self.place.sleep(micros(&mut self.dice, 1_000)).await;
        restored.0.set_concurrency(self.dice.u32(0..4));
        yield_once().await;
    }

    async fn subscribe(&mut self) {
        let Ok(mut subscription) = self.world.submitter().subscribe() else { return };
        for _ in 0..self.dice.u32(0..6) {
            let sleep = self.place.sleep(micros(&mut self.dice, 500));
            if let Either::Left((None, _)) = select(subscription.next(), sleep).await {
                if !self.world.is_ending() {
                    self.world.find(Check::Events, "a subscription ends before the processor");
                }
                return;
            }
        }
    }

    fn use_cache(&mut self) {
        let (cache, key) = (&self.world.cache, self.dice.u64(0..8));
        match self.dice.u32(0..4) {
            0..2 => self.insert(key),
            2 => drop(cache.get(&key)),
            _ => drop(cache.remove(&key)),
        }
    }

    /// An entry weighs as much as its key.
    fn insert(&self, key: u64) {
        let (cache, value) = (&self.world.cache, CacheValue(self.world.tokens.token(Kind::CacheValue)));
        let most = cache.limits().weight;
        let inserted = cache.try_insert(key, value);
        let is_too_heavy = matches!(inserted, Err(CacheRefusal::TooHeavy(..)));
        if is_too_heavy {
            Action::CacheTooHeavy.count();
        }
        if is_too_heavy != most.is_some_and(|most| key > most)
            && !matches!(inserted, Err(CacheRefusal::Closed(..)))
        {
            self.world.find(Check::Cache, format!("{key} inserted, of {most:?}: {inserted:?}"));
        }
        if most.is_some_and(|most| cache.weight() > most) {
            self.world.find(Check::Cache, format!("{} weighs more than {most:?}", cache.weight()));
        }
    }

    async fn wait_until_idle(&mut self) {
        let submitter = self.world.submitter();
        let admitted = submitter.totals().admitted;
        let sleep = self.place.sleep(micros(&mut self.dice, 3_000));
        let settled = match select(submitter.idle(), sleep).await {
            Either::Left(_) => submitter.totals().settled.total(),
            Either::Right(_) => return,
        };
        if settled < admitted {
            self.world.find(Check::Ledger, format!("idle, but of {admitted} tasks {settled} are settled"));
        }
    }

    fn observe(&mut self) {
        let submitter = self.world.submitter();
        let totals = submitter.totals();
        if totals.offered != totals.refused + totals.admitted || totals.admitted < totals.settled.total() {
            self.world.find(Check::Ledger, format!("{totals:?}"));
        }
        let text = format!("{submitter:?}{:?}{:?}", submitter.health(), submitter.last_error());
        std::hint::black_box((text, submitter.audit(), submitter.ledger(), submitter.free_room()));
    }

    fn swap(&mut self, held: &mut Vec<Held>) {
        let mut parcels = lock(&self.world.parcels);
        let parcel = parcels.pop();
        if !held.is_empty() {
            parcels.push(held.swap_remove(self.dice.usize(0..held.len())));
        }
        held.extend(parcel);
    }

    async fn emit(&mut self) {
        let events = plimsoll::Events::new();
        let stranger = {
            let token = self.world.tokens.token(Kind::Child);
            plimsoll::Emitter::on_error(&events, Box::new(move |_| drop(token.clone())))
        };
        let (token, seed) = (self.world.tokens.token(Kind::Listener), self.dice.u64(..));
        let panics = self.world.mood.panics && !is_skipped(Action::PanicInOptions.name());
        let terms = move |job: &Job| {
            std::hint::black_box(&token);
            if panics && job.record.number % 7 == 0 {
                Action::PanicInOptions.count();
                planned_panic(job.record.number % 2 == 0);
            }
            let options =
                crate::script::options(&mut Rng::with_seed(seed), job.record.number, &Parts::default());
            Options { timeouts: None, ..options }
        };
        let Ok(emitter) = self.world.submitter().attach_with(&events, terms) else { return };
        for _ in 0..self.dice.u32(1..6) {
            match self.dice.u32(0..5) {
                0..3 => self.emit_task(&events),
                3 => self.emit_batch(&events),
                _ => events.emit_error("an error of the emitter"),
            }
            if chance(&mut self.dice, 30) {
                yield_once().await;
            }
        }
        // Where the end was faster, it may be about to drop the listeners: that is looked at after the end.
        if chance(&mut self.dice, 60) && emitter.detach().is_some() {
            if events.listener_counts() != [0, 0, 1] {
                let text = format!("after a detach there are {:?} listeners", events.listener_counts());
                self.world.find(Check::Tokens, text);
            }
        } else {
            lock(&self.world.emitters).push(Emitter { events, stranger });
        }
    }

    fn emit_task(&mut self, events: &plimsoll::Events<Job>) {
        let (job, _, record) = self.world.order_with(&mut self.dice, 0, &Parts::default());
        match events.emit_task(job) {
            Ok(()) => self.world.note_admitted(&record),
            Err(refused) => match refused.into_parts() {
                (FeedRefusal::Task(reason), job) => {
                    self.world.note_refused(&record, Refused::new(reason, job));
                }
                (_, job) => {
                    quietly(|| drop(job));
                }
            },
        }
    }

    fn emit_batch(&mut self, events: &plimsoll::Events<Job>) {
        let orders =
            (0..self.dice.usize(1..6)).map(|_| self.world.order_with(&mut self.dice, 0, &Parts::default()));
        let (jobs, records) = orders.map(|(job, _, record)| (job, record)).unzip::<_, _, Vec<_>, Vec<_>>();
        let back = events.emit_batch(jobs).err().unwrap_or_default();
        let is_back = |record: &Record| back.iter().any(|job| job.record.number == record.number);
        records.iter().filter(|record| !is_back(record)).for_each(|record| self.world.note_admitted(record));
        for job in back {
            quietly(|| drop(job));
        }
    }
}

/// Resumes.
struct Resumed<'a>(&'a Submits);

impl Drop for Resumed<'_> {
    fn drop(&mut self) {
        self.0.resume();
    }
}

/// Sets the concurrency to the most there is.
struct Restored<'a>(&'a Submits);

impl Drop for Restored<'_> {
    fn drop(&mut self) {
        self.0.set_concurrency(u32::MAX);
    }
}

/// Runs a submitter on a thread of its own.
pub fn on_thread(actor: Actor) -> std::io::Result<std::thread::JoinHandle<()>> {
    let run = move || futures::executor::block_on(Quiet::new(actor.act()));
    std::thread::Builder::new().name("submitter".to_owned()).spawn(run)
}
