//! The simulated host: it makes the calls of a script on a machine and records the answers.

use alloc::vec::Vec;

use super::answer::{
    Answer, Claimed, Detached, Done, Failure, Returned, Room, Settled, Slept, Started, Stopped, Swept, Why,
};
use super::call::{Call, Offer};
use super::order::{Order, Way};
use super::script::Setup;
use super::token::{Books, Key, Kit, Token};
use crate::{
    BuildError, Claim, Effect, Guard, Inserted, Late, Message, Outcome, OutcomeKind, Processor, RoomStatus,
    Route, Settlement, SleepStatus, Terms,
};

/// A machine whose payloads are counted.
#[derive(Debug)]
pub struct Host {
    machine: Processor<Kit>,
    books: Books,
}

impl Host {
    /// Builds a machine.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn new(setup: &Setup) -> Result<Self, BuildError> {
        let machine =
            Processor::with_generation_bits(setup.limits(), setup.start(), setup.generation_bits())?;
        Ok(Self { machine, books: Books::default() })
    }

    /// The machine, for inspection.
    #[must_use]
    pub const fn machine(&self) -> &Processor<Kit> {
        &self.machine
    }

    /// The counts of the payloads.
    #[must_use]
    pub const fn books(&self) -> &Books {
        &self.books
    }

    fn token(&self, number: u32) -> Token {
        self.books.token(number)
    }

    fn offer(&self, offer: Offer) -> (crate::Offer<Kit>, Terms) {
        let route = match (offer.order.way(), offer.callback) {
            (Way::Callback, Some(callback)) => Route::Callback(self.token(callback)),
            (Way::Callback | Way::Nowhere, _) => Route::Nowhere,
            (Way::Handle, _) => Route::Handle,
            (Way::Retain, _) => Route::Retain,
        };
        (crate::Offer::new(self.token(offer.job), offer.meta).route(route), terms(offer.order))
    }

    fn guard(&self, [task, batch, error]: [u32; 3]) -> Guard<Token> {
        Guard { task: self.token(task), batch: self.token(batch), error: self.token(error) }
    }

    /// The next effect, by `poll_settlement` if that has it.
    fn poll(&mut self) -> Option<Effect<Kit>> {
        match self.machine.next_callback() {
            Some(_) => self.machine.poll_settlement().map(Effect::Settle),
            None => self.machine.poll_effect(),
        }
    }

    /// Makes one call, and returns its answer.
    pub fn call(&mut self, call: &Call) -> Answer {
        match *call {
            Call::Submit { now, offer } => {
                let (offer, terms) = self.offer(offer);
                let answer = self.machine.submit(now, offer, &terms);
                Answer::Task(
                    answer.map_err(|refused| (Why::Submit(refused.reason), returned(refused.into_value()))),
                )
            }
            Call::TrySubmit { now, offer } => {
                let (offer, terms) = self.offer(offer);
                let answer = self.machine.try_submit(now, offer, &terms);
                Answer::Task(
                    answer.map_err(|refused| (Why::Submit(refused.reason), returned(refused.into_value()))),
                )
            }
            Call::SubmitReserved { now, permit, offer } => {
                let (offer, terms) = self.offer(offer);
                let answer = self.machine.reserved(now, permit).submit(offer, &terms);
                Answer::Task(
                    answer.map_err(|refused| (Why::Permit(refused.reason), returned(refused.into_value()))),
                )
            }
            Call::Feed { now, source, offer } => {
                let (offer, terms) = self.offer(offer);
                let answer = self.machine.feed(now, source, offer, &terms);
                Answer::Task(
                    answer.map_err(|refused| (Why::Feed(refused.reason), returned(refused.into_value()))),
                )
            }
            Call::FeedBatch { now, source, ref offers } => {
                let mut batch: Vec<_> =
                    offers.iter().map(|offer| offer.map(|offer| self.offer(offer))).collect();
                let answer = self.machine.feed_batch(now, source, &mut batch);
                let left = batch.into_iter().map(|left| left.map(|(offer, _)| returned(offer))).collect();
                Answer::Batch { admitted: answer.admitted, refused: answer.refused, left }
            }
            Call::Reserve { now, count } => Answer::Permit(self.machine.reserve(now, count)),
            Call::GiveBack { now, id, count } => Answer::GivenBack(self.machine.give_back(now, id, count)),
            Call::WaitForRoom { now, waiter, count } => {
                let answer = self.machine.wait_for_room(now, self.books.token(waiter), count);
                Answer::Waiter(answer.map_err(|refused| (refused.reason, refused.into_value().out())))
            }
            Call::Rewait { id, waiter } => {
                Answer::Room(match self.machine.rewait(id, self.books.token(waiter)) {
                    RoomStatus::Granted(waiter) => Room::Granted(waiter.out()),
                    RoomStatus::Waiting(waiter) => Room::Waiting(waiter.map(Token::out)),
                    RoomStatus::Unclaimed(waiter) => Room::Unclaimed(waiter.out()),
                    RoomStatus::Gone(waiter) => Room::Gone(waiter.out()),
                })
            }
            Call::Leave { now, id } => {
                Answer::Left(self.machine.leave(now, id).map(|left| left.map(Token::out)))
            }
            Call::Cancel { now, task, reason } => Answer::Cancelled(match reason {
                Some(reason) => self.machine.cancel_because(now, task, reason),
                None => self.machine.cancel(now, task),
            }),
            Call::Claim { now, task, waiter } => {
                Answer::Claimed(match self.machine.claim(now, task, self.books.token(waiter)) {
                    Claim::Ready(settlement, waiter) => Claimed::Ready(settled(settlement), waiter.out()),
                    Claim::Pending(waiter) => Claimed::Pending(waiter.map(Token::out)),
                    Claim::Gone(waiter) => Claimed::Gone(waiter.out()),
                })
            }
            Call::TryClaim { task } => Answer::Result(self.machine.try_claim(task).map(settled)),
            Call::Release { now, task } => {
                let released = self.machine.release(now, task);
                Answer::Released {
                    waiter: released.waiter.map(Token::out),
                    settlement: released.settlement.map(settled),
                }
            }
            Call::TakeResult { now, task } => {
                Answer::Result(self.machine.take_result(now, task).map(settled))
            }
            Call::Sleep { now, attempt, until, waiter } => {
                let answer = self.machine.sleep(now, attempt, until, self.books.token(waiter));
                Answer::Sleep(answer.map_err(|refused| (refused.reason, refused.into_value().out())))
            }
            Call::Resleep { now, id, waiter } => {
                Answer::Slept(match self.machine.resleep(now, id, self.books.token(waiter)) {
                    SleepStatus::Over(waiter, old) => Slept::Over(waiter.out(), old.map(Token::out)),
                    SleepStatus::Sleeping(old) => Slept::Sleeping(old.map(Token::out)),
                    SleepStatus::Gone(waiter) => Slept::Gone(waiter.out()),
                })
            }
            Call::EndSleep { id } => {
                Answer::Left(self.machine.end_sleep(id).map(|left| left.map(Token::out)))
            }
            Call::Attach { now, guard } => {
                let answer = self.machine.attach(now, self.guard(guard));
                Answer::Source(answer.map_err(|refused| (refused.reason, listeners(refused.into_value()))))
            }
            Call::Detach { now, source } => Answer::Detached(self.machine.detach(now, source).map(detached)),
            Call::FeedError { now, source, text } => {
                Answer::Taken(self.machine.feed_error(now, source, Message::of(&text)))
            }
            Call::Subscribe => Answer::Subscriber(self.machine.subscribe()),
            Call::Unsubscribe { id } => {
                Answer::Left(self.machine.unsubscribe(id).map(|left| left.map(Token::out)))
            }
            Call::NextEvent { id } => Answer::Event(self.machine.next_event(id)),
            Call::WaitEvent { id, waiter } => {
                let answer = self.machine.wait_event(id, self.books.token(waiter));
                Answer::Waits(answer.map(|old| old.map(Token::out)).map_err(Token::out))
            }
            Call::Pause { now } => {
                self.machine.pause(now);
                Answer::Nothing
            }
            Call::Resume { now } => {
                self.machine.resume(now);
                Answer::Nothing
            }
            Call::SetConcurrency { now, to } => Answer::Concurrency(self.machine.set_concurrency(now, to)),
            Call::Drain { now, mode } => {
                self.machine.drain(now, mode);
                Answer::Nothing
            }
            Call::Observe { on } => {
                self.machine.observe(on);
                Answer::Nothing
            }
            Call::Observed { now, task, kind, value, job } => {
                let outcome = outcome(kind, self.token(value.unwrap_or_default()));
                let answer = self.machine.observed(now, task, outcome, job.map(|job| self.token(job)));
                Answer::Observed(
                    answer.map_err(|(outcome, job)| (outcome.kind(), value_of(outcome), job.map(Token::out))),
                )
            }
            _ => self.other_call(call),
        }
    }

    /// Reports, time, outputs and the cache.
    fn other_call(&mut self, call: &Call) -> Answer {
        match *call {
            Call::Began { now, attempt, at } => Answer::Runs(self.machine.began(now, attempt, at)),
            Call::Completed { now, attempt, output } => {
                let answer = self.machine.completed(now, attempt, self.books.token(output));
                Answer::Completed(answer.map_err(|late| (late.settled, late.value.out())))
            }
            Call::Failed { now, attempt, error, job, delay, text } => {
                let (error, job) = (self.token(error), job.map(|job| self.token(job)));
                let answer = self.machine.failed(now, attempt, error, job, delay, &Message::of(&text));
                Answer::Failed(answer.map(failure).map_err(late_failure))
            }
            Call::Panicked { now, attempt, panic, job, text } => {
                let (panic, job) = (self.token(panic), job.map(|job| self.token(job)));
                let answer = self.machine.panicked(now, attempt, panic, job, &Message::of(&text));
                Answer::Panicked(answer.map(failure).map_err(late_failure))
            }
            Call::Stopped { now, attempt, job } => {
                let job = job.map(|job| self.token(job));
                Answer::Stopped(match self.machine.stopped(now, attempt, job) {
                    Ok(failure) => Ok(stopped(failure)),
                    Err(late) => Err((late.settled, late.value.map(Token::out))),
                })
            }
            Call::Snoozed { now, attempt, job, delay } => {
                let job = self.token(job);
                Answer::Snoozed(match self.machine.snoozed(now, attempt, job, delay) {
                    Ok(failure) => Ok(stopped(failure)),
                    Err(late) => Err((late.settled, late.value.out())),
                })
            }
            Call::LatePanic => {
                self.machine.late_panic();
                Answer::Nothing
            }
            Call::Advance { now, budget, .. } => {
                let progress = self.machine.advance(now, budget);
                Answer::Progress { used: progress.used, more: progress.more }
            }
            Call::Sweep { now, budget } => {
                let mut sweep = self.machine.sweep(now, budget);
                let items = sweep.by_ref().map(swept).collect();
                Answer::Swept { items, due: sweep.is_more() }
            }
            Call::Poll => Answer::Effect(self.poll().map(done)),
            Call::StartNext { now } => Answer::Started(self.machine.start_next(now).map(|start| Started {
                task: start.task,
                attempt: start.attempt,
                number: start.number,
                job: start.job.out(),
                meta: start.meta,
                deadline: start.deadline,
                further: start.further,
            })),
            Call::CacheInsert { now, key, token, value } => {
                let (name, token, value) = (key, self.token(token), self.token(value));
                let mut cache = self.machine.cache();
                let hash = cache.hasher().hash_of(&name);
                let inserted = cache.insert(now, hash, Key { name, token }, value);
                let how = match inserted {
                    Inserted::New => "New",
                    Inserted::Replaced(..) => "Replaced",
                    Inserted::Evicted(..) => "Evicted",
                    Inserted::Expired(..) => "Expired",
                    Inserted::Refused(..) => "Refused",
                };
                Answer::Inserted(how, inserted.into_pair().map(pair))
            }
            Call::CacheGet { now, key, counted } => {
                let mut cache = self.machine.cache();
                let hash = cache.hasher().hash_of(&key);
                let found = if counted { cache.get(now, hash, &key) } else { cache.peek(now, hash, &key) };
                Answer::Value(found.map(Token::number))
            }
            Call::CacheRemove { key } => {
                let mut cache = self.machine.cache();
                let hash = cache.hasher().hash_of(&key);
                Answer::Removed(cache.remove(hash, &key).map(pair))
            }
            Call::CachePop => Answer::Removed(self.machine.cache().pop().map(pair)),
            _ => Answer::Nothing,
        }
    }
}

