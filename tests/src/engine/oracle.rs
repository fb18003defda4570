//! What must hold after every step.

use plimsoll::{Event, Hold, Instant, Notice, OutcomeKind, Phase, Stage as TaskStage, Timeouts};

use super::answer::ensure;
use super::book::Book;
use super::choice::ms;
use super::ending::Discards;
use super::held::Thing;
use super::plan::{KEYS, UNIQUE_KEYS, Way, concurrency_of};
use super::stage::{Wait, lock};
use super::token::Kind;
use super::world::{Fault, World};

type Done = Result<(), Fault>;

impl World {
    /// Checks everything that can be seen between two steps.
    pub(super) fn check(&mut self) -> Done {
        Oracle(self).check()
    }
}

/// Whether what was to happen at this instant was forgotten. Timers have a tick of a millisecond; and at the end of time
/// none fires.
fn is_late(at: Instant, now: Instant) -> bool {
    at.checked_add(ms(2)).is_some_and(|late| late <= now)
}

/// After this nothing is due by the last instant of time.
const LAST_DAY: Instant = Instant::from_nanos(u64::MAX - 86_400_000_000_000);

/// Looks at a world between two steps.
struct Oracle<'a>(&'a mut World);

impl Oracle<'_> {
    fn check(mut self) -> Done {
        self.note_end();
        // To read events wakes nobody, unless a deadline was forgotten that every change looks for.
        let was_idle = self.0.sim.is_idle();
        self.watch()?;
        ensure(!was_idle || self.0.sim.is_idle(), || "it was idle, though a deadline is not armed".into())?;
        let faults = self.0.stage.faults();
        ensure(faults.is_empty(), || faults.join("; "))?;
        self.balance()?;
        self.hands()?;
        let may_go_on =
            self.0.stage.desk().phase() != Phase::Drained && !self.0.stage.book().ending.is_killed;
        if self.0.sim.is_idle() && may_go_on {
            self.at_rest()?;
            self.schedules_at_rest()?;
        }
        self.after_the_end()
    }

    /// Compares the events with what is known otherwise.
    fn watch(&mut self) -> Done {
        let World { stage, watch, summary, .. } = &mut *self.0;
        let Some(subscription) = watch else { return Ok(()) };
        while let Some(Some(notice)) = subscription.try_next() {
            let now = stage.now();
            summary.note(now, &notice);
            match notice {
                Notice::Event(Event::Slow { meta, task, attempt }) => {
                    stage.reach("slow");
                    let known = stage.number_of(meta, task).ok_or("a slow task is unknown")?;
                    let slow = stage.book().note_slow(known, attempt, now);
                    slow.map_err(|fault| format!("task {known}: {fault}"))?;
                }
                Notice::Event(event @ (Event::Admitted { .. } | Event::Refused { .. })) => {
                    stage.note_made(&event)?;
                }
                Notice::Event(Event::Settled { meta, kind, task }) => {
                    let meta = stage.number_of(meta, task).ok_or("a settled task is unknown")?;
                    summary.settled[kind as usize] += 1;
                    let timeouts = stage.book().task(meta).order.timeouts();
                    let is_silent = Timeouts { heartbeat: None, ..timeouts } == Timeouts::NONE;
                    if kind == OutcomeKind::TimedOut && is_silent {
                        stage.reach("silent for too long");
                    }
                    let settled = stage.book().announce(meta, kind, now);
                    settled.map_err(|fault| format!("task {meta}: {fault}"))?;
                }
                Notice::Lagged(missed) => return Err(format!("{missed} events are lost")),
                _ => {}
            }
        }
        let has_ended = subscription.try_next().is_none();
        if has_ended {
            *watch = None;
            let book = stage.book();
            if book.ending.discards == Discards::No {
                let unseen = book.tasks.iter().find(|task| task.id.is_some() && !task.is_settled());
                ensure(unseen.is_none(), || format!("its end was not told to a subscriber: {unseen:?}"))?;
            }
        }
        Ok(())
    }

    /// Counts that have to agree at any time.
    fn balance(&self) -> Done {
        let World { stage, setup, .. } = &*self.0;
        let (census, totals, ledger) = (stage.desk().census(), stage.desk().totals(), stage.desk().ledger());
        let audit = stage.desk().audit();
        ensure(census == audit, || format!("the census {census:?} is not the audit {audit:?}"))?;
        ensure(totals.offered == totals.refused + totals.admitted, || format!("offers: {totals:?}"))?;
        let settled = totals.settled.total();
        ensure(totals.admitted == settled + census.unsettled(), || {
            format!("outcomes: {totals:?}, {census:?}")
        })?;
        let admitted = stage.book().admitted();
        let unknown = stage.book().unknown_of_schedules();
        ensure((admitted..=admitted + unknown).contains(&totals.admitted), || {
            format!("{admitted} were taken in, not as in {totals:?}")
        })?;
        let slow = stage.book().slow();
        ensure(slow <= totals.slow as usize, || format!("{slow} are slow, not as in {totals:?}"))?;
        let waiting = census.delayed + census.queued + census.backoff;
        for (name, account, live) in [
            ("callbacks", ledger.callbacks, census.callbacks),
            ("listeners", ledger.listeners, census.emitters * 3),
            ("subscribers", ledger.subscribers, census.subscribers),
            ("tasks", ledger.tasks, census.tasks),
            ("queued", ledger.queued, census.queued),
            ("running", ledger.running, census.running + census.orphans),
            ("results", ledger.results, census.results),
            ("waiters", ledger.waiters, census.waiters),
            ("sleeps", ledger.sleeps, census.sleeps),
            ("cache", ledger.cache, census.cached),
            ("unique keys", ledger.unique_keys, census.unique_keys),
            ("schedules", ledger.schedules, census.schedules),
        ] {
            ensure(account.live() == live, || format!("{name}: {account:?}, but {live} live"))?;
            ensure(account.highest <= account.bound, || format!("{name} beyond its bound: {account:?}"))?;
        }
        stage.check_paused()?;
        for key in KEYS {
            let running = stage.desk().lane(key).map_or(0, |lane| lane.running);
            let most = concurrency_of(key);
            ensure(running <= most, || format!("{running} attempts of lane {key}, which allows {most}"))?;
        }
        let live = |kind| stage.counts.of(kind);
        ensure(live(Kind::Job) >= waiting.into(), || format!("{} jobs of {waiting}", live(Kind::Job)))?;
        let in_queues = self.0.stage.book().untold_in_queues();
        let of_schedules = lock(&stage.schedules).len() as i64;
        let callbacks = live(Kind::Callback) + i64::from(in_queues) + of_schedules;
        ensure(callbacks >= census.callbacks.into(), || "a callback is lost".into())?;
        ensure(live(Kind::Future) <= setup.concurrency().into(), || "too many attempts at a time".into())
    }

    /// Whatever is held has its place, and nothing else has one.
    fn hands(&self) -> Done {
        let World { stage, watch, .. } = &*self.0;
        let (census, ending) = (stage.desk().census(), stage.book().ending);
        let handles = self.count(|thing| matches!(thing, Thing::Handle(..) | Thing::Cancelling(..)));
        let waits = self.count(|thing| match thing {
            Thing::Wait(..) | Thing::Reserve(_) => true,
            Thing::Permit(permit) => permit.places() > 0,
            _ => false,
        });
        // They hold what nobody sees.
        let streams = self.count(|thing| matches!(thing, Thing::Stream(_)));
        let readers =
            self.count(|thing| matches!(thing, Thing::Subscription(_))) + u32::from(watch.is_some());
        let is_open = !ending.is_closing;
        for (name, held, counted, is_exact) in [
            ("handles", handles, census.handles, ending.discards == Discards::No),
            ("waits for room", waits, census.waiters, is_open),
            ("subscriptions", readers, census.subscribers, is_open),
        ] {
            let most = held + if name == "subscriptions" { 0 } else { 3 * streams };
            let is_right = counted <= most && (!is_exact || counted >= held);
            ensure(is_right, || format!("{held} {name} are held, {counted} are counted"))?;
        }
        Ok(())
    }

    fn count(&self, is: impl Fn(&Thing) -> bool) -> u32 {
        self.0.held.iter().filter(|held| is(&held.thing)).count() as u32
    }

    /// An end that came to rest before its deadline keeps what was fixed, however late it gets.
    fn note_end(&self) {
        let stage = &self.0.stage;
        let (has_ended, now) = (stage.desk().phase() == Phase::Drained, stage.now());
        let mut book = stage.book();
        let ending = &mut book.ending;
        let Some(from) = ending.cancels_from else { return };
        match (has_ended, from <= now) {
            (true, false) => ending.cancels_from = None,
            (_, true) if !ending.is_killed => ending.discards = ending.discards.max(Discards::Maybe),
            _ => {}
        }
    }

    /// Whether a task waits that neither its class nor its lane, if it has one, holds back.
    fn waits_unhindered(&self) -> bool {
        let stage = &self.0.stage;
        let has_turn = |key| {
            let lane = stage.desk().lane(key);
            lane.is_none_or(|lane| lane.running < concurrency_of(key) && lane.shut_until.is_none())
        };
        stage.desk().inspect(0, u32::MAX).tasks.iter().any(|view| {
            let is_queued = matches!(view.stage, TaskStage::Queued { .. });
            is_queued && !stage.is_paused(view.priority) && view.lane.is_none_or(has_turn)
        })
    }

    /// Nothing is ready, so nothing that can be done may be left undone.
    fn at_rest(&self) -> Done {
        let World { stage, setup, emitters, .. } = &*self.0;
        let (desk, now) = (stage.desk(), stage.now());
        let (census, health) = (desk.census(), desk.health());
        ensure(census.pending == 0, || format!("effects are left: {census:?}"))?;
        let places = u64::from(census.running + census.orphans);
        let is_open = matches!(health.hold, Hold::None | Hold::Classes);
        let may_start = is_open && self.waits_unhindered() && places < self.0.concurrency();
        ensure(!may_start, || format!("a place is free, and a task waits: {health:?}"))?;
        let attached: usize =
            emitters.iter().map(|emitter| emitter.listener_counts().iter().sum::<usize>()).sum();
        ensure(attached == census.emitters as usize * 3, || format!("{attached} listeners: {census:?}"))?;

        let book = stage.book();
        let uncalled =
            |task: &&super::task::Task| task.way == Way::Callback && task.id.is_some() && !task.is_told();
        let callbacks = book.tasks.iter().filter(uncalled).count();
        let of_schedules = lock(&stage.schedules).len() as u32;
        let (callbacks, in_queues) = (callbacks as u32, book.untold_in_queues() + of_schedules);
        ensure((callbacks..=callbacks + in_queues).contains(&census.callbacks), || {
            format!("{callbacks} callbacks are to come: {census:?}")
        })?;
        for (number, task) in (0u32..).zip(&book.tasks).filter(|(_, task)| task.id.is_some()) {
            let late = task.overdue_since().filter(|by| is_late(*by, now) && !task.is_settled());
            let is_known = setup.is_watched() || task.way == Way::Callback;
            ensure(late.is_none() || !is_known, || {
                format!("task {number} is overdue since {late:?}: {task:?}")
            })?;
            let is_lost = setup.is_watched() && task.is_lost();
            ensure(!is_lost, || format!("task {number} was cancelled in vain: {task:?}"))?;
            let stopped = task.settled_at().filter(|_| task.is_running());
            let by = stopped.map(|at| at.saturating_add(setup.grace()));
            ensure(!by.is_some_and(|by| is_late(by, now)), || {
                format!("task {number} runs on after its end: {task:?}")
            })?;
        }
        let is_early = |task: &&super::task::Task| task.is_behind() || !is_late(task.ready_at(), now);
        let early = book.tasks.iter().filter(|task| task.is_to_start()).filter(is_early).count();
        let early = early + book.unknown_of_schedules() as usize;
        ensure(census.delayed as usize <= early, || format!("only {early} may be delayed: {census:?}"))?;
        for &(number, wait) in lock(&stage.waits).iter() {
            let is_stopped = book.tasks[number as usize].is_settled();
            let is_forgotten = match wait {
                Wait::Until(until) => is_late(until, now) && !is_stopped,
                Wait::Gate(gate, before) => {
                    lock(&stage.gates)[usize::from(gate)].opened > before && !is_stopped
                }
                Wait::Cancellation => is_stopped,
            };
            let is_known = setup.is_watched() || !book.ending.is_closing;
            ensure(!is_forgotten || !is_known, || format!("task {number} was not polled: {wait:?}"))?;
        }
        for &(number, attempt) in lock(&stage.children).iter() {
            let task = &book.tasks[number as usize];
            let is_over = task.is_over(attempt) || task.is_settled();
            ensure(!is_over, || format!("a child of task {number} was not told its end"))?;
        }
        self.monitored_at_rest(&book)?;
        let is_quiet = book.ending.is_closing && census.unsettled() == 0;
        drop(book);
        ensure(!is_quiet, || format!("it does not come to its end: {census:?}"))
    }

    /// What schedules have to have done.
    fn schedules_at_rest(&self) -> Done {
        let World { stage, held, .. } = &*self.0;
        let now = stage.now();
        for held in held {
            let Thing::Schedule(number, handle) = &held.thing else { continue };
            let Some(stats) = handle.stats() else { continue };
            stage.check_stats(*number, stats)?;
            let next = handle.next();
            let late = next.is_some_and(|at| is_late(at.saturating_add(ms(5)), now));
            let is_stuck = next.is_none() && self.0.setup.is_watched() && stage.waits_in_vain(*number);
            ensure(!late && (!is_stuck || now >= LAST_DAY), || {
                format!("schedule {number} is due at {next:?}: {stats:?}")
            })?;
        }
        Ok(())
    }

    /// What keys and the monitor have to have done.
    fn monitored_at_rest(&self, book: &Book) -> Done {
        let World { stage, setup, .. } = &*self.0;
        if !setup.is_watched() {
            return Ok(());
        }
        let (desk, now) = (stage.desk(), stage.now());
        for key in 0..UNIQUE_KEYS {
            let (known, task) = (book.has_key(key), desk.task_with_key(key));
            ensure(known == task.is_some(), || format!("{task:?} has key {key}, which is taken: {known}"))?;
        }
        let (slow, counted) = (book.slow(), desk.health().slow);
        ensure(slow == counted as usize, || format!("{slow} run and are slow, {counted} are counted"))?;
        let untold = book.tasks.iter().position(|task| task.is_slow_untold(now));
        ensure(untold.is_none(), || format!("nobody tells that task {untold:?} is slow"))
    }

    /// Nothing may be left that nobody has in hand.
    fn after_the_end(&self) -> Done {
        let stage = &self.0.stage;
        for left in lock(&stage.contexts).iter() {
            let is_over = stage.book().tasks[left.task as usize].is_over(left.attempt);
            let is_told = left.context.is_cancelled() || !is_over;
            ensure(is_told, || format!("a context of task {} does not know its end", left.task))?;
        }
        let ending = stage.book().ending;
        let has_ended = stage.desk().phase() == Phase::Drained;
        ensure(has_ended || !(ending.is_killed || ending.is_orphaned), || {
            format!("the end has not come: {ending:?}")
        })?;
        if !has_ended {
            return Ok(());
        }
        let census = stage.desk().census();
        let mut left = census;
        (left.unclaimed, left.handles, left.tasks, left.subscribers) = (0, 0, 0, 0);
        ensure(left.is_empty(), || format!("something is left at the end: {census:?}"))?;
        ensure(ending.discards != Discards::Yes || census.is_empty(), || {
            format!("not discarded: {census:?}")
        })?;

        let live = |kind| stage.counts.of(kind);
        let none = |kind| ensure(live(kind) == 0, || format!("{} {kind:?}s are left at the end", live(kind)));
        none(Kind::Callback)?;
        if self.0.sim.is_idle() {
            none(Kind::Future)?;
        }
        none(Kind::Options)?;
        none(Kind::Cached)?;
        none(Kind::Maker)?;
        // A wait for room keeps its job, and an outcome that was fixed before the start comes with it. An attempt
        // that outlived its task has it until it is dropped, and a copy for a further try.
        let waiting = self.count(|thing| matches!(thing, Thing::Wait(..)));
        // So do the results in a completion queue, and a stream keeps the jobs that were not pulled.
        let in_queues = i64::from(self.0.stage.book().untold_in_queues());
        let in_streams = 8 * i64::from(self.count(|thing| matches!(thing, Thing::Stream(_))));
        let most = i64::from(waiting)
            + i64::from(census.unclaimed)
            + in_queues
            + in_streams
            + 2 * live(Kind::Future);
        let jobs = live(Kind::Job);
        ensure((i64::from(waiting)..=most).contains(&jobs), || {
            format!("{jobs} jobs are left at the end, where {waiting} wait for room: {census:?}")
        })?;
        let values = live(Kind::Output) + live(Kind::Error);
        ensure(values <= i64::from(census.unclaimed) + in_queues, || {
            format!("{values} values are left at the end")
        })?;
        if ending.is_orphaned {
            none(Kind::Handler)?;
            let is_still = self.0.sim.next_timer().is_none();
            ensure(is_still, || "a timer is left at the end".into())?;
            let spawned = self.0.sim.spawned();
            ensure(spawned == 0 || !self.0.sim.is_idle(), || {
                format!("{spawned} futures are left at the end")
            })?;
        }
        let untold = stage
            .book()
            .tasks
            .iter()
            .position(|task| task.way == Way::Callback && task.id.is_some() && !task.is_told());
        ensure(untold.is_none(), || format!("the callback of task {untold:?} was not called"))
    }
}
