//! What happens outside the machine: arrivals, attempts, owners of tasks, emitters, subscribers.

use std::num::NonZeroU32;
use std::time::Duration;

use plimsoll_core::{
    Claim, Drain, Effect, Failure, Guard, Limits, Message, Next, Offer, Priority, Processor, Refusal,
    Refused, Retry, RoomStatus, Route, Settlement, Start, Swept, TaskId, Terms, Timeouts,
};

use super::dice::Dice;
use super::{BUSY, HOUR, Happening, Load, SECOND, Woken, Work};

/// Nanoseconds between arrivals, a Poisson process. Bursts and the minute without work taken into account, this
/// comes to 100 tasks a second.
const MEAN_GAP: f64 = 10_800_000.0;
const MILLISECOND: u64 = 1_000_000;
/// How long tasks may wait for their start: most, and those that are in a hurry.
const PATIENCE: [Duration; 2] = [Duration::from_secs(2), Duration::from_millis(200)];
/// How those are retried that are.
const RETRY: Retry = Retry::NONE.attempts(3).base(Duration::from_millis(50)).cap(Duration::from_secs(2));

impl Load {
    /// Starts what can be started, and does what the machine wants done, until there is nothing left.
    #[inline(always)]
    pub(super) fn work(&mut self) {
        loop {
            for _ in 0..self.machine.startable() {
                let Some(start) = self.machine.start_next(self.now) else { break };
                self.start(start);
            }
            // What has settled has given its place back already: taking it frees none.
            let effect = loop {
                match self.machine.poll_effect() {
                    Some(Effect::Settle(settlement)) => self.settles(&settlement),
                    other => break other,
                }
            };
            let Some(effect) = effect else { break };
            self.effect(effect);
        }
        debug_assert!(self.machine.startable() == 0, "a place is free, and a task waits for it");
    }

    /// Decides what will become of an attempt.
    #[inline(always)]
    fn start(&mut self, start: Start<Work>) {
        let attempt = start.attempt;
        if start.number == 1 {
            self.waits.record_mut(self.now.as_nanos().saturating_sub(*start.job));
        }
        self.put_by(start.job);
        // Skewed as real durations are: mostly short, now and then ten times that.
        let mut dice = self.throw();
        let short = MILLISECOND + dice.below(199 * MILLISECOND);
        let nanos = if dice.below(256) < 12 { short * 10 } else { short };
        let ends = match dice.below(1_000) {
            0..=939 => Happening::Completes(attempt),
            940..=979 => Happening::Fails(attempt),
            980..=989 => Happening::Panics(attempt),
            // It hangs, and says nothing until it is asked to stop.
            _ => return,
        };
        self.schedule(nanos, ends);
    }

    #[inline(always)]
    pub(super) fn happens(&mut self, happening: Happening) {
        let now = self.now;
        match happening {
            Happening::Completes(attempt) => drop(self.machine.completed(now, attempt, 1)),
            Happening::Fails(attempt) => {
                let job = self.boxed(3);
                let answer =
                    self.machine.failed(now, attempt, 2, Some(job), None, &Message::from("it failed"));
                if let Ok(Failure::Settled { job: Some(job) }) = answer {
                    self.put_by(job);
                }
            }
            Happening::Panics(attempt) => {
                drop(self.machine.panicked(now, attempt, (), None, &Message::from("it panicked")))
            }
            Happening::Stops(attempt) => drop(self.machine.stopped(now, attempt, None)),
            Happening::IsCancelled(task) => drop(self.machine.cancel(now, task)),
            Happening::IsClaimed(task) => self.claim(task),
            Happening::IsDropped(task) => {
                let released = self.machine.release(now, task);
                self.seen.outcomes += u64::from(released.settlement.is_some());
            }
            Happening::IsTaken(task) => {
                self.seen.outcomes += u64::from(self.machine.take_result(now, task).is_some());
            }
            Happening::EverySecond => self.every_second(),
        }
    }

    fn claim(&mut self, task: TaskId) {
        if let Claim::Ready(..) = self.machine.claim(self.now, task, Woken::Handle(task)) {
            self.seen.outcomes += 1;
        }
    }

    fn settles(&mut self, settlement: &Settlement<Work>) {
        self.seen.callbacks.1 += u64::from(settlement.callback.is_some());
    }

