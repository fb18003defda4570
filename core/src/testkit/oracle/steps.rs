//! The steps of a script as calls.

use core::num::NonZeroU32;

use super::Oracle;
use crate::testkit::AMPLE;
use crate::testkit::answer::{Answer, Settled};
use crate::testkit::call::Call;
use crate::testkit::oracle::Fault;
use crate::testkit::script::{Step, jump};
use crate::{
    AttemptId, CancelReason, Drain, Instant, OutcomeKind, PermitId, Reason, SleepId, SourceId, SubscriberId,
    TaskId, Wake,
};

/// How many calls a good host makes at most at one instant. More calls are a spin.
const MOST_CALLS: u32 = 20_000;

impl Oracle {
    pub(super) fn step(&mut self, step: Step) -> Result<(), Fault> {
        match step {
            Step::Start { count } => (0..count).try_for_each(|_| self.start().map(drop)),
            Step::Poll { count } => (0..count).try_for_each(|_| self.call(Call::Poll).map(drop)),
            Step::NextEvent { subscriber, count } => {
                let Some(id) =
                    chosen(&self.subscribers, subscriber, SubscriberId::to_bits, SubscriberId::from_bits)
                else {
                    return Ok(());
                };
                (0..count).try_for_each(|_| self.call(Call::NextEvent { id }).map(drop))
            }
            Step::Began { attempt, jump: choice, at } => {
                self.clock = self.clock.saturating_add(jump(choice));
                let Some(attempt) = self.attempt(attempt) else { return Ok(()) };
                let (now, at) = (self.now(), self.instant(at));
                self.call(Call::Began { now, attempt, at }).map(drop)
            }
            Step::Sleep { attempt, until, asks } => self.sleep_once(attempt, until, asks),
            Step::Wait { jump: choice } => {
                self.clock = self.clock.saturating_add(jump(choice));
                Ok(())
            }
            Step::Regress { jump: choice } => {
                self.regress = jump(choice);
                Ok(())
            }
            Step::Advance { jump: choice, budget } => {
                self.clock = self.clock.saturating_add(jump(choice));
                self.advance_within(budget)
            }
            Step::Observed { shown, how } => self.give_back(shown, how),
            Step::Reach => self.reach(),
            Step::Settle => self.settle(true),
            _ => match self.single(step) {
                Some(call) => self.call(call).map(drop),
                None => Ok(()),
            },
        }
    }

    /// The call of a step that makes exactly one, if its arguments exist.
    fn single(&mut self, step: Step) -> Option<Call> {
        let now = self.now();
        Some(match step {
            Step::Submit(order) => Call::Submit { now, offer: self.offer(order) },
            Step::TrySubmit(order) => Call::TrySubmit { now, offer: self.offer(order) },
            Step::SubmitReserved { permit, order } => {
                let permit = self.permit(permit)?;
                Call::SubmitReserved { now, permit, offer: self.offer(order) }
            }
            Step::Reserve { count } => Call::Reserve { now, count: places(count) },
            Step::WaitForRoom { count } => {
                Call::WaitForRoom { now, waiter: self.token(), count: places(count) }
            }
            Step::Rewait { permit } => {
                let id = self.permit(permit)?;
                Call::Rewait { id, waiter: self.token() }
            }
            Step::GiveBack { permit, count } => {
                Call::GiveBack { now, id: self.permit(permit)?, count: u32::from(count) }
            }
            Step::Leave { permit } => Call::Leave { now, id: self.permit(permit)? },
            Step::Cancel { task, with_reason } => {
                let reason = with_reason.then_some(CancelReason::new(&"a step of the script"));
                Call::Cancel { now, task: self.task(task)?, reason }
            }
            Step::Claim { task } => Call::Claim { now, task: self.task(task)?, waiter: self.token() },
            Step::TryClaim { task } => Call::TryClaim { task: self.task(task)? },
            Step::Release { task } => Call::Release { now, task: self.task(task)? },
            Step::TakeResult { task } => Call::TakeResult { now, task: self.task(task)? },
            Step::Resleep { sleep } => {
                let id = self.sleep(sleep)?;
                Call::Resleep { now, id, waiter: self.token() }
            }
            Step::EndSleep { sleep } => Call::EndSleep { id: self.sleep(sleep)? },
            Step::Attach => Call::Attach { now, guard: [self.token(), self.token(), self.token()] },
            Step::Detach { source } => Call::Detach { now, source: self.source(source)? },
            Step::Feed { source, order } => {
                Call::Feed { now, source: self.source(source)?, offer: self.offer(order) }
            }
            Step::FeedBatch { source, order, count, is_mixed } => {
                let source = self.source(source)?;
                let order_at = |place| if is_mixed { order.at(place) } else { order };
                let count =
                    if self.has_long_batches { count.saturating_add(1).saturating_mul(20) } else { count };
                let offer = |place| (place != 1).then(|| self.offer(order_at(place).in_batch()));
                let offers = (0..=count).map(offer).collect();
                Call::FeedBatch { now, source, offers }
            }
            Step::FeedError { source } => {
                Call::FeedError { now, source: self.source(source)?, text: self.token() }
            }
            Step::Subscribe => Call::Subscribe,
            Step::Unsubscribe { subscriber } => Call::Unsubscribe { id: self.subscriber(subscriber)? },
            Step::WaitEvent { subscriber } => {
                Call::WaitEvent { id: self.subscriber(subscriber)?, waiter: self.token() }
            }
            Step::Observe { on } => Call::Observe { on },
            Step::Pause => Call::Pause { now },
            Step::Resume => Call::Resume { now },
            Step::SetConcurrency { to } => Call::SetConcurrency { now, to: u32::from(to) },
            Step::DrainGracefully { within } => Call::Drain { now, mode: Drain::Graceful(jump(within)) },
            Step::CancelAll => Call::Drain { now, mode: Drain::Cancel },
            Step::Abort => Call::Drain { now, mode: Drain::Abort },
            Step::Complete { attempt } => {
                let (attempt, _) = self.report(attempt)?;
                Call::Completed { now, attempt, output: self.token() }
            }
            Step::Fail { attempt, with_job } => {
                let (attempt, job) = self.report(attempt)?;
                let (error, job) = (self.token(), with_job.then_some(job));
                let delay = (error % 4 == 3).then(|| jump((error / 4 % 256) as u8));
                Call::Failed { now, attempt, error, job, delay, text: error }
            }
            Step::Panic { attempt, with_job } => {
                let (attempt, job) = self.report(attempt)?;
                let panic = self.token();
                Call::Panicked { now, attempt, panic, job: with_job.then_some(job), text: panic }
            }
            Step::Stopped { attempt, with_job } => {
                let (attempt, job) = self.report(attempt)?;
                Call::Stopped { now, attempt, job: with_job.then_some(job) }
            }
            Step::Snooze { attempt, delay } => {
                let (attempt, job) = self.report(attempt)?;
                Call::Snoozed { now, attempt, job, delay: jump(delay) }
            }
            Step::LatePanic => Call::LatePanic,
            Step::Sweep { budget } => Call::Sweep { now, budget: u32::from(budget) },
            Step::CacheInsert { key } => {
                Call::CacheInsert { now, key, token: self.token(), value: self.token() }
            }
            Step::CacheGet { key } => Call::CacheGet { now, key, counted: true },
            Step::CachePeek { key } => Call::CacheGet { now, key, counted: false },
            Step::CacheRemove { key } => Call::CacheRemove { key },
            Step::CachePop => Call::CachePop,
            _ => return None,
        })
    }

