//! The outbox: an item, and what it may become. How it is accepted, claimed, settled and expired stands beside.
//!
//! Every change of status goes through [`OutboxStatus::after`], or `resolve` beside it; a report that comes too late finds
//! its item settled and changes nothing. Order is that of `seq`: of one chat, that of acceptance.
//!
//! Whatever happens to an item after its acceptance happens under the lock of its line; only a lease may become longer
//! without it.

mod accept;
mod batch;
mod claim;
mod expire;
mod loops;
mod resolve;
mod settle;
mod write;

use std::collections::BTreeSet;

use switchboard_model::{
    Account, Chat, EventKind, Line, OutboxItem, Timestamp,
    event::FailedEvent,
    id::Id,
    link::{Report, SendItem},
    outbox::{MAX_ATTEMPTS, OutboxStep},
    time::Now,
};
use tokio_postgres::Row;

use super::{
    PostgresStore, bridges, context,
    engine::{
        columns::{Bits, Column, Json, Name, Number, bits},
        connection::Sql,
        statement,
        transaction::Tx,
    },
    events::{self, EventContext},
    files, idempotency,
};
use crate::{
    Accept, Accepted, Committed, IdempotencyRecord, Idempotent, Link, News, Outbox, Result,
    SettleReport, StoreError,
    base::open_item::{OpenItem, step},
};

#[cfg(doc)]
use switchboard_model::outbox::OutboxStatus;

pub(super) use claim::{claims_of, extend_claims};

#[async_trait::async_trait]
impl Outbox for PostgresStore {
    async fn accept(
        &self,
        accept: Accept,
        remember: Option<IdempotencyRecord>,
        now: Timestamp,
    ) -> Result<Idempotent<Accepted>> {
        let (line, wake) = (accept.line_id, self.wake.queue());
        self.write_then(
            move |tx: &Tx| {
                let work = accept::accept(tx, accept.clone(), now);
                Box::pin(idempotency::once(tx, remember.clone(), work))
            },
            move |done: &mut Idempotent<Accepted>| {
                // The bridge of the line may be linked to another process.
                if matches!(done, Idempotent::Fresh(_)) {
                    wake.committed(0, News { items: BTreeSet::from([line]), ..News::default() });
                }
            },
        )
        .await
    }

    async fn outbox_item(
        &self,
        account: Id<Account>,
        id: Id<OutboxItem>,
    ) -> Result<Option<OutboxItem>> {
        let sql = self.read().await?;
        find(&sql, account, id).await
    }

    async fn claim(
        &self,
        link: Link,
        line: Id<Line>,
        full_chats: Vec<Id<Chat>>,
        limit: usize,
        lease_until: Timestamp,
    ) -> Result<Vec<SendItem>> {
        self.write(move |tx: &Tx| {
            let full_chats = full_chats.clone();
            Box::pin(
                async move { claim::claim(tx, link, line, &full_chats, limit, lease_until).await },
            )
        })
        .await
    }

    async fn extend_claims(&self, link: Link, lease_until: Timestamp) -> Result<()> {
        self.write(move |tx: &Tx| {
            Box::pin(async move {
                // Before the claims: the row of the bridge is locked before those of its items, here as everywhere.
                claim::extend_link(&tx.sql, link.bridge, lease_until).await?;
                bridges::must_be_newest(&tx.sql, link).await?;
                extend_claims(&tx.sql, link, lease_until).await
            })
        })
        .await
    }

    async fn renew_all_claims(&self, lease_until: Timestamp) -> Result<()> {
        self.write(move |tx: &Tx| Box::pin(claim::renew_all_claims(&tx.sql, lease_until))).await
    }

    async fn settle(
        &self,
        link: Link,
        reports: Vec<SettleReport>,
        now: Timestamp,
    ) -> Result<Committed> {
        self.publish(move |tx: &Tx| Box::pin(settle::settle(tx, link, reports.clone(), now))).await
    }

    async fn resolve(&self, link: Link, reports: Vec<Report>, now: Timestamp) -> Result<Committed> {
        self.publish(move |tx: &Tx| Box::pin(resolve::resolve(tx, link, reports.clone(), now)))
            .await
    }

