//! The one thread that reads and writes the file. Whatever has come while a transaction was committed goes into the next one
//! together: group commit, as databases do it for their logs, without a time to wait.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_channel::Receiver;
use async_io::Timer;
use futures_util::future::{Either, select};
use redb::Database;

use crate::error::QueueError;
use crate::job::Stats;
use crate::mailbox::{CALLS, Call, Pull, Reply};
use crate::options::Options;
use crate::store::{self, Out, Outlook, Store};

/// A file that is smaller than this is not worth compacting.
const SMALL: u64 = 1 << 22;
/// More than this is not compacted by itself: while it is, everybody waits.
const MOST_LIVE: u64 = 1 << 24;
/// How often it is looked whether compacting is worth it.
const LOOKS_EVERY: Duration = Duration::from_secs(10);
/// How many dead letters are removed in one transaction.
const PURGED: usize = 256;

pub(crate) struct Writer {
    path: PathBuf,
    options: Options,
    /// `None` after an error, until it is opened again.
    database: Option<Database>,
    calls: Receiver<Call>,
    /// Pulls that wait for a job.
    waiting: Vec<Pull>,
    out: Out,
    next_delivery: u64,
    outlook: Outlook,
    /// When it was looked last whether compacting is worth it.
    looked_at: Instant,
}

/// What is answered once the transaction is on disk.
type Answer = Box<dyn FnOnce(Result<(), QueueError>) + Send>;

impl Writer {
    pub(crate) fn new(
        path: PathBuf,
        options: Options,
        database: Database,
        calls: Receiver<Call>,
        outlook: Outlook,
    ) -> Self {
        let (waiting, out) = (Vec::new(), Out::new());
        let looked_at = Instant::now();
        Self {
            path,
            options,
            database: Some(database),
            calls,
            waiting,
            out,
            next_delivery: 0,
            outlook,
            looked_at,
        }
    }

