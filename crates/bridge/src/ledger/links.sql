-- The links of which this ledger was there from their welcome on: nothing that they were handed has begun without it.
-- Without a bridge, those of the versions before the third, which noted none.
create table links (
    -- The bridge: a digest of its token.
    bridge text not null,
    -- The first and the last epoch of some that follow each other.
    first integer not null,
    last integer not null,
    primary key (bridge, first)
) strict, without rowid;

-- The file that this ledger stands in. A copy, put back from a backup, stands in another.
alter table ledger add column file text;
