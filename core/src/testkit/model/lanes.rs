//! Lanes, rates and holds: which task is next, and until when something is shut.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use super::comparison::Comparison;
use super::{Model, Owner, Task, size};
use crate::testkit::calls::lanes::{Answer, Call};
use crate::testkit::choices::KEYS;
use crate::testkit::flaws::{Class, Flaw};
use crate::testkit::token::Kit;
use crate::{HoldRefusal, Instant, Lane, LaneView, Phase, Processor, Rate, Refusal};

/// A lateness below this is made good.
const TICK: Duration = Duration::from_millis(1);

/// The pass of a lane of weight 1 moves on by this.
const STRIDE: u128 = 1 << 32;

/// What shuts a lane, or all starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shutter {
    rate: Option<Rate>,
    /// When the next start is due, as the rate says.
    due: Instant,
    held_until: Instant,
    pub(super) is_shut: bool,
}

impl Shutter {
    pub(super) const fn new(rate: Option<Rate>, now: Instant) -> Self {
        Self { rate, due: now, held_until: Instant::ZERO, is_shut: false }
    }

    fn by_rate(&self) -> Instant {
        let Some(Rate { interval, burst }) = self.rate else { return Instant::ZERO };
        let ahead = u128::from(interval) * u128::from(burst - 1);
        let ahead = Duration::from_nanos(u64::try_from(ahead).unwrap_or(u64::MAX));
        Instant::ZERO.saturating_add(self.due.saturating_since(Instant::ZERO).saturating_sub(ahead))
    }

    fn opens_at(&self) -> Instant {
        self.by_rate().max(self.held_until)
    }

    /// Whether a hold is what shuts it, not the rate.
    pub(super) fn is_held(&self) -> bool {
        self.held_until >= self.by_rate()
    }

    fn start(&mut self, now: Instant, forgives: bool) {
        let Some(Rate { interval, .. }) = self.rate else { return };
        let is_late = now.saturating_since(self.due) >= TICK && !forgives;
        let from = if is_late { now } else { self.due };
        let due = u128::from(from.as_nanos()) + u128::from(interval);
        self.due = Instant::from_nanos(u64::try_from(due).unwrap_or(u64::MAX));
    }
}

/// A lane.
#[derive(Debug)]
pub(super) struct LaneModel {
    /// `None` for the lane of the tasks without a key.
    key: Option<u64>,
    number: u32,
    lane: Lane,
    picks: u64,
    pass: u128,
    /// The number of the start with which it was served last.
    served: u64,
    shutter: Shutter,
    paused_classes: BTreeSet<u8>,
}

/// All lanes, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    pub(super) all: Vec<LaneModel>,
    /// Free numbers, with the one freed last at the end, and how many numbers were ever used.
    free: Vec<u32>,
    fresh: u32,
    /// The lanes with smaller numbers have heard which classes are paused.
    reached: u32,
    pass: u128,
    served: u64,
    /// Whether the walk of the end has come to the lanes.
    are_ending: bool,
}

impl Call {
    pub(in crate::testkit) fn predict(&self, model: &mut Model, _: &Answer) -> Answer {
        match *self {
            Self::HoldLane { key, until, .. } => return Answer::Held(model.hold_lane(key, until)),
            Self::Hold { until, .. } => model.gate.held_until = until,
            Self::SetRate { rate, .. } => model.gate.rate = rate,
        }
        model.shut_or_open_gate();
        Answer::Nothing
    }
}

impl Model {
    pub(super) fn has_lanes(&self) -> bool {
        self.limits.lanes.lanes > 0
    }

    /// How many numbers of lanes there are.
    pub(super) fn lane_numbers(&self) -> u32 {
        if self.has_lanes() { self.limits.lanes.lanes + 1 } else { 0 }
    }

    /// How many lanes with a key there are.
    pub(super) fn keyed_lanes(&self) -> u32 {
        size(self.lanes.all.iter().filter(|lane| lane.key.is_some()))
    }

    /// The lane of the tasks without a key.
    pub(super) fn add_common_lane(&mut self) {
        if self.has_lanes() {
            self.add_lane(None, Lane::new(0));
        }
    }

    fn add_lane(&mut self, key: Option<u64>, lane: Lane) {
        let all_have_heard = self.lanes.reached == self.lanes.fresh;
        let number = self.lanes.free.pop().unwrap_or(self.lanes.fresh);
        self.lanes.fresh = self.lanes.fresh.max(number + 1);
        if all_have_heard {
            self.lanes.reached = self.lanes.fresh;
        }
        let (pass, shutter) = (self.lanes.pass + stride(lane), Shutter::new(None, self.now));
        let shutter = Shutter { rate: lane.rate, ..shutter };
        let paused_classes = self.paused_classes.clone();
        let new = LaneModel { key, number, lane, picks: 0, pass, served: 0, shutter, paused_classes };
        self.lanes.all.push(new);
    }

