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
    page::{Limit, Page},
    time::Now,
};

use crate::{
    DeliveriesCursor, DeliveryFilter, Result,
    base::deliveries::{cursor, place},
    sqlite::{
        engine::{
            columns::{Bits, Name, bits},
            statement,
        },
        events,
    },
};

/// The most rows that one page looks at: where few of many fit, it ends with less than it may hold.
const LOOKED_AT: usize = 5000;
/// The most of them, with their attempts, that one read looks at: others wait no longer than that takes.
const SLICE: usize = 500;

/// The way to one page, as far as it has come.
pub(in crate::sqlite) struct Walk {
    account: Id<Account>,
    filter: DeliveryFilter,
    limit: usize,
    now: Now,
    /// None until the first slice has found it.
    range: Option<SeqRange>,
    rows: Vec<Delivery>,
    looked_at: usize,
    /// The last row that was looked at, of this page or the one before.
    place: Option<DeliveriesCursor>,
    next: Option<DeliveriesCursor>,
    is_done: bool,
}

impl Walk {
    pub(in crate::sqlite) fn new(
        account: Id<Account>,
        filter: DeliveryFilter,
        after: Option<DeliveriesCursor>,
        limit: Limit,
        now: Now,
    ) -> Self {
        Self {
            account,
            filter,
            limit: limit.get() as usize,
            now,
            range: None,
            rows: Vec::new(),
            looked_at: 0,
            place: after,
            next: None,
            is_done: false,
        }
    }

    pub(in crate::sqlite) fn is_done(&self) -> bool {
        self.is_done
    }

    pub(in crate::sqlite) fn into_page(self) -> Page<Delivery, 3> {
        Page { rows: self.rows, next: self.next }
    }

    /// Looks at the next rows. Each slice sees its own state: a row has one place for good, so none is
    /// skipped or repeated for that.
    pub(in crate::sqlite) fn slice(mut self, sql: &Connection) -> Result<Self> {
        let range = match self.range.take() {
            Some(range) => range,
            None => match SeqRange::of(sql, self.account, &self.filter)? {
                Some(range) => range,
                None => return Ok(Self { is_done: true, ..self }),
            },
        };
        let (event, id) = place(self.place);
        let webhook = self.filter.webhook_id.map(bits);
        let mut found = sql.prepare_cached(match (self.filter.webhook_id, self.filter.status) {
            (Some(_), Some(DeliveryStatus::Failed)) => GIVEN_UP,
            _ => ALL,
        })?;
        let (first, last) = (range.after, range.up_to.min(event));
        let params = params![bits(self.account), first, last, event, bits(id), webhook];
        let mut found = found.query(params)?;
        let mut read = 0;
        while let Some(row) = found.next()? {
            if self.looked_at == LOOKED_AT {
                self.next = self.place;
                break;
            }
            if read >= SLICE {
                return Ok(Self { range: Some(range), ..self });
            }
            let event: i64 = row.get(0)?;
            let id = row.get::<_, Option<Bits<Delivery>>>(6)?.map(Bits::id);
            if let Some(id) = id
                && fits(&self.filter, row, id)?
            {
                if self.rows.len() == self.limit {
                    self.next = self.place;
                    break;
                }
                let mut attempts = attempts(sql, row.get(5)?)?;
                attempts.extend(last_attempt(row)?);
                read += attempts.len();
                self.rows.push(Delivery { attempts, ..delivery(row, id, self.now)? });
            }
            (self.looked_at, read) = (self.looked_at + 1, read + 1);
            self.place = Some(cursor(event, id));
        }
        self.is_done = true;
        Ok(self)
    }
}

/// Every event in this range, with its deliveries; or with none, which says how far the walk has come.
const ALL: &str = "
    select e.seq, e.id, e.kind, e.line_id, e.created_at,
           d.seq, d.id, d.webhook_id, d.status, d.due_at, d.last_error, d.created_at, d.finished_at,
           d.earlier_attempts + d.attempts, d.started_at, d.duration_ms, d.answer_status, d.answer
    from events e indexed by events_by_account
    left join deliveries d indexed by deliveries_by_event
      on d.event_seq = e.seq and (?6 is null or d.webhook_id = ?6)
    where e.account_id = ?1 and e.seq > ?2 and e.seq <= ?3 and (e.seq < ?4 or d.id < ?5)
    order by e.seq desc, d.id desc";

