//! `cronoq`: one pool of a fixed size with a bounded queue. Its own time-out and panics can't be told apart from other
//! failures by the handle, so the handler sees to them.

use std::sync::Arc;

use cronoq::{Bounds, Pool, Scheduler, Task, TaskError, TaskFailure, TaskHandle};
use futures_util::FutureExt;
use futures_util::future::Map;

use super::Contender;
use super::attempt::{ByLibrary, Timing, Told};
use crate::drive::Peer;
use crate::host::Host;
use crate::work::{Body, Limits, Outcome};

pub struct Scheduled;

impl<H: Host> Contender<H> for Scheduled {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        let bounds = Bounds { max_pending: Some(limits.queue), ..Bounds::default() };
        let workers = u32::try_from(limits.concurrency).expect("a small limit");
        let pool = Pool::fixed("default", workers)
            .configure(|config| config.bounds = bounds)
            .executor_fn(async |_, id: Arc<u64>| Ok::<_, TaskError>(ByLibrary::attempt::<H, B>(*id).await));
        let scheduler = Scheduler::<u64, Outcome>::builder().pool(pool).build().await;
        Queue(Arc::new(scheduler.expect("a valid configuration")))
    }
}

#[derive(Clone)]
struct Queue(Arc<Scheduler<u64, Outcome>>);

/// How the handle tells an outcome.
type Shared = Result<Arc<Outcome>, TaskFailure>;

impl Peer for Queue {
    type Handle = Told<Map<TaskHandle<Outcome>, fn(Shared) -> Result<Outcome, TaskFailure>>>;

    async fn submit(&mut self, id: u64) -> Self::Handle {
        let handle = self.0.submit(Task::new(id).no_retry()).await.expect("the scheduler lives");
        Told(handle.map(|shared| shared.map(|outcome| *outcome)))
    }
}
