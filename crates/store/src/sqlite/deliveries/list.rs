//! Deliveries as their owner looks at them: of the newest event first, each with its attempts.
//!
//! They have no index by account: what is listed are the events, and of each its deliveries. Only what
//! was given up is found by its webhook at once.

use rusqlite::{Connection, Row, params};
use switchboard_model::{
    Account, Attempt, EventKind, Line, Timestamp, Webhook,
    delivery::{Delivery, DeliveryStatus},
    event::Event,
    id::Id,
    page::{Cursor, Limit, Page},
};

use super::UNTRIED;
use crate::{
    DeliveriesCursor, DeliveryFilter, Result,
    sqlite::{
        columns::{Name, Text},
        events, statement,
    },
};

/// The most rows that one page looks at: where few of many fit, it ends with less than it may hold.
const LOOKED_AT: usize = 5000;

pub(in crate::sqlite) fn page(
    sql: &Connection,
    account: Id<Account>,
    filter: &DeliveryFilter,
    after: Option<DeliveriesCursor>,
    limit: Limit,
    now: Timestamp,
) -> Result<Page<Delivery, 3>> {
    let Some(stretch) = Stretch::of(sql, account, filter)? else {
        return Ok(Page { rows: Vec::new(), next: None });
    };
    // Nothing is before the first row; what is looked at comes after this.
    let (event, id) = after.map_or_else(
        || (i64::MAX, Id::of_nothing()),
        |cursor| {
            let [event, upper, lower] = cursor.place();
            let id = Id::<Delivery>::from_bits(u128::from(upper) << 64 | u128::from(lower));
            (i64::try_from(event).unwrap_or(i64::MAX), id)
        },
    );
    let webhook = filter.webhook_id.map(Text);
    let mut found = sql.prepare_cached(match (filter.webhook_id, filter.status) {
        (Some(_), Some(DeliveryStatus::Failed)) => GIVEN_UP,
        _ => ALL,
    })?;
    let (first, last) = (stretch.after, stretch.up_to.min(event));
    let params = params![Text(account), first, last, event, Text(id), webhook];
    let mut found = found.query(params)?;
    let (mut rows, mut looked_at, mut place, mut next) = (Vec::new(), 0, None, None);
    while let Some(row) = found.next()? {
        if looked_at == LOOKED_AT {
            next = place;
            break;
        }
        looked_at += 1;
        let event: i64 = row.get(0)?;
        let id = row.get::<_, Option<Text<Id<Delivery>>>>(6)?.map(|id| id.0);
        if let Some(id) = id
            && fits(filter, row, id)?
        {
            if rows.len() == limit.get() as usize {
                next = place;
                break;
            }
            rows.push((row.get::<_, i64>(5)?, delivery(row, id, now)?));
        }
        let bits = id.map_or(0, Id::to_bits);
        place = Some(Cursor::new([event.unsigned_abs(), (bits >> 64) as u64, bits as u64]));
    }
    let rows = rows
        .into_iter()
        .map(|(seq, delivery)| Ok(Delivery { attempts: attempts(sql, seq)?, ..delivery }));
    Ok(Page { rows: rows.collect::<Result<_>>()?, next })
}

/// Every event in this stretch, with its deliveries; or with none, which says how far the walk has come.
const ALL: &str = "
    select e.seq, e.id, e.kind, e.line_id, e.created_at,
           d.seq, d.id, d.webhook_id, d.status, d.due_at, d.leased, d.last_error, d.created_at, d.finished_at
    from events e indexed by events_by_account
    left join deliveries d indexed by deliveries_by_event
      on d.event_seq = e.seq and (?6 is null or d.webhook_id = ?6)
    where e.account_id = ?1 and e.seq > ?2 and e.seq <= ?3 and (e.seq < ?4 or d.id < ?5)
    order by e.seq desc, d.id desc";

