//! Messages: one for each guid of a line, newest first; and what becomes of them later.

use rusqlite::{Connection, Row, params};
use switchboard_model::{
    Account, Attachment, Chat, EventKind, Line, Message, OutboxItem, Timestamp,
    chat::Recipient,
    event::MessageEvent,
    id::Id,
    link::InboundUpdate,
    message::MessageRef,
    page::{Limit, Page},
};

use super::{
    SqliteStore, chats,
    engine::{
        columns::{Bits, Json, Name, bits},
        read_queue::Owner,
        statement,
        writer::Tx,
    },
    events::{self, EventContext},
    files,
};
use crate::{Committed, Messages, MessagesCursor, Refusal, Result, base::context::CachedLine};

pub(super) use crate::base::told::bounded_guid;

#[async_trait::async_trait]
impl Messages for SqliteStore {
    async fn messages(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        chat: Recipient,
        after: Option<MessagesCursor>,
        limit: Limit,
    ) -> Result<Page<Message, 1>> {
        self.readers
            .list(account)
            .ask(move |sql| page(sql, account, line, &chat, after, limit))
            .await
    }

    async fn find_messages(
        &self,
        account: Id<Account>,
        message: MessageRef,
    ) -> Result<Vec<(Id<Line>, Id<Message>)>> {
        self.readers.lookup(account).ask(move |sql| meant_by(sql, account, &message)).await
    }

    async fn guid_of(&self, message: Id<Message>) -> Result<Option<String>> {
        self.readers.lookup(Owner::System).ask(move |sql| guid_of(sql, message)).await
    }
}

/// The bits of `messages.seq` that are the message's number; those above them are its chat's `seq`. So the messages of
/// a chat lie beside each other in the table, and a page of them is a few neighbouring leaves.
pub(super) const NUMBER_BITS: u32 = 36;

/// The largest number.
pub(super) const MAX_NUMBER: i64 = (1 << NUMBER_BITS) - 1;

/// The number of the newest message, of whatever chat; 0 if there is none. Numbers rise in the order of insertion.
pub(super) fn newest(sql: &Connection) -> Result<i64> {
    let last = "select last from counters where name = 'messages'";
    Ok(statement::first(sql, last, [], |row| row.get(0))?.unwrap_or(0))
}

/// Keeps a new message and answers its number; none if the line has its guid already. All that may
/// have become of a new one is that it was delivered.
pub(super) fn insert(sql: &Connection, message: &Message) -> Result<Option<i64>> {
    // Without `returning`, for which SQLite would keep a journal of the statement, and walk all that the command has
    // changed so far at its end.
    statement::run(sql, "update counters set last = last + 1 where name = 'messages'", [])?;
    let made = statement::run(
        sql,
        "insert into messages (id, line_id, chat_id, guid, sender, text, attachments, service, is_from_me,
                               is_audio_message, sent_at, synced_at, outbox_id, reply_to_guid,
                               delivered_at, seq)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
                 (select seq from chats where id = ?3) << ?16
                 | (select last from counters where name = 'messages'))
         on conflict (line_id, guid) do nothing",
        params![
            bits(message.id),
            bits(message.line_id),
            bits(message.chat_id),
            message.guid,
            message.sender,
            message.text,
            Json(&message.attachments),
            message.service.map(Name),
            message.is_from_me,
            message.is_audio_message,
            message.sent_at.0,
            message.synced_at.0,
            message.outbox_id.map(bits),
            message.reply_to_guid,
            message.delivered_at.map(|at| at.0),
            NUMBER_BITS,
        ],
    )?;
    Ok((made > 0).then(|| sql.last_insert_rowid() & MAX_NUMBER))
}

/// The message of this guid, and its chat.
pub(super) fn known(
    sql: &Connection,
    line: Id<Line>,
    guid: &str,
) -> Result<Option<(Id<Message>, Id<Chat>)>> {
    statement::first(
        sql,
        "select id, chat_id from messages where line_id = ?1 and guid = ?2",
        params![bits(line), guid],
        |row| Ok((row.get::<_, Bits<_>>(0)?.id(), row.get::<_, Bits<_>>(1)?.id())),
    )
}

