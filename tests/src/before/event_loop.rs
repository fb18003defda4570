//! Node's event loop on a clock that only moves when it is told to.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

/// An event loop: timers and immediate callbacks, all run by [`run_for`](Self::run_for). Clones share it.
#[derive(Clone, Default)]
pub struct EventLoop(Rc<Inner>);

#[derive(Default)]
struct Inner {
    now: Cell<Duration>,
    ids: Cell<u64>,
    timers: RefCell<BTreeMap<(Duration, TimerId), Timer>>,
    due: RefCell<HashMap<TimerId, Duration>>,
    immediate: RefCell<VecDeque<Box<dyn FnOnce()>>>,
}

/// Names a timer, as the number that `setTimeout` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId(u64);

#[derive(Clone)]
struct Timer {
    every: Option<Duration>,
    run: Rc<dyn Fn()>,
}

impl EventLoop {
    /// Runs `run` once, after `delay`. Until then, or until it is cleared, the loop keeps it.
    pub fn set_timeout(&self, delay: Duration, run: impl Fn() + 'static) -> TimerId {
        self.arm(delay, Timer { every: None, run: Rc::new(run) })
    }

    /// Runs `run` every `every`, until it is cleared. The loop keeps it for as long.
    pub fn set_interval(&self, every: Duration, run: impl Fn() + 'static) -> TimerId {
        let every = every.max(Duration::from_millis(1));
        self.arm(every, Timer { every: Some(every), run: Rc::new(run) })
    }

    /// Forgets a timer. One that is over already is no error, as in Node.
    pub fn clear(&self, id: TimerId) {
        let at = self.0.due.borrow_mut().remove(&id);
        let timer = at.and_then(|at| self.0.timers.borrow_mut().remove(&(at, id)));
        // What the timer captured may refer to this loop, which is not borrowed any more.
        drop(timer);
    }

    /// Runs `run` before time goes on.
    pub fn set_immediate(&self, run: impl FnOnce() + 'static) {
        self.0.immediate.borrow_mut().push_back(Box::new(run));
    }

    /// How many timers there are.
    #[must_use]
    pub fn timers(&self) -> usize {
        self.0.timers.borrow().len()
    }

    /// The time since the loop began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.0.now.get()
    }

    /// Lets this much time pass, and everything happen that is due in it.
    pub fn run_for(&self, time: Duration) {
        let end = self.now() + time;
        loop {
            self.run_immediate();
            let Some((at, id, timer)) = self.next_until(end) else { break };
            self.0.now.set(at);
            match timer.every {
                Some(every) => self.put(at + every, id, timer.clone()),
                None => drop(self.0.due.borrow_mut().remove(&id)),
            }
            (timer.run)();
        }
        self.0.now.set(end);
    }

    fn run_immediate(&self) {
        loop {
            let next = self.0.immediate.borrow_mut().pop_front();
            let Some(run) = next else { break };
            run();
        }
    }

    fn next_until(&self, end: Duration) -> Option<(Duration, TimerId, Timer)> {
        let mut timers = self.0.timers.borrow_mut();
        let (&(at, id), _) = timers.first_key_value()?;
        let timer = (at <= end).then(|| timers.remove(&(at, id)))??;
        Some((at, id, timer))
    }

    fn arm(&self, delay: Duration, timer: Timer) -> TimerId {
        let id = TimerId(self.0.ids.get());
        self.0.ids.set(id.0 + 1);
        self.put(self.now() + delay, id, timer);
        id
    }

    fn put(&self, at: Duration, id: TimerId, timer: Timer) {
        self.0.timers.borrow_mut().insert((at, id), timer);
        self.0.due.borrow_mut().insert(id, at);
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").field("now", &self.now()).field("timers", &self.timers()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn timers_run_in_order_and_intervals_until_they_are_cleared() {
        let events = EventLoop::default();
        let seen = Rc::new(RefCell::new(Vec::new()));
        let note = |what: &'static str| {
            let (seen, events) = (seen.clone(), events.clone());
            move || seen.borrow_mut().push((events.now().as_secs(), what))
        };
        events.set_timeout(3 * SECOND, note("three"));
        let every = events.set_interval(2 * SECOND, note("interval"));
        let never = events.set_timeout(SECOND, note("cleared"));
        events.clear(never);
        events.set_immediate(note("immediate"));
        events.run_for(5 * SECOND);
        assert_eq!(*seen.borrow(), [(0, "immediate"), (2, "interval"), (3, "three"), (4, "interval")]);
        assert_eq!((events.now(), events.timers()), (5 * SECOND, 1));
        events.clear(every);
        assert_eq!(events.timers(), 0);
        events.run_for(5 * SECOND);
        assert_eq!(seen.borrow().len(), 4);
        let Inner { due, immediate, .. } = &*events.0;
        assert!(due.borrow().is_empty() && immediate.borrow().is_empty());
    }

    #[test]
    fn an_interval_may_clear_itself() {
        let events = EventLoop::default();
        let id = Rc::new(Cell::new(None));
        let clear = {
            let (events, id) = (events.clone(), id.clone());
            move || id.take().into_iter().for_each(|id| events.clear(id))
        };
        id.set(Some(events.set_interval(SECOND, clear)));
        events.run_for(10 * SECOND);
        assert_eq!(events.timers(), 0);
    }
}
