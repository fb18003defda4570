//! A fake engine, on the clock of a simulation: for tests of the kit, and of what is built on sources.
//!
//! It leases its deliveries for two seconds, can delay and take back uncounted, and may be taken away. Every fourth job has the
//! same key. A [`Fault`] breaks one of its promises.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::conformance::source::Engine;
use crate::runtime::sim::{Sim, Time};
use crate::source::{Abilities, Delivery, Pulled, Settling, Source, Verdict};
use crate::{Instant, lane_key};

/// For how long a delivery is leased.
const LEASE: Duration = Duration::from_secs(2);
/// How long the engine takes for anything.
const LATENCY: Duration = Duration::from_millis(1);

/// A promise that a [`Fake`] breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// A pull brings more than it was asked for.
    GivesTooMuch,
    /// One verdict in ten is confirmed and forgotten.
    ForgetsVerdicts,
    /// A receipt of an earlier delivery settles the latest one.
    AcceptsStaleReceipts,
}

/// A queue of numbers in memory, which stands for an engine outside: it outlives the workers that pull from it. Clones are
/// the same engine.
#[derive(Clone)]
pub struct Fake {
    sim: Sim,
    state: Arc<Mutex<State>>,
    fault: Option<Fault>,
}

#[derive(Default)]
struct State {
    jobs: BTreeMap<u64, Job>,
    next: u64,
    dead: Vec<u64>,
    is_away: bool,
    verdicts: u64,
}

struct Job {
    job: u64,
    deliveries: u32,
    /// Not delivered before this.
    visible_at: Instant,
    /// The number of its latest delivery, while that is out.
    out: Option<u64>,
}

/// Names one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FakeReceipt {
    job: u64,
    delivery: u64,
}

/// The engine does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Away;

impl fmt::Display for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the engine does not answer")
    }
}

impl std::error::Error for Away {}

impl Fake {
    /// An empty engine in this simulation.
    #[must_use]
    pub fn new(sim: &Sim) -> Self {
        Self { sim: sim.clone(), state: Arc::default(), fault: None }
    }

    /// One that breaks a promise.
    #[must_use]
    pub fn broken(sim: &Sim, fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::new(sim) }
    }

    /// Puts jobs in.
    pub fn put(&self, jobs: impl IntoIterator<Item = u64>) {
        let mut state = self.lock();
        for job in jobs {
            state.next += 1;
            let number = state.next;
            let job = Job { job, deliveries: 0, visible_at: Instant::ZERO, out: None };
            state.jobs.insert(number, job);
        }
    }

    /// A worker's connection.
    #[must_use]
    pub fn source(&self) -> FakeSource {
        FakeSource { time: self.sim.time(), state: self.state.clone(), fault: self.fault }
    }

    /// Takes the engine away, or brings it back.
    pub fn set_away(&self, away: bool) {
        self.lock().is_away = away;
    }

    /// The jobs that are dead.
    #[must_use]
    pub fn dead(&self) -> Vec<u64> {
        self.lock().dead.clone()
    }

    /// How many jobs are neither done nor dead.
    #[must_use]
    pub fn left(&self) -> usize {
        self.lock().jobs.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Fake")
            .field("jobs", &state.jobs.len())
            .field("dead", &state.dead.len())
            .field("is_away", &state.is_away)
            .field("fault", &self.fault)
            .finish()
    }
}

/// A connection to a [`Fake`].
pub struct FakeSource {
    time: Time,
    state: Arc<Mutex<State>>,
    fault: Option<Fault>,
}

impl fmt::Debug for FakeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeSource").field("fault", &self.fault).finish_non_exhaustive()
    }
}

impl FakeSource {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine, after it has had the time to answer; or not.
    async fn answer<T>(&self, act: impl FnOnce(&mut State) -> T) -> Result<T, Away> {
        self.time.sleep(LATENCY).await;
        let mut state = self.lock();
        if state.is_away { Err(Away) } else { Ok(act(&mut state)) }
    }