    pub(super) fn effect(&mut self, effect: Effect<Work>) {
        match effect {
            Effect::Stop(stop) => {
                let takes = self.rng.u64(0..300_000_000);
                self.schedule(takes, Happening::Stops(stop.attempt));
            }
            Effect::Settle(settlement) => self.settles(&settlement),
            Effect::Wake(Woken::Handle(task)) => self.claim(task),
            Effect::Wake(Woken::Room(place)) => self.has_room(place),
            Effect::Wake(Woken::Subscriber) => {}
            Effect::Discard(_) => self.seen.outcomes += 1,
            Effect::Detach(_) => self.seen.emitters.1 += 1,
            Effect::Sweep => {
                let mut sweep = self.machine.sweep(self.now, u32::MAX);
                self.seen.outcomes +=
                    sweep.by_ref().filter(|swept| matches!(swept, Swept::Result(_))).count() as u64;
            }
            _ => {}
        }
    }

    /// One task, or a burst of them, comes in.
    pub(super) fn arrives(&mut self) {
        let mut dice = self.throw();
        let burst = dice.below(1 << 16) < 22;
        self.next_arrival = self.now.as_nanos() + (MEAN_GAP * dice.exponential()) as u64;
        if self.next_arrival >= self.hour + BUSY.end {
            self.hour += HOUR;
            self.next_arrival = self.hour + BUSY.start;
        }
        let count = if burst { self.rng.u32(200..=400) } else { 1 };
        for _ in 0..count {
            self.offer();
        }
    }

    /// Where its outcome goes, how long it is kept back, and its terms.
    fn terms(&mut self, dice: &mut Dice) -> (Route<u64>, Duration, Terms) {
        let chance = dice.below(1_000) as u16;
        let route = match chance {
            0..=699 => Route::Callback(self.seen.offered),
            700..=849 => Route::Nowhere,
            850..=949 => Route::Handle,
            _ => Route::Retain,
        };
        let priority = Priority::new(dice.below(8) as u8);
        let timeouts = Timeouts {
            start_to_close: Some(Duration::from_secs(1)),
            schedule_to_start: Some(PATIENCE[usize::from(chance % 7 == 0)]),
            schedule_to_close: (chance % 5 == 0).then_some(Duration::from_secs(6)),
            ..Timeouts::NONE
        };
        let delay =
            if chance % 20 == 0 { Duration::from_millis(self.rng.u64(1..3_000)) } else { Duration::ZERO };
        let retry = if chance % 3 == 0 { RETRY } else { Retry::NONE };
        (route, delay, Terms::new().priority(priority).delay(delay).timeouts(timeouts).retry(retry))
    }

    /// Offers a task in one of several ways, and decides what its owner will do with it.
    fn offer(&mut self) {
        self.seen.offered += 1;
        let mut dice = self.throw();
        let (route, delay, terms) = self.terms(&mut dice);
        let (has_callback, for_handle) =
            (matches!(route, Route::Callback(_)), matches!(route, Route::Handle));
        let retained = matches!(route, Route::Retain);
        self.use_cache();
        let job = self.boxed(self.now.saturating_add(delay).as_nanos());
        let offer = Offer::new(job, self.seen.offered as u32).route(route);
        let emitter = self.emitter.filter(|_| dice.below(256) < 40);
        let admitted = match emitter {
            Some(emitter) => self.machine.feed(self.now, emitter, offer, &terms).ok(),
            None => match self.machine.submit(self.now, offer, &terms) {
                Ok(task) => Some(task),
                Err(Refused { reason: Refusal::Full, .. }) => {
                    self.wait_for_room();
                    None
                }
                Err(_) => None,
            },
        };
        let Some(task) = admitted else { return };
        self.seen.callbacks.0 += u64::from(has_callback);
        let soon = dice.below(4_000) * MILLISECOND;
        if for_handle {
            let dropped = dice.below(256) < 30;
            self.schedule(
                soon,
                if dropped { Happening::IsDropped(task) } else { Happening::IsClaimed(task) },
            );
        } else if retained && dice.below(2) == 0 {
            self.schedule(soon, Happening::IsTaken(task));
        }
        if dice.below(256) < 3 {
            self.schedule(soon / 10, Happening::IsCancelled(task));
        }
    }

