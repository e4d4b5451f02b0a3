//! Read receipts: up to when each handle has read a chat. That never moves backwards.

use switchboard_model::{
    Account, EventKind, Line, ReadReceipt, Timestamp, chat::Recipient, id::Id,
    receipt::ReceiptEvent,
};

use super::{
    PostgresStore, chats,
    engine::{
        columns::{Bits, bits},
        connection::Sql,
        statement,
        transaction::Tx,
    },
    events::{self, EventContext},
};
use crate::{Committed, Receipts, Refusal, Result};

#[async_trait::async_trait]
impl Receipts for PostgresStore {
    async fn receipts(
        &self,
        account: Id<Account>,
        line: Id<Line>,
        chat: Recipient,
    ) -> Result<Vec<ReadReceipt>> {
        let sql = self.read().await?;
        of_chat(&sql, account, line, &chat).await
    }
}

/// Somebody has read a chat. What was known already is not made known again.
///
/// By the driver's clock, but never later than now: nothing could be later than a time far ahead.
pub(super) async fn read(
    tx: &Tx,
    place: &EventContext<'_>,
    handle: &str,
    at: Timestamp,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    let at = at.min(now);
    let id = statement::first(
        &tx.sql,
        "insert into receipts (id, chat_id, handle, last_read_at, synced_at)
         values ($1, $2, $3, $4, $5)
         on conflict (chat_id, handle) do update
         set last_read_at = excluded.last_read_at, synced_at = excluded.synced_at
         where excluded.last_read_at > receipts.last_read_at
         returning id",
        &[&bits(Id::<ReadReceipt>::generate()), &bits(place.chat_id), &handle, &at.0, &now.0],
        |row| Ok(row.try_get::<_, Bits<_>>(0)?.id()),
    )
    .await?;
    let Some(id) = id else { return Ok(()) };
    let receipt = ReadReceipt {
        id,
        chat_id: place.chat_id,
        handle: handle.into(),
        last_read_at: at,
        synced_at: now,
    };
    let data = ReceiptEvent { receipt, line_handle: place.line.handle.clone() };
    events::publish(tx, place.event(EventKind::ReceiptRead, &data), now, committed).await
}

async fn of_chat(
    sql: &Sql,
    account: Id<Account>,
    line: Id<Line>,
    chat: &Recipient,
) -> Result<Vec<ReadReceipt>> {
    let chat_id = chats::find(sql, account, line, chat).await?.ok_or(Refusal::ChatNotFound)?;
    statement::all(
        sql,
        "select id, handle, last_read_at, synced_at from receipts where chat_id = $1 order by seq",
        &[&bits(chat_id)],
        |row| {
            Ok(ReadReceipt {
                id: row.try_get::<_, Bits<_>>(0)?.id(),
                chat_id,
                handle: row.try_get(1)?,
                last_read_at: Timestamp(row.try_get(2)?),
                synced_at: Timestamp(row.try_get(3)?),
            })
        },
    )
    .await
}
