//! Typing indicators: one for each handle of a chat, on until it is turned off, or the handle
//! writes, or it was not renewed for 60 s.

use std::collections::HashSet;

use futures_util::future::try_join_all;
use switchboard_model::{
    Account, Chat, EventKind, Line, Timestamp, TypingIndicator,
    chat::Recipient,
    id::Id,
    typing::{EXPIRES_AFTER_MS, TypingEvent},
};

use super::{
    PostgresStore, chats, context,
    engine::{
        columns::{Bits, Number, bits, bits_of},
        connection::Sql,
        statement::{self, Params},
        transaction::Tx,
    },
    events::{self, EventContext},
};
use crate::{
    Committed, Refusal, Result, Typing,
    typing::{end_of, shown},
};

#[async_trait::async_trait]
impl Typing for PostgresStore {
    async fn expire_typing(&self, now: Timestamp, limit: usize) -> Result<Committed> {
        self.publish(move |tx: &Tx| Box::pin(expire(tx, now, limit))).await
    }

    async fn typing(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        chat: Recipient,
        now: Timestamp,
    ) -> Result<Vec<TypingIndicator>> {
        let sql = self.read().await?;
        of_chat(&sql, account, line, &chat, now).await
    }
}

/// Somebody begins, goes on, or stops. Only a change is made known.
///
/// By the driver's clock, but never later than now, or an indicator would stay on for longer. What began
/// longer ago than an indicator lasts, in a history that comes late, is over.
pub(super) async fn changed(
    tx: &Tx,
    place: &EventContext<'_>,
    handle: &str,
    on: bool,
    at: Timestamp,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    let at = at.min(now);
    if on && end_of(at) <= now {
        return Ok(());
    }
    let mut was_on = false;
    if let Some((id, since)) = on_now(&tx.sql, place.chat_id, handle).await? {
        was_on = now < end_of(since);
        if !was_on {
            turn_off(tx, place, id, handle, end_of(since), now, committed).await?;
        } else if on {
            statement::run(
                &tx.sql,
                "update typing set updated_at = greatest(updated_at, $2) where id = $1",
                &[&bits(id), &at.0],
            )
            .await?;
        } else {
            turn_off(tx, place, id, handle, at, now, committed).await?;
        }
    }
    if was_on || !on { Ok(()) } else { turn_on(tx, place, handle, at, now, committed).await }
}

/// Who types in these chats: whose messages there are to be told to [`wrote`].
pub(super) async fn who_types(
    sql: &Sql,
    chats: &[Id<Chat>],
) -> Result<HashSet<(Id<Chat>, String)>> {
    let who = statement::all(
        sql,
        "select chat_id, handle from typing where chat_id = any($1) and is_typing",
        &[&bits_of(chats)],
        |row| Ok((row.try_get::<_, Bits<_>>(0)?.id(), row.try_get(1)?)),
    )
    .await?;
    Ok(who.into_iter().collect())
}

/// Somebody has written, and so does not type any more. Who calls it for many asks before whether anybody types at all
/// ([`context::anybody_types`]).
pub(super) async fn wrote(
    tx: &Tx,
    place: &EventContext<'_>,
    handle: &str,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    let over = statement::first(
        &tx.sql,
        "update typing set is_typing = false, updated_at = least($3, updated_at + $4)
         where chat_id = $1 and handle = $2 and is_typing
         returning id, updated_at",
        &[&bits(place.chat_id), &handle, &now.0, &Number(EXPIRES_AFTER_MS)],
        |row| Ok((row.try_get::<_, Bits<_>>(0)?.id(), Timestamp(row.try_get(1)?))),
    )
    .await?;
    let Some((id, at)) = over else { return Ok(()) };
    tell_off(tx, place, id, handle, at, now, committed).await
}

