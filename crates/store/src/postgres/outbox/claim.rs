//! Items are claimed by the link of a bridge, for the time of a lease.

use switchboard_model::{
    Bridge, Chat, Line, Timestamp,
    id::Id,
    link::SendItem,
    outbox::{OutboxStatus, OutboxStep},
};
use tokio_postgres::Row;

use super::step;
use crate::{
    Claim, Link, Result,
    postgres::{
        bridges,
        engine::{
            columns::{Bits, Column, Json, Name, bits, bits_of},
            connection::Sql,
            statement,
            transaction::Tx,
        },
    },
};

/// Takes what waits, oldest first. Under the lock of the line nobody else takes any of it, so nothing is passed over:
/// an item that was would be overtaken by the next of its chat.
pub(super) async fn claim(
    tx: &Tx,
    link: Link,
    line: Id<Line>,
    full_chats: &[Id<Chat>],
    limit: usize,
    lease_until: Timestamp,
) -> Result<Vec<SendItem>> {
    tx.lock_line(line).await?;
    let claimed = step(OutboxStatus::Pending, OutboxStep::Claim)?;
    // What the bridge before it may still hand over comes first in its chat, and may come back.
    let taken = async {
        statement::all(
            &tx.sql,
            "update outbox o
             set status = $6, bridge_id = $2, lease_until = $7, claim_epoch = $5
             from (
               select w.seq, c.identifier, c.is_group
               from outbox w join chats c on c.id = w.chat_id
               where w.line_id = $1 and w.status = 'pending' and w.chat_id <> all ($3)
                 and exists (select from lines where id = $1 and bridge_id = $2 and is_active)
                 and (not (select taken_over from lines where id = $1) or w.chat_id not in (
                   select chat_id from outbox
                   where status = 'claimed' and bridge_id <> $2 and line_id = $1))
               order by w.seq limit $4) waiting
             where o.seq = waiting.seq
             returning o.id, o.seq, o.line_id, o.chat_id, waiting.identifier, waiting.is_group, o.content",
            &[
                &bits(line),
                &bits(link.bridge),
                &bits_of(full_chats),
                &statement::limit(limit),
                &link.epoch,
                &Name(claimed),
                &lease_until.0,
            ],
            send_item,
        )
        .await
    };
    // Together: of a link that is not the newest, nothing is kept.
    let (_, mut items) = tokio::try_join!(bridges::must_be_newest(&tx.sql, link), taken)?;
    items.sort_unstable_by_key(|item| item.order);
    Ok(items)
}

pub(in crate::postgres) async fn claims_of(sql: &Sql, bridge: Id<Bridge>) -> Result<Vec<Claim>> {
    statement::all(
        sql,
        "select o.id, o.seq, o.line_id, o.chat_id, c.identifier, c.is_group, o.content, coalesce(o.claim_epoch, 0)
         from outbox o join chats c on c.id = o.chat_id
         where o.bridge_id = $1 and o.status = 'claimed' order by o.seq",
        &[&bits(bridge)],
        |row| Ok(Claim { item: send_item(row)?, epoch: row.try_get(7)? }),
    )
    .await
}

/// Holds the claims of a bridge for longer. Its row is locked already.
pub(in crate::postgres) async fn extend_claims(
    sql: &Sql,
    link: Link,
    lease_until: Timestamp,
) -> Result<()> {
    // Locked in the order in which they are settled.
    statement::run(
        sql,
        "update outbox o set lease_until = $2
         from (select seq from outbox
               where bridge_id = $1 and status = 'claimed' and lease_until < $2
               order by seq for update) held
         where o.seq = held.seq",
        &[&bits(link.bridge), &lease_until.0],
    )
    .await?;
    Ok(())
}

/// Holds the link of a bridge for longer.
pub(super) async fn extend_link(
    sql: &Sql,
    bridge: Id<Bridge>,
    lease_until: Timestamp,
) -> Result<()> {
    statement::run(
        sql,
        "update bridges set link_until = $2 where id = $1 and link_until < $2",
        &[&bits(bridge), &lease_until.0],
    )
    .await?;
    Ok(())
}

pub(super) async fn renew_all_claims(sql: &Sql, lease_until: Timestamp) -> Result<()> {
    // Bridges before items, each in one order, as everywhere.
    statement::run(
        sql,
        "update bridges b set link_until = $1
         from (select id from bridges where link_until > 0 and link_until < $1 order by id for update) linked
         where b.id = linked.id",
        &[&lease_until.0],
    )
    .await?;
    statement::run(
        sql,
        "update outbox o set lease_until = $1
         from (select seq from outbox where status = 'claimed' order by seq for update) held
         where o.seq = held.seq",
        &[&lease_until.0],
    )
    .await?;
    Ok(())
}

fn send_item(row: &Row) -> Column<SendItem> {
    Ok(SendItem {
        id: row.try_get::<_, Bits<_>>(0)?.id(),
        order: row.try_get(1)?,
        line_id: row.try_get::<_, Bits<_>>(2)?.id(),
        chat_id: row.try_get::<_, Bits<_>>(3)?.id(),
        identifier: row.try_get(4)?,
        is_group: row.try_get(5)?,
        content: row.try_get::<_, Json<_>>(6)?.0,
    })
}
