//! Subscribers that panic: wherever they do, tasks end as they would without them, and the processor goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use futures::FutureExt;
use plimsoll::runtime::sim::Sim;
use plimsoll::{Context, Drain, Processor, Retry, TaskError, TaskId};

use crate::ms;
use crate::spans::Spans;

type Jobs = fn(u32) -> Result<u32, ()>;

/// Starts nothing for now.
fn paused(sim: &Sim) -> Processor<Jobs> {
    let builder = Processor::builder().concurrency(1).results(4, None);
    let processor = builder.spawn_on(sim.clone(), |n: u32| async move { Ok::<_, ()>(n) }).unwrap();
    processor.pause();
    processor
}

/// The next call of the subscriber panics.
fn arm(spans: &Spans) {
    let armed = AtomicBool::new(true);
    spans.set_look(move || assert!(!armed.swap(false, SeqCst), "in the subscriber"));
}

/// A task within a span is queued, and then ended while the subscriber panics as the span is closed. That is counted, and
/// nothing else comes of it.
fn survives<T>(
    what: &str,
    submit: impl FnOnce(&Processor<Jobs>) -> T,
    end: impl FnOnce(&Sim, Processor<Jobs>, T),
) {
    let (sim, spans) = (Sim::new(1), Spans::default());
    let _watch = spans.watch();
    let processor = paused(&sim);
    let submitter = processor.submitter();
    let submitted = tracing::info_span!(target: "test", "submitter").in_scope(|| submit(&processor));
    arm(&spans);
    let ended = catch_unwind(AssertUnwindSafe(|| {
        end(&sim, processor, submitted);
        sim.run_until_idle().unwrap();
    }));
    assert!(ended.is_ok(), "{what}: it comes out");
    assert_eq!(submitter.totals().late_panics, 1, "{what}");
    assert_eq!(submitter.census(), submitter.audit(), "{what}");
}

/// Cancels the task, after which the processor does another one.
fn cancel(sim: &Sim, processor: &Processor<Jobs>, id: TaskId) {
    processor.cancel(id).unwrap();
    sim.run_until_idle().unwrap();
    processor.resume();
    let next = processor.submit(2).unwrap();
    assert_eq!(sim.block_on(next).unwrap(), Ok(2));
}

#[test]
fn one_that_panics_when_a_submitters_span_is_closed_harms_nothing() {
    let called = Arc::new(AtomicU32::new(0));
    let count = called.clone();
    let calls = |processor: &Processor<Jobs>| {
        let callback = move |_| {
            count.fetch_add(1, SeqCst);
        };
        processor.task(1).call(callback).unwrap()
    };
    survives("a callback", calls, |sim, processor, id| {
        cancel(sim, &processor, id);
        assert_eq!(called.load(SeqCst), 1);
    });
    let posts = |processor: &Processor<Jobs>| processor.task(1).post().unwrap();
    survives("nobody", posts, |sim, processor, id| cancel(sim, &processor, id));
    let retains = |processor: &Processor<Jobs>| processor.task(1).retain().unwrap();
    survives("a result", retains, |sim, processor, id| cancel(sim, &processor, id));
    let submits = |processor: &Processor<Jobs>| processor.submit(1).unwrap();
    survives("a handle", submits, |sim, processor, handle| {
        cancel(sim, &processor, handle.id());
        assert_eq!(handle.now_or_never(), Some(Err(TaskError::Cancelled(None))));
    });
    survives("a handle that is dropped when its task is over", submits, |_, processor, handle| {
        processor.cancel(handle.id()).unwrap();
        drop(handle);
    });
    survives("a handle that is dropped", submits, |_, _processor, handle| drop(handle.cancel_on_drop()));
    survives("the end", submits, |sim, processor, handle| {
        let _report = sim.block_on(processor.shutdown(Drain::Cancel)).unwrap();
        assert!(matches!(handle.now_or_never(), Some(Err(TaskError::Cancelled(_)))));
    });
    let queues = |processor: &Processor<Jobs>| {
        let mut queue = processor.completion_queue(2).unwrap();
        let id = queue.submit(1).unwrap();
        (queue, id)
    };
    survives("a completion queue", queues, |sim, processor, (mut queue, id)| {
        cancel(sim, &processor, id);
        assert_eq!(queue.try_next().unwrap().task, id);
    });
    survives("a completion queue that is dropped", queues, |sim, processor, (queue, id)| {
        drop(queue);
        cancel(sim, &processor, id);
    });
    survives("a hook", submits, |sim, processor, handle| {
        processor.on_settled(|settled| assert!(settled.job.is_some() || settled.result.is_ok()));
        cancel(sim, &processor, handle.id());
    });
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the drop");
    }
}

