-- How lines are used, a row for each day and line: counted as messages are kept, so that nobody has to read through them.
create table line_days (
    -- Since the epoch, UTC.
    day integer not null,
    line_id blob not null references lines (id),
    sent integer not null,
    received integer not null,
    to_silent integer not null,
    new_contacts integer not null,
    -- The minute of the last message that was sent, how many were sent in it, and the most that were in one.
    minute integer not null,
    minute_sent integer not null,
    busiest_minute integer not null,
    primary key (day, line_id)
) strict, without rowid;

-- When somebody in it last wrote to the line, by the server's clock; null if that was before this was kept.
alter table chats add column last_received_at integer;
-- Messages of the line since then.
alter table chats add column unanswered integer not null default 0;
-- Whether its contact was silent when it was accepted: known there without a look.
alter table outbox add column to_silent integer not null default 0;
create index chats_unanswered on chats (line_id) where unanswered > 5 and is_group = 0;
