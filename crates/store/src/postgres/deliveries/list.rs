//! Deliveries as their owner looks at them: of the newest event first, each with its attempts.
//!
//! They have no index by account: what is listed are the events, and of each its deliveries. Only what
//! was given up is found by its webhook at once.

use std::collections::HashMap;

use switchboard_model::{
    Account, Attempt, EventKind, Line, Timestamp, Webhook,
    delivery::{Delivery, DeliveryStatus},
    event::Event,
    id::Id,
    page::{Limit, Page},
    time::Now,
};
use tokio_postgres::Row;

use crate::{
    DeliveriesCursor, DeliveryFilter, Result,
    base::deliveries::{cursor, place},
    postgres::{
        engine::{
            columns::{Bits, Column, Name, Number, bits},
            connection::Sql,
            statement::{self, Params},
        },
        events,
    },
};

/// The most rows that one page looks at: where few of many fit, it ends with less than it may hold.
const LOOKED_AT: usize = 5000;
/// The most of them that one statement brings.
const SLICE: usize = 500;

/// One page. A row has one place for good, so none is skipped or repeated though the slices are of several moments.
pub(super) async fn page(
    sql: &Sql,
    account: Id<Account>,
    filter: &DeliveryFilter,
    after: Option<DeliveriesCursor>,
    limit: Limit,
    now: Now,
) -> Result<Page<Delivery, 3>> {
    let limit = limit.get() as usize;
    let (mut rows, mut looked_at, mut behind) = (Vec::new(), 0, after);
    let Some(range) = SeqRange::of(sql, account, filter).await? else {
        return Ok(Page { rows, next: None });
    };
    loop {
        let found = slice(sql, account, filter, &range, behind).await?;
        let is_last = found.len() < SLICE;
        let (mut taken, mut is_full) = (Vec::new(), false);
        for one in found {
            if looked_at == LOOKED_AT {
                is_full = true;
                break;
            }
            if let Some(fits) = one.delivery.filter(|found| found.fits(filter)) {
                if rows.len() + taken.len() == limit {
                    is_full = true;
                    break;
                }
                taken.push(fits);
            }
            looked_at += 1;
            behind = Some(one.place);
        }
        rows.extend(with_attempts(sql, taken, now).await?);
        if is_full || is_last {
            return Ok(Page { rows, next: behind.filter(|_| is_full) });
        }
    }
}

/// An event, with one of its deliveries or with none.
struct Found {
    place: DeliveriesCursor,
    delivery: Option<FoundDelivery>,
}

/// A delivery, still without its attempts but for the one that worked.
struct FoundDelivery {
    seq: i64,
    line: Id<Line>,
    due_at: Timestamp,
    delivery: Delivery,
}

impl FoundDelivery {
    fn fits(&self, filter: &DeliveryFilter) -> bool {
        let Delivery { id, event, status, .. } = self.delivery;
        filter.fits(id, event, self.line, status)
    }
}

/// Every event in this range, with its deliveries; or with none, which says how far the walk has come. Of events one more
/// than of rows, so that there are fewer rows only if there are no more events.
const ALL: &str = "
    select e.seq, e.id, e.kind, e.line_id, d.seq, d.id, d.webhook_id, d.status, d.due_at, d.last_error,
           d.created_at, d.finished_at, d.earlier_attempts + d.attempts, d.started_at, d.duration_ms,
           d.answer_status, d.answer
    from (select seq, id, kind, line_id from events
          where account_id = $1 and seq > $2 and seq <= $3 order by seq desc limit $7::bigint + 1) e
    left join lateral (
      select * from deliveries
      where event_seq = e.seq and ($6::uuid is null or webhook_id = $6) and (e.seq < $4 or id < $5)) d on true
    where e.seq < $4 or d.id is not null
    order by e.seq desc, d.id desc limit $7";

/// What was given up of this webhook: of an event one delivery.
const GIVEN_UP: &str = "
    select e.seq, e.id, e.kind, e.line_id, d.seq, d.id, d.webhook_id, d.status, d.due_at, d.last_error,
           d.created_at, d.finished_at, d.earlier_attempts + d.attempts, d.started_at, d.duration_ms,
           d.answer_status, d.answer
    from (select * from deliveries
          where status = 'failed' and webhook_id = $6 and account_id = $1
            and event_seq > $2 and event_seq <= $3 and (event_seq < $4 or id < $5)
          order by event_seq desc limit $7) d
    join events e on e.seq = d.event_seq
    order by e.seq desc";

async fn slice(
    sql: &Sql,
    account: Id<Account>,
    filter: &DeliveryFilter,
    range: &SeqRange,
    behind: Option<DeliveriesCursor>,
) -> Result<Vec<Found>> {
    let (event, id) = place(behind);
    let text = match (filter.webhook_id, filter.status) {
        (Some(_), Some(DeliveryStatus::Failed)) => GIVEN_UP,
        _ => ALL,
    };
    let params: Params<'_> = &[
        &bits(account),
        &range.after,
        &range.up_to.min(event),
        &event,
        &bits(id),
        &filter.webhook_id.map(bits),
        &statement::limit(SLICE),
    ];
    statement::all(sql, text, params, found).await
}

