-- Deliveries that can be looked into, repeated, replayed and given up.

-- The secret before the last rotation, and until when it is valid too.
alter table webhooks add column previous_secret text;
alter table webhooks add column previous_until integer;
-- Secrets whose time is over, oldest first.
create index webhooks_rotated on webhooks (previous_until) where previous_until is not null;

-- The end of the first attempt that failed since the last that succeeded.
-- Or since the last long silence; and the end of the last that failed.
alter table webhooks add column failing_since integer;
alter table webhooks add column last_failed_at integer;
-- When it stopped being active, and why: manual, failing or gone.
alter table webhooks add column disabled_at integer;
alter table webhooks add column disabled_reason text;

-- Attempts made before this round: a retry by hand and a replay begin a new one. `attempts` counts
-- those of the round.
alter table deliveries add column earlier_attempts integer not null default 0;

-- When this round began, if it is not the first.
alter table deliveries add column round_at integer;

-- Each attempt has its own.
alter table deliveries drop column last_status;

-- What was tried. Goes with its delivery.
create table attempts (
    delivery_seq integer not null references deliveries (seq),
    -- Over all rounds, from 1.
    number integer not null,
    started_at integer not null,
    duration_ms integer not null,
    status integer,
    -- The start of the answer's body.
    answer text,
    error text,
    primary key (delivery_seq, number)
) strict, without rowid;

-- The deliveries of a webhook that were given up, in the order of their events.
create index deliveries_failed on deliveries (webhook_id, event_seq) where status = 'failed';

-- Events that are sent again to a webhook, or for the first time if it was disabled when they happened.
create table replays (
    seq integer primary key,
    id text not null unique,
    account_id text not null references accounts (id),
    -- No reference: what is over outlives its webhook.
    webhook_id text not null,
    since integer not null,
    until integer not null,
    -- Whether what was delivered goes out again too.
    include_delivered integer not null,
    -- running or done
    status text not null,
    -- Where it began, up to where events were looked at, and where it ends: places in the order of events.
    first_place integer not null,
    place integer not null,
    last_place integer not null,
    -- How many deliveries it has made due.
    queued integer not null default 0,
    created_at integer not null,
    finished_at integer
) strict;

create index replays_running on replays (seq) where status = 'running';

-- What may be forgotten, oldest first.
create index replays_done on replays (finished_at) where status = 'done';