    /// The classes that are paused in a lane; `None` if it does not exist.
    pub(super) fn paused_in(&self, key: Option<u64>) -> Option<&BTreeSet<u8>> {
        self.lane(key).map(|lane| &lane.paused_classes)
    }

    /// As many lanes as the budget allows hear which classes are paused, from the first one if that has changed. Returns
    /// whether all have heard.
    pub(super) fn pause_in_lanes(&mut self, is_changed: bool, budget: u32) -> bool {
        let from = if is_changed { 0 } else { self.lanes.reached };
        let to = from.saturating_add(budget).min(self.lanes.fresh);
        for lane in self.lanes.all.iter_mut().filter(|lane| (from..to).contains(&lane.number)) {
            lane.paused_classes.clone_from(&self.paused_classes);
        }
        self.lanes.reached = to;
        to == self.lanes.fresh
    }

    fn lane(&self, key: Option<u64>) -> Option<&LaneModel> {
        self.lanes.all.iter().find(|lane| lane.key == key)
    }

    fn lane_mut(&mut self, key: Option<u64>) -> Option<&mut LaneModel> {
        self.lanes.all.iter_mut().find(|lane| lane.key == key)
    }

    pub(super) fn queued_in(&self, key: Option<u64>) -> u32 {
        self.count(|task| task.is_queued() && task.lane_key() == key)
    }

    fn running_in(&self, key: Option<u64>) -> u32 {
        let skips_orphans = self.has(Flaw::OrphansLeaveLanes);
        self.count(|task| task.placed && task.lane_key() == key && !(skips_orphans && task.is_orphan()))
    }

    fn members_of(&self, key: Option<u64>) -> u32 {
        self.count(|task| task.is_in_lane() && task.lane_key() == key)
    }

    fn free_in(&self, lane: &LaneModel, concurrency: u32) -> u32 {
        let is_shut = lane.shutter.is_shut && !self.has(Flaw::ForgetsHolds);
        if is_shut { 0 } else { concurrency.saturating_sub(self.running_in(lane.key)) }
    }

    fn startable_in(&self, lane: &LaneModel) -> u32 {
        let waiting = self.count(|task| self.is_startable(task) && task.lane_key() == lane.key);
        waiting.min(self.free_in(lane, lane.lane.concurrency.get()))
    }

    /// How many attempts could start, as far as lanes are concerned.
    pub(super) fn startable_in_lanes(&self) -> u32 {
        self.lanes.all.iter().map(|lane| self.startable_in(lane)).sum()
    }

    /// Why a task of this lane is refused.
    pub(super) fn lane_refusal(&self, lane: Option<Lane>, is_delayed: bool) -> Option<Refusal> {
        let wanted = lane?;
        let most = self.most(self.limits.lanes.lanes, Class::Lanes);
        let Some(lane) = self.lane(Some(wanted.key)) else {
            return (self.keyed_lanes() >= most).then_some(Refusal::Lanes);
        };
        let room = self.room_of(lane, wanted);
        (!is_delayed && self.queued_in(lane.key) >= room).then_some(Refusal::LaneFull)
    }

    /// How many tasks may wait in this lane, if it exists.
    pub(super) fn room_in(&self, wanted: Lane) -> Option<u32> {
        self.lane(Some(wanted.key)).map(|lane| self.room_of(lane, wanted))
    }

    fn room_of(&self, lane: &LaneModel, wanted: Lane) -> u32 {
        let queue = self.limits.lanes.queue.unwrap_or(self.limits.queue.div_ceil(2));
        queue + self.free_in(lane, wanted.concurrency.get()).min(self.free())
    }

    /// A task is admitted to this lane.
    pub(super) fn enter_lane(&mut self, lane: Option<Lane>) {
        let Some(wanted) = lane.filter(|_| self.has_lanes()) else { return };
        let key = Some(wanted.key);
        if self.lane(key).is_none() {
            self.add_lane(key, wanted);
        }
        let Some(lane) = self.lane_mut(key) else { return };
        if lane.lane != wanted {
            lane.lane = wanted;
            lane.shutter.rate = wanted.rate;
            self.shut_or_open(wanted.key);
        }
    }

    /// The lane whose turn it is, and whether the turn in it is one of the longest waiting task.
    pub(super) fn lane_in_turn(&self) -> Option<(Option<u64>, bool)> {
        let ready = self.lanes.all.iter().filter(|lane| self.startable_in(lane) > 0);
        let turn = |lane: &&LaneModel| {
            let round = self.running_in(lane.key) / u32::from(lane.lane.weight.get());
            (if self.has(Flaw::CountsStarts) { 0 } else { round }, lane.pass, lane.served, lane.number)
        };
        ready.min_by_key(turn).map(|lane| (lane.key, is_fair(lane.picks)))
    }

