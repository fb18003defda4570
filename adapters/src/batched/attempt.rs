//! The future of an attempt that is a member of a batch.

use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, Waker};

use super::Batching;
use super::answer::{Batch, Entry};
use super::collector::Collector;
use super::round::{Seat, Turn};
use crate::Instant;
use crate::context::Context;
use crate::panics::{Panic, catch, discard_panic, first_panic, panic_text};
use crate::sharing::Sharing;
use crate::sleep::Sleep;
use crate::work::AnyWork;

/// The panic text of a task whose job was not answered.
const UNANSWERED: &str = "the batch function has not answered this job";

/// The future of an attempt of a [`BatchedHandler`](crate::BatchedHandler). After it was ready it must not be polled again.
#[must_use = "a future does nothing unless it is polled"]
pub struct BatchedAttempt<W: AnyWork, C, F> {
    collector: Arc<Collector<W, C, F>>,
    stage: Stage<W, F>,
    timer: LeaderTimer<W::Sharing>,
}

enum Stage<W: AnyWork, F> {
    New(Entry<W>),
    Member(Seat<W, F>),
    Over,
}

/// Nothing in it is pinned: the function's future is in a box.
impl<W: AnyWork, C, F> Unpin for BatchedAttempt<W, C, F> {}

impl<W: AnyWork, C, F> BatchedAttempt<W, C, F> {
    pub(super) const fn new(
        collector: Arc<Collector<W, C, F>>,
        job: W::Job,
        context: Context<W::Meta, W::Sharing>,
    ) -> Self {
        let stage = Stage::New(Entry { job, context });
        Self { collector, stage, timer: LeaderTimer { sleep: None, joined: 0 } }
    }
}

impl<W, C, F> Future for BatchedAttempt<W, C, F>
where
    W: AnyWork,
    C: Fn(Batch<W>) -> F,
    F: Future<Output = ()>,
{
    type Output = Result<W::Output, W::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        // It is put back unless this poll is the last one. Should foreign code panic, it leaves its batch.
        let seat = match std::mem::replace(&mut this.stage, Stage::Over) {
            Stage::New(entry) => {
                let (seat, entries) = this.collector.join(entry, cx.waker().clone());
                if let Some(entries) = entries {
                    return this.start(seat, entries, cx);
                }
                seat
            }
            Stage::Member(seat) => seat,
            Stage::Over => return Poll::Pending,
        };
        match seat.turn(cx.waker().clone()) {
            // It leaves the batch. Nothing that it could yield would be right: it is dropped when its grace period is over.
            Turn::Follow | Turn::Lead { .. } if seat.context.is_cancelled() => Poll::Pending,
            Turn::Wait | Turn::Follow => this.wait(seat),
            Turn::Lead { due, joined } => {
                let is_due = this.timer.is_due(&this.collector.batching, &seat.context, due, joined, cx);
                match if is_due { this.collector.close(&seat) } else { None } {
                    Some(entries) => this.start(seat, entries, cx),
                    None => this.wait(seat),
                }
            }
            Turn::Drive => match seat.round.take_future() {
                Some(future) => this.drive(seat, future, cx),
                None => this.wait(seat),
            },
            Turn::Take(panic) => take(seat, panic.map(|text| Box::new(String::from(&*text)) as Panic)),
        }
    }
}

impl<W, C, F> BatchedAttempt<W, C, F>
where
    W: AnyWork,
    C: Fn(Batch<W>) -> F,
    F: Future<Output = ()>,
{
    fn wait<T>(&mut self, seat: Seat<W, F>) -> Poll<T> {
        self.stage = Stage::Member(seat);
        Poll::Pending
    }

    /// Runs a batch that this member has closed.
    fn start(
        &mut self,
        seat: Seat<W, F>,
        entries: Vec<Entry<W>>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Result<W::Output, W::Error>> {
        match self.collector.call(entries, &seat.round) {
            Ok(future) => self.drive(seat, future, cx),
            Err(panic) => finish(seat, Some(panic)),
        }
    }

    /// Polls the function's future.
    fn drive(
        &mut self,
        seat: Seat<W, F>,
        mut future: Pin<Box<F>>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Result<W::Output, W::Error>> {
        let polled = catch(|| {
            seat.round.driver.register(cx.waker());
            let waker = Waker::from(seat.round.driver.clone());
            future.as_mut().poll(&mut task::Context::from_waker(&waker))
        });
        if let Ok(Poll::Pending) = polled {
            seat.round.put_back(future);
            return self.wait(seat);
        }
        let dropped = catch(|| drop(future)).err();
        finish(seat, first_panic(polled.err(), dropped))
    }
}

/// Ends the round, whose driver this is.
fn finish<W: AnyWork, F>(seat: Seat<W, F>, panic: Option<Panic>) -> Poll<Result<W::Output, W::Error>> {
    seat.round.finish(seat.number, panic.as_ref().map(panic_text));
    take(seat, panic)
}

/// Takes the answer of a member whose round is over.
fn take<W: AnyWork, F>(seat: Seat<W, F>, panic: Option<Panic>) -> Poll<Result<W::Output, W::Error>> {
    let answer = seat.round.answers.take(seat.number);
    // With the last member go the answers that nobody took, and with a panic this one: what they do when they are dropped is
    // no fault of this attempt.
    let answer = match panic {
        Some(panic) => {
            discard((seat, answer));
            resume_unwind(panic)
        }
        None => {
            discard(seat);
            answer
        }
    };
    answer.map_or_else(|| resume_unwind(Box::new(UNANSWERED)), Poll::Ready)
}

/// Drops foreign values, whether or not they panic.
fn discard<T>(values: T) {
    if let Err(panic) = catch(|| drop(values)) {
        discard_panic(panic);
    }
}

/// How the first member of a round knows when that is to be run.
struct LeaderTimer<S: Sharing> {
    sleep: Option<Sleep<S>>,
    /// How many members there had been when this was polled last.
    joined: u64,
}

impl<S: Sharing> LeaderTimer<S> {
    fn is_due<M>(
        &mut self,
        batching: &Batching,
        context: &Context<M, S>,
        due: Instant,
        joined: u64,
        cx: &mut task::Context<'_>,
    ) -> bool {
        if batching.within.is_zero() {
            let had_joined = std::mem::replace(&mut self.joined, joined);
            if had_joined < joined {
                cx.waker().wake_by_ref();
            }
            return had_joined == joined;
        }
        let sleep = self.sleep.get_or_insert_with(|| context.sleep_until(due));
        // If a sleep is refused, nobody else would wake this member: what is there is run.
        let is_due = Pin::new(sleep).poll(cx).is_ready();
        if is_due {
            self.sleep = None;
        }
        is_due
    }
}

impl Batching {
    /// When a batch is run at the latest whose first job comes now.
    pub(super) fn due<M, S: Sharing>(&self, context: &Context<M, S>) -> Instant {
        if self.within.is_zero() { Instant::MAX } else { context.now().saturating_add(self.within) }
    }
}

impl<W: AnyWork, C, F> fmt::Debug for BatchedAttempt<W, C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.stage {
            Stage::New(_) => "BatchedAttempt::New",
            Stage::Member(_) => "BatchedAttempt::Member",
            Stage::Over => "BatchedAttempt::Over",
        })
    }
}