    /// Answers calls until nobody is left to make any.
    pub(crate) fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            let first = async_io::block_on(self.next_call());
            match first {
                Next::Call(call) => batch.push(call),
                Next::Time => {}
                Next::End => break,
            }
            while batch.len() < CALLS {
                let Ok(call) = self.calls.try_recv() else { break };
                batch.push(call);
            }
            self.answer(&mut batch);
        }
    }

    /// The next call, or the time at which a pull has to be answered or a job is ready.
    async fn next_call(&self) -> Next {
        let calls = std::pin::pin!(self.calls.recv());
        let received = |call: Result<Call, _>| call.map_or(Next::End, Next::Call);
        let Some(at) = self.next_time() else { return received(calls.await) };
        match select(calls, Timer::at(at)).await {
            Either::Left((call, _)) => received(call),
            Either::Right(_) => Next::Time,
        }
    }

    fn next_time(&self) -> Option<Instant> {
        let until = self.waiting.iter().map(|pull| pull.until).min()?;
        let due = self.outlook.next_due.map(|due| {
            // The wall clock may be set: look again after an hour at the latest.
            let left = Duration::from_millis(due.saturating_sub(store::now_millis()));
            Instant::now() + left.min(Duration::from_secs(3_600))
        });
        Some(due.map_or(until, |due| due.min(until)))
    }

    /// Carries the calls out in one transaction, and answers them.
    fn answer(&mut self, batch: &mut Vec<Call>) {
        let mut writes = Vec::with_capacity(batch.len());
        for call in batch.drain(..) {
            match call {
                Call::Pull(pull) => self.waiting.push(pull),
                Call::Release { source } => self.out.retain(|_, (of, _)| *of != source),
                Call::Compact { reply } => drop(reply.send(self.compact())),
                call => writes.push(call),
            }
        }
        let is_due = self.outlook.next_due.is_some_and(|due| due <= store::now_millis());
        if !writes.is_empty() || self.has_work_for_pulls() || is_due {
            // What is out is as it was if the commit fails.
            let before = self.out.clone();
            if let Err(error) = self.transact(writes) {
                self.out = before;
                self.fail(&error);
            }
        }
        let now = Instant::now();
        for at in (0..self.waiting.len()).rev() {
            if self.waiting.get(at).is_some_and(|pull| pull.until <= now || pull.reply.is_canceled()) {
                drop(self.waiting.swap_remove(at).reply.send(Ok(Vec::new())));
            }
        }
        self.compact_if_worth_it();
    }

    /// Whether a pull waits and there may be a job for it.
    fn has_work_for_pulls(&self) -> bool {
        !self.waiting.is_empty() && self.outlook.ready > self.out.len() as u64
    }

    /// One transaction.
    fn transact(&mut self, calls: Vec<Call>) -> Result<(), QueueError> {
        let mut answers: Vec<Answer> = Vec::with_capacity(calls.len());
        let mut replies = calls;
        let result = self.try_transact(&mut replies, &mut answers);
        let failed = result.as_ref().err().cloned();
        let outcome = || failed.clone().map_or(Ok(()), Err);
        answers.into_iter().for_each(|answer| answer(outcome()));
        // Those that were not reached.
        if let Some(error) = &failed {
            replies.into_iter().for_each(|call| refuse(call, error));
        }
        result
    }

    fn try_transact(&mut self, calls: &mut Vec<Call>, answers: &mut Vec<Answer>) -> Result<(), QueueError> {
        let database = self.database()?;
        let transaction = database.begin_write().map_err(redb::Error::from)?;
        let (mut out, mut next) = (core::mem::take(&mut self.out), self.next_delivery);
        let mut waiting = core::mem::take(&mut self.waiting);
        let result = self.fill(&transaction, calls, answers, &mut waiting, &mut out, &mut next);
        (self.out, self.next_delivery, self.waiting) = (out, next, waiting);
        let outlook = result?;
        transaction.commit().map_err(redb::Error::from)?;
        self.outlook = outlook;
        Ok(())
    }

    /// What is done within a transaction.
    fn fill(
        &self,
        transaction: &redb::WriteTransaction,
        calls: &mut Vec<Call>,
        answers: &mut Vec<Answer>,
        waiting: &mut Vec<Pull>,
        out: &mut Out,
        next: &mut u64,
    ) -> Result<Outlook, QueueError> {
        let mut store = Store::open(transaction)?;
        store.sweep()?;
        let mut rest = core::mem::take(calls).into_iter();
        while let Some(call) = rest.next() {
            if let Err(error) = self.carry_out(call, &mut store, answers, out) {
                calls.extend(rest);
                return Err(error);
            }
        }
        let (mut left, mut rest) = (Vec::new(), core::mem::take(waiting).into_iter());
        while let Some(pull) = rest.next() {
            if pull.reply.is_canceled() {
                continue;
            }
            match store.pull(pull.source, pull.room, out, next) {
                Ok(pulled) if pulled.is_empty() => left.push(pull),
                Ok(pulled) => answers.push(promise(pull.reply, pulled)),
                Err(error) => {
                    waiting.push(pull);
                    waiting.extend(left.into_iter().chain(rest));
                    return Err(error.into());
                }
            }
        }
        *waiting = left;
        Ok(store.outlook()?)
    }

    fn carry_out(
        &self,
        call: Call,
        store: &mut Store<'_>,
        answers: &mut Vec<Answer>,
        out: &mut Out,
    ) -> Result<(), QueueError> {
        answers.push(match call {
            Call::Enqueue { jobs, reply } => {
                let enqueued = jobs.iter().map(|job| store.enqueue(job)).collect::<Result<Vec<_>, _>>();
                promise_or_refuse(reply, enqueued)?
            }
            Call::Settle { source, verdicts, reply } => {
                let mut stale = 0;
                for (receipt, verdict) in verdicts {
                    if out.get(&receipt.number) != Some(&(source, receipt.delivery)) {
                        stale += 1;
                        continue;
                    }
                    out.remove(&receipt.number);
                    if let Err(error) = store.settle(receipt.number, &verdict, self.options.remember) {
                        return refused(reply, error);
                    }
                }
                promise(reply, stale)
            }
            Call::Dead { from, most, reply } => promise_or_refuse(reply, store.dead(from, most))?,
            Call::Requeue { number, reply } => promise_or_refuse(reply, store.requeue(number))?,
            Call::Purge { number, reply } => promise_or_refuse(reply, store.purge(number))?,
            Call::PurgeSome { reply } => {
                let purged = store.first_dead(PURGED).and_then(|numbers| {
                    numbers.iter().try_for_each(|number| store.purge(*number).map(drop))?;
                    Ok(numbers.len() as u64)
                });
                promise_or_refuse(reply, purged)?
            }
            Call::Stats { reply } => {
                let file_bytes = self.file_bytes();
                let stats = store.stats(out).map(|stats| Stats { file_bytes, ..stats });
                promise_or_refuse(reply, stats)?
            }
            Call::Pull(_) | Call::Release { .. } | Call::Compact { .. } => return Ok(()),
        });
        Ok(())
    }

    /// The database, which is opened again after an error.
    fn database(&mut self) -> Result<&Database, QueueError> {
        if self.database.is_none() {
            // It was checked when the queue was opened, and redb itself repairs what an error has cut short.
            let opened = self.options.check(false).builder().open(&self.path).map_err(redb::Error::from)?;
            // The last commit may be in the file although it was an error.
            let transaction = opened.begin_write().map_err(redb::Error::from)?;
            self.outlook = Store::open(&transaction)?.outlook()?;
            transaction.abort().map_err(redb::Error::from)?;
            self.database = Some(opened);
        }
        self.database.as_ref().ok_or(QueueError::Closed)
    }

    /// A transaction has failed: what was confirmed is in the file, which is opened again for the next one.
    fn fail(&mut self, error: &QueueError) {
        self.database = None;
        for pull in self.waiting.drain(..) {
            drop(pull.reply.send(Err(error.clone())));
        }
    }

    fn file_bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |data| data.len())
    }

    fn compact(&mut self) -> Result<bool, QueueError> {
        self.database()?;
        let Some(database) = &mut self.database else { return Err(QueueError::Closed) };
        database.compact().map_err(|error| QueueError::Storage(error.to_string()))
    }

    /// Compacts a large file with little in it: that is quick.
    fn compact_if_worth_it(&mut self) {
        let is_idle = self.outlook.ready == 0 && self.out.is_empty() && self.calls.is_empty();
        if !is_idle || self.looked_at.elapsed() < LOOKS_EVERY {
            return;
        }
        self.looked_at = Instant::now();
        if self.file_bytes() < SMALL {
            return;
        }
        let live = self.database.as_ref().and_then(|database| {
            let transaction = database.begin_write().ok()?;
            let stats = transaction.stats().ok()?;
            Some(stats.stored_bytes() + stats.metadata_bytes())
        });
        if live.is_some_and(|live| live < MOST_LIVE && live < self.file_bytes() / 4) {
            // If it fails, the file stays as large as it is.
            drop(self.compact());
        }
    }
}

