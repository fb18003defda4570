//! What wakers promise: no wake-up is lost, whenever and wherever it comes.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use super::crew::Crew;
use super::subject::{Binding, Subject};
use super::tally::{Tally, nap, yield_now};
use super::verdict::{PATIENCE, Stage, Verdict};

/// How often each future is woken.
const ROUNDS: usize = 100;

pub(super) fn by_itself<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    wakes(&subject, stage, "futures wake themselves while they are polled", |_| async {
        for round in 0..ROUNDS {
            yield_now(round % 2 == 0).await;
        }
    })
}

/// After delays that let the wake-up come before, at and after the moment at which the executor goes to sleep.
pub(super) fn from_another_thread<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    wakes(&subject, stage, "another thread wakes futures", |thread| async move {
        for round in 0..ROUNDS {
            thread.wakes(Order { after: Duration::from_micros(round as u64 % 5 * 30), times: 1 }).await;
        }
    })
}

/// The poll goes on until it has been woken, and then returns `Pending`.
pub(super) fn during_a_poll<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    wakes(&subject, stage, "another thread wakes a future while it is polled", |thread| async move {
        for _ in 0..ROUNDS {
            thread.wakes_meanwhile().await;
        }
    })
}

pub(super) fn many_times<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    wakes(&subject, stage, "another thread wakes a future fifty times in a row", |thread| async move {
        for _ in 0..ROUNDS / 10 {
            thread.wakes(Order { after: Duration::ZERO, times: 50 }).await;
        }
    })
}

pub(super) fn after_a_rest<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    wakes(&subject, stage, "a future is woken after nothing has happened for a while", |thread| async move {
        thread.wakes(Order { after: Duration::from_millis(60), times: 1 }).await;
    })
}

/// Spawns four futures, each with a thread that wakes it, and waits for their end.
fn wakes<S: Subject, F>(
    subject: &S,
    stage: &Stage,
    doing: &'static str,
    body: impl Fn(WakingThread) -> F,
) -> Verdict
where
    F: Future<Output = ()> + Send + 'static,
{
    let crew = Crew::default();
    subject.block_on(async {
        stage.set(doing);
        let binding = subject.bind();
        (0..4).for_each(|_| binding.spawn(&crew, body(WakingThread::start())));
        crew.all_end().await.map_err(|seen| format!("{seen}, while {doing}"))
    })
}

/// Two futures wake each other in turn.
pub(super) fn by_one_another<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    let crew = Crew::default();
    let (ping, pong) = (Tally::default(), Tally::default());
    subject.block_on(async {
        stage.set("two futures wake each other");
        let binding = subject.bind();
        let (here, there) = (ping.clone(), pong.clone());
        binding.spawn(&crew, async move {
            for round in 1..=ROUNDS {
                here.add();
                there.reach(round).await;
            }
        });
        let (here, there) = (ping.clone(), pong.clone());
        binding.spawn(&crew, async move {
            for round in 1..=ROUNDS {
                here.reach(round).await;
                there.add();
            }
        });
        crew.all_end().await.map_err(|seen| format!("{seen}, while they woke each other"))
    })
}

/// The engine may wake a worker that has just ended.
pub(super) fn after_the_end_of_a_future<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    let crew = Crew::default();
    subject.block_on(async {
        stage.set("futures are woken that are done");
        let binding = subject.bind();
        let (sender, wakers) = channel();
        for _ in 0..4 {
            let sender = sender.clone();
            binding.spawn(
                &crew,
                poll_fn(move |cx| {
                    let _ = sender.send(cx.waker().clone());
                    Poll::Ready(())
                }),
            );
        }
        crew.all_end().await?;
        wake_all(wakers.try_iter().collect())?;
        nap(Duration::from_millis(5)).await;
        crew.broken()
    })
}

/// Wakes these on another thread, by reference and by value.
pub(super) fn wake_all(wakers: Vec<Waker>) -> Verdict {
    let thread = thread::spawn(move || {
        for waker in wakers {
            (0..10).for_each(|_| waker.wake_by_ref());
            waker.wake();
        }
    });
    thread.join().map_err(|_| "waking panicked".to_owned())
}

struct Order {
    after: Duration,
    times: u32,
}

/// A thread that wakes what it is sent.
struct WakingThread {
    orders: Sender<(Waker, Order)>,
    woken: Arc<AtomicUsize>,
}

impl WakingThread {
    fn start() -> Self {
        let (orders, received) = channel();
        let woken = Arc::new(AtomicUsize::new(0));
        let counted = woken.clone();
        thread::spawn(move || obey(&received, &counted));
        Self { orders, woken }
    }

    /// Is woken by the thread, in a later poll than this begins with.
    async fn wakes(&self, order: Order) {
        let (woken, mut order) = (self.woken.load(SeqCst), Some(order));
        poll_fn(|cx| {
            if let Some(order) = order.take() {
                let _ = self.orders.send((cx.waker().clone(), order));
                return Poll::Pending;
            }
            if self.woken.load(SeqCst) > woken { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Is woken by the thread while this is polled.
    async fn wakes_meanwhile(&self) {
        let mut has_waited = false;
        poll_fn(|cx| {
            if has_waited {
                return Poll::Ready(());
            }
            has_waited = true;
            let woken = self.woken.load(SeqCst);
            let _ = self.orders.send((cx.waker().clone(), Order { after: Duration::ZERO, times: 1 }));
            let start = std::time::Instant::now();
            // One more is counted before each wake-up, and one after.
            while self.woken.load(SeqCst) < woken + 2 && start.elapsed() < PATIENCE {
                thread::yield_now();
            }
            Poll::Pending
        })
        .await;
    }
}

fn obey(orders: &Receiver<(Waker, Order)>, woken: &AtomicUsize) {
    for (waker, order) in orders {
        if !order.after.is_zero() {
            thread::sleep(order.after);
        }
        woken.fetch_add(1, SeqCst);
        (1..order.times).for_each(|_| waker.wake_by_ref());
        if order.times % 2 == 0 {
            waker.wake_by_ref()
        } else {
            waker.wake()
        }
        woken.fetch_add(1, SeqCst);
    }
}
