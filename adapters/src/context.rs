//! What a handler is told about its attempt.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

mod when_cancelled;

use crate::engine::attempt_host::{Again, AttemptHost};
use crate::engine::signals::Signals;
use crate::sharing::{AnyThread, Sharing};
use crate::sleep::Sleep;
use crate::{AttemptId, Instant, Progress, TaskId};
use when_cancelled::WhenCancelled;

/// An attempt as its handler sees it: which it is, and whether it is still wanted.
///
/// It may outlive the attempt, in another task for instance; then it says that it is cancelled. It keeps neither the
/// processor nor any value of it alive.
pub struct Context<M = (), S: Sharing = AnyThread> {
    signals: Arc<Signals<S>>,
    place: u32,
    task: TaskId,
    attempt: AttemptId,
    number: u32,
    deadline: Option<Instant>,
    meta: M,
}

impl<M, S: Sharing> Context<M, S> {
    pub(crate) const fn new(
        signals: Arc<Signals<S>>,
        place: u32,
        task: TaskId,
        attempt: AttemptId,
        number: u32,
        deadline: Option<Instant>,
        meta: M,
    ) -> Self {
        Self { signals, place, task, attempt, number, deadline, meta }
    }

    /// Which task.
    pub const fn task(&self) -> TaskId {
        self.task
    }

