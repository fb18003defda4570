//! A processor as a service: its readiness, its calls, its responses.

use super::*;

/// With room for so many jobs that wait, of which none is started yet.
fn paused(sim: &Sim, queue: u32) -> Processor<Nap> {
    let builder = Processor::builder().queue(queue).concurrency(2).waiters(4);
    let processor = builder.spawn_on(sim.clone(), nap).unwrap();
    processor.pause();
    processor
}

#[test]
fn a_ready_service_has_a_place_of_its_own() {
    let sim = Sim::new(1);
    let processor = paused(&sim, 1);
    let mut service = processor.service();
    assert_eq!(processor.health().permits, 0, "none before it was asked");
    for _ in 0..3 {
        assert_eq!(ask(&mut service), Poll::Ready(Ok(())));
        assert_eq!(processor.health().permits, 1);
    }
    assert_eq!(processor.submit(SECOND).unwrap_err().reason, Refusal::Full);
    let response = service.call(SECOND);
    assert_eq!((processor.health().permits, processor.census().queued), (0, 1));
    assert_eq!(ask(&mut service), Poll::Pending, "the place was for one call");
    processor.resume();
    assert_eq!(sim.block_on(response).unwrap(), Ok(SECOND));
}

#[test]
fn a_service_that_waits_is_woken_in_its_turn() {
    let sim = Sim::new(1);
    let processor = paused(&sim, 1);
    let mut services = [(); 3].map(|()| processor.service());
    let bells = [(); 3].map(|()| Arc::new(Bell::default()));
    let rings = || bells.each_ref().map(|bell| bell.0.load(SeqCst));
    let ask = |service: &mut JobService<Nap>, bell: &Arc<Bell>| {
        service.poll_ready(&mut Polling::from_waker(&bell.clone().into()))
    };
    let asked = services.iter_mut().zip(&bells).map(|(service, bell)| ask(service, bell).is_ready());
    assert!(asked.eq([true, false, false]));
    let [first, second, third] = services;
    let mut second = second;
    drop(first);
    sim.run_until_idle().unwrap();
    assert_eq!((rings(), processor.health().permits), ([0, 1, 0], 1), "the next one has the place");
    assert!(processor.submit(SECOND).is_err());
    assert_eq!(ask(&mut second, &bells[1]), Poll::Ready(Ok(())));
    // Granted and never looked at is given back just as well.
    drop(second);
    sim.run_until_idle().unwrap();
    assert_eq!((rings(), processor.health().permits), ([0, 1, 1], 1));
    drop(third);
    assert_eq!((processor.health().permits, processor.free_room()), (0, 1));
}

#[test]
fn a_clone_has_no_place_and_stands_in_no_line() {
    let sim = Sim::new(1);
    let processor = paused(&sim, 1);
    let mut holds = processor.service();
    assert!(ask(&mut holds).is_ready());
    let mut waits = holds.clone();
    assert_eq!((processor.health().permits, processor.census().waiters), (1, 1));
    assert!(ask(&mut waits).is_pending());
    let clone = waits.clone();
    assert_eq!(processor.census().waiters, 2, "one that holds, one that waits");
    let mut unasked = clone.clone();
    let refused = sim.block_on(unasked.call(SECOND)).unwrap();
    assert_eq!(refused, Err(ServiceError::NotReady));
}

#[test]
fn a_call_that_was_not_ready_is_refused_and_costs_nobody_a_place() {
    let sim = Sim::new(1);
    let processor = paused(&sim, 2);
    let (mut holds, mut waits) = (processor.service(), processor.service());
    let other = processor.submit(SECOND).unwrap();
    assert!(ask(&mut holds).is_ready() && ask(&mut waits).is_pending());
    assert_eq!(poll(&mut waits.call(SECOND)), Poll::Ready(Err(ServiceError::NotReady)));
    assert_eq!(processor.census().waiters, 2, "one holds a place, and one still waits");
    drop(other);
    let first = holds.call(SECOND);
    assert_eq!(poll(&mut holds.call(SECOND)), Poll::Ready(Err(ServiceError::NotReady)));
    processor.resume();
    assert_eq!(sim.block_on(first).unwrap(), Ok(SECOND));
    assert_eq!(ask(&mut waits), Poll::Ready(Ok(())));
}

#[test]
fn what_is_refused_for_its_own_terms_gives_its_place_back() {
    let sim = Sim::new(1);
    let processor = paused(&sim, 1);
    let mut service = processor.service().options(|time: &Duration| Options::default().timeout(*time));
    assert!(ask(&mut service).is_ready());
    let refused = sim.block_on(service.call(Duration::ZERO)).unwrap();
    assert_eq!(refused, Err(ServiceError::Refused(Refusal::ZeroTimeout)));
    assert_eq!(processor.health().permits, 0);
    assert!(ask(&mut service).is_ready(), "it is as good as before");
    processor.resume();
    let timed_out = sim.block_on(service.call(SECOND)).unwrap();
    assert_eq!(timed_out, Err(ServiceError::Task(TaskError::TimedOut)), "it has the terms of its request");
}

