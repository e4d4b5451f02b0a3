//! Items fail that nobody reports on in time: claims past their lease, and what has waited too long.

use std::time::Duration;

use rusqlite::{Connection, params};
use switchboard_model::{
    Line, Timestamp,
    outbox::{EXPIRED, EXPIRY_MS, MAY_HAVE_BEEN_HANDED_OVER},
    time::Now,
};

use super::{OpenItem, fail, open_item};
use crate::{
    Committed, Cutoff, Result,
    sqlite::{
        clocks::Older,
        engine::{columns::Bits, statement, writer::Tx},
    },
};

/// Fails what is over: claims past their lease, then what has waited too long.
pub(super) fn expire(tx: &mut Tx<'_>, now: Now, limit: usize) -> Result<Committed> {
    let Now { wall: now, steady } = now;
    let mut committed = Committed::default();
    for item in past_lease(tx.sql, steady, limit)? {
        let attempts = item.attempts + 1;
        fail(tx, &item, attempts, MAY_HAVE_BEEN_HANDED_OVER, now, &mut committed)?;
    }
    let left = limit.saturating_sub(committed.events.len());
    let expiry = Duration::from_millis(EXPIRY_MS);
    // Those that have waited exactly so long too.
    let accepted_before = Cutoff { wall: Timestamp(now.0 + 1) - expiry, steady: steady - expiry };
    for item in waited_too_long(tx.sql, accepted_before, left)? {
        fail(tx, &item, item.attempts, EXPIRED, now, &mut committed)?;
    }
    Ok(committed)
}

fn past_lease(sql: &Connection, now: Timestamp, limit: usize) -> Result<Vec<OpenItem>> {
    // Bridge by bridge, because that is how the index of claims is ordered; bridges are few.
    statement::all(
        sql,
        "select o.seq, o.id, o.account_id, o.line_id, o.chat_id, o.status, o.attempts, o.content
         from bridges b cross join outbox o indexed by outbox_claimed
         where o.bridge_id = b.id and o.status = 'claimed' and o.lease_until <= ?1 limit ?2",
        params![now.0, statement::limit(limit)],
        open_item,
    )
}

/// Looks at each line's items from the oldest to the first that may still wait, so that a long
/// backlog is not read through each time.
fn waited_too_long(
    sql: &Connection,
    accepted_before: Cutoff,
    limit: usize,
) -> Result<Vec<OpenItem>> {
    let older = Older::items(sql, accepted_before)?;
    let lines = statement::all(sql, "select id from lines", [], |row| row.get::<_, Bits<Line>>(0))?;
    let mut oldest = sql.prepare_cached(
        "select seq, id, account_id, line_id, chat_id, status, attempts, content, created_at
         from outbox indexed by outbox_pending
         where line_id = ?1 and status = 'pending' order by seq",
    )?;
    let mut items = Vec::new();
    for line in lines {
        let mut rows = oldest.query(params![line])?;
        while items.len() < limit
            && let Some(row) = rows.next()?
            && older.has(row.get(0)?, Timestamp(row.get(8)?))
        {
            items.push(open_item(row)?);
        }
    }
    Ok(items)
}
