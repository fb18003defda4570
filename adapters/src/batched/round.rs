//! One batch, from its first job to its last answer.
//!
//! ```text
//!            join, leave          close (full, or its time has come)      finish (ready, or panicked)
//! Collecting ───────────► Collecting ────────► Running ────────► Over: each member takes its answer
//! ```
//!
//! Its members own it: when the last one has left it goes, with the function's future. That owns the answers, but not
//! the round.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use futures_util::task::AtomicWaker;

use super::answer::{Answers, Entry};
use crate::Instant;
use crate::context::Context;
use crate::panics::{catch, discard_panic};
use crate::work::AnyWork;

/// A batch, and the attempts that are its members. Under its lock runs no foreign code, drops and wakers included.
pub(super) struct Round<W: AnyWork, F> {
    state: Mutex<State<W, F>>,
    pub(super) answers: Arc<Answers<W>>,
    pub(super) driver: Arc<DriverWaker>,
}

struct State<W: AnyWork, F> {
    /// In the order of their numbers. Those that leave a batch that runs stay in the list; when it is over, the list is
    /// empty.
    members: Vec<Member>,
    /// The number of the next member.
    next: u64,
    phase: Phase<W, F>,
}

struct Member {
    number: u64,
    /// `None` from a wake until the next poll.
    waker: Option<Waker>,
    has_left: bool,
}

enum Phase<W: AnyWork, F> {
    Collecting {
        /// One for each member.
        entries: Vec<Entry<W>>,
        /// When it is run at the latest.
        due: Instant,
    },
    Running {
        /// The number of the member that polls the future.
        driver: u64,
        /// `None` while it is made or polled.
        future: Option<Pin<Box<F>>>,
    },
    /// With the text of the function's panic, if it panicked.
    Over(Option<Arc<str>>),
}

/// The next step of a member.
pub(super) enum Turn {
    /// Its batch is run by another. It will be woken.
    Wait,
    /// Its batch is being collected. It will be woken.
    Follow,
    /// As [`Follow`](Self::Follow), and it sees to it that the batch is run in time. `joined` is how many members there
    /// have been so far.
    Lead { due: Instant, joined: u64 },
    /// It polls the function's future.
    Drive,
    /// It takes its answer, or panics with this text.
    Take(Option<Arc<str>>),
}

/// The values of a member that leaves, to be dropped without the lock.
struct Left<W: AnyWork> {
    /// Of the member that takes over.
    next: Option<Waker>,
    _own: Option<Waker>,
    _entry: Option<Entry<W>>,
}