/// What was given up of this webhook.
const GIVEN_UP: &str = "
    select e.seq, e.id, e.kind, e.line_id, e.created_at,
           d.seq, d.id, d.webhook_id, d.status, d.due_at, d.leased, d.last_error, d.created_at, d.finished_at
    from deliveries d indexed by deliveries_failed
    cross join events e on e.seq = d.event_seq
    where d.status = 'failed' and d.webhook_id = ?6 and d.account_id = ?1
      and d.event_seq > ?2 and d.event_seq <= ?3 and (d.event_seq < ?4 or d.id < ?5)
    order by d.event_seq desc";

/// The events that may be meant, by their places.
struct Stretch {
    after: i64,
    up_to: i64,
}

impl Stretch {
    /// None if there is no such event.
    fn of(sql: &Connection, account: Id<Account>, filter: &DeliveryFilter) -> Result<Option<Self>> {
        let mut stretch = Self { after: 0, up_to: i64::MAX };
        if let Some(id) = filter.id {
            let event = statement::first(
                sql,
                "select event_seq from deliveries where id = ?1 and account_id = ?2",
                params![Text(id), Text(account)],
                |row| row.get(0),
            )?;
            let Some(event) = event else { return Ok(None) };
            stretch.narrow(event - 1, event);
        }
        if let Some(id) = filter.event_id {
            let Some(event) = events::place_of(sql, id)? else { return Ok(None) };
            stretch.narrow(event - 1, event);
        }
        if let Some(since) = filter.since {
            stretch.narrow(events::place(sql, Some(since))?, i64::MAX);
        }
        if let Some(until) = filter.until {
            stretch.narrow(0, events::place(sql, Some(until))?);
        }
        Ok(Some(stretch))
    }

    fn narrow(&mut self, after: i64, up_to: i64) {
        self.after = self.after.max(after);
        self.up_to = self.up_to.min(up_to);
    }
}

/// Whether the row is wanted. What the statement has asked already is not asked again.
fn fits(filter: &DeliveryFilter, row: &Row<'_>, id: Id<Delivery>) -> Result<bool> {
    let event = row.get::<_, Name<EventKind>>(2)?.0;
    let line = row.get::<_, Text<Id<Line>>>(3)?.0;
    let status = row.get::<_, Name<DeliveryStatus>>(8)?.0;
    Ok(filter.id.is_none_or(|wanted| wanted == id)
        && filter.event.is_none_or(|wanted| wanted == event)
        && filter.status.is_none_or(|wanted| wanted == status)
        && filter.lines.as_ref().is_none_or(|lines| lines.contains(&line)))
}

/// The delivery, still without its attempts.
fn delivery(row: &Row<'_>, id: Id<Delivery>, now: Timestamp) -> Result<Delivery> {
    let status = row.get::<_, Name<DeliveryStatus>>(8)?.0;
    let (due_at, leased) = (Timestamp(row.get(9)?), row.get::<_, bool>(10)?);
    // A lease is no plan: it is attempted as soon as it is its turn.
    let next = if leased || due_at == UNTRIED { now } else { due_at };
    Ok(Delivery {
        id,
        webhook_id: row.get::<_, Text<Id<Webhook>>>(7)?.0,
        event_id: row.get::<_, Text<Id<Event>>>(1)?.0,
        event: row.get::<_, Name<EventKind>>(2)?.0,
        status,
        attempts: Vec::new(),
        next_attempt_at: (status == DeliveryStatus::Due).then_some(next),
        error: row.get(11)?,
        created_at: Timestamp(row.get(12)?),
        finished_at: row.get::<_, Option<i64>>(13)?.map(Timestamp),
    })
}

fn attempts(sql: &Connection, delivery: i64) -> Result<Vec<Attempt>> {
    statement::all(
        sql,
        "select number, started_at, duration_ms, status, answer, error from attempts
         where delivery_seq = ?1 order by number",
        params![delivery],
        |row| {
            Ok(Attempt {
                number: row.get(0)?,
                started_at: Timestamp(row.get(1)?),
                duration_ms: row.get::<_, i64>(2)?.unsigned_abs(),
                status: row.get(3)?,
                answer: row.get(4)?,
                error: row.get(5)?,
            })
        },
    )
}
