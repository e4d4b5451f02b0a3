//! Chats: found or made. The walk over them stands in [`walk`].

mod told;
mod walk;

use std::collections::BTreeMap;

use switchboard_model::{
    Account, Chat, Handle, Line, Timestamp,
    chat::{Recipient, Service},
    id::Id,
    page::{Limit, Page},
};
use tokio_postgres::Row;

pub(super) use told::{ToldChats, find_told};
use walk::Walk;

use super::{
    PostgresStore,
    engine::{
        columns::{Bits, Column, Json, Name, bits},
        connection::Sql,
        statement,
        transaction::Tx,
    },
};
use crate::{
    Chats, ChatsCursor, Refusal, Result, StoreError,
    base::{
        context::CachedLine,
        line_usage::is_silent,
        told::{NewChat, first_service},
    },
};

#[async_trait::async_trait]
impl Chats for PostgresStore {
    async fn chats(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        after: Option<ChatsCursor>,
        limit: Limit,
    ) -> Result<Page<Chat, 3>> {
        let sql = &self.read().await?;
        let mut walk = Walk::begin(sql, account, line, after, limit).await?;
        loop {
            if let Some(page) = walk.page() {
                return Ok(page);
            }
            walk = walk.slice(sql).await?;
        }
    }

    async fn has_chat_with(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        contact: Handle,
    ) -> Result<bool> {
        let sql = &self.read().await?;
        has_with(sql, account, line, &contact).await
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

/// A chat that may be written to, and whether anybody in it has ever written to the line.
pub(super) type Found = (WrittenTo, bool);

/// The chat that a write of this account names, if it is known; none on the sandbox line, whose chats are found by who
/// is paired. Its row is held, so that what is written to one chat is accepted one after the other; not so strongly that
/// it could not be referred to meanwhile.
pub(super) async fn hold(
    sql: &Sql,
    line: Id<Line>,
    account: Id<Account>,
    to: &Recipient,
    now: Timestamp,
) -> Result<Option<Found>> {
    let written_to = |row: &Row| written_to(row, now);
    match to {
        Recipient::Chat(id) => statement::first(
            sql,
            "select id, is_group, last_seq = 0, has_received_inbound, last_received_at from chats
                 where id = $1 and line_id = $2 and account_id = $3
                   and not exists (select from lines where id = $2 and is_sandbox)
                 for no key update",
            &[&bits(*id), &bits(line), &bits(account)],
            written_to,
        )
        .await,
        Recipient::Contact(handle) => statement::first(
            sql,
            "select id, is_group, last_seq = 0, has_received_inbound, last_received_at from chats
                 where line_id = $1 and identifier = $2 and not is_group and account_id = $3
                   and not exists (select from lines where id = $1 and is_sandbox)
                 for no key update",
            &[&bits(line), &handle.as_str(), &bits(account)],
            written_to,
        )
        .await,
    }
}

/// The chat that a write goes to, on a line of the writer's own, after it was looked for ([`hold`]). If the line lets a
/// stranger be written to and the write `may_begin` one, the chat with a contact is made.
pub(super) async fn to_write_to(
    sql: &Sql,
    line: &CachedLine,
    to: &Recipient,
    found: Option<Found>,
    may_begin: bool,
    now: Timestamp,
) -> Result<WrittenTo> {
    // Who can't be dialled can only be answered, whatever the line lets one do.
    let only_answered = matches!(to, Recipient::Contact(handle) if !handle.is_dialable());
    match (found, to) {
        (None, Recipient::Chat(_)) => Err(Refusal::ChatNotFound.into()),
        (Some((_, false)) | None, _) if line.contact_first || only_answered => {
            Err(Refusal::ContactHasNotMessaged.into())
        }
        (Some((chat, _)), _) => Ok(chat),
        (None, Recipient::Contact(handle)) if may_begin => {
            let chat = NewChat::with_contact(handle);
            let read = |row: &Row| written_to(row, now);
            let made = make(sql, line, line.account_id, &chat, first_service(line), read);
            Ok(made.await?.0)
        }
        (None, _) => Err(Refusal::ChatNotFound.into()),
    }
}

/// Makes the chat of this account with a contact who has never been heard of; or answers that which another transaction
/// has made meanwhile.
pub(super) async fn begin(
    sql: &Sql,
    line: &CachedLine,
    account: Id<Account>,
    contact: &Handle,
) -> Result<Id<Chat>> {
    let chat = NewChat::with_contact(contact);
    make(sql, line, account, &chat, first_service(line), |row| {
        Ok(row.try_get::<_, Bits<_>>(0)?.id())
    })
    .await
}

/// Whether the account has a chat with this contact on the line, shown to it or not.
pub(super) async fn has_with(
    sql: &Sql,
    account: Id<Account>,
    line: Id<Line>,
    contact: &Handle,
) -> Result<bool> {
    let found = statement::first(
        sql,
        "select from chats
         where line_id = $1 and account_id = $2 and identifier = $3 and not is_group",
        &[&bits(line), &bits(account), &contact.as_str()],
        |_| Ok(()),
    )
    .await?;
    Ok(found.is_some())
}

/// Makes this chat. Who is accepted to write to a contact makes chats beside those who hold the line: the first one's
/// is everybody's, and is held like one's own.
async fn make<T>(
    sql: &Sql,
    line: &CachedLine,
    account: Id<Account>,
    chat: &NewChat,
    service: Service,
    read: impl FnOnce(&Row) -> Column<T>,
) -> Result<T> {
    let made = statement::first(
        sql,
        "insert into chats (id, account_id, line_id, identifier, is_group, service, name, participants)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (line_id, account_id, identifier, is_group) do update set service = chats.service
         returning id, is_group, last_seq = 0, has_received_inbound, last_received_at",
        &[
            &bits(Id::<Chat>::generate()),
            &bits(account),
            &bits(line.id),
            &chat.identifier,
            &chat.is_group,
            &Name(service),
            &chat.name,
            &Json(&chat.participants),
        ],
        read,
    )
    .await?;
    made.ok_or_else(|| StoreError::Unreadable { what: "a chat that was just made is gone".into() })
}

/// A message that was just kept, and is its chat's newest.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewestMessage {
    pub(super) chat: Id<Chat>,
    pub(super) seq: i64,
    pub(super) sent_at: Timestamp,
    pub(super) service: Service,
    pub(super) is_inbound: bool,
}

/// What several messages do to their chat.
struct Newest {
    seq: i64,
    sent_at: Timestamp,
    service: Service,
    has_inbound: bool,
    /// How many of them nobody has answered yet.
    unanswered: i64,
}

/// The chats have new newest messages, in their order. By Messages' clock one may be old: `last_message_at` never goes
/// back.
pub(super) async fn have_messages(tx: &Tx, new: &[NewestMessage], now: Timestamp) -> Result<()> {
    let mut chats = BTreeMap::new();
    for one in new {
        let newest = chats.entry(one.chat).or_insert(Newest {
            seq: one.seq,
            sent_at: one.sent_at,
            service: one.service,
            has_inbound: false,
            unanswered: 0,
        });
        newest.seq = one.seq;
        newest.sent_at = newest.sent_at.max(one.sent_at);
        newest.service = one.service;
        newest.has_inbound |= one.is_inbound;
        newest.unanswered = if one.is_inbound { 0 } else { newest.unanswered + 1 };
    }
    if chats.is_empty() {
        return Ok(());
    }
    let column = |of: fn(&Newest) -> i64| chats.values().map(of).collect::<Vec<_>>();
    statement::run(
        &tx.sql,
        "update chats set last_seq = new.seq,
                last_message_at = greatest(last_message_at, new.sent_at),
                service = new.service,
                has_received_inbound = has_received_inbound or has_inbound,
                last_received_at = case when has_inbound then $7 else last_received_at end,
                unanswered = case when has_inbound then 0 else chats.unanswered end + new.unanswered,
                is_answered = is_answered and not has_inbound
         from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::boolean[], $6::bigint[])
              as new (id, seq, sent_at, service, has_inbound, unanswered)
         where chats.id = new.id",
        &[
            &chats.keys().copied().map(bits).collect::<Vec<_>>(),
            &column(|newest| newest.seq),
            &column(|newest| newest.sent_at.0),
            &chats.values().map(|newest| Name(newest.service)).collect::<Vec<_>>(),
            &chats.values().map(|newest| newest.has_inbound).collect::<Vec<_>>(),
            &column(|newest| newest.unanswered),
            &now.0,
        ],
    )
    .await?;
    Ok(())
}

