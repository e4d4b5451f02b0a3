-- Webhooks are owned: the engine reads their deliveries as a log, and nothing is leased any more.

-- What was leased was on its way when the process ended.
update deliveries indexed by deliveries_due set due_at = 0 where status = 'due' and attempts = 0;
update deliveries indexed by deliveries_due set due_at = 1 where status = 'due' and leased = 1 and due_at > 0;

drop index deliveries_due;
alter table deliveries drop column leased;

-- The log of a webhook: first those that were not attempted in their round, at 0 and in order; then the
-- retries by the time when they are due.
create index deliveries_due on deliveries (webhook_id, due_at, seq) where status = 'due';

-- The attempt that worked, if it was made since this version: those that did not work are in `attempts`.
alter table deliveries add column started_at integer;
alter table deliveries add column duration_ms integer;
alter table deliveries add column answer_status integer;
alter table deliveries add column answer text;
