//! Chats: found or made. The walk over them stands in [`walk`].

mod walk;

use rusqlite::{Connection, Row, params};
use switchboard_model::{
    Account, Chat, Handle, Line, Timestamp,
    chat::{Recipient, Service},
    id::Id,
    link::InboundChat,
    page::{Limit, Page},
};

use walk::Walk;

use super::{
    SqliteStore,
    engine::{
        columns::{Bits, Json, Name, bits},
        statement,
        writer::Tx,
    },
};
use crate::{
    Chats, ChatsCursor, Refusal, Result,
    base::{
        context::CachedLine,
        line_usage::is_silent,
        told::{NewChat, first_service},
    },
};

#[async_trait::async_trait]
impl Chats for SqliteStore {
    async fn chats(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        after: Option<ChatsCursor>,
        limit: Limit,
    ) -> Result<Page<Chat, 3>> {
        let begin = move |sql: &_| Walk::begin(sql, account, line, after, limit);
        let mut walk = self.readers.list(account).ask(begin).await?;
        let scan = self.readers.scan(account);
        loop {
            if let Some(page) = walk.page() {
                return Ok(page);
            }
            walk = scan.ask(move |sql| walk.slice(sql)).await?;
        }
    }

    async fn has_chat_with(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        contact: Handle,
    ) -> Result<bool> {
        self.readers.lookup(account).ask(move |sql| has_with(sql, account, line, &contact)).await
    }
}

/// A chat that is written to.
#[derive(Debug, Clone, Copy)]
pub(super) struct WrittenTo {
    pub(super) id: Id<Chat>,
    pub(super) is_group: bool,
    /// Whether no message is known in it yet: of a chat with a contact, Messages may have none.
    pub(super) is_empty: bool,
    /// Whether nobody in it has written for a day.
    pub(super) is_silent: bool,
}

/// The chat that a write goes to, on a line of the writer's own. If the line lets a stranger be
/// written to and the write `may_begin` one, the chat with a contact is made.
pub(super) fn to_write_to(
    tx: &mut Tx<'_>,
    line: &CachedLine,
    to: &Recipient,
    may_begin: bool,
    now: Timestamp,
) -> Result<WrittenTo> {
    let written_to = |row: &Row<'_>| written_to(row, now);
    let found = match to {
        Recipient::Chat(id) => {
            let found = statement::first(
                tx.sql,
                "select id, is_group, last_seq = 0, has_received_inbound, last_received_at from chats
                 where id = ?1 and line_id = ?2 and account_id = ?3",
                params![bits(*id), bits(line.id), bits(line.account_id)],
                written_to,
            )?;
            Some(found.ok_or(Refusal::ChatNotFound)?)
        }
        Recipient::Contact(handle) => statement::first(
            tx.sql,
            "select id, is_group, last_seq = 0, has_received_inbound, last_received_at from chats
             where line_id = ?1 and identifier = ?2 and is_group = 0 and account_id = ?3",
            params![bits(line.id), handle.as_str(), bits(line.account_id)],
            written_to,
        )?,
    };
    // Who can't be dialled can only be answered, whatever the line lets one do.
    let only_answered = matches!(to, Recipient::Contact(handle) if !handle.is_dialable());
    match (found, to) {
        (Some((_, false)) | None, _) if line.contact_first || only_answered => {
            Err(Refusal::ContactHasNotMessaged.into())
        }
        (Some((chat, _)), _) => Ok(chat),
        (None, Recipient::Contact(handle)) if may_begin => {
            tx.savepoint()?;
            let id = begin(tx.sql, line, line.account_id, handle)?;
            Ok(WrittenTo { id, is_group: false, is_empty: true, is_silent: true })
        }
        (None, _) => Err(Refusal::ChatNotFound.into()),
    }
}

/// Makes the chat of this account with a contact who has never been heard of.
pub(super) fn begin(
    sql: &Connection,
    line: &CachedLine,
    account: Id<Account>,
    contact: &Handle,
) -> Result<Id<Chat>> {
    make(sql, line, account, &NewChat::with_contact(contact), first_service(line))
}

/// A chat that a driver has told of, as it was until then.
pub(super) struct ToldChat {
    pub(super) id: Id<Chat>,
    pub(super) is_group: bool,
    pub(super) has_received_inbound: bool,
    pub(super) last_received_at: Option<Timestamp>,
}

