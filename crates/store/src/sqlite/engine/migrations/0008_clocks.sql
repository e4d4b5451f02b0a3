-- Two clocks: stamps are the wall clock's; due times, leases and ages are counted by the steady one, which nobody
-- sets. It begins as the wall clock of the first start, so that what is due already needs no change.

-- Where the clocks stood: one row.
create table clock (
    id integer primary key check (id = 1),
    wall integer not null,
    steady integer not null,
    -- The machine's own count, comparable while `boot` is the same.
    machine integer not null,
    boot text,
    -- Steady time that only a wall clock told of, and that was not lived through since.
    unverified integer not null
) strict;

-- How far events and outbox items had come at a moment of the steady clock.
create table marks (
    at integer primary key,
    event_seq integer not null,
    item_seq integer not null
) strict;

-- From when on the age of a replay that is done counts.
alter table replays add column aged_from integer;
update replays set aged_from = finished_at;
drop index replays_done;
-- What may be forgotten, oldest first.
create index replays_done on replays (aged_from) where status = 'done';

-- `failing_since` by the steady clock, which decides; `last_failed_at` is counted by it too.
alter table webhooks add column failing_from integer;
update webhooks set failing_from = failing_since;
