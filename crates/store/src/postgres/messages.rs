//! Messages: one for each guid of a line, newest first; and what becomes of them later.

use std::{borrow::Cow, collections::HashMap};

use switchboard_model::{
    Account, Attachment, Chat, EventKind, Line, Message, OutboxItem, Timestamp,
    chat::Recipient,
    event::MessageEvent,
    id::Id,
    link::InboundUpdate,
    message::MessageRef,
    page::{Limit, Page},
};
use tokio_postgres::Row;

use super::{
    PostgresStore, chats,
    engine::{
        columns::{Bits, Column, Json, Name, bits},
        connection::Sql,
        statement,
        transaction::Tx,
    },
    events::{self, EventContext},
    files,
    inbox::keepable_guid,
};
use crate::{
    Committed, Messages, MessagesCursor, Refusal, Result,
    base::{context::CachedLine, told},
};

#[async_trait::async_trait]
impl Messages for PostgresStore {
    async fn messages(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        chat: Recipient,
        after: Option<MessagesCursor>,
        limit: Limit,
    ) -> Result<Page<Message, 1>> {
        let sql = &self.read().await?;
        page(sql, account, line, &chat, after, limit).await
    }

    async fn find_messages(
        &self,
        account: Id<Account>,
        message: MessageRef,
    ) -> Result<Vec<(Id<Line>, Id<Message>)>> {
        let sql = &self.read().await?;
        meant_by(sql, account, &message).await
    }

    async fn guid_of(&self, message: Id<Message>) -> Result<Option<String>> {
        let sql = &self.read().await?;
        guid_of(sql, message).await
    }
}

/// A guid as it is kept.
pub(super) fn bounded_guid(guid: String) -> String {
    let other = if let Cow::Owned(other) = keepable_guid(&guid) { Some(other) } else { None };
    told::bounded_guid(other.unwrap_or(guid))
}

/// The messages of a line with these guids, and their chats. Under the line's lock no other gets one of them.
pub(super) async fn known_of(
    sql: &Sql,
    line: Id<Line>,
    guids: &[&str],
) -> Result<Vec<(String, Id<Message>, Id<Chat>)>> {
    if guids.is_empty() {
        return Ok(Vec::new());
    }
    statement::all(
        sql,
        "select guid, id, chat_id from messages where line_id = $1 and guid = any($2)",
        &[&bits(line), &guids],
        |row| {
            let (id, chat) = (row.try_get::<_, Bits<_>>(1)?, row.try_get::<_, Bits<_>>(2)?);
            Ok((row.try_get(0)?, id.id(), chat.id()))
        },
    )
    .await
}

