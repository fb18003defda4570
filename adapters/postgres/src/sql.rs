//! The statements, and what goes into them and comes out.

use std::time::SystemTime;

use plimsoll::source::{Settling, Verdict};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

use crate::job::{DeadJob, Enqueued, Job, Receipt, Stats};
use crate::wire::{self, code, count, death, micros, signed, unsigned};

/// The statements of one schema, each of them a transaction of its own.
#[derive(Debug)]
pub(crate) struct Sql {
    pub(crate) pull: String,
    pub(crate) next: String,
    pub(crate) settle: String,
    pub(crate) extend: String,
    pub(crate) enqueue: String,
    pub(crate) dead: String,
    pub(crate) requeue: String,
    pub(crate) purge: String,
    pub(crate) purge_some: String,
    pub(crate) stats: String,
}

impl Sql {
    /// For a schema with a name that was checked.
    pub(crate) fn new(schema: &str) -> Self {
        let of = |statement: &str| statement.replace("{s}", &format!("\"{schema}\""));
        Self {
            pull: of(PULL),
            next: of(NEXT),
            settle: of(SETTLE),
            extend: of(EXTEND),
            enqueue: of(ENQUEUE),
            dead: of(DEAD),
            requeue: of(REQUEUE),
            purge: of("DELETE FROM {s}.dead WHERE queue = $1 AND id = $2"),
            purge_some: of(PURGE_SOME),
            stats: of(STATS),
        }
    }
}

