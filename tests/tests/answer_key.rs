//! The replay of a job log against two other opinions: a naive simulator on random logs, and an answer key
//! that an independent program computed for public logs.

use std::collections::VecDeque;
use std::time::Duration;

use plimsoll_core::{CacheLimits, Instant, Limits, Processor};
use plimsoll_tests::public;
use plimsoll_tests::replay::{Answer, Jobs, Replay};
use plimsoll_tests::trace::{Ending, Job, Trace};

fn machine(workers: u32, queue: u32) -> Processor<Jobs> {
    let mut limits = Limits::default();
    limits.concurrency = workers;
    limits.queue = queue;
    limits.cache = CacheLimits { entries: 64, ..CacheLimits::default() };
    limits.health_every = Some(Duration::from_secs(3_600));
    limits.sweep_every = Some(Duration::from_secs(60));
    Processor::new(limits, Instant::ZERO).unwrap()
}

/// Replays, and asks that the books balance whatever the answer is.
fn replay(jobs: &[Job], workers: u32, queue: u32) -> Answer {
    let ended = Replay::new(jobs, machine(workers, queue)).run().unwrap();
    assert!(ended.census.is_empty(), "{:?}", ended.census);
    assert_eq!(ended.listeners, 0);
    assert_eq!(ended.totals.offered, ended.totals.refused + ended.totals.admitted);
    assert_eq!(ended.totals.admitted, ended.totals.settled.total());
    assert_eq!(ended.books.called, ended.totals.admitted);
    assert_eq!(ended.remains.abandoned, 0);
    ended.answer
}

/// What the rules say, written down with no thought for speed: before each arrival the workers that are
/// free by then take the jobs that wait, earliest worker first.
fn naive(jobs: &[Job], workers: usize, queue: usize) -> Answer {
    fn start(job: &Job, now: u64, busy: &mut Vec<u64>, answer: &mut Answer) {
        let wait = now - job.arrival;
        answer.started += 1;
        answer.total_wait_ms += wait;
        answer.max_wait_ms = answer.max_wait_ms.max(wait);
        let held = match job.limit {
            Some(limit) if job.duration > limit => {
                answer.timed_out += 1;
                limit
            }
            _ => {
                match job.ending {
                    Ending::Completed => answer.completed += 1,
                    Ending::Failed => answer.failed += 1,
                    Ending::Cancelled => answer.cancelled += 1,
                }
                job.duration
            }
        };
        busy.push(now + held);
        answer.max_running = answer.max_running.max(busy.len() as u64);
        answer.makespan_ms = answer.makespan_ms.max(now + held);
    }
    fn free_until(now: u64, busy: &mut Vec<u64>, waiting: &mut VecDeque<Job>, answer: &mut Answer) {
        while let Some(end) = busy.iter().copied().min().filter(|&end| end <= now) {
            let place = busy.iter().position(|&other| other == end).unwrap();
            busy.remove(place);
            if let Some(job) = waiting.pop_front() {
                start(&job, end, busy, answer);
            }
        }
    }
    let mut answer = Answer { arrivals: jobs.len() as u64, ..Answer::default() };
    let (mut busy, mut waiting) = (Vec::new(), VecDeque::new());
    for job in jobs {
        free_until(job.arrival, &mut busy, &mut waiting, &mut answer);
        if busy.len() < workers {
            start(job, job.arrival, &mut busy, &mut answer);
        } else if waiting.len() < queue {
            waiting.push_back(*job);
            answer.max_queue = answer.max_queue.max(waiting.len() as u64);
        } else {
            answer.refused += 1;
        }
    }
    free_until(u64::MAX, &mut busy, &mut waiting, &mut answer);
    answer
}

/// A log full of coincidences: times are small multiples of one step, so that ends, time-outs and arrivals
/// often fall on one instant; some jobs take no time, some may take none, some run beyond their limit.
fn random_log(random: &mut fastrand::Rng) -> Vec<Job> {
    let step = [1, 7, 1_000, 3_600_000][random.usize(..4)];
    let (gap, length) = (random.u64(1..6), random.u64(1..12));
    let mut arrival = 0;
    (0..random.u64(0..120))
        .map(|number| {
            arrival += if number == 0 { 0 } else { random.u64(..gap) * step };
            let limit = random.bool().then(|| random.u64(..length) * step);
            let ending = [Ending::Completed, Ending::Failed, Ending::Cancelled][random.usize(..3)];
            Job { arrival, duration: random.u64(..length) * step, limit, key: random.u64(..50), ending }
        })
        .collect()
}

