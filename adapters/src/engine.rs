//! The places of a processor and everything that happens in them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Waker};
use std::time::Duration;

use plimsoll_core::{AttemptId, Failure, Instant, Late, Message, Start};

use crate::cell::{Attempt, Cell, End};
use crate::context::Context;
use crate::lent::Lent;
use crate::perform::{error_message, panic_message};
use crate::shared::{Machine, Shared, Types};
use crate::signal::PlaceSignal;

/// The most effects that are performed in a row before others get their turn.
pub(crate) const EFFECTS_A_TURN: u32 = 64;

/// A place, in which the attempts of one worker live one after the other.
pub(crate) type Place<J, H, F> = Lent<Pin<Box<Cell<J, H, F>>>>;

/// Everything that workers and the driver need. It is kept alive by them and by the owner, but the owner can empty it.
pub(crate) struct Engine<J, O, E, M: Copy, H, F, T> {
    pub(crate) shared: Arc<Shared<J, O, E, M>>,
    pub(crate) timer: Lent<Pin<Box<T>>>,
    places: Box<[Place<J, H, F>]>,
    /// The waker of each place, made once.
    wakers: Box<[Waker]>,
    grace: Duration,
    clone: Option<fn(&J) -> J>,
}

/// An engine as its owner sees it.
pub(crate) trait Close: Send + Sync {
    /// Drops every future, the handler and the timer, except what is being polled right now: that goes when the poll
    /// returns. The workers and the driver end at their next poll.
    fn close(&self);
}

