//! Probes, each answer of them.

use std::future::pending;

use plimsoll::runtime::sim::Sim;
use plimsoll::{Context, Drain, NotLive, NotReady, Processor, Retry, SleepRefusal, Timeouts};

use crate::ms;

type Naps = fn(u64, Context) -> Result<(), SleepRefusal>;

fn naps(sim: &Sim, concurrency: u32) -> Processor<Naps> {
    Processor::builder()
        .queue(20)
        .concurrency(concurrency)
        .health_every(ms(1_000))
        .spawn_on(sim.clone(), |millis: u64, cx: Context| async move { cx.sleep(ms(millis)).await })
        .unwrap()
}

#[test]
fn it_is_live_at_rest_under_load_and_while_it_drains() {
    let sim = Sim::new(1);
    let processor = naps(&sim, 2);
    let submitter = processor.submitter();
    for _ in 0..10 {
        processor.task(20_000).post().unwrap();
    }
    for _ in 0..20 {
        assert_eq!(processor.is_live(), Ok(()), "long attempts have not hung");
        sim.advance(ms(5_000)).unwrap();
    }
    processor.task(10_000).post().unwrap();
    let ends = processor.shutdown(Drain::graceful(ms(60_000)));
    sim.advance(ms(5_000)).unwrap();
    assert_eq!((submitter.is_live(), submitter.is_ready()), (Ok(()), Err(NotReady::Ending)));
    sim.block_on(ends).unwrap();
    assert_eq!((submitter.is_live(), submitter.is_ready()), (Err(NotLive::Ended), Err(NotReady::Ending)));
}

#[test]
fn a_runtime_that_is_gone_has_ended_it() {
    let sim = Sim::new(2);
    let processor = naps(&sim, 2);
    sim.kill();
    assert_eq!(processor.is_live(), Err(NotLive::Ended));
}

#[test]
fn a_runtime_that_has_stopped_is_noticed_by_the_next_timer() {
    let sim = Sim::new(3);
    let builder =
        || Processor::builder().timeouts(Timeouts { schedule_to_close: Some(ms(500)), ..Timeouts::NONE });
    let handler = |millis: u64, cx: Context| async move { cx.sleep(ms(millis)).await };
    // Nobody polls their futures.
    let (checked, futures) = builder().health_every(ms(1_000)).build(&sim, handler).unwrap();
    let (unchecked, _unchecked) = builder().build(&sim, handler).unwrap();
    let look_for = |processor: &Processor<Naps>, time| {
        assert_eq!(processor.is_live(), Ok(()), "for the first time");
        sim.advance(ms(time)).unwrap();
        assert_eq!(processor.is_live(), Ok(()));
        sim.advance(ms(1)).unwrap();
        assert_eq!(processor.is_live(), Err(NotLive::Late { time: ms(time + 1) }));
    };
    sim.advance(ms(1_000)).unwrap();
    look_for(&checked, 3_000);
    sim.advance(ms(3_600_000)).unwrap();
    assert_eq!(unchecked.is_live(), Ok(()), "nothing is due");
    unchecked.task(1).post().unwrap();
    sim.advance(ms(500)).unwrap();
    look_for(&unchecked, 30_000);
    for future in futures {
        sim.spawn(future);
    }
    sim.run_until_idle().unwrap();
    assert_eq!(checked.is_live(), Ok(()), "it runs again");
}

#[test]
fn orphans_that_hold_everything_are_noticed() {
    let sim = Sim::new(4);
    let processor = Processor::builder()
        .concurrency(2)
        .timeout(ms(10))
        .cancel_grace(ms(1_000_000))
        .health_every(ms(1_000))
        .spawn_on(
            sim.clone(),
            |hangs: bool| async move { if hangs { pending().await } else { Ok::<_, ()>(()) } },
        )
        .unwrap();
    processor.task(true).post().unwrap();
    sim.advance(ms(20)).unwrap();
    assert_eq!((processor.health().orphans, processor.is_live()), (1, Ok(())));
    processor.task(true).post().unwrap();
    sim.advance(ms(20)).unwrap();
    assert_eq!((processor.health().orphans, processor.is_live()), (2, Ok(())), "for the first time");
    sim.advance(ms(3_000)).unwrap();
    assert_eq!(processor.is_live(), Ok(()));
    sim.advance(ms(1)).unwrap();
    assert_eq!(processor.is_live(), Err(NotLive::Stuck { attempts: 2, time: ms(3_001) }));
    assert_eq!(processor.set_concurrency(0), 0);
    assert_eq!(processor.is_live(), Ok(()), "nothing is to be started");
    processor.set_concurrency(2);
    assert_eq!(processor.is_live(), Ok(()), "for the first time again");
    // Their grace period is over.
    sim.advance(ms(1_000_000)).unwrap();
    assert_eq!((processor.health().orphans, processor.is_live()), (0, Ok(())));
}

#[test]
fn as_many_orphans_as_may_be_are_noticed() {
    let sim = Sim::new(5);
    let processor = Processor::builder()
        .concurrency(8)
        .orphans(1)
        .timeout(ms(10))
        .cancel_grace(ms(1_000_000))
        .health_every(ms(1_000))
        .spawn_on(sim.clone(), |(): ()| pending::<Result<(), ()>>())
        .unwrap();
    processor.task(()).post().unwrap();
    sim.advance(ms(20)).unwrap();
    assert_eq!(processor.is_live(), Ok(()));
    sim.advance(ms(3_001)).unwrap();
    assert_eq!(processor.is_live(), Err(NotLive::Stuck { attempts: 1, time: ms(3_001) }));
}