/// What was given up of this webhook.
const GIVEN_UP: &str = "
    select e.seq, e.id, e.kind, e.line_id, e.created_at,
           d.seq, d.id, d.webhook_id, d.status, d.due_at, d.last_error, d.created_at, d.finished_at,
           d.earlier_attempts + d.attempts, d.started_at, d.duration_ms, d.answer_status, d.answer
    from deliveries d indexed by deliveries_failed
    cross join events e on e.seq = d.event_seq
    where d.status = 'failed' and d.webhook_id = ?6 and d.account_id = ?1
      and d.event_seq > ?2 and d.event_seq <= ?3 and (d.event_seq < ?4 or d.id < ?5)
    order by d.event_seq desc";

/// The events that may be meant, by their places.
struct SeqRange {
    after: i64,
    up_to: i64,
}

impl SeqRange {
    /// None if there is no such event.
    fn of(sql: &Connection, account: Id<Account>, filter: &DeliveryFilter) -> Result<Option<Self>> {
        let mut range = Self { after: 0, up_to: i64::MAX };
        if let Some(id) = filter.id {
            let event = statement::first(
                sql,
                "select event_seq from deliveries where id = ?1 and account_id = ?2",
                params![bits(id), bits(account)],
                |row| row.get(0),
            )?;
            let Some(event) = event else { return Ok(None) };
            range.narrow(event - 1, event);
        }
        if let Some(id) = filter.event_id {
            let Some(event) = events::seq_of(sql, id)? else { return Ok(None) };
            range.narrow(event - 1, event);
        }
        if let Some(since) = filter.since {
            range.narrow(events::seq_before(sql, since)?, i64::MAX);
        }
        if let Some(until) = filter.until {
            range.narrow(0, events::seq_before(sql, until)?);
        }
        Ok(Some(range))
    }

    fn narrow(&mut self, after: i64, up_to: i64) {
        self.after = self.after.max(after);
        self.up_to = self.up_to.min(up_to);
    }
}

/// Whether the row is wanted. What the statement has asked already is not asked again.
fn fits(filter: &DeliveryFilter, row: &Row<'_>, id: Id<Delivery>) -> Result<bool> {
    let event = row.get::<_, Name<EventKind>>(2)?.0;
    let line = row.get::<_, Bits<Line>>(3)?.id();
    let status = row.get::<_, Name<DeliveryStatus>>(8)?.0;
    Ok(filter.fits(id, event, line, status))
}

/// The delivery, still without its attempts.
fn delivery(row: &Row<'_>, id: Id<Delivery>, now: Now) -> Result<Delivery> {
    let status = row.get::<_, Name<DeliveryStatus>>(8)?.0;
    // What is due already is attempted as soon as it is its turn.
    let due_at = Timestamp(row.get(9)?).max(now.steady);
    Ok(Delivery {
        id,
        webhook_id: row.get::<_, Bits<Webhook>>(7)?.id(),
        event_id: row.get::<_, Bits<Event>>(1)?.id(),
        event: row.get::<_, Name<EventKind>>(2)?.0,
        status,
        attempts: Vec::new(),
        next_attempt_at: (status == DeliveryStatus::Due).then(|| now.wall_at(due_at)),
        error: row.get(10)?,
        created_at: Timestamp(row.get(11)?),
        finished_at: row.get::<_, Option<i64>>(12)?.map(Timestamp),
    })
}

/// The attempt that worked, if it is a part of the row.
fn last_attempt(row: &Row<'_>) -> Result<Option<Attempt>> {
    let Some(started_at) = row.get::<_, Option<i64>>(14)? else { return Ok(None) };
    Ok(Some(Attempt {
        number: row.get(13)?,
        started_at: Timestamp(started_at),
        duration_ms: row.get::<_, i64>(15)?.unsigned_abs(),
        status: row.get(16)?,
        answer: row.get(17)?,
        error: None,
    }))
}

/// Those in the table of their own.
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
