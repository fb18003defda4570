//! plimsoll by its batches: jobs are submitted 64 at a time, and all results come from one completion queue.
//!
//! The harness wants a handle for each task. That is an index here, into what has come out of the queue so far.

use std::collections::VecDeque;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::Stream;
use plimsoll::{
    CompletionQueue, Options, Processor, Refusal, Runtime, Settlement, TaskError, Tokio, Work, typed,
};

use super::Contender;
use super::plimsoll::{builder, smol};
use crate::drive::Peer;
use crate::host::{Host, Smol};
use crate::work::{Body, Limits, Outcome};

pub struct OnSmol;

impl Contender<Smol> for OnSmol {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        start::<B>(limits, smol())
    }
}

pub struct OnTokio;

impl<H: Host> Contender<H> for OnTokio {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        start::<B>(limits, Tokio::current())
    }
}

/// The metadata of a task are its number among those of its submitter.
struct Numbered<B>(PhantomData<B>);

impl<B: Body> Work for Numbered<B> {
    type Job = u64;
    type Output = u64;
    type Error = u64;
    type Meta = u64;
}

/// How many jobs are submitted together.
const BATCH: usize = 64;

struct Batches<B: Body> {
    processor: Arc<Processor<Numbered<B>>>,
    window: u32,
    desk: Arc<Mutex<Desk<B>>>,
}

/// What one submitter has at hand.
struct Desk<B: Body> {
    queue: CompletionQueue<Numbered<B>>,
    /// Not submitted yet, with their numbers.
    jobs: VecDeque<(u64, u64)>,
    /// Those of the tasks from `first` on, as far as they are there.
    outcomes: VecDeque<Option<Outcome>>,
    first: u64,
}

fn start<B: Body>(limits: Limits, runtime: impl Runtime) -> impl Peer {
    // What waits for the rest of its batch waits too.
    let queue = u32::try_from(limits.queue - limits.submitters * BATCH).expect("a small queue");
    let processor = builder(limits).queue(queue).spawn_on(runtime, typed(|id: u64| B::run(id)));
    let processor = processor.expect("limits in bounds");
    Batches::<B>::new(Arc::new(processor), u32::try_from(limits.window()).expect("a small window"))
}

impl<B: Body> Batches<B> {
    fn new(processor: Arc<Processor<Numbered<B>>>, window: u32) -> Self {
        let desk = Desk {
            queue: processor.completion_queue(window).expect("memory"),
            jobs: VecDeque::with_capacity(BATCH),
            outcomes: VecDeque::with_capacity(window as usize),
            first: 0,
        };
        Self { processor, window, desk: Arc::new(Mutex::new(desk)) }
    }
}

/// A further submitter has a desk of its own.
impl<B: Body> Clone for Batches<B> {
    fn clone(&self) -> Self {
        Self::new(self.processor.clone(), self.window)
    }
}

impl<B: Body> Desk<B> {
    /// Submits what is to be submitted, as far as there is room: whether that was all.
    fn submit(&mut self) -> bool {
        let numbers = self.jobs.make_contiguous();
        let (mut taken, terms) = (0, |job: &u64| Options::new(number_of(numbers, *job)));
        let mut ids = numbers.iter().map(|(_, id)| *id);
        let submitted = self.queue.submit_many(&mut ids, terms);
        taken += submitted.tasks;
        assert!(
            matches!(submitted.stopped, None | Some(Refusal::Full | Refusal::Untaken)),
            "refused: {submitted:?}"
        );
        self.jobs.drain(..taken);
        self.jobs.is_empty()
    }

    /// Puts a result where its handle looks for it.
    fn sort(&mut self, settled: Settlement<Numbered<B>>) {
        let index = usize::try_from(settled.meta - self.first).expect("one that is awaited");
        self.outcomes[index] = Some(match settled.result {
            Ok(output) => Outcome::Completed(output),
            Err(TaskError::Failed(error)) => Outcome::Failed(error),
            Err(TaskError::TimedOut) => Outcome::TimedOut,
            Err(TaskError::Panicked(_)) => Outcome::Panicked,
            Err(other) => panic!("no task ends like this here: {other:?}"),
        });
    }
}

/// The ids of a batch follow each other, and so do its numbers.
fn number_of(jobs: &[(u64, u64)], id: u64) -> u64 {
    jobs.first().map_or(0, |(number, first)| number + (id - first))
}

impl<B: Body> Peer for Batches<B> {
    type Handle = Index<B>;

    async fn submit(&mut self, id: u64) -> Index<B> {
        let (number, is_full) = {
            let mut desk = self.desk.lock().expect("no panic");
            let number = desk.first + desk.outcomes.len() as u64;
            desk.outcomes.push_back(None);
            desk.jobs.push_back((number, id));
            (number, desk.jobs.len() >= BATCH && !desk.submit())
        };
        if is_full {
            drop(self.processor.reserve().await.expect("room in the end"));
            self.desk.lock().expect("no panic").submit();
        }
        Index { desk: self.desk.clone(), number }
    }
}

/// The handle of a task. They are awaited in their order.
struct Index<B: Body> {
    desk: Arc<Mutex<Desk<B>>>,
    number: u64,
}

impl<B: Body> Future for Index<B> {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut desk = self.desk.lock().expect("no panic");
        assert_eq!(self.number, desk.first, "handles are awaited in order");
        // Those that follow may wait for the rest of their batch.
        if desk.jobs.front().is_some_and(|(number, _)| *number == desk.first) {
            desk.submit();
        }
        while desk.outcomes.front().is_some_and(Option::is_none) {
            match Pin::new(&mut desk.queue).poll_next(cx) {
                Poll::Ready(Some(settled)) => desk.sort(settled),
                Poll::Ready(None) => panic!("a result was lost"),
                Poll::Pending => return Poll::Pending,
            }
        }
        desk.first += 1;
        Poll::Ready(desk.outcomes.pop_front().flatten().expect("it is there"))
    }
}
