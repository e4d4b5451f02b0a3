//! Items are claimed by the link of a bridge, for the time of a lease.

use rusqlite::{Connection, Row, params};
use switchboard_model::{
    Bridge, Chat, Line, Timestamp,
    id::Id,
    link::SendItem,
    outbox::{OutboxStatus, OutboxStep},
};

use super::step;
use crate::{
    Claim, Link, Result,
    sqlite::{
        bridges,
        engine::{
            columns::{Bits, Json, Name, bits, hex_list},
            statement,
            writer::Tx,
        },
    },
};

pub(super) fn claim(
    tx: &mut Tx<'_>,
    link: Link,
    line: Id<Line>,
    full_chats: &[Id<Chat>],
    limit: usize,
    lease_until: Timestamp,
) -> Result<Vec<SendItem>> {
    bridges::must_be_newest(tx.sql, link)?;
    let carried = tx.cache.line(tx.sql, line)?;
    let Some(carried) =
        carried.filter(|line| line.bridge_id == Some(link.bridge) && line.is_active)
    else {
        return Ok(Vec::new());
    };
    // What the bridge before it may still hand over comes first in its chat, and may come back.
    let waiting = statement::all(
        tx.sql,
        "select o.id, o.seq, o.line_id, o.chat_id, c.identifier, c.is_group, o.content
         from outbox o indexed by outbox_pending cross join chats c on c.id = o.chat_id
         where o.line_id = ?1 and o.status = 'pending'
           and o.chat_id not in (select unhex(value) from json_each(?2))
           and (?4 = 0 or o.chat_id not in (
             select held.chat_id from bridges b cross join outbox held indexed by outbox_claimed
             where b.id <> ?5 and held.bridge_id = b.id and held.status = 'claimed' and held.line_id = ?1))
         order by o.seq limit ?3",
        params![
            bits(line),
            hex_list(full_chats),
            statement::limit(limit),
            carried.was_taken_over,
            bits(link.bridge)
        ],
        send_item,
    )?;
    let claimed = step(OutboxStatus::Pending, OutboxStep::Claim)?;
    let mut items = Vec::with_capacity(waiting.len());
    for item in waiting {
        let changed = statement::run(
            tx.sql,
            "update outbox set status = ?2, bridge_id = ?3, lease_until = ?4, claim_epoch = ?5
             where seq = ?1 and status = 'pending'",
            params![item.order, Name(claimed), bits(link.bridge), lease_until.0, link.epoch],
        )?;
        if changed > 0 {
            items.push(item);
        }
    }
    Ok(items)
}

pub(in crate::sqlite) fn claims_of(sql: &Connection, bridge: Id<Bridge>) -> Result<Vec<Claim>> {
    statement::all(
        sql,
        "select o.id, o.seq, o.line_id, o.chat_id, c.identifier, c.is_group, o.content, coalesce(o.claim_epoch, 0)
         from outbox o cross join chats c on c.id = o.chat_id
         where o.bridge_id = ?1 and o.status = 'claimed' order by o.seq",
        params![bits(bridge)],
        |row| Ok(Claim { item: send_item(row)?, epoch: row.get(7)? }),
    )
}

pub(in crate::sqlite) fn extend_claims(
    sql: &Connection,
    link: Link,
    lease_until: Timestamp,
) -> Result<()> {
    statement::run(
        sql,
        "update outbox set lease_until = ?2
         where bridge_id = ?1 and status = 'claimed' and lease_until < ?2",
        params![bits(link.bridge), lease_until.0],
    )?;
    statement::run(
        sql,
        "update bridges set link_until = ?2 where id = ?1 and link_until < ?2",
        params![bits(link.bridge), lease_until.0],
    )?;
    Ok(())
}

pub(super) fn renew_all_claims(sql: &Connection, lease_until: Timestamp) -> Result<()> {
    statement::run(
        sql,
        "update outbox set lease_until = ?1 where status = 'claimed'",
        params![lease_until.0],
    )?;
    statement::run(
        sql,
        "update bridges set link_until = ?1 where link_until > 0 and link_until < ?1",
        params![lease_until.0],
    )?;
    Ok(())
}

fn send_item(row: &Row<'_>) -> rusqlite::Result<SendItem> {
    Ok(SendItem {
        id: row.get::<_, Bits<_>>(0)?.id(),
        order: row.get(1)?,
        line_id: row.get::<_, Bits<_>>(2)?.id(),
        chat_id: row.get::<_, Bits<_>>(3)?.id(),
        identifier: row.get(4)?,
        is_group: row.get(5)?,
        content: row.get::<_, Json<_>>(6)?.0,
    })
}