fn found(row: &Row) -> Column<Found> {
    let event = row.try_get(0)?;
    let id = row.try_get::<_, Option<Bits<_>>>(5)?.map(Bits::id);
    let delivery = match id {
        Some(id) => Some(delivery(row, id)?),
        None => None,
    };
    Ok(Found { place: cursor(event, id), delivery })
}

fn delivery(row: &Row, id: Id<Delivery>) -> Column<FoundDelivery> {
    let delivery = Delivery {
        id,
        webhook_id: row.try_get::<_, Bits<Webhook>>(6)?.id(),
        event_id: row.try_get::<_, Bits<Event>>(1)?.id(),
        event: row.try_get::<_, Name<EventKind>>(2)?.0,
        status: row.try_get::<_, Name<DeliveryStatus>>(7)?.0,
        attempts: last_attempt(row)?.into_iter().collect(),
        next_attempt_at: None,
        error: row.try_get(9)?,
        created_at: Timestamp(row.try_get(10)?),
        finished_at: row.try_get::<_, Option<i64>>(11)?.map(Timestamp),
    };
    Ok(FoundDelivery {
        seq: row.try_get(4)?,
        line: row.try_get::<_, Bits<_>>(3)?.id(),
        due_at: Timestamp(row.try_get(8)?),
        delivery,
    })
}

/// The attempt that worked, if it is a part of the row.
fn last_attempt(row: &Row) -> Column<Option<Attempt>> {
    let Some(started_at) = row.try_get::<_, Option<i64>>(13)? else { return Ok(None) };
    Ok(Some(Attempt {
        number: row.try_get::<_, Number<_>>(12)?.0,
        started_at: Timestamp(started_at),
        duration_ms: row.try_get::<_, Number<_>>(14)?.0,
        status: row.try_get::<_, Option<Number<_>>>(15)?.map(|status| status.0),
        answer: row.try_get(16)?,
        error: None,
    }))
}

/// Those in the table of their own come before the one that worked.
async fn with_attempts(sql: &Sql, found: Vec<FoundDelivery>, now: Now) -> Result<Vec<Delivery>> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let seqs: Vec<i64> = found.iter().map(|one| one.seq).collect();
    let attempts = statement::all(
        sql,
        "select delivery_seq, number, started_at, duration_ms, status, answer, error from attempts
         where delivery_seq = any($1) order by delivery_seq, number",
        &[&seqs],
        |row| Ok((row.try_get::<_, i64>(0)?, attempt(row)?)),
    )
    .await?;
    let mut of: HashMap<i64, Vec<Attempt>> = HashMap::new();
    for (seq, attempt) in attempts {
        of.entry(seq).or_default().push(attempt);
    }
    let shown = found.into_iter().map(|FoundDelivery { seq, due_at, mut delivery, .. }| {
        let mut attempts = of.remove(&seq).unwrap_or_default();
        attempts.append(&mut delivery.attempts);
        // What is due already is attempted as soon as it is its turn.
        let next = now.wall_at(due_at.max(now.steady));
        let is_due = delivery.status == DeliveryStatus::Due;
        Delivery { attempts, next_attempt_at: is_due.then_some(next), ..delivery }
    });
    Ok(shown.collect())
}

fn attempt(row: &Row) -> Column<Attempt> {
    Ok(Attempt {
        number: row.try_get::<_, Number<_>>(1)?.0,
        started_at: Timestamp(row.try_get(2)?),
        duration_ms: row.try_get::<_, Number<_>>(3)?.0,
        status: row.try_get::<_, Option<Number<_>>>(4)?.map(|status| status.0),
        answer: row.try_get(5)?,
        error: row.try_get(6)?,
    })
}

/// The events that may be meant, by their places.
struct SeqRange {
    after: i64,
    up_to: i64,
}

impl SeqRange {
    /// None if there is no such event.
    async fn of(sql: &Sql, account: Id<Account>, filter: &DeliveryFilter) -> Result<Option<Self>> {
        let mut range = Self { after: 0, up_to: i64::MAX };
        if let Some(id) = filter.id {
            let event = statement::first(
                sql,
                "select event_seq from deliveries where id = $1 and account_id = $2",
                &[&bits(id), &bits(account)],
                |row| row.try_get::<_, i64>(0),
            )
            .await?;
            let Some(event) = event else { return Ok(None) };
            range.narrow(event - 1, event);
        }
        if let Some(id) = filter.event_id {
            let Some(event) = events::seq_of(sql, id).await? else { return Ok(None) };
            range.narrow(event - 1, event);
        }
        if let Some(since) = filter.since {
            range.narrow(events::seq_before(sql, since).await?, i64::MAX);
        }
        if let Some(until) = filter.until {
            range.narrow(0, events::seq_before(sql, until).await?);
        }
        Ok(Some(range))
    }

    fn narrow(&mut self, after: i64, up_to: i64) {
        self.after = self.after.max(after);
        self.up_to = self.up_to.min(up_to);
    }
}
