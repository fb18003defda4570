//! What the script and the user code that it makes run have in common.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use plimsoll::runtime::sim::{Sim, Time};
use plimsoll::{
    AttemptId, Context, Instant, OutcomeKind, Overflow, Processor, Settlement, Shutdown, Submitter,
    TaskError, TaskId, TaskResult,
};

use super::book::Book;
use super::ending::Discards;
use super::plan::{Deed, Mood, Order, UNIQUE_KEYS, Way};
use super::scheduled::Scheduled;
use super::script::Setup;
use super::token::{Counts, Error, Job, Kind, Output, Token};

/// What a script's processor does.
pub(super) type Service = fn(Job, Context<u32>) -> Result<Output, Error>;
/// The processor of a script.
pub(super) type Engine = Processor<Service>;
/// The end of it.
pub(super) type Ending = Shutdown<Service>;
/// What submits to it.
pub(super) type Desk = Submitter<Service>;

/// The owner of the processor, wherever it goes.
pub(super) enum Owner {
    Open(Engine),
    Closing(Ending),
}

/// At which handlers wait for each other.
#[derive(Default)]
pub(super) struct Gate {
    pub(super) opened: u64,
    pub(super) wakers: Vec<Waker>,
}

/// Something that a handler waits for, to be checked when the runtime is idle.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    Until(Instant),
    /// A gate, and how often it had been opened.
    Gate(u8, u64),
    /// The end of its own task.
    Cancellation,
}

/// A context that a handler has left behind, or given to a child.
pub(super) struct Left {
    pub(super) task: u32,
    pub(super) attempt: AttemptId,
    pub(super) context: Context<u32>,
}

/// Shared by a script, its handlers, callbacks, wakers and values.
pub struct Stage {
    pub(super) counts: Counts,
    pub(super) time: Time,
    pub(super) sim: Mutex<Option<Sim>>,
    pub(super) desk: OnceLock<Desk>,
    pub(super) owner: Mutex<Option<Owner>>,
    pub(super) gates: Mutex<[Gate; 3]>,
    pub(super) wakers: Mutex<Vec<Waker>>,
    pub(super) contexts: Mutex<Vec<Left>>,
    /// Children that wait for the end of an attempt.
    pub(super) children: Mutex<Vec<(u32, AttemptId)>>,
    pub(super) waits: Mutex<Vec<(u32, Wait)>>,
    /// The concurrency that is set.
    pub(super) concurrency: AtomicU64,
    pub(super) has_lanes: bool,
    /// The classes that are paused, each with its tasks that had been taken before and were not called yet.
    pub(super) paused: Mutex<BTreeMap<u8, Vec<TaskId>>>,
    /// Whether every key is remembered as long as its task says.
    pub(super) remembers_all: bool,
    pub(super) has_monitor: bool,
    pub(super) schedules: Mutex<Vec<Scheduled>>,
    /// What the script has come to, and how often.
    pub(super) reached: Mutex<BTreeMap<&'static str, u64>>,
    book: Mutex<Book>,
    faults: Mutex<Vec<String>>,
}

/// How many tasks a script may submit.
const MOST_TASKS: usize = 400;

impl Stage {
    pub(super) fn new(sim: &Sim, setup: &Setup) -> Arc<Self> {
        Arc::new(Self {
            counts: Counts::default(),
            time: sim.time(),
            sim: Mutex::new(Some(sim.clone())),
            desk: OnceLock::new(),
            owner: Mutex::default(),
            gates: Mutex::default(),
            wakers: Mutex::default(),
            contexts: Mutex::default(),
            children: Mutex::default(),
            waits: Mutex::default(),
            concurrency: AtomicU64::new(setup.concurrency().into()),
            has_lanes: setup.lanes().lanes > 0,
            paused: Mutex::default(),
            remembers_all: setup.dedup().is_some_and(|remembered| u64::from(remembered) >= UNIQUE_KEYS),
            has_monitor: setup.parts().has_monitor,
            schedules: Mutex::default(),
            reached: Mutex::default(),
            book: Mutex::new(Book { overflows: setup.overflow() != Overflow::Refuse, ..Book::default() }),
            faults: Mutex::default(),
        })
    }

    pub(super) fn now(&self) -> Instant {
        self.time.now()
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        lock(&self.book)
    }

