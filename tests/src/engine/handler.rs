//! What the handlers of a script do.

use std::future::{Future, pending, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures::future::join;
use plimsoll::{AttemptId, Context, Progress, SleepRefusal, SnoozeRefusal};

use super::plan::{End, Mood, Move};
use super::stage::{Left, Stage, Wait, lock};
use super::task::Closing;
use super::token::{Error, Job, Kind, Output, Token, Value, throw};

/// The handler of a script: calls are noted, and so is every end of an attempt.
pub(super) fn handle(job: Job, cx: Context<u32>) -> impl Future<Output = Result<Output, Error>> + Send {
    let stage = job.token.stage().clone();
    stage.note_started(job.task, cx.task());
    let called = stage.book().call(job.task, cx.attempt_id(), cx.attempt(), stage.now());
    let called = called.and_then(|()| stage.check_class(cx.task()));
    stage.expect(called.map_err(|fault| format!("task {}: {fault}", job.task)));
    stage.expect(if cx.is_cancelled() {
        Err(format!("task {} is called in vain", job.task))
    } else {
        Ok(())
    });
    let future = Token::new(&stage, Kind::Future, Mood::Calm);
    let (task, id, number) = (job.task, cx.attempt_id(), cx.attempt());
    let attempt = Attempt { stage, task, id, number, job: Some(job), _future: future, how: None };
    if attempt.order().end() == End::PanicsWhenCalled {
        throw();
    }
    attempt.run(cx)
}

/// An attempt as long as it lives.
struct Attempt {
    stage: Arc<Stage>,
    task: u32,
    id: AttemptId,
    number: u32,
    job: Option<Job>,
    _future: Token,
    /// Set when it has ended by itself.
    how: Option<Closing>,
}

impl Attempt {
    fn order(&self) -> super::plan::Order {
        self.job.as_ref().map_or(super::plan::Order::PLAIN, |job| job.order)
    }

    async fn run(mut self, cx: Context<u32>) -> Result<Output, Error> {
        let order = self.order();
        self.beat(&cx);
        for step in order.moves() {
            self.make(step, &cx).await;
            self.beat(&cx);
        }
        let how = match order.end() {
            End::Returns | End::PanicsWhenCalled => Closing::Returned,
            End::FailsUntil(times) if self.number > times => Closing::Returned,
            End::PanicsUntil(times) if self.number > times => Closing::Returned,
            End::Fails | End::FailsUntil(_) => Closing::Failed,
            End::Snoozes(times, delay) if self.stage.book().snoozes(self.task) < times => {
                self.snooze(&cx, delay)
            }
            End::Snoozes(..) => Closing::Returned,
            End::Panics | End::PanicsUntil(_) => throw(),
            End::Never => pending().await,
        };
        // The drop of a job may panic, and then the attempt has done so.
        drop(self.job.take());
        self.how = Some(how);
        let kind = if how == Closing::Returned { Kind::Output } else { Kind::Error };
        let value = Value::new(&self.stage, kind, self.task, order);
        if how == Closing::Returned { Ok(value) } else { Err(value) }
    }

    fn snooze(&self, cx: &Context<u32>, delay: Duration) -> Closing {
        let now = self.stage.now();
        let (closing, is_right) = match cx.snooze(delay) {
            Ok(()) => (Closing::Snoozed, !cx.is_cancelled()),
            Err(SnoozeRefusal::Over) => {
                (Closing::Failed, cx.is_cancelled() || self.stage.book().is_unwanted(self.task, now))
            }
            Err(_) => (Closing::Failed, false),
        };
        self.stage.expect(if is_right {
            Ok(())
        } else {
            Err(format!("task {}: {closing:?} by a snooze", self.task))
        });
        closing
    }

    /// Tells that it is alive, if that is of interest, and perhaps how far it has got.
    fn beat(&self, cx: &Context<u32>) {
        let (beats, tells) = self.order().beats();
        if !beats || !self.stage.has_monitor {
            return;
        }
        let now = self.stage.now();
        let progress = Progress::of(now.as_nanos(), self.number.into());
        let goes_on = if tells { cx.progress(progress) } else { cx.heartbeat() };
        self.stage.reach("heartbeat");
        let is_right = if goes_on {
            self.stage.book().beat(self.task, self.id, now);
            !cx.is_cancelled()
        } else {
            cx.is_cancelled() || self.stage.book().is_unwanted(self.task, now)
        };
        self.stage.ensure(is_right, || format!("task {}: a heartbeat counts: {goes_on}", self.task));
        let view = self.stage.desk().view(cx.task()).filter(|_| tells && goes_on);
        let is_kept = view.is_none_or(|view| view.progress == Some(progress));
        self.stage.ensure(is_kept, || format!("task {}: {progress:?} is not kept: {view:?}", self.task));
    }

    async fn make(&self, step: Move, cx: &Context<u32>) {
        match step {
            Move::Nothing => {}
            Move::Yields(times) => yield_now(times).await,
            Move::Sleeps(duration) => self.sleep(cx, duration).await,
            Move::SleepsTwice(one, two) => drop(join(self.sleep(cx, one), self.sleep(cx, two)).await),
            Move::Naps(duration) => {
                let until = self.stage.now().saturating_add(duration);
                let _wait = Waiting::new(self, Wait::Until(until));
                self.stage.time.sleep_until(until).await;
            }
            Move::WaitsAtGate(gate) => self.wait_at(gate).await,
            Move::AwaitsCancellation => {
                let _wait = Waiting::new(self, Wait::Cancellation);
                cx.cancelled().await;
            }
            Move::LeavesContext => {
                let left = Left { task: self.task, attempt: self.id, context: cx.clone() };
                lock(&self.stage.contexts).push(left);
            }
            Move::LeavesWaker => {
                let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
                lock(&self.stage.wakers).push(waker);
            }
            Move::SpawnsChild => self.spawn_child(cx),
            Move::Acts(deed) => self.stage.act(deed),
        }
    }

    async fn sleep(&self, cx: &Context<u32>, duration: Duration) {
        let until = self.stage.now().saturating_add(duration);
        let wait = Waiting::new(self, Wait::Until(until));
        let slept = cx.sleep(duration).await;
        drop(wait);
        let now = self.stage.now();
        let is_right = match slept {
            Ok(()) => until <= now,
            Err(SleepRefusal::Over) => cx.is_cancelled() || self.stage.book().is_unwanted(self.task, now),
            Err(_) => true,
        };
        self.stage.expect(if is_right {
            Ok(())
        } else {
            Err(format!("slept until {now:?}, not {until:?}: {slept:?}"))
        });
    }

    async fn wait_at(&self, gate: u8) {
        let index = usize::from(gate);
        let before = lock(&self.stage.gates)[index].opened;
        let _wait = Waiting::new(self, Wait::Gate(gate, before));
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            let mut gates = lock(&self.stage.gates);
            if gates[index].opened > before {
                return Poll::Ready(());
            }
            gates[index].wakers.push(waker);
            Poll::Pending
        })
        .await;
    }

    /// Something of the runtime that runs on until the attempt is over.
    fn spawn_child(&self, cx: &Context<u32>) {
        let sim = lock(&self.stage.sim).clone();
        let Some(sim) = sim else { return };
        let (stage, cx, child) = (self.stage.clone(), cx.clone(), (self.task, self.id));
        lock(&stage.children).push(child);
        sim.spawn(async move {
            cx.cancelled().await;
            lock(&stage.children).retain(|other| *other != child);
        });
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let is_thrown = thread::panicking();
        let panics = self.how.is_none() && !is_thrown && self.order().callback_mood() == Mood::Panics;
        let how = match self.how {
            _ if is_thrown || panics => Closing::Panicked,
            Some(how) => how,
            None => Closing::Dropped,
        };
        let now = self.stage.now();
        self.stage.book().close(self.task, self.id, how, now);
        if panics {
            if let Some(job) = self.job.take() {
                job.come_back();
            }
            throw();
        }
    }
}

/// A handler waits for something, until this is dropped.
struct Waiting<'a> {
    attempt: &'a Attempt,
    wait: Wait,
}

impl<'a> Waiting<'a> {
    fn new(attempt: &'a Attempt, wait: Wait) -> Self {
        lock(&attempt.stage.waits).push((attempt.task, wait));
        Self { attempt, wait }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waits = lock(&self.attempt.stage.waits);
        let is_this = |(task, wait): &(u32, Wait)| {
            *task == self.attempt.task
                && match (wait, &self.wait) {
                    (Wait::Until(one), Wait::Until(two)) => one == two,
                    (Wait::Gate(..), Wait::Gate(..)) | (Wait::Cancellation, Wait::Cancellation) => true,
                    _ => false,
                }
        };
        if let Some(at) = waits.iter().position(is_this) {
            waits.swap_remove(at);
        }
    }
}

async fn yield_now(times: u8) {
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
