-- A mobile number of Mexico with the 1 that was dialled until 2019 is the number without it. What is kept
-- under the old form gets the new one, where that is not kept too; senders of messages stay as they were told.
update or ignore lines set handle = '+52' || substr(handle, 5)
where handle glob '+521[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]';

update or ignore chats
set participants = replace(participants, identifier, '+52' || substr(identifier, 5)),
    identifier = '+52' || substr(identifier, 5)
where is_group = 0
  and identifier glob '+521[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]';

update or ignore sandbox set contact = '+52' || substr(contact, 5)
where contact glob '+521[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]';

update or ignore reactions set sender = '+52' || substr(sender, 5)
where sender glob '+521[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]';

update or ignore typing set handle = '+52' || substr(handle, 5)
where handle glob '+521[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]';

update or ignore receipts set handle = '+52' || substr(handle, 5)
where handle glob '+521[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]';