    /// Which attempt at it, from 1.
    ///
    /// ```
    /// # use plimsoll::{Context, Processor, Retry, Thread};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().retry(Retry::times(4)).spawn_on(Thread::start()?, |_: u8, cx: Context| async move {
    ///     if cx.attempt() < 2 { Err(std::io::Error::other("not yet")) } else { Ok(cx.attempt()) }
    /// })?;
    /// assert_eq!(processor.submit(1)?.wait()?, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub const fn attempt(&self) -> u32 {
        self.number
    }

    /// The id of the attempt.
    pub const fn attempt_id(&self) -> AttemptId {
        self.attempt
    }

    /// The metadata that the task was submitted with.
    ///
    /// ```
    /// # use plimsoll::{Context, Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder()
    ///     .spawn_on(Thread::start()?, infallible(|n: u64, cx: Context<u32>| async move { n + u64::from(cx.meta()) }))?;
    /// assert_eq!(processor.task(40).meta(2).submit()?.wait()?, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub const fn meta(&self) -> M
    where
        M: Copy,
    {
        self.meta
    }

    /// The time on the processor's clock; the end of time once the processor is gone.
    pub fn now(&self) -> Instant {
        self.signals.host().map_or(Instant::MAX, |host| host.now())
    }

    /// When the attempt times out, on the clock of the runtime.
    ///
    /// ```
    /// # use plimsoll::{Context, Processor, Thread, infallible};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Processor::builder().timeout(Duration::from_secs(10));
    /// let processor = builder.spawn_on(Thread::start()?, infallible(|_: u8, cx: Context| async move {
    ///     // What is left for a request to somebody else.
    ///     cx.deadline().map(|deadline| deadline.saturating_since(cx.now()))
    /// }))?;
    /// assert!(processor.submit(1)?.wait()?.is_some_and(|left| left <= Duration::from_secs(10)));
    /// # Ok(())
    /// # }
    /// ```
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether the attempt was asked to stop, because it timed out or was cancelled, or is over. One atomic load.
    ///
    /// ```
    /// # use plimsoll::{Context, Processor, Thread};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, |rows: Vec<u64>, cx: Context| async move {
    ///     let mut sum = 0;
    ///     for row in rows {
    ///         if cx.is_cancelled() {
    ///             return Err(std::io::Error::other("not wanted any more"));
    ///         }
    ///         sum += row;
    ///     }
    ///     Ok(sum)
    /// })?;
    /// assert_eq!(processor.submit(vec![20, 22])?.wait()?, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_cancelled(&self) -> bool {
        !self.signals.is_running(self.place, self.attempt)
    }

    /// Waits for so long, on the processor's own timers: no timer of the runtime, no allocation, the same on every
    /// executor and in virtual time. To within a millisecond, never too short; counted from this call.
    ///
    /// It is ready with an error when the attempt is over or was asked to stop
    /// ([`SleepRefusal::Over`](crate::SleepRefusal::Over)), or when it has [`Limits::sleeps`](crate::Limits::sleeps)
    /// sleeps at the same time already ([`SleepRefusal::Full`](crate::SleepRefusal::Full)). A sleep takes its place
    /// when it is polled first.
    ///
    /// ```
    /// # use plimsoll::{Context, Processor, SleepRefusal, Thread};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, |job: u8, cx: Context| async move {
    ///     cx.sleep(Duration::from_millis(5)).await?;
    ///     Ok::<_, SleepRefusal>(job)
    /// })?;
    /// assert_eq!(futures::executor::block_on(processor.submit(1)?)?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn sleep(&self, duration: Duration) -> Sleep<S> {
        let now = self.signals.host().map(|host| host.now());
        let until = now.map_or(Instant::ZERO, |now| now.saturating_add(duration));
        self.sleep_until(until)
    }

    /// As [`sleep`](Self::sleep), until an instant of the runtime's clock. One that has passed is over at once.
    pub fn sleep_until(&self, until: Instant) -> Sleep<S> {
        Sleep::new(self.signals.clone(), self.attempt, until)
    }

    /// Tells that the attempt is alive: its heartbeat time-out ([`Builder::heartbeat`](crate::Builder::heartbeat),
    /// [`Timeouts::heartbeat`](crate::Timeouts::heartbeat)) counts from now on. Whether the attempt goes on; if not, it was
    /// asked to stop or is over. Without that time-out this tells no more than [`is_cancelled`](Self::is_cancelled).
    ///
    /// It reads the clock, and takes the machine's lock for a moment, at most once in a millisecond.
    ///
    /// ```
    /// # use plimsoll::{Context, Processor, Thread};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Processor::builder().heartbeat(Duration::from_secs(30));
    /// let processor = builder.spawn_on(Thread::start()?, |rows: Vec<u64>, cx: Context| async move {
    ///     let mut sum = 0;
    ///     for row in rows {
    ///         if !cx.heartbeat() {
    ///             return Err(std::io::Error::other("not wanted any more"));
    ///         }
    ///         sum += row;
    ///     }
    ///     Ok(sum)
    /// })?;
    /// assert_eq!(processor.submit(vec![1, 2, 3])?.wait()?, 6);
    /// # Ok(())
    /// # }
    /// ```
    pub fn heartbeat(&self) -> bool {
        self.tell(None)
    }

    /// Tells how far the attempt has got. [`view`](crate::Access::view) and [`inspect`](crate::Access::inspect) show the latest
    /// value until the next attempt at the task begins. This is a [`heartbeat`](Self::heartbeat), too. Whether the attempt
    /// goes on and the value is kept, which needs a [monitor](crate::Builder::monitor).
    ///
    /// It reads the clock and takes the machine's lock for a moment.
    ///
    /// ```
    /// # use plimsoll::{Context, Processor, Progress, Thread};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().monitor(true).results(10, None).spawn_on(
    ///     Thread::start()?,
    ///     |files: u64, cx: Context| async move {
    ///         (1..=files).for_each(|file| drop(cx.progress(Progress::of(file, files))));
    ///         Ok::<_, ()>(files)
    ///     },
    /// )?;
    /// let task = processor.task(3).retain()?;
    /// futures::executor::block_on(processor.idle());
    /// let view = processor.view(task).ok_or("it is retained")?;
    /// assert_eq!(view.progress, Some(Progress::of(3, 3)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn progress(&self, progress: Progress) -> bool {
        self.tell(Some(progress))
    }

    fn tell(&self, progress: Option<Progress>) -> bool {
        self.signals.host().is_some_and(|host| host.tell(self.place, self.attempt, progress))
    }

    /// If this attempt fails, the task backs off for so long, in place of what its [`Retry`](crate::Retry) would draw: what a
    /// server asks for that sends a Retry-After, for instance. How many attempts there may be stays as it is. A later call
    /// replaces an earlier one; once the attempt is over there is no effect.
    ///
    /// ```
    /// # use plimsoll::{Context, Processor, Retry, Thread};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().retry(Retry::times(1)).spawn_on(Thread::start()?, |_: u8, cx: Context| async move {
    ///     if cx.attempt() == 1 {
    ///         cx.retry_after(Duration::from_millis(2));
    ///         return Err(std::io::Error::other("busy"));
    ///     }
    ///     Ok(cx.attempt())
    /// })?;
    /// assert_eq!(processor.submit(1)?.wait()?, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry_after(&self, delay: Duration) {
        self.decide(Again::After(nanos(delay)));
    }

    /// If this attempt fails, it does not count: the task backs off for so long and is tried again as if the attempt had not
    /// been. Call it and return an error, any, which nobody gets to see. For what is not there yet, or for a pause that the
    /// other end asks for: a task can be snoozed as often as one likes, whatever its [`Retry`](crate::Retry) says. One that
    /// would not be ready by its schedule-to-close deadline has timed out instead, and in the course of the processor's end
    /// it is cancelled. A later call replaces an earlier one, as does one of [`retry_after`](Self::retry_after) or
    /// [`no_retry`](Self::no_retry).
    ///
    /// It needs the job once more, and so a processor that clones it: [`Builder::retry`](crate::Builder::retry), with
    /// [`Retry::NONE`](crate::Retry::NONE) if nothing else is to be tried again.
    ///
    /// ```
    /// # use plimsoll::{Context, Processor, Retry, Thread};
    /// # use std::time::{Duration, Instant};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let opens = Instant::now() + Duration::from_millis(5);
    /// let processor = Processor::builder().retry(Retry::NONE).spawn_on(Thread::start()?, move |_: u8, cx: Context| async move {
    ///     if Instant::now() < opens {
    ///         cx.snooze(Duration::from_millis(2)).map_err(std::io::Error::other)?;
    ///         return Err(std::io::Error::other("closed"));
    ///     }
    ///     Ok(cx.attempt())
    /// })?;
    /// assert_eq!(processor.submit(1)?.wait()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The processor does not clone jobs, or the attempt is over or was asked to stop. Nothing was noted then: an error that
    /// the handler returns counts as any other.
    pub fn snooze(&self, delay: Duration) -> Result<(), SnoozeRefusal> {
        if !self.signals.has_copies() {
            return Err(SnoozeRefusal::NoCopy);
        }
        if self.decide(Again::Snoozed(nanos(delay))) { Ok(()) } else { Err(SnoozeRefusal::Over) }
    }

    /// If this attempt fails, it was the last one: for an error that stays, whatever the task's [`Retry`](crate::Retry) allows.
    /// Once the attempt is over there is no effect. The result does not tell: its reader has to see by the error that it stays.
    ///
    /// ```
    /// # use plimsoll::{Context, Processor, Retry, Thread};
    /// # use std::sync::mpsc;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().retry(Retry::times(9)).spawn_on(Thread::start()?, |_: u8, cx: Context| async move {
    ///     cx.no_retry();
    ///     Err::<(), _>(std::io::Error::other("404"))
    /// })?;
    /// let (done, attempts) = mpsc::channel();
    /// processor.task(1).call(move |settled| drop(done.send(settled.attempts)))?;
    /// assert_eq!(attempts.recv()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn no_retry(&self) {
        self.decide(Again::Never);
    }

    /// Starts no further attempts of this task's lane for so long, and leaves those that run alone: what a server asks
    /// for that sends a Retry-After. A later call replaces this one; zero ends a hold. Mostly with
    /// [`snooze`](Self::snooze) or [`retry_after`](Self::retry_after), for the job itself. Whether it counts: not if
    /// the task has no lane, or the attempt is over.
    ///
    /// ```
    /// # use plimsoll::{Context, Lane, LaneLimits, Processor, Retry, Thread, lane_key};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder()
    ///     .lanes(LaneLimits::new(100))
    ///     .retry(Retry::NONE)
    ///     .spawn_on(Thread::start()?, |_: u8, cx: Context| async move {
    ///         if cx.now() < plimsoll::Instant::from_millis(5) {
    ///             let pause = Duration::from_millis(5);
    ///             cx.hold_lane(pause);
    ///             cx.snooze(pause).map_err(std::io::Error::other)?;
    ///             return Err(std::io::Error::other("429"));
    ///         }
    ///         Ok(cx.attempt())
    ///     })?;
    /// let lane = Lane::new(lane_key("example.com"));
    /// assert_eq!(processor.task(1).lane(lane).submit()?.wait()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn hold_lane(&self, time: Duration) -> bool {
        let is_running = self.signals.is_running(self.place, self.attempt);
        is_running && self.signals.host().is_some_and(|host| host.hold_lane(self.task, time))
    }

    /// Whether the attempt goes on, so that this counts.
    fn decide(&self, again: Again) -> bool {
        self.signals.host().is_some_and(|host| host.decide(self.place, self.attempt, again))
    }

    /// Ready when [`is_cancelled`](Self::is_cancelled) is true.
    ///
    /// A handler sees this only with a [`cancel_grace`](crate::Builder::cancel_grace); without one its future is
    /// dropped at once. What it has spawned elsewhere sees it always.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Unpin + 'static + use<M, S> {
        WhenCancelled::new(self.signals.clone(), self.place, self.attempt)
    }
}

impl<M: Clone, S: Sharing> Clone for Context<M, S> {
    fn clone(&self) -> Self {
        let Self { place, task, attempt, number, deadline, .. } = *self;
        Self {
            signals: self.signals.clone(),
            place,
            task,
            attempt,
            number,
            deadline,
            meta: self.meta.clone(),
        }
    }
}

/// Nanoseconds, at most `u64::MAX`.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Why an attempt can't be snoozed. See [`Context::snooze`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SnoozeRefusal {
    /// The processor does not clone jobs, so that there is none for another attempt: build it with
    /// [`Builder::retry`](crate::Builder::retry).
    NoCopy,
    /// The attempt is over, or was asked to stop.
    Over,
}

impl fmt::Display for SnoozeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCopy => "jobs are not cloned, so none is left for another attempt: build with `retry`",
            Self::Over => "the attempt is over, or was asked to stop",
        })
    }
}

impl std::error::Error for SnoozeRefusal {}

impl<M: fmt::Debug, S: Sharing> fmt::Debug for Context<M, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("task", &self.task)
            .field("attempt", &self.number)
            .field("meta", &self.meta)
            .field("deadline", &self.deadline)
            .field("cancelled", &self.is_cancelled())
            .finish()
    }
}
