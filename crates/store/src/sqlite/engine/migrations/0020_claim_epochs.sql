-- On which link of its bridge an item was claimed last. A bridge knows by it whether its notes go back so far.
alter table outbox add column claim_epoch integer;
-- Each bridge has answered for what was claimed before its newest link.
update outbox set claim_epoch = (select link_epoch from bridges where bridges.id = outbox.bridge_id)
where status = 'claimed';
