//! Processors that stay on one thread: nothing of theirs is `Send`.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use futures::StreamExt;
use futures::executor::{LocalPool, LocalSpawner};
use futures::task::LocalSpawnExt;

use super::kit::{ms, yield_now};
use crate::runtime::{LocalRuntime, Timer, since_start};
use crate::{
    BuildError, CancelReason, Context, Drain, Handle, Instant, Local, OutcomeKind, Phase, Processor, Refusal,
    Retry, SleepRefusal, Spawned, Submitter, TaskError, Thread, infallible,
};

/// A runtime of one thread, and how something is run to its end on it.
trait Host {
    type Runtime: LocalRuntime + 'static;

    fn new() -> Self;

    fn runtime(&self) -> Self::Runtime;

    fn run<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T;
}

/// Runs each of these functions as a test on every runtime of one thread.
macro_rules! on_every_local_runtime {
    ($($test:ident)*) => {$(
        mod $test {
            #[test]
            fn on_local_pool() {
                super::$test(<super::Pool as super::Host>::new());
            }

            #[cfg(feature = "smol")]
            #[test]
            fn on_smol() {
                super::$test(<super::smol::Executor as super::Host>::new());
            }

            #[cfg(feature = "tokio")]
            #[test]
            fn on_tokio() {
                super::$test(<super::tokio::Set as super::Host>::new());
            }

            #[cfg(feature = "tokio")]
            #[test]
            fn on_a_local_runtime_of_tokio() {
                super::$test(<super::tokio::Own as super::Host>::new());
            }
        }
    )*};
}

on_every_local_runtime! {
    values_need_not_be_send
    time_outs_sleeps_and_retries_work
    callbacks_and_the_hook_may_call_back
    the_owner_may_go_within_a_callback
    streams_queues_and_permits_work
    futures_are_jobs
    the_function_of_a_schedule_need_not_be_send
    a_runtime_that_ends_ends_it
    a_graceful_end_waits
}

/// The pool of `futures`, with a timer that can't be sent.
struct Pool(LocalPool);

struct PoolRuntime(LocalSpawner);

/// Looks at the clock whenever it is polled, and is polled all the time.
struct Busy {
    at: Instant,
    not_send: PhantomData<Rc<()>>,
}

impl Host for Pool {
    type Runtime = PoolRuntime;

    fn new() -> Self {
        Self(LocalPool::new())
    }

    fn runtime(&self) -> PoolRuntime {
        PoolRuntime(self.0.spawner())
    }

    fn run<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T {
        self.0.run_until(future)
    }
}

impl LocalRuntime for PoolRuntime {
    type Timer = Busy;

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        since_start
    }

    fn timer(&self) -> Busy {
        Busy { at: Instant::MAX, not_send: PhantomData }
    }

    fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.0.spawn_local(future).unwrap();
    }
}

impl Timer for Busy {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.at = at;
    }

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        if since_start() >= self.at {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(feature = "smol")]
mod smol {
    use super::{Future, Rc};
    use crate::SmolLocal;

    pub(super) struct Executor(Rc<smol::LocalExecutor<'static>>);

    impl super::Host for Executor {
        type Runtime = SmolLocal;

        fn new() -> Self {
            Self(Rc::new(smol::LocalExecutor::new()))
        }

        fn runtime(&self) -> SmolLocal {
            SmolLocal::on(self.0.clone())
        }

        fn run<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T {
            smol::block_on(self.0.run(future))
        }
    }
}

#[cfg(feature = "tokio")]
mod tokio {
    use super::Future;
    use crate::TokioLocal;
    use ::tokio::runtime::{Builder, LocalOptions, LocalRuntime, Runtime};
    use ::tokio::task::LocalSet;

    pub(super) struct Set {
        set: LocalSet,
        runtime: Runtime,
    }

    impl super::Host for Set {
        type Runtime = TokioLocal;

