//! The handler: it does what its job says.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{self, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use futures::future::{Either, poll_fn, select};
use plimsoll::{Context, Progress, SleepRefusal};

use crate::dice::chance;
use crate::names::Check;
use crate::record::{Record, flag};
use crate::script::{Finish, Step};
use crate::shares::Share;
use crate::tokens::{Kind, Token};
use crate::values::{Failure, Fuse, Job, Output, Quiet, planned_panic};
use crate::world::{Inside, World, lock};

/// The future of an attempt.
pub struct Attempt {
    inner: Pin<Box<dyn Future<Output = Result<Output, Failure>> + Send>>,
    record: Arc<Record>,
    #[expect(dead_code, reason = "counted")]
    token: Token,
    fuse: Fuse,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        // It may come before the report of the attempt, and then is a part of it.
        if self.fuse.0 {
            self.record.set(flag::PANICKED);
        }
    }
}

impl Future for Attempt {
    type Output = Result<Output, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        self.inner.as_mut().poll(cx)
    }
}

/// Calls the handler.
pub fn attempt(world: &Arc<World>, mut job: Job, cx: Context<u64>) -> Attempt {
    // A panic in this drop would be one of the handler.
    job.fuse.0 = false;
    world.note_attempt(&job.record, &cx);
    let finish = job.script.finish(cx.attempt());
    if finish == Finish::PanicInCall {
        finish.action().count();
        job.record.set(flag::PANICKED);
        planned_panic(job.script.payload_panics);
    }
    let fuse = Fuse(job.script.future_panics);
    let record = job.record.clone();
    let share = Share::take(world, &record);
    let inner = Box::pin(run(world.clone(), job, cx, finish, Some(share)));
    Attempt { inner, record, token: world.tokens.token(Kind::Future), fuse }
}

/// Does what the job says, and ends as it says. Until then the attempt has its share, if it is one of its own.
pub async fn run(
    world: Arc<World>,
    job: Job,
    cx: Context<u64>,
    finish: Finish,
    _share: Option<Share>,
) -> Result<Output, Failure> {
    let script = &job.script;
    let mut dice = Rng::with_seed(script.seed ^ u64::from(cx.attempt()));
    for step in &script.steps {
        world.end_if_wanted(Inside::Handler);
        step.action().count();
        take_step(&world, &job, &cx, *step, &mut dice).await;
    }
    world.end_if_wanted(Inside::Handler);
    finish.action().count();
    let number = job.record.number;
    match finish {
        Finish::Return => {
            job.record.set(flag::RETURNED);
            Ok(Output { number, token: world.tokens.token(Kind::Output), fuse: Fuse(script.output_panics) })
        }
        Finish::Fail => {
            job.record.set(flag::FAILED);
            let (token, fuse) = (world.tokens.token(Kind::Failure), Fuse(script.output_panics));
            Err(Failure { number, token, fuse, debug_panics: script.debug_panics })
        }
        Finish::Panic | Finish::PanicInCall => {
            job.record.set(flag::PANICKED);
            planned_panic(script.payload_panics)
        }
    }
}

