//! What is done with a timer, by a future on the executor, as the timekeeper of a processor does it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::tally::nap;
use super::verdict::{Stage, Verdict, ensure};
use crate::Instant;
use crate::runtime::{Clock, Timer};

/// How often a timer may fire before it is due.
const MOST_EARLY: u32 = 1_000;
/// How late a timer may fire, each time.
const LATENESS: Duration = Duration::from_millis(500);
/// How soon a timer is set.
pub(super) const SOON: Duration = Duration::from_millis(15);
const HOUR: Duration = Duration::from_secs(3_600);

#[derive(Clone, Copy)]
pub(super) enum Script {
    /// Sets it once.
    Once(Duration),
    Again,
    Past,
    Earlier,
    Later,
    Unset,
    LastWaker,
    Far,
    /// Never ends. Whether the timer is set meanwhile.
    Hold {
        is_set: bool,
    },
}

/// What a script works with.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) clock: Clock,
    pub(super) stage: Stage,
    /// What it has seen that is wrong.
    pub(super) seen: Arc<Mutex<Option<String>>>,
}

impl Bench {
    pub(super) fn new(clock: Clock, stage: &Stage) -> Self {
        Self { clock, stage: stage.clone(), seen: Arc::default() }
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }

    fn after(&self, time: Duration) -> Instant {
        (self.clock)().saturating_add(time)
    }
}

/// Does what the script says. What is wrong goes to the bench.
pub(super) async fn run<T: Timer>(script: Script, timer: Pin<Box<T>>, bench: Bench) {
    let mut tried = Tried { timer, bench: bench.clone() };
    let verdict = match script {
        Script::Once(time) => tried.fires_in(time, "a timer is set, and waited for").await.map(drop),
        Script::Again => tried.fires_again().await,
        Script::Past => tried.fires_when_past().await,
        Script::Earlier => tried.is_set_earlier().await,
        Script::Later => tried.is_set_later().await,
        Script::Unset => tried.is_unset().await,
        Script::LastWaker => tried.wakes_the_last_waker().await,
        Script::Far => tried.is_set_far_away().await,
        Script::Hold { is_set } => tried.holds(is_set).await,
    };
    if let Err(seen) = verdict {
        bench.seen.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(seen);
    }
}

/// A timer under test.
struct Tried<T> {
    timer: Pin<Box<T>>,
    bench: Bench,
}

impl<T: Timer> Tried<T> {
    fn set(&mut self, at: Instant) {
        self.timer.as_mut().reset(at);
    }

    /// Polls it once. Whether it has fired: then it has to be set again before the next poll.
    async fn poll_once(&mut self) -> bool {
        poll_fn(|cx| Poll::Ready(self.timer.as_mut().poll(cx).is_ready())).await
    }

    /// Polls it once, and sets it to this again if it has fired, early or because the thread is late.
    async fn poll_set_to(&mut self, at: Instant) {
        if self.poll_once().await {
            self.set(at);
        }
    }

    /// Waits for a timer that is set to this, and sets it again when it fires early. How late it fired.
    async fn until(&mut self, at: Instant) -> Result<Duration, String> {
        for _ in 0..MOST_EARLY {
            poll_fn(|cx| self.timer.as_mut().poll(cx)).await;
            let now = (self.bench.clock)();
            if now >= at {
                return Ok(now.saturating_since(at));
            }
            self.set(at);
        }
        let left = at.saturating_since((self.bench.clock)());
        Err(format!("a timer fired {MOST_EARLY} times before it was due, and {left:?} are still left"))
    }

    async fn fires_in(&mut self, time: Duration, doing: &'static str) -> Result<Duration, String> {
        self.bench.stage.set(doing);
        let at = self.bench.after(time);
        self.set(at);
        self.until(at).await
    }

    /// Late once may be the fault of the machine; late each time is not.
    async fn fires_again(&mut self) -> Verdict {
        let mut least = Duration::MAX;
        for _ in 0..4 {
            least = least.min(self.fires_in(SOON / 2, "a timer that has fired is set again").await?);
        }
        ensure(least < LATENESS, || format!("a timer was {least:?} late at the least, four times"))
    }

    async fn fires_when_past(&mut self) -> Verdict {
        for at in [Instant::ZERO, self.bench.after(Duration::ZERO)] {
            self.bench.stage.set("a timer is set to an instant that has passed");
            self.set(at);
            self.until(at).await?;
        }
        Ok(())
    }

    async fn is_set_earlier(&mut self) -> Verdict {
        let at = self.bench.after(HOUR);
        self.set(at);
        let _ = self.poll_once().await;
        self.fires_in(SOON, "a timer that was set to an hour from now is set earlier").await.map(drop)
    }

    async fn is_set_later(&mut self) -> Verdict {
        for (first, then) in [(SOON / 3, SOON * 2), (SOON * 2, SOON * 3)] {
            let at = self.bench.after(first);
            self.set(at);
            let _ = self.poll_once().await;
            self.fires_in(then, "a timer is set later before it has fired").await?;
        }
        Ok(())
    }

    async fn is_unset(&mut self) -> Verdict {
        let at = self.bench.after(SOON);
        self.set(at);
        let _ = self.poll_once().await;
        self.set(Instant::MAX);
        nap(SOON * 2).await;
        self.fires_in(SOON / 3, "a timer that was unset is set again").await.map(drop)
    }

    async fn wakes_the_last_waker(&mut self) -> Verdict {
        self.bench.stage.set("a timer is polled with another waker first");
        let at = self.bench.after(SOON);
        self.set(at);
        if self.timer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            self.set(at);
        }
        // As often as other events may wake the timekeeper.
        for _ in 0..10 {
            self.poll_set_to(at).await;
        }
        self.until(at).await?;
        Ok(())
    }

    async fn is_set_far_away(&mut self) -> Verdict {
        self.bench.stage.set("a timer is set to the end of time, almost");
        let century = HOUR * 24 * 365 * 100;
        for at in
            [Instant::from_nanos(u64::MAX - 1), self.bench.after(century), self.bench.after(century * 4)]
        {
            self.set(at);
            let mut fired = 0;
            while fired < MOST_EARLY && self.poll_once().await {
                fired += 1;
                self.set(at);
            }
            ensure(fired < MOST_EARLY, || {
                format!("a timer that was set to {at:?} fired {fired} times at once")
            })?;
        }
        self.fires_in(SOON / 3, "a timer that was set to a century from now is set earlier").await.map(drop)
    }

    async fn holds(&mut self, is_set: bool) -> Verdict {
        let at = self.bench.after(HOUR);
        self.set(at);
        self.poll_set_to(at).await;
        if !is_set {
            self.set(Instant::MAX);
        }
        std::future::pending().await
    }
}
