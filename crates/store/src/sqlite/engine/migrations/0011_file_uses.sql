-- Files that were referred to and are no more: their message failed or was taken back.

-- How many messages and items refer to it. Of files from before nobody has counted; they stay.
alter table files add column uses integer not null default 0;
update files set uses = 1000000 where is_referenced = 1;

-- is_referenced: 0 never was, 1 is, 2 was. Since when it is not any more, by the steady clock; null until somebody
-- has looked.
alter table files add column left_at integer;
create index files_left on files (left_at) where is_referenced = 2;

-- From now on only what is still to go out names its file: what is over refers to it by its message, or not at all.
update outbox set file_id = null where file_id is not null and status in ('sent', 'failed');
