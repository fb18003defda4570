//! A script in the act: a processor on a simulated runtime, and those who use it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};

use plimsoll::runtime::sim::{Sim, Stuck};
use plimsoll::{Cache, Drain, Events, Notice, Phase, Processor, Retry, Subscription};

use super::ending::Discards;
use super::handler::handle;
use super::held::{Held, Polled, Thing};
use super::plan::{Deed, Mood, Order, Way};
use super::script::{Action, Setup};
use super::stage::{Owner, Service, Stage, lock};
use super::summary::Summary;
use super::token::{Flag, Job, Kind, Token};

/// What goes wrong.
pub(super) type Fault = String;
type Done = Result<(), Fault>;

/// The clock moves at most so often in one step.
const JUMPS: u32 = 40;
/// Far more polls than any script needs at one instant.
const POLLS: u64 = 50_000;

pub(super) struct World {
    pub(super) sim: Sim,
    pub(super) stage: Arc<Stage>,
    pub(super) setup: Setup,
    pub(super) held: Vec<Held>,
    pub(super) emitters: [Events<Job>; 2],
    pub(super) cache: Cache<u8, Token>,
    pub(super) watch: Option<Subscription<Service>>,
    pub(super) summary: Summary,
    /// Left with the shutdown.
    pub(super) flag: Option<Arc<Flag>>,
}

impl World {
    pub(super) fn new(setup: Setup) -> Self {
        let mut sim = Sim::new(setup.seed()).poll_limit(POLLS);
        if setup.has_several_threads() {
            sim = sim.several_threads();
        }
        let stage = Stage::new(&sim, &setup);
        stage.book().has_several_threads = setup.has_several_threads();
        let cache = Cache::new(setup.cache()).expect("the limits are possible");
        let (entries, ttl) = setup.results();
        let mut builder = Processor::builder()
            .queue(setup.queue())
            .concurrency(setup.concurrency())
            .orphans(setup.orphans())
            .unclaimed(setup.unclaimed())
            .results(entries, ttl)
            .waiters(setup.waiters())
            .sleeps(setup.sleeps())
            .emitters(setup.emitters())
            .subscribers(setup.subscribers() + u32::from(setup.is_watched()))
            .events(setup.events())
            .cancel_grace(setup.grace())
            .retry(Retry::NONE)
            .overflow(setup.overflow())
            .lanes(setup.lanes())
            .monitor(setup.parts().has_monitor)
            .schedules(setup.schedules())
            .cache(&cache);
        if let Some(remembered) = setup.dedup() {
            builder = builder.dedup(remembered);
        }
        if let Some(rate) = setup.rate() {
            builder = builder.rate(rate);
        }
        if let Some(every) = setup.health_every() {
            builder = builder.health_every(every);
        }
        if let Some(every) = setup.sweep_every() {
            builder = builder.sweep_every(every);
        }
        let token = Token::new(&stage, Kind::Handler, Mood::Calm);
        let handler = move |job, cx| {
            let _captured = &token;
            handle(job, cx)
        };
        let processor = builder.spawn_on(sim.clone(), handler).expect("the limits are possible");
        let watch = setup.is_watched().then(|| processor.subscribe().expect("there is room for one"));
        assert!(stage.desk.set(processor.submitter()).is_ok());
        *lock(&stage.owner) = Some(Owner::Open(processor));
        let (held, emitters, summary) = (Vec::new(), Default::default(), Summary::default());
        Self { sim, stage, setup, held, emitters, cache, watch, summary, flag: None }
    }

    /// Does this, and checks everything that can be seen.
    pub(super) fn step(&mut self, action: &Action) -> Done {
        self.summary.steps += 1;
        let done = catch_unwind(AssertUnwindSafe(|| self.act(action)));
        done.map_err(|_| "a panic has come through".to_owned())??;
        self.check()
    }

