-- How many commits this ledger has had. The file beside it says the same, unless one of the two was put back from a copy.
alter table ledger add column changes integer not null default 0;
