//! plimsoll by its batches: jobs are submitted 64 at a time, and results come from one completion queue, as they come.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use plimsoll::{CompletionQueue, Options, Processor, Refusal, Runtime, Tokio, Work, typed};

use super::BatchContender;
use super::plimsoll::{builder, outcome, smol};
use crate::batches::BatchPeer;
use crate::host::{Host, Smol};
use crate::work::{Body, Limits, Outcome};

pub struct OnSmol;

impl BatchContender<Smol> for OnSmol {
    async fn start<B: Body>(limits: Limits) -> impl BatchPeer {
        start::<B>(limits, smol())
    }
}

pub struct OnTokio;

impl<H: Host> BatchContender<H> for OnTokio {
    async fn start<B: Body>(limits: Limits) -> impl BatchPeer {
        start::<B>(limits, Tokio::current())
    }
}

/// The metadata of a task are its id, which tells whose a result is.
struct Numbered<B>(PhantomData<B>);

impl<B: Body> Work for Numbered<B> {
    type Job = u64;
    type Output = u64;
    type Error = u64;
    type Meta = u64;
}

/// One submitter.
struct Batches<B: Body> {
    processor: Arc<Processor<Numbered<B>>>,
    window: u32,
    queue: CompletionQueue<Numbered<B>>,
}

fn start<B: Body>(limits: Limits, runtime: impl Runtime) -> impl BatchPeer {
    let processor = builder(limits).spawn_on(runtime, typed(|id: u64| B::run(id)));
    let processor = processor.expect("limits in bounds");
    Batches::<B>::new(Arc::new(processor), u32::try_from(limits.window()).expect("a small window"))
}

impl<B: Body> Batches<B> {
    fn new(processor: Arc<Processor<Numbered<B>>>, window: u32) -> Self {
        let queue = processor.completion_queue(window).expect("memory");
        Self { processor, window, queue }
    }
}

/// A further submitter has a queue of its own.
impl<B: Body> Clone for Batches<B> {
    fn clone(&self) -> Self {
        Self::new(self.processor.clone(), self.window)
    }
}

impl<B: Body> BatchPeer for Batches<B> {
    async fn submit(&mut self, mut ids: Range<u64>) {
        loop {
            let submitted = self.queue.submit_many(&mut ids, &Options::default(), |id| *id);
            match submitted.stopped {
                None => return,
                Some(Refusal::Full) => {}
                Some(reason) => panic!("refused: {reason:?}"),
            }
            let rest = u32::try_from(ids.end - ids.start).expect("a small batch");
            drop(self.processor.reserve_many(rest).await.expect("room in the end"));
        }
    }

    async fn take(&mut self, least: u64, mut each: impl FnMut(u64, Outcome) + Send) {
        self.queue.ready(usize::try_from(least).expect("a small batch")).await;
        while let Some(settled) = self.queue.try_next() {
            each(settled.meta, outcome(settled.result));
        }
    }
}
