-- Version 1 of the tables of plimsoll-postgres. It runs with the queue's schema first in the search path.

-- The versions that were applied. The highest one is that of the tables.
CREATE TABLE migrations (
    version integer PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Jobs that are neither done nor dead.
CREATE TABLE jobs (
    id bigserial PRIMARY KEY,
    queue text NOT NULL,
    payload bytea NOT NULL,
    -- Jobs with the same key are done one after the other. It is an unsigned number with the same bits.
    key bigint,
    -- The identity: a queue has at most one job with it.
    name text,
    -- Jobs with a higher one are delivered first.
    priority smallint NOT NULL DEFAULT 0,
    -- How often the job was delivered, without the deliveries that were handed back uncounted.
    deliveries integer NOT NULL DEFAULT 0,
    -- The job is not delivered before this time: the end of its delay, or of the lease of its delivery.
    visible_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Names the delivery that is out. NULL if none is.
    token bigint
) WITH (
    -- A queue is small and changes fast: old versions of rows are removed early, or each pull would pass over them.
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);

-- The order of delivery, upwards, so that a pull can begin where the one before has ended. With `visible_at` in it, a job that is out
-- or delayed is passed over without a look at its row.
CREATE INDEX jobs_order ON jobs (queue, (- priority::integer), id, visible_at);
-- The earliest time at which a job can be delivered.
CREATE INDEX jobs_visible_at ON jobs (queue, visible_at);
CREATE UNIQUE INDEX jobs_name ON jobs (queue, name) WHERE name IS NOT NULL;

-- One number for each pull that has brought something: with the job's it names one delivery.
CREATE SEQUENCE tokens AS bigint;

-- Dead letters.
CREATE TABLE dead (
    -- That of the job.
    id bigint NOT NULL,
    queue text NOT NULL,
    payload bytea NOT NULL,
    key bigint,
    name text,
    priority smallint NOT NULL,
    deliveries integer NOT NULL,
    -- 1 failed, 2 panicked, 3 timed out, 4 cancelled, 5 delivered too often, 6 could not be decoded, 0 another reason.
    why smallint NOT NULL,
    -- The text of the last error.
    message text NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (queue, id)
);
