//! Workers that do jobs while bad things happen.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{AbortHandle, abortable};

use super::watched::{Seen, Watched};
use super::{Effort, Engine, Report};
use crate::runtime::Runtime;
use crate::source::{Pull, SourceHandle, SourceLimits};
use crate::{Context, Drain, Instant, Processor, Retry};

/// What the handler works on.
type Work = fn(u64, Context) -> Result<(), String>;

/// How many attempts a worker runs at a time, and how many deliveries it may have.
const CONCURRENCY: u32 = 8;
const CREDIT: u32 = 16;

/// How long a puller may take to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long an engine is asked for, that may count wrongly after it was away.
const GRACE: Duration = Duration::from_secs(5);

/// What has become of a job, as the handler has seen it.
#[derive(Default)]
struct Fate {
    done: AtomicU32,
    failed: AtomicU32,
    snoozed: AtomicBool,
}

/// What a job is to come to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nature {
    Good,
    /// Its first attempt fails.
    FailsOnce,
    /// It asks for a pause, once.
    Snoozes,
    /// It fails for good.
    Poison,
    /// Its handler panics.
    Panics,
}

const fn nature(job: u64) -> Nature {
    match job % 50 {
        3 | 13 | 23 | 33 | 43 => Nature::FailsOnce,
        5 | 25 => Nature::Snoozes,
        7 => Nature::Poison,
        11 => Nature::Panics,
        _ => Nature::Good,
    }
}

const fn is_to_die(job: u64) -> bool {
    matches!(nature(job), Nature::Poison | Nature::Panics)
}

/// One worker: a processor, and the future that pulls for it.
struct Worker {
    processor: Processor<Work>,
    source: SourceHandle<Work>,
    abort: AbortHandle,
    /// Whether the future is gone, and with it the source.
    is_gone: Arc<AtomicBool>,
}

struct Storm<'a, E: Engine> {
    engine: &'a E,
    effort: Effort,
    fates: Arc<Vec<Fate>>,
    seen: Arc<Seen>,
    rng: fastrand::Rng,
    unconfirmed: u64,
}

pub(super) async fn check<E: Engine>(engine: &E, effort: Effort, report: &mut Report) -> Result<(), String> {
    let fates = (0..effort.jobs).map(|_| Fate::default()).collect();
    let mut storm = Storm {
        engine,
        effort,
        fates: Arc::new(fates),
        seen: Arc::default(),
        rng: fastrand::Rng::with_seed(effort.seed),
        unconfirmed: 0,
    };
    let dead_before = engine.dead().await?.len();
    storm.calm(report).await?;
    let result = storm.blow(report).await;
    storm.judge(dead_before, report).await?;
    result
}

