-- Files that went out with a text and stand in Messages as messages of their own: one for each file of an attempt.
create table parts (
    guid text primary key,
    item text not null references attempts (item) on delete cascade
) strict, without rowid;

create index parts_by_item on parts (item);
