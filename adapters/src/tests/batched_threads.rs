//! Batches that form, run and end while their members join and go on several threads.
//!
//! All that a batch is stands under the lock of its round, and a poll of a member takes that lock several times. What can go
//! wrong lies between two holds, where other threads come in; the simulated runtime polls one member at a time and has
//! nothing there. So attempts are polled by hand on real threads. A wake that is lost leaves a thread asleep.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant as Time;

use fastrand::Rng;

use super::kit::{Count, Probe, ms};
use crate::{AnyThread, Batch, Batching, Context, Handler, batched};

type Work = fn((usize, Probe)) -> Result<usize, ()>;

const THREADS: usize = 4;
/// How many attempts each thread makes, and how many of them it has at a time: enough for a full batch, whether other
/// threads come in between or not.
const EACH: usize = 8_000;
const AT_A_TIME: usize = 5;

/// Wakes whatever it is sent, on a thread of its own.
type Ticker = mpsc::Sender<(Arc<AtomicBool>, Waker)>;

fn ticker() -> Ticker {
    let (send, receive) = mpsc::channel::<(Arc<AtomicBool>, Waker)>();
    thread::spawn(move || {
        for (ticked, waker) in receive {
            ticked.store(true, SeqCst);
            waker.wake();
        }
    });
    send
}

/// Ready after a tick. It keeps the waker of its first poll: that of a batch is the same for all its members.
async fn tick(ticker: &Ticker) {
    let (ticked, mut is_sent) = (Arc::new(AtomicBool::new(false)), false);
    poll_fn(move |cx| {
        if !std::mem::replace(&mut is_sent, true) {
            let _ = ticker.send((ticked.clone(), cx.waker().clone()));
        }
        if ticked.load(SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Wakes the thread of an attempt.
struct Bell {
    rung: AtomicBool,
    thread: Thread,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, SeqCst);
        self.thread.unpark();
    }
}

type Attempt = Pin<Box<dyn Future<Output = Result<usize, ()>> + Send>>;

struct Member {
    job: usize,
    attempt: Attempt,
    bell: Arc<Bell>,
    polls: u32,
    /// It is dropped after so many polls.
    leaves_after: Option<u32>,
}

impl Member {
    fn new(job: usize, attempt: Attempt, rng: &mut Rng) -> Self {
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), thread: thread::current() });
        let leaves_after = (rng.u8(..3) == 0).then(|| rng.u32(..4));
        Self { job, attempt, bell, polls: 0, leaves_after }
    }

    /// Whether it is over: it has its answer, or is to be dropped.
    fn step(&mut self) -> bool {
        if self.leaves_after.is_some_and(|polls| self.polls >= polls) {
            return true;
        }
        if !self.bell.rung.swap(false, SeqCst) {
            return false;
        }
        self.polls += 1;
        let waker = Waker::from(self.bell.clone());
        match self.attempt.as_mut().poll(&mut TaskContext::from_waker(&waker)) {
            Poll::Ready(answer) => {
                assert_eq!(answer, Ok(self.job * 10));
                true
            }
            Poll::Pending => false,
        }
    }
}

/// One thread: it polls its members when they are woken, drops some, and makes others.
fn run(thread: usize, seed: u64, make: impl Fn(usize) -> Attempt) {
    let (mut rng, mut jobs) = (Rng::with_seed(seed), thread * EACH..(thread + 1) * EACH);
    let mut members: Vec<Member> = Vec::new();
    loop {
        members.retain_mut(|member| !member.step());
        while members.len() < AT_A_TIME {
            let Some(job) = jobs.next() else { break };
            members.push(Member::new(job, make(job), &mut rng));
        }
        if members.is_empty() {
            return;
        }
        let since = Time::now();
        while !members.iter().any(|member| member.bell.rung.load(SeqCst)) {
            thread::park_timeout(ms(1_000));
            assert!(since.elapsed() < ms(10_000), "a wake is lost: {} of them wait", members.len());
        }
    }
}

#[test]
fn members_join_and_go_on_several_threads_while_batches_form() {
    for (round, within) in [0, 1].into_iter().enumerate() {
        let (live, ticker) = (Count::default(), ticker());
        let seen: Arc<[AtomicUsize]> = (0..THREADS * EACH).map(|_| AtomicUsize::new(0)).collect();
        let (notes, sizes) = (seen.clone(), Arc::new([const { AtomicUsize::new(0) }; 5]));
        let counts = sizes.clone();
        let handler = batched(Batching::new(4).within(ms(within)), move |batch: Batch<Work>| {
            counts[batch.len()].fetch_add(1, SeqCst);
            batch
                .jobs()
                .for_each(|(job, _)| assert_eq!(notes[*job].fetch_add(1, SeqCst), 0, "{job} comes twice"));
            let ticker = ticker.clone();
            async move {
                for ((job, _probe), answer) in batch {
                    if job % 3 != 0 {
                        tick(&ticker).await;
                    }
                    answer.give(Ok(job * 10));
                }
            }
        });
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (handler, live) = (&handler, &live);
                let make = move |job| -> Attempt {
                    Box::pin(Handler::<Work, _, AnyThread>::call(
                        handler,
                        (job, live.probe()),
                        Context::for_test,
                    ))
                };
                scope.spawn(move || run(thread, (round * THREADS + thread) as u64, make));
            }
        });
        let sizes = sizes.each_ref().map(|size| size.load(SeqCst));
        assert!(sizes[1..].iter().all(|size| *size > 0), "batches of every size: {sizes:?}");
        let run = seen.iter().filter(|seen| seen.load(SeqCst) == 1).count();
        assert!(run < THREADS * EACH && run > THREADS * EACH / 2, "{run}");
        assert_eq!(live.live(), 0);
    }
}
