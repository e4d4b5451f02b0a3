-- Messages that were told without all of their files, and how often it was looked for the rest.
create table late_files (
    line text not null,
    guid text not null,
    -- The chat and all of its files, as JSON.
    chat text not null,
    files text not null,
    -- How many of them were told.
    had integer not null,
    since integer not null,
    look_at integer not null,
    looks integer not null default 0,
    -- Whether they stand in an observation that waits for the server.
    is_waiting integer not null default 0,
    primary key (line, guid)
) strict, without rowid;

-- Since when the server has not known it, of a line that another bridge carries; null of any other.
alter table observations add column unknown_since integer;