#[test]
fn the_replay_agrees_with_a_naive_simulator() {
    let seeds = match std::env::var("PLIMSOLL_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..3_000,
    };
    let mut seen = Answer::default();
    for seed in seeds {
        let mut random = fastrand::Rng::with_seed(seed);
        let jobs = random_log(&mut random);
        let (workers, queue) = (random.u32(1..6), random.u32(..8));
        let expected = naive(&jobs, workers as usize, queue as usize);
        let actual = replay(&jobs, workers, queue);
        assert_eq!(actual, expected, "PLIMSOLL_SEED={seed}, {workers} workers, queue of {queue}: {jobs:#?}");
        seen.refused += actual.refused;
        seen.timed_out += actual.timed_out;
        seen.max_queue = seen.max_queue.max(actual.max_queue);
    }
    println!("{} refused, {} timed out, longest queue {}", seen.refused, seen.timed_out, seen.max_queue);
}

#[test]
fn a_duration_equal_to_the_limit_is_no_time_out_and_an_end_comes_before_an_arrival() {
    let job = |arrival, duration, limit| Job { arrival, duration, limit, key: 0, ending: Ending::Completed };
    let jobs =
        [job(0, 10, Some(10)), job(10, 5, Some(4)), job(14, 0, Some(0)), job(14, 3, None), job(15, 1, None)];
    let answer = replay(&jobs, 1, 0);
    assert_eq!(
        answer,
        Answer {
            arrivals: 5,
            started: 4,
            refused: 1,
            completed: 3,
            timed_out: 1,
            max_running: 1,
            makespan_ms: 17,
            ..Answer::default()
        }
    );
}

#[test]
fn a_job_that_would_end_after_the_end_of_time_is_an_error() {
    let job = |duration, limit| Job { arrival: 0, duration, limit, key: 0, ending: Ending::Completed };
    assert!(Replay::new(&[job(u64::MAX, None)], machine(1, 1)).run().is_err());
    assert_eq!(replay(&[job(u64::MAX, Some(5))], 1, 1).makespan_ms, 5);
    assert_eq!(replay(&[job(7, Some(u64::MAX))], 1, 1).makespan_ms, 7);
}

#[test]
fn the_answer_key_comes_out() {
    let nasa = [
        (4, 1_000, [18_239, 18_239, 0, 0, 140, 27_368_334_000, 49_588_000, 7_949_022_000]),
        (2, 100, [18_239, 15_166, 3_073, 0, 100, 215_028_434_000, 111_762_000, 8_022_079_000]),
    ];
    let hpc2n = [
        (16, 10_000, [3_145, 3_145, 0, 320, 168, 17_896_089_000, 60_149_000, 5_282_045_000]),
        (6, 50, [3_145, 2_099, 1_046, 233, 50, 114_115_666_000, 249_707_000, 5_398_962_000]),
    ];
    let azure = [
        (32, 256, [19_366, 19_366, 0, 0, 24, 2_015_316, 4_400, 3_509_740]),
        (24, 64, [19_366, 18_913, 453, 0, 64, 87_917_011, 18_104, 3_509_740]),
        (20, 100_000, [19_366, 19_366, 0, 0, 3_243, 7_362_005_996, 630_762, 4_122_984]),
    ];
    let logs = [
        ("NASA-iPSC-1993-3.1-cln.swf.gz", &nasa[..]),
        ("HPC2N-2002-first3170.swf", &hpc2n),
        ("azure-llm-conv.csv", &azure),
    ];
    for (name, key) in logs {
        let Some(file) = public::trace("the_answer_key_comes_out", name) else { continue };
        let trace = Trace::open(&file, None).unwrap();
        for &(workers, queue, expected) in key {
            let answer = replay(&trace.jobs, workers, queue);
            let found = [
                answer.arrivals,
                answer.started,
                answer.refused,
                answer.timed_out,
                answer.max_queue,
                answer.total_wait_ms,
                answer.max_wait_ms,
                answer.makespan_ms,
            ];
            assert_eq!(found, expected, "{name}, {workers} workers, queue of {queue}");
            println!("{name}, {workers} workers, queue of {queue}: {answer:?}");
        }
    }
}
