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
-- At most one, and found without reading the others.
create unique index lines_sandbox on lines (is_sandbox) where is_sandbox = 1;

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
    -- A group never merges with a contact, whatever a driver calls it. With the account, because a
    -- phone that is paired with another account on the sandbox line begins another chat there.
    unique (line_id, account_id, identifier, is_group)
) strict;

-- The list of an account's chats on a line, latest activity first.
create index chats_by_activity on chats (line_id, account_id, last_seq, seq);

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
    -- The file that `content` names.
    file_id text references files (id),
    content text not null,
    payload text not null
) strict;

-- What waits, in the order of acceptance. With the chat, so that a claim skips the items of a
-- full chat without reading them.
create index outbox_pending on outbox (line_id, seq, chat_id) where status = 'pending';

-- What a bridge holds, and which of it is past its lease.
create index outbox_claimed on outbox (bridge_id, lease_until) where status = 'claimed';

-- Whether a bridge may have a file. Texts are not in it.
create index outbox_files on outbox (file_id, bridge_id)
where status = 'claimed' and file_id is not null;

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

-- The events of an account, in order: seq is in every index.
create index events_by_account on events (account_id);

create table webhooks (
    seq integer primary key,
    id text not null unique,
    account_id text not null references accounts (id),
    -- Null: every line of the account and the sandbox line.
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
