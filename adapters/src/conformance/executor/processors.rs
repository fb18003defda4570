//! Processors on an executor under test: what rests on its promises has to work.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use plimsoll_core::{CancelReason, Drain, OutcomeKind, Retry, Timeouts};

use super::Executor;
use super::jobs::{Called, Failure, Job, Signature};
use super::subject::{Binding, OfThreads, Subject};
use super::tally::{Tally, in_time, nap};
use super::verdict::{PATIENCE, Stage, Verdict, ensure};
use crate::builder::{Builder, Cloning};
use crate::handle::Handle;
use crate::park;
use crate::processor::Processor;
use crate::task_error::TaskError;
use crate::work::AnyWork;

const HOUR: Duration = Duration::from_secs(3_600);

pub(super) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Eight attempts at a time, and what fails is tried again twice, soon.
pub(super) fn builder() -> Builder<Cloning> {
    Processor::builder().queue(400).delayed(50).concurrency(8).retry(Retry::times(2).fixed(ms(3)))
}

pub(super) fn submit<W>(processor: &Processor<W>, job: Job) -> Result<Handle<W>, String>
where
    W: AnyWork<Job = Job, Meta = ()>,
{
    processor.submit(job).map_err(|refused| format!("a job was refused: {}", refused.reason))
}

/// Makes sure that a task ends as it should.
pub(super) async fn ends<W>(handle: Handle<W>, expected: Result<u32, TaskError<Failure>>) -> Verdict
where
    W: AnyWork<Output = u32, Error = Failure>,
{
    match in_time(handle).await {
        None => Err(format!("a task was not settled {PATIENCE:?} later, which should end with {expected:?}")),
        Some(result) => {
            ensure(result == expected, || format!("a task ended with {result:?}, and not {expected:?}"))
        }
    }
}

/// Ends a processor gracefully, with nothing left.
pub(super) async fn shut_down<W: AnyWork>(processor: Processor<W>) -> Verdict {
    match in_time(processor.shutdown(Drain::graceful(HOUR))).await {
        None => Err(format!("a graceful end was not over {PATIENCE:?} later")),
        Some(report) => ensure(report.census.is_empty() && report.remains.abandoned == 0, || {
            format!("a graceful end left something: {report:?}")
        }),
    }
}

fn refused(what: &str, why: impl fmt::Display) -> String {
    format!("{what} was refused: {why}")
}

/// Jobs that are done at once, that yield, and that other threads wake; their results go to handles and to callbacks.
pub(super) fn do_tasks<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    subject.block_on(async {
        stage.set("a processor does 300 tasks");
        let processor = subject.bind().processor(builder())?;
        let called = Called::default();
        let mut handles = Vec::new();
        for n in 0..100 {
            handles.push((submit(&processor, Job::Value(n))?, n));
            handles.push((submit(&processor, Job::Yields(n % 10))?, n % 10));
            S::call(&processor, Job::Yields(n % 4), &called)?;
        }
        for n in 0..8 {
            handles.push((submit(&processor, Job::IsWoken(n))?, n));
        }
        for (handle, n) in handles {
            ends(handle, Ok(n)).await?;
        }
        ensure(called.count.reaches(100).await && called.count_of(OutcomeKind::Completed) == 100, || {
            format!("of 100 callbacks {} were called {PATIENCE:?} later", called.count.count())
        })?;
        stage.set("a processor is shut down by a future on the executor");
        shut_down(processor).await
    })
}

/// Whatever needs the processor's timer, and so the timekeeper.
pub(super) fn keep_time<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    subject.block_on(async {
        stage.set("a processor has sleeps, time-outs, delays and retries");
        let processor = subject.bind().processor(builder())?;
        let limit = |time| Timeouts { start_to_close: Some(time), ..Timeouts::NONE };
        let submit_in = |job, time| {
            let task = processor.task(job).timeouts(limit(time)).submit();
            task.map_err(|why| refused("a job", why.reason))
        };
        let hanging = submit_in(Job::Hangs(Arc::default()), HOUR)?;
        // Each is earlier than what the timer is set to.
        for millis in [30, 20, 10] {
            let late = submit_in(Job::Hangs(Arc::default()), ms(millis))?;
            ends(late, Err(TaskError::TimedOut)).await?;
        }
        let mut handles = Vec::new();
        for millis in [20, 5, 1, 12] {
            handles.push((submit(&processor, Job::Sleeps(millis))?, millis));
            let delayed = processor.task(Job::Value(millis)).delay(ms(millis.into())).submit();
            handles.push((delayed.map_err(|why| refused("a delayed job", why.reason))?, millis));
        }
        handles.push((submit(&processor, Job::FailsUntil(3))?, 3));
        for (handle, n) in handles {
            ends(handle, Ok(n)).await?;
        }
        hanging.cancel().map_err(|why| refused("a cancel", format!("{why:?}")))?;
        ends(hanging, Err(TaskError::Cancelled(None))).await?;
        stage.set("a schedule submits tasks every two milliseconds");
        let due = Tally::default();
        let schedule = S::every(&processor, ms(2), &due)?;
        ensure(due.reaches(5).await, || {
            format!("a schedule was due {} times {PATIENCE:?} later", due.count())
        })?;
        schedule.end();
        shut_down(processor).await
    })
}

