//! What a source has to do, call by call.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use plimsoll_core::{Message, Verdict};

use super::{Engine, Report};
use crate::runtime::Runtime;
use crate::source::{Abilities, Death, Delivery, Pulled, Settling, Source};

/// How long a pull is told to wait, where something comes.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long it is told to wait, where nothing comes.
const IMPATIENCE: Duration = Duration::from_millis(200);
/// How much later than told it may return.
const LATENESS: Duration = Duration::from_secs(2);
/// How much too early something may come, for the clocks of two processes are compared.
const TOLERANCE: Duration = Duration::from_millis(50);
/// No call takes longer.
const LIMIT: Duration = Duration::from_secs(30);
/// The first job of the laws. Those of a storm begin at zero.
const FIRST: u64 = 1 << 40;

type Receipt<E> = <<E as Engine>::Source as Source>::Receipt;
type Deliveries<E> = Vec<Delivery<u64, Receipt<E>>>;

/// The answer of a call, which has to come.
async fn in_time<E: Engine, T, Error: fmt::Display>(
    engine: &E,
    what: &str,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, String> {
    match select(pin!(call), pin!(engine.sleep(LIMIT))).await {
        Either::Left((answer, _)) => answer.map_err(|error| format!("{what}: {error}")),
        Either::Right(_) => Err(format!("{what} has not returned after {LIMIT:?}")),
    }
}

struct Laws<'a, E: Engine> {
    engine: &'a E,
    source: E::Source,
    abilities: Abilities,
    report: &'a mut Report,
    next_job: u64,
}

pub(super) async fn check<E: Engine>(engine: &E, report: &mut Report) -> Result<(), String> {
    let source = engine.connect().await?;
    let abilities = source.abilities();
    let mut laws = Laws { engine, source, abilities, report, next_job: FIRST };
    laws.nothing_is_waited_for().await?;
    laws.done_is_done().await?;
    laws.no_more_than_the_room().await?;
    laws.again().await?;
    laws.dead_is_kept_aside().await?;
    laws.each_has_its_own_verdict().await?;
    laws.receipts_name_one_delivery().await?;
    laws.a_lease_is_renewed().await?;
    laws.what_is_given_up_comes_again().await
}