/// Queue, room, lease, and the [`Place`](wire::Place) at which to begin. The array is a sub-select that is carried out once,
/// whatever the planner makes of the rest. A row that another session has changed meanwhile is looked at again when it is
/// locked, so it is not delivered twice.
const PULL: &str = "
    UPDATE {s}.jobs
    SET token = (SELECT nextval('{s}.tokens')),
        visible_at = clock_timestamp() + $3::bigint * interval '1 microsecond',
        deliveries = least(greatest(deliveries, 0)::bigint + 1, 2147483647)
    WHERE id = ANY (ARRAY(
        SELECT id FROM {s}.jobs WHERE queue = $1 AND visible_at <= now()
            AND (- priority::integer, id) >= ($4::integer, $5::bigint)
        ORDER BY - priority::integer, id LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING id, token, payload, deliveries, key, priority";

/// Queue. In how many microseconds the next job can be delivered, at most a day; no row if there is none. Times without an end can't
/// be subtracted.
const NEXT: &str = "
    SELECT (extract(epoch FROM least(greatest(first, now()), now() + interval '1 day') - now()) * 1000000)::bigint
    FROM (SELECT min(visible_at) AS first FROM {s}.jobs WHERE queue = $1) AS jobs WHERE first IS NOT NULL";

/// The columns of [`Verdicts`], channel, queue, whether to notify. How many receipts were not stale. A notification is for other
/// pullers: some jobs can be delivered again at once. A dead letter with a job's number is replaced: numbers begin anew when a
/// sequence does, and an error would keep the whole batch from being confirmed.
const SETTLE: &str = "
    WITH done AS (
        DELETE FROM {s}.jobs USING unnest($1::bigint[], $2::bigint[]) AS told (id, token)
        WHERE jobs.id = told.id AND jobs.token = told.token
        RETURNING jobs.id
    ), again AS (
        UPDATE {s}.jobs
        SET token = NULL,
            visible_at = clock_timestamp() + told.delay * interval '1 microsecond',
            deliveries = greatest(jobs.deliveries::bigint - told.uncounted, 0)
        FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::integer[]) AS told (id, token, delay, uncounted)
        WHERE jobs.id = told.id AND jobs.token = told.token
        RETURNING told.delay
    ), buried AS (
        DELETE FROM {s}.jobs
        USING unnest($7::bigint[], $8::bigint[], $9::smallint[], $10::text[]) AS told (id, token, why, message)
        WHERE jobs.id = told.id AND jobs.token = told.token
        RETURNING jobs.id, queue, payload, key, name, priority, deliveries, told.why, told.message
    ), graves AS (
        INSERT INTO {s}.dead (id, queue, payload, key, name, priority, deliveries, why, message)
        SELECT id, queue, payload, key, name, priority, deliveries, why, message FROM buried
        ON CONFLICT (queue, id) DO UPDATE SET payload = excluded.payload, key = excluded.key, name = excluded.name,
            priority = excluded.priority, deliveries = excluded.deliveries, why = excluded.why,
            message = excluded.message, since = excluded.since
        RETURNING id
    ), notified AS (
        SELECT pg_notify($11, $12) WHERE $13 AND EXISTS (SELECT FROM again WHERE delay = 0)
    )
    SELECT (SELECT count(*) FROM done) + (SELECT count(*) FROM again) + (SELECT count(*) FROM graves),
        (SELECT count(*) FROM notified)";

/// Numbers, tokens, lease.
const EXTEND: &str = "
    UPDATE {s}.jobs SET visible_at = clock_timestamp() + $3::bigint * interval '1 microsecond'
    FROM unnest($1::bigint[], $2::bigint[]) AS held (id, token)
    WHERE jobs.id = held.id AND jobs.token = held.token";

/// Queue, the columns of [`Jobs`], channel, whether to notify. Jobs with an identity go in in its order, so that two transactions
/// with the same ones wait for each other, and do not deadlock. The numbers that were added are looked up in a hash table: a join
/// could become a nested loop, as the planner does not know how long the arrays are.
const ENQUEUE: &str = "
    WITH input AS MATERIALIZED (
        SELECT nextval('{s}.jobs_id_seq') AS id, job.*
        FROM unnest($2::bytea[], $3::text[], $4::smallint[], $5::bigint[], $6::bigint[])
            WITH ORDINALITY AS job (payload, name, priority, delay, key, place)
    ), added AS (
        INSERT INTO {s}.jobs (id, queue, payload, name, priority, visible_at, key)
        SELECT id, $1, payload, name, priority, clock_timestamp() + delay * interval '1 microsecond', key
        FROM input ORDER BY name, place
        ON CONFLICT (queue, name) WHERE name IS NOT NULL DO NOTHING
        RETURNING id
    ), notified AS (
        SELECT pg_notify($7, $1) WHERE $8 AND EXISTS (SELECT FROM added)
    )
    SELECT CASE WHEN id IN (SELECT id FROM added) THEN id END, (SELECT count(*) FROM notified)
    FROM input ORDER BY place";

/// Queue, first number, how many. Times without an end, and those before 1970, are not for every client's clock.
const DEAD: &str = "
    SELECT id, payload, why, message, deliveries, greatest(least(since, now()), to_timestamp(0)) FROM {s}.dead
    WHERE queue = $1 AND id >= $2 ORDER BY id LIMIT $3";

/// Queue, number, channel, whether to notify. How many there were: one or none.
const REQUEUE: &str = "
    WITH back AS (
        DELETE FROM {s}.dead WHERE queue = $1 AND id = $2
            AND NOT EXISTS (SELECT FROM {s}.jobs WHERE jobs.queue = dead.queue AND jobs.name = dead.name)
        RETURNING id, queue, payload, key, name, priority
    ), added AS (
        INSERT INTO {s}.jobs (id, queue, payload, key, name, priority)
        SELECT id, queue, payload, key, name, priority FROM back
        RETURNING id
    ), notified AS (
        SELECT pg_notify($3, $1) WHERE $4 AND EXISTS (SELECT FROM added)
    )
    SELECT (SELECT count(*) FROM added), (SELECT count(*) FROM notified)";

/// Queue, how many.
const PURGE_SOME: &str = "
    DELETE FROM {s}.dead WHERE queue = $1
        AND id = ANY (ARRAY(SELECT id FROM {s}.dead WHERE queue = $1 ORDER BY id LIMIT $2))";

/// Queue.
const STATS: &str = "
    SELECT count(*) FILTER (WHERE visible_at <= now()),
        count(*) FILTER (WHERE visible_at > now() AND token IS NULL),
        count(*) FILTER (WHERE visible_at > now() AND token IS NOT NULL),
        (SELECT count(*) FROM {s}.dead WHERE queue = $1)
    FROM {s}.jobs WHERE queue = $1";

/// The columns of jobs that are put in.
#[derive(Debug)]
pub(crate) struct Jobs<'j> {
    payloads: Vec<&'j [u8]>,
    names: Vec<Option<&'j str>>,
    priorities: Vec<i16>,
    delays: Vec<i64>,
    keys: Vec<Option<i64>>,
}

impl<'j> Jobs<'j> {
    pub(crate) fn of(jobs: &'j [Job]) -> Self {
        Self {
            payloads: jobs.iter().map(|job| job.payload.as_slice()).collect(),
            names: jobs.iter().map(|job| job.id.as_deref()).collect(),
            priorities: jobs.iter().map(|job| job.priority).collect(),
            delays: jobs.iter().map(|job| micros(job.delay)).collect(),
            keys: jobs.iter().map(|job| job.key.map(signed)).collect(),
        }
    }

