//! Performing what the machine asks for, without a lock, whatever foreign code that runs.

use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::Duration;

use plimsoll_core::{
    AttemptId, Effect, Instant, Progress, SleepId, SleepRefusal, SleepStatus, Swept, TaskId,
};

use super::attempt_host::{Again, AttemptHost};
use super::completions::QueueKey;
use super::machine::Shared;
use super::state::State;
use super::stop_waiters::StopWakers;
use super::types::Types;
use super::workers::Duty;
use crate::recipient::{Inside, Recipient};
use crate::settlement::Settlement;
use crate::trace::Origin;
use crate::work::AnyWork;

/// What a hold has left to do that runs foreign code, and so is done without the lock.
pub(super) struct Aftermath<W: AnyWork> {
    /// To be woken.
    wakers: Vec<Waker>,
    /// The wakers of futures that wait for an attempt to be asked to stop, or to be over.
    pub(super) stop_wakers: Vec<StopWakers>,
    /// Places whose attempts were asked to stop, to be polled.
    pub(super) stopping: Vec<u32>,
    /// Done last. A callback is done alone, so that none is left when another one, or a waker, drops the owner.
    action: Option<Action<W>>,
}

/// Something to be done without the lock.
enum Action<W: AnyWork> {
    /// Expired values are to be freed.
    Sweep,
    /// Metrics are to be published.
    Publish,
    /// Any effect but a waker or an attempt that is to stop.
    Effect(Effect<Types<W>>),
    /// A settlement without a recipient is to be dropped, and the origin of a settled task.
    Drop(Option<Settlement<W>>, Option<Origin>),
}

/// Whether performing an effect calls a function of the user's: a callback, that of a schedule, or the hook if there is one.
fn calls_back<W: AnyWork>(effect: &Effect<Types<W>>, has_hook: bool) -> bool {
    if matches!(effect, Effect::Observe(_) | Effect::Due(_))
        || (has_hook && matches!(effect, Effect::Settle(_)))
    {
        return true;
    }
    matches!(effect, Effect::Settle(settlement) if matches!(settlement.callback, Some(Recipient::Callback(_))))
}

type Settled<W> = plimsoll_core::Settlement<Types<W>>;

/// The most futures that are woken, the most attempts that are told to stop, and the most settlements that go to completion
/// queues, in one hold of the lock.
const EFFECTS_A_HOLD: usize = 64;

impl<W: AnyWork> Aftermath<W> {
    pub(super) fn new() -> Self {
        Self {
            wakers: Vec::with_capacity(EFFECTS_A_HOLD),
            stop_wakers: Vec::new(),
            stopping: Vec::with_capacity(EFFECTS_A_HOLD),
            action: None,
        }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator.
    pub(super) const BYTES: usize = EFFECTS_A_HOLD * (size_of::<Waker>() + size_of::<u32>());

    /// Whether there is nothing to call.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.action.is_none() && self.wakers.is_empty() && self.stop_wakers.is_empty()
    }

    /// Whether it calls more of the user's code than the `Drop` of values, where there is a hook or not.
    pub(super) fn may_wake(&self, has_hook: bool) -> bool {
        let may_action = match &self.action {
            Some(Action::Effect(effect)) => calls_back(effect, has_hook) || matches!(effect, Effect::Drained),
            Some(Action::Sweep | Action::Publish | Action::Drop(..)) | None => false,
        };
        may_action || !self.wakers.is_empty() || !self.stop_wakers.is_empty()
    }

    fn has_room(&self) -> bool {
        self.action.is_none() && self.wakers.len() < EFFECTS_A_HOLD && self.stopping.len() < EFFECTS_A_HOLD
    }
}

impl<W: AnyWork> State<W> {
    /// The completion queue to which the next effect goes, if it goes to one: not where a hook sees it first.
    #[inline]
    fn next_queue(&self, has_hook: bool) -> Option<QueueKey> {
        match self.machine.next_callback()? {
            Recipient::Inside(Inside::Queue(key)) if !has_hook && self.callback.is_none() => Some(*key),
            _ => None,
        }
    }

    /// Leaves the next effect, a settlement, in this completion queue.
    #[inline]
    fn complete_next(&mut self, key: QueueKey, aftermath: &mut Aftermath<W>) {
        let Some(settlement) = self.machine.poll_settlement() else { return };
        let (settled, origin) = Settlement::split(settlement);
        let unwanted = match self.completions.push(key, settled) {
            Ok(waker) => {
                aftermath.wakers.extend(waker);
                None
            }
            Err(unwanted) => Some(unwanted),
        };
        let origin = origin.filter(Origin::has_span);
        if unwanted.is_some() || origin.is_some() {
            aftermath.action = Some(Action::Drop(unwanted, origin));
        }
    }

