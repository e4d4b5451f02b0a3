-- What a bridge must not forget, whatever its program beside Messages does.

-- The name of this ledger's life: a place in another ledger's history means nothing here.
create table ledger (epoch text not null) strict;

-- What was handed over, one row an item: written before the hand-over.
create table attempts (
    item text primary key,
    line text not null,
    -- The item as the server gave it, as JSON.
    request text not null,
    -- Names the attempt in Messages where a program takes such a name.
    token text not null,
    -- How often it was begun. More than once only if the times before certainly did not reach Messages.
    tries integer not null default 1,
    begun_at integer not null,
    -- Where the program's history stood then, as its connector writes it.
    mark text,
    -- As JSON; null while it is under way, or was when the bridge died.
    outcome text,
    -- Its identity in Messages, once that is known.
    guid text,
    finished_at integer,
    -- What turned out later of an unknown outcome, as JSON, until the server has acknowledged it.
    later text,
    -- When an unknown outcome is looked into again, and how often it was.
    look_at integer,
    looks integer not null default 0
) strict;

create index attempts_by_guid on attempts (guid) where guid is not null;
create index attempts_by_token on attempts (token);
create index attempts_open on attempts (line) where outcome is null;
create index attempts_to_look_into on attempts (look_at) where look_at is not null;
create index attempts_to_tell on attempts (item) where later is not null;
create index attempts_finished on attempts (finished_at) where finished_at is not null;

-- What happened on the lines' phones and the server has not acknowledged.
create table observations (
    line text not null,
    n integer not null,
    what text not null,
    primary key (line, n)
) strict, without rowid;

-- The number of the last observation that ever was of a line.
create table histories (line text primary key, last integer not null) strict, without rowid;

-- What was observed, for ever: the same thing twice is one observation.
create table seen (
    line text not null,
    key blob not null,
    primary key (line, key)
) strict, without rowid;

-- How far each source was read, and which database that was.
create table sources (
    name text primary key,
    identity text not null,
    cursor text not null
) strict, without rowid;

-- Groups under all names that Messages has given them; the identifier is what the server knows.
create table groups (
    line text not null,
    alias text not null,
    identifier text not null,
    primary key (line, alias)
) strict, without rowid;

-- The line's own messages of which more is to come: delivered, read, failed.
create table followed (
    guid text primary key,
    line text not null,
    -- As the server knows it, as JSON.
    chat text not null,
    since integer not null,
    look_at integer not null,
    looks integer not null default 0,
    -- What is known of it, as its connector writes it.
    state text not null default ''
) strict;

create index followed_by_time on followed (look_at);
