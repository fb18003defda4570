//! A thread that is lent wakers: it wakes late, often, after the end, or never.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// What becomes of a waker that is lent.
#[derive(Clone, Copy, Debug)]
pub struct Loan {
    /// After this time the future is ready and its waker woken; never if `None`.
    pub ready: Option<Duration>,
    /// How many times it is woken then.
    pub times: u32,
    /// The waker that the first poll was given is kept for this much longer, and woken then.
    pub keep: Option<Duration>,
    /// It is kept until the episode is over.
    pub hold: bool,
}

/// Lends wakers to the one thread of the run.
#[derive(Clone)]
pub struct Lender(Sender<Order>);

enum Order {
    Lend(Loan, Arc<Slot>, Waker),
    /// Wakes and drops all that is kept, and answers.
    Release(Sender<()>),
}

/// Where the future leaves its present waker.
#[derive(Default)]
struct Slot {
    ready: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Slot {
    fn swap(&self, waker: Option<Waker>) -> Option<Waker> {
        std::mem::replace(&mut *self.waker.lock().unwrap_or_else(PoisonError::into_inner), waker)
    }

    fn get(&self) -> Option<Waker> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Lender {
    /// Starts the thread, which runs to the end of the process.
    pub fn start() -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let run = move || {
            let mut kept = Kept::default();
            loop {
                match receiver.recv_timeout(kept.until_due()) {
                    Ok(Order::Lend(loan, slot, waker)) => kept.take_in(loan, slot, waker),
                    Ok(Order::Release(answer)) => {
                        kept.release();
                        let _ = answer.send(());
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                kept.wake_due();
            }
        };
        thread::Builder::new().name("lender".to_owned()).spawn(run)?;
        Ok(Self(sender))
    }

    /// A future that lends its waker when it is polled first.
    pub fn lend(&self, loan: Loan) -> Lent {
        Lent { lender: self.clone(), loan: Some(loan), slot: Arc::default() }
    }

    /// Wakes and drops all wakers; false if that takes longer than it may.
    pub fn release(&self, patience: Duration) -> bool {
        let (sender, receiver) = mpsc::channel();
        self.0.send(Order::Release(sender)).is_ok() && receiver.recv_timeout(patience).is_ok()
    }
}

/// Ready when the lender says so.
pub struct Lent {
    lender: Lender,
    loan: Option<Loan>,
    slot: Arc<Slot>,
}

impl Future for Lent {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let replaced = self.slot.swap(Some(cx.waker().clone()));
        drop(replaced);
        if self.slot.ready.load(SeqCst) {
            return Poll::Ready(());
        }
        if let Some(loan) = self.loan.take() {
            // The thread runs to the end of the process.
            let _ = self.lender.0.send(Order::Lend(loan, self.slot.clone(), cx.waker().clone()));
        }
        Poll::Pending
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        drop(self.slot.swap(None));
    }
}

/// The wakers that the thread has.
#[derive(Default)]
struct Kept(Vec<Item>);

enum Item {
    MakeReady { at: Instant, loan: Loan, slot: Arc<Slot>, first: Waker },
    Wake { at: Instant, waker: Waker },
    Hold { waker: Waker },
}

impl Kept {
    fn take_in(&mut self, loan: Loan, slot: Arc<Slot>, first: Waker) {
        match loan.ready {
            Some(after) => self.0.push(Item::MakeReady { at: Instant::now() + after, loan, slot, first }),
            None if loan.hold => self.0.push(Item::Hold { waker: first }),
            // Lost.
            None => drop((slot.swap(None), first)),
        }
    }

    fn until_due(&self) -> Duration {
        let now = Instant::now();
        let due = self.0.iter().filter_map(Item::at).min();
        due.map_or(Duration::from_secs(1), |at| at.saturating_duration_since(now))
    }

    fn wake_due(&mut self) {
        let now = Instant::now();
        let is_due = |item: &Item| item.at().is_some_and(|at| at <= now);
        let (due, later) = std::mem::take(&mut self.0).into_iter().partition::<Vec<_>, _>(is_due);
        self.0 = later;
        for item in due {
            self.0.extend(item.wake(now));
        }
    }

    fn release(&mut self) {
        for item in std::mem::take(&mut self.0) {
            if let Some(Item::Wake { waker, .. } | Item::Hold { waker }) = item.wake(Instant::now()) {
                waker.wake();
            }
        }
    }
}

impl Item {
    fn at(&self) -> Option<Instant> {
        match self {
            Self::MakeReady { at, .. } | Self::Wake { at, .. } => Some(*at),
            Self::Hold { .. } => None,
        }
    }

    /// Wakes, and says what is to be kept after that.
    fn wake(self, now: Instant) -> Option<Self> {
        match self {
            Self::MakeReady { loan, slot, first, .. } => {
                slot.ready.store(true, SeqCst);
                for _ in 0..loan.times {
                    if let Some(waker) = slot.get() {
                        waker.wake_by_ref();
                    }
                }
                match loan.keep {
                    Some(longer) => Some(Self::Wake { at: now + longer, waker: first }),
                    None => loan.hold.then_some(Self::Hold { waker: first }),
                }
            }
            Self::Wake { waker, .. } | Self::Hold { waker } => {
                waker.wake();
                None
            }
        }
    }
}