/// Keeps new messages and answers their numbers, which rise in this order; none for one whose guid its line has already.
/// All that may have become of a new one is that it was delivered. The locks of the lines are held, so that numbers
/// rise with the commits of a line too.
pub(super) async fn insert_all(tx: &Tx, messages: &[Message]) -> Result<Vec<Option<i64>>> {
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let column = |of: fn(&Message) -> Option<i64>| messages.iter().map(of).collect::<Vec<_>>();
    let texts = |of: fn(&Message) -> Option<&str>| messages.iter().map(of).collect::<Vec<_>>();
    let flags = |of: fn(&Message) -> Option<bool>| messages.iter().map(of).collect::<Vec<_>>();
    let made: HashMap<Id<Message>, i64> = statement::all(
        &tx.sql,
        "insert into messages (id, line_id, chat_id, guid, sender, text, attachments, service, is_from_me,
                               is_audio_message, sent_at, synced_at, outbox_id, reply_to_guid, delivered_at, seq)
         select id, line_id, chat_id, guid, sender, text, attachments, service, is_from_me,
                is_audio_message, sent_at, synced_at, outbox_id, reply_to_guid, delivered_at,
                nextval('message_numbers')
         from (select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[],
                                    $7::text[], $8::text[], $9::boolean[], $10::boolean[], $11::bigint[],
                                    $12::bigint[], $13::uuid[], $14::text[], $15::bigint[])
               with ordinality
               as new (id, line_id, chat_id, guid, sender, text, attachments, service, is_from_me,
                       is_audio_message, sent_at, synced_at, outbox_id, reply_to_guid, delivered_at, place)
               order by place) new
         on conflict (line_id, guid) do nothing
         returning id, seq",
        &[
            &messages.iter().map(|message| bits(message.id)).collect::<Vec<_>>(),
            &messages.iter().map(|message| bits(message.line_id)).collect::<Vec<_>>(),
            &messages.iter().map(|message| bits(message.chat_id)).collect::<Vec<_>>(),
            &texts(|message| Some(&message.guid)),
            &texts(|message| Some(&message.sender)),
            &texts(|message| message.text.as_deref()),
            &messages.iter().map(|message| Json(&message.attachments)).collect::<Vec<_>>(),
            &messages.iter().map(|message| message.service.map(Name)).collect::<Vec<_>>(),
            &flags(|message| Some(message.is_from_me)),
            &flags(|message| message.is_audio_message),
            &column(|message| Some(message.sent_at.0)),
            &column(|message| Some(message.synced_at.0)),
            &messages.iter().map(|message| message.outbox_id.map(bits)).collect::<Vec<_>>(),
            &texts(|message| message.reply_to_guid.as_deref()),
            &column(|message| message.delivered_at.map(|at| at.0)),
        ],
        |row| Ok((row.try_get::<_, Bits<_>>(0)?.id(), row.try_get(1)?)),
    )
    .await?
    .into_iter()
    .collect();
    Ok(messages.iter().map(|message| made.get(&message.id).copied()).collect())
}

/// The message of this guid, and its chat.
pub(super) async fn known(
    sql: &Sql,
    line: Id<Line>,
    guid: &str,
) -> Result<Option<(Id<Message>, Id<Chat>)>> {
    statement::first(
        sql,
        "select id, chat_id from messages where line_id = $1 and guid = $2",
        &[&bits(line), &guid],
        |row| Ok((row.try_get::<_, Bits<_>>(0)?.id(), row.try_get::<_, Bits<_>>(1)?.id())),
    )
    .await
}

/// The messages with these guids. Under the locks of their lines no other gets one of them.
pub(super) async fn of_guids(sql: &Sql, guids: &[(Id<Line>, String)]) -> Result<Vec<Message>> {
    if guids.is_empty() {
        return Ok(Vec::new());
    }
    let lines: Vec<_> = guids.iter().map(|(line, _)| bits(*line)).collect();
    let guids: Vec<_> = guids.iter().map(|(_, guid)| guid.as_str()).collect();
    statement::all(
        sql,
        "select id, line_id, chat_id, guid, sender, text, attachments, service, is_from_me,
                is_audio_message, sent_at, synced_at, outbox_id, reply_to_guid,
                edited_at, unsent_at, delivered_at, read_at, failed_at, error
         from messages join (select distinct * from unnest($1::uuid[], $2::text[]) asked (line_id, guid)) asked
              using (line_id, guid)",
        &[&lines, &guids],
        message,
    )
    .await
}

/// Says from which items messages were sent that were known before, and when they were delivered, if that is known.
pub(super) async fn link_all(
    sql: &Sql,
    linked: &[(Id<Message>, Id<OutboxItem>, Option<Timestamp>)],
) -> Result<()> {
    if linked.is_empty() {
        return Ok(());
    }
    let (ids, items): (Vec<_>, Vec<_>) =
        linked.iter().map(|(id, item, _)| (bits(*id), bits(*item))).unzip();
    let delivered: Vec<_> = linked.iter().map(|(.., at)| at.map(|at| at.0)).collect();
    statement::run(
        sql,
        "update messages set outbox_id = linked.item, delivered_at = linked.delivered_at
         from unnest($1::uuid[], $2::uuid[], $3::bigint[]) as linked (id, item, delivered_at)
         where messages.id = linked.id",
        &[&ids, &items, &delivered],
    )
    .await?;
    Ok(())
}

