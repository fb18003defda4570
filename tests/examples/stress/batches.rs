//! The batch function: each job of a batch does what it says, beside the others, and is answered by itself.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::join_all;
use plimsoll::{Answer, Batch};

use crate::handler::run;
use crate::names::{Action, Check};
use crate::record::{Record, flag};
use crate::script::Finish;
use crate::tokens::{Kind, Token};
use crate::values::{Fuse, Job, Service};
use crate::world::World;

/// The future of a batch. If it panics, all of its jobs have panicked.
pub struct Run {
    inner: Pin<Box<dyn Future<Output = ()> + Send>>,
    records: Vec<Arc<Record>>,
    #[expect(dead_code, reason = "counted")]
    token: Token,
    fuse: Fuse,
}

impl Run {
    fn note_panic(&self) {
        self.records.iter().for_each(|record| record.set(flag::PANICKED));
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.fuse.0 {
            self.note_panic();
        }
    }
}

impl Future for Run {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        catch_unwind(AssertUnwindSafe(|| self.inner.as_mut().poll(cx))).unwrap_or_else(|panic| {
            self.note_panic();
            self.records.iter().for_each(|record| record.set(flag::BATCH_PANICKED));
            resume_unwind(panic)
        })
    }
}

/// Calls the function for a batch of at most so many jobs.
pub fn call(world: &Arc<World>, batch: Batch<Service>, most: usize) -> Run {
    Action::RunBatch.count();
    if batch.len() == 0 || batch.len() > most {
        world.find(Check::Batches, format!("a batch of {} jobs, of at most {most}", batch.len()));
    }
    if batch.len() > 1 {
        Action::RunLargeBatch.count();
    }
    let fuse = Fuse(batch.jobs().any(|job| job.script.future_panics));
    let (mut records, mut jobs) = (Vec::new(), Vec::new());
    for (mut job, answer) in batch {
        job.fuse.0 = false;
        job.record.unset(flag::BATCH_PANICKED);
        world.note_attempt(&job.record, answer.context());
        records.push(job.record.clone());
        jobs.push(answer_one(world.clone(), job, answer));
    }
    let inner = Box::pin(async move { drop(join_all(jobs).await) });
    Run { inner, records, token: world.tokens.token(Kind::Future), fuse }
}

async fn answer_one(world: Arc<World>, job: Job, answer: Answer<Service>) {
    let finish = job.script.finish(answer.context().attempt());
    if finish == Finish::PanicInCall {
        Action::LeaveUnanswered.count();
        job.record.set(flag::PANICKED);
        return;
    }
    let context = answer.context().clone();
    let result = run(world, job, context, finish, None).await;
    answer.give(result);
}