/// Ends what was not renewed. Which lines that is about is seen before they are held, and looked at again when they are.
async fn expire(tx: &Tx, now: Timestamp, limit: usize) -> Result<Committed> {
    let mut committed = Committed::default();
    let latest = now.0.saturating_sub_unsigned(EXPIRES_AFTER_MS);
    let (ids, mut lines): (Vec<Bits<TypingIndicator>>, Vec<Id<Line>>) = statement::all(
        &tx.sql,
        "select t.id, c.line_id from typing t join chats c on c.id = t.chat_id
         where t.is_typing and (t.updated_at <= $1 or t.updated_at > $2)
         order by t.updated_at limit $3",
        &[&latest, &now.0, &statement::limit(limit)],
        |row| Ok((row.try_get(0)?, row.try_get::<_, Bits<_>>(1)?.id())),
    )
    .await?
    .into_iter()
    .unzip();
    if ids.is_empty() {
        return Ok(committed);
    }
    lines.sort_unstable();
    lines.dedup();
    tx.lock_lines(&lines).await?;
    let ahead: Params<'_> = &[&ids, &now.0];
    let ending: Params<'_> = &[&ids, &latest, &Number(EXPIRES_AFTER_MS)];
    // Whoever types is never in the future: the clock was set back.
    let (_, mut over, lines) = tokio::try_join!(
        statement::run(
            &tx.sql,
            "update typing set updated_at = $2 where id = any($1) and is_typing and updated_at > $2",
            ahead,
        ),
        statement::all(
            &tx.sql,
            "update typing t set is_typing = false, updated_at = t.updated_at + $3
             from chats c
             where t.id = any($1) and t.is_typing and t.updated_at <= $2 and c.id = t.chat_id
             returning t.id, t.handle, t.updated_at, t.chat_id, c.account_id, c.line_id",
            ending,
            |row| {
                Ok(Over {
                    id: row.try_get::<_, Bits<_>>(0)?.id(),
                    handle: row.try_get(1)?,
                    end: Timestamp(row.try_get(2)?),
                    chat_id: row.try_get::<_, Bits<_>>(3)?.id(),
                    account_id: row.try_get::<_, Bits<_>>(4)?.id(),
                    line_id: row.try_get::<_, Bits<_>>(5)?.id(),
                })
            },
        ),
        try_join_all(lines.iter().map(|line| context::line(&tx.sql, *line))),
    )?;
    over.sort_unstable_by_key(|one| (one.end, one.id));
    for one in over {
        // Lines are never deleted.
        let line = lines.iter().flatten().find(|line| line.id == one.line_id);
        let Some(line) = line else { continue };
        let place = EventContext { line, account_id: one.account_id, chat_id: one.chat_id };
        tell_off(tx, &place, one.id, &one.handle, one.end, now, &mut committed).await?;
    }
    Ok(committed)
}

struct Over {
    id: Id<TypingIndicator>,
    handle: String,
    end: Timestamp,
    chat_id: Id<Chat>,
    account_id: Id<Account>,
    line_id: Id<Line>,
}

async fn of_chat(
    sql: &Sql,
    account: Id<Account>,
    line: Id<Line>,
    chat: &Recipient,
    now: Timestamp,
) -> Result<Vec<TypingIndicator>> {
    let chat_id = chats::find(sql, account, line, chat).await?.ok_or(Refusal::ChatNotFound)?;
    statement::all(
        sql,
        "select id, handle, is_typing, updated_at from typing where chat_id = $1 order by seq",
        &[&bits(chat_id)],
        |row| {
            let stored = TypingIndicator {
                id: row.try_get::<_, Bits<_>>(0)?.id(),
                chat_id,
                handle: row.try_get(1)?,
                is_typing: row.try_get(2)?,
                updated_at: Timestamp(row.try_get(3)?),
            };
            Ok(shown(stored, now))
        },
    )
    .await
}

/// The indicator that stands on, and since when. It may be over.
async fn on_now(
    sql: &Sql,
    chat: Id<Chat>,
    handle: &str,
) -> Result<Option<(Id<TypingIndicator>, Timestamp)>> {
    statement::first(
        sql,
        "select id, updated_at from typing where chat_id = $1 and handle = $2 and is_typing",
        &[&bits(chat), &handle],
        |row| Ok((row.try_get::<_, Bits<_>>(0)?.id(), Timestamp(row.try_get(1)?))),
    )
    .await
}

async fn turn_on(
    tx: &Tx,
    place: &EventContext<'_>,
    handle: &str,
    at: Timestamp,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    let id = statement::first(
        &tx.sql,
        "insert into typing (id, chat_id, handle, is_typing, updated_at) values ($1, $2, $3, true, $4)
         on conflict (chat_id, handle) do update set is_typing = true, updated_at = excluded.updated_at
         returning id",
        &[&bits(Id::<TypingIndicator>::generate()), &bits(place.chat_id), &handle, &at.0],
        |row| Ok(row.try_get::<_, Bits<_>>(0)?.id()),
    )
    .await?;
    let Some(id) = id else { return Ok(()) };
    let typing = TypingIndicator {
        id,
        chat_id: place.chat_id,
        handle: handle.into(),
        is_typing: true,
        updated_at: at,
    };
    tell(tx, place, EventKind::TypingStarted, typing, now, committed).await
}

async fn turn_off(
    tx: &Tx,
    place: &EventContext<'_>,
    id: Id<TypingIndicator>,
    handle: &str,
    at: Timestamp,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    statement::run(
        &tx.sql,
        "update typing set is_typing = false, updated_at = $2 where id = $1",
        &[&bits(id), &at.0],
    )
    .await?;
    tell_off(tx, place, id, handle, at, now, committed).await
}

async fn tell_off(
    tx: &Tx,
    place: &EventContext<'_>,
    id: Id<TypingIndicator>,
    handle: &str,
    at: Timestamp,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    let typing = TypingIndicator {
        id,
        chat_id: place.chat_id,
        handle: handle.into(),
        is_typing: false,
        updated_at: at,
    };
    tell(tx, place, EventKind::TypingStopped, typing, now, committed).await
}

async fn tell(
    tx: &Tx,
    place: &EventContext<'_>,
    kind: EventKind,
    typing: TypingIndicator,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    let data = TypingEvent { typing, line_handle: place.line.handle.clone() };
    events::publish(tx, place.event(kind, &data), now, committed).await
}
