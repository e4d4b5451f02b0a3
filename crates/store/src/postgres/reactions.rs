//! Reactions: for each message, sender and type the latest occurrence.
//!
//! The latest is the one that came last, not the one with the latest time: the clocks of
//! phones differ. An occurrence that was told of before is not a new one, however long ago that was.
//!
//! In Messages somebody's new reaction takes the place of the one before, which is an occurrence of its
//! own: a removal. Of contacts that is the driver's to tell and is not guessed here. Of the line nobody
//! tells it, because a report says no more than that the new one was given: [`replaced`] finds the old one, whether
//! the line gave the new one or its owner did, on another device.

pub(super) mod twice;

use switchboard_model::{
    Account, Chat, EventKind, Line, Message, Reaction, ReactionType, Timestamp, id::Id,
    reaction::ReactionEvent,
};

use super::{
    PostgresStore,
    engine::{
        columns::{Bits, bits},
        connection::Sql,
        statement,
        transaction::Tx,
    },
    events::{self, EventContext},
};
use crate::{Committed, Reactions, Result, base::occurrences::unreadable_type};

pub(super) use crate::base::occurrences::Occurrence;

#[async_trait::async_trait]
impl Reactions for PostgresStore {
    async fn reactions(&self, account: Id<Account>, message: Id<Message>) -> Result<Vec<Reaction>> {
        let sql = self.read().await?;
        of_message(&sql, account, message).await
    }
}

/// Keeps an occurrence and makes it known. Taking back what is not there is nothing.
pub(super) async fn happened(
    tx: &Tx,
    place: &EventContext<'_>,
    new: Occurrence,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    let reaction = Reaction {
        id: Id::generate(),
        message_id: new.message_id,
        reaction_type: new.reaction_type,
        is_from_me: new.sender == place.line.handle.as_str(),
        sender: new.sender,
        added: new.added,
        sent_at: new.sent_at,
        synced_at: now,
    };
    // With a new number, not that of the one before: what happened last is last in the list.
    let written = statement::run(
        &tx.sql,
        "insert into reactions (id, message_id, sender, type, is_from_me, added, sent_at, synced_at)
         select $1::uuid, $2::uuid, $3::text, $4::text, $5::boolean, $6::boolean, $7::bigint, $8::bigint
         where $6 or exists (
           select from reactions where message_id = $2 and sender = $3 and type = $4 and added)
         on conflict (message_id, sender, type) do update set
           seq = default, id = excluded.id, is_from_me = excluded.is_from_me, added = excluded.added,
           sent_at = excluded.sent_at, synced_at = excluded.synced_at",
        &[
            &bits(reaction.id),
            &bits(reaction.message_id),
            &reaction.sender,
            &reaction.reaction_type.as_str(),
            &reaction.is_from_me,
            &reaction.added,
            &reaction.sent_at.0,
            &reaction.synced_at.0,
        ],
    )
    .await?;
    if written == 0 {
        return Ok(());
    }
    let kind = if reaction.added { EventKind::ReactionAdded } else { EventKind::ReactionRemoved };
    let line_handle = place.line.handle.clone();
    let data = ReactionEvent { reaction, chat_id: place.chat_id, line_handle };
    events::publish(tx, place.event(kind, &data), now, committed).await
}

/// What this reaction takes the place of: each other one that its sender has on the message, taken back
/// at the same time.
pub(super) async fn replaced(sql: &Sql, new: &Occurrence) -> Result<Vec<Occurrence>> {
    let types = statement::all(
        sql,
        "select type from reactions
         where message_id = $1 and sender = $2 and added and type <> $3 order by seq",
        &[&bits(new.message_id), &new.sender, &new.reaction_type.as_str()],
        |row| row.try_get::<_, String>(0),
    )
    .await?;
    new.in_place_of(&types)
}

/// Keeps the guid of an occurrence; whether it is new.
pub(super) async fn is_new(
    sql: &Sql,
    line: Id<Line>,
    guid: &str,
    message: Id<Message>,
) -> Result<bool> {
    let made = statement::run(
        sql,
        "insert into reaction_guids (line_id, guid, message_id) values ($1, $2, $3)
         on conflict (line_id, guid) do nothing",
        &[&bits(line), &guid, &bits(message)],
    )
    .await?;
    Ok(made > 0)
}

async fn of_message(
    sql: &Sql,
    account: Id<Account>,
    message: Id<Message>,
) -> Result<Vec<Reaction>> {
    let rows = statement::all(
        sql,
        "select r.id, r.message_id, r.type, r.sender, r.is_from_me, r.added, r.sent_at, r.synced_at
         from messages m join shown_chats c on c.id = m.chat_id
         join reactions r on r.message_id = m.id
         where m.id = $1 and c.account_id = $2 order by r.seq",
        &[&bits(message), &bits(account)],
        |row| {
            let reaction_type = ReactionType::parse(&row.try_get::<_, String>(2)?);
            let Some(reaction_type) = reaction_type else { return Ok(None) };
            Ok(Some(Reaction {
                id: row.try_get::<_, Bits<_>>(0)?.id(),
                message_id: row.try_get::<_, Bits<_>>(1)?.id(),
                reaction_type,
                sender: row.try_get(3)?,
                is_from_me: row.try_get(4)?,
                added: row.try_get(5)?,
                sent_at: Timestamp(row.try_get(6)?),
                synced_at: Timestamp(row.try_get(7)?),
            }))
        },
    )
    .await?;
    rows.into_iter().map(|row| row.ok_or_else(unreadable_type)).collect()
}

/// A message that a reaction is about, and where it stands.
pub(super) struct Target {
    pub(super) message_id: Id<Message>,
    pub(super) chat_id: Id<Chat>,
    pub(super) account_id: Id<Account>,
}

pub(super) async fn target(sql: &Sql, line: Id<Line>, guid: &str) -> Result<Option<Target>> {
    statement::first(
        sql,
        "select m.id, m.chat_id, c.account_id
         from messages m join chats c on c.id = m.chat_id
         where m.line_id = $1 and m.guid = $2",
        &[&bits(line), &guid],
        |row| {
            Ok(Target {
                message_id: row.try_get::<_, Bits<_>>(0)?.id(),
                chat_id: row.try_get::<_, Bits<_>>(1)?.id(),
                account_id: row.try_get::<_, Bits<_>>(2)?.id(),
            })
        },
    )
    .await
}
