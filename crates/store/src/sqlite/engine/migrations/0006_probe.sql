-- One row that is written and read to see whether the database works.
create table probe (
    id integer primary key check (id = 1),
    at integer not null
) strict;