    async fn expire(&self, now: Now, limit: usize) -> Result<Committed> {
        self.publish(move |tx: &Tx| Box::pin(expire::expire(tx, now, limit))).await
    }
}

pub(super) async fn find(
    sql: &Sql,
    account: Id<Account>,
    id: Id<OutboxItem>,
) -> Result<Option<OutboxItem>> {
    statement::first(
        sql,
        "select id, status, error, created_at, completed_at, line_id, payload, attempts, message_id
         from outbox where id = $1 and account_id = $2",
        &[&bits(id), &bits(account)],
        item,
    )
    .await
}

/// What waits for a chat of this line, oldest first.
pub(super) async fn pending_in(sql: &Sql, line: Id<Line>, chat: Id<Chat>) -> Result<Vec<OpenItem>> {
    statement::all(
        sql,
        "select seq, id, account_id, line_id, chat_id, status, attempts, content
         from outbox where line_id = $1 and status = 'pending' and chat_id = $2 order by seq",
        &[&bits(line), &bits(chat)],
        open_item,
    )
    .await
}

/// Gives one item up, and makes that known. The line's lock is held.
pub(super) async fn fail(
    tx: &Tx,
    item: &OpenItem,
    attempts: u32,
    error: &str,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    let failed = item.after(OutboxStep::Fail)?;
    let shown = statement::first(
        &tx.sql,
        "update outbox set status = $2, attempts = $3, completed_at = $4, error = $5,
                bridge_id = null, lease_until = null, file_id = null
         where seq = $1 and status = $6
         returning id, status, error, created_at, completed_at, line_id, payload, attempts, message_id",
        &[&item.seq, &Name(failed), &Number(attempts), &now.0, &error, &Name(item.status)],
        self::item,
    )
    .await?
    .ok_or_else(|| lost("outbox item"))?;
    if !item.was_given_up() {
        files::leave_all_of(&tx.sql, &item.content).await?;
    }
    let line = context::line(&tx.sql, item.line_id).await?;
    let line = line.ok_or_else(|| lost("line of an outbox item"))?;
    let place = EventContext { line: &line, account_id: item.account_id, chat_id: item.chat_id };
    let data = FailedEvent { item: shown, chat_id: item.chat_id, line_handle: line.handle.clone() };
    events::publish(tx, place.event(EventKind::MessageFailed, &data), now, committed).await
}

fn lost(what: &str) -> StoreError {
    StoreError::Unreadable { what: format!("the {what} is gone") }
}

fn open_item(row: &Row) -> Column<OpenItem> {
    Ok(OpenItem {
        seq: row.try_get(0)?,
        id: row.try_get::<_, Bits<_>>(1)?.id(),
        account_id: row.try_get::<_, Bits<_>>(2)?.id(),
        line_id: row.try_get::<_, Bits<_>>(3)?.id(),
        chat_id: row.try_get::<_, Bits<_>>(4)?.id(),
        status: row.try_get::<_, Name<_>>(5)?.0,
        attempts: row.try_get::<_, Number<_>>(6)?.0,
        content: row.try_get::<_, Json<_>>(7)?.0,
        to_silent: false,
        error: None,
    })
}

fn item(row: &Row) -> Column<OutboxItem> {
    Ok(OutboxItem {
        id: row.try_get::<_, Bits<_>>(0)?.id(),
        status: row.try_get::<_, Name<_>>(1)?.0,
        error: row.try_get(2)?,
        created_at: Timestamp(row.try_get(3)?),
        completed_at: row.try_get::<_, Option<i64>>(4)?.map(Timestamp),
        line_id: row.try_get::<_, Bits<_>>(5)?.id(),
        payload: row.try_get::<_, Json<_>>(6)?.0,
        attempts: row.try_get::<_, Number<_>>(7)?.0,
        max_attempts: MAX_ATTEMPTS,
        message_id: row.try_get::<_, Option<Bits<_>>>(8)?.map(Bits::id),
    })
}
