-- The first schema.
--
-- Ids lie as the text that the API shows. What must stay in order has an integer `seq`, given out
-- by the one writer: order never depends on a clock. Times are Unix milliseconds.
--
-- `references` says what belongs to what. It is not enforced while running (a look-up for each
-- insert on the hot path, for what the writer has just looked up anyway); the tests check it with
-- `pragma foreign_key_check`.
--
-- Every index is paid for on the hot path, so each one says in a comment which question it answers.

create table accounts (
    seq integer primary key,
    id text not null unique,
    name text not null,
    created_at integer not null
) strict;

create table keys (
    seq integer primary key,
    id text not null unique,
    account_id text references accounts (id),
    hash blob not null unique,
    name text not null,
    hint text not null,
    scopes text not null,
    line_ids text,
    rate_limit integer,
    expires_at integer,
    revoked_at integer,
    created_at integer not null
) strict;

-- Apart from the keys, because it is written all the time and is narrow.
create table key_usage (
    key_id text primary key references keys (id),
    window_start integer not null,
    used integer not null
) strict, without rowid;

create table bridges (
    seq integer primary key,
    id text not null unique,
    name text not null unique,
    driver text not null,
    token blob not null unique,
    last_seen_at integer,
    revoked_at integer,
    created_at integer not null
) strict;

create table lines (
    seq integer primary key,
    id text not null unique,
    account_id text not null references accounts (id),
    handle text not null unique,
    label text,
    service text not null,
    is_active integer not null default 1,
    is_sandbox integer not null default 0,
    capabilities text not null default '[]',
    driver text not null,
    bridge_id text references bridges (id),
    contact_first integer not null,
    -- The place in the line's history after the last entry that is kept here; opaque.
    position text
) strict;

create index lines_by_account on lines (account_id);
create index lines_by_bridge on lines (bridge_id);

create table chats (
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
    -- A group never merges with a contact, whatever a driver calls it.
    unique (line_id, identifier, is_group)
) strict;

-- The list of a line's chats, latest activity first.
create index chats_by_activity on chats (line_id, last_seq, seq);

create table messages (
    seq integer primary key,
    id text not null unique,
    line_id text not null references lines (id),
    chat_id text not null references chats (id),
    guid text not null,
    sender text not null,
    text text,
    attachments text not null,
    service text,
    is_from_me integer not null,
    is_audio_message integer,
    sent_at integer not null,
    synced_at integer not null,
    outbox_id text references outbox (id),
    reply_to_guid text,
    unique (line_id, guid)
) strict;

-- The messages of a chat, newest first: seq is in every index.
create index messages_by_chat on messages (chat_id);

create table outbox (
    seq integer primary key,
    id text not null unique,
    account_id text not null references accounts (id),
    line_id text not null references lines (id),
    chat_id text not null references chats (id),
    status text not null,
    attempts integer not null default 0,
    -- Who holds it, and until when; only while it is claimed.
    bridge_id text references bridges (id),
    lease_until integer,
    created_at integer not null,
    completed_at integer,
    error text,
    message_id text references messages (id),
    content text not null,
    payload text not null
) strict;

-- What waits, in the order of acceptance. With the chat, so that a claim skips the items of a
-- full chat without reading them.
create index outbox_pending on outbox (line_id, seq, chat_id) where status = 'pending';

-- What a bridge holds, and which of it is past its lease.
create index outbox_claimed on outbox (bridge_id, lease_until) where status = 'claimed';

-- `autoincrement`: old events are pruned, and a place in the stream must not come twice.
create table events (
    seq integer primary key autoincrement,
    id text not null,
    account_id text not null references accounts (id),
    line_id text not null references lines (id),
    chat_id text references chats (id),
    kind text not null,
    created_at integer not null,
    -- Byte for byte what is delivered.
    data text not null
) strict;

create table webhooks (
    seq integer primary key,
    id text not null unique,
    account_id text not null references accounts (id),
    -- Null: every line of the account.
    line_ids text,
    url text not null,
    events text not null,
    is_active integer not null default 1,
    secret text not null,
    created_at integer not null
) strict;

create index webhooks_by_account on webhooks (account_id);

create table deliveries (
    seq integer primary key,
    id text not null unique,
    -- No reference: what is over outlives its webhook until its event is pruned.
    webhook_id text not null,
    account_id text not null references accounts (id),
    event_seq integer not null references events (seq),
    -- due, delivered or failed
    status text not null,
    attempts integer not null default 0,
    -- While it is leased, the end of the lease. 0 once it was given back unattempted: such go in the
    -- order of seq, whatever the clock did meanwhile.
    due_at integer not null,
    leased integer not null,
    last_status integer,
    last_error text,
    created_at integer not null,
    finished_at integer
) strict;

-- What is due of each webhook, oldest first: from one webhook to the next is one step, however long
-- the backlog of the first. With what start-up asks for, so that it does not read those rows either.
create index deliveries_due on deliveries (webhook_id, due_at, seq, leased) where status = 'due';

-- The deliveries of an event that is pruned.
create index deliveries_by_event on deliveries (event_seq);