    /// Takes effects, until there is one that is done last or there are enough. Attempts that are to stop are told so here,
    /// completion queues get theirs; the end is noted. Whether there was any.
    #[inline]
    pub(super) fn take_effects(&mut self, shared: &Shared<W>, aftermath: &mut Aftermath<W>) -> bool {
        let (mut completed, has_hook) = (0, shared.shows_settled());
        while aftermath.has_room() && completed < EFFECTS_A_HOLD {
            if let Some(key) = self.next_queue(has_hook) {
                completed += 1;
                self.complete_next(key, aftermath);
                continue;
            }
            match self.callback.take().or_else(|| self.machine.poll_effect()) {
                Some(Effect::Wake(waker)) => aftermath.wakers.push(waker),
                Some(Effect::Stop(stop)) => {
                    let Some(place) = self.place_of(stop.attempt) else { continue };
                    let grace = !self.ending && self.graces.is_given();
                    if !shared.signals.stop(place, stop.attempt, grace, stop.why) {
                        continue;
                    }
                    if grace {
                        self.graces.push(place, self.machine.now());
                    }
                    aftermath.stopping.push(place);
                    let wakers = self.stop_waiters.take(place);
                    if !wakers.is_empty() {
                        aftermath.stop_wakers.push(wakers);
                    }
                }
                Some(Effect::Sweep) => self.sweeping = true,
                Some(effect) if calls_back(&effect, has_hook) && !aftermath.is_empty() => {
                    self.callback = Some(effect);
                    return true;
                }
                Some(effect) => {
                    if let Effect::Drained = effect {
                        self.ended = self.machine.remains();
                        self.graces.end_all();
                        shared.has_ended.store(true, Ordering::SeqCst);
                    }
                    aftermath.action = Some(Action::Effect(effect));
                }
                None if self.has_idle_waiter_to_wake() => aftermath.wakers.extend(self.take_idle_waiter()),
                None => {
                    aftermath.action = if self.publishing.take_due() {
                        Some(Action::Publish)
                    } else {
                        self.sweeping.then_some(Action::Sweep)
                    };
                    return completed > 0 || !aftermath.is_empty() || !aftermath.stopping.is_empty();
                }
            }
        }
        true
    }
}

/// The most values that one action sweeps.
const SWEPT_AT_ONCE: u32 = 64;

impl<W: AnyWork> Shared<W> {
    /// Does what a hold has left to do: runs callbacks, wakers and drops.
    pub(super) fn perform(&self, aftermath: &mut Aftermath<W>) {
        for waker in aftermath.wakers.drain(..) {
            self.guarded(|| waker.wake());
        }
        for wakers in aftermath.stop_wakers.drain(..) {
            self.wake_all(wakers);
        }
        match aftermath.action.take() {
            Some(Action::Sweep) => self.sweep(),
            Some(Action::Publish) => self.publish_metrics(),
            Some(Action::Effect(effect)) => self.perform_effect(effect),
            Some(Action::Drop(unwanted, origin)) => {
                self.discard_origin(origin);
                unwanted.into_iter().for_each(|unwanted| self.discard_settlement(unwanted));
            }
            None => {}
        }
    }

    fn perform_effect(&self, effect: Effect<Types<W>>) {
        match effect {
            Effect::Settle(settlement) => self.settle(settlement),
            Effect::Observe(settlement) => self.show_and_return(settlement),
            Effect::Discard(settlement) => self.discard_settlement(self.settlement_of(settlement)),
            Effect::Detach(detached) => {
                self.discard(detached.guard.task);
                self.discard(detached.guard.batch);
                self.discard(detached.guard.error);
            }
            Effect::Due(due) => self.run_due(due),
            Effect::Unschedule(id) => self.forget_schedule(id),
            Effect::Drained => {
                self.close_cache();
                self.wake_shutdown();
            }
            other => drop(other),
        }
    }

    /// Shows the settlement to the hook, and gives it to its callback or completion queue; if there is none, drops each value
    /// on its own.
    fn settle(&self, mut settlement: Settled<W>) {
        let recipient = settlement.callback.take();
        let settled = self.settlement_of(settlement);
        self.show(&settled);
        let unwanted = match recipient {
            Some(Recipient::Callback(callback)) => {
                self.guarded(|| callback(settled));
                return;
            }
            Some(Recipient::Inside(Inside::Schedule(key))) => {
                self.end_work(key);
                settled
            }
            Some(Recipient::Inside(Inside::Queue(key))) => match self.complete(key, settled) {
                Ok(waker) => {
                    waker.into_iter().for_each(|waker| self.guarded(|| waker.wake()));
                    return;
                }
                Err(unwanted) => unwanted,
            },
            None => settled,
        };
        self.discard_settlement(unwanted);
    }

