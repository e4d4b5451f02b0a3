-- The key that made it; null for those made before this was kept.
alter table webhooks add column created_by text references keys (id);

-- With all that is asked for, so that the oldest event which a webhook missed is found in the index alone: the writer looks
-- for it.
drop index deliveries_failed;
create index deliveries_failed on deliveries (webhook_id, event_seq, finished_at, status)
where status = 'failed';
