//! The outbox: an item, and what it may become. How it is accepted, claimed, settled and expired stands beside.
//!
//! Every change of status goes through `OutboxStatus::after`, or `resolve` beside it; a report that comes too late finds
//! its item settled and changes nothing. Order is that of `seq`: of acceptance.

mod accept;
mod claim;
mod expire;
mod loops;
mod resolve;
mod settle;

use rusqlite::{Connection, Row, params};
use switchboard_model::{
    Account, Bridge, Chat, EventKind, Line, Message, OutboxItem, Timestamp,
    event::FailedEvent,
    id::Id,
    link::{Report, SendItem},
    outbox::{ATTEMPTS_USED_UP, MAX_ATTEMPTS, NO_LONGER_PAIRED, OutboxStep},
    time::Now,
};

use super::{
    SqliteStore, bridges,
    engine::{
        columns::{Bits, Json, Name, bits},
        statement,
        writer::Tx,
    },
    events::{self, EventContext},
    files, idempotency, sandbox,
};
use crate::{
    Accept, Accepted, Committed, IdempotencyRecord, Idempotent, Link, Outbox, Result, SettleReport,
    StoreError,
    base::{
        context::CachedLine,
        open_item::{OpenItem, step},
    },
};

pub(super) use claim::{claims_of, extend_claims};

#[async_trait::async_trait]
impl Outbox for SqliteStore {
    async fn accept(
        &self,
        accept: Accept,
        remember: Option<IdempotencyRecord>,
        now: Timestamp,
    ) -> Result<Idempotent<Accepted>> {
        self.writer
            .run_single(move |tx| {
                if remember.is_some() {
                    tx.savepoint()?;
                }
                idempotency::once(tx, remember, |tx| accept::accept(tx, accept, now))
            })
            .await
    }

    async fn outbox_item(
        &self,
        account: Id<Account>,
        id: Id<OutboxItem>,
    ) -> Result<Option<OutboxItem>> {
        self.readers.lookup(account).ask(move |sql| find(sql, account, id)).await
    }

    async fn claim(
        &self,
        link: Link,
        line: Id<Line>,
        full_chats: Vec<Id<Chat>>,
        limit: usize,
        lease_until: Timestamp,
    ) -> Result<Vec<SendItem>> {
        self.writer
            .run(move |tx| claim::claim(tx, link, line, &full_chats, limit, lease_until))
            .await
    }

    async fn extend_claims(&self, link: Link, lease_until: Timestamp) -> Result<()> {
        self.writer
            .run(move |tx| {
                bridges::must_be_newest(tx.sql, link)?;
                extend_claims(tx.sql, link, lease_until)
            })
            .await
    }

    async fn renew_all_claims(&self, lease_until: Timestamp) -> Result<()> {
        self.writer.run(move |tx| claim::renew_all_claims(tx.sql, lease_until)).await
    }

    async fn settle(
        &self,
        link: Link,
        reports: Vec<SettleReport>,
        now: Timestamp,
    ) -> Result<Committed> {
        self.publish(move |tx| settle::settle(tx, link, reports, now)).await
    }

    async fn resolve(&self, link: Link, reports: Vec<Report>, now: Timestamp) -> Result<Committed> {
        self.publish(move |tx| resolve::resolve(tx, link, reports, now)).await
    }

    async fn expire(&self, now: Now, limit: usize) -> Result<Committed> {
        self.publish(move |tx| expire::expire(tx, now, limit)).await
    }
}

pub(super) fn find(
    sql: &Connection,
    account: Id<Account>,
    id: Id<OutboxItem>,
) -> Result<Option<OutboxItem>> {
    statement::first(
        sql,
        "select id, status, error, created_at, completed_at, line_id, payload, attempts, message_id
         from outbox where id = ?1 and account_id = ?2",
        params![bits(id), bits(account)],
        item,
    )
}

/// The item, if this bridge has claimed it.
pub(super) fn held_by(
    sql: &Connection,
    bridge: Id<Bridge>,
    id: Id<OutboxItem>,
) -> Result<Option<OpenItem>> {
    statement::first(
        sql,
        "select seq, id, account_id, line_id, chat_id, status, attempts, content, to_silent
         from outbox where id = ?1 and bridge_id = ?2 and status = 'claimed'",
        params![bits(id), bits(bridge)],
        |row| Ok(OpenItem { to_silent: row.get(8)?, ..open_item(row)? }),
    )
}

/// What waits for a chat of this line, oldest first.
pub(super) fn pending_in(
    sql: &Connection,
    line: Id<Line>,
    chat: Id<Chat>,
) -> Result<Vec<OpenItem>> {
    statement::all(
        sql,
        "select seq, id, account_id, line_id, chat_id, status, attempts, content
         from outbox indexed by outbox_pending
         where line_id = ?1 and status = 'pending' and chat_id = ?2 order by seq",
        params![bits(line), bits(chat)],
        open_item,
    )
}

