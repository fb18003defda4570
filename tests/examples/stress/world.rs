//! What the parts of one episode share.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use plimsoll::{AttemptId, Cache, Context, Events, Phase, Processor, Registration, Submitter, TaskId};

use crate::host::{Place, Spawner};
use crate::lender::Lender;
use crate::names::{Action, Check, Runtime, is_skipped};
use crate::parts::Parts;
use crate::record::{Record, flag};
use crate::script::Mood;
use crate::shares::Shares;
use crate::submit::Held;
use crate::tokens::Tokens;
use crate::values::{CacheValue, Job, Service};

pub type Owner = Processor<Service>;
pub type Submits = Submitter<Service>;

/// Where the owner is to be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    Handler = 1,
    Callback = 2,
}

/// An emitter that was left attached, with a listener of a stranger.
pub struct Emitter {
    pub events: Events<Job>,
    pub stranger: Registration,
}

/// What the parts of one episode share.
pub struct World {
    pub runtime: Runtime,
    pub place: Place,
    pub mood: Mood,
    pub parts: Parts,
    pub tokens: Arc<Tokens>,
    pub lender: Lender,
    pub submitter: OnceLock<Submits>,
    pub cache: Cache<u64, CacheValue>,
    pub owner: Mutex<Option<Owner>>,
    pub spawner: Mutex<Option<Spawner>>,
    pub findings: Mutex<Vec<(Check, String)>>,
    pub records: Mutex<Vec<Arc<Record>>>,
    pub admitted: AtomicU64,
    /// How many tasks the hook has seen, and how many of these a schedule had made.
    pub hooked: AtomicU64,
    pub scheduled: AtomicU64,
    /// Jobs that schedules have made and handlers were called for.
    pub of_schedules: Mutex<HashMap<TaskId, Arc<Record>>>,
    /// When an attempt with a soft limit is slow, by the processor's clock.
    pub slow_from: Mutex<HashMap<AttemptId, plimsoll::Instant>>,
    /// How often the queue was cleared, how many tasks of it, and how many outcomes tell of that.
    pub clears: AtomicU64,
    pub cleared: AtomicU64,
    pub seen_cleared: AtomicU64,
    pub shares: Mutex<Shares>,
    pub callbacks_running: AtomicI64,
    /// Handles that are kept until the end.
    pub kept: Mutex<Vec<Held>>,
    /// Handles that go from one submitter to another.
    pub parcels: Mutex<Vec<Held>>,
    pub retained: Mutex<Vec<(TaskId, Arc<Record>)>>,
    pub contexts: Mutex<Vec<Context<u64>>>,
    pub emitters: Mutex<Vec<Emitter>>,
    pub threads: Mutex<Vec<JoinHandle<()>>>,
    /// How many events the subscriber of the episode has read or missed, once it has seen the end.
    pub heard: Mutex<Option<u64>>,
    /// The owner was dropped, and that has returned.
    pub owner_gone: AtomicBool,
    numbers: AtomicU64,
    ending: AtomicBool,
    discarding: AtomicBool,
    runtime_killed: AtomicBool,
    wanted: AtomicU8,
    doing: Vec<AtomicUsize>,
}

impl World {
    pub fn new(
        runtime: Runtime,
        mood: Mood,
        parts: Parts,
        spawner: Spawner,
        lender: Lender,
        cache: Cache<u64, CacheValue>,
        actors: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            runtime,
            place: Place::on(runtime),
            mood,
            parts,
            tokens: Arc::default(),
            lender,
            submitter: OnceLock::new(),
            cache,
            owner: Mutex::new(None),
            spawner: Mutex::new(Some(spawner)),
            findings: Mutex::default(),
            records: Mutex::default(),
            admitted: AtomicU64::new(0),
            hooked: AtomicU64::new(0),
            scheduled: AtomicU64::new(0),
            of_schedules: Mutex::default(),
            slow_from: Mutex::default(),
            clears: AtomicU64::new(0),
            cleared: AtomicU64::new(0),
            seen_cleared: AtomicU64::new(0),
            shares: Mutex::default(),
            callbacks_running: AtomicI64::new(0),
            kept: Mutex::default(),
            parcels: Mutex::default(),
            retained: Mutex::default(),
            contexts: Mutex::default(),
            emitters: Mutex::default(),
            threads: Mutex::default(),
            heard: Mutex::new(None),
            owner_gone: AtomicBool::new(false),
            numbers: AtomicU64::new(0),
            ending: AtomicBool::new(false),
            discarding: AtomicBool::new(false),
            runtime_killed: AtomicBool::new(false),
            wanted: AtomicU8::new(0),
            doing: (0..actors).map(|_| AtomicUsize::new(0)).collect(),
        })
    }

    /// Notes a finding, unless its check is left out.
    pub fn find(&self, check: Check, text: impl Into<String>) {
        if !is_skipped(check.name()) {
            lock(&self.findings).push((check, text.into()));
        }
    }

    pub fn submitter(&self) -> &Submits {
        self.submitter.get().expect("it is set before anything is spawned")
    }

    pub fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, SeqCst)
    }

    /// Spawns on the runtime; the future is dropped if that is gone.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let spawner = lock(&self.spawner).clone();
        if let Some(spawner) = spawner {
            spawner.spawn(future);
        }
    }

    /// What a submitter is doing now.
    pub fn does(&self, actor: usize, action: Action) {
        action.count();
        self.doing[actor].store(action as usize + 1, SeqCst);
    }

    pub fn is_done(&self, actor: usize) {
        self.doing[actor].store(0, SeqCst);
    }

    /// What the submitters are doing that are not done.
    pub fn doings(&self) -> Vec<&'static str> {
        let doing = self.doing.iter().map(|doing| doing.load(SeqCst));
        doing.filter_map(|doing| Some(Action::ALL.get(doing.checked_sub(1)?)?.name())).collect()
    }
}