    fn use_cache(&mut self) {
        let mut dice = self.throw();
        let key = (dice.below(1_000) * dice.below(1_000) / 1_000) as u32;
        let mut cache = self.machine.cache();
        let hash = cache.hasher().hash_of(&key);
        if cache.get(self.now, hash, &key).is_none() {
            let value = self.boxed(u64::from(key));
            if let Some((_, value)) = self.machine.cache().insert(self.now, hash, key, value).into_pair() {
                self.put_by(value);
            }
        }
    }

    fn wait_for_room(&mut self) {
        let Some(place) = self.line.iter().position(Option::is_none) else { return };
        if let Ok(id) = self.machine.wait_for_room(self.now, Woken::Room(place as u32), NonZeroU32::MIN) {
            self.line[place] = Some(id);
        }
    }

    fn has_room(&mut self, place: u32) {
        let Some(id) = self.line.get_mut(place as usize).and_then(Option::take) else { return };
        if !matches!(self.machine.rewait(id, Woken::Room(place)), RoomStatus::Granted(_)) {
            return;
        }
        if self.rng.u8(..) < 20 {
            // It has changed its mind.
            let _ = self.machine.leave(self.now, id);
            return;
        }
        self.seen.offered += 1;
        let route = Route::Callback(self.seen.offered);
        let offer = Offer::new(self.boxed(self.now.as_nanos()), self.seen.offered as u32).route(route);
        let limit = Some(Duration::from_secs(1));
        let terms = Terms::new().timeouts(Timeouts { start_to_close: limit, ..Timeouts::NONE });
        let admitted = self.machine.reserved(self.now, id).submit(offer, &terms);
        self.seen.callbacks.0 += u64::from(admitted.is_ok());
        if admitted.is_err() {
            let _ = self.machine.leave(self.now, id);
        }
    }

    /// Emitters and subscribers come and go, and small machines with them.
    fn every_second(&mut self) {
        self.schedule(SECOND, Happening::EverySecond);
        let second = self.now.as_nanos() / SECOND;
        let busy = BUSY.contains(&(self.now.as_nanos() % HOUR));
        if let Some(emitter) = self.emitter.filter(|_| second % 5 == 0 || !busy) {
            self.seen.emitters.1 += u64::from(self.machine.detach(self.now, emitter).is_some());
            self.emitter = None;
        }
        if busy && self.emitter.is_none() {
            let guard = Guard { task: (), batch: (), error: () };
            self.emitter = self.machine.attach(self.now, guard).ok();
            self.seen.emitters.0 += u64::from(self.emitter.is_some());
        }
        if let Some(emitter) = self.emitter.filter(|_| second % 3 == 0) {
            let _ = self.machine.feed_error(self.now, emitter, Message::from("the emitter has hiccups"));
        }
        self.read_events();
        if !busy {
            self.spare.clear();
        }
        if let Some(subscriber) = self.subscriber.filter(|_| second % 60 == 30 || !busy) {
            let _ = self.machine.unsubscribe(subscriber);
            self.subscriber = None;
        }
        if busy && second % 60 == 0 {
            self.subscriber = self.machine.subscribe().ok();
            self.seen.subscribers.0 += u64::from(self.subscriber.is_some());
        }
        if second % 60 == 15 {
            self.cycle();
        }
    }

    pub(super) fn read_events(&mut self) {
        let Some(subscriber) = self.subscriber else { return };
        while let Some(next) = self.machine.next_event(subscriber) {
            match next {
                Next::Event(_) => self.seen.subscribers.1 += 1,
                Next::Lagged(_) => {}
                _ => break,
            }
        }
        let _ = self.machine.wait_event(subscriber, Woken::Subscriber);
    }

    /// A small machine is built, used, and ended in the middle of its work.
    fn cycle(&mut self) {
        let mut limits = Limits::default();
        limits.queue = 8;
        limits.concurrency = 2;
        limits.unclaimed = Some(8);
        let Ok(mut small) = Processor::<Work>::new(limits, self.now) else { return };
        for number in 0..8 {
            let offer = Offer::new(Box::new(1), number).route(Route::Callback(1));
            let _ = small.submit(self.now, offer, &Terms::new());
        }
        let first = small.start_next(self.now);
        let _ = small.start_next(self.now);
        if let Some(start) = first {
            let _ = small.completed(self.now, start.attempt, 1);
        }
        small.drain(self.now, Drain::Abort);
        while small.advance(self.now, 64).more || small.poll_effect().is_some() {}
        self.seen.cycles += u64::from(small.census().is_empty());
    }
}
