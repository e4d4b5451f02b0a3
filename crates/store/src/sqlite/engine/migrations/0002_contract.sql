-- The rest of the contract: reactions, typing, receipts, files, sandbox, idempotency, live stream.

-- At most one, and found without reading the others.
create unique index lines_sandbox on lines (is_sandbox) where is_sandbox = 1;

-- The account belongs to what makes a chat one: only a new table can say so.
create table chats_new (
    seq integer primary key,
    id text not null unique,
    account_id text not null references accounts (id),
    line_id text not null references lines (id),
    identifier text not null,
    is_group integer not null,
    service text not null,
    name text,
    participants text not null,
    has_received_inbound integer not null default 0,
    last_message_at integer,
    -- The seq of its newest message; 0 while there is none.
    last_seq integer not null default 0,
    -- A group never merges with a contact, whatever a driver calls it. With the account, because a
    -- phone that is paired with another account on the sandbox line begins another chat there.
    unique (line_id, account_id, identifier, is_group)
) strict;

insert into chats_new
select
    seq, id, account_id, line_id, identifier, is_group, service, name, participants,
    has_received_inbound, last_message_at, last_seq
from chats;

drop table chats;
alter table chats_new rename to chats;

-- The list of an account's chats on a line, latest activity first.
create index chats_by_activity on chats (line_id, account_id, last_seq, seq);

-- What became of a message after it was there.
alter table messages add column edited_at integer;
alter table messages add column unsent_at integer;
alter table messages add column delivered_at integer;
alter table messages add column read_at integer;

-- For each message, sender and type the latest occurrence; `seq` is the order of occurrences.
create table reactions (
    seq integer primary key,
    id text not null unique,
    message_id text not null references messages (id),
    sender text not null,
    type text not null,
    is_from_me integer not null,
    added integer not null,
    sent_at integer not null,
    synced_at integer not null,
    unique (message_id, sender, type)
) strict;

-- Every occurrence that a line's history has told of: one that is told again long after it was
-- overtaken must not come back.
create table reaction_guids (
    line_id text not null references lines (id),
    guid text not null,
    message_id text not null references messages (id),
    primary key (line_id, guid)
) strict, without rowid;

create table typing (
    seq integer primary key,
    id text not null unique,
    chat_id text not null references chats (id),
    handle text not null,
    is_typing integer not null,
    updated_at integer not null,
    unique (chat_id, handle)
) strict;

-- What may expire.
create index typing_on on typing (updated_at) where is_typing = 1;

create table receipts (
    seq integer primary key,
    id text not null unique,
    chat_id text not null references chats (id),
    handle text not null,
    last_read_at integer not null,
    synced_at integer not null,
    unique (chat_id, handle)
) strict;

-- What is known of files; their bytes are kept elsewhere, under the id.
create table files (
    seq integer primary key,
    id text not null unique,
    account_id text not null references accounts (id),
    -- The line that a bridge uploaded it for; null for an upload of the account.
    line_id text references lines (id),
    filename text,
    mime_type text not null,
    size integer not null,
    -- The SHA-256 of its bytes.
    content blob not null,
    created_at integer not null,
    -- Whether a message or an item refers to it, or ever did.
    is_referenced integer not null default 0
) strict;

-- What may be forgotten, oldest first.
create index files_unreferenced on files (created_at) where is_referenced = 0;

-- The file that `content` names.
alter table outbox add column file_id text references files (id);

-- Whether a bridge may have a file. Texts are not in it.
create index outbox_files on outbox (file_id, bridge_id)
where status = 'claimed' and file_id is not null;

-- The events of an account, in order: seq is in every index.
create index events_by_account on events (account_id);

-- An account on the sandbox line: with a code, or paired with a phone, or neither.
create table sandbox (
    account_id text primary key references accounts (id),
    -- Null once it was texted.
    code text unique,
    -- A phone is paired with one account at a time.
    contact text unique,
    activated_at integer,
    -- What was used on this day since the epoch, UTC. Stays when the pairing ends, so that a new
    -- code is no way round the quota.
    day integer not null default 0,
    used integer not null default 0
) strict, without rowid;

-- The chats as whoever asks may see them: of the sandbox line, an account that does not own the line
-- sees the chat with the phone that is paired with it now, and nothing else. Whatever answers a caller
-- reads chats from here; nothing else knows this rule.
create view shown_chats as
select * from chats
where line_id is not (select id from lines where is_sandbox = 1)
   or account_id = (select account_id from lines where is_sandbox = 1)
   or (is_group = 0 and exists (
        select 1 from sandbox
        where sandbox.account_id = chats.account_id and sandbox.contact = chats.identifier));

-- Answers to requests with an idempotency key. `seq` is the order in which they were given:
-- one that is given anew after its time gets a new one.
create table answers (
    seq integer primary key,
    key_id text not null references keys (id),
    operation text not null,
    idempotency_key text not null,
    -- The SHA-256 of the request's body.
    request blob not null,
    status integer not null,
    body blob not null,
    created_at integer not null,
    unique (key_id, operation, idempotency_key)
) strict;

-- What the server signs with, by its name.
create table secrets (
    name text primary key,
    secret blob not null
) strict, without rowid;
