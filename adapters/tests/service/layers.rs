//! Services behind processors, alone and in stacks of tower's own layers.

use std::error::Error;
use std::fmt;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use plimsoll::runtime::sim::Time;
use plimsoll::{BuildError, Cache, CacheLimits, Lane, LaneLimits, Limits, Priority, Retry, Timeouts};

use super::*;

/// An error of an inner service.
#[derive(Clone, Debug, PartialEq)]
struct Wrong(u32);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wrong: {}", self.0)
    }
}

impl Error for Wrong {}

/// Answers after a second with twice the number; fails with odd ones. Each clone is ready at its second poll only, and may be
/// called only then: what a service may ask of its callers.
struct Strict {
    time: Time,
    polls: u32,
    busy: Arc<AtomicU32>,
    most_busy: Arc<AtomicU32>,
}

impl Strict {
    fn new(sim: &Sim) -> Self {
        Self { time: sim.time(), polls: 0, busy: Arc::default(), most_busy: Arc::default() }
    }
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        let Self { time, busy, most_busy, .. } = self;
        Self { time: time.clone(), polls: 0, busy: busy.clone(), most_busy: most_busy.clone() }
    }
}

impl Service<u32> for Strict {
    type Response = u32;
    type Error = Wrong;
    type Future = Pin<Box<dyn Future<Output = Result<u32, Wrong>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Polling<'_>) -> Poll<Result<(), Wrong>> {
        self.polls += 1;
        if self.polls >= 2 {
            return Poll::Ready(Ok(()));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn call(&mut self, number: u32) -> Self::Future {
        assert!(std::mem::take(&mut self.polls) >= 2, "called before it was ready");
        let Self { time, busy, most_busy, .. } = self.clone();
        Box::pin(async move {
            most_busy.fetch_max(busy.fetch_add(1, SeqCst) + 1, SeqCst);
            time.sleep(SECOND).await;
            busy.fetch_sub(1, SeqCst);
            if number % 2 == 0 { Ok(number * 2) } else { Err(Wrong(number)) }
        })
    }
}

#[test]
fn the_limits_of_the_processor_hold_and_the_inner_service_is_called_when_ready() {
    let sim = Sim::new(1);
    let inner = Strict::new(&sim);
    let builder = Processor::builder().queue(4).concurrency(3);
    let service = ProcessorLayer::new(builder, sim.clone()).layer(inner.clone());
    let mut responses: FuturesUnordered<_> = (0..30).map(|n| service.clone().oneshot(n * 2)).collect();
    let sum = sim.block_on(async {
        let mut sum = 0;
        while let Some(response) = responses.next().await {
            sum += response.unwrap();
        }
        sum
    });
    assert_eq!(sum.unwrap(), (0..30).map(|n| n * 4).sum());
    assert_eq!(inner.most_busy.load(SeqCst), 3);
    assert_eq!(sim.now().as_millis(), 10_000, "three at a time");
    let ledger = service.processor().unwrap().ledger();
    assert_eq!((ledger.running.highest, ledger.tasks.entered), (3, 30));
    assert!(ledger.queued.highest <= 7, "{ledger:?}");
}

#[test]
fn an_inner_error_comes_out_as_it_is_and_other_ends_as_the_processors() {
    let sim = Sim::new(1);
    let inner = service_fn({
        let time = sim.time();
        move |secs: u32| {
            let time = time.clone();
            async move {
                time.sleep(SECOND * secs).await;
                if secs == 7 { panic!("seven") } else { Err::<u32, _>(Wrong(secs)) }
            }
        }
    });
    let timeouts = Timeouts { start_to_close: Some(SECOND * 10), ..Timeouts::NONE };
    let builder = Processor::builder().timeouts(timeouts);
    let service = ProcessorLayer::new(builder, sim.clone()).layer(inner);
    let error = |secs: u32| sim.block_on(service.clone().oneshot(secs)).unwrap().unwrap_err();
    assert_eq!(error(1).downcast_ref::<Wrong>(), Some(&Wrong(1)));
    let late = error(11);
    assert_eq!(late.downcast_ref::<ServiceError>(), Some(&ServiceError::Task(TaskError::TimedOut)));
    assert_eq!(late.to_string(), "the task timed out");
    assert_eq!(error(7).to_string(), "the task panicked: seven");
}

#[test]
fn terms_are_those_of_the_request() {
    let sim = Sim::new(1);
    let builder = Processor::builder().concurrency(4).lanes(LaneLimits::new(8));
    let layer = ProcessorLayer::new(builder, sim.clone()).options(|number: &u32| {
        let priority = if *number < 100 { Priority::HIGHEST } else { Priority::LOWEST };
        Options::default().priority(priority).lane(Lane::new(1).concurrency(1))
    });
    let service = layer.layer(Strict::new(&sim));
    let processor = service.processor().unwrap();
    processor.pause();
    let mut responses = [200, 2, 4].map(|number| service.clone().oneshot(number));
    assert!(responses.iter_mut().all(|response| poll(response).is_pending()));
    processor.resume();
    sim.advance(SECOND * 2).unwrap();
    assert!(poll(&mut responses[0]).is_pending(), "it came first, and is served last");
    assert!(responses[1..].iter_mut().all(|response| poll(response).is_ready()));
}

#[test]
fn a_request_is_tried_again_with_a_further_clone() {
    let sim = Sim::new(1);
    let tries = Arc::new(AtomicU32::new(0));
    let count = tries.clone();
    let inner = service_fn(move |number: u32| {
        let attempt = count.fetch_add(1, SeqCst);
        async move { if attempt < 2 { Err(Wrong(number)) } else { Ok(number) } }
    });
    let builder = Processor::builder().retry(Retry::times(2).fixed(SECOND));
    let service = ProcessorLayer::new(builder, sim.clone()).layer(inner);
    assert_eq!(sim.block_on(service.oneshot(5)).unwrap().unwrap(), 5);
    assert_eq!((tries.load(SeqCst), sim.now().as_millis()), (3, 2_000));
}

#[test]
fn an_inner_service_that_is_broken_fails_its_requests_only() {
    #[derive(Clone)]
    struct Broken;

    impl Service<u32> for Broken {
        type Response = u32;
        type Error = Wrong;
        type Future = std::future::Ready<Result<u32, Wrong>>;

        fn poll_ready(&mut self, _: &mut Polling<'_>) -> Poll<Result<(), Wrong>> {
            Poll::Ready(Err(Wrong(0)))
        }

        fn call(&mut self, _: u32) -> Self::Future {
            panic!("it was not ready")
        }
    }

    let sim = Sim::new(1);
    let mut service = ProcessorLayer::new(Processor::builder(), sim.clone()).layer(Broken);
    for _ in 0..3 {
        assert!(matches!(ask(&mut service), Poll::Ready(Ok(()))));
        let error = sim.block_on(service.call(1)).unwrap().unwrap_err();
        assert_eq!(error.downcast_ref::<Wrong>(), Some(&Wrong(0)));
    }
}

#[test]
fn a_processor_lives_as_long_as_its_services_and_responses() {
    let sim = Sim::new(1);
    let inner = Strict::new(&sim);
    let service = ProcessorLayer::new(Processor::builder(), sim.clone()).layer(inner.clone());
    let alive = || Arc::strong_count(&inner.busy) > 1;
    let (mut first, second) = (service.clone().oneshot(2), service.clone().oneshot(4));
    assert!(poll(&mut first).is_pending());
    drop(service);
    // Of a oneshot nothing is left but the response.
    assert_eq!(sim.block_on(second).unwrap().unwrap(), 8);
    assert!(alive());
    assert_eq!(sim.block_on(first).unwrap().unwrap(), 4);
    assert!(!alive(), "the last one has taken everything with it");
}

#[test]
fn a_processor_that_can_not_be_built_says_why() {
    let sim = Sim::new(1);
    let layer = ProcessorLayer::new(Processor::builder().concurrency(0), sim.clone());
    let mut service = layer.layer(Strict::new(&sim)).clone();
    for _ in 0..2 {
        let Poll::Ready(Err(error)) = ask(&mut service) else { panic!("it is not built") };
        let Some(BuildError::Limits(invalid)) = error.downcast_ref::<BuildError>() else { panic!("{error}") };
        assert_eq!(invalid.field, "concurrency");
    }
    assert!(service.processor().is_err());
    assert!(sim.block_on(service.call(1)).unwrap().is_err());
}

#[test]
fn a_cache_goes_to_the_first_processor_and_others_have_none() {
    let sim = Sim::new(1);
    let cache: Cache<u32, u32> = Cache::new(CacheLimits::new(4)).unwrap();
    let layer = ProcessorLayer::new(Processor::builder().cache(&cache), sim.clone());
    let services = [(); 2].map(|()| layer.layer(Strict::new(&sim)));
    assert!(cache.insert(1, 1));
    let cached = services.each_ref().map(|service| service.processor().unwrap().census().cached);
    assert_eq!(cached, [1, 0]);
    for service in services {
        assert_eq!(sim.block_on(service.oneshot(2)).unwrap().unwrap(), 4);
    }
}

#[test]
fn the_end_of_its_processor_is_told_to_a_stack() {
    let sim = Sim::new(1);
    let processor = Processor::builder().spawn_on(sim.clone(), calling(Strict::new(&sim))).unwrap();
    let mut stack = ServiceBuilder::new().map_request(|n: u32| n * 2).service(processor.service());
    assert_eq!(sim.block_on(async { stack.ready().await.unwrap().call(1).await }).unwrap(), Ok(4));
    let report = sim.block_on(processor.shutdown(Drain::graceful(SECOND))).unwrap();
    assert_eq!(report.totals.settled.completed, 1);
    let closed = ServiceError::Refused(Refusal::Closed);
    assert_eq!(sim.block_on(stack.ready()).unwrap().unwrap_err(), closed);
}

#[test]
fn a_service_may_own_any_processor() {
    let sim = Sim::new(1);
    let processor = Processor::builder().spawn_on(sim.clone(), nap).unwrap();
    let service = ProcessorService::new(processor);
    assert_eq!(service.processor().unwrap().limits().concurrency, Limits::default().concurrency);
    assert_eq!(sim.block_on(service.oneshot(SECOND)).unwrap().unwrap(), SECOND);
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn it_goes_with_towers_own_layers() {
    let busy = Arc::new(AtomicU32::new(0));
    let inner = service_fn(move |number: u32| {
        let busy = busy.clone();
        async move {
            let others = busy.fetch_add(1, SeqCst);
            tokio::task::yield_now().await;
            busy.fetch_sub(1, SeqCst);
            if others < 2 { Ok::<_, Wrong>(number * 2) } else { Err(Wrong(others)) }
        }
    });
    let builder = Processor::builder().queue(10).concurrency(8);
    let service = ServiceBuilder::new()
        .timeout(SECOND * 60)
        .concurrency_limit(50)
        .layer(ProcessorLayer::new(builder, plimsoll::Tokio::current()))
        .concurrency_limit(2)
        .timeout(SECOND * 60)
        .service(inner);
    let responses = service.call_all(futures::stream::iter(0..1_000)).unordered();
    let sum = responses.fold(0, |sum, response| async move { sum + response.unwrap() }).await;
    assert_eq!(sum, (0..1_000).map(|n| n * 2).sum());
}