#[test]
fn a_service_that_can_not_wait_is_ready_to_say_so() {
    let sim = Sim::new(1);
    let processor = paused(&sim, 1);
    let mut services = [(); 6].map(|()| processor.service());
    assert!(
        services
            .iter_mut()
            .map(|service| ask(service).is_ready())
            .eq([true, false, false, false, true, true])
    );
    let call = |service: &mut JobService<Nap>| poll(&mut service.call(SECOND));
    let [holds, .., fifth, sixth] = &mut services;
    assert_eq!(call(fifth), Poll::Ready(Err(ServiceError::Refused(Refusal::Full))));
    assert_eq!(call(fifth), Poll::Ready(Err(ServiceError::NotReady)), "once");
    assert!(ask(sixth).is_ready());
    assert_eq!(call(holds), Poll::Pending);

    // Results that are not taken.
    let builder = Processor::builder().queue(8).concurrency(1).unclaimed(1);
    let processor = builder.spawn_on(sim.clone(), nap).unwrap();
    let mut service = processor.service();
    let untaken = processor.submit(SECOND).unwrap();
    assert_eq!(ask(&mut service), Poll::Ready(Ok(())));
    assert_eq!(call(&mut service), Poll::Ready(Err(ServiceError::Refused(Refusal::Unclaimed))));
    assert_eq!(sim.block_on(untaken).unwrap(), Ok(SECOND));
    assert_eq!(sim.block_on(service.oneshot(SECOND)).unwrap(), Ok(SECOND));
}

#[test]
fn a_service_that_could_not_wait_looks_again_when_it_is_called() {
    let sim = Sim::new(1);
    let builder = Processor::builder().queue(8).concurrency(1).unclaimed(1);
    let processor = builder.spawn_on(sim.clone(), nap).unwrap();
    let mut service = processor.service();
    let untaken = processor.submit(SECOND).unwrap();
    assert_eq!(ask(&mut service), Poll::Ready(Ok(())));
    assert_eq!(sim.block_on(untaken).unwrap(), Ok(SECOND));
    assert_eq!(sim.block_on(service.call(SECOND)).unwrap(), Ok(SECOND), "an hour later, say");
    assert_eq!(poll(&mut service.call(SECOND)), Poll::Ready(Err(ServiceError::NotReady)), "once");
}

#[test]
fn a_dropped_response_cancels_its_task() {
    let sim = Sim::new(1);
    let processor = paused(&sim, 2);
    let mut service = processor.service();
    let mut call = || {
        assert!(ask(&mut service).is_ready());
        service.call(SECOND)
    };
    let (waits, runs) = (call(), call());
    drop(waits);
    assert_eq!((processor.census().queued, processor.totals().settled.cancelled), (1, 1));
    processor.resume();
    sim.advance(SECOND / 2).unwrap();
    assert_eq!(processor.census().running, 1);
    drop(runs);
    sim.run_until_idle().unwrap();
    assert_eq!((processor.census().running, processor.census().orphans), (0, 0));
    assert_eq!(processor.totals().settled.cancelled, 2);
    // One that was ready has nothing left to cancel.
    let mut done = processor.service().oneshot(SECOND);
    assert_eq!(sim.block_on(&mut done).unwrap(), Ok(SECOND));
    drop(done);
    assert_eq!((processor.totals().settled.cancelled, processor.totals().settled.completed), (2, 1));
}

#[test]
fn the_end_is_told_to_all() {
    let closed = ServiceError::Refused(Refusal::Closed);
    let sim = Sim::new(1);
    let processor = paused(&sim, 2);
    let mut services = [(); 4].map(|()| processor.service());
    let [holds, calls_then, goes_on, waits] = &mut services;
    assert!(ask(goes_on).is_ready());
    let response = goes_on.call(SECOND);
    assert!(ask(holds).is_ready() && ask(waits).is_pending());
    // It has no place before `goes_on` has left the queue.
    processor.resume();
    sim.run_until_idle().unwrap();
    assert!(ask(waits).is_ready() && ask(calls_then).is_ready());
    processor.pause();
    let mut shutdown = pin!(processor.shutdown(Drain::graceful(SECOND * 10)));
    assert_eq!(ask(holds), Poll::Ready(Err(closed.clone())), "although it had a place");
    assert_eq!(poll(&mut calls_then.call(SECOND)), Poll::Ready(Err(closed.clone())));
    let report = sim.block_on(shutdown.as_mut()).unwrap();
    assert_eq!(report.census.permits, 0);
    assert_eq!(sim.block_on(response).unwrap(), Ok(SECOND), "a drain lets it finish");
    for service in &mut services {
        assert_eq!(ask(service), Poll::Ready(Err(closed.clone())));
        assert_eq!(poll(&mut service.call(SECOND)), Poll::Ready(Err(ServiceError::NotReady)));
    }
    let [service, ..] = services;
    assert_eq!(ask(&mut service.clone()), Poll::Ready(Err(closed)));
}

#[test]
fn an_abort_cancels_what_was_called() {
    let sim = Sim::new(1);
    let processor = paused(&sim, 2);
    let mut service = processor.service();
    assert!(ask(&mut service).is_ready());
    let mut response = service.call(SECOND);
    assert!(poll(&mut response).is_pending());
    drop(processor);
    assert_eq!(sim.block_on(response).unwrap(), Err(ServiceError::Task(TaskError::Ended)));
}