/// Makes known what is new of a message of this account, and answers which it is. Nothing is made
/// known if nothing is new, and nothing is known of a message of another account.
pub(super) async fn update(
    tx: &Tx,
    line: &CachedLine,
    account: Id<Account>,
    update: InboundUpdate,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<Option<(Id<Message>, Id<Chat>)>> {
    let guid = bounded_guid(update.message_guid.clone());
    let found = statement::first(
        &tx.sql,
        "select m.id, m.line_id, m.chat_id, m.guid, m.sender, m.text, m.attachments, m.service,
                m.is_from_me, m.is_audio_message, m.sent_at, m.synced_at, m.outbox_id,
                m.reply_to_guid, m.edited_at, m.unsent_at, m.delivered_at, m.read_at, m.failed_at, m.error
         from messages m join chats c on c.id = m.chat_id
         where m.line_id = $1 and m.guid = $2 and c.account_id = $3",
        &[&bits(line.id), &guid, &bits(account)],
        message,
    ).await?;
    let Some(mut message) = found else { return Ok(None) };
    let place = (message.id, message.chat_id);
    let before = message.attachments.clone();
    let told = update.attachments.clone();
    let mut is_new = message.take(update);
    if let Some(told) = told.filter(|told| message.are_new(told)) {
        message.attachments = files::replace(&tx.sql, line.id, account, &before, told).await?;
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
    for file in left.filter(|id| !stays(id)) {
        files::leave(&tx.sql, file).await?;
    }
    statement::run(
        &tx.sql,
        "update messages set text = $2, attachments = $3, edited_at = $4, unsent_at = $5,
                delivered_at = $6, read_at = $7, failed_at = $8, error = $9, service = $10
         where id = $1",
        &[
            &bits(message.id),
            &message.text,
            &Json(&message.attachments),
            &message.edited_at.map(|at| at.0),
            &message.unsent_at.map(|at| at.0),
            &message.delivered_at.map(|at| at.0),
            &message.read_at.map(|at| at.0),
            &message.failed_at.map(|at| at.0),
            &message.error,
            &message.service.map(Name),
        ],
    )
    .await?;
    let here = EventContext { line, account_id: account, chat_id: message.chat_id };
    let data = MessageEvent { message, line_handle: line.handle.clone() };
    events::publish(tx, here.event(EventKind::MessageUpdated, &data), now, committed).await?;
    Ok(Some(place))
}

/// The guid of a message, whoever's it is: for the phones that are simulated here.
pub(super) async fn guid_of(sql: &Sql, id: Id<Message>) -> Result<Option<String>> {
    statement::first(sql, "select guid from messages where id = $1", &[&bits(id)], |row| {
        row.try_get(0)
    })
    .await
}

/// The guid of a message that a caller names, if it stands in this chat.
pub(super) async fn guid_in_chat(
    sql: &Sql,
    chat: Id<Chat>,
    message: &MessageRef,
) -> Result<Option<String>> {
    match message {
        MessageRef::Id(id) => statement::first(
            sql,
            "select guid from messages where id = $1 and chat_id = $2",
            &[&bits(*id), &bits(chat)],
            |row| row.try_get(0),
        ).await,
        MessageRef::Guid(guid) => statement::first(
            sql,
            "select guid from messages
             where line_id = (select line_id from chats where id = $2) and guid = $1 and chat_id = $2",
            &[&keepable_guid(guid), &bits(chat)],
            |row| row.try_get(0),
        ).await,
    }
}

/// By guid it is asked line by line, because that is how guids are kept; an account has few lines.
pub(super) async fn meant_by(
    sql: &Sql,
    account: Id<Account>,
    message: &MessageRef,
) -> Result<Vec<(Id<Line>, Id<Message>)>> {
    let place =
        |row: &Row| Ok((row.try_get::<_, Bits<_>>(0)?.id(), row.try_get::<_, Bits<_>>(1)?.id()));
    match message {
        MessageRef::Id(id) => {
            statement::all(
                sql,
                "select m.line_id, m.id from messages m join shown_chats c on c.id = m.chat_id
             where m.id = $1 and c.account_id = $2",
                &[&bits(*id), &bits(account)],
                place,
            )
            .await
        }
        MessageRef::Guid(guid) => {
            statement::all(
                sql,
                "select m.line_id, m.id from lines l
             join messages m on m.line_id = l.id and m.guid = $1
             join shown_chats c on c.id = m.chat_id
             where (l.account_id = $2 or l.is_sandbox) and c.account_id = $2 order by l.seq",
                &[&keepable_guid(guid), &bits(account)],
                place,
            )
            .await
        }
    }
}

pub(super) async fn page(
    sql: &Sql,
    account: Id<Account>,
    line: Id<Line>,
    chat: &Recipient,
    after: Option<MessagesCursor>,
    limit: Limit,
) -> Result<Page<Message, 1>> {
    let chat = chats::find(sql, account, line, chat).await?.ok_or(Refusal::ChatNotFound)?;
    let before = after.map_or(i64::MAX, |cursor| {
        let [number] = cursor.place();
        i64::try_from(number).unwrap_or(i64::MAX)
    });
    let wanted = limit.get() as usize;
    let mut rows = statement::all(
        sql,
        "select id, line_id, chat_id, guid, sender, text, attachments, service, is_from_me,
                is_audio_message, sent_at, synced_at, outbox_id, reply_to_guid,
                edited_at, unsent_at, delivered_at, read_at, failed_at, error, seq
         from messages where chat_id = $1 and seq < $2 order by seq desc limit $3",
        &[&bits(chat), &before, &statement::limit(wanted + 1)],
        |row| Ok((row.try_get::<_, i64>(20)?, message(row)?)),
    )
    .await?;
    let has_more = rows.len() > wanted;
    rows.truncate(wanted);
    let last = rows.last().filter(|_| has_more);
    let next = last.map(|(seq, _)| MessagesCursor::new([seq.unsigned_abs()]));
    Ok(Page { rows: rows.into_iter().map(|(_, message)| message).collect(), next })
}

fn message(row: &Row) -> Column<Message> {
    Ok(Message {
        id: row.try_get::<_, Bits<_>>(0)?.id(),
        line_id: row.try_get::<_, Bits<_>>(1)?.id(),
        chat_id: row.try_get::<_, Bits<_>>(2)?.id(),
        guid: row.try_get(3)?,
        sender: row.try_get(4)?,
        text: row.try_get(5)?,
        attachments: row.try_get::<_, Json<_>>(6)?.0,
        service: row.try_get::<_, Option<Name<_>>>(7)?.map(|service| service.0),
        is_from_me: row.try_get(8)?,
        is_audio_message: row.try_get(9)?,
        sent_at: Timestamp(row.try_get(10)?),
        synced_at: Timestamp(row.try_get(11)?),
        outbox_id: row.try_get::<_, Option<Bits<_>>>(12)?.map(Bits::id),
        reply_to_guid: row.try_get(13)?,
        edited_at: row.try_get::<_, Option<_>>(14)?.map(Timestamp),
        unsent_at: row.try_get::<_, Option<_>>(15)?.map(Timestamp),
        delivered_at: row.try_get::<_, Option<_>>(16)?.map(Timestamp),
        read_at: row.try_get::<_, Option<_>>(17)?.map(Timestamp),
        failed_at: row.try_get::<_, Option<_>>(18)?.map(Timestamp),
        error: row.try_get(19)?,
    })
}
