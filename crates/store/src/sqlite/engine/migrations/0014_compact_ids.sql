-- Ids lie as their 16 bytes, which sort as they do, and the messages of a chat lie beside each other. Every table that
-- names an id is made anew under the name `<table>_new`; `compact_ids.rs` fills them, in slices, and puts each in the
-- place of the old one. Indexes are made when a table is filled: 0014_compact_ids_indexes.sql.
--
-- What must stay in order has an integer `seq`, given out by the database: order never depends on a clock. Times are
-- Unix milliseconds. `references` says what belongs to what; it is not enforced while running (a look-up for each
-- insert on the hot path, for what the writer has just looked up anyway), the tests check it.

create table accounts_new (
    seq integer primary key,
    id blob not null unique,
    name text not null,
    created_at integer not null
) strict;

create table keys_new (
    seq integer primary key,
    id blob not null unique,
    account_id blob references accounts (id),
    hash blob not null unique,
    name text not null,
    hint text not null,
    scopes text not null,
    -- A JSON array of ids as the API shows them; null is no restriction.
    line_ids text,
    rate_limit integer,
    expires_at integer,
    revoked_at integer,
    created_at integer not null
) strict;

-- Apart from the keys, because it is written all the time and is narrow.
create table key_usage_new (
    key_id blob primary key references keys (id),
    window_start integer not null,
    used integer not null
) strict, without rowid;

create table bridges_new (
    seq integer primary key,
    id blob not null unique,
    name text not null unique,
    driver text not null,
    token blob not null unique,
    last_seen_at integer,
    revoked_at integer,
    created_at integer not null,
    -- Who takes the link over makes it one more, and what an older link still says is refused.
    link_epoch integer not null default 0
) strict;

create table lines_new (
    seq integer primary key,
    id blob not null unique,
    account_id blob not null references accounts (id),
    handle text not null unique,
    label text,
    service text not null,
    is_active integer not null default 1,
    is_sandbox integer not null default 0,
    capabilities text not null default '[]',
    driver text not null,
    bridge_id blob references bridges (id),
    contact_first integer not null
) strict;

create table line_positions_new (
    line_id blob not null references lines (id),
    bridge_id blob not null references bridges (id),
    -- Opaque; the bridge counts it.
    position text not null,
    primary key (line_id, bridge_id)
) strict, without rowid;

create table chats_new (
    -- With its number, it is the place of a message; see there.
    seq integer primary key check (seq < 134217728),
    id blob not null unique,
    account_id blob not null references accounts (id),
    line_id blob not null references lines (id),
    identifier text not null,
    is_group integer not null,
    service text not null,
    name text,
    participants text not null,
    has_received_inbound integer not null default 0,
    last_message_at integer,
    -- The number of its newest message; 0 while there is none.
    last_seq integer not null default 0,
    -- A group never merges with a contact, whatever a driver calls it. With the account, because a
    -- phone that is paired with another account on the sandbox line begins another chat there.
    unique (line_id, account_id, identifier, is_group)
) strict;

create table messages_new (
    -- `chats.seq << 36 | number`. Numbers rise over all chats, in the order of insertion.
    seq integer primary key,
    id blob not null,
    line_id blob not null references lines (id),
    chat_id blob not null references chats (id),
    guid text not null,
    sender text not null,
    text text,
    attachments text not null,
    service text,
    is_from_me integer not null,
    is_audio_message integer,
    sent_at integer not null,
    synced_at integer not null,
    outbox_id blob references outbox (id),
    reply_to_guid text,
    edited_at integer,
    unsent_at integer,
    delivered_at integer,
    read_at integer
) strict;

-- The last number that was given out.
create table counters (
    name text primary key,
    last integer not null check (last < 68719476736)
) strict, without rowid;

create table outbox_new (
    seq integer primary key,
    id blob not null,
    account_id blob not null references accounts (id),
    line_id blob not null references lines (id),
    chat_id blob not null references chats (id),
    status text not null,
    attempts integer not null default 0,
    -- Who holds it, and until when; only while it is claimed.
    bridge_id blob references bridges (id),
    lease_until integer,
    created_at integer not null,
    completed_at integer,
    error text,
    message_id blob references messages (id),
    content text not null,
    payload text not null,
    -- The file that `content` names, while the item is still to go out.
    file_id blob references files (id)
) strict;

-- `autoincrement`: old events are pruned, and a place in the stream must not come twice.
create table events_new (
    seq integer primary key autoincrement,
    id blob not null,
    account_id blob not null references accounts (id),
    line_id blob not null references lines (id),
    chat_id blob references chats (id),
    kind text not null,
    created_at integer not null,
    -- Byte for byte what is delivered.
    data text not null
) strict;

