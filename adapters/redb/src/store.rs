//! The tables, and what is done to them within one transaction.
//!
//! | table | from | to |
//! |---|---|---|
//! | `heads` | job number | reversed priority, deliveries, key |
//! | `payloads` | job number | payload |
//! | `names` | job number | identity |
//! | `ids` | identity | job number |
//! | `ready` | reversed priority, job number | |
//! | `delayed` | when it is ready, job number | |
//! | `dead` | job number | since when, why, text of the last error, reversed priority, deliveries, key |
//! | `done` | identity | until when it is remembered |
//! | `done_until` | until when, identity | |
//! | `meta` | name | number |
//!
//! A delivery that is out stays in `ready`, and is passed over: so a process that dies leaves nothing to be mended. Times are
//! milliseconds since 1970.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use plimsoll::source::{Death, Verdict};
use redb::{ReadableTable, ReadableTableMetadata, Table, TableDefinition, WriteTransaction};

use crate::job::{DeadJob, Enqueued, Job, Receipt, Stats};

type Head = (u8, u32, Option<u64>);
type Grave = (u64, u8, &'static str, u8, u32, Option<u64>);

const HEADS: TableDefinition<u64, Head> = TableDefinition::new("heads");
const PAYLOADS: TableDefinition<u64, &[u8]> = TableDefinition::new("payloads");
const NAMES: TableDefinition<u64, &[u8]> = TableDefinition::new("names");
const IDS: TableDefinition<&[u8], u64> = TableDefinition::new("ids");
const READY: TableDefinition<(u8, u64), ()> = TableDefinition::new("ready");
const DELAYED: TableDefinition<(u64, u64), ()> = TableDefinition::new("delayed");
const DEAD: TableDefinition<u64, Grave> = TableDefinition::new("dead");
const DONE: TableDefinition<&[u8], u64> = TableDefinition::new("done");
const DONE_UNTIL: TableDefinition<(u64, &[u8]), ()> = TableDefinition::new("done_until");
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

/// The version of the tables.
pub(crate) const VERSION: u64 = 1;

/// How many identities that are remembered no longer are forgotten in one transaction, and how many delayed jobs become ready.
const SWEPT: usize = 4_096;

/// Deliveries that are out: by job number, who has it, and which delivery it is.
pub(crate) type Out = HashMap<u64, (u64, u64)>;

/// What is delivered.
#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) receipt: Receipt,
    pub(crate) payload: Vec<u8>,
    pub(crate) deliveries: u32,
    pub(crate) key: Option<u64>,
}

/// The tables, open in a transaction.
pub(crate) struct Store<'t> {
    heads: Table<'t, u64, Head>,
    payloads: Table<'t, u64, &'static [u8]>,
    names: Table<'t, u64, &'static [u8]>,
    ids: Table<'t, &'static [u8], u64>,
    ready: Table<'t, (u8, u64), ()>,
    delayed: Table<'t, (u64, u64), ()>,
    dead: Table<'t, u64, Grave>,
    done: Table<'t, &'static [u8], u64>,
    done_until: Table<'t, (u64, &'static [u8]), ()>,
    meta: Table<'t, &'static str, u64>,
    now: u64,
}

/// What the writer has to know of the tables between two transactions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outlook {
    /// Jobs that can be pulled, with those that are out.
    pub(crate) ready: u64,
    /// When the next delayed job is ready.
    pub(crate) next_due: Option<u64>,
}

type Result<T = ()> = std::result::Result<T, redb::Error>;