    /// An attempt at this task starts.
    pub(super) fn note_start(&mut self, meta: u32) {
        let now = self.now;
        let (forgives, credits) = (self.has(Flaw::ForgivesLateness), self.has(Flaw::CreditsAbsence));
        if let Some(key) = self.task(meta).map(Task::lane_key).filter(|_| self.has_lanes()) {
            self.lanes.served += 1;
            let (pass, served) = (self.lanes.pass, self.lanes.served);
            if let Some(lane) = self.lane_mut(key) {
                let pass = if credits { lane.pass } else { lane.pass.max(pass) };
                (lane.pass, lane.served) = (pass + stride(lane.lane), served);
                lane.picks += 1;
                lane.shutter.start(now, forgives);
                self.lanes.pass = self.lanes.pass.max(pass);
            }
            if let Some(key) = key {
                self.shut_or_open(key);
            }
        }
        self.gate.start(now, forgives);
        if self.gate.rate.is_some() {
            self.shut_or_open_gate();
        }
    }

    /// Whether the next start without lanes, or in a lane that was served so often, is one of the longest waiting task.
    pub(super) fn is_fair_start(&self) -> bool {
        is_fair(self.picks)
    }

    fn shut_or_open(&mut self, key: u64) {
        let now = self.now;
        let Some(lane) = self.lane_mut(Some(key)) else { return };
        let (was_shut, opens_at) = (lane.shutter.is_shut, lane.shutter.opens_at());
        lane.shutter.is_shut = opens_at > now;
        if opens_at > now {
            self.timers.disarm(Owner::Lane(key));
            self.arm(Some(opens_at), Owner::Lane(key));
        } else if was_shut {
            self.disarm(Owner::Lane(key));
        }
    }

    pub(super) fn shut_or_open_gate(&mut self) {
        let opens_at = self.gate.opens_at();
        self.gate.is_shut = opens_at > self.now;
        self.timers.disarm(Owner::Gate);
        if self.gate.is_shut && !self.ending {
            self.arm(Some(opens_at), Owner::Gate);
        }
    }

    fn hold_lane(&mut self, key: u64, until: Instant) -> Result<(), HoldRefusal> {
        if self.ending {
            return Err(HoldRefusal::Closed);
        }
        if !self.has_lanes() {
            return Err(HoldRefusal::Lanes);
        }
        if self.lane(Some(key)).is_none() {
            if until <= self.now || self.phase != Phase::Open {
                return Ok(());
            }
            if self.keyed_lanes() >= self.limits.lanes.lanes {
                return Err(HoldRefusal::Lanes);
            }
            self.add_lane(Some(key), Lane::new(key));
        }
        if let Some(lane) = self.lane_mut(Some(key)) {
            lane.shutter.held_until = until;
        }
        self.shut_or_open(key);
        self.remove_if_unused(key);
        Ok(())
    }

    pub(super) fn fire_lane(&mut self, key: u64) {
        self.shut_or_open(key);
        self.remove_if_unused(key);
    }

    /// The walk of the end has come to the lane with this number.
    pub(super) fn end_lane(&mut self, number: u32) {
        self.lanes.are_ending = true;
        let key = self.lanes.all.iter().find(|lane| lane.number == number).and_then(|lane| lane.key);
        key.into_iter().for_each(|key| self.remove_if_unused(key));
    }

    /// The task is settled and its attempt is over, or either of these.
    pub(super) fn leave_lane(&mut self, meta: u32) {
        let key = self.task(meta).and_then(Task::lane_key);
        key.into_iter().for_each(|key| self.remove_if_unused(key));
    }

    fn remove_if_unused(&mut self, key: u64) {
        let Some(lane) = self.lane(Some(key)) else { return };
        let (number, stays) = (lane.number, lane.shutter.is_shut && !self.lanes.are_ending);
        if self.members_of(Some(key)) == 0 && !stays {
            self.disarm(Owner::Lane(key));
            self.lanes.all.retain(|lane| lane.key != Some(key));
            self.lanes.free.push(number);
        }
    }

    pub(super) fn compare_lanes(&self, machine: &Processor<Kit>, found: &mut Comparison) {
        for key in 0..KEYS {
            let view = self.lane(Some(key)).map(|lane| LaneView {
                lane: lane.lane,
                queued: self.queued_in(lane.key),
                running: self.running_in(lane.key),
                tasks: self.members_of(lane.key),
                shut_until: lane.shutter.is_shut.then(|| lane.shutter.opens_at()),
            });
            found.of("lane", &view, &machine.lane(key));
        }
    }
}

fn is_fair(picks: u64) -> bool {
    (picks + 1) % u64::from(crate::Priority::FAIR_EVERY) == 0
}

fn stride(lane: Lane) -> u128 {
    STRIDE / u128::from(lane.weight.get())
}