#[test]
fn slow_attempts_that_hold_everything_are_noticed_unless_others_are_started() {
    let sim = Sim::new(6);
    let processor = Processor::builder()
        .concurrency(2)
        .slow_after(ms(100))
        .health_every(ms(1_000))
        .spawn_on(sim.clone(), |millis: u64, cx: Context| async move { cx.sleep(ms(millis)).await })
        .unwrap();
    // Each of them is slow, and others follow in their places.
    for _ in 0..20 {
        processor.task(2_500).post().unwrap();
    }
    for _ in 0..20 {
        sim.advance(ms(1_200)).unwrap();
        assert_eq!(processor.is_live(), Ok(()));
    }
    sim.block_on(processor.idle()).unwrap();
    processor.task(1_000_000).post().unwrap();
    processor.task(150).post().unwrap();
    sim.advance(ms(120)).unwrap();
    assert_eq!((processor.health().slow, processor.is_live()), (2, Ok(())));
    sim.advance(ms(4_000)).unwrap();
    assert_eq!((processor.health().slow, processor.is_live()), (1, Ok(())), "one place is free");
    processor.task(1_000_000).post().unwrap();
    sim.advance(ms(120)).unwrap();
    assert_eq!(processor.is_live(), Ok(()));
    sim.advance(ms(3_001)).unwrap();
    assert_eq!(processor.is_live(), Err(NotLive::Stuck { attempts: 2, time: ms(3_001) }));
}

#[test]
fn attempts_that_are_to_be_tried_again_and_do_not_stop_are_noticed() {
    let sim = Sim::new(9);
    let processor = Processor::builder()
        .concurrency(1)
        .timeout(ms(10))
        .cancel_grace(ms(1_000_000))
        .health_every(ms(1_000))
        .retry(Retry::times(1).on_timeout(true))
        .spawn_on(sim.clone(), |(): ()| pending::<Result<(), ()>>())
        .unwrap();
    processor.task(()).post().unwrap();
    sim.advance(ms(20)).unwrap();
    let health = processor.health();
    assert_eq!((health.running, health.orphans, processor.is_live()), (1, 0, Ok(())), "it is not settled");
    sim.advance(ms(3_001)).unwrap();
    assert_eq!(processor.is_live(), Err(NotLive::Stuck { attempts: 1, time: ms(3_001) }));
}

#[test]
fn attempts_that_have_hung_in_different_ways_are_noticed_together() {
    let sim = Sim::new(10);
    let processor = Processor::builder()
        .concurrency(3)
        .cancel_grace(ms(1_000_000))
        .slow_after(ms(100))
        .health_every(ms(1_000))
        .spawn_on(sim.clone(), |(): ()| pending::<Result<(), ()>>())
        .unwrap();
    processor.task(()).timeout(ms(10)).post().unwrap();
    processor.task(()).timeout(ms(110)).post().unwrap();
    sim.advance(ms(200)).unwrap();
    let health = processor.health();
    assert_eq!((health.orphans, health.slow, health.running), (2, 1, 0), "one is both");
    assert_eq!(processor.is_live(), Ok(()));
    sim.advance(ms(3_001)).unwrap();
    assert_eq!(processor.is_live(), Ok(()), "one place is free");
    processor.task(()).post().unwrap();
    sim.advance(ms(200)).unwrap();
    assert_eq!(processor.is_live(), Ok(()), "for the first time");
    sim.advance(ms(3_001)).unwrap();
    assert_eq!(processor.is_live(), Err(NotLive::Stuck { attempts: 3, time: ms(3_001) }));
}

#[test]
fn it_is_ready_while_there_is_room_and_it_goes_on() {
    let sim = Sim::new(7);
    let processor = naps(&sim, 1);
    assert_eq!(processor.is_ready(), Ok(()));
    processor.hold(ms(1_000));
    assert_eq!(processor.is_ready(), Ok(()));
    processor.pause();
    assert_eq!(processor.is_ready(), Err(NotReady::Paused));
    processor.resume();
    processor.set_concurrency(0);
    assert_eq!(processor.is_ready(), Err(NotReady::Paused));
    processor.set_concurrency(1);
    assert_eq!(processor.is_ready(), Ok(()));
}

#[test]
fn once_full_it_is_ready_when_a_tenth_of_its_queue_is_free() {
    let sim = Sim::new(8);
    let processor = naps(&sim, 1);
    let fill = || while processor.task(10).post().is_ok() {};
    fill();
    assert_eq!(processor.is_ready(), Err(NotReady::Full { free_room: 0, needed: 1 }));
    sim.advance(ms(11)).unwrap();
    assert_eq!(
        processor.is_ready(),
        Err(NotReady::Full { free_room: 1, needed: 2 }),
        "it would be full again at once"
    );
    sim.advance(ms(10)).unwrap();
    assert_eq!(processor.is_ready(), Ok(()));
    processor.task(10).post().unwrap();
    assert_eq!((processor.free_room(), processor.is_ready()), (1, Ok(())), "it was not full");
    fill();
    sim.advance(ms(11)).unwrap();
    assert_eq!((processor.free_room(), processor.is_ready()), (1, Ok(())), "no probe has seen that");
}

#[test]
fn a_probe_says_why_not() {
    let texts = [
        NotLive::Late { time: ms(3_001) }.to_string(),
        NotLive::Stuck { attempts: 2, time: ms(4_000) }.to_string(),
        NotReady::Ending.to_string(),
        NotReady::Full { free_room: 3, needed: 10 }.to_string(),
    ];
    assert_eq!(
        texts,
        [
            "a timer has been due for 3.001s: the runtime has stopped, or is blocked",
            "all places are held by 2 attempts that have hung, and none was started for 4s",
            "the processor is draining or has ended",
            "the queue is full: 3 places are free, 10 are needed",
        ]
    );
}
