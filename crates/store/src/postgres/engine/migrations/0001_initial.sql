-- Ids are uuids, times milliseconds since the epoch, names and JSON text, as the model writes them.
--
-- There are no foreign keys: each would read another row, and lock it, for every row that is written. The contract suite
-- declares all of them (`references.sql`) when a test ends, so that none points at nothing.

-- The version of this schema.
create table schema_version (
  id integer primary key check (id = 1),
  version bigint not null
);

-- Where events and deliveries stand: `(number of the transaction + base) << 20 | number within it`. Whatever commits late
-- has a number that no reader has passed, because readers stop at the horizon: the oldest transaction still running.
-- `base` makes up for a database that came from another server, whose transactions had higher numbers.
create table place_base (
  id integer primary key check (id = 1),
  base bigint not null
);
insert into place_base values (1, 0);

-- The place of the first event of this transaction. Whoever asks holds the locks of the lines that it is about: so of
-- one line, later places are of later commits.
create function first_place() returns bigint language sql volatile as
  'select (pg_current_xact_id()::text::bigint + base) << 20 from place_base';

-- Before this place all is committed, or never will be.
create function horizon() returns bigint language sql stable as
  'select (pg_snapshot_xmin(pg_current_snapshot())::text::bigint + base) << 20 from place_base';

create table secrets (
  name text primary key,
  secret bytea not null
);

create table probe (
  id integer primary key check (id = 1),
  at bigint not null
);

create table clock (
  id integer primary key check (id = 1),
  wall bigint not null,
  steady bigint not null,
  -- The machine's own count, comparable while `boot` is the same.
  machine bigint not null,
  boot text,
  -- Steady time that only a wall clock told of, and that was not lived through since.
  unverified bigint not null
);

create table marks (
  at bigint primary key,
  event_seq bigint not null,
  item_seq bigint not null
);

create table accounts (
  seq bigint generated always as identity primary key,
  id uuid not null unique,
  name text not null,
  created_at bigint not null
);

create table keys (
  seq bigint generated always as identity primary key,
  id uuid not null unique,
  account_id uuid,
  hash bytea not null unique,
  name text not null,
  hint text not null,
  scopes text not null,
  -- Null is no restriction.
  line_ids uuid[],
  rate_limit bigint,
  expires_at bigint,
  revoked_at bigint,
  created_at bigint not null
);

create table key_usage (
  key_id uuid primary key,
  window_start bigint not null,
  used bigint not null
);

create table bridges (
  seq bigint generated always as identity primary key,
  id uuid not null unique,
  name text not null unique,
  driver text not null,
  token bytea not null unique,
  last_seen_at bigint,
  revoked_at bigint,
  created_at bigint not null,
  -- Who takes the link over makes it one more, and what an older link still says is refused.
  link_epoch bigint not null default 0,
  link_until bigint not null default 0
);

create table lines (
  seq bigint generated always as identity primary key,
  id uuid not null unique,
  account_id uuid not null,
  handle text not null unique,
  label text,
  service text not null,
  is_active boolean not null default true,
  is_sandbox boolean not null default false,
  capabilities text not null default '[]',
  -- Whether its bridge has ever said what it can do.
  capabilities_told boolean not null default false,
  driver text not null,
  bridge_id uuid,
  contact_first boolean not null,
  online boolean not null default false,
  offline_reason text,
  status_since bigint,
  standby_bridge_id uuid,
  standby_ready boolean not null default false,
  taken_over boolean not null default false,
  loop_limit text,
  -- When a bridge first said how the line is; null of one that no bridge ever had.
  began_at bigint
);
create unique index lines_sandbox on lines (is_sandbox) where is_sandbox;
create index lines_by_account on lines (account_id);
create index lines_by_bridge on lines (bridge_id);
create index lines_by_standby on lines (standby_bridge_id) where standby_bridge_id is not null;