impl<J, O, E, M, H, F, T> Engine<J, O, E, M, H, F, T>
where
    J: Send + 'static,
    O: Send + 'static,
    E: fmt::Debug + Send + 'static,
    M: Copy + Send + 'static,
    H: Fn(J, Context<M>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<O, E>> + Send + 'static,
{
    pub(crate) fn new(
        shared: Arc<Shared<J, O, E, M>>,
        handler: H,
        timer: T,
        grace: Duration,
        clone: Option<fn(&J) -> J>,
    ) -> Self {
        let handler = Arc::new(handler);
        let places = shared.places.iter().map(|_| Lent::new(Box::pin(Cell::new(handler.clone())))).collect();
        let wakers = shared.places.iter().map(|signal| Waker::from(signal.clone())).collect();
        Self { shared, timer: Lent::new(Box::pin(timer)), places, wakers, grace, clone }
    }

    /// Lets the attempt in a place make progress, and those that follow it there: at most `tasks` of them. Whether the
    /// place is still taken. Uses up one of `polls` for each poll.
    pub(crate) fn visit(
        &self,
        place: u32,
        start: Option<Start<Types<J, O, E, M>>>,
        tasks: u32,
        polls: &mut u32,
    ) -> bool {
        let at = place as usize;
        let (Some(lent), Some(signal), Some(waker)) =
            (self.places.get(at), self.shared.places.get(at), self.wakers.get(at))
        else {
            debug_assert!(false, "a worker visits its own places");
            return true;
        };
        let Some(mut cell) = lent.take() else {
            self.give_up(start, signal);
            return true;
        };
        let busy = self.run(place, cell.as_mut(), start, signal, waker, tasks, polls);
        if let Err(cell) = lent.put_back(cell) {
            self.dispose(cell);
        }
        busy
    }

    #[expect(clippy::too_many_arguments, reason = "the place in all its aspects, once looked up")]
    fn run(
        &self,
        place: u32,
        mut cell: Pin<&mut Cell<J, H, F>>,
        mut start: Option<Start<Types<J, O, E, M>>>,
        signal: &Arc<PlaceSignal>,
        waker: &Waker,
        tasks: u32,
        polls: &mut u32,
    ) -> bool {
        let mut cx = TaskContext::from_waker(waker);
        for left in (0..tasks).rev() {
            let stillborn = start.take().and_then(|start| cell.as_mut().begin(start, signal, self.clone));
            *polls = polls.saturating_sub(1);
            let Some(end) = stillborn.or_else(|| self.poll(place, cell.as_mut(), signal, &mut cx)) else {
                return true;
            };
            start = self.finish(place, cell.as_mut(), signal, end, left > 0 && *polls > 0);
            if start.is_none() {
                return false;
            }
        }
        debug_assert!(start.is_none(), "the last task takes no successor");
        false
    }

    /// Polls the attempt, or stops it if that was asked for. Returns its end.
    fn poll(
        &self,
        place: u32,
        mut cell: Pin<&mut Cell<J, H, F>>,
        signal: &PlaceSignal,
        cx: &mut TaskContext<'_>,
    ) -> Option<End<O, E>> {
        let attempt = cell.attempt()?;
        if !signal.is_running(attempt.to_bits()) && !self.has_grace(place, cell.as_mut()) {
            return Some(cell.clear().map_or(End::Stopped, End::Panicked));
        }
        cell.poll(cx)
    }

    /// Whether an attempt that was asked to stop may go on for a while. Its time begins here, at the first poll after.
    fn has_grace(&self, place: u32, cell: Pin<&mut Cell<J, H, F>>) -> bool {
        if self.grace.is_zero() {
            return false;
        }
        let now = self.shared.now();
        if let Some(until) = cell.stop_by() {
            return now < until;
        }
        let until = now.saturating_add(self.grace);
        cell.grant_grace(until);
        let mut state = self.shared.lock();
        state.graces.push(place, until);
        let earlier = until < state.armed;
        drop(state);
        if earlier {
            self.shared.driver.notify();
        }
        true
    }

    /// Reports the end of an attempt and takes the next one for its place, in one hold of the lock; then does what the
    /// machine asks for.
    fn finish(
        &self,
        place: u32,
        cell: Pin<&mut Cell<J, H, F>>,
        signal: &PlaceSignal,
        end: End<O, E>,
        successor: bool,
    ) -> Option<Start<Types<J, O, E, M>>> {
        let shared = &self.shared;
        let Attempt { id, copy, had_grace } = cell.finish()?;
        shared.guarded(|| signal.over());
        let (report, panic) = Report::of(end, copy);
        let now = shared.now();

        let mut state = shared.lock();
        if had_grace {
            state.graces.remove(place);
        }
        let left = report.make(&mut state.machine, now, id);
        let effect = state.poll_effect();
        let start = if successor { state.start(now, place, signal) } else { None };
        let mut nudge = state.nudge(&shared.workers);
        let more = state.has_effect();
        // What is left of the effects is done here, not by the driver; but nobody else sets the timer.
        nudge.driver &= !more;
        drop(state);

        shared.wake(nudge);
        // One by one, for two panics at a time would abort the process.
        let (output, error, job) = left;
        shared.discard(output);
        shared.discard(error);
        shared.discard(job);
        shared.discard(panic);
        if let Some(effect) = effect {
            shared.perform(effect);
        }
        if more {
            shared.perform_pending(EFFECTS_A_TURN);
            // What was taken may have been the last that the machine waited for.
            shared.act(|_| ());
        }
        start
    }

    /// An attempt that was started for a place that is closed by now does not run.
    fn give_up(&self, start: Option<Start<Types<J, O, E, M>>>, signal: &PlaceSignal) {
        let Some(start) = start else { return };
        self.shared.guarded(|| signal.over());
        let now = self.shared.now();
        // It is late: the end of the machine has settled it.
        let _ = self.shared.act(|machine| machine.stopped(now, start.attempt));
        self.shared.discard(start.job);
    }

    /// Drops a place's future, copy of a job, and handler, each on its own.
    fn dispose(&self, mut cell: Pin<Box<Cell<J, H, F>>>) {
        if let Some(panic) = cell.as_mut().clear() {
            self.shared.guarded(|| std::panic::resume_unwind(panic));
        }
        let (copy, handler) = cell.as_mut().dismantle();
        self.shared.discard(copy);
        self.shared.discard(handler);
    }
}

impl<J, O, E, M, H, F, T> Close for Engine<J, O, E, M, H, F, T>
where
    J: Send + 'static,
    O: Send + 'static,
    E: fmt::Debug + Send + 'static,
    M: Copy + Send + 'static,
    H: Fn(J, Context<M>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<O, E>> + Send + 'static,
    T: Send,
{
    fn close(&self) {
        self.shared.close();
        for (lent, signal) in self.places.iter().zip(&self.shared.places) {
            if let Some(cell) = lent.close() {
                self.shared.guarded(|| signal.over());
                self.dispose(cell);
            }
        }
        self.shared.discard(self.timer.close());
        let mut panics = 0;
        self.shared.cache.close(&mut panics);
        self.shared.note_panics(panics);
    }
}

/// A report, with everything foreign in it worked out: it is ready to be made under the lock.
enum Report<J, O, E> {
    Completed(O, Option<J>),
    Failed(E, Option<J>, Message),
    Panicked(Option<J>, Message),
    Stopped(Option<J>),
}

impl<J, O, E: fmt::Debug> Report<J, O, E> {
    fn of(end: End<O, E>, copy: Option<J>) -> (Self, Option<crate::perform::Panic>) {
        match end {
            End::Completed(output) => (Self::Completed(output, copy), None),
            End::Failed(error) => {
                let message = error_message(&error);
                (Self::Failed(error, copy, message), None)
            }
            End::Panicked(panic) => (Self::Panicked(copy, panic_message(&panic)), Some(panic)),
            End::Stopped => (Self::Stopped(copy), None),
        }
    }

    /// Makes the report. What the machine does not need comes back, to be dropped without the lock.
    fn make<M: Copy>(
        self,
        machine: &mut Machine<J, O, E, M>,
        now: Instant,
        attempt: AttemptId,
    ) -> (Option<O>, Option<E>, Option<J>) {
        match self {
            Self::Completed(output, copy) => {
                let late = machine.completed(now, attempt, output).err();
                (late.map(|late| late.value), None, copy)
            }
            Self::Failed(error, copy, message) => match machine.failed(now, attempt, error, copy, &message) {
                Ok(Failure::Retrying { error, .. }) => (None, Some(error), None),
                Ok(Failure::Settled { job }) => (None, None, job),
                Ok(_) => (None, None, None),
                Err(Late { value: (error, copy), .. }) => (None, Some(error), copy),
            },
            Self::Panicked(copy, message) => match machine.panicked(now, attempt, copy, &message) {
                Ok(copy) => (None, None, copy),
                Err(late) => {
                    machine.late_panic();
                    (None, None, late.value)
                }
            },
            Self::Stopped(copy) => {
                // Late when the end of the machine has abandoned it: then nobody counts on it.
                let _ = machine.stopped(now, attempt);
                (None, None, copy)
            }
        }
    }
}