/// The chat that a reader names, if it is this account's and on this line, and shown to it.
pub(super) async fn find(
    sql: &Sql,
    account: Id<Account>,
    line: Id<Line>,
    chat: &Recipient,
) -> Result<Option<Id<Chat>>> {
    match chat {
        Recipient::Chat(id) => {
            statement::first(
                sql,
                "select id from shown_chats where id = $1 and line_id = $2 and account_id = $3",
                &[&bits(*id), &bits(line), &bits(account)],
                |row| Ok(row.try_get::<_, Bits<_>>(0)?.id()),
            )
            .await
        }
        Recipient::Contact(handle) => {
            statement::first(
                sql,
                "select id from shown_chats
             where line_id = $1 and identifier = $2 and not is_group and account_id = $3",
                &[&bits(line), &handle.as_str(), &bits(account)],
                |row| Ok(row.try_get::<_, Bits<_>>(0)?.id()),
            )
            .await
        }
    }
}

/// The chat, and whether anybody in it has ever written to the line.
fn written_to(row: &Row, now: Timestamp) -> Column<Found> {
    let id = row.try_get::<_, Bits<_>>(0)?.id();
    let (has_received, last) = (row.try_get(3)?, row.try_get::<_, Option<i64>>(4)?.map(Timestamp));
    let is_silent = is_silent(has_received, last, now);
    let chat = WrittenTo { id, is_group: row.try_get(1)?, is_empty: row.try_get(2)?, is_silent };
    Ok((chat, has_received))
}
