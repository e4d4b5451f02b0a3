//! Items fail that nobody reports on in time: claims past their lease, and what has waited too long.
//!
//! They are found without a lock, because the locks of their lines come before those of their rows; under these it is
//! looked again which of them are still over.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use switchboard_model::{
    Line, OutboxItem, Timestamp,
    id::Id,
    outbox::{EXPIRED, EXPIRY_MS, MAY_HAVE_BEEN_HANDED_OVER, OutboxStatus},
    time::Now,
};
use tokio_postgres::Row;

use super::batch::{self, Batch};
use crate::{
    Committed, Cutoff, Result,
    postgres::{
        clocks::Older,
        engine::{
            columns::{Bits, Column, bits},
            connection::Sql,
            statement,
            transaction::Tx,
        },
    },
};

/// When it took so long to get at the items, the database stood still: they are looked at the next time.
const STALLED: Duration = Duration::from_millis(500);

/// Fails what is over: claims past their lease, then what has waited too long.
pub(super) async fn expire(tx: &Tx, now: Now, limit: usize) -> Result<Committed> {
    let Now { wall: now, steady } = now;
    let mut over = past_lease(&tx.sql, steady, limit).await?;
    let expiry = Duration::from_millis(EXPIRY_MS);
    // Those that have waited exactly so long too.
    let accepted_before = Cutoff { wall: Timestamp(now.0 + 1) - expiry, steady: steady - expiry };
    let claims = over.len();
    let left = limit.saturating_sub(claims);
    over.extend(waited_too_long(&tx.sql, accepted_before, left).await?);
    if over.is_empty() {
        return Ok(Committed::default());
    }
    let (ids, lines): (Vec<_>, Vec<_>) = over.into_iter().unzip();
    let began = Instant::now();
    tx.lock_lines(&lines).await?;
    let (items, mut batch, ()) = tokio::try_join!(
        batch::hold(&tx.sql, &ids),
        Batch::of(tx, lines, now),
        tx.expect_places()
    )?;
    // Whoever holds these claims may have waited as well, and could not say that he is there.
    if began.elapsed() > STALLED {
        return Ok(Committed::default());
    }
    let mut items: HashMap<_, _> = items.into_iter().map(|held| (held.item.id, held)).collect();
    for (number, id) in ids.iter().enumerate() {
        let Some(held) = items.get_mut(id) else { continue };
        let attempts = held.item.attempts;
        match held.item.status {
            OutboxStatus::Claimed if held.lease_until.is_some_and(|until| until <= steady) => {
                batch.fail(held, attempts + 1, MAY_HAVE_BEEN_HANDED_OVER).await?;
            }
            OutboxStatus::Pending if number >= claims => {
                batch.fail(held, attempts, EXPIRED).await?;
            }
            _ => {}
        }
    }
    batch.end().await
}

type Place = (Id<OutboxItem>, Id<Line>);

/// Bridge by bridge, because that is how the index of claims is ordered; bridges are few.
async fn past_lease(sql: &Sql, now: Timestamp, limit: usize) -> Result<Vec<Place>> {
    statement::all(
        sql,
        "select o.id, o.line_id
         from bridges b cross join lateral (
           select id, line_id from outbox
           where bridge_id = b.id and status = 'claimed' and lease_until <= $1 limit $2) o
         limit $2",
        &[&now.0, &statement::limit(limit)],
        place,
    )
    .await
}

/// Looks at each line's items from the oldest to the first that may still wait, so that a long
/// backlog is not read through each time.
async fn waited_too_long(sql: &Sql, accepted_before: Cutoff, limit: usize) -> Result<Vec<Place>> {
    let older = Older::items(sql, accepted_before).await?;
    let is_older = |&(_, seq, stamp): &(Place, i64, Timestamp)| older.has(seq, stamp);
    let oldest = statement::all(
        sql,
        "select o.id, o.line_id, o.seq, o.created_at
         from lines l cross join lateral (
           select id, line_id, seq, created_at from outbox
           where line_id = l.id and status = 'pending' order by seq limit 1) o
         order by l.seq",
        &[],
        waiting,
    )
    .await?;
    let mut items = Vec::new();
    for ((_, line), _, _) in oldest.into_iter().filter(is_older) {
        if items.len() == limit {
            break;
        }
        let of_line = statement::all(
            sql,
            "select id, line_id, seq, created_at from outbox
             where line_id = $1 and status = 'pending' order by seq limit $2",
            &[&bits(line), &statement::limit(limit - items.len())],
            waiting,
        )
        .await?;
        items.extend(of_line.into_iter().take_while(is_older).map(|(place, _, _)| place));
    }
    Ok(items)
}

fn place(row: &Row) -> Column<Place> {
    Ok((row.try_get::<_, Bits<_>>(0)?.id(), row.try_get::<_, Bits<_>>(1)?.id()))
}

fn waiting(row: &Row) -> Column<(Place, i64, Timestamp)> {
    Ok((place(row)?, row.try_get(2)?, Timestamp(row.try_get(3)?)))
}