/// How far the end is.
impl World {
    /// From now on tasks may be cancelled and submissions refused.
    pub fn begin_to_end(&self) {
        self.ending.store(true, SeqCst);
    }

    /// From now on outcomes may be lost to their handles.
    pub fn begin_to_discard(&self) {
        self.begin_to_end();
        self.discarding.store(true, SeqCst);
    }

    pub fn begin_to_kill_the_runtime(&self) {
        self.begin_to_end();
        self.runtime_killed.store(true, SeqCst);
    }

    pub fn is_ending(&self) -> bool {
        self.ending.load(SeqCst)
    }

    pub fn is_discarding(&self) -> bool {
        self.discarding.load(SeqCst)
    }

    pub fn is_runtime_killed(&self) -> bool {
        self.runtime_killed.load(SeqCst)
    }

    /// Asks for the owner to be dropped in there.
    pub fn want_end_inside(&self, inside: Inside) {
        self.wanted.store(inside as u8, SeqCst);
    }

    /// Drops the owner here, if that was asked for and it was not done before.
    pub fn end_if_wanted(&self, inside: Inside) {
        if self.wanted.load(SeqCst) == inside as u8 {
            let owner = lock(&self.owner).take();
            if let Some(owner) = owner {
                self.drop_owner(owner, false);
            }
        }
    }

    /// Drops the owner, after which nothing may be left but what is being called or polled.
    pub fn drop_owner(&self, owner: Owner, outside: bool) {
        if catch_unwind(AssertUnwindSafe(|| drop(owner))).is_err() {
            self.find(Check::Panic, "a panic comes out of the owner's drop");
        }
        self.check_ended(outside, false);
        self.owner_gone.store(true, SeqCst);
    }

    /// What holds from the moment at which the end has come, with what is kept for handles and subscriptions or without.
    pub fn check_ended(&self, outside: bool, may_keep: bool) {
        let submitter = self.submitter();
        let (phase, mut census) = (submitter.phase(), submitter.census());
        if may_keep {
            (census.unclaimed, census.handles, census.tasks, census.subscribers) = (0, 0, 0, 0);
        }
        if phase != Phase::Drained || !census.is_empty() {
            self.find(Check::Census, format!("after the end: {phase:?}, {census:?}"));
        }
        // On a thread that polls, effects of an interrupted batch may be waiting for that to go on.
        if outside {
            self.check_callbacks("when the end has come");
        }
    }

    /// Every callback of an admitted task was called.
    pub fn check_callbacks(&self, when: &str) {
        let owed =
            |record: &&Arc<Record>| record.has(flag::ADMITTED | flag::HAS_CALLBACK) && record.outcomes() == 0;
        let owed = lock(&self.records).iter().filter(owed).map(|record| record.number).collect::<Vec<_>>();
        if !owed.is_empty() {
            self.find(Check::Callback, format!("{when}, the callbacks of jobs {owed:?} are not called"));
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "submitters do {:?}; {:?} are alive", self.doings(), self.tokens)
    }
}

/// Locks, also after a planned panic.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until something holds; false if that takes longer than it may.
pub fn wait_until(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    let mut pause = Duration::from_micros(20);
    loop {
        if holds() {
            return true;
        }
        if start.elapsed() > patience {
            return false;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}
