//! Which queued task is started next: eight classes, first in first out in each, and nobody starves.

use crate::ids::TaskId;
use crate::list::{Linked, List, NIL};
use crate::slots::Slots;
use crate::task::{QUEUE, Task};
use crate::{Instant, Plan, Priority};

type Tasks<P> = Slots<TaskId, Task<P>>;

/// The queue, linked through the tasks' own slots. Every call is O(1).
pub(crate) struct Queue {
    classes: [List<QUEUE>; Priority::CLASSES],
    /// Bit *n* is set while class *n* has a task.
    occupied: u8,
    len: u32,
    /// How many tasks were ever queued: the next one's place in the order of arrival.
    arrivals: u64,
    /// Starts since the last one that went to the longest waiting task.
    passed: u32,
}

impl Queue {
    pub(crate) const fn new() -> Self {
        Self {
            classes: [const { List::new() }; Priority::CLASSES],
            occupied: 0,
            len: 0,
            arrivals: 0,
            passed: 0,
        }
    }

    #[inline]
    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    /// How many tasks were ever queued.
    pub(crate) const fn arrivals(&self) -> u64 {
        self.arrivals
    }

    /// Queues the task in slot `index` behind all others of its class: the slot behind which it stands, for
    /// [`List::follow`].
    #[inline]
    pub(crate) fn push<P: Plan>(&mut self, task: &mut Task<P>, index: u32) -> u32 {
        task.set_arrival(self.arrivals);
        self.arrivals = self.arrivals.wrapping_add(1);
        self.len = self.len.wrapping_add(1);
        let class = task.priority.class();
        self.occupied |= 1 << class;
        self.class(class).push(index, Linked::<QUEUE>::links(task))
    }

    /// Takes the task in slot `index` out of the queue, wherever it stands.
    pub(crate) fn remove<P: Plan>(&mut self, tasks: &mut Tasks<P>, index: u32) {
        let Some(class) = tasks.at(index).map(|task| task.priority.class()) else { return };
        self.class(class).remove(tasks, index);
        self.left(class);
    }

    /// Takes out the task that [`next`](Self::next) named, which is started now.
    #[inline]
    pub(crate) fn start<P: Plan>(&mut self, task: &mut Task<P>) {
        let class = task.priority.class();
        self.class(class).pop(Linked::<QUEUE>::links(task));
        self.left(class);
        self.passed = (self.passed + 1) % Priority::FAIR_EVERY;
    }

    /// Notes that a task of this class has left.
    #[inline]
    fn left(&mut self, class: u8) {
        self.len = self.len.wrapping_sub(1);
        if self.class(class).is_empty() {
            self.occupied &= !(1 << class);
        }
    }

    /// The tasks of a class. Its number is below 8; the compiler has to be told.
    #[inline]
    fn class(&mut self, class: u8) -> &mut List<QUEUE> {
        &mut self.classes[usize::from(class) % Priority::CLASSES]
    }

    /// The slot of the task that is to be started next, the first of its class. Without any no slot has this
    /// index.
    #[inline]
    pub(crate) fn next<P: Plan>(&self, tasks: &Tasks<P>) -> u32 {
        if self.passed == Priority::FAIR_EVERY - 1 {
            return self.longest_waiting(tasks);
        }
        let first = self.occupied.trailing_zeros() as usize;
        self.classes[first % Priority::CLASSES].head()
    }

    #[cold]
    fn longest_waiting<P: Plan>(&self, tasks: &Tasks<P>) -> u32 {
        self.oldest(tasks).map_or(NIL, |(index, _)| index)
    }

    /// Since when the task that waits longest has been waiting.
    pub(crate) fn oldest_since<P: Plan>(&self, tasks: &Tasks<P>) -> Option<Instant> {
        self.oldest(tasks).map(|(_, since)| since)
    }

    fn oldest<P: Plan>(&self, tasks: &Tasks<P>) -> Option<(u32, Instant)> {
        let fronts = self.classes.iter().filter_map(List::front);
        let tasks =
            fronts.filter_map(|index| tasks.at(index).map(|task| (task.arrival(), index, task.since)));
        tasks.min_by_key(|&(arrival, ..)| arrival).map(|(_, index, since)| (index, since))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::lifecycle::State;
    use crate::{Offer, Terms};
    use alloc::vec::Vec;

    struct Bare;
    impl Plan for Bare {
        type Job = u32;
        type Output = ();
        type Error = ();
        type Panic = ();
        type Meta = ();
        type Callback = ();
        type Waiter = ();
        type Listener = ();
        type Key = ();
        type Value = ();
    }

    struct Rig {
        tasks: Tasks<Bare>,
        queue: Queue,
    }

    impl Rig {
        fn new() -> Self {
            Self { tasks: Slots::new(100), queue: Queue::new() }
        }

        fn push(&mut self, class: u8) -> u32 {
            let terms = Terms::new().priority(Priority::new(class));
            let task = Task::new(Instant::ZERO, Offer::new(0, ()), &terms, State::Queued);
            let id = self.tasks.insert(task).ok().unwrap();
            let index = self.tasks.index_of(id);
            let before = self.queue.push(self.tasks.at_mut(index).unwrap(), index);
            List::<QUEUE>::follow(&mut self.tasks, before, index);
            index
        }

        fn start(&mut self) -> Option<u32> {
            let index = self.queue.next(&self.tasks);
            self.queue.start(self.tasks.at_mut(index)?);
            self.tasks.take(index, 0).map(|_| index)
        }
    }

    #[test]
    fn lower_classes_first_and_each_in_order() {
        let mut rig = Rig::new();
        let pushed: Vec<u32> = [3, 0, 7, 0, 3].into_iter().map(|class| rig.push(class)).collect();
        let order: Vec<u32> = core::iter::from_fn(|| rig.start()).collect();
        assert_eq!(order, [pushed[1], pushed[3], pushed[0], pushed[4], pushed[2]]);
        assert_eq!(rig.queue.len(), 0);
    }

    #[test]
    fn no_class_starves() {
        let mut rig = Rig::new();
        for _ in 0..4 {
            rig.push(0);
        }
        let patient = rig.push(7);
        // Four tasks were queued before it, so it is served by the 8 × 5th start at the latest, however
        // many urgent ones keep coming.
        let bound = Priority::FAIR_EVERY * 5;
        let served = (1..=bound).find(|_| {
            rig.push(0);
            rig.start() == Some(patient)
        });
        assert!(served.is_some());
    }
}