    fn act(&mut self, action: &Action) -> Done {
        match *action {
            Action::Submit(order) => self.submit(order),
            Action::SubmitWait(order) => {
                if let Some(task) = self.stage.open(order, Way::Handle) {
                    let mut job = Job::new(&self.stage, task, order);
                    // As long as it waits, it is dropped where nobody catches a panic.
                    job.token.calm();
                    let wait = self
                        .stage
                        .desk()
                        .task(job)
                        .options(order.options(task, self.stage.has_lanes))
                        .submit_wait();
                    self.held.push(Held::new(Thing::Wait(task, wait)));
                    return self.poll(0, Deed::Nothing);
                }
            }
            Action::Poll { held, waker } => return self.poll(held, waker),
            Action::Drop { held } => {
                let thing = self.take(held);
                if let Some(Thing::Cancelling(task, _)) = &thing {
                    self.stage.book().cancel_if_in_time(*task, self.stage.now());
                }
                drop(thing);
            }
            Action::CancelOnDrop { held } => {
                let thing = self.take(held).map(|thing| match thing {
                    Thing::Handle(task, handle) => Thing::Cancelling(task, handle.cancel_on_drop()),
                    other => other,
                });
                self.held.extend(thing.map(Held::new));
            }
            Action::CancelHeld { held } => self.cancel(held),
            Action::Detach { held } => match self.take(held) {
                Some(Thing::Emitter(emitter)) => drop(emitter.detach()),
                Some(Thing::Handle(_, handle)) => handle.detach(),
                Some(Thing::Cancelling(_, handle)) => handle.detach(),
                other => self.held.extend(other.map(Held::new)),
            },
            Action::Reserve { places } => {
                self.held.push(Held::new(Thing::Reserve(self.stage.desk().reserve_many(places.into()))));
                return self.poll(0, Deed::Nothing);
            }
            Action::SubmitReserved(order) => return self.submit_reserved(order),
            Action::SubmitToQueue { order, room } => self.submit_to_queue(order, room),
            Action::SubmitMany { order, count } => self.submit_many(order, count),
            Action::Stream { order, count, is_ordered } => return self.stream(order, count, is_ordered),
            Action::Subscribe => {
                if let Ok(subscription) = self.stage.desk().subscribe() {
                    self.held.push(Held::new(Thing::Subscription(subscription)));
                }
            }
            Action::WaitUntilIdle => {
                self.held.push(Held::new(Thing::Idle(self.stage.desk().idle(), None)));
                return self.poll(0, Deed::Nothing);
            }
            Action::Attach { emitter } => self.attach(emitter),
            Action::EmitTask { emitter, order } => self.emit(emitter, order, 1, false),
            Action::EmitBatch { emitter, order, count } => self.emit(emitter, order, count, true),
            Action::EmitError { emitter } => {
                self.emitters[usize::from(emitter & 1)].emit_error("a script's error")
            }
            Action::CacheInsert { key } => {
                self.cache.insert(key, Token::new(&self.stage, Kind::Cached, Mood::Calm));
            }
            Action::CacheGet { key } => drop(self.cache.get(&key)),
            Action::CacheRemove { key } => drop(self.cache.remove(&key)),
            Action::Do(deed) => self.stage.act(deed),
            Action::Run { polls } => {
                for _ in 0..polls {
                    if !self.run(Sim::step)? {
                        break;
                    }
                }
            }
            Action::Idle => return self.idle(),
            Action::Advance(by) => return self.advance(by),
            Action::Jump => {
                let next = self.sim.next_timer().map(|at| at.saturating_since(self.sim.now()));
                return next.map_or(Ok(()), |by| self.advance(by));
            }
            Action::Shutdown(mode) => self.shut_down(mode),
            Action::PollShutdown => return self.poll_shutdown(),
            Action::Part(action) => self.act_on_part(action),
            Action::ForgetContexts => drop(std::mem::take(&mut *lock(&self.stage.contexts))),
        }
        Ok(())
    }

    fn submit(&mut self, order: Order) {
        let stage = &self.stage;
        let Some(task) = stage.open(order, order.way()) else { return };
        if order.way() == Way::Nowhere {
            return stage.submit_detached(task, order);
        }
        let look = stage.look(order);
        let submission =
            stage.desk().task(Job::new(stage, task, order)).options(order.options(task, stage.has_lanes));
        let (entry, refused) = match order.way() {
            Way::Handle => match submission.submit() {
                Ok(handle) => {
                    let id = handle.id();
                    self.held.push(Held::new(Thing::Handle(task, handle)));
                    (Ok(Some(id)), None)
                }
                Err(refused) => (Err(refused.reason), Some(refused.into_value())),
            },
            Way::Callback => match submission.call(stage.callback(task, order)) {
                Ok(id) => (Ok(Some(id)), None),
                Err(refused) => (Err(refused.reason), Some(refused.into_value().0)),
            },
            _ => match submission.retain() {
                Ok(id) => (Ok(Some(id)), None),
                Err(refused) => (Err(refused.reason), Some(refused.into_value())),
            },
        };
        stage.note_keyed(task, look, entry);
        if let Some(job) = refused {
            job.come_back();
        }
    }

    /// The place of what is held so far back from the newest.
    fn place(&self, back: u8) -> Option<usize> {
        let back = usize::from(back).checked_rem(self.held.len())?;
        Some(self.held.len() - 1 - back)
    }

    fn take(&mut self, back: u8) -> Option<Thing> {
        let place = self.place(back)?;
        Some(self.held.remove(place).thing)
    }

    fn cancel(&mut self, back: u8) {
        let Some(place) = self.place(back) else { return };
        let (task, cancelled) = match &self.held[place].thing {
            Thing::Handle(task, handle) => (*task, handle.cancel()),
            Thing::Cancelling(task, handle) => (*task, handle.cancel()),
            _ => return,
        };
        self.stage.cancelled(task, cancelled.is_ok());
    }

    pub(super) fn poll(&mut self, back: u8, waker: Deed) -> Done {
        let Some(place) = self.place(back) else { return Ok(()) };
        let was_idle = self.sim.is_idle();
        let polled = self.held[place].poll(&self.stage, waker, was_idle);
        let task = self.held[place].task();
        match polled.map_err(|fault| format!("held for task {task:?}: {fault}"))? {
            Polled::Pending => {}
            Polled::More(notice) => {
                self.summary.lagged += u64::from(matches!(notice, Some(Notice::Lagged(_))))
            }
            Polled::Over => drop(self.held.remove(place)),
        }
        Ok(())
    }

