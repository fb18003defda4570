//! What steps of several parts need: new values, the clock, and the turns of a host.

use core::time::Duration;

use super::{AMPLE, Fault, Oracle};
use crate::testkit::calls::effects::Settled;
use crate::testkit::calls::submissions::Offer;
use crate::testkit::calls::{Answer, Call, attempts, effects, gate, observer, time};
use crate::testkit::choices::jump;
use crate::testkit::order::{Order, Way};
use crate::{AttemptId, Instant, OutcomeKind, Reason, Wake};

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

    /// Gives back an observed outcome: mostly unchanged, else twice, as another outcome, or with the job of another.
    pub(in crate::testkit) fn give_back(&mut self, choice: u8, how: u8) -> Result<(), Fault> {
        let shown = &mut self.memory.shown;
        let Some(at) = usize::from(choice).checked_rem(shown.len()) else { return Ok(()) };
        let Settled { task, kind, value, job, .. } = shown.remove(at);
        let now = self.now();
        if (200..220).contains(&how) {
            let other = OutcomeKind::ALL.into_iter().cycle().skip_while(|other| *other != kind).nth(1);
            let kind = other.unwrap_or(kind);
            let value = kind.has_value().then(|| self.token());
            self.call(observer::Call::Observed { now, task, kind, value, job: None })?;
        }
        if (220..240).contains(&how) && value.is_some() {
            let job = Some(self.token());
            self.call(observer::Call::Observed { now, task, kind, value, job })?;
        }
        self.call(observer::Call::Observed { now, task, kind, value, job })?;
        if how >= 240 {
            let (value, job) = (value.map(|_| self.token()), job.map(|_| self.token()));
            self.call(observer::Call::Observed { now, task, kind, value, job })?;
        }
        Ok(())
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