    /// Frees some expired results and cache entries.
    fn sweep(&self) {
        let now = self.now();
        for _ in 0..SWEPT_AT_ONCE {
            let swept = self.act(|machine| machine.sweep(now, 1).next());
            match swept {
                Some(Swept::Result(settlement)) => self.discard_settlement(self.settlement_of(settlement)),
                Some(_) => {}
                None => {
                    let mut panics = 0;
                    let more = self.cache.sweep(now, SWEPT_AT_ONCE, &mut panics);
                    self.note_panics(panics);
                    self.change(|state| state.sweeping = more);
                    return;
                }
            }
        }
    }

    /// Empties the cache, which ends with the machine.
    pub(super) fn close_cache(&self) {
        let cached = self.cache.count(false).held;
        if let Some(remains) = &mut self.lock().ended {
            remains.cached = remains.cached.max(cached);
        }
        let mut panics = 0;
        self.cache.close(&mut panics);
        self.note_panics(panics);
    }

    /// Wakes the future that waits for the end, if there is one.
    pub(super) fn wake_shutdown(&self) {
        let waker = self.lock().shutdown.take();
        if let Some(waker) = waker {
            self.guarded(|| waker.wake());
        }
    }

    /// A worker is done with an action. The future that waits for the end may have waited for that.
    pub(super) fn end_duty(&self, duty: Duty) {
        self.wakes.workers.end_duty(duty);
        if self.has_ended.load(Ordering::SeqCst) {
            self.wake_shutdown();
        }
    }

    pub(super) fn wake_all(&self, wakers: StopWakers) {
        for waker in wakers.into_iter() {
            self.guarded(|| waker.wake());
        }
    }
}

impl<W: AnyWork> AttemptHost for Shared<W> {
    fn now(&self) -> Instant {
        Self::now(self)
    }

    fn sleep(&self, attempt: AttemptId, until: Instant, waker: Waker) -> Result<SleepId, SleepRefusal> {
        let begun = self.act(|machine| machine.sleep(machine.now(), attempt, until, waker));
        begun.map_err(|refused| refused.reason)
    }

    fn resleep(&self, id: SleepId, waker: Waker) -> Option<Result<(), SleepRefusal>> {
        match self.act(|machine| machine.resleep(machine.now(), id, waker)) {
            SleepStatus::Sleeping(old) => {
                self.discard(old);
                None
            }
            SleepStatus::Over(new, old) => {
                // One by one, for two panics at a time would abort the process.
                self.discard(new);
                self.discard(old);
                Some(Ok(()))
            }
            SleepStatus::Gone(new) => {
                self.discard(new);
                Some(Err(SleepRefusal::Over))
            }
        }
    }

    fn end_sleep(&self, id: SleepId) {
        let waker = self.act(|machine| machine.end_sleep(id));
        self.discard(waker);
    }

    fn hold_lane(&self, task: TaskId, time: Duration) -> bool {
        let now = Self::now(self);
        self.act(|machine| {
            let lane = machine.view(task).and_then(|view| view.lane);
            lane.is_some_and(|key| machine.hold_lane(now, key, now.saturating_add(time)).is_ok())
        })
    }

    fn decide(&self, place: u32, attempt: AttemptId, again: Again) -> bool {
        let _state = self.lock();
        let goes_on = self.signals.is_running(place, attempt);
        if goes_on {
            self.signals.decide(place, again);
        }
        goes_on
    }

    fn tell(&self, place: u32, attempt: AttemptId, progress: Option<Progress>) -> bool {
        if !self.signals.is_running(place, attempt) {
            return false;
        }
        let now = self.now();
        match progress {
            Some(progress) => self.lock().machine.progress(now, attempt, progress),
            // It moves a deadline to later, so nobody has to be woken for it.
            None if self.signals.note_heartbeat(place, now) => self.lock().machine.heartbeat(now, attempt),
            None => true,
        }
    }

    fn wait_for_stop(&self, place: u32, attempt: AttemptId, key: &mut Option<usize>, waker: Waker) -> bool {
        let mut state = self.lock();
        let goes_on = self.signals.is_running(place, attempt);
        let unused =
            if goes_on { state.stop_waiters.insert(place, attempt, key, waker) } else { Some(waker) };
        drop(state);
        self.discard(unused);
        goes_on
    }

    fn leave_stop(&self, place: u32, attempt: AttemptId, key: usize) {
        let waker = self.lock().stop_waiters.remove(place, attempt, key);
        self.discard(waker);
    }
}