    /// The parameters of [`Sql::enqueue`], with their types.
    pub(crate) fn parameters<'a>(
        &'a self,
        queue: &'a String,
        channel: &'a String,
        notifies: &'a bool,
    ) -> [(&'a (dyn ToSql + Sync), Type); 8] {
        [
            (queue, Type::TEXT),
            (&self.payloads, Type::BYTEA_ARRAY),
            (&self.names, Type::TEXT_ARRAY),
            (&self.priorities, Type::INT2_ARRAY),
            (&self.delays, Type::INT8_ARRAY),
            (&self.keys, Type::INT8_ARRAY),
            (channel, Type::TEXT),
            (notifies, Type::BOOL),
        ]
    }
}

pub(crate) fn enqueued(row: &Row) -> Result<Enqueued, Error> {
    let number: Option<i64> = row.try_get(0)?;
    Ok(number.map_or(Enqueued::Known, |number| Enqueued::New(unsigned(number))))
}

/// What is delivered.
#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) receipt: Receipt,
    pub(crate) payload: Vec<u8>,
    pub(crate) deliveries: u32,
    pub(crate) key: Option<u64>,
    pub(crate) place: wire::Place,
}

impl Pulled {
    pub(crate) fn of(row: &Row) -> Result<Self, Error> {
        let (number, priority) = (row.try_get(0)?, row.try_get::<_, i16>(5)?);
        Ok(Self {
            receipt: Receipt { number, token: row.try_get(1)? },
            payload: row.try_get(2)?,
            deliveries: count(row.try_get(3)?),
            key: row.try_get::<_, Option<i64>>(4)?.map(unsigned),
            place: wire::place(priority, number),
        })
    }
}

/// The columns of verdicts.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    done: (Vec<i64>, Vec<i64>),
    again: (Vec<i64>, Vec<i64>, Vec<i64>, Vec<i32>),
    dead: (Vec<i64>, Vec<i64>, Vec<i16>, Vec<String>),
    told: u32,
}

impl Verdicts {
    pub(crate) fn of(verdicts: &[Settling<Receipt>]) -> Self {
        let mut columns = Self::default();
        for settling in verdicts.iter().filter(|settling| is_known(settling)) {
            columns.push(settling.receipt, &settling.verdict);
        }
        columns
    }

    fn push(&mut self, receipt: Receipt, verdict: &Verdict) {
        let Receipt { number, token } = receipt;
        match verdict {
            Verdict::Done => {
                self.done.0.push(number);
                self.done.1.push(token);
            }
            Verdict::Again { after, counted } => {
                self.again.0.push(number);
                self.again.1.push(token);
                self.again.2.push(micros(*after));
                self.again.3.push(i32::from(!counted));
            }
            Verdict::Dead { why, message } => {
                self.dead.0.push(number);
                self.dead.1.push(token);
                self.dead.2.push(code(*why));
                self.dead.3.push(wire::text(message.as_str()));
            }
            _ => return,
        }
        self.told += 1;
    }

    pub(crate) fn parameters<'a>(
        &'a self,
        queue: &'a String,
        channel: &'a String,
        notifies: &'a bool,
    ) -> [&'a (dyn ToSql + Sync); 13] {
        let Self { done, again, dead, .. } = self;
        [
            &done.0, &done.1, &again.0, &again.1, &again.2, &again.3, &dead.0, &dead.1, &dead.2, &dead.3,
            channel, queue, notifies,
        ]
    }

    /// How many there are.
    pub(crate) const fn told(&self) -> u32 {
        self.told
    }

    /// Whether some jobs are to be delivered again.
    pub(crate) fn has_again(&self) -> bool {
        !self.again.0.is_empty()
    }
}

/// Whether this crate knows the verdict.
pub(crate) const fn is_known(settling: &Settling<Receipt>) -> bool {
    matches!(settling.verdict, Verdict::Done | Verdict::Again { .. } | Verdict::Dead { .. })
}

pub(crate) fn dead_job(row: &Row) -> Result<DeadJob, Error> {
    Ok(DeadJob {
        number: unsigned(row.try_get(0)?),
        payload: row.try_get(1)?,
        why: death(row.try_get(2)?),
        message: row.try_get(3)?,
        deliveries: count(row.try_get(4)?),
        since: row.try_get::<_, SystemTime>(5)?,
    })
}

pub(crate) fn stats(row: &Row) -> Result<Stats, Error> {
    let count = |at| row.try_get::<usize, i64>(at).map(unsigned);
    Ok(Stats { ready: count(0)?, delayed: count(1)?, out: count(2)?, dead: count(3)? })
}