/// The terms of a task, by its order.
pub(super) fn terms(order: Order) -> Terms {
    Terms::new()
        .priority(order.priority())
        .delay(order.delay())
        .timeouts(order.timeouts())
        .retry(order.retry())
}

fn returned(offer: crate::Offer<Kit>) -> Returned {
    let callback = match offer.route {
        Route::Callback(callback) => Some(callback.out()),
        _ => None,
    };
    (offer.job.out(), callback)
}

fn failure(failure: crate::Failure<Token, Token>) -> Failure {
    match failure {
        crate::Failure::Retrying { value, delay } => Failure::Retrying { value: value.out(), delay },
        crate::Failure::Settled { job } => Failure::Settled { job: job.map(Token::out) },
    }
}

fn stopped(failure: crate::Failure<(), Token>) -> Stopped {
    match failure {
        crate::Failure::Retrying { value: (), delay } => Stopped::Retrying { delay },
        crate::Failure::Settled { job } => Stopped::Settled { job: job.map(Token::out) },
    }
}

fn late_failure(late: Late<(Token, Option<Token>)>) -> (Option<OutcomeKind>, u32, Option<u32>) {
    let (value, job) = late.value;
    (late.settled, value.out(), job.map(Token::out))
}

/// An outcome of this kind, with this value if the kind has one.
fn outcome(kind: OutcomeKind, value: Token) -> Outcome<Token, Token, Token> {
    let without_value = match kind {
        OutcomeKind::Completed => return Outcome::Completed(value),
        OutcomeKind::Failed => return Outcome::Failed(value),
        OutcomeKind::Panicked => return Outcome::Panicked(value),
        OutcomeKind::TimedOut => Outcome::TimedOut,
        OutcomeKind::Cancelled => Outcome::Cancelled(None),
        OutcomeKind::Expired => Outcome::Expired,
    };
    value.out();
    without_value
}

