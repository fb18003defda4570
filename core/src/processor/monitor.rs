//! Heartbeats, progress and the watchdog: what running attempts tell, and what time does to those that tell nothing.
//! [`crate::monitor`] has what is known of each.

use super::Processor;
use super::deadlines::Owner;
use crate::lifecycle::State;
use crate::timers::has_come;
use crate::{AttemptId, Event, Instant, Plan, Progress};

impl<P: Plan> Processor<P> {
    /// The attempt is alive: its heartbeat time-out ([`Timeouts::heartbeat`](crate::Timeouts::heartbeat)) counts from
    /// now on. For an attempt without that time-out this changes nothing.
    ///
    /// Returns whether the attempt is running. If it is over, or was timed out or cancelled, nothing changes.
    ///
    /// The timer of the task stays as it is, so [`next_wake`](Self::next_wake) may be earlier than the new deadline.
    /// [`advance`](Self::advance) puts that right.
    ///
    /// May change: nothing else.
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Offer, Processor, Simple, Terms, Timeouts};
    /// # use core::time::Duration;
    /// let mut limits = Limits::default();
    /// limits.monitor = true;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(limits, Instant::ZERO)?;
    /// let limit = Some(Duration::from_millis(10));
    /// let terms = Terms::new().timeouts(Timeouts { heartbeat: limit, ..Timeouts::NONE });
    /// processor.submit(Instant::ZERO, Offer::new("job", ()), &terms)?;
    /// let start = processor.start_next(Instant::ZERO).ok_or("nothing to start")?;
    /// assert!(processor.heartbeat(Instant::from_millis(9), start.attempt));
    /// let _ = processor.advance(Instant::from_millis(18), 64);
    /// assert_eq!(processor.census().running, 1, "it has told 9 ms ago");
    /// let _ = processor.advance(Instant::from_millis(19), 64);
    /// assert_eq!(processor.totals().settled.timed_out, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn heartbeat(&mut self, now: Instant, attempt: AttemptId) -> bool {
        self.beat(now, attempt, None)
    }

    /// The attempt has got so far. [`TaskView::progress`](crate::TaskView::progress) shows the latest value until the next
    /// attempt at the task starts. This is a [`heartbeat`](Self::heartbeat), too.
    ///
    /// Returns whether the attempt is running and the value is kept, which needs [`Limits::monitor`](crate::Limits::monitor).
    ///
    /// May change: the view of the task.
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Offer, Processor, Progress, Simple, Terms};
    /// let mut limits = Limits::default();
    /// limits.monitor = true;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(limits, Instant::ZERO)?;
    /// let task = processor.submit(Instant::ZERO, Offer::new("job", ()), &Terms::new())?;
    /// let start = processor.start_next(Instant::ZERO).ok_or("nothing to start")?;
    /// assert!(processor.progress(Instant::ZERO, start.attempt, Progress::of(1, 3)));
    /// assert_eq!(processor.view(task).and_then(|view| view.progress), Some(Progress::of(1, 3)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn progress(&mut self, now: Instant, attempt: AttemptId, progress: Progress) -> bool {
        self.beat(now, attempt, Some(progress)) && self.monitor.is_some()
    }

    fn beat(&mut self, now: Instant, attempt: AttemptId, progress: Option<Progress>) -> bool {
        let now = self.observe_time(now);
        let Some(index) = self.index_of(attempt) else { return false };
        let runs = self.tasks.at(index).is_some_and(|task| task.state == State::Running);
        if let Some(monitor) = self.monitor.as_mut().filter(|_| runs) {
            monitor.beat(index, now, progress);
        }
        runs
    }

    /// What the timer of the task in slot `index` is set to while its attempt runs, if `deadline` is the earliest of its
    /// other deadlines.
    pub(super) fn first_of_attempt(&self, index: u32, deadline: Instant) -> Instant {
        match (&self.monitor, self.tasks.at(index)) {
            (Some(monitor), Some(task)) => {
                deadline.min(monitor.silent_at(index, task.since)).min(monitor.slow_at(index, task.since))
            }
            _ => deadline,
        }
    }

    /// The timer of the task in slot `index` has fired while its attempt runs. Reports an attempt that has become slow,
    /// and sets the timer again if no deadline has passed: whether one has.
    #[cold]
    pub(super) fn is_overdue(&mut self, index: u32) -> bool {
        let now = self.now;
        let (Some(monitor), Some((id, task))) = (&mut self.monitor, self.tasks.entry(index)) else {
            return true;
        };
        if task.state != State::Running {
            return true;
        }
        let (starts, meta, since) = (task.starts, task.meta, task.since);
        let deadline = task.deadline_in(State::Running).min(monitor.silent_at(index, since));
        let slow_at = monitor.slow_at(index, since);
        // What falls due first acts first, however late this call is.
        let is_slow = slow_at < deadline && has_come(slow_at, now);
        if is_slow {
            monitor.note_slow(index);
        } else if has_come(deadline, now) {
            return true;
        }
        let next = deadline.min(monitor.slow_at(index, since));
        self.deadlines.add(Owner::Task(index), next);
        if let Some(attempt) = self.attempt(id, starts).filter(|_| is_slow) {
            self.totals.slow = self.totals.slow.wrapping_add(1);
            self.publish(|| Event::Slow { task: id, attempt, meta });
        }
        false
    }
}
