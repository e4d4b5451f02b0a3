-- Whose files are, among keys that are restricted to some lines.

-- The lines that the uploader's key was restricted to, as a JSON array; null if to none, or if a bridge uploaded it.
alter table files add column uploader_line_ids text;

-- The lines that it was sent on, as a JSON array; null if it never was.
alter table files add column sent_line_ids text;

update files set sent_line_ids = sent.line_ids
from (select file_id, json_group_array(line_id) as line_ids
      from (select distinct file_id, line_id from outbox where file_id is not null)
      group by file_id) sent
where files.id = sent.file_id;
