//! What the tests share: jobs, callbacks that note what becomes of them, and the macro that runs a test on every runtime.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{self, Poll};
use std::time::{Duration, Instant};

use plimsoll::{
    Access, Context, Options, Processor, Retry, Runtime, Settlement, TaskError, TaskId, TaskResult, Timeouts,
};

/// Runs each of these functions, which take a [`Runtime`], as a test on every runtime.
macro_rules! on_every_runtime {
    ($($test:ident)*) => {$(
        mod $test {
            #[test]
            fn on_thread() {
                super::$test(plimsoll::Thread::start().unwrap());
            }

            #[cfg(feature = "smol")]
            #[test]
            fn on_smol() {
                super::$test(plimsoll::Smol::global());
            }

            #[cfg(feature = "tokio")]
            #[test]
            fn on_tokio_with_two_threads() {
                let runtime =
                    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
                super::$test(plimsoll::Tokio::on(runtime.handle().clone()));
            }

            #[cfg(feature = "tokio")]
            #[test]
            fn on_tokio_with_one_thread() {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                let handle = runtime.handle().clone();
                let (stop, stopped) = futures::channel::oneshot::channel::<()>();
                let thread = std::thread::spawn(move || _ = runtime.block_on(stopped));
                super::$test(plimsoll::Tokio::on(handle));
                drop(stop);
                thread.join().unwrap();
            }
        }
    )*};
}
pub(super) use on_every_runtime;

/// What a handler does with its job.
#[derive(Clone, Copy, Debug)]
pub(super) enum Do {
    Return(u32),
    Fail,
    FailOnce(u32),
    FailOnceThenPanic,
    /// Before there is a future.
    PanicAtOnce,
    Panic,
    /// When the future is dropped, which is ready with an output.
    PanicWhenDone,
    Hang,
    /// When the future is dropped, which is never ready.
    HangThenPanic,
    /// Returns as soon as it is asked to stop.
    Stop(u32),
    /// Panics as soon as it is asked to stop.
    StopThenPanic,
}

pub(super) type Error = &'static str;
type Attempt = Pin<Box<dyn Future<Output = Result<u32, Error>> + Send>>;
pub(super) type Work = fn(Do, Context) -> Result<u32, Error>;
pub(super) type Service = Processor<Work>;
/// How a task may end.
pub(super) type End = TaskResult<Work>;

pub(super) fn panicked(message: &str) -> End {
    Err(TaskError::Panicked(message.into()))
}

/// Ready at once or never; panics when it is dropped.
struct PanicsOnDrop(bool);

impl Future for PanicsOnDrop {
    type Output = Result<u32, Error>;

    fn poll(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<Self::Output> {
        if self.0 { Poll::Ready(Ok(0)) } else { Poll::Pending }
    }
}

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("future dropped");
    }
}

pub(super) fn handle(job: Do, cx: Context) -> Attempt {
    let first = cx.attempt() == 1;
    match job {
        Do::Return(n) => Box::pin(async move { Ok(n) }),
        Do::FailOnce(n) if !first => Box::pin(async move { Ok(n) }),
        Do::FailOnceThenPanic if !first => Box::pin(async { panic!("the second time") }),
        Do::Fail | Do::FailOnce(_) | Do::FailOnceThenPanic => Box::pin(async { Err("failed") }),
        Do::PanicAtOnce => panic!("at once"),
        Do::Panic => Box::pin(async { panic!("in a poll") }),
        Do::PanicWhenDone => Box::pin(PanicsOnDrop(true)),
        Do::Hang => Box::pin(pending()),
        Do::HangThenPanic => Box::pin(PanicsOnDrop(false)),
        Do::Stop(n) => Box::pin(async move {
            cx.cancelled().await;
            Ok(n)
        }),
        Do::StopThenPanic => Box::pin(async move {
            cx.cancelled().await;
            panic!("when stopped")
        }),
    }
}

pub(super) fn service(runtime: impl Runtime, concurrency: u32) -> Service {
    Processor::builder().concurrency(concurrency).retry(Retry::NONE).spawn_on(runtime, handle).unwrap()
}

/// What has become of a callback.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fate {
    Called(End),
    DroppedUncalled,
}