create table line_positions (
  line_id uuid not null,
  bridge_id uuid not null,
  -- Opaque; the bridge counts it.
  position text not null,
  -- When the newest of what a bridge has told of the line was written.
  told_at bigint,
  primary key (line_id, bridge_id)
);

create table line_days (
  -- Since the epoch, UTC.
  day bigint not null,
  line_id uuid not null,
  sent bigint not null,
  received bigint not null,
  to_silent bigint not null,
  new_contacts bigint not null,
  -- The minute of the last message that was sent, how many were sent in it, and the most that were in one.
  minute bigint not null,
  minute_sent bigint not null,
  busiest_minute bigint not null,
  primary key (day, line_id)
);

create table chats (
  seq bigint generated always as identity primary key,
  id uuid not null unique,
  account_id uuid not null,
  line_id uuid not null,
  identifier text not null,
  is_group boolean not null,
  service text not null,
  name text,
  participants text not null,
  has_received_inbound boolean not null default false,
  last_message_at bigint,
  -- The number of its newest message; 0 while there is none.
  last_seq bigint not null default 0,
  last_received_at bigint,
  unanswered bigint not null default 0,
  is_answered boolean not null default false,
  answers bigint not null default 0,
  answers_from bigint not null default 0,
  -- A group never merges with a contact, whatever a driver calls it. With the account, because a
  -- phone that is paired with another account on the sandbox line begins another chat there.
  unique (line_id, account_id, identifier, is_group)
);
create index chats_by_activity on chats (line_id, account_id, last_seq, seq);
create index chats_unanswered on chats (line_id) where unanswered > 5 and not is_group;

-- Numbers of messages. Taken under the lock of their line: of one line they rise in the order of the commits.
create sequence message_numbers;

create table messages (
  id uuid primary key,
  seq bigint not null,
  line_id uuid not null,
  chat_id uuid not null,
  guid text not null,
  sender text not null,
  text text,
  attachments text not null,
  service text,
  is_from_me boolean not null,
  is_audio_message boolean,
  sent_at bigint not null,
  synced_at bigint not null,
  outbox_id uuid,
  reply_to_guid text,
  edited_at bigint,
  unsent_at bigint,
  delivered_at bigint,
  read_at bigint,
  failed_at bigint,
  error text
);
create unique index messages_by_chat on messages (chat_id, seq);
create unique index messages_by_guid on messages (line_id, guid);

create table outbox (
  -- The order of acceptance: of one chat it is that of the commits, which hold the chat's row.
  seq bigint generated always as identity primary key,
  id uuid not null unique,
  account_id uuid not null,
  line_id uuid not null,
  chat_id uuid not null,
  status text not null,
  attempts bigint not null default 0,
  -- Who holds it, and until when; only while it is claimed.
  bridge_id uuid,
  lease_until bigint,
  created_at bigint not null,
  completed_at bigint,
  error text,
  message_id uuid,
  content text not null,
  -- The request's own fields, byte for byte.
  payload text not null,
  -- The file that `content` names, while the item is still to go out.
  file_id uuid,
  to_silent boolean not null default false,
  claim_epoch bigint
);
create index outbox_pending on outbox (line_id, seq) include (chat_id) where status = 'pending';
create index outbox_claimed on outbox (bridge_id, lease_until) where status = 'claimed';
create index outbox_files on outbox (file_id, bridge_id)
  where status = 'claimed' and file_id is not null;

create table events (
  -- See `place_base`.
  seq bigint primary key,
  id uuid not null,
  account_id uuid not null,
  line_id uuid not null,
  chat_id uuid,
  kind text not null,
  created_at bigint not null,
  -- Byte for byte what is delivered.
  data text not null
);
create index events_by_account on events (account_id, seq);
create unique index events_by_id on events (id);