create table webhooks_new (
    seq integer primary key,
    id blob not null unique,
    account_id blob not null references accounts (id),
    -- A JSON array of ids as the API shows them; null is every line of the account.
    line_ids text,
    url text not null,
    events text not null,
    is_active integer not null default 1,
    secret text not null,
    created_at integer not null,
    -- The secret before the last rotation, and until when it is valid too.
    previous_secret text,
    previous_until integer,
    -- The end of the first attempt that failed since the last that succeeded, or since the last long silence; and the
    -- end of the last that failed.
    failing_since integer,
    last_failed_at integer,
    -- When it stopped being active, and why: manual, failing or gone.
    disabled_at integer,
    disabled_reason text,
    -- The key that made it; null for those made before this was kept.
    created_by blob references keys (id),
    -- `failing_since` by the steady clock, which decides.
    failing_from integer
) strict;

create table deliveries_new (
    seq integer primary key,
    id blob not null,
    -- No reference: what is over outlives its webhook until its event is pruned.
    webhook_id blob not null,
    account_id blob not null,
    event_seq integer not null references events (seq),
    -- due, delivered or failed
    status text not null,
    -- Of this round: a retry by hand and a replay begin a new one.
    attempts integer not null default 0,
    -- 0 while it was not attempted in its round.
    due_at integer not null,
    last_error text,
    created_at integer not null,
    finished_at integer,
    -- Attempts made before this round.
    earlier_attempts integer not null default 0,
    -- When this round began, if it is not the first.
    round_at integer,
    -- The attempt that worked; those that did not work are in `attempts`.
    started_at integer,
    duration_ms integer,
    answer_status integer,
    answer text
) strict;

create table replays_new (
    seq integer primary key,
    id blob not null unique,
    account_id blob not null references accounts (id),
    -- No reference: what is over outlives its webhook.
    webhook_id blob not null,
    since integer not null,
    until integer not null,
    -- Whether what was delivered goes out again too.
    include_delivered integer not null,
    -- running or done
    status text not null,
    -- Where it began, up to where events were looked at, and where it ends: places in the order of events.
    first_place integer not null,
    place integer not null,
    last_place integer not null,
    -- How many deliveries it has made due.
    queued integer not null default 0,
    created_at integer not null,
    finished_at integer,
    -- From when on its age counts once it is done, by the steady clock.
    aged_from integer
) strict;

-- For each message, sender and type the latest occurrence; `seq` is the order of occurrences.
create table reactions_new (
    seq integer primary key,
    id blob not null unique,
    message_id blob not null references messages (id),
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
create table reaction_guids_new (
    line_id blob not null references lines (id),
    guid text not null,
    message_id blob not null references messages (id),
    primary key (line_id, guid)
) strict, without rowid;

create table typing_new (
    seq integer primary key,
    id blob not null unique,
    chat_id blob not null references chats (id),
    handle text not null,
    is_typing integer not null,
    updated_at integer not null,
    unique (chat_id, handle)
) strict;

create table receipts_new (
    seq integer primary key,
    id blob not null unique,
    chat_id blob not null references chats (id),
    handle text not null,
    last_read_at integer not null,
    synced_at integer not null,
    unique (chat_id, handle)
) strict;

-- What is known of files; their bytes are kept elsewhere, under the id.
create table files_new (
    seq integer primary key,
    id blob not null unique,
    account_id blob not null references accounts (id),
    -- The line that a bridge uploaded it for; null for an upload of the account.
    line_id blob references lines (id),
    filename text,
    mime_type text not null,
    size integer not null,
    -- The SHA-256 of its bytes.
    content blob not null,
    created_at integer not null,
    -- 0 if no message or item ever referred to it, 1 if one does, 2 if one did.
    is_referenced integer not null default 0,
    -- The lines that the uploader's key was restricted to, and those that it was sent on: JSON arrays of hexadecimal
    -- ids; null if there is no restriction (or a bridge uploaded it), and if it was never sent.
    uploader_line_ids text,
    sent_line_ids text,
    -- How many messages and items refer to it. Of those from before they were counted, very many: they stay.
    uses integer not null default 0,
    -- Since when none does any more, by the steady clock; null until somebody has looked.
    left_at integer
) strict;

-- How much each account has stored, so that a quota costs no count of all its files.
create table stored_bytes_new (
    account_id blob primary key references accounts (id),
    bytes integer not null
) strict, without rowid;

-- An account on the sandbox line: with a code, or paired with a phone, or neither.
create table sandbox_new (
    account_id blob primary key references accounts (id),
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
create table idempotency_keys_new (
    seq integer primary key,
    key_id blob not null references keys (id),
    operation text not null,
    idempotency_key text not null,
    -- The SHA-256 of the request's body.
    request blob not null,
    status integer not null,
    body blob not null,
    created_at integer not null,
    -- Whether the body is encrypted with the server's key, because it shows a secret.
    is_sealed integer not null default 0,
    unique (key_id, operation, idempotency_key)
) strict;