enum Next {
    Call(Call),
    Time,
    End,
}

/// Answers with this value once it is on disk.
fn promise<T: Send + 'static>(reply: Reply<T>, value: T) -> Answer {
    Box::new(move |outcome: Result<(), QueueError>| drop(reply.send(outcome.map(|()| value))))
}

fn promise_or_refuse<T: Send + 'static>(
    reply: Reply<T>,
    result: Result<T, redb::Error>,
) -> Result<Answer, QueueError> {
    match result {
        Ok(value) => Ok(promise(reply, value)),
        Err(error) => refused(reply, error).map(|()| Box::new(|_: Result<(), QueueError>| ()) as Answer),
    }
}

fn refused<T>(reply: Reply<T>, error: redb::Error) -> Result<(), QueueError> {
    let error = QueueError::from(error);
    drop(reply.send(Err(error.clone())));
    Err(error)
}

/// Answers a call that was not carried out.
fn refuse(call: Call, error: &QueueError) {
    fn send<T>(reply: Reply<T>, error: &QueueError) {
        drop(reply.send(Err(error.clone())));
    }
    match call {
        Call::Enqueue { reply, .. } => send(reply, error),
        Call::Pull(pull) => send(pull.reply, error),
        Call::Settle { reply, .. } => send(reply, error),
        Call::Release { .. } => {}
        Call::Dead { reply, .. } => send(reply, error),
        Call::Requeue { reply, .. } | Call::Purge { reply, .. } => send(reply, error),
        Call::PurgeSome { reply } => send(reply, error),
        Call::Stats { reply } => send(reply, error),
        Call::Compact { reply } => send(reply, error),
    }
}