    fn task(&self, choice: u8) -> Option<TaskId> {
        chosen(&self.tasks, choice, TaskId::to_bits, TaskId::from_bits)
    }

    fn permit(&self, choice: u8) -> Option<PermitId> {
        chosen(&self.permits, choice, PermitId::to_bits, PermitId::from_bits)
    }

    fn source(&self, choice: u8) -> Option<SourceId> {
        chosen(&self.sources, choice, SourceId::to_bits, SourceId::from_bits)
    }

    fn subscriber(&self, choice: u8) -> Option<SubscriberId> {
        chosen(&self.subscribers, choice, SubscriberId::to_bits, SubscriberId::from_bits)
    }

    /// An attempt: mostly one that runs, else any that ever did.
    fn attempt(&self, choice: u8) -> Option<AttemptId> {
        let at = usize::from(choice).checked_rem(self.running.len()).filter(|_| choice < 220);
        match at.and_then(|at| self.running.get(at)) {
            Some(&(attempt, _)) => Some(attempt),
            None => chosen(&self.attempts, choice, AttemptId::to_bits, AttemptId::from_bits),
        }
    }

    /// Gives back an observed outcome: mostly unchanged, else twice, as another outcome, or with the job of another.
    pub(super) fn give_back(&mut self, choice: u8, how: u8) -> Result<(), Fault> {
        let Some(at) = usize::from(choice).checked_rem(self.shown.len()) else { return Ok(()) };
        let Settled { task, kind, value, job, .. } = self.shown.remove(at);
        let now = self.now();
        if (200..220).contains(&how) {
            let other = OutcomeKind::ALL.into_iter().cycle().skip_while(|other| *other != kind).nth(1);
            let kind = other.unwrap_or(kind);
            let value = kind.has_value().then(|| self.token());
            self.call(Call::Observed { now, task, kind, value, job: None })?;
        }
        if (220..240).contains(&how) && value.is_some() {
            let job = Some(self.token());
            self.call(Call::Observed { now, task, kind, value, job })?;
        }
        self.call(Call::Observed { now, task, kind, value, job })?;
        if how >= 240 {
            let (value, job) = (value.map(|_| self.token()), job.map(|_| self.token()));
            self.call(Call::Observed { now, task, kind, value, job })?;
        }
        Ok(())
    }