create table webhooks (
  seq bigint generated always as identity primary key,
  id uuid not null unique,
  account_id uuid not null,
  -- Null is every line of the account.
  line_ids uuid[],
  url text not null,
  events text not null,
  is_active boolean not null default true,
  secret text not null,
  created_at bigint not null,
  -- The secret before the last rotation, and until when it is valid too.
  previous_secret text,
  previous_until bigint,
  -- The end of the first attempt that failed since the last that succeeded, or since the last long silence; and the
  -- end of the last that failed.
  failing_since bigint,
  last_failed_at bigint,
  -- When it stopped being active, and why: manual, failing or gone.
  disabled_at bigint,
  disabled_reason text,
  -- The key that made it.
  created_by uuid,
  -- `failing_since` by the steady clock, which decides.
  failing_from bigint
);
create index webhooks_by_account on webhooks (account_id);
create index webhooks_rotated on webhooks (previous_until) where previous_until is not null;

create table deliveries (
  -- Of the first round, a place as an event's; of each later one, a place again: the rows of a webhook are a log.
  seq bigint primary key,
  id uuid not null unique,
  -- What is over outlives its webhook until its event is pruned.
  webhook_id uuid not null,
  account_id uuid not null,
  event_seq bigint not null,
  -- due, delivered or failed
  status text not null,
  -- Of this round: a retry by hand and a replay begin a new one.
  attempts bigint not null default 0,
  -- 0 while it was not attempted in its round.
  due_at bigint not null,
  last_error text,
  created_at bigint not null,
  finished_at bigint,
  -- Attempts made before this round.
  earlier_attempts bigint not null default 0,
  -- When this round began, if it is not the first.
  round_at bigint,
  -- The attempt that worked; those that did not work are in `attempts`.
  started_at bigint,
  duration_ms bigint,
  answer_status bigint,
  answer text
);
create index deliveries_by_event on deliveries (event_seq);
create index deliveries_due on deliveries (webhook_id, due_at, seq) where status = 'due';
create index deliveries_failed on deliveries (webhook_id, event_seq, finished_at)
  where status = 'failed';

create table attempts (
  delivery_seq bigint not null,
  -- Over all rounds, from 1.
  number bigint not null,
  started_at bigint not null,
  duration_ms bigint not null,
  status bigint,
  -- The start of the answer's body.
  answer text,
  error text,
  primary key (delivery_seq, number)
);

-- The processes that share this database.
create table nodes (
  id text primary key,
  -- Alive up to then, by the steady clock.
  until bigint not null
);

-- Who delivers to which of the 256 parts of all webhooks.
create table webhook_partitions (
  number bigint primary key,
  node_id text,
  until bigint not null default 0
);
insert into webhook_partitions (number) select generate_series(0, 255);

create table replays (
  seq bigint generated always as identity primary key,
  id uuid not null unique,
  account_id uuid not null,
  -- What is over outlives its webhook.
  webhook_id uuid not null,
  since bigint not null,
  until bigint not null,
  -- Whether what was delivered goes out again too.
  include_delivered boolean not null,
  -- running or done
  status text not null,
  -- Where it began, up to where events were looked at, and where it ends: places in the order of events.
  first_place bigint not null,
  place bigint not null,
  last_place bigint not null,
  -- How many deliveries it has made due.
  queued bigint not null default 0,
  created_at bigint not null,
  finished_at bigint,
  -- From when on its age counts once it is done, by the steady clock.
  aged_from bigint
);
create index replays_running on replays (seq) where status = 'running';
create index replays_done on replays (aged_from) where status = 'done';

create table reactions (
  seq bigint generated always as identity primary key,
  id uuid not null unique,
  message_id uuid not null,
  sender text not null,
  type text not null,
  is_from_me boolean not null,
  added boolean not null,
  sent_at bigint not null,
  synced_at bigint not null,
  unique (message_id, sender, type)
);

create table reaction_guids (
  line_id uuid not null,
  guid text not null,
  message_id uuid not null,
  primary key (line_id, guid)
);