/// The chat that a driver tells of: made for this account if it is new, renamed if it has changed.
pub(super) fn upsert(
    sql: &Connection,
    line: &CachedLine,
    account: Id<Account>,
    chat: &InboundChat,
) -> Result<ToldChat> {
    let chat = NewChat::told(chat);
    let known = statement::first(
        sql,
        "select id, name, participants, has_received_inbound, last_received_at from chats
         where line_id = ?1 and identifier = ?2 and is_group = ?3 and account_id = ?4",
        params![bits(line.id), chat.identifier, chat.is_group, bits(account)],
        |row| {
            let told = ToldChat {
                id: row.get::<_, Bits<_>>(0)?.id(),
                is_group: chat.is_group,
                has_received_inbound: row.get(3)?,
                last_received_at: row.get::<_, Option<i64>>(4)?.map(Timestamp),
            };
            Ok((told, row.get::<_, Option<String>>(1)?, row.get::<_, Json<Vec<String>>>(2)?.0))
        },
    )?;
    let Some((told, name, participants)) = known else {
        let id = make(sql, line, account, &chat, Service::default())?;
        let is_group = chat.is_group;
        return Ok(ToldChat { id, is_group, has_received_inbound: false, last_received_at: None });
    };
    // A driver that names nobody doesn't know who is there; a group of nobody is none.
    let unknown = chat.participants.is_empty();
    if chat.is_group && !(name == chat.name && (unknown || participants == chat.participants)) {
        let participants = if unknown { &participants } else { &chat.participants };
        statement::run(
            sql,
            "update chats set name = ?2, participants = ?3 where id = ?1 and line_id = ?4",
            params![bits(told.id), chat.name, Json(participants), bits(line.id)],
        )?;
    }
    Ok(told)
}

/// The chat that a driver tells of, if this account has it.
pub(super) fn find_told(
    sql: &Connection,
    line: &CachedLine,
    account: Id<Account>,
    chat: &InboundChat,
) -> Result<Option<Id<Chat>>> {
    let chat = NewChat::told(chat);
    statement::first(
        sql,
        "select id from chats
         where line_id = ?1 and identifier = ?2 and is_group = ?3 and account_id = ?4",
        params![bits(line.id), chat.identifier, chat.is_group, bits(account)],
        |row| Ok(row.get::<_, Bits<_>>(0)?.id()),
    )
}

/// Whether the account has a chat with this contact on the line, shown to it or not.
pub(super) fn has_with(
    sql: &Connection,
    account: Id<Account>,
    line: Id<Line>,
    contact: &Handle,
) -> Result<bool> {
    let found = statement::first(
        sql,
        "select 1 from chats
         where line_id = ?1 and account_id = ?2 and identifier = ?3 and is_group = 0",
        params![bits(line), bits(account), contact.as_str()],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

fn make(
    sql: &Connection,
    line: &CachedLine,
    account: Id<Account>,
    chat: &NewChat,
    service: Service,
) -> Result<Id<Chat>> {
    let id = Id::generate();
    statement::run(
        sql,
        "insert into chats (id, account_id, line_id, identifier, is_group, service, name, participants)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            bits(id),
            bits(account),
            bits(line.id),
            chat.identifier,
            chat.is_group,
            Name(service),
            chat.name,
            Json(&chat.participants),
        ],
    )?;
    Ok(id)
}

/// The chat has a new newest message. By Messages' clock it may be an old one: `last_message_at`
/// never goes back.
pub(super) fn has_message(
    sql: &Connection,
    chat: Id<Chat>,
    seq: i64,
    sent_at: Timestamp,
    service: Service,
    is_inbound: bool,
    now: Timestamp,
) -> Result<()> {
    statement::run(
        sql,
        "update chats set last_seq = ?2, last_message_at = max(coalesce(last_message_at, ?3), ?3),
                service = ?4, has_received_inbound = has_received_inbound or ?5,
                last_received_at = iif(?5, ?6, last_received_at), unanswered = iif(?5, 0, unanswered + 1),
                is_answered = iif(?5, 0, is_answered)
         where id = ?1",
        params![bits(chat), seq, sent_at.0, Name(service), is_inbound, now.0],
    )?;
    Ok(())
}

/// The chat that a reader names, if it is this account's and on this line, and shown to it.
pub(super) fn find(
    sql: &Connection,
    account: Id<Account>,
    line: Id<Line>,
    chat: &Recipient,
) -> Result<Option<Id<Chat>>> {
    match chat {
        Recipient::Chat(id) => statement::first(
            sql,
            "select id from shown_chats where id = ?1 and line_id = ?2 and account_id = ?3",
            params![bits(*id), bits(line), bits(account)],
            |row| Ok(row.get::<_, Bits<_>>(0)?.id()),
        ),
        Recipient::Contact(handle) => statement::first(
            sql,
            "select id from shown_chats
             where line_id = ?1 and identifier = ?2 and is_group = 0 and account_id = ?3",
            params![bits(line), handle.as_str(), bits(account)],
            |row| Ok(row.get::<_, Bits<_>>(0)?.id()),
        ),
    }
}

/// The chat, and whether anybody in it has ever written to the line.
fn written_to(row: &Row<'_>, now: Timestamp) -> rusqlite::Result<(WrittenTo, bool)> {
    let id = row.get::<_, Bits<_>>(0)?.id();
    let (has_received, last) = (row.get(3)?, row.get::<_, Option<i64>>(4)?.map(Timestamp));
    let is_silent = is_silent(has_received, last, now);
    let chat = WrittenTo { id, is_group: row.get(1)?, is_empty: row.get(2)?, is_silent };
    Ok((chat, has_received))
}