async fn take_step(world: &Arc<World>, job: &Job, cx: &Context<u64>, step: Step, dice: &mut Rng) {
    match step {
        Step::Yield(times) => {
            for _ in 0..times {
                yield_once().await;
            }
        }
        Step::RuntimeSleep(duration) => {
            job.record.set(flag::USES_TIMER);
            world.place.sleep(duration).await;
        }
        Step::ContextSleep(duration) => sleep_by_context(world, cx, duration).await,
        Step::ContextSleepDropped(duration) => {
            let mut sleep = pin!(cx.sleep(duration));
            let _ = poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx).is_ready())).await;
        }
        Step::Lend(loan) => world.lender.lend(loan).await,
        Step::Block(duration) => thread::sleep(duration),
        Step::Submit => {
            let held = world.submit_any(dice, job.script.depth + 1);
            lock(&world.parcels).extend(held.filter(|_| chance(dice, 50)));
        }
        Step::AwaitInside => {
            job.record.set(flag::USES_TIMER);
            if let Some(held) = world.submit_handle(dice, job.script.depth + 1) {
                let sleep = world.place.sleep(Duration::from_millis(3));
                if let Either::Left((outcome, _)) = select(held.handle, sleep).await {
                    world.conclude(&held.record, outcome);
                }
            }
        }
        Step::CancelSelf => {
            job.record.set(flag::CANCELLED);
            // Timed out or cancelled before.
            let _ = world.submitter().cancel(cx.task());
        }
        Step::AwaitCancelled => cx.cancelled().await,
        Step::ChildTask => {
            let child = child(world.clone(), cx.clone(), world.tokens.token(Kind::Child), chance(dice, 50));
            world.spawn(Quiet::new(child));
        }
        Step::ChildThread => {
            let child = child(world.clone(), cx.clone(), world.tokens.token(Kind::Child), chance(dice, 50));
            let run = move || futures::executor::block_on(child);
            let spawned = thread::Builder::new().name("child".to_owned()).spawn(run);
            lock(&world.threads).extend(spawned.ok());
        }
        Step::Heartbeat => {
            let age = job.record.age();
            let goes_on = cx.heartbeat();
            note_beat(world, job, cx, age, goes_on, goes_on).await;
        }
        Step::Progress => {
            let (age, progress) = (job.record.age(), Progress::of(dice.u64(..), 7));
            let counts = cx.progress(progress);
            note_beat(world, job, cx, age, counts, counts || !world.parts.is_monitored).await;
            let view = if counts { world.submitter().view(cx.task()) } else { None };
            if view.is_some_and(|view| view.progress != Some(progress)) {
                world.find(Check::Context, format!("{view:?} has not got as far as {progress:?}"));
            }
        }
        Step::HoldLane(time) => {
            let holds = cx.hold_lane(time);
            if holds && job.record.lane.is_none() {
                world.find(Check::Context, "an attempt without a lane holds one");
            }
        }
        Step::KeepContext => lock(&world.contexts).push(cx.clone()),
    }
}

/// A heartbeat at this age has counted, or not. An attempt that does not go on is told so.
async fn note_beat(world: &World, job: &Job, cx: &Context<u64>, age: Duration, counts: bool, goes_on: bool) {
    if counts {
        job.record.beat(age);
    }
    if counts && !world.parts.is_monitored && job.record.slow_after.is_some() {
        world.find(Check::Context, "a soft limit without a monitor");
    }
    // The machine may know it before the attempt is told: that has to come.
    if !goes_on {
        cx.cancelled().await;
    }
}

async fn sleep_by_context(world: &World, cx: &Context<u64>, duration: Duration) {
    let start = Instant::now();
    match cx.sleep(duration).await {
        Ok(()) if start.elapsed() < duration => {
            world.find(
                Check::Context,
                format!("a sleep of {duration:?} was over after {:?}", start.elapsed()),
            );
        }
        // The machine may know it before the attempt is told: that has to come.
        Err(SleepRefusal::Over) => cx.cancelled().await,
        _ => {}
    }
}

/// Outlives its attempt, and is told when that is over.
async fn child(world: Arc<World>, cx: Context<u64>, token: Token, sleeps: bool) {
    if sleeps {
        match cx.sleep(Duration::from_secs(3_600)).await {
            Ok(()) => world.find(Check::Context, "a sleep of an hour is over"),
            Err(SleepRefusal::Over) => cx.cancelled().await,
            Err(_) => {}
        }
    } else {
        cx.cancelled().await;
        if !cx.is_cancelled() {
            world.find(Check::Context, "`cancelled` is ready, `is_cancelled` is false");
        }
    }
    drop(cx);
    drop(world);
    drop(token);
}

/// Wakes itself and is pending once.
pub async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Polls once with a waker that does nothing.
pub fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut task::Context::from_waker(Waker::noop()))
}