impl<E: Engine> Laws<'_, E> {
    fn find(&mut self, finding: impl Into<String>) {
        self.report.findings.push(finding.into());
    }

    async fn put(&mut self, count: u64) -> Result<Vec<u64>, String> {
        let jobs: Vec<u64> = (self.next_job..).take(usize::try_from(count).unwrap_or(0)).collect();
        self.next_job += count;
        self.engine.enqueue(&jobs).await?;
        Ok(jobs)
    }

    /// Pulls, once.
    async fn pull(&mut self, room: u32, wait: Duration) -> Result<Deliveries<E>, String> {
        let room = NonZeroU32::new(room).unwrap_or(NonZeroU32::MIN);
        let mut into = Vec::new();
        let clock = self.engine.runtime().clock();
        let before = clock();
        let pulled = in_time(self.engine, "pull", self.source.pull(room, wait, &mut into)).await?;
        let took = clock().saturating_since(before);
        if took > wait + LATENESS {
            self.find(format!("a pull that was to wait for {wait:?} returned after {took:?}"));
        }
        if (pulled == Pulled::Some) == into.is_empty() {
            self.find(format!("a pull said {pulled:?} and brought {} deliveries", into.len()));
        }
        if into.len() > room.get() as usize {
            self.find(format!("a pull with room for {room} brought {} deliveries", into.len()));
        }
        Ok(into)
    }

    /// Pulls until something comes, or the patience is over.
    async fn pull_one(&mut self) -> Result<Option<Delivery<u64, Receipt<E>>>, String> {
        Ok(self.pull(1, PATIENCE).await?.into_iter().next())
    }

    /// The next delivery, which has to come. A finding if it does not.
    async fn expect(&mut self, why: &str) -> Result<Option<Delivery<u64, Receipt<E>>>, String> {
        let delivery = self.pull_one().await?;
        if delivery.is_none() {
            self.find(format!("nothing came: {why}"));
        }
        Ok(delivery)
    }

    async fn settle(&mut self, receipt: Receipt<E>, verdict: Verdict) -> Result<u32, String> {
        self.settle_all(vec![Settling::new(receipt, verdict)]).await
    }

    async fn settle_all(&mut self, mut verdicts: Vec<Settling<Receipt<E>>>) -> Result<u32, String> {
        let stale = in_time(self.engine, "settle", self.source.settle(&mut verdicts)).await?;
        if !verdicts.is_empty() {
            self.find(format!("settle returned Ok, and left {} verdicts unconfirmed", verdicts.len()));
        }
        Ok(stale)
    }

    async fn expect_left(&mut self, expected: u64, when: &str) -> Result<(), String> {
        let left = self.engine.left().await?;
        if left != expected {
            self.find(format!("{left} jobs are left {when}, and it should be {expected}"));
        }
        Ok(())
    }

    async fn expect_nothing(&mut self, when: &str) -> Result<(), String> {
        let found = self.pull(8, IMPATIENCE).await?;
        for delivery in found {
            let job = delivery.job.unwrap_or_default();
            self.find(format!("job {} was delivered again {when}", job.wrapping_sub(FIRST)));
            self.settle(delivery.receipt, Verdict::Done).await?;
        }
        Ok(())
    }

    async fn nothing_is_waited_for(&mut self) -> Result<(), String> {
        let clock = self.engine.runtime().clock();
        let before = clock();
        let found = self.pull(4, IMPATIENCE).await?;
        if !found.is_empty() {
            return Err(format!("the engine is not empty: {} jobs", found.len()));
        }
        let took = clock().saturating_since(before);
        if took < IMPATIENCE / 2 {
            self.find(format!(
                "a pull that was to wait for {IMPATIENCE:?} came back empty after {took:?}: it would spin"
            ));
        }
        Ok(())
    }

    async fn done_is_done(&mut self) -> Result<(), String> {
        let jobs = self.put(1).await?;
        let Some(delivery) = self.expect("a job was put in").await? else { return Ok(()) };
        if delivery.job.ok() != jobs.first().copied() || delivery.deliveries != 1 {
            self.find(format!("the first delivery of a job says {} deliveries", delivery.deliveries));
        }
        self.expect_left(1, "while one is pulled").await?;
        if self.settle(delivery.receipt, Verdict::Done).await? != 0 {
            self.find("the verdict of the only delivery was stale");
        }
        self.engine.sleep(self.abilities.lease.unwrap_or_default().mul_f32(1.2)).await;
        self.expect_nothing("after it was done").await?;
        self.expect_left(0, "after the only one was done").await
    }

    async fn no_more_than_the_room(&mut self) -> Result<(), String> {
        let jobs = self.put(9).await?;
        let mut seen = Vec::new();
        for _ in 0..jobs.len() {
            let deliveries = self.pull(2, PATIENCE).await?;
            let verdicts = deliveries.iter().map(|one| Settling::new(one.receipt.clone(), Verdict::Done));
            let verdicts = verdicts.collect();
            seen.extend(deliveries.into_iter().filter_map(|delivery| delivery.job.ok()));
            self.settle_all(verdicts).await?;
            if seen.len() >= jobs.len() {
                break;
            }
        }
        seen.sort_unstable();
        if seen != jobs {
            self.find(format!("of 9 jobs {} were delivered, each once or not at all", seen.len()));
        }
        self.expect_left(0, "after all were done").await
    }

    async fn again(&mut self) -> Result<(), String> {
        self.put(1).await?;
        let again = |after, counted| Verdict::Again { after, counted };
        let Some(first) = self.expect("a job was put in").await? else { return Ok(()) };
        self.settle(first.receipt, again(Duration::ZERO, true)).await?;
        let Some(second) = self.expect("it was to be delivered again at once").await? else { return Ok(()) };
        if second.deliveries != 2 {
            self.find(format!("the second delivery of a job says {} deliveries", second.deliveries));
        }
        self.settle(second.receipt, again(Duration::ZERO, false)).await?;
        let Some(third) = self.expect("it was to be delivered again at once").await? else { return Ok(()) };
        let expected = if self.abilities.uncounted { 2 } else { 3 };
        if third.deliveries != expected {
            self.find(format!(
                "after a delivery that does not count, one says {} deliveries, and it should be {expected}",
                third.deliveries
            ));
        }
        if self.abilities.delays {
            let delay = Duration::from_millis(600);
            self.settle(third.receipt, again(delay, true)).await?;
            let clock = self.engine.runtime().clock();
            let settled_at = clock();
            self.expect_nothing("before its delay had passed").await?;
            if let Some(last) = self.expect("its delay has passed").await? {
                let after = clock().saturating_since(settled_at);
                if after + TOLERANCE < delay {
                    self.find(format!("what was to come after {delay:?} came after {after:?}"));
                }
                self.settle(last.receipt, Verdict::Done).await?;
            }
        } else {
            self.settle(third.receipt, Verdict::Done).await?;
        }
        self.expect_left(0, "after the last delivery was done").await
    }

    async fn dead_is_kept_aside(&mut self) -> Result<(), String> {
        let before = self.engine.dead().await?.len();
        let jobs = self.put(1).await?;
        let Some(delivery) = self.expect("a job was put in").await? else { return Ok(()) };
        let message = Message::of("on purpose");
        self.settle(delivery.receipt, Verdict::Dead { why: Death::Failed, message }).await?;
        let dead = self.engine.dead().await?;
        if dead.len() != before + 1 || dead.iter().filter(|dead| jobs.contains(dead)).count() != 1 {
            self.find(format!("{} dead letters, and it should be one more than {before}", dead.len()));
        }
        self.expect_nothing("after it was dead").await?;
        self.expect_left(0, "after the only one was dead").await
    }

    /// Verdicts in one batch do not take each other along.
    async fn each_has_its_own_verdict(&mut self) -> Result<(), String> {
        self.put(3).await?;
        let mut deliveries = Vec::new();
        while deliveries.len() < 3 {
            let Some(delivery) = self.expect("three jobs were put in").await? else { return Ok(()) };
            deliveries.push(delivery);
        }
        let again = Verdict::Again { after: Duration::ZERO, counted: true };
        let dead = Verdict::Dead { why: Death::Failed, message: Message::of("on purpose") };
        let verdicts = deliveries.into_iter().zip([Verdict::Done, again, dead]);
        let verdicts = verdicts.map(|(delivery, verdict)| Settling::new(delivery.receipt, verdict)).collect();
        self.settle_all(verdicts).await?;
        self.expect_left(1, "after one of three was to be delivered again").await?;
        if let Some(delivery) = self.expect("one of three was to be delivered again").await? {
            self.settle(delivery.receipt, Verdict::Done).await?;
        }
        self.expect_left(0, "after all were done or dead").await
    }

    async fn receipts_name_one_delivery(&mut self) -> Result<(), String> {
        let Some(lease) = self.abilities.lease else { return Ok(()) };
        self.put(1).await?;
        let Some(first) = self.expect("a job was put in").await? else { return Ok(()) };
        self.engine.sleep(lease.mul_f32(1.2)).await;
        let Some(second) = self.expect("the lease of its delivery has run out").await? else { return Ok(()) };
        if second.deliveries != 2 {
            self.find(format!("after a lease has run out, a delivery says {} deliveries", second.deliveries));
        }
        // An error is as good as nothing: what must not be is that it revives the receipt.
        drop(in_time(self.engine, "extend", self.source.extend(core::slice::from_ref(&first.receipt))).await);
        if self.settle(first.receipt, Verdict::Done).await? != 1 {
            self.find("a receipt whose lease had run out was not stale");
        }
        self.expect_left(1, "after a stale receipt was settled").await?;
        if self.settle(second.receipt, Verdict::Done).await? != 0 {
            self.find("the receipt of the latest delivery was stale, after one before it was settled");
        }
        self.expect_left(0, "after the latest delivery was done").await
    }

    async fn a_lease_is_renewed(&mut self) -> Result<(), String> {
        let Some(lease) = self.abilities.lease else { return Ok(()) };
        self.put(1).await?;
        let Some(delivery) = self.expect("a job was put in").await? else { return Ok(()) };
        for _ in 0..6 {
            self.engine.sleep(lease / 3).await;
            let held = [delivery.receipt.clone()];
            in_time(self.engine, "extend", self.source.extend(&held)).await?;
        }
        self.expect_nothing("while its lease was renewed").await?;
        if self.settle(delivery.receipt, Verdict::Done).await? != 0 {
            self.find("a receipt was stale, although its lease was renewed each third");
        }
        self.expect_left(0, "after a delivery with a renewed lease was done").await
    }

    async fn what_is_given_up_comes_again(mut self) -> Result<(), String> {
        let jobs = self.put(1).await?;
        let Some(delivery) = self.expect("a job was put in").await? else { return Ok(()) };
        self.source.close().await;
        let Self { engine, source, abilities, report, next_job } = self;
        drop((delivery, source));
        engine.sleep(abilities.lease.unwrap_or_default().mul_f32(1.2)).await;
        let source = engine.connect().await?;
        let mut laws = Self { engine, source, abilities, report, next_job };
        if let Some(again) = laws.expect("the worker that had it has gone").await? {
            if again.job.ok() != jobs.first().copied() {
                laws.find("another job came than the one that was given up");
            }
            laws.settle(again.receipt, Verdict::Done).await?;
        }
        laws.expect_left(0, "at the end").await?;
        laws.source.close().await;
        Ok(())
    }
}