pub(crate) fn now_millis() -> u64 {
    millis(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

impl<'t> Store<'t> {
    pub(crate) fn open(transaction: &'t WriteTransaction) -> Result<Self> {
        Ok(Self {
            heads: transaction.open_table(HEADS)?,
            payloads: transaction.open_table(PAYLOADS)?,
            names: transaction.open_table(NAMES)?,
            ids: transaction.open_table(IDS)?,
            ready: transaction.open_table(READY)?,
            delayed: transaction.open_table(DELAYED)?,
            dead: transaction.open_table(DEAD)?,
            done: transaction.open_table(DONE)?,
            done_until: transaction.open_table(DONE_UNTIL)?,
            meta: transaction.open_table(META)?,
            now: now_millis(),
        })
    }

    /// The version of the tables, which a new file gets.
    pub(crate) fn version(&mut self) -> Result<u64> {
        if let Some(version) = self.meta.get("version")? {
            return Ok(version.value());
        }
        self.meta.insert("version", VERSION)?;
        Ok(VERSION)
    }

    /// A number of the file's own, drawn when it was made.
    pub(crate) fn born(&mut self) -> Result<u64> {
        if let Some(born) = self.meta.get("born")? {
            return Ok(born.value());
        }
        let born = RandomState::new().hash_one(self.now);
        self.meta.insert("born", born)?;
        Ok(born)
    }

    pub(crate) fn outlook(&self) -> Result<Outlook> {
        let next_due = self.delayed.first()?.map(|(key, _)| key.value().0);
        Ok(Outlook { ready: self.ready.len()?, next_due })
    }

    pub(crate) fn stats(&self, out: &Out) -> Result<Stats> {
        let out = out.len() as u64;
        Ok(Stats {
            ready: self.ready.len()?.saturating_sub(out),
            delayed: self.delayed.len()?,
            out,
            dead: self.dead.len()?,
            remembered: self.done.len()?,
            file_bytes: 0,
        })
    }

    /// Puts a job in, unless one with its identity is known.
    pub(crate) fn enqueue(&mut self, job: &Job) -> Result<Enqueued> {
        if let Some(id) = &job.id {
            if let Some(known) = self.ids.get(id.as_slice())? {
                return Ok(Enqueued::Known(known.value()));
            }
            if self.done.get(id.as_slice())?.is_some_and(|until| until.value() > self.now) {
                return Ok(Enqueued::Done);
            }
        }
        let number = self.meta.get("next")?.map_or(0, |next| next.value());
        self.meta.insert("next", number.saturating_add(1))?;
        let rank = u8::MAX - job.priority;
        self.heads.insert(number, (rank, 0, job.key))?;
        self.payloads.insert(number, job.payload.as_slice())?;
        if let Some(id) = &job.id {
            self.names.insert(number, id.as_slice())?;
            self.ids.insert(id.as_slice(), number)?;
        }
        self.stand_in_line(rank, number, job.delay)?;
        Ok(Enqueued::New(number))
    }

    fn stand_in_line(&mut self, rank: u8, number: u64, delay: Duration) -> Result {
        if delay.is_zero() {
            self.ready.insert((rank, number), ())?;
        } else {
            self.delayed.insert((self.now.saturating_add(millis(delay)), number), ())?;
        }
        Ok(())
    }

    /// Lets delayed jobs become ready whose time has come, and forgets identities. Whether anything has changed.
    pub(crate) fn sweep(&mut self) -> Result<bool> {
        let mut due = Vec::new();
        for entry in self.delayed.range(..(self.now.saturating_add(1), 0))?.take(SWEPT) {
            due.push(entry?.0.value());
        }
        for (at, number) in &due {
            self.delayed.remove((*at, *number))?;
            let rank = self.heads.get(*number)?.map(|head| head.value().0);
            if let Some(rank) = rank {
                self.ready.insert((rank, *number), ())?;
            }
        }
        let mut old = Vec::new();
        for entry in self.done_until.range(..(self.now, [].as_slice()))?.take(SWEPT) {
            let key = entry?.0;
            let (until, id) = key.value();
            old.push((until, id.to_vec()));
        }
        for (until, id) in &old {
            self.done_until.remove((*until, id.as_slice()))?;
            // It may have been done again since.
            if self.done.get(id.as_slice())?.is_some_and(|latest| latest.value() == *until) {
                self.done.remove(id.as_slice())?;
            }
        }
        Ok(!due.is_empty() || !old.is_empty())
    }

    /// Delivers up to `room` jobs that are not out, and counts that.
    pub(crate) fn pull(
        &mut self,
        source: u64,
        room: u32,
        out: &mut Out,
        next: &mut u64,
    ) -> Result<Vec<Pulled>> {
        let mut found = Vec::new();
        for entry in self.ready.iter()? {
            if found.len() >= room as usize {
                break;
            }
            let (_, number) = entry?.0.value();
            if !out.contains_key(&number) {
                found.push(number);
            }
        }
        let mut pulled = Vec::with_capacity(found.len());
        for number in found {
            let Some((rank, deliveries, key)) = self.heads.get(number)?.map(|head| head.value()) else {
                continue;
            };
            let deliveries = deliveries.saturating_add(1);
            self.heads.insert(number, (rank, deliveries, key))?;
            let payload =
                self.payloads.get(number)?.map_or_else(Vec::new, |payload| payload.value().to_vec());
            *next = next.wrapping_add(1);
            out.insert(number, (source, *next));
            let receipt = Receipt { number, delivery: *next };
            pulled.push(Pulled { receipt, payload, deliveries, key });
        }
        Ok(pulled)
    }

    /// What is to become of a delivery that was out.
    pub(crate) fn settle(&mut self, number: u64, verdict: &Verdict, remember: Duration) -> Result {
        let Some((rank, deliveries, key)) = self.heads.get(number)?.map(|head| head.value()) else {
            return Ok(());
        };
        match verdict {
            Verdict::Again { after, counted } => {
                if !*counted {
                    self.heads.insert(number, (rank, deliveries.saturating_sub(1), key))?;
                }
                if !after.is_zero() {
                    self.ready.remove((rank, number))?;
                    self.stand_in_line(rank, number, *after)?;
                }
            }
            Verdict::Dead { why, message } => {
                self.ready.remove((rank, number))?;
                self.heads.remove(number)?;
                let grave = (self.now, code_of(*why), message.as_str(), rank, deliveries, key);
                self.dead.insert(number, grave)?;
            }
            // Done; and what a later version may say is over, too.
            _ => {
                self.ready.remove((rank, number))?;
                self.heads.remove(number)?;
                self.forget(number, remember)?;
            }
        }
        Ok(())
    }

    /// Removes the payload and the identity of a job, and remembers the latter for a while.
    fn forget(&mut self, number: u64, remember: Duration) -> Result {
        self.payloads.remove(number)?;
        let id = self.names.remove(number)?.map(|id| id.value().to_vec());
        let Some(id) = id else { return Ok(()) };
        self.ids.remove(id.as_slice())?;
        if !remember.is_zero() {
            let until = self.now.saturating_add(millis(remember));
            self.done.insert(id.as_slice(), until)?;
            self.done_until.insert((until, id.as_slice()), ())?;
        }
        Ok(())
    }

    /// Dead letters from this number on.
    pub(crate) fn dead(&self, from: u64, most: usize) -> Result<Vec<DeadJob>> {
        let mut found = Vec::new();
        for entry in self.dead.range(from..)?.take(most) {
            let (number, grave) = entry?;
            let (number, (since, why, message, _, deliveries, _)) = (number.value(), grave.value());
            let payload =
                self.payloads.get(number)?.map_or_else(Vec::new, |payload| payload.value().to_vec());
            let since = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(since));
            found.push(DeadJob {
                number,
                payload,
                why: death_of(why),
                message: message.to_owned(),
                deliveries,
                since: since.unwrap_or(SystemTime::UNIX_EPOCH),
            });
        }
        Ok(found)
    }

    /// Puts a dead letter back into the queue, as if it had never been delivered. Whether there was one.
    pub(crate) fn requeue(&mut self, number: u64) -> Result<bool> {
        let grave = self.dead.remove(number)?.map(|grave| {
            let (_, _, _, rank, _, key) = grave.value();
            (rank, key)
        });
        let Some((rank, key)) = grave else { return Ok(false) };
        self.heads.insert(number, (rank, 0, key))?;
        self.stand_in_line(rank, number, Duration::ZERO)?;
        Ok(true)
    }

    /// Removes a dead letter. Whether there was one.
    pub(crate) fn purge(&mut self, number: u64) -> Result<bool> {
        if self.dead.remove(number)?.is_none() {
            return Ok(false);
        }
        self.forget(number, Duration::ZERO)?;
        Ok(true)
    }

    /// The numbers of the first dead letters.
    pub(crate) fn first_dead(&self, most: usize) -> Result<Vec<u64>> {
        self.dead.iter()?.take(most).map(|entry| Ok(entry?.0.value())).collect()
    }
}

const fn code_of(why: Death) -> u8 {
    match why {
        Death::Failed => 1,
        Death::Panicked => 2,
        Death::TimedOut => 3,
        Death::Cancelled => 4,
        Death::TooOften => 5,
        Death::Undecodable => 6,
        _ => 0,
    }
}

const fn death_of(code: u8) -> Option<Death> {
    Some(match code {
        1 => Death::Failed,
        2 => Death::Panicked,
        3 => Death::TimedOut,
        4 => Death::Cancelled,
        5 => Death::TooOften,
        6 => Death::Undecodable,
        _ => return None,
    })
}
