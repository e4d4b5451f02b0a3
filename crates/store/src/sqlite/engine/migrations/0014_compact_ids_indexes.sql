-- What every index is for: each is paid for on the hot path. This runs when all tables are filled and have their names.

-- At most one, and found without reading the others.
create unique index if not exists lines_sandbox on lines (is_sandbox) where is_sandbox = 1;
create index if not exists lines_by_account on lines (account_id);
create index if not exists lines_by_bridge on lines (bridge_id);

-- The list of an account's chats on a line, latest activity first.
create index if not exists chats_by_activity on chats (line_id, account_id, last_seq, seq);

create unique index if not exists messages_by_id on messages (id);
-- One message for each guid of a line.
create unique index if not exists messages_by_guid on messages (line_id, guid);

create unique index if not exists outbox_by_id on outbox (id);
-- What waits, in the order of acceptance. With the chat, so that a claim skips the items of a
-- full chat without reading them.
create index if not exists outbox_pending on outbox (line_id, seq, chat_id) where status = 'pending';
-- What a bridge holds, and which of it is past its lease.
create index if not exists outbox_claimed on outbox (bridge_id, lease_until) where status = 'claimed';
-- Whether a bridge may have a file. Texts are not in it.
create index if not exists outbox_files on outbox (file_id, bridge_id)
where status = 'claimed' and file_id is not null;

-- The events of an account, in order: seq is in every index.
create index if not exists events_by_account on events (account_id);

create index if not exists webhooks_by_account on webhooks (account_id);
-- Secrets whose time is over, oldest first.
create index if not exists webhooks_rotated on webhooks (previous_until) where previous_until is not null;

create unique index if not exists deliveries_by_id on deliveries (id);
-- The deliveries of an event that is pruned.
create index if not exists deliveries_by_event on deliveries (event_seq);
-- The log of a webhook: first those that were not attempted in their round, at 0 and in order; then the
-- retries by the time when they are due.
create index if not exists deliveries_due on deliveries (webhook_id, due_at, seq) where status = 'due';
-- The deliveries of a webhook that were given up, in the order of their events. With all that is asked for, so that the
-- oldest event which a webhook missed is found in the index alone: the writer looks for it.
create index if not exists deliveries_failed on deliveries (webhook_id, event_seq, finished_at, status)
where status = 'failed';

create index if not exists replays_running on replays (seq) where status = 'running';
-- What may be forgotten, oldest first.
create index if not exists replays_done on replays (aged_from) where status = 'done';

-- What may expire.
create index if not exists typing_on on typing (updated_at) where is_typing = 1;

-- What may be forgotten, oldest first.
create index if not exists files_unreferenced on files (created_at) where is_referenced = 0;
create index if not exists files_left on files (left_at) where is_referenced = 2;

create trigger if not exists files_stored after insert on files begin
    insert into stored_bytes (account_id, bytes) values (new.account_id, new.size)
    on conflict (account_id) do update set bytes = bytes + excluded.bytes;
end;

create trigger if not exists files_forgotten after delete on files begin
    update stored_bytes set bytes = bytes - old.size where account_id = old.account_id;
end;

-- What came to the sandbox line is another account's once it is known whose message it belongs to.
create trigger if not exists files_moved after update of account_id on files
when new.account_id <> old.account_id begin
    update stored_bytes set bytes = bytes - old.size where account_id = old.account_id;
    insert into stored_bytes (account_id, bytes) values (new.account_id, new.size)
    on conflict (account_id) do update set bytes = bytes + excluded.bytes;
end;

-- The chats as whoever asks may see them: of the sandbox line, an account that does not own the line
-- sees the chat with the phone that is paired with it now, and nothing else. Whatever answers a caller
-- reads chats from here; nothing else knows this rule.
create view if not exists shown_chats as
select * from chats
where line_id is not (select id from lines where is_sandbox = 1)
   or account_id = (select account_id from lines where is_sandbox = 1)
   or (is_group = 0 and exists (
        select 1 from sandbox
        where sandbox.account_id = chats.account_id and sandbox.contact = chats.identifier));