    fn deliver(&self, room: u32, state: &mut State, into: &mut Vec<Delivery<u64, FakeReceipt>>) -> bool {
        let now = self.time.now();
        let room = if self.fault == Some(Fault::GivesTooMuch) { room.saturating_add(2) } else { room };
        let State { jobs, next, .. } = state;
        let visible = jobs.iter_mut().filter(|(_, job)| job.visible_at <= now).take(room as usize);
        let before = into.len();
        for (number, job) in visible {
            *next += 1;
            job.deliveries = job.deliveries.saturating_add(1);
            job.visible_at = now.saturating_add(LEASE);
            job.out = Some(*next);
            let receipt = FakeReceipt { job: *number, delivery: *next };
            into.push(
                Delivery::new(job.job, receipt, job.deliveries)
                    .id(lane_key(&("fake", *number)))
                    .key(job.job % 4),
            );
        }
        into.len() > before
    }

    /// Whether the verdict took effect.
    fn judge(&self, state: &mut State, receipt: FakeReceipt, verdict: Verdict) -> bool {
        let now = self.time.now();
        let accepts_all = self.fault == Some(Fault::AcceptsStaleReceipts);
        state.verdicts += 1;
        if self.fault == Some(Fault::ForgetsVerdicts) && state.verdicts % 10 == 0 {
            return true;
        }
        let Some(job) = state.jobs.get_mut(&receipt.job) else { return false };
        if job.out != Some(receipt.delivery) && !accepts_all {
            return false;
        }
        match verdict {
            Verdict::Again { after, counted } => {
                job.visible_at = now.saturating_add(after);
                job.deliveries -= u32::from(!counted);
                job.out = None;
            }
            Verdict::Dead { .. } => {
                state.dead.extend(state.jobs.remove(&receipt.job).map(|job| job.job));
            }
            _ => drop(state.jobs.remove(&receipt.job)),
        }
        true
    }
}

impl Source for FakeSource {
    type Job = u64;
    type Receipt = FakeReceipt;
    type Error = Away;

    fn abilities(&self) -> Abilities {
        Abilities::new().lease(LEASE).delays(true).uncounted(true)
    }

    async fn pull(
        &self,
        room: NonZeroU32,
        wait: Duration,
        into: &mut Vec<Delivery<u64, FakeReceipt>>,
    ) -> Result<Pulled, Away> {
        let until = self.time.now().saturating_add(wait);
        loop {
            if self.answer(|state| self.deliver(room.get(), state, into)).await? {
                return Ok(Pulled::Some);
            }
            if self.time.now() >= until {
                return Ok(Pulled::Nothing);
            }
            self.time.sleep(Duration::from_millis(5)).await;
        }
    }

    async fn settle(&self, verdicts: &mut Vec<Settling<FakeReceipt>>) -> Result<u32, Away> {
        self.answer(|state| {
            let judged = verdicts.drain(..).map(|one| self.judge(state, one.receipt, one.verdict));
            judged.fold(0, |stale, took_effect| stale + u32::from(!took_effect))
        })
        .await
    }

    async fn extend(&self, held: &[FakeReceipt]) -> Result<(), Away> {
        self.answer(|state| {
            let until = self.time.now().saturating_add(LEASE);
            for receipt in held {
                let job = state.jobs.get_mut(&receipt.job);
                if let Some(job) = job.filter(|job| job.out == Some(receipt.delivery)) {
                    job.visible_at = until;
                }
            }
        })
        .await
    }

    async fn close(&self) {}
}

impl Engine for Fake {
    type Source = FakeSource;
    type Runtime = Sim;

    fn runtime(&self) -> Sim {
        self.sim.clone()
    }

    async fn sleep(&self, time: Duration) {
        self.sim.time().sleep(time).await;
    }

    async fn connect(&self) -> Result<FakeSource, String> {
        Ok(self.source())
    }

    async fn enqueue(&self, jobs: &[u64]) -> Result<(), String> {
        self.put(jobs.iter().copied());
        Ok(())
    }

    async fn dead(&self) -> Result<Vec<u64>, String> {
        Ok(self.lock().dead.clone())
    }

    async fn left(&self) -> Result<u64, String> {
        Ok(self.lock().jobs.len() as u64)
    }

    async fn set_away(&self, away: bool) -> Result<bool, String> {
        self.lock().is_away = away;
        Ok(true)
    }

    /// What travels at this moment is lost.
    async fn cut(&self) -> Result<bool, String> {
        self.lock().is_away = true;
        self.sim.time().sleep(LATENCY * 2).await;
        self.lock().is_away = false;
        Ok(true)
    }
}