    pub(super) fn desk(&self) -> &Desk {
        self.desk.get().expect("it is set before anything runs")
    }

    /// Notes what must not be, unless all is well.
    pub(super) fn expect(&self, holds: Result<(), String>) {
        if let Err(fault) = holds {
            lock(&self.faults).push(fault);
        }
    }

    pub(super) fn faults(&self) -> Vec<String> {
        lock(&self.faults).clone()
    }

    /// A new task, unless there are too many.
    pub(super) fn open(&self, order: Order, way: Way) -> Option<u32> {
        let mut book = self.book();
        let now = self.now();
        (book.tasks.len() < MOST_TASKS).then(|| book.open(order, way, now))
    }

    /// Does what user code does. No lock is held here while the processor is called.
    pub(super) fn act(self: &Arc<Self>, deed: Deed) {
        match deed {
            Deed::Nothing => {}
            Deed::OpenGate(gate) => self.open_gate(gate),
            Deed::Submit => {
                if let Some(task) = self.open(Order::PLAIN, Way::Nowhere) {
                    self.submit_detached(task, Order::PLAIN);
                }
            }
            Deed::Cancel(back) => {
                if let Some((task, id)) = self.task_at(back) {
                    self.cancelled(task, self.desk().cancel(id).is_ok());
                }
            }
            Deed::TakeResult(back) => {
                if let Some((task, id)) = self.task_at(back) {
                    self.take_result(task, id);
                }
            }
            Deed::Pause => self.desk().pause(),
            Deed::Resume => self.desk().resume(),
            Deed::SetConcurrency(to) => {
                let set = self.desk().set_concurrency(to.into());
                self.concurrency.store(set.into(), SeqCst);
            }
            Deed::Audit => {
                let (census, audit) = (self.desk().census(), self.desk().audit());
                let _ = (self.desk().last_error(), format!("{:?}", self.desk()));
                self.expect(if census == audit {
                    Ok(())
                } else {
                    Err(format!("{census:?} is not {audit:?}"))
                });
            }
            Deed::WakeStale => {
                let waker = lock(&self.wakers).pop();
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Deed::DropOwner => self.drop_owner(),
            Deed::KillRuntime => self.kill(),
        }
    }

    fn open_gate(&self, gate: u8) {
        let mut gates = lock(&self.gates);
        let gate = &mut gates[usize::from(gate % 3)];
        gate.opened += 1;
        let wakers = std::mem::take(&mut gate.wakers);
        drop(gates);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(super) fn submit_detached(self: &Arc<Self>, task: u32, order: Order) {
        let job = Job::new(self, task, order);
        let look = self.look(order);
        let submitted = self.desk().task(job).options(order.options(task, self.has_lanes)).post();
        self.note_keyed(task, look, submitted.as_ref().map(|id| Some(*id)).map_err(|refused| refused.reason));
        if let Err(refused) = submitted {
            refused.into_value().come_back();
        }
    }

    /// Notes whether a task was taken in, and whether that was right.
    pub(super) fn note_entry(&self, task: u32, entry: Result<Option<TaskId>, plimsoll::Refusal>) {
        let (mut book, now) = (self.book(), self.now());
        let is_closing = book.ending.is_closing;
        match entry {
            Ok(id) => {
                book.admit(task, id, now);
                self.expect(if is_closing {
                    Err(format!("task {task} taken in after the end"))
                } else {
                    Ok(())
                });
            }
            Err(reason) => {
                book.refuse(task);
                let is_closed = reason == plimsoll::Refusal::Closed;
                let is_right = is_closed == is_closing;
                self.expect(if is_right { Ok(()) } else { Err(format!("task {task} refused: {reason:?}")) });
            }
        }
    }

    /// The task that is so far back from the newest that was taken in.
    pub(super) fn task_at(&self, back: u8) -> Option<(u32, TaskId)> {
        let book = self.book();
        let mut newest = book.tasks.iter().enumerate().rev();
        let with_id = newest.by_ref().filter_map(|(task, entry)| Some((task as u32, entry.id?)));
        with_id.take(usize::from(back) + 1).last()
    }

    pub(super) fn cancelled(&self, task: u32, was_in_time: bool) {
        if was_in_time {
            let now = self.now();
            let answer = self.book().cancel(task, now);
            self.expect(answer.map_err(|fault| format!("task {task}: {fault}")));
        }
    }

    fn take_result(&self, task: u32, id: TaskId) {
        if let Some(result) = self.desk().result(id) {
            self.tell(task, result);
        }
    }

    /// An outcome has come out.
    pub(super) fn tell(&self, task: u32, result: TaskResult<Service>) {
        let now = self.now();
        let answer = match kind_of(&result) {
            Some(kind) => self.book().tell(task, kind, now),
            None => Err(format!("it comes out with {result:?}")),
        };
        let answer = answer.and_then(|()| match result {
            Err(TaskError::Cancelled(reason)) => self.book().check_reason(task, reason, now),
            _ => Ok(()),
        });
        self.expect(answer.map_err(|fault| format!("task {task}: {fault}")));
        if let Ok(value) | Err(TaskError::Failed(value)) = result {
            let is_own = value.task == task;
            self.expect(if is_own { Ok(()) } else { Err(format!("{task} got the {value:?}")) });
            value.come_out();
        }
    }

    /// A callback or a completion queue was told how a task ended.
    pub(super) fn hear(&self, task: u32, settled: Settlement<Service>) {
        let Settlement { meta, attempts, result, job, .. } = settled;
        let is_own = meta == task && job.as_ref().is_none_or(|job| job.task == task);
        self.expect(if is_own { Ok(()) } else { Err(format!("{task} is called with {meta} and {job:?}")) });
        let answer = self.book().has_started(task, attempts);
        self.expect(answer.map_err(|fault| format!("task {task}: {fault}")));
        if let Some(job) = job {
            job.come_back();
        }
        self.tell(task, result);
    }

    /// Drops the owner, if it is not gone yet.
    pub(super) fn drop_owner(&self) {
        let owner = lock(&self.owner).take();
        let Some(owner) = owner else { return };
        // It had ended before, gracefully or with its runtime: what is left belongs to handles and subscriptions.
        let has_ended = self.desk().phase() == plimsoll::Phase::Drained;
        let (mut book, now) = (self.book(), self.now());
        if !has_ended {
            book.ending.cancel(now);
        }
        book.ending.discards = book.ending.discards.max(Discards::Maybe);
        book.ending.is_orphaned = true;
        drop(book);
        drop(owner);
        if !has_ended {
            self.book().ending.discards = Discards::Yes;
        }
    }

    /// Stops the runtime.
    pub(super) fn kill(&self) {
        let sim = lock(&self.sim).clone();
        let Some(sim) = sim else { return };
        let (mut book, now) = (self.book(), self.now());
        if !book.ending.is_killed && book.ending.has_come(now) {
            // At its deadline a graceful end discards, and it may have begun to, for that may be what runs this.
            book.ending.discards = book.ending.discards.max(Discards::Maybe);
        }
        book.ending.cancel(now);
        book.ending.is_killed = true;
        drop(book);
        sim.kill();
    }

    /// A callback that is counted, and behaves as the order says.
    pub(super) fn callback(
        self: &Arc<Self>,
        task: u32,
        order: Order,
    ) -> impl FnOnce(Settlement<Service>) + Send + 'static {
        let token = Token::new(self, Kind::Callback, Mood::Calm);
        move |settled| {
            let stage = token.stage().clone();
            drop(token);
            stage.hear(task, settled);
            match order.callback_mood() {
                Mood::Calm => {}
                Mood::Panics => super::token::throw(),
                Mood::Acts(deed) => stage.act(deed),
            }
        }
    }
}

/// As which kind of outcome it is counted; none for a handle that comes too late.
fn kind_of<O, E>(result: &Result<O, TaskError<E>>) -> Option<OutcomeKind> {
    match result {
        Ok(_) => Some(OutcomeKind::Completed),
        Err(TaskError::Failed(_)) => Some(OutcomeKind::Failed),
        Err(TaskError::TimedOut) => Some(OutcomeKind::TimedOut),
        Err(TaskError::Cancelled(_)) => Some(OutcomeKind::Cancelled),
        Err(TaskError::Expired) => Some(OutcomeKind::Expired),
        Err(TaskError::Shed) => Some(OutcomeKind::Shed),
        Err(TaskError::Panicked(_)) => Some(OutcomeKind::Panicked),
        Err(_) => None,
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
