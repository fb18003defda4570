//! The executor of embassy, for microcontrollers, on the platform `std`. It never ends, and has room for so many tasks.

use std::pin::Pin;
use std::sync::{OnceLock, mpsc};
use std::task::{Context, Poll};
use std::thread;

use embassy_executor::{Executor, SendSpawner};
use embassy_time::TICK_HZ;
use plimsoll::{Instant, Runtime, Threads, Timer};

/// The executor of this process, on a thread of its own.
#[derive(Clone)]
pub struct Embassy(SendSpawner);

impl Embassy {
    pub fn global() -> Self {
        static SPAWNER: OnceLock<SendSpawner> = OnceLock::new();
        Self(*SPAWNER.get_or_init(|| {
            let (sender, spawner) = mpsc::channel();
            thread::spawn(move || {
                let executor = Box::leak(Box::new(Executor::new()));
                executor.run(|spawner| sender.send(spawner.make_send()).unwrap_or_default());
            });
            spawner.recv().expect("the thread sends it")
        }))
    }
}

type Spawned = Pin<Box<dyn Future<Output = ()> + Send>>;

#[embassy_executor::task(pool_size = 128)]
async fn run(future: Spawned) {
    future.await;
}

impl Runtime for Embassy {
    type Timer = EmbassyTimer;

    fn threads(&self) -> Threads {
        Threads::One
    }

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        || Instant::from_nanos(embassy_time::Instant::now().as_ticks().saturating_mul(NANOS_A_TICK))
    }

    fn timer(&self) -> EmbassyTimer {
        EmbassyTimer(None)
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        match run(Box::pin(future)) {
            Ok(token) => self.0.spawn(token),
            Err(error) => eprintln!("a future is dropped that can't be spawned: {error}"),
        }
    }
}

const NANOS_A_TICK: u64 = 1_000_000_000 / TICK_HZ;

pub struct EmbassyTimer(Option<embassy_time::Timer>);

impl Timer for EmbassyTimer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        // Up, so that it does not fire before it is due.
        let ticks = at.as_nanos().div_ceil(NANOS_A_TICK);
        let set =
            (at != Instant::MAX).then(|| embassy_time::Timer::at(embassy_time::Instant::from_ticks(ticks)));
        self.0 = set;
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().map_or(Poll::Pending, |timer| Pin::new(timer).poll(cx))
    }
}