    fn attach(&mut self, emitter: u8) {
        let token = Token::new(&self.stage, Kind::Options, Mood::Calm);
        let has_lanes = self.stage.has_lanes;
        let attached =
            self.stage.desk().attach_with(&self.emitters[usize::from(emitter & 1)], move |job: &Job| {
                let _captured = &token;
                job.order.options(job.task, has_lanes)
            });
        if let Ok(emitter) = attached {
            self.held.push(Held::new(Thing::Emitter(emitter)));
        }
    }

    fn emit(&mut self, emitter: u8, order: Order, count: u8, is_batch: bool) {
        let stage = &self.stage;
        let open = || stage.open(order, Way::Nowhere).map(|task| Job::new(stage, task, order));
        let jobs: Vec<Job> = (0..count).filter_map(|_| open()).collect();
        let mut tasks: Vec<u32> = jobs.iter().map(|job| job.task).collect();
        let emitter = &self.emitters[usize::from(emitter & 1)];
        let refused = if is_batch {
            emitter.emit_batch(jobs).err().unwrap_or_default()
        } else {
            jobs.into_iter()
                .filter_map(|job| emitter.emit_task(job).err())
                .map(|refused| refused.into_value())
                .collect()
        };
        for job in refused {
            tasks.retain(|task| *task != job.task);
            stage.book().refuse(job.task);
            job.come_back();
        }
        for task in tasks {
            stage.note_entry(task, Ok(None));
            stage.book().enter_key(task, None, false);
        }
    }

    /// Runs the simulation, whose errors are faults of the processor.
    fn run<R>(&self, run: impl FnOnce(&Sim) -> Result<R, Stuck>) -> Result<R, Fault> {
        run(&self.sim).map_err(|stuck| stuck.to_string())
    }

    pub(super) fn idle(&mut self) -> Done {
        self.run(Sim::run_until_idle)?;
        self.check()
    }

    /// Moves the clock on, and checks everything whenever it stands.
    fn advance(&mut self, by: std::time::Duration) -> Done {
        let until = self.sim.now().saturating_add(by);
        for _ in 0..JUMPS {
            self.idle()?;
            let now = self.sim.now();
            let next = self.sim.next_timer().map_or(until, |at| at.min(until));
            self.run(|sim| sim.advance(next.saturating_since(now)))?;
            self.check()?;
            if next == until {
                break;
            }
        }
        Ok(())
    }

    fn shut_down(&mut self, mode: Drain) {
        let owner = lock(&self.stage.owner).take();
        let owner = match owner {
            Some(Owner::Open(processor)) => {
                let (mut book, now) = (self.stage.book(), self.stage.now());
                let ending = &mut book.ending;
                ending.is_closing = true;
                match mode {
                    Drain::Graceful(within) => {
                        let by = now.saturating_add(within);
                        ending.cancels_from = Some(ending.cancels_from.map_or(by, |from| from.min(by)));
                    }
                    _ => {
                        ending.cancel(now);
                        ending.discards = ending.discards.max(Discards::Maybe);
                    }
                }
                drop(book);
                Some(Owner::Closing(processor.shutdown(mode)))
            }
            other => other,
        };
        *lock(&self.stage.owner) = owner;
    }

    pub(super) fn poll_shutdown(&mut self) -> Done {
        let owner = lock(&self.stage.owner).take();
        let Some(Owner::Closing(mut ending)) = owner else {
            *lock(&self.stage.owner) = owner;
            return Ok(());
        };
        let was_idle = self.sim.is_idle();
        let flag = Flag::new(&self.stage, Deed::Nothing);
        let waker = Waker::from(flag.clone());
        let last = self.flag.replace(flag);
        let has_ended = self.stage.desk().phase() == Phase::Drained;
        let polled = Pin::new(&mut ending).poll(&mut Context::from_waker(&waker));
        match polled {
            Poll::Pending if has_ended && was_idle => Err("the shutdown is not ready after the end".into()),
            Poll::Pending => {
                *lock(&self.stage.owner) = Some(Owner::Closing(ending));
                Ok(())
            }
            Poll::Ready(report) => {
                drop(ending);
                self.flag = None;
                self.stage.book().ending.is_orphaned = true;
                self.summary.shut_down += 1;
                if was_idle && last.is_some_and(|last| !last.is_woken()) {
                    return Err("the shutdown is ready, but it was not woken".into());
                }
                // An attempt that kills its runtime is being polled at that moment: it runs on.
                let abandoned = u32::from(self.stage.book().ending.is_killed);
                let is_settled = report.totals.admitted == report.totals.settled.total();
                if !is_settled || report.remains.abandoned > abandoned {
                    return Err(format!("it has not ended: {report:?}"));
                }
                Ok(())
            }
        }
    }

    /// The concurrency that is set.
    pub(super) fn concurrency(&self) -> u64 {
        self.stage.concurrency.load(SeqCst)
    }
}