impl<E: Engine> Storm<'_, E> {
    /// A tenth of the jobs, by two workers if there can be two, and nothing bad happens: nothing is done twice.
    async fn calm(&mut self, report: &mut Report) -> Result<(), String> {
        let tenth = self.effort.jobs / 10;
        let jobs: Vec<u64> = (0..tenth).collect();
        self.engine.enqueue(&jobs).await?;
        let mut workers = vec![self.start().await?];
        if !self.engine.exclusive() {
            workers.push(self.start().await?);
        }
        self.finish(tenth, &mut workers, report).await?;
        for worker in workers {
            self.drain(worker, report).await;
        }
        let twice = self.fates.iter().filter(|fate| fate.done.load(Ordering::Relaxed) > 1).count();
        if twice > 0 {
            report.findings.push(format!("{twice} jobs were done twice, although nothing bad had happened"));
        }
        Ok(())
    }

    /// All others, while bad things happen.
    async fn blow(&mut self, report: &mut Report) -> Result<(), String> {
        let mut jobs = (self.effort.jobs / 10..self.effort.jobs).collect::<Vec<_>>().into_iter();
        let share = jobs.len() / (self.effort.events.max(1) as usize) + 1;
        let mut workers = vec![self.start().await?];
        for event in 0..self.effort.events {
            let some: Vec<u64> = jobs.by_ref().take(share).collect();
            self.engine.enqueue(&some).await?;
            self.rest().await;
            self.happen(event, &mut workers, report).await?;
        }
        self.engine.enqueue(&jobs.collect::<Vec<_>>()).await?;
        self.finish(self.effort.jobs, &mut workers, report).await?;
        for worker in workers {
            self.drain(worker, report).await;
        }
        Ok(())
    }

    async fn rest(&mut self) {
        let most = u64::try_from(self.effort.calm.as_micros()).unwrap_or(u64::MAX).max(1);
        let time = Duration::from_micros(self.rng.u64(..most));
        self.engine.sleep(time).await;
    }

    /// One bad thing: first each of them once, then drawn at random.
    async fn happen(
        &mut self,
        event: u32,
        workers: &mut Vec<Worker>,
        report: &mut Report,
    ) -> Result<(), String> {
        let first = [0, 4, 6, 7].get(event as usize).copied();
        match first.unwrap_or_else(|| self.rng.u8(..8)) {
            0..=3 => {
                let Some(worker) = workers.pop() else { return Ok(()) };
                self.note_unconfirmed(core::slice::from_ref(&worker));
                self.kill(worker).await;
                report.kills += 1;
                workers.push(self.start().await?);
            }
            4 | 5 => {
                let Some(worker) = workers.pop() else { return Ok(()) };
                self.drain(worker, report).await;
                report.drains += 1;
                workers.push(self.start().await?);
            }
            6 => {
                self.note_unconfirmed(workers);
                if self.engine.set_away(true).await? {
                    report.aways += 1;
                    self.engine.sleep(self.effort.away).await;
                    self.note_unconfirmed(workers);
                    self.engine.set_away(false).await?;
                }
            }
            _ => {
                self.note_unconfirmed(workers);
                report.cuts += u32::from(self.engine.cut().await?);
                self.note_unconfirmed(workers);
            }
        }
        Ok(())
    }

    /// What these workers have now may be done again.
    fn note_unconfirmed(&mut self, workers: &[Worker]) {
        for view in workers.iter().filter_map(|worker| worker.source.view()) {
            self.unconfirmed += u64::from(view.held + view.owed + view.leaving);
        }
    }

    /// Starts a worker.
    async fn start(&mut self) -> Result<Worker, String> {
        let runtime = self.engine.runtime();
        let source = self.connect().await?;
        let fates = self.fates.clone();
        let processor = Processor::builder()
            .queue(CREDIT)
            .concurrency(CONCURRENCY)
            .sources(SourceLimits::new(1).credit(CREDIT))
            .timeout(Duration::from_secs(30))
            .retry(Retry::times(3).base(Duration::from_millis(5)).cap(Duration::from_millis(20)))
            .spawn_on(self.engine.runtime(), move |job: u64, cx: Context| handle(job, cx, fates.clone()))
            .map_err(|error| error.to_string())?;
        let watched = Watched { source, seen: self.seen.clone() };
        let backoff = Retry::times(1).base(Duration::from_millis(20)).cap(Duration::from_millis(200));
        let pull =
            Pull::new().credit(CREDIT).deliveries(1_000).wait(Duration::from_millis(100)).backoff(backoff);
        let (source, puller) = processor.source(watched, pull).map_err(|refused| refused.to_string())?;
        let (puller, abort) = abortable(puller);
        let is_gone = Arc::new(AtomicBool::new(false));
        let gone = is_gone.clone();
        runtime.spawn(async move {
            let _ = puller.await;
            gone.store(true, Ordering::Release);
        });
        Ok(Worker { processor, source, abort, is_gone })
    }

    /// A connection. An engine that has just come back may need a few tries.
    async fn connect(&self) -> Result<E::Source, String> {
        let mut tries = 0;
        loop {
            match self.engine.connect().await {
                Err(_) if tries < 50 => tries += 1,
                connected => return connected,
            }
            self.engine.sleep(Duration::from_millis(100)).await;
        }
    }

    /// Ends a worker as if its process had died: nobody is told anything.
    async fn kill(&self, worker: Worker) {
        worker.abort.abort();
        self.is_gone_in_time(&worker.is_gone).await;
        drop(worker);
    }

    async fn drain(&self, worker: Worker, report: &mut Report) {
        let started = self.now();
        let Worker { processor, is_gone, .. } = worker;
        let ended = processor.shutdown(Drain::graceful(Duration::from_secs(30))).await;
        let left = ended.remains.deliveries;
        let took = self.now().saturating_since(started);
        if left > 0 {
            let finding = format!("a drain gave up {left} verdicts, after {took:?} of its 30 s");
            report.findings.push(finding);
        }
        if !self.is_gone_in_time(&is_gone).await {
            report.findings.push(format!("a puller has not ended {PATIENCE:?} after its drain"));
        }
    }

    /// Waits until the future of a worker is gone.
    async fn is_gone_in_time(&self, is_gone: &AtomicBool) -> bool {
        let started = self.now();
        while !is_gone.load(Ordering::Acquire) {
            if self.now().saturating_since(started) > PATIENCE {
                return false;
            }
            self.engine.sleep(Duration::from_millis(1)).await;
        }
        true
    }

    fn now(&self) -> Instant {
        self.engine.runtime().clock()()
    }

    /// Waits until these jobs are done or dead, and no job is left.
    async fn finish(&mut self, jobs: u64, workers: &mut [Worker], report: &Report) -> Result<(), String> {
        let (started, mut ended_at) = (self.now(), None);
        let trusts_counts = self.engine.counts_after_crashes() || report.aways == 0;
        loop {
            let (left, now) = (self.engine.left().await?, self.now());
            let to_do = self.to_do(jobs).await?;
            if to_do == 0 {
                let since = *ended_at.get_or_insert(now);
                if left == 0 || (!trusts_counts && now.saturating_since(since) > GRACE) {
                    return Ok(());
                }
            }
            if now.saturating_since(started) > self.effort.limit {
                let views: Vec<_> = workers.iter().map(|worker| worker.source.view()).collect();
                let error = workers.first().and_then(|worker| worker.processor.last_error());
                let error = error.map(|error| error.message.as_str().to_owned());
                return Err(format!(
                    "after {:?} {to_do} jobs are neither done nor dead, and the engine says that {left} are left; \
                     the workers: {views:?}; the last error: {error:?}",
                    self.effort.limit
                ));
            }
            self.engine.sleep(Duration::from_millis(20)).await;
        }
    }

    /// How many of the first so many jobs are neither done nor dead.
    async fn to_do(&self, jobs: u64) -> Result<usize, String> {
        let is_done = |job: u64| {
            let fate = usize::try_from(job).ok().and_then(|job| self.fates.get(job));
            fate.is_some_and(|fate| fate.done.load(Ordering::Relaxed) > 0)
        };
        let mut open: BTreeSet<u64> = (0..jobs).filter(|job| !is_done(*job)).collect();
        if open.iter().all(|job| is_to_die(*job)) {
            for job in self.engine.dead().await? {
                open.remove(&job);
            }
        }
        Ok(open.len())
    }

    /// What every job has come to.
    async fn judge(&mut self, dead_before: usize, report: &mut Report) -> Result<(), String> {
        let dead = self.engine.dead().await?;
        let mut wrong: [(&str, u64); 4] = [
            ("were never done, and are not dead", 0),
            ("are dead, and should have been done", 0),
            ("are dead more than once", 0),
            ("were done, and should have died", 0),
        ];
        for (job, fate) in (0..).zip(self.fates.iter()) {
            let done = u64::from(fate.done.load(Ordering::Relaxed));
            let deaths = dead.iter().filter(|dead| **dead == job).count();
            report.jobs += 1;
            report.done += u64::from(done > 0);
            report.duplicates += done.saturating_sub(1);
            let found = match (done > 0, deaths) {
                (false, 0) => Some(0),
                (_, 1..) if !is_to_die(job) => Some(1),
                (_, 2..) => Some(2),
                (true, _) if is_to_die(job) => Some(3),
                _ => None,
            };
            if let Some((_, count)) = found.and_then(|kind: usize| wrong.get_mut(kind)) {
                *count += 1;
            }
        }
        report.dead += (dead.len() - dead_before.min(dead.len())) as u64;
        for (what, count) in wrong.into_iter().filter(|(_, count)| *count > 0) {
            report.findings.push(format!("{count} jobs {what}"));
        }
        if report.duplicates > self.unconfirmed {
            report.findings.push(format!(
                "{} jobs were done again, and only {} verdicts were unconfirmed when something happened",
                report.duplicates, self.unconfirmed
            ));
        }
        report.unconfirmed += self.unconfirmed;
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        report.pulled += load(&self.seen.pulled);
        report.redelivered += load(&self.seen.redelivered);
        report.stale += load(&self.seen.stale);
        report.errors += load(&self.seen.errors);
        report.findings.append(&mut self.seen.take_findings());
        Ok(())
    }
}

/// Does a job, as its nature wills.
async fn handle(job: u64, cx: Context, fates: Arc<Vec<Fate>>) -> Result<(), String> {
    let stopped = |_| String::from("stopped");
    cx.sleep(Duration::from_micros(job % 7 * 300)).await.map_err(stopped)?;
    // A job of something else does nothing.
    let Some(fate) = usize::try_from(job).ok().and_then(|job| fates.get(job)) else { return Ok(()) };
    match nature(job) {
        Nature::FailsOnce if fate.failed.fetch_add(1, Ordering::Relaxed) == 0 => {
            return Err("it fails the first time".to_owned());
        }
        Nature::Snoozes if !fate.snoozed.swap(true, Ordering::Relaxed) => {
            cx.snooze(Duration::from_millis(5)).map_err(|refused| refused.to_string())?;
            return Err("snoozed".to_owned());
        }
        Nature::Poison => {
            cx.no_retry();
            return Err("it always fails".to_owned());
        }
        // A panic, without the noise of one.
        Nature::Panics => resume_unwind(Box::new("it always panics")),
        _ => {}
    }
    fate.done.fetch_add(1, Ordering::Relaxed);
    Ok(())
}