create table own_reactions (
  line_id uuid not null,
  message_id uuid not null,
  type text not null,
  added boolean not null,
  at bigint not null,
  -- Who said it.
  bridge_id uuid not null,
  -- Whether it was an item that was done; otherwise it was in the line's history.
  was_item boolean not null
);
create index own_reactions_by_message on own_reactions (message_id);
create index own_reactions_by_time on own_reactions (line_id, at);

create table typing (
  seq bigint generated always as identity primary key,
  id uuid not null unique,
  chat_id uuid not null,
  handle text not null,
  is_typing boolean not null,
  updated_at bigint not null,
  unique (chat_id, handle)
);
create index typing_on on typing (updated_at) where is_typing;

create table receipts (
  seq bigint generated always as identity primary key,
  id uuid not null unique,
  chat_id uuid not null,
  handle text not null,
  last_read_at bigint not null,
  synced_at bigint not null,
  unique (chat_id, handle)
);

create table files (
  seq bigint generated always as identity primary key,
  id uuid not null unique,
  account_id uuid not null,
  -- The line that a bridge uploaded it for; null for an upload of the account.
  line_id uuid,
  filename text,
  mime_type text not null,
  size bigint not null,
  -- The SHA-256 of its bytes.
  content bytea not null,
  created_at bigint not null,
  -- 0 if no message or item ever referred to it, 1 if one does, 2 if one did.
  is_referenced bigint not null default 0,
  -- The lines that the uploader's key was restricted to, and those that it was sent on; null if there is no restriction
  -- (or a bridge uploaded it), and if it was never sent.
  uploader_line_ids uuid[],
  sent_line_ids uuid[],
  -- How many messages and items refer to it.
  uses bigint not null default 0,
  -- Since when none does any more, by the steady clock; null until somebody has looked.
  left_at bigint
);
create index files_unreferenced on files (created_at) where is_referenced = 0;
create index files_left on files (left_at) where is_referenced = 2;

create table stored_bytes (
  account_id uuid primary key,
  bytes bigint not null
);

create function count_stored_bytes() returns trigger language plpgsql as '
begin
  if tg_op <> ''INSERT'' then
    update stored_bytes set bytes = bytes - old.size where account_id = old.account_id;
  end if;
  if tg_op <> ''DELETE'' then
    insert into stored_bytes as stored (account_id, bytes) values (new.account_id, new.size)
    on conflict (account_id) do update set bytes = stored.bytes + excluded.bytes;
  end if;
  return null;
end';
create trigger files_stored after insert or delete on files
  for each row execute function count_stored_bytes();
create trigger files_moved after update of account_id on files
  for each row when (new.account_id <> old.account_id) execute function count_stored_bytes();

create table sandbox (
  account_id uuid primary key,
  -- Null once it was texted.
  code text unique,
  -- A phone is paired with one account at a time.
  contact text unique,
  activated_at bigint,
  -- What was used on this day since the epoch, UTC. Stays when the pairing ends, so that a new
  -- code is no way round the quota.
  day bigint not null default 0,
  used bigint not null default 0
);

create table idempotency_keys (
  seq bigint generated always as identity primary key,
  key_id uuid not null,
  operation text not null,
  idempotency_key text not null,
  -- The SHA-256 of the request's body.
  request bytea not null,
  status bigint not null,
  body bytea not null,
  created_at bigint not null,
  -- Whether the body is encrypted with the server's key, because it shows a secret.
  is_sealed boolean not null default false,
  unique (key_id, operation, idempotency_key)
);

-- The chats that their account is shown: of the sandbox line, that with the phone that is paired with it now, and
-- nothing else; unless the line is its own.
create view shown_chats as
select * from chats
where line_id is distinct from (select id from lines where is_sandbox)
   or account_id = (select account_id from lines where is_sandbox)
   or (not is_group and exists (
        select 1 from sandbox
        where sandbox.account_id = chats.account_id and sandbox.contact = chats.identifier));