/// A processor that clones each job for a further attempt, or one that does not.
fn spawn<J, O, E, F>(
    sim: &Sim,
    clones: bool,
    handler: impl Fn(J) -> F + Send + Sync + 'static,
) -> Processor<fn(J) -> Result<O, E>>
where
    J: Clone + Send + 'static,
    O: Send + 'static,
    E: std::fmt::Debug + Send + 'static,
    F: Future<Output = Result<O, E>> + Send + 'static,
{
    let builder = Processor::builder();
    if clones {
        builder.retry(Retry::times(1)).spawn_on(sim.clone(), handler).unwrap()
    } else {
        builder.spawn_on(sim.clone(), handler).unwrap()
    }
}

/// Where it panics; and from then on the subscriber does.
struct Job {
    at: &'static str,
    panics: Arc<AtomicBool>,
}

impl Job {
    fn comes_to(&self, here: &str) {
        if self.at == here {
            self.panics.store(true, SeqCst);
            panic!("the {here}");
        }
    }
}

impl Clone for Job {
    fn clone(&self) -> Self {
        self.comes_to("clone");
        Self { at: self.at, panics: self.panics.clone() }
    }
}

#[test]
fn one_that_panics_beside_a_handler_does_not_end_the_process() {
    for (at, clones) in [
        ("call", false),
        ("call", true),
        ("poll", false),
        ("poll", true),
        ("drop", false),
        ("drop", true),
        ("clone", true),
    ] {
        let (sim, spans) = (Sim::new(1), Spans::default());
        let _watch = spans.watch();
        let panics = Arc::new(AtomicBool::new(false));
        let subscriber = panics.clone();
        spans.set_look(move || assert!(!subscriber.load(SeqCst), "in the subscriber"));
        let handler = |job: Job| {
            job.comes_to("call");
            async move {
                let _bomb = (job.at == "drop").then(|| Bomb);
                job.comes_to("poll");
                job.panics.store(true, SeqCst);
                Ok::<_, ()>(())
            }
        };
        let processor = spawn(&sim, clones, handler);
        let span = tracing::info_span!(target: "test", "submitter");
        let handle = span.in_scope(|| processor.submit(Job { at, panics }).unwrap());
        drop(span);
        let Err(TaskError::Panicked(message)) = sim.block_on(handle).unwrap() else { panic!("{at}") };
        assert_eq!(message.as_str(), format!("the {at}"));
    }
}

#[test]
fn one_that_panics_once_changes_no_result_at_whatever_call_that_is() {
    let (sim, spans) = (Sim::new(7), Spans::default());
    let processor = Processor::builder()
        .spawn_on(sim.clone(), |n: u32, cx: Context| async move { cx.sleep(ms(1)).await.map(|()| n) })
        .unwrap();
    let watch = spans.watch();
    let calls = Arc::new(AtomicU32::new(0));
    for left in 1..20 {
        let span = tracing::info_span!(target: "test", "submitter");
        let handle = span.in_scope(|| processor.submit(left).unwrap());
        drop(span);
        let counted = calls.clone();
        calls.store(0, SeqCst);
        spans.set_look(move || assert!(counted.fetch_add(1, SeqCst) + 1 != left, "in the subscriber"));
        assert_eq!(sim.block_on(handle).unwrap(), Ok(left));
        spans.set_look(|| {});
    }
    assert!((9..20).contains(&calls.load(SeqCst)), "each of them has panicked once");
    drop(watch);
    assert_eq!((processor.census(), processor.totals().settled.completed), (processor.audit(), 19));
}

#[test]
fn one_that_panics_at_every_call_changes_no_result() {
    for clones in [false, true] {
        let (sim, spans) = (Sim::new(1), Spans::default());
        let watch = spans.watch();
        let handler = |n: u32| async move { if n > 0 { Ok(n) } else { Err(()) } };
        let processor = spawn(&sim, clones, handler);
        let span = tracing::info_span!(target: "test", "submitter");
        let handles = span.in_scope(|| [0, 1, 2].map(|n| processor.submit(n).unwrap()));
        drop(span);
        spans.set_look(|| panic!("in the subscriber"));
        let results = handles.map(|handle| sim.block_on(handle).unwrap());
        assert_eq!(results, [Err(TaskError::Failed(())), Ok(1), Ok(2)]);
        drop((processor, watch));
    }
}
