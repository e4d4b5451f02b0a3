-- What messages said last that may still be edited or taken back, for programs that tell of neither.
create table texts (
    line text not null,
    guid text not null,
    -- The chat and the row, as their program numbers them.
    chat_row integer not null,
    row integer not null,
    -- The chat as the server knows it, as JSON.
    chat text not null,
    -- The digest of its text; null if it has none.
    text blob,
    has_files integer not null,
    sent_at integer not null,
    primary key (line, guid)
) strict, without rowid;

create index texts_by_time on texts (line, sent_at);
