-- A bridge's link has an epoch: who takes over makes it one more, and what an older link still says is refused.
alter table bridges add column link_epoch integer not null default 0;

-- How far the history of a line is known to the server, as a bridge counts it: another bridge has a history of its own.
create table line_positions (
    line_id text not null references lines (id),
    bridge_id text not null references bridges (id),
    position text not null,
    primary key (line_id, bridge_id)
) strict, without rowid;

insert into line_positions (line_id, bridge_id, position)
    select id, bridge_id, position from lines where position is not null and bridge_id is not null;
alter table lines drop column position;

-- Processes that share the database, and which of the 256 parts of all webhooks each delivers.
create table nodes (
    id text primary key,
    -- Alive up to then, by the steady clock.
    until integer not null
) strict, without rowid;

create table webhook_partitions (
    number integer primary key,
    node_id text,
    until integer not null default 0
) strict;

insert into webhook_partitions (number)
    with recursive numbers (number) as (
        select 0 union all select number + 1 from numbers where number < 255)
    select number from numbers;