    fn sleep_once(&mut self, attempt: u8, until: u8, asks: bool) -> Result<(), Fault> {
        let Some(attempt) = self.attempt(attempt) else { return Ok(()) };
        let (now, until, waiter) = (self.now(), self.instant(until), self.token());
        if let Answer::Sleep(Ok(id)) = self.call(Call::Sleep { now, attempt, until, waiter })? {
            if asks {
                let waiter = self.token();
                self.call(Call::Resleep { now, id, waiter })?;
            }
        }
        Ok(())
    }

    /// A sleep: one of the last few, because sleeps do not last.
    fn sleep(&self, choice: u8) -> Option<SleepId> {
        let newest = self.sleeps.get(self.sleeps.len().saturating_sub(2)..)?;
        chosen(newest, choice, SleepId::to_bits, SleepId::from_bits)
    }

    /// An instant near the clock: now and then one that has passed.
    fn instant(&self, choice: u8) -> Instant {
        let span = jump(choice);
        match choice % 8 {
            0 => {
                Instant::ZERO.saturating_add(self.clock.saturating_since(Instant::ZERO).saturating_sub(span))
            }
            _ => self.clock.saturating_add(span),
        }
    }

    /// The attempt that a report names, with its job: mostly one that runs, else any that ever did.
    fn report(&mut self, choice: u8) -> Option<(AttemptId, u32)> {
        if choice < 200 && !self.running.is_empty() {
            let at = usize::from(choice).checked_rem(self.running.len())?;
            let (attempt, job) = self.running.remove(at);
            self.stopping.retain(|other| *other != attempt);
            return Some((attempt, job));
        }
        let attempt = chosen(&self.attempts, choice, AttemptId::to_bits, AttemptId::from_bits)?;
        Some((attempt, self.token()))
    }

    pub(super) fn start(&mut self) -> Result<Answer, Fault> {
        let now = self.now();
        self.call(Call::StartNext { now })
    }

    fn advance_within(&mut self, choice: u8) -> Result<(), Fault> {
        let units = match choice {
            0..=127 => AMPLE,
            128..=143 => 0,
            _ => u32::from(choice % 8) + 1,
        };
        self.advance(units).map(drop)
    }

    pub(super) fn advance(&mut self, budget: u32) -> Result<Answer, Fault> {
        let now = self.now();
        self.call(Call::Advance { now, budget })
    }

    /// Moves the clock to the next wake-up, where the machine must make progress.
    pub(super) fn reach(&mut self) -> Result<(), Fault> {
        let Wake::At(at, _) = self.host.machine().next_wake() else { return self.settle(true) };
        self.clock = self.clock.max(at);
        let now = self.now();
        let call = Call::Advance { now: now.max(at), budget: AMPLE };
        let answer = self.call(call.clone())?;
        if matches!(answer, Answer::Progress { used: 0, .. }) {
            return Err(self.fault(&call, "a wake-up without progress", &"", &answer));
        }
        Ok(())
    }

    /// Does what `next_wake` asks for until it lies ahead. A helpful host also stops attempts on request.
    pub(super) fn settle(&mut self, helpful: bool) -> Result<(), Fault> {
        for _ in 0..MOST_CALLS {
            let (clock, machine) = (self.clock, self.host.machine());
            match machine.next_wake() {
                Wake::Now(Reason::Effect) => drop(self.call(Call::Poll)?),
                Wake::Now(Reason::Start) => drop(self.start()?),
                Wake::Now(_) => drop(self.advance(1)?),
                Wake::At(at, _) if at <= clock.max(machine.now()) => drop(self.advance(1)?),
                Wake::At(..) | Wake::Never => {
                    if !helpful {
                        return Ok(());
                    }
                    if !self.shown.is_empty() {
                        self.give_back(0, 0)?;
                        continue;
                    }
                    let Some(attempt) = self.stopping.pop() else { return Ok(()) };
                    let at = self.running.iter().position(|(other, _)| *other == attempt);
                    let job = at.map(|at| self.running.remove(at).1);
                    let now = self.now();
                    self.call(Call::Stopped { now, attempt, job })?;
                }
            }
        }
        Err(self.fault(&"settle", "a host that does what it is asked to never comes to rest", &"", &""))
    }
}

/// How many places a number asks for, at least one.
fn places(count: u8) -> NonZeroU32 {
    NonZeroU32::new(u32::from(count)).unwrap_or(NonZeroU32::MIN)
}

/// The id that a number chooses: one of the newest, or one that was never given out. That one may differ from a real id
/// only in a high bit of its generation.
fn chosen<T: Copy>(ids: &[T], choice: u8, bits: fn(T) -> u64, forge: impl Fn(u64) -> Option<T>) -> Option<T> {
    if choice > 252 {
        return forge(u64::from(choice) << (choice % 5 * 12));
    }
    let back = usize::from(choice).checked_rem(ids.len().min(12))?;
    let id = ids.iter().rev().nth(back).copied()?;
    if choice > 240 { forge(bits(id) ^ 1 << (32 + (bits(id) ^ u64::from(choice)) % 32)) } else { Some(id) }
}
