//! What steps of several parts need: new values, the clock, and the turns of a host.

use core::time::Duration;

use super::{Fault, Oracle};
use crate::testkit::AMPLE;
use crate::testkit::order::{Order, Way};
use crate::testkit::parts::submissions::Offer;
use crate::testkit::parts::{Answer, Call, attempts, effects, gate, time};
use crate::testkit::script::jump;
use crate::{AttemptId, Instant, Reason, Wake};

/// How many calls a good host makes at most at one instant. More calls are a spin.
const MOST_CALLS: u32 = 20_000;

impl Oracle {
    pub(in crate::testkit) fn token(&mut self) -> u32 {
        self.tokens += 1;
        self.tokens
    }

    pub(in crate::testkit) fn offer(&mut self, order: Order) -> Offer {
        self.metas += 1;
        let has_lanes = self.host.machine().limits().lanes.lanes > 0;
        let order = if has_lanes { order } else { order.mostly_without_lane() };
        let callback = (order.way() == Way::Callback).then(|| self.token());
        let order = order.under(&self.setup, self.metas);
        Offer { job: self.token(), meta: self.metas, callback, order }
    }

    /// The attempt that a report names, with its job: mostly one that runs, else any that ever did.
    pub(in crate::testkit) fn report(&mut self, choice: u8) -> Option<(AttemptId, u32)> {
        let running = if choice < 200 { self.memory.take_running(choice) } else { None };
        running.or_else(|| Some((self.memory.ids.attempts.chosen(choice)?, self.token())))
    }

    /// Moves the clock on. The machine is not told.
    pub(in crate::testkit) fn wait(&mut self, span: Duration) {
        self.clock = self.clock.saturating_add(span);
    }

    /// Lets the next call pass in a time that lies this far back.
    pub(in crate::testkit) const fn regress(&mut self, span: Duration) {
        self.regress = span;
    }

    /// The time that the next call passes in. Uses up a regress, even if that call passes in none.
    pub(in crate::testkit) fn now(&mut self) -> Instant {
        let span = core::mem::take(&mut self.regress);
        self.before(span)
    }

    /// An instant near the clock: now and then one that has passed.
    pub(in crate::testkit) fn instant(&self, choice: u8) -> Instant {
        let span = jump(choice);
        if choice % 8 == 0 { self.before(span) } else { self.clock.saturating_add(span) }
    }

    /// The instant this long before the clock.
    fn before(&self, span: Duration) -> Instant {
        Instant::ZERO.saturating_add(self.clock.saturating_since(Instant::ZERO).saturating_sub(span))
    }

    pub(in crate::testkit) fn start(&mut self) -> Result<Answer, Fault> {
        let now = self.now();
        self.call(gate::Call::StartNext { now })
    }

    pub(in crate::testkit) fn advance(&mut self, budget: u32) -> Result<Answer, Fault> {
        let now = self.now();
        self.call(time::Call::Advance { now, budget })
    }

    /// Moves the clock to the next wake-up, where the machine must make progress.
    pub(in crate::testkit) fn reach(&mut self) -> Result<(), Fault> {
        let Wake::At(at, _) = self.host.machine().next_wake() else { return self.settle(true) };
        self.clock = self.clock.max(at);
        let now = self.now();
        let call = Call::from(time::Call::Advance { now: now.max(at), budget: AMPLE });
        let answer = self.call(call.clone())?;
        if matches!(answer, Answer::Time(time::Answer::Advanced { used: 0, .. })) {
            return Err(self.fault(&call, "a wake-up without progress", &"", &answer));
        }
        Ok(())
    }

    /// Does what `next_wake` asks for until it lies ahead. A helpful host also stops attempts on request.
    pub(in crate::testkit) fn settle(&mut self, helpful: bool) -> Result<(), Fault> {
        for _ in 0..MOST_CALLS {
            let (clock, machine) = (self.clock, self.host.machine());
            match machine.next_wake() {
                Wake::Now(Reason::Effect) => drop(self.call(effects::Call::Poll)?),
                Wake::Now(Reason::Start) => drop(self.start()?),
                Wake::Now(_) => drop(self.advance(1)?),
                Wake::At(at, _) if at <= clock.max(machine.now()) => drop(self.advance(1)?),
                Wake::At(..) | Wake::Never => {
                    if !helpful {
                        return Ok(());
                    }
                    if !self.memory.shown.is_empty() {
                        self.give_back(0, 0)?;
                        continue;
                    }
                    let Some((attempt, job)) = self.memory.take_stopping() else { return Ok(()) };
                    let now = self.now();
                    self.call(attempts::Call::Stopped { now, attempt, job })?;
                }
            }
        }
        Err(self.fault(&"settle", "a host that does what it is asked to never comes to rest", &"", &""))
    }
}