        fn new() -> Self {
            let runtime = Builder::new_current_thread().enable_time().build().unwrap();
            Self { set: LocalSet::new(), runtime }
        }

        fn runtime(&self) -> TokioLocal {
            let _inside = self.runtime.enter();
            TokioLocal::current()
        }

        fn run<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T {
            self.set.block_on(&self.runtime, future)
        }
    }

    pub(super) struct Own(LocalRuntime);

    impl super::Host for Own {
        type Runtime = TokioLocal;

        fn new() -> Self {
            Self(Builder::new_current_thread().enable_time().build_local(LocalOptions::default()).unwrap())
        }

        fn runtime(&self) -> TokioLocal {
            let _inside = self.0.enter();
            TokioLocal::current()
        }

        fn run<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T {
            self.0.block_on(future)
        }
    }

    #[test]
    fn outside_a_local_set_nothing_is_built() {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let error = runtime.block_on(async {
            let builder = crate::Processor::builder();
            builder.spawn_local_on(TokioLocal::current(), |_: u8| async { Ok::<_, ()>(()) }).unwrap_err()
        });
        assert!(error.to_string().contains("within a `LocalSet`"), "{error}");
    }
}

/// Can't be sent, nor seen from another thread.
type Shared = Rc<Cell<u32>>;

type Adding = fn(Shared) -> Result<Shared, Rc<str>>;

fn values_need_not_be_send(mut host: impl Host) {
    let runtime = host.runtime();
    host.run(async move {
        // As it may stand in a struct.
        let captured = Rc::new(Cell::new(10));
        let seen = captured.clone();
        let processor: Processor<Local<Adding>> = Processor::builder()
            .spawn_local_on(runtime, move |job: Shared| {
                let seen = seen.clone();
                async move {
                    yield_now().await;
                    job.set(job.get() + seen.get());
                    if job.get() > 100 { Err(Rc::from("too much")) } else { Ok(job) }
                }
            })
            .unwrap();
        let job = Rc::new(Cell::new(1));
        let handle: Handle<Local<Adding>> = processor.submit(job.clone()).unwrap();
        assert!(Rc::ptr_eq(&handle.await.unwrap(), &job));
        assert_eq!(job.get(), 11);
        let submitter: Submitter<Local<Adding>> = processor.submitter();
        let failed = submitter.submit(Rc::new(Cell::new(100))).unwrap().await;
        assert_eq!(failed, Err(TaskError::Failed(Rc::from("too much"))));
        assert_eq!(Rc::strong_count(&captured), 2, "the handler has one");
        let report = processor.shutdown(Drain::Abort).await;
        assert!(report.census.is_empty());
        assert_eq!((Rc::strong_count(&captured), Rc::strong_count(&job)), (1, 1));
        assert_eq!(submitter.submit(job).unwrap_err().reason, Refusal::Closed);
    });
}

fn time_outs_sleeps_and_retries_work(mut host: impl Host) {
    let runtime = host.runtime();
    host.run(async move {
        let attempts = Rc::new(Cell::new(0));
        let count = attempts.clone();
        let processor = Processor::builder()
            .retry(Retry::times(2).base(Duration::ZERO))
            .cancel_grace(ms(10_000))
            .spawn_local_on(runtime, move |nap: Duration, context: Context<u8, Local>| {
                count.set(count.get() + 1);
                async move {
                    if nap == Duration::MAX {
                        context.cancelled().await;
                        return Ok(());
                    }
                    context.sleep(nap).await?;
                    if context.attempt() < 3 { Err(SleepRefusal::Full) } else { Ok(()) }
                }
            })
            .unwrap();
        assert_eq!(processor.submit(ms(1)).unwrap().await, Ok(()));
        assert_eq!(attempts.get(), 3);
        let late = processor.task(Duration::MAX).timeout(ms(5)).submit().unwrap();
        assert_eq!(late.await, Err(TaskError::TimedOut));
        let cancelled = processor.submit(Duration::MAX).unwrap();
        assert!(cancelled.cancel().is_ok());
        assert!(matches!(cancelled.await, Err(TaskError::Cancelled(None))));
        processor.idle().await;
        assert_eq!(processor.census(), processor.audit());
    });
}

fn callbacks_and_the_hook_may_call_back(mut host: impl Host) {
    let runtime = host.runtime();
    host.run(async move {
        let processor = Processor::builder()
            .spawn_local_on(runtime, infallible(|job: Rc<u32>| async move { *job }))
            .unwrap();
        let (seen, submitter) = (Rc::new(RefCell::new(Vec::new())), processor.submitter());
        let shown = seen.clone();
        processor.on_settled(move |settled| {
            shown.borrow_mut().push(settled.kind());
            // A look at the machine, which nobody holds now.
            assert_eq!(submitter.phase(), Phase::Open);
        });
        let (told, submitter) = (Rc::new(Cell::new(0)), processor.submitter());
        let (first, second) = (told.clone(), told.clone());
        let submitted = processor.task(Rc::new(3)).call(move |settled| {
            first.set(settled.result.unwrap());
            let again = submitter.task(Rc::new(4)).call(move |settled| {
                second.set(second.get() * 10 + settled.result.unwrap());
            });
            assert!(again.is_ok());
        });
        assert!(submitted.is_ok());
        while told.get() != 34 {
            yield_now().await;
        }
        assert_eq!(*seen.borrow(), [OutcomeKind::Completed; 2]);
    });
}

fn the_owner_may_go_within_a_callback(mut host: impl Host) {
    let runtime = host.runtime();
    host.run(async move {
        let owner = Rc::new(RefCell::new(None));
        let processor = Processor::builder().spawn_local_on(runtime, |forever: bool| async move {
            if forever { pending().await } else { Ok::<_, ()>(()) }
        });
        let processor = processor.unwrap();
        let (waiting, inner) = (processor.submit(true).unwrap(), owner.clone());
        let called = Rc::new(Cell::new(false));
        let note = called.clone();
        let submitted = processor.task(false).call(move |_| {
            drop(inner.take());
            note.set(true);
        });
        assert!(submitted.is_ok());
        *owner.borrow_mut() = Some(processor);
        assert!(matches!(waiting.await, Err(TaskError::Cancelled(_) | TaskError::Ended)));
        while !called.get() {
            yield_now().await;
        }
        assert!(owner.borrow().is_none());
    });
}

fn streams_queues_and_permits_work(mut host: impl Host) {
    let runtime = host.runtime();
    host.run(async move {
        let processor = Processor::builder()
            .queue(3)
            .concurrency(2)
            .spawn_local_on(runtime, infallible(|job: Rc<u32>| async move { Rc::new(*job * 2) }))
            .unwrap();
        let jobs = futures::stream::iter((0..20).map(Rc::new));
        let doubled: Vec<u32> = processor
            .process_ordered(jobs, 4)
            .unwrap()
            .map(|settled| *settled.unwrap().result.unwrap())
            .collect()
            .await;
        assert!(doubled.into_iter().eq((0..20).map(|n| 2 * n)));
        let mut permit = processor.reserve_many(2).await.unwrap();
        let mut queue = processor.completion_queue(2).unwrap();
        assert!(permit.task(Rc::new(7)).submit_to(&mut queue).is_ok());
        assert_eq!(queue.next().await.map(|settled| settled.result), Some(Ok(Rc::new(14))));
        drop(permit);
        assert_eq!(processor.census().permits, 0);
        let waited = processor.submit_wait(Rc::new(1)).await.unwrap();
        assert_eq!(waited.await, Ok(Rc::new(2)));
    });
}

fn futures_are_jobs(mut host: impl Host) {
    let runtime = host.runtime();
    host.run(async move {
        let handler = Spawned::<u32, (), u8, Local>::new();
        let processor = Processor::builder().spawn_local_on(runtime, handler).unwrap();
        let shared = Rc::new(Cell::new(5));
        let inner = shared.clone();
        let handle = processor.spawn(async move { Ok(inner.get()) }).meta(2).submit().unwrap();
        assert_eq!(handle.await, Ok(5));
        let inner = shared.clone();
        let closure = move |context: Context<u8, Local>| async move {
            inner.set(context.meta().into());
            Ok(0)
        };
        assert_eq!(processor.spawn_with(closure).meta(9).submit().unwrap().await, Ok(0));
        assert_eq!((shared.get(), Rc::strong_count(&shared)), (9, 1));
    });
}

fn the_function_of_a_schedule_need_not_be_send(mut host: impl Host) {
    let runtime = host.runtime();
    host.run(async move {
        type Counts = fn(Rc<Cell<u32>>) -> Result<(), ()>;
        let processor: Processor<Local<Counts>> = Processor::builder()
            .spawn_local_on(runtime, |job: Rc<Cell<u32>>| async move {
                job.set(job.get() + 1);
                Ok(())
            })
            .unwrap();
        let sum = Rc::new(Cell::new(0));
        let job = sum.clone();
        let handle = processor.every(ms(1), move |_| job.clone()).unwrap();
        let began = std::time::Instant::now();
        while sum.get() < 3 {
            assert!(began.elapsed() < ms(10_000), "it is due three times");
            yield_now().await;
        }
        assert!(handle.end());
        drop(processor);
        assert_eq!(Rc::strong_count(&sum), 1);
    });
}

fn a_runtime_that_ends_ends_it(mut host: impl Host) {
    let runtime = host.runtime();
    let (processor, handle) = host.run(async move {
        let processor = Processor::builder()
            .spawn_local_on(runtime, |job: Rc<()>| async move {
                let _kept = job;
                pending::<Result<(), ()>>().await
            })
            .unwrap();
        let handle = processor.submit(Rc::new(())).unwrap();
        yield_now().await;
        (processor, handle)
    });
    drop(host);
    assert_eq!(handle.wait(), Err(TaskError::Cancelled(Some(CancelReason::ENDED))));
    assert_eq!(processor.phase(), Phase::Drained);
    assert!(processor.census().is_empty());
}

fn a_graceful_end_waits(mut host: impl Host) {
    let runtime = host.runtime();
    host.run(async move {
        let processor = Processor::builder()
            .spawn_local_on(runtime, |nap: Duration, context: Context<(), Local>| async move {
                context.sleep(nap).await
            })
            .unwrap();
        let handle = processor.submit(ms(5)).unwrap();
        let report = processor.shutdown(Drain::graceful(ms(10_000))).await;
        assert_eq!(report.totals.settled.completed, 1);
        assert_eq!(handle.await, Ok(()));
    });
}

/// A handler for both kinds of processor.
#[test]
fn a_handler_may_serve_both() {
    async fn handle<S: crate::Sharing>(job: u32, context: Context<(), S>) -> Result<u32, ()> {
        Ok(job + context.attempt())
    }
    let mut pool = Pool::new();
    let runtime = pool.runtime();
    let local = pool.run(async move {
        let processor = Processor::builder().spawn_local_on(runtime, handle::<Local>).unwrap();
        processor.submit(1).unwrap().await
    });
    let processor = Processor::builder().spawn_on(Thread::start().unwrap(), handle).unwrap();
    assert_eq!((local, processor.submit(1).unwrap().wait()), (Ok(2), Ok(2)));
}

#[test]
fn limits_are_checked_as_ever() {
    let pool = Pool::new();
    let builder = Processor::builder().concurrency(0);
    let refused = builder.spawn_local_on(pool.runtime(), |_: u8| async { Ok::<_, ()>(()) });
    assert!(matches!(refused, Err(BuildError::Limits(_))), "{refused:?}");
}
