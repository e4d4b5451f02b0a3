//! What becomes of deliveries beside their attempts: a new round of them, or none at all any more.

use rusqlite::{Connection, params};
use switchboard_model::{
    EventKind, Line, Timestamp, Webhook,
    delivery::{Delivery, DeliveryStatus},
    id::Id,
    time::Now,
};

use super::due;
use crate::{
    Grant, Owned, Refusal, Result,
    base::deliveries::{DISABLED, KEPT_ATTEMPTS, NO_LONGER_NAMED, UNTRIED},
    sqlite::engine::{
        columns::{Bits, Json, Name, bits},
        statement,
    },
};

/// Begins a new round of attempts. It takes its place at the end of the webhook's log: what is replayed in event order
/// goes out in event order. Its new place also tells it from the round before: what an attempt of that one still reports
/// finds nothing.
pub(in crate::sqlite) fn begin(sql: &Connection, seq: i64, now: Timestamp) -> Result<()> {
    statement::run(
        sql,
        "insert into attempts (delivery_seq, number, started_at, duration_ms, status, answer)
         select seq, earlier_attempts + attempts, started_at, duration_ms, answer_status, answer
         from deliveries where seq = ?1 and started_at is not null",
        params![seq],
    )?;
    statement::run(
        sql,
        "delete from attempts where delivery_seq = ?1 and number <= (
           select max(number) - ?2 from attempts where delivery_seq = ?1)",
        params![seq, KEPT_ATTEMPTS],
    )?;
    let last = statement::first(sql, "select max(seq) from deliveries", [], |row| row.get(0))?;
    let place = last.unwrap_or(seq) + 1;
    statement::run(
        sql,
        "update deliveries set seq = ?2, status = 'due', due_at = ?3, finished_at = null,
                earlier_attempts = earlier_attempts + attempts, attempts = 0, round_at = ?4,
                started_at = null, duration_ms = null, answer_status = null, answer = null
         where seq = ?1",
        params![seq, place, UNTRIED.0, now.0],
    )?;
    statement::run(
        sql,
        "update attempts set delivery_seq = ?2 where delivery_seq = ?1",
        params![seq, place],
    )?;
    Ok(())
}

pub(in crate::sqlite) fn retry(
    sql: &Connection,
    grant: &Grant,
    id: Id<Delivery>,
    now: Now,
) -> Result<Id<Webhook>> {
    let found = statement::first(
        sql,
        "select d.seq, d.status, e.line_id, w.is_active, d.webhook_id, e.kind from deliveries d
         cross join events e on e.seq = d.event_seq
         left join webhooks w on w.id = d.webhook_id
         where d.id = ?1 and d.account_id = ?2",
        params![bits(id), bits(grant.account)],
        |row| {
            Ok(Found {
                seq: row.get(0)?,
                status: row.get::<_, Name<_>>(1)?.0,
                line: row.get::<_, Bits<_>>(2)?.id(),
                is_active: row.get(3)?,
                webhook: row.get::<_, Bits<_>>(4)?.id(),
                event: row.get::<_, Name<_>>(5)?.0,
            })
        },
    )?;
    let lines = grant.lines.as_deref();
    let found = found.filter(|found| lines.is_none_or(|lines| lines.contains(&found.line)));
    let Found { seq, status, is_active, webhook, event, .. } =
        found.ok_or(Refusal::DeliveryNotFound)?;
    grant.must_read(&[event])?;
    if is_active != Some(true) {
        return Err(Refusal::WebhookDisabled.into());
    }
    if status != DeliveryStatus::Due {
        begin(sql, seq, now.wall)?;
        return Ok(webhook);
    }
    // What was not attempted in its round is due in its turn.
    statement::run(
        sql,
        "update deliveries set due_at = ?2 where seq = ?1 and due_at > ?2",
        params![seq, now.steady.0],
    )?;
    Ok(webhook)
}

/// A delivery that is to be tried again.
struct Found {
    seq: i64,
    status: DeliveryStatus,
    line: Id<Line>,
    /// None once its webhook was deleted.
    is_active: Option<bool>,
    webhook: Id<Webhook>,
    event: EventKind,
}

pub(in crate::sqlite) fn give_up(
    sql: &Connection,
    now: Now,
    owned: &Owned,
    under_way: &[i64],
    limit: usize,
) -> Result<usize> {
    let (mut given_up, mut after) = (0, Some(Id::of_nothing()));
    while let Some(place) = after {
        let (rows, next) = due::waiting(sql, place)?;
        let own = |row: &due::WaitingRow| !row.is_active && owned.has(row.webhook);
        for waiting in rows.into_iter().filter(own) {
            let rest = limit - given_up;
            given_up += if waiting.is_deleted {
                remove(sql, waiting.webhook, rest)?
            } else {
                fail(sql, waiting.webhook, now, under_way, rest)?
            };
            if given_up == limit {
                return Ok(given_up);
            }
        }
        after = next;
    }
    Ok(given_up)
}

/// What is due of a webhook that is disabled fails, but for what is under way: its attempt says what becomes of it.
fn fail(
    sql: &Connection,
    webhook: Id<Webhook>,
    now: Now,
    under_way: &[i64],
    limit: usize,
) -> Result<usize> {
    statement::run(
        sql,
        "update deliveries set status = 'failed', last_error = ?3, finished_at = ?2
         where seq in (select seq from deliveries indexed by deliveries_due
           where status = 'due' and webhook_id = ?1 and seq not in (select value from json_each(?5))
           limit ?4)",
        params![bits(webhook), now.wall.0, DISABLED, statement::limit(limit), Json(under_way)],
    )
}

pub(in crate::sqlite) fn give_up_unnamed(
    sql: &Connection,
    webhook: Id<Webhook>,
    of: &[i64],
    now: Now,
) -> Result<()> {
    // It may have been given its events back since they were read.
    statement::run(
        sql,
        "update deliveries set status = 'failed', last_error = ?4, finished_at = ?3
         where seq in (select value from json_each(?2)) and webhook_id = ?1 and status = 'due'
           and not exists (
             select 1 from webhooks w, json_each(w.events) named
             where w.id = ?1
               and named.value = (select kind from events where events.seq = deliveries.event_seq))",
        params![bits(webhook), Json(of), now.wall.0, NO_LONGER_NAMED],
    )?;
    Ok(())
}

/// What is due of a webhook that was deleted goes, whoever has it: what an attempt of it still reports finds
/// nothing. What is over goes with its event.
fn remove(sql: &Connection, webhook: Id<Webhook>, limit: usize) -> Result<usize> {
    let due = statement::all(
        sql,
        "select seq from deliveries indexed by deliveries_due
         where status = 'due' and webhook_id = ?1 limit ?2",
        params![bits(webhook), statement::limit(limit)],
        |row| row.get::<_, i64>(0),
    )?;
    for seq in &due {
        statement::run(sql, "delete from attempts where delivery_seq = ?1", params![seq])?;
        statement::run(sql, "delete from deliveries where seq = ?1", params![seq])?;
    }
    Ok(due.len())
}