/// Messages has the item; it became this message, if it was one.
pub(super) fn mark_sent(
    sql: &Connection,
    item: &OpenItem,
    message: Option<Id<Message>>,
    now: Timestamp,
) -> Result<()> {
    let sent = item.after(OutboxStep::Send)?;
    statement::run(
        sql,
        "update outbox set status = ?2, attempts = ?3, completed_at = ?4, message_id = ?5, error = null,
                bridge_id = null, lease_until = null, file_id = null
         where seq = ?1 and status = ?6",
        params![
            item.seq,
            Name(sent),
            item.taken(),
            now.0,
            message.map(bits),
            Name(item.status)
        ],
    )?;
    Ok(())
}

/// Gives the item back: it is claimed again, before all that was accepted after it.
/// The last attempt is not given back but fails; so does what was for a phone of the sandbox that
/// is paired no longer.
pub(super) fn release(
    tx: &mut Tx<'_>,
    item: &OpenItem,
    counts_as_attempt: bool,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    let attempts = item.attempts + u32::from(counts_as_attempt);
    if attempts >= MAX_ATTEMPTS {
        return fail(tx, item, attempts, ATTEMPTS_USED_UP, now, committed);
    }
    if line_of(tx, item)?.is_sandbox && !sandbox::is_paired(tx.sql, item.account_id, item.chat_id)?
    {
        return fail(tx, item, attempts, NO_LONGER_PAIRED, now, committed);
    }
    let pending = step(item.status, OutboxStep::Release)?;
    statement::run(
        tx.sql,
        "update outbox set status = ?2, attempts = ?3, bridge_id = null, lease_until = null
         where seq = ?1 and status = ?4",
        params![item.seq, Name(pending), attempts, Name(item.status)],
    )?;
    if !committed.released.contains(&item.line_id) {
        committed.released.push(item.line_id);
    }
    Ok(())
}

/// Gives the item up, and makes that known.
pub(super) fn fail(
    tx: &mut Tx<'_>,
    item: &OpenItem,
    attempts: u32,
    error: &str,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    let failed = item.after(OutboxStep::Fail)?;
    statement::run(
        tx.sql,
        "update outbox set status = ?2, attempts = ?3, completed_at = ?4, error = ?5,
                bridge_id = null, lease_until = null, file_id = null
         where seq = ?1 and status = ?6",
        params![item.seq, Name(failed), attempts, now.0, error, Name(item.status)],
    )?;
    if !item.was_given_up() {
        files::leave_all_of(tx.sql, &item.content)?;
    }
    let shown = find(tx.sql, item.account_id, item.id)?.ok_or_else(|| lost("outbox item"))?;
    let line = line_of(tx, item)?;
    let place = EventContext { line: &line, account_id: item.account_id, chat_id: item.chat_id };
    let data = FailedEvent { item: shown, chat_id: item.chat_id, line_handle: line.handle.clone() };
    events::publish(tx, place.event(EventKind::MessageFailed, &data), now, committed)
}

/// The line of an item. Lines are never deleted.
pub(super) fn line_of(tx: &mut Tx<'_>, item: &OpenItem) -> Result<std::sync::Arc<CachedLine>> {
    tx.cache.line(tx.sql, item.line_id)?.ok_or_else(|| lost("line of an outbox item"))
}

fn lost(what: &str) -> StoreError {
    StoreError::Unreadable { what: format!("the {what} is gone") }
}

fn open_item(row: &Row<'_>) -> rusqlite::Result<OpenItem> {
    Ok(OpenItem {
        seq: row.get(0)?,
        id: row.get::<_, Bits<_>>(1)?.id(),
        account_id: row.get::<_, Bits<_>>(2)?.id(),
        line_id: row.get::<_, Bits<_>>(3)?.id(),
        chat_id: row.get::<_, Bits<_>>(4)?.id(),
        status: row.get::<_, Name<_>>(5)?.0,
        attempts: row.get(6)?,
        content: row.get::<_, Json<_>>(7)?.0,
        to_silent: false,
        error: None,
    })
}

fn item(row: &Row<'_>) -> rusqlite::Result<OutboxItem> {
    Ok(OutboxItem {
        id: row.get::<_, Bits<_>>(0)?.id(),
        status: row.get::<_, Name<_>>(1)?.0,
        error: row.get(2)?,
        created_at: Timestamp(row.get(3)?),
        completed_at: row.get::<_, Option<i64>>(4)?.map(Timestamp),
        line_id: row.get::<_, Bits<_>>(5)?.id(),
        payload: row.get::<_, Json<_>>(6)?.0,
        attempts: row.get(7)?,
        max_attempts: MAX_ATTEMPTS,
        message_id: row.get::<_, Option<Bits<_>>>(8)?.map(Bits::id),
    })
}