impl<W: AnyWork, F> Round<W, F> {
    pub(super) fn new() -> Arc<Self> {
        let phase = Phase::Collecting { entries: Vec::new(), due: Instant::MAX };
        Arc::new(Self {
            state: Mutex::new(State { members: Vec::new(), next: 0, phase }),
            answers: Arc::new(Answers::new()),
            driver: Arc::new(DriverWaker(AtomicWaker::new())),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State<W, F>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job, which the round must be collecting: the number of its member, and how many there are. `due` counts if it is
    /// the first.
    pub(super) fn join(&self, entry: Entry<W>, waker: Waker, due: Instant) -> (u64, usize) {
        let state = &mut *self.lock();
        let number = state.next;
        state.next = number.wrapping_add(1);
        if let Phase::Collecting { entries, due: time } = &mut state.phase {
            if entries.is_empty() {
                *time = due;
            }
            entries.push(entry);
        }
        state.members.push(Member { number, waker: Some(waker), has_left: false });
        (number, state.members.len())
    }

    /// Ends the collecting, unless that has ended: its jobs. From now on this member is the driver.
    pub(super) fn close(&self, driver: u64) -> Option<Vec<Entry<W>>> {
        let state = &mut *self.lock();
        let Phase::Collecting { entries, .. } = &mut state.phase else { return None };
        let entries = std::mem::take(entries);
        state.phase = Phase::Running { driver, future: None };
        self.answers.open(state.members.iter().map(|member| member.number));
        Some(entries)
    }

    /// The next step of a member that is polled with this waker.
    fn turn(&self, number: u64, waker: Waker) -> Turn {
        let mut state = self.lock();
        let turn = state.turn(number);
        let old = match &turn {
            Turn::Wait | Turn::Follow | Turn::Lead { .. } => {
                state.member(number).map(|member| member.waker.replace(waker))
            }
            Turn::Drive | Turn::Take(_) => Some(Some(waker)),
        };
        drop(state);
        drop(old);
        turn
    }

    /// Hands the function's future to its driver. Until that has put it back or finished the round, it runs foreign code only
    /// where panics are caught.
    pub(super) fn take_future(&self) -> Option<Pin<Box<F>>> {
        match &mut self.lock().phase {
            Phase::Running { future, .. } => future.take(),
            Phase::Collecting { .. } | Phase::Over(_) => None,
        }
    }

    /// Takes back the function's future, which is not ready.
    pub(super) fn put_back(&self, running: Pin<Box<F>>) {
        if let Phase::Running { future, .. } = &mut self.lock().phase {
            *future = Some(running);
        }
    }

    /// The function's future is gone, with this text if it panicked. Wakes all members but its driver, who calls this.
    pub(super) fn finish(&self, driver: u64, panic: Option<&str>) {
        let panic = panic.map(Arc::from);
        let mut state = self.lock();
        state.phase = Phase::Over(panic);
        let members = std::mem::take(&mut state.members);
        drop(state);
        let others = members.into_iter().filter(|member| member.number != driver);
        others.filter_map(|member| member.waker).for_each(wake);
    }

    fn leave(&self, number: u64) {
        let mut left = self.lock().leave(number);
        left.next.take().into_iter().for_each(wake);
    }
}

/// Wakes a member, whether or not its waker panics: others come after it.
fn wake(waker: Waker) {
    if let Err(panic) = catch(|| waker.wake()) {
        discard_panic(panic);
    }
}

impl<W: AnyWork, F> State<W, F> {
    fn position(&self, number: u64) -> Option<usize> {
        self.members.binary_search_by_key(&number, |member| member.number).ok()
    }

    fn member(&mut self, number: u64) -> Option<&mut Member> {
        let position = self.position(number)?;
        self.members.get_mut(position)
    }

    fn turn(&self, number: u64) -> Turn {
        match &self.phase {
            Phase::Collecting { due, .. } => {
                let leads = self.members.first().is_some_and(|first| first.number == number);
                if leads { Turn::Lead { due: *due, joined: self.next } } else { Turn::Follow }
            }
            Phase::Running { driver, .. } if *driver == number => Turn::Drive,
            Phase::Running { .. } => Turn::Wait,
            Phase::Over(panic) => Turn::Take(panic.clone()),
        }
    }

    fn leave(&mut self, number: u64) -> Left<W> {
        let nothing = Left { next: None, _own: None, _entry: None };
        let Some(position) = self.position(number) else { return nothing };
        match &mut self.phase {
            Phase::Collecting { entries, .. } => {
                let (entry, member) = (entries.remove(position), self.members.remove(position));
                let leader = self.members.first_mut().filter(|_| position == 0);
                let next = leader.and_then(|leader| leader.waker.take());
                Left { next, _own: member.waker, _entry: Some(entry) }
            }
            Phase::Running { driver, .. } => {
                let own = self.members.get_mut(position).and_then(|member| {
                    member.has_left = true;
                    member.waker.take()
                });
                let leaves_it = *driver == number;
                let successor = self.members.iter_mut().find(|member| leaves_it && !member.has_left);
                let next = successor.and_then(|member| {
                    *driver = member.number;
                    // If it has none, it was woken, and will be polled.
                    member.waker.take()
                });
                Left { next, _own: own, ..nothing }
            }
            Phase::Over(_) => nothing,
        }
    }
}

/// An attempt's part in a round, which it leaves when this is dropped.
pub(super) struct Seat<W: AnyWork, F> {
    pub(super) round: Arc<Round<W, F>>,
    pub(super) number: u64,
    pub(super) context: Context<W::Meta, W::Sharing>,
}

impl<W: AnyWork, F> Seat<W, F> {
    pub(super) const fn new(
        round: Arc<Round<W, F>>,
        number: u64,
        context: Context<W::Meta, W::Sharing>,
    ) -> Self {
        Self { round, number, context }
    }

    pub(super) fn turn(&self, waker: Waker) -> Turn {
        self.round.turn(self.number, waker)
    }
}

impl<W: AnyWork, F> Drop for Seat<W, F> {
    fn drop(&mut self) {
        self.round.leave(self.number);
    }
}

/// The waker of a batch function's future: it wakes the member that polls it. It owns no value of a batch, for wakers can go
/// anywhere and be kept.
pub(super) struct DriverWaker(AtomicWaker);

impl DriverWaker {
    /// The driver is about to poll the future.
    pub(super) fn register(&self, waker: &Waker) {
        self.0.register(waker);
    }
}

impl Wake for DriverWaker {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake();
    }
}
