//! The queue of tasks: eight priority classes, each first in, first out, and a rule that lets no task starve.

use alloc::vec;
use alloc::vec::Vec;

use crate::Priority;
use crate::list::{Links, List, NIL};

/// All classes, in a byte where bit *n* stands for class *n*.
pub(crate) const EVERY_CLASS: u8 = u8::MAX;

/// The order of waiting tasks: a list for each priority class, in order of arrival. The caller keeps the links, and the
/// arrival number of each slot. Every call is O(1).
#[derive(Debug)]
pub(crate) struct Classes {
    lists: [List; Priority::CLASSES],
    /// Bit *n* is set while class *n* has a task.
    occupied: u8,
    /// Starts since the last turn of the longest waiting task.
    passed: u32,
}

impl Classes {
    pub(crate) const fn new() -> Self {
        Self { lists: [const { List::new() }; Priority::CLASSES], occupied: 0, passed: 0 }
    }

    /// Appends the task in slot `index` to its class.
    #[inline]
    pub(crate) fn push(&mut self, links: &mut Links, index: u32, priority: Priority) {
        self.occupied |= 1 << priority.class();
        if let Some(class) = self.lists.get_mut(usize::from(priority.class())) {
            class.push_back(links, index);
        }
    }

    /// Removes the task in slot `index`, wherever it stands.
    #[inline]
    pub(crate) fn remove(&mut self, links: &mut Links, index: u32, priority: Priority) {
        let Some(class) = self.lists.get_mut(usize::from(priority.class())) else { return };
        class.remove(links, index);
        self.note_removed(priority);
    }

    /// Removes the first task of a class, because it is started now. [`next`](Self::next) named it.
    #[inline]
    pub(crate) fn start(&mut self, links: &mut Links, priority: Priority) {
        let Some(class) = self.lists.get_mut(usize::from(priority.class())) else { return };
        class.pop_front(links);
        self.note_removed(priority);
        self.passed = (self.passed + 1) % Priority::FAIR_EVERY;
    }

    #[inline]
    fn note_removed(&mut self, priority: Priority) {
        if self.lists.get(usize::from(priority.class())).is_some_and(List::is_empty) {
            self.occupied &= !(1 << priority.class());
        }
    }

    /// The slot of the task of these classes to start next, which is the first of its class; [`NIL`] if there is none.
    /// Every [`Priority::FAIR_EVERY`]th start goes to the longest waiting task.
    #[inline]
    pub(crate) fn next(&self, classes: u8, arrivals: &Arrivals) -> u32 {
        let occupied = self.occupied & classes;
        if self.passed == Priority::FAIR_EVERY - 1 {
            return self.longest_of(occupied, arrivals).unwrap_or(NIL);
        }
        let first = occupied.trailing_zeros() as usize;
        self.lists.get(first).map_or(NIL, List::head)
    }

    /// How many tasks of these classes wait.
    #[cold]
    pub(crate) fn len_of(&self, classes: u8) -> u32 {
        self.lists_of(classes).fold(0, |sum, list| sum.wrapping_add(list.len()))
    }

    fn lists_of(&self, mut classes: u8) -> impl Iterator<Item = &List> {
        core::iter::from_fn(move || {
            let list = self.lists.get(classes.trailing_zeros() as usize)?;
            classes &= classes.wrapping_sub(1);
            Some(list)
        })
    }

    /// The slot of the first task of this priority.
    pub(crate) fn first_of(&self, priority: Priority) -> Option<u32> {
        self.lists.get(usize::from(priority.class())).and_then(List::front)
    }

    /// The slot of the task that came last of the lowest priority, and that priority.
    pub(crate) fn last_of_lowest(&self) -> Option<(u32, Priority)> {
        let class = self.occupied.checked_ilog2()?;
        let last = self.lists.get(class as usize).and_then(List::back)?;
        Some((last, Priority::new(u8::try_from(class).unwrap_or(0))))
    }

    /// The slot of the longest waiting task.
    pub(crate) fn longest_waiting(&self, arrivals: &Arrivals) -> Option<u32> {
        self.longest_of(self.occupied, arrivals)
    }

    /// The slot of the longest waiting task of these classes.
    #[cold]
    fn longest_of(&self, classes: u8, arrivals: &Arrivals) -> Option<u32> {
        let firsts = self.lists_of(classes).filter_map(List::front);
        firsts.min_by_key(|index| arrivals.of(*index))
    }
}

/// The arrival number of each queued slot.
#[derive(Debug)]
pub(crate) struct Arrivals {
    numbers: Vec<u64>,
    /// How many tasks were ever queued: the next number.
    count: u64,
}

impl Arrivals {
    fn of(&self, index: u32) -> u64 {
        self.numbers.get(index as usize).copied().unwrap_or(u64::MAX)
    }
}

