-- What real lines need: why one is not there and since when, and that a message which was sent did not arrive.
--
-- A bridge that has told what its lines can do meant files, first messages and groups too: there was no word for these.
-- So it is with any emoji where reactions are, and with the end of typing where typing is.
alter table lines add column capabilities_told integer not null default 0;
alter table lines add column online integer not null default 0;
-- Beside an online line, a warning.
alter table lines add column offline_reason text;
alter table lines add column status_since integer;

update lines set capabilities_told = 1,
    capabilities = json_insert(capabilities, '$[#]', 'attachments', '$[#]', 'new_chats', '$[#]', 'groups')
where json_array_length(capabilities) > 0;
update lines set capabilities = json_insert(capabilities, '$[#]', 'emoji_reactions')
where exists (select 1 from json_each(capabilities) where value = 'reactions');
update lines set capabilities = json_insert(capabilities, '$[#]', 'typing_off')
where exists (select 1 from json_each(capabilities) where value = 'typing');

alter table messages add column failed_at integer;
alter table messages add column error text;
