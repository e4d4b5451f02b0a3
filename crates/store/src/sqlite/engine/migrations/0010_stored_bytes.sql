-- How much each account has stored, so that a quota costs no count of all its files.
create table stored_bytes (
    account_id text primary key references accounts (id),
    bytes integer not null
) strict, without rowid;

insert into stored_bytes (account_id, bytes)
select account_id, sum(size) from files group by account_id;

create trigger files_stored after insert on files begin
    insert into stored_bytes (account_id, bytes) values (new.account_id, new.size)
    on conflict (account_id) do update set bytes = bytes + excluded.bytes;
end;

create trigger files_forgotten after delete on files begin
    update stored_bytes set bytes = bytes - old.size where account_id = old.account_id;
end;

-- What came to the sandbox line is another account's once it is known whose message it belongs to.
create trigger files_moved after update of account_id on files
when new.account_id <> old.account_id begin
    update stored_bytes set bytes = bytes - old.size where account_id = old.account_id;
    insert into stored_bytes (account_id, bytes) values (new.account_id, new.size)
    on conflict (account_id) do update set bytes = bytes + excluded.bytes;
end;