/// The callbacks of a test, by the names of their tasks.
#[derive(Clone, Default)]
pub(super) struct Calls {
    tasks: Arc<Mutex<BTreeMap<String, TaskId>>>,
    fates: Arc<Mutex<BTreeMap<String, Vec<Fate>>>>,
}

/// A callback that notes what becomes of it.
pub(super) struct Note {
    calls: Calls,
    name: String,
    was_called: bool,
}

impl Note {
    pub(super) fn call(mut self, settled: Settlement<Work>) {
        self.was_called = true;
        self.calls.push(&self.name, Fate::Called(settled.result));
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if !self.was_called {
            self.calls.push(&self.name, Fate::DroppedUncalled);
        }
    }
}

impl Calls {
    fn all_fates(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Fate>>> {
        self.fates.lock().unwrap()
    }

    fn push(&self, name: &str, fate: Fate) {
        self.all_fates().entry(name.to_owned()).or_default().push(fate);
    }

    pub(super) fn note(&self, name: &str) -> Note {
        Note { calls: self.clone(), name: name.to_owned(), was_called: false }
    }

    pub(super) fn submit(&self, submitter: &Access<Work>, name: &str, job: Do, options: Options) {
        let note = self.note(name);
        let Ok(task) = submitter.task(job).options(options).call(|settled| note.call(settled)) else {
            panic!("{name} was refused")
        };
        self.tasks.lock().unwrap().insert(name.to_owned(), task);
    }

    pub(super) fn task(&self, name: &str) -> TaskId {
        self.tasks.lock().unwrap()[name]
    }

    /// What has become of a callback so far.
    pub(super) fn fates(&self, name: &str) -> Vec<Fate> {
        self.all_fates().get(name).cloned().unwrap_or_default()
    }

    /// As [`fates`](Self::fates), and nothing has become of it from now on.
    pub(super) fn forget(&self, name: &str) -> Vec<Fate> {
        self.all_fates().remove(name).unwrap_or_default()
    }

    /// How many were called, or dropped.
    pub(super) fn len(&self) -> usize {
        self.all_fates().len()
    }

    /// Asserts that these, and no others, were called so far, each once and with this outcome.
    #[track_caller]
    pub(super) fn are(&self, expected: &[(&str, End)]) {
        let expected: BTreeMap<_, _> = expected
            .iter()
            .map(|(name, outcome)| ((*name).to_owned(), vec![Fate::Called(outcome.clone())]))
            .collect();
        // The lock is not held by an assertion that fails: more callbacks are called while that unwinds.
        let fates = self.all_fates().clone();
        assert_eq!(fates, expected);
    }

    /// As [`are`](Self::are), after an end. One that another thread had taken by then may still be running.
    #[track_caller]
    pub(super) fn end_as(&self, expected: &[(&str, End)]) {
        eventually("all callbacks are gone", || self.len() >= expected.len());
        self.are(expected);
    }

    /// Waits for these, and asserts that the end of the processor adds none.
    #[track_caller]
    pub(super) fn come_to_be(&self, processor: Service, expected: &[(&str, End)]) {
        self.end_as(expected);
        drop(processor);
        self.are(expected);
    }
}

#[track_caller]
pub(super) fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(60), "never happened: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(super) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// So long that nothing waits for it to be over.
pub(super) const LONG: Duration = Duration::from_secs(365 * 24 * 60 * 60);

pub(super) fn plain() -> Options {
    Options::default()
}

pub(super) fn timeouts(timeouts: Timeouts) -> Options {
    plain().timeouts(timeouts)
}

/// A limit of 20 ms for an attempt.
pub(super) fn start_to_close() -> Options {
    timeouts(Timeouts { start_to_close: Some(ms(20)), ..Timeouts::NONE })
}

/// Two attempts, the second at once.
pub(super) fn twice() -> Options {
    plain().retry(Retry::NONE.attempts(2).base(ms(0)).on_panic(true))
}

/// Two attempts, the second one practically never: the backoff is drawn from 0 to a year.
pub(super) fn much_later() -> Options {
    plain().retry(Retry::NONE.attempts(2).base(LONG).cap(LONG))
}
