//! Processors as tower services, and services behind processors.
#![cfg(feature = "tower")]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context as Polling, Poll, Wake, Waker};
use std::time::Duration;

use plimsoll::runtime::sim::Sim;
use plimsoll::service::{JobService, ProcessorLayer, ProcessorService, ServiceError, calling};
use plimsoll::{Context, Drain, Options, Processor, Refusal, SleepRefusal, TaskError};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

mod jobs;
mod layers;

const SECOND: Duration = Duration::from_secs(1);

/// Naps for so long, and answers with it.
type Nap = fn(Duration, Context) -> Result<Duration, SleepRefusal>;

async fn nap(time: Duration, cx: Context) -> Result<Duration, SleepRefusal> {
    cx.sleep(time).await.map(|()| time)
}

/// Polls once.
fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Polling::from_waker(Waker::noop()))
}

/// Asks once whether it is ready.
fn ask<Req, S: Service<Req>>(service: &mut S) -> Poll<Result<(), S::Error>> {
    service.poll_ready(&mut Polling::from_waker(Waker::noop()))
}

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicU32);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn services_and_their_futures_can_be_sent_and_shared() {
    type Job = std::cell::Cell<u8>;
    type Work = fn(Job) -> Result<u8, u8>;
    fn check<T: Send + Sync + Unpin + std::fmt::Debug>() {}
    check::<JobService<Work>>();
    check::<ProcessorService<Work>>();
    check::<ProcessorLayer<Job, Sim>>();
    check::<plimsoll::service::JobResponse<Work>>();
    check::<plimsoll::service::ProcessorResponse<Work>>();
    check::<plimsoll::service::ServiceHandler<u8>>();
    check::<ServiceError>();
}
