//! Schedules of a script: when their functions are called, and what becomes of the jobs that they make.

use std::sync::Arc;

use plimsoll::{Due, Event, Instant, ScheduleStats, TaskId};

use super::held::{Held, Thing};
use super::plan::{Mood, Order, Way};
use super::scheduled::Scheduled;
use super::stage::{Stage, lock};
use super::task::Entry;
use super::token::{Job, Kind, Token, throw};
use super::world::World;

/// Tells the metadata of a schedule's tasks from the numbers of tasks.
const SCHEDULED: u32 = 1 << 31;

impl World {
    pub(super) fn schedule(&mut self, order: Order) {
        let stage = self.stage.clone();
        let number = lock(&stage.schedules).len();
        let meta = SCHEDULED | number as u32;
        let scheduled = Scheduled {
            order,
            id: None,
            made: Vec::new(),
            told: 0,
            calls: 0,
            panics: 0,
            last: None,
            has_ended: false,
        };
        lock(&stage.schedules).push(scheduled);
        let token = Token::new(&stage, Kind::Maker, Mood::Calm);
        let maker = move |due| token.stage().make(number, due);
        let options = order.options(meta, stage.has_lanes);
        match stage.desk().schedule(order.schedule(), options, maker) {
            Ok(handle) => {
                stage.reach("schedule");
                lock(&stage.schedules)[number].id = Some(handle.id());
                self.held.push(Held::new(Thing::Schedule(number, handle)));
            }
            Err(_) => lock(&stage.schedules)[number].has_ended = true,
        }
    }

    pub(super) fn end_schedule(&mut self, by_id: bool) {
        let is_it = |held: &Held| matches!(held.thing, Thing::Schedule(..));
        let Some(at) = self.held.iter().rposition(is_it) else { return };
        let Thing::Schedule(number, handle) = self.held.remove(at).thing else { return };
        let stage = &self.stage;
        let is_closing = stage.book().ending.is_closing;
        let expected = !std::mem::replace(&mut lock(&stage.schedules)[number].has_ended, true);
        let ended = if by_id { stage.desk().unschedule(handle.id()) } else { handle.end() };
        // The end ends them one by one.
        stage.ensure(ended == expected || is_closing, || format!("schedule {number}: it has ended: {ended}"));
        stage.reach("end of a schedule");
    }
}

impl Stage {
    /// The function of a schedule.
    fn make(self: &Arc<Self>, number: usize, due: Due) -> Job {
        let now = self.now();
        let is_closing = self.book().ending.is_closing;
        let mut schedules = lock(&self.schedules);
        let scheduled = &mut schedules[number];
        scheduled.calls += 1;
        let (order, last, call) = (scheduled.order, scheduled.last.replace(due.at), scheduled.calls);
        let has_ended = scheduled.has_ended || is_closing;
        let before = scheduled.made.last().copied();
        drop(schedules);
        self.reach("due");
        self.ensure(!has_ended, || format!("schedule {number} is due after its end"));
        let gap = last.map(|last| due.at.saturating_since(last));
        let periods = order.period().saturating_mul(u32::try_from(due.missed + 1).unwrap_or(u32::MAX));
        let is_in_time = due.at <= now
            && gap.is_none_or(|gap| if order.has_grid() { gap == periods } else { gap >= order.period() });
        self.ensure(is_in_time, || format!("schedule {number} at {now:?}: {due:?} after {last:?}"));
        let runs = before.is_some_and(|before| self.goes_on(before, now));
        self.ensure(!runs || order.overlaps(), || format!("schedule {number} is due while {before:?} runs"));
        let task = if order.panics_at(call) { None } else { self.open(order, Way::Schedule) };
        let Some(task) = task else {
            self.reach("panic in a schedule");
            lock(&self.schedules)[number].panics += 1;
            throw();
        };
        lock(&self.schedules)[number].made.push(task);
        Job::new(self, task, order)
    }

    /// A handler is called: what a schedule has made was taken in, if no event has told it yet.
    pub(super) fn note_started(&self, task: u32, id: TaskId) {
        let mut book = self.book();
        if book.task(task).way == Way::Schedule && book.task(task).entry == Entry::Waiting {
            book.come_from_schedule(task, id);
        }
    }

    fn goes_on(&self, task: u32, now: Instant) -> bool {
        let book = self.book();
        book.tasks[task as usize].is_running() && !book.is_unwanted(task, now)
    }

    /// The task that events with these metadata and this id tell of.
    pub(super) fn number_of(&self, meta: u32, id: TaskId) -> Option<u32> {
        if meta < SCHEDULED {
            return Some(meta);
        }
        let book = self.book();
        book.tasks.iter().position(|task| task.id == Some(id)).map(|task| task as u32)
    }

    /// An event: what a schedule has made was taken in or refused, in the order in which it was made.
    pub(super) fn note_made(&self, event: &Event<u32>) -> Result<(), String> {
        let (meta, id) = match *event {
            Event::Admitted { meta, task } => (meta, Some(task)),
            Event::Refused { meta, .. } => (meta, None),
            _ => return Ok(()),
        };
        if meta < SCHEDULED {
            return Ok(());
        }
        let mut schedules = lock(&self.schedules);
        let scheduled = &mut schedules[(meta ^ SCHEDULED) as usize];
        let Some(&task) = scheduled.made.get(scheduled.told) else {
            return Err(format!("more events than jobs: {scheduled:?}"));
        };
        scheduled.told += 1;
        drop(schedules);
        let mut book = self.book();
        match id {
            Some(id) if book.task(task).id.is_none() => book.come_from_schedule(task, id),
            Some(id) if book.task(task).id == Some(id) => {}
            Some(_) => return Err(format!("task {task} has another id")),
            None => {
                book.refuse(task);
                drop(book);
                self.reach("refused job of a schedule");
            }
        }
        Ok(())
    }

    /// What a schedule tells of itself.
    pub(super) fn check_stats(&self, number: usize, stats: ScheduleStats) -> Result<(), String> {
        let schedules = lock(&self.schedules);
        let Scheduled { calls, panics, ref made, .. } = schedules[number];
        let ScheduleStats { submitted, refused, panicked, .. } = stats;
        let is_right = panicked == panics && submitted + refused + panicked == calls;
        let is_right = is_right && submitted + refused == made.len() as u64;
        if is_right { Ok(()) } else { Err(format!("{stats:?} of {:?}", schedules[number])) }
    }

    /// Whether a schedule that is due at no time waits for a task that is settled.
    pub(super) fn waits_in_vain(&self, number: usize) -> bool {
        let schedules = lock(&self.schedules);
        let book = self.book();
        let is_open = |task: &u32| {
            let task = &book.tasks[*task as usize];
            task.entry != Entry::Refused && !task.is_settled()
        };
        !schedules[number].has_ended && !schedules[number].made.iter().any(is_open)
    }
}
