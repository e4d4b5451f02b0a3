-- What one bridge of a line has said of the line's own reactions, until its other bridge says the same: neither knows what the
-- other has told, and Messages' guid is not in the report of an item.
create table own_reactions (
    line_id blob not null references lines (id),
    message_id blob not null references messages (id),
    type text not null,
    added integer not null,
    at integer not null,
    -- Who said it.
    bridge_id blob not null references bridges (id),
    -- Whether it was an item that was done; otherwise it was in the line's history.
    was_item integer not null
) strict;
create index own_reactions_by_message on own_reactions (message_id);
create index own_reactions_by_time on own_reactions (line_id, at);