/// The slots of all queued tasks. Every call is O(1).
pub(crate) struct Queue {
    classes: Classes,
    /// The classes that are not paused.
    open: u8,
    links: Links,
    arrivals: Arrivals,
}

impl Queue {
    /// An empty queue for `slots` slots. Allocates [`Queue::bytes`].
    pub(crate) fn new(slots: u32) -> Self {
        Self {
            classes: Classes::new(),
            open: EVERY_CLASS,
            links: Links::new(slots),
            arrivals: Arrivals { numbers: vec![0; slots as usize], count: 0 },
        }
    }

    /// The bytes that [`Queue::new`] asks of the allocator, exactly.
    pub(crate) const fn bytes(slots: u32) -> usize {
        Links::bytes(slots).saturating_add((slots as usize).saturating_mul(size_of::<u64>()))
    }

    /// The order of the tasks.
    pub(crate) const fn classes(&self) -> &Classes {
        &self.classes
    }

    /// The classes that are not paused.
    #[inline]
    pub(crate) const fn open(&self) -> u8 {
        self.open
    }

    /// Pauses a class, or ends its pause. Returns the classes that are not paused.
    pub(crate) fn set_open(&mut self, priority: Priority, is_open: bool) -> u8 {
        let class = 1 << priority.class();
        self.open = if is_open { self.open | class } else { self.open & !class };
        self.open
    }

    /// The arrival numbers.
    pub(crate) const fn arrivals(&self) -> &Arrivals {
        &self.arrivals
    }

    /// How many tasks were ever queued.
    pub(crate) const fn arrived(&self) -> u64 {
        self.arrivals.count
    }

    /// Appends the task in slot `index` to its class.
    #[inline]
    pub(crate) fn push(&mut self, index: u32, priority: Priority) {
        if let Some(number) = self.arrivals.numbers.get_mut(index as usize) {
            *number = self.arrivals.count;
        }
        self.arrivals.count = self.arrivals.count.wrapping_add(1);
        self.classes.push(&mut self.links, index, priority);
    }

    /// Removes the queued task in slot `index`, wherever it stands.
    #[inline]
    pub(crate) fn remove(&mut self, index: u32, priority: Priority) {
        self.classes.remove(&mut self.links, index, priority);
    }

    /// Removes the first task of a class, because it is started now. [`next`](Self::next) named it.
    #[inline]
    pub(crate) fn start(&mut self, priority: Priority) {
        self.classes.start(&mut self.links, priority);
    }

    /// The slot of the task to start next; [`NIL`] if the queue has none of a class that is not paused. See
    /// [`Classes::next`].
    #[inline]
    pub(crate) fn next(&self) -> u32 {
        self.classes.next(self.open, &self.arrivals)
    }

    /// The slot of the longest waiting task.
    pub(crate) fn longest_waiting(&self) -> Option<u32> {
        self.classes.longest_waiting(&self.arrivals)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    struct Rig {
        queue: Queue,
        /// The class of each slot, and the slots that are free.
        classes: Vec<u8>,
        free: Vec<u32>,
    }

    impl Rig {
        fn new() -> Self {
            Self { queue: Queue::new(100), classes: vec![0; 100], free: (0..100).rev().collect() }
        }

        fn push(&mut self, class: u8) -> u32 {
            let index = self.free.pop().unwrap();
            self.classes[index as usize] = class;
            self.queue.push(index, Priority::new(class));
            index
        }

        fn start(&mut self) -> Option<u32> {
            let index = self.queue.next();
            let class = *self.classes.get(index as usize)?;
            self.queue.start(Priority::new(class));
            self.free.push(index);
            Some(index)
        }
    }

    #[test]
    fn lower_classes_first_and_each_in_order() {
        let mut rig = Rig::new();
        let pushed: Vec<u32> = [3, 0, 7, 0, 3].into_iter().map(|class| rig.push(class)).collect();
        let order: Vec<u32> = core::iter::from_fn(|| rig.start()).collect();
        assert_eq!(order, [pushed[1], pushed[3], pushed[0], pushed[4], pushed[2]]);
        assert_eq!(rig.queue.next(), NIL);
    }

    #[test]
    fn no_class_starves() {
        let mut rig = Rig::new();
        for _ in 0..4 {
            rig.push(0);
        }
        let patient = rig.push(7);
        // Every 8th start goes to the longest waiting task, and four tasks were queued before this one. So start 8 × 5
        // serves it at the latest, however many urgent tasks keep coming.
        let bound = Priority::FAIR_EVERY * 5;
        let served = (1..=bound).find(|_| {
            rig.push(0);
            rig.start() == Some(patient)
        });
        assert!(served.is_some());
    }
}