/// Says that the message with the guid of `told` was sent from this item, and answers it. None if it can't have
/// been: it stands in another chat, is not the line's own, or was sent from another item.
pub(super) fn link(
    sql: &Connection,
    told: &Message,
    item: Id<OutboxItem>,
) -> Result<Option<Message>> {
    statement::first(
        sql,
        "update messages set outbox_id = ?3, delivered_at = coalesce(delivered_at, ?4)
         where line_id = ?1 and guid = ?2 and chat_id = ?5 and (is_from_me = 1 or sender = ?6)
           and (outbox_id is null or outbox_id = ?3)
         returning id, line_id, chat_id, guid, sender, text, attachments, service, is_from_me,
                   is_audio_message, sent_at, synced_at, outbox_id, reply_to_guid,
                   edited_at, unsent_at, delivered_at, read_at, failed_at, error",
        params![
            bits(told.line_id),
            told.guid,
            bits(item),
            told.delivered_at.map(|at| at.0),
            bits(told.chat_id),
            told.sender
        ],
        message,
    )
}

/// Makes known what is new of a message of this account, and answers which it is. Nothing is made
/// known if nothing is new, and nothing is known of a message of another account.
pub(super) fn update(
    tx: &mut Tx<'_>,
    line: &CachedLine,
    account: Id<Account>,
    update: InboundUpdate,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<Option<(Id<Message>, Id<Chat>)>> {
    let guid = bounded_guid(update.message_guid.clone());
    let found = statement::first(
        tx.sql,
        "select m.id, m.line_id, m.chat_id, m.guid, m.sender, m.text, m.attachments, m.service,
                m.is_from_me, m.is_audio_message, m.sent_at, m.synced_at, m.outbox_id,
                m.reply_to_guid, m.edited_at, m.unsent_at, m.delivered_at, m.read_at, m.failed_at, m.error
         from messages m cross join chats c on c.id = m.chat_id
         where m.line_id = ?1 and m.guid = ?2 and c.account_id = ?3",
        params![bits(line.id), guid, bits(account)],
        message,
    )?;
    let Some(mut message) = found else { return Ok(None) };
    let place = (message.id, message.chat_id);
    let before = message.attachments.clone();
    let told = update.attachments.clone();
    let mut is_new = message.take(update);
    if let Some(told) = told.filter(|told| message.are_new(told)) {
        message.attachments = files::replace(tx.sql, line.id, account, &before, told)?;
        // One that was not uploaded for this line stays without its bytes, however often it is told.
        is_new |= message.attachments != before;
    }
    if !is_new {
        return Ok(Some(place));
    }
    // It was taken back, and its files with it; or others came in their place.
    let left = before.iter().flat_map(Attachment::file_ids);
    let stays = |id: &Id<_>| {
        message.attachments.iter().flat_map(Attachment::file_ids).any(|file| file == *id)
    };
    left.filter(|id| !stays(id)).try_for_each(|file| files::leave(tx.sql, file))?;
    statement::run(
        tx.sql,
        "update messages set text = ?2, attachments = ?3, edited_at = ?4, unsent_at = ?5,
                delivered_at = ?6, read_at = ?7, failed_at = ?8, error = ?9, service = ?10
         where id = ?1",
        params![
            bits(message.id),
            message.text,
            Json(&message.attachments),
            message.edited_at.map(|at| at.0),
            message.unsent_at.map(|at| at.0),
            message.delivered_at.map(|at| at.0),
            message.read_at.map(|at| at.0),
            message.failed_at.map(|at| at.0),
            message.error,
            message.service.map(Name),
        ],
    )?;
    let here = EventContext { line, account_id: account, chat_id: message.chat_id };
    let data = MessageEvent { message, line_handle: line.handle.clone() };
    events::publish(tx, here.event(EventKind::MessageUpdated, &data), now, committed)?;
    Ok(Some(place))
}

/// The guid of a message, whoever's it is: for the phones that are simulated here.
pub(super) fn guid_of(sql: &Connection, id: Id<Message>) -> Result<Option<String>> {
    statement::first(sql, "select guid from messages where id = ?1", params![bits(id)], |row| {
        row.get(0)
    })
}

/// The guid of a message that a caller names, if it stands in this chat.
pub(super) fn guid_in_chat(
    sql: &Connection,
    chat: Id<Chat>,
    message: &MessageRef,
) -> Result<Option<String>> {
    match message {
        MessageRef::Id(id) => statement::first(
            sql,
            "select guid from messages where id = ?1 and chat_id = ?2",
            params![bits(*id), bits(chat)],
            |row| row.get(0),
        ),
        MessageRef::Guid(guid) => statement::first(
            sql,
            "select guid from messages
             where line_id = (select line_id from chats where id = ?2) and guid = ?1 and chat_id = ?2",
            params![guid, bits(chat)],
            |row| row.get(0),
        ),
    }
}

/// By guid it is asked line by line, because that is how guids are kept; an account has few lines.
pub(super) fn meant_by(
    sql: &Connection,
    account: Id<Account>,
    message: &MessageRef,
) -> Result<Vec<(Id<Line>, Id<Message>)>> {
    let place =
        |row: &Row<'_>| Ok((row.get::<_, Bits<_>>(0)?.id(), row.get::<_, Bits<_>>(1)?.id()));
    match message {
        MessageRef::Id(id) => statement::all(
            sql,
            "select m.line_id, m.id from messages m cross join shown_chats c on c.id = m.chat_id
             where m.id = ?1 and c.account_id = ?2",
            params![bits(*id), bits(account)],
            place,
        ),
        MessageRef::Guid(guid) => statement::all(
            sql,
            "select m.line_id, m.id from lines l
             cross join messages m on m.line_id = l.id and m.guid = ?1
             cross join shown_chats c on c.id = m.chat_id
             where (l.account_id = ?2 or l.is_sandbox = 1) and c.account_id = ?2 order by l.seq",
            params![guid, bits(account)],
            place,
        ),
    }
}

pub(super) fn page(
    sql: &Connection,
    account: Id<Account>,
    line: Id<Line>,
    chat: &Recipient,
    after: Option<MessagesCursor>,
    limit: Limit,
) -> Result<Page<Message, 1>> {
    let chat = chats::find(sql, account, line, chat)?.ok_or(Refusal::ChatNotFound)?;
    let before = after.map_or(MAX_NUMBER, |cursor| {
        let [number] = cursor.place();
        i64::try_from(number).unwrap_or(MAX_NUMBER).min(MAX_NUMBER)
    });
    let wanted = limit.get() as usize;
    let mut rows = statement::all(
        sql,
        "select id, line_id, chat_id, guid, sender, text, attachments, service, is_from_me,
                is_audio_message, sent_at, synced_at, outbox_id, reply_to_guid,
                edited_at, unsent_at, delivered_at, read_at, failed_at, error, seq
         from messages
         where seq >= (select seq from chats where id = ?1) << ?2
           and seq < ((select seq from chats where id = ?1) << ?2 | ?3)
         order by seq desc limit ?4",
        params![bits(chat), NUMBER_BITS, before, statement::limit(wanted + 1)],
        |row| Ok((row.get::<_, i64>(20)?, message(row)?)),
    )?;
    let has_more = rows.len() > wanted;
    rows.truncate(wanted);
    let next = rows.last().filter(|_| has_more).map(|(seq, _)| {
        let number = seq & MAX_NUMBER;
        MessagesCursor::new([number.unsigned_abs()])
    });
    Ok(Page { rows: rows.into_iter().map(|(_, message)| message).collect(), next })
}

fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        id: row.get::<_, Bits<_>>(0)?.id(),
        line_id: row.get::<_, Bits<_>>(1)?.id(),
        chat_id: row.get::<_, Bits<_>>(2)?.id(),
        guid: row.get(3)?,
        sender: row.get(4)?,
        text: row.get(5)?,
        attachments: row.get::<_, Json<_>>(6)?.0,
        service: row.get::<_, Option<Name<_>>>(7)?.map(|service| service.0),
        is_from_me: row.get(8)?,
        is_audio_message: row.get(9)?,
        sent_at: Timestamp(row.get(10)?),
        synced_at: Timestamp(row.get(11)?),
        outbox_id: row.get::<_, Option<Bits<_>>>(12)?.map(Bits::id),
        reply_to_guid: row.get(13)?,
        edited_at: row.get::<_, Option<_>>(14)?.map(Timestamp),
        unsent_at: row.get::<_, Option<_>>(15)?.map(Timestamp),
        delivered_at: row.get::<_, Option<_>>(16)?.map(Timestamp),
        read_at: row.get::<_, Option<_>>(17)?.map(Timestamp),
        failed_at: row.get::<_, Option<_>>(18)?.map(Timestamp),
        error: row.get(19)?,
    })
}