/// The processor catches them: none comes to the executor.
pub(super) fn survive_panics<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    subject.block_on(async {
        stage.set("handlers panic");
        let processor = subject.bind().processor(builder().retry(Retry::NONE))?;
        let mut handles = Vec::new();
        for n in 0..20 {
            handles.push((submit(&processor, Job::Panics)?, Err(TaskError::Panicked("on purpose".into()))));
            handles.push((submit(&processor, Job::Yields(n))?, Ok(n)));
        }
        for (handle, expected) in handles {
            ends(handle, expected).await?;
        }
        shut_down(processor).await
    })
}

pub(super) fn hold_submitters_back<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    subject.block_on(async {
        stage.set("submitters wait for room");
        let processor = subject.bind().processor(builder().concurrency(1).queue(1))?;
        for n in 0..50 {
            let permit = in_time(processor.reserve()).await;
            let permit = permit.ok_or_else(|| format!("there was no room {PATIENCE:?} later"))?;
            let mut permit = permit.map_err(|why| refused("a permit", why))?;
            permit.task(Job::Yields(n % 3)).post().map_err(|why| refused("a job", why.reason))?;
        }
        stage.set("a stream of jobs is processed");
        let jobs = stream::iter((0..100).map(|n| Job::Yields(n % 5)));
        let results = processor.process(jobs, 4).map_err(|why| refused("a stream", why))?;
        let results = in_time(results.collect::<Vec<_>>()).await;
        let completed =
            results.iter().flatten().filter(|one| matches!(one, Ok(settled) if settled.result.is_ok()));
        let completed = completed.count();
        ensure(completed == 100, || {
            format!("of a stream of 100 jobs {completed} were done {PATIENCE:?} later")
        })?;
        shut_down(processor).await
    })
}

pub(super) fn run_beside_each_other<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    subject.block_on(async {
        stage.set("ten processors do tasks");
        let mut processors = Vec::new();
        for _ in 0..10 {
            processors.push(subject.bind().processor(builder())?);
        }
        let mut handles = Vec::new();
        for n in 0..10 {
            for processor in &processors {
                handles.push((submit(processor, Job::Yields(n))?, n));
                handles.push((submit(processor, Job::Sleeps(n))?, n));
            }
        }
        for (handle, n) in handles {
            ends(handle, Ok(n)).await?;
        }
        stage.set("processors are ended one by one while the others go on");
        while let Some(processor) = processors.pop() {
            shut_down(processor).await?;
            if let Some(other) = processors.last() {
                ends(submit(other, Job::Sleeps(1))?, Ok(1)).await?;
            }
        }
        Ok(())
    })
}

/// An abort, and a drop, within the executor and when it does not run.
pub(super) fn end_at_once<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    let token = Arc::new(());
    let start = |token: &Arc<()>| {
        let processor = subject.bind().processor(builder())?;
        let handle = submit(&processor, Job::Hangs(token.clone()))?;
        Ok::<_, String>((processor, handle))
    };
    let cancelled = || Err(TaskError::Cancelled(Some(CancelReason::ENDED)));
    let outside = subject.block_on(async {
        stage.set("a processor is dropped by a future on the executor");
        let (processor, handle) = start(&token)?;
        nap(ms(2)).await;
        drop(processor);
        ends(handle, Err(TaskError::Ended)).await?;
        let outside = start(&token)?;
        nap(ms(2)).await;
        Ok::<_, String>(outside)
    })?;
    stage.set("a processor is shut down from outside of the executor");
    let (processor, mut handle) = outside;
    let mut shutdown = processor.shutdown(Drain::Cancel);
    let report = park::block_on_for(&mut shutdown, PATIENCE);
    ensure(report.is_some(), || format!("an end from outside was not over {PATIENCE:?} later"))?;
    let result = park::block_on_for(&mut handle, PATIENCE);
    ensure(result == Some(cancelled()), || {
        format!("a task that was cancelled from outside ended with {result:?}")
    })?;
    stage.set("the futures of attempts are waited for that were dropped");
    subject.block_on(async {
        let start = std::time::Instant::now();
        while Arc::strong_count(&token) > 1 && start.elapsed() < PATIENCE {
            nap(ms(1)).await;
        }
    });
    ensure(Arc::strong_count(&token) == 1, || "the futures of attempts outlived their processors".to_owned())
}

/// Jobs come from other threads, and so does the end.
pub(super) fn serve_other_threads<E: Executor>(subject: OfThreads<E>, stage: &Stage) -> Verdict {
    stage.set("other threads submit tasks");
    let done = Tally::default();
    subject.block_on(async {
        let processor: Processor<Signature> = subject.bind().processor(builder())?;
        for _ in 0..3 {
            let (submitter, done) = (processor.submitter(), done.clone());
            std::thread::spawn(move || {
                for n in 0..30 {
                    let result = submitter.submit(Job::Yields(n % 4)).map(Handle::wait);
                    if matches!(result, Ok(Ok(_))) {
                        done.add();
                    }
                }
            });
        }
        ensure(done.reaches(90).await, || {
            format!("of 90 tasks of other threads {} were done {PATIENCE:?} later", done.count())
        })?;
        stage.set("another thread shuts a processor down");
        let (gate, over) = (Tally::default(), Tally::default());
        let (waits, ended) = (submit(&processor, Job::Waits(gate.clone()))?, over.clone());
        std::thread::spawn(move || {
            let mut shutdown = processor.shutdown(Drain::graceful(HOUR));
            if park::block_on_for(&mut shutdown, PATIENCE).is_some_and(|report| report.remains.cancelled == 0)
            {
                ended.add();
            }
        });
        nap(ms(5)).await;
        gate.add();
        ends(waits, Ok(0)).await?;
        ensure(over.reaches(1).await, || format!("an end by another thread was not over {PATIENCE:?} later"))
    })
}
