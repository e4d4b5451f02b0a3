//! Typing indicators: one for each handle of a chat, on until it is turned off, or the handle
//! writes, or it was not renewed for 60 s.

use rusqlite::{Connection, params};
use switchboard_model::{
    Account, Chat, EventKind, Line, Timestamp, TypingIndicator,
    chat::Recipient,
    id::Id,
    typing::{EXPIRES_AFTER_MS, TypingEvent},
};

use super::{
    SqliteStore, chats,
    engine::{
        columns::{Bits, bits},
        statement,
        writer::Tx,
    },
    events::{self, EventContext},
};
use crate::{
    Committed, Refusal, Result, Typing,
    typing::{end_of, shown},
};

#[async_trait::async_trait]
impl Typing for SqliteStore {
    async fn expire_typing(&self, now: Timestamp, limit: usize) -> Result<Committed> {
        self.publish(move |tx| expire(tx, now, limit)).await
    }

    async fn typing(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        chat: Recipient,
        now: Timestamp,
    ) -> Result<Vec<TypingIndicator>> {
        self.readers.list(account).ask(move |sql| of_chat(sql, account, line, &chat, now)).await
    }
}

/// Somebody begins, goes on, or stops. Only a change is made known.
///
/// By the driver's clock, but never later than now, or an indicator would stay on for longer. What began
/// longer ago than an indicator lasts, in a history that comes late, is over.
pub(super) fn changed(
    tx: &mut Tx<'_>,
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
    if let Some((id, since)) = on_now(tx.sql, place.chat_id, handle)? {
        was_on = now < end_of(since);
        if !was_on {
            turn_off(tx, place, id, handle, end_of(since), now, committed)?;
        } else if on {
            statement::run(
                tx.sql,
                "update typing set updated_at = max(updated_at, ?2) where id = ?1",
                params![bits(id), at.0],
            )?;
        } else {
            turn_off(tx, place, id, handle, at, now, committed)?;
        }
    }
    if was_on || !on { Ok(()) } else { turn_on(tx, place, handle, at, now, committed) }
}

/// Somebody has written, and so does not type any more. Costs nothing while nobody types.
pub(super) fn wrote(
    tx: &mut Tx<'_>,
    place: &EventContext<'_>,
    handle: &str,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    if !tx.cache.anybody_types(tx.sql)? {
        return Ok(());
    }
    match on_now(tx.sql, place.chat_id, handle)? {
        None => Ok(()),
        Some((id, since)) => {
            let at = now.min(end_of(since));
            turn_off(tx, place, id, handle, at, now, committed)
        }
    }
}

pub(super) fn expire(tx: &mut Tx<'_>, now: Timestamp, limit: usize) -> Result<Committed> {
    // Whoever types is never in the future: the clock was set back.
    statement::run(
        tx.sql,
        "update typing indexed by typing_on set updated_at = ?1 where is_typing = 1 and updated_at > ?1",
        params![now.0],
    )?;
    let over = statement::all(
        tx.sql,
        "select t.id, t.handle, t.updated_at, t.chat_id, c.account_id, c.line_id
         from typing t indexed by typing_on cross join chats c on c.id = t.chat_id
         where t.is_typing = 1 and t.updated_at <= ?1 order by t.updated_at limit ?2",
        params![now.0.saturating_sub_unsigned(EXPIRES_AFTER_MS), statement::limit(limit)],
        |row| {
            Ok(Over {
                id: row.get::<_, Bits<_>>(0)?.id(),
                handle: row.get(1)?,
                since: Timestamp(row.get(2)?),
                chat_id: row.get::<_, Bits<_>>(3)?.id(),
                account_id: row.get::<_, Bits<_>>(4)?.id(),
                line_id: row.get::<_, Bits<_>>(5)?.id(),
            })
        },
    )?;
    let mut committed = Committed::default();
    for one in over {
        // Lines are never deleted.
        let Some(line) = tx.cache.line(tx.sql, one.line_id)? else { continue };
        let place = EventContext { line: &line, account_id: one.account_id, chat_id: one.chat_id };
        let end = end_of(one.since);
        turn_off(tx, &place, one.id, &one.handle, end, now, &mut committed)?;
    }
    Ok(committed)
}

struct Over {
    id: Id<TypingIndicator>,
    handle: String,
    since: Timestamp,
    chat_id: Id<Chat>,
    account_id: Id<Account>,
    line_id: Id<Line>,
}

pub(super) fn of_chat(
    sql: &Connection,
    account: Id<Account>,
    line: Id<Line>,
    chat: &Recipient,
    now: Timestamp,
) -> Result<Vec<TypingIndicator>> {
    let chat_id = chats::find(sql, account, line, chat)?.ok_or(Refusal::ChatNotFound)?;
    statement::all(
        sql,
        "select id, handle, is_typing, updated_at from typing where chat_id = ?1 order by seq",
        params![bits(chat_id)],
        |row| {
            let stored = TypingIndicator {
                id: row.get::<_, Bits<_>>(0)?.id(),
                chat_id,
                handle: row.get(1)?,
                is_typing: row.get(2)?,
                updated_at: Timestamp(row.get(3)?),
            };
            Ok(shown(stored, now))
        },
    )
}

/// The indicator that stands on, and since when. It may be over.
fn on_now(
    sql: &Connection,
    chat: Id<Chat>,
    handle: &str,
) -> Result<Option<(Id<TypingIndicator>, Timestamp)>> {
    statement::first(
        sql,
        "select id, updated_at from typing where chat_id = ?1 and handle = ?2 and is_typing = 1",
        params![bits(chat), handle],
        |row| Ok((row.get::<_, Bits<_>>(0)?.id(), Timestamp(row.get(1)?))),
    )
}

fn turn_on(
    tx: &mut Tx<'_>,
    place: &EventContext<'_>,
    handle: &str,
    at: Timestamp,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    let id = tx
        .sql
        .prepare_cached(
            "insert into typing (id, chat_id, handle, is_typing, updated_at) values (?1, ?2, ?3, 1, ?4)
             on conflict (chat_id, handle) do update set is_typing = 1, updated_at = excluded.updated_at
             returning id",
        )?
        .query_row(
            params![bits(Id::<TypingIndicator>::generate()), bits(place.chat_id), handle, at.0],
            |row| Ok(row.get::<_, Bits<_>>(0)?.id()),
        )?;
    tx.cache.typing_changed();
    let typing = TypingIndicator {
        id,
        chat_id: place.chat_id,
        handle: handle.into(),
        is_typing: true,
        updated_at: at,
    };
    tell(tx, place, EventKind::TypingStarted, typing, now, committed)
}

fn turn_off(
    tx: &mut Tx<'_>,
    place: &EventContext<'_>,
    id: Id<TypingIndicator>,
    handle: &str,
    at: Timestamp,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    statement::run(
        tx.sql,
        "update typing set is_typing = 0, updated_at = ?2 where id = ?1",
        params![bits(id), at.0],
    )?;
    tx.cache.typing_changed();
    let typing = TypingIndicator {
        id,
        chat_id: place.chat_id,
        handle: handle.into(),
        is_typing: false,
        updated_at: at,
    };
    tell(tx, place, EventKind::TypingStopped, typing, now, committed)
}

fn tell(
    tx: &mut Tx<'_>,
    place: &EventContext<'_>,
    kind: EventKind,
    typing: TypingIndicator,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    let data = TypingEvent { typing, line_handle: place.line.handle.clone() };
    events::publish(tx, place.event(kind, &data), now, committed)
}