fn value_of(outcome: Outcome<Token, Token, Token>) -> Option<u32> {
    match outcome {
        Outcome::Completed(value) | Outcome::Failed(value) | Outcome::Panicked(value) => Some(value.out()),
        _ => None,
    }
}

fn settled(settlement: Settlement<Kit>) -> Settled {
    let kind = settlement.outcome.kind();
    let reason = match settlement.outcome {
        Outcome::Cancelled(reason) => reason,
        _ => None,
    };
    Settled {
        task: settlement.task,
        meta: settlement.meta,
        attempts: settlement.attempts,
        waited: settlement.times.waited(),
        ran: settlement.times.ran(),
        kind,
        reason,
        value: value_of(settlement.outcome),
        job: settlement.job.map(Token::out),
        callback: settlement.callback.map(Token::out),
        waiter: settlement.waiter.map(Token::out),
    }
}

fn listeners(guard: Guard<Token>) -> [u32; 3] {
    [guard.task.out(), guard.batch.out(), guard.error.out()]
}

fn detached(detached: crate::Detached<Token>) -> Detached {
    Detached { source: detached.source, guard: listeners(detached.guard), fed: detached.fed }
}

fn pair((key, value): (Key, Token)) -> (u8, u32, u32) {
    (key.name, key.token.out(), value.out())
}

fn swept(swept: crate::Swept<Kit>) -> Swept {
    match swept {
        crate::Swept::Result(settlement) => Swept::Result(settled(settlement)),
        crate::Swept::Cached(key, value) => {
            let (key, token, value) = pair((key, value));
            Swept::Cached(key, token, value)
        }
    }
}

fn done(effect: Effect<Kit>) -> Done {
    match effect {
        Effect::Stop(stop) => Done::Stop(stop),
        Effect::Observe(settlement) => Done::Observe(settled(settlement)),
        Effect::Settle(settlement) => Done::Settle(settled(settlement)),
        Effect::Wake(waiter) => Done::Wake(waiter.out()),
        Effect::Discard(settlement) => Done::Discard(settled(settlement)),
        Effect::Detach(source) => Done::Detach(detached(source)),
        Effect::Uncache(key, value) => {
            let (key, token, value) = pair((key, value));
            Done::Uncache(key, token, value)
        }
        Effect::Sweep => Done::Sweep,
        Effect::Drained => Done::Drained,
    }
}
